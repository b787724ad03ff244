"""The linear-chain conditional random field, as in `fastrnn.kernels.crf`: a block a sequence, its threads for tags.

Forward and backward sums are kept as logarithms in float64. A step takes the largest one out: its sums are a product
of exp(log − largest) with the factors exp(transition − largest transition), which are computed once. Where such a sum
is so small that summands may have vanished, its thread takes the logarithms themselves. The factors of up to some 150
tags stay in the first-level cache, which is the same memory as shared memory.

Marginals of neighbours, which are the gradients of transitions, are summed over the steps for each sequence and then
over the sequences, both in their order.
"""

import math

import numpy as np
from numba import cuda, float64, int32

from fastrnn.cuda.arrays import asarray, empty, to_numpy
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.gpu import device
from fastrnn.cuda.reductions import block_maximum, block_sum

_THREADS = 128  # of a block, at least: pairs of tags keep more of them busy than tags do
_SMALLEST = 1e-200  # sums from here on have lost nothing that counts
_LARGEST_EXPONENT = 400.0  # of a factor: what its product loses to underflow is below e^-300


def crf_loss(d_emissions, d_transitions, d_start, d_end, emissions, transitions, start, end, tags, lengths, weights,
             n_jobs=None):  # fmt: skip
    """Compute Σ weights · −log p(tags), and its gradient, see `fastrnn.kernels.crf.crf_loss`."""
    weights, tags = np.asarray(weights, np.float64), asarray(np.ascontiguousarray(tags, np.int32))
    batch, size, counts = emissions.shape[1], emissions.shape[2], None
    if d_emissions is not None:
        counts = empty((batch * (2 + size), size), "float64")
    losses = _run(d_emissions, counts, emissions, (transitions, start, end), tags, lengths, weights)
    if counts is not None:
        _add_counts.over_matrix(2 + size, size, d_transitions, d_start, d_end, counts)
    used, losses = weights != 0, to_numpy(losses)
    return float(losses[used] @ weights[used])


def crf_marginals(marginals, emissions, transitions, start, end, lengths, n_jobs=None):
    """Compute the probability of each tag at each step, see `fastrnn.kernels.crf.crf_marginals`."""
    _run(marginals, None, emissions, (transitions, start, end), None, lengths, np.ones(emissions.shape[1]))


def _run(out, counts, emissions, model, tags, lengths, weights):
    """Compute the gradient of each sequence's loss, in `out` and `counts`; return the losses.

    Without tags, the loss is log Z.
    """
    steps, batch, size = emissions.shape
    rows, losses = (steps * batch, size), empty(batch, "float64")
    alpha = left = right = scales = None
    if out is not None:
        alpha, scales, out = empty(rows, "float64"), empty(steps * batch, "float64"), out.reshaped(rows)
    if counts is not None:
        left, right = empty(rows, "float64"), empty(rows, "float64")
    factors, largest = empty((2 * size, size), "float64"), empty(1, "float64")
    found = device()
    _factors.over_rows(-(-size * size // found.threads), factors, largest, model[0], shared=8 * found.threads)
    _launch(_sequences, batch, size, losses, out, counts, alpha, left, right, scales, emissions.reshaped(rows), *model,
            factors, largest, tags, _uploaded(lengths, steps, batch), asarray(weights), steps)  # fmt: skip
    return losses


def _launch(kernel, batch, size, *arguments):
    """Launch a block for each sequence, with shared memory for sums of all threads and three vectors of tags."""
    if batch:
        threads = min(device().threads, max(_THREADS, 1 << (size - 1).bit_length()))
        kernel.launch(min(batch, device().blocks), threads, *arguments, shared=8 * (threads + 3 * size))


def _uploaded(lengths, steps, batch):
    return asarray(np.full(batch, steps, np.int32) if lengths is None else np.asarray(lengths, np.int32))


@kernel
def _factors(factors, largest, transitions):
    """Compute exp(transition − the largest one), and the transpose of this matrix."""
    # factors (2 · K, K), largest (1,), transitions (K, K)
    shared, size = cuda.shared.array(0, float64), transitions.shape[0]
    high = float64(-math.inf)
    for place in range(cuda.threadIdx.x, size * size, cuda.blockDim.x):
        high = max(high, float64(transitions[place // size, place % size]))
    high = block_maximum(high, shared)
    if high == -math.inf:
        high = float64(0.0)
    for place in range(cuda.grid(1), size * size, cuda.gridsize(1)):
        i, j = place // size, place % size
        factor = math.exp(float64(transitions[i, j]) - high)
        factors[i, j] = factor
        factors[size + j, i] = factor
    if cuda.grid(1) == 0:
        largest[0] = high


# --------------------------------------------------------------------------------------------------- loss and gradient


@kernel
def _sequences(losses, out, counts, alpha, left, right, scales, emissions, transitions, start, end, factors, largest,
               tags, lengths, weights, steps):  # fmt: skip
    # losses (B,), out (T · B, K) or None, counts (B · (2 + K), K) or None, alpha, left, right (T · B, K) or None,
    # scales (T · B,) or None, emissions (T · B, K), transitions (K, K), start, end (K,), factors (2 · K, K),
    # largest (1,), tags (T, B) or None, lengths, weights (B,)
    shared, batch, size = cuda.shared.array(0, float64), lengths.size, transitions.shape[0]
    for b in range(cuda.blockIdx.x, batch, cuda.gridDim.x):
        length, log_z, score = lengths[b], float64(0.0), float64(0.0)
        if length > 0:
            log_z = _forward(alpha, left, scales, emissions, transitions, start, end, factors, largest[0], b, batch,
                             length, shared)  # fmt: skip
            if tags is not None:
                score = _path_score(emissions, transitions, start, end, tags, b, length, shared)
        if cuda.threadIdx.x == 0:
            losses[b] = math.inf if log_z == -math.inf or score == -math.inf else log_z - score
        if out is not None:
            divisor = float64(math.inf) if log_z == -math.inf else log_z
            for row in range(length * batch + b, steps * batch, batch):
                for j in range(cuda.threadIdx.x, size, cuda.blockDim.x):
                    out[row, j] = out.dtype.type(0)
            if counts is not None and length == 0:
                _clear(counts, b)
            if length > 0:
                scaled = _backward(out, counts, alpha, right, scales, emissions, transitions, end, factors, largest[0],
                                   tags, b, batch, length, divisor, weights[b], shared)  # fmt: skip
                if counts is not None:
                    cuda.syncthreads()
                    _count_neighbours(counts, alpha, left, right, scales, transitions, factors, b, batch, length,
                                      divisor, weights[b], scaled)  # fmt: skip
                    _subtract_path(counts, tags, b, length, weights[b])
        cuda.syncthreads()


@device_function
def _forward(alpha, left, scales, emissions, transitions, start, end, factors, largest, b, batch, length, shared):
    """Compute the forward sums α of a sequence, and log Z, which all threads return.

    Of `left` and `scales`, each step has what its successor's product reads: exp(α − the largest), and the largest.
    """
    size, now, after = transitions.shape[0], cuda.blockDim.x, cuda.blockDim.x + transitions.shape[0]
    values = after + size
    for j in range(cuda.threadIdx.x, size, cuda.blockDim.x):
        shared[now + j] = float64(start[j]) + float64(emissions[b, j])
        if alpha is not None:
            alpha[b, j] = shared[now + j]
    for t in range(1, length):
        row = t * batch + b
        high = _scaled(shared, now, values, size)
        if left is not None:
            for i in range(cuda.threadIdx.x, size, cuda.blockDim.x):
                left[row - batch, i] = shared[values + i]
        if scales is not None and cuda.threadIdx.x == 0:
            scales[row - batch] = high
        for j in range(cuda.threadIdx.x, size, cuda.blockDim.x):
            total = _product(shared, values, factors, 0, j, size)
            if total >= _SMALLEST:
                total = high + largest + math.log(total)
            else:
                total = _log_of_column(shared, now, transitions, j)
            shared[after + j] = total + float64(emissions[row, j])
            if alpha is not None:
                alpha[row, j] = shared[after + j]
        now, after = after, now
    for j in range(cuda.threadIdx.x, size, cuda.blockDim.x):
        shared[now + j] += float64(end[j])  # in place: a slow thread may still read the logarithms before
    return _log_of_all(shared, now, values, size)


@device_function
def _scaled(shared, logs, values, size):
    """Write exp(log − the largest) of each tag, and return the largest."""
    cuda.syncthreads()
    first, second, third, fourth = shared[logs], float64(-math.inf), float64(-math.inf), float64(-math.inf)
    whole = size - size % 4  # four at a time: one alone waits for each number
    for i in range(logs, logs + whole, 4):
        first, second = max(first, shared[i]), max(second, shared[i + 1])
        third, fourth = max(third, shared[i + 2]), max(fourth, shared[i + 3])
    for i in range(logs + whole, logs + size):
        first = max(first, shared[i])
    high = max(max(first, second), max(third, fourth))
    divisor = float64(0.0) if high == -math.inf else high
    for i in range(cuda.threadIdx.x, size, cuda.blockDim.x):
        shared[values + i] = math.exp(shared[logs + i] - divisor)
    cuda.syncthreads()
    return high


@device_function
def _product(shared, values, factors, row, column, size):
    """Return the sum of values times the elements of a column of the factors, from a row on."""
    first, second, third, fourth = float64(0.0), float64(0.0), float64(0.0), float64(0.0)
    whole = size - size % 4
    for i in range(0, whole, 4):
        first += shared[values + i] * factors[row + i, column]
        second += shared[values + i + 1] * factors[row + i + 1, column]
        third += shared[values + i + 2] * factors[row + i + 2, column]
        fourth += shared[values + i + 3] * factors[row + i + 3, column]
    for i in range(whole, size):
        first += shared[values + i] * factors[row + i, column]
    return (first + second) + (third + fourth)


@device_function
def _log_of_all(shared, logs, values, size):
    """Return the logarithm of the sum of all tags, to all threads."""
    high = _scaled(shared, logs, values, size)
    total = float64(0.0)
    for i in range(size):
        total += shared[values + i]
    if total == 0.0:
        return float64(-math.inf)
    return high + math.log(total) if high > -math.inf else total  # NaN


@device_function
def _log_of_column(shared, logs, transitions, j):
    """Return log Σ_i exp(log_i + transition to j), exactly."""
    high, total = float64(-math.inf), float64(0.0)
    for i in range(transitions.shape[0]):
        high = max(high, shared[logs + i] + float64(transitions[i, j]))
    if high == -math.inf:
        return high
    for i in range(transitions.shape[0]):
        total += math.exp(shared[logs + i] + float64(transitions[i, j]) - high)
    return high + math.log(total)


@device_function
def _log_of_row(shared, logs, transitions, i):
    """Return log Σ_j exp(log_j + transition from i), exactly."""
    high, total = float64(-math.inf), float64(0.0)
    for j in range(transitions.shape[0]):
        high = max(high, shared[logs + j] + float64(transitions[i, j]))
    if high == -math.inf:
        return high
    for j in range(transitions.shape[0]):
        total += math.exp(shared[logs + j] + float64(transitions[i, j]) - high)
    return high + math.log(total)


@device_function
def _path_score(emissions, transitions, start, end, tags, b, length, shared):
    """Return the score of a path of tags, to all threads."""
    batch, score = tags.shape[1], float64(0.0)
    for t in range(cuda.threadIdx.x, length, cuda.blockDim.x):
        score += float64(emissions[t * batch + b, tags[t, b]])
        if t > 0:
            score += float64(transitions[tags[t - 1, b], tags[t, b]])
        else:
            score += float64(start[tags[0, b]]) + float64(end[tags[length - 1, b]])
    return block_sum(score, shared)


@device_function
def _backward(out, counts, alpha, right, scales, emissions, transitions, end, factors, largest, tags, b, batch, length,
              divisor, weight, shared):  # fmt: skip
    """Write the weighted marginals of a sequence, less those of its tags.

    Of `right`, each step has the factors of the marginals of neighbours, in which it is the second, that are in neither
    `left` nor `factors`. If they are too large, it has the logarithms, and a 1 in `scales`. Returns whether they never
    are.
    """
    scaled, size = True, transitions.shape[0]
    now, after = cuda.blockDim.x, cuda.blockDim.x + size
    values, first = after + size, b * (2 + size)
    for i in range(cuda.threadIdx.x, size, cuda.blockDim.x):
        shared[now + i] = float64(end[i])
    for t in range(length - 1, -1, -1):
        row = t * batch + b
        for i in range(cuda.threadIdx.x, size, cuda.blockDim.x):
            marginal = weight * math.exp(alpha[row, i] + shared[now + i] - divisor)
            if tags is not None and tags[t, b] == i:
                marginal -= weight
            out[row, i] = marginal
            if counts is not None and t == 0:
                counts[first, i] = marginal
            if counts is not None and t == length - 1:
                counts[first + 1, i] = marginal
            shared[now + i] += float64(emissions[row, i])
        if t > 0:
            high = _scaled(shared, now, values, size)
            if counts is not None:
                exponent = scales[row - batch] + high + largest - divisor
                is_safe = exponent <= _LARGEST_EXPONENT
                scaled = scaled and is_safe
                factor = weight * math.exp(exponent) if is_safe else float64(0.0)
                for j in range(cuda.threadIdx.x, size, cuda.blockDim.x):
                    right[row, j] = shared[values + j] * factor if is_safe else shared[now + j]
                if cuda.threadIdx.x == 0:
                    scales[row] = float64(0.0) if is_safe else float64(1.0)
            for i in range(cuda.threadIdx.x, size, cuda.blockDim.x):
                total = _product(shared, values, factors, size, i, size)
                if total >= _SMALLEST:
                    shared[after + i] = high + largest + math.log(total)
                else:
                    shared[after + i] = _log_of_row(shared, now, transitions, i)
            now, after = after, now
    return scaled


@device_function
def _count_neighbours(counts, alpha, left, right, scales, transitions, factors, b, batch, length, divisor, weight,
                      scaled):  # fmt: skip
    """Write the weighted marginals of neighbours, summed over the steps."""
    size = transitions.shape[0]
    first, last = b * (2 + size) + 2, (length - 1) * batch + b
    for place in range(cuda.threadIdx.x, size * size, cuda.blockDim.x):
        i = place // size
        j = place - i * size
        total, other = float64(0.0), float64(0.0)
        if scaled:
            for row in range(b, last - batch, 2 * batch):
                total += left[row, i] * right[row + batch, j]
                other += left[row + batch, i] * right[row + 2 * batch, j]
            if length % 2 == 0:
                total += left[last - batch, i] * right[last, j]
            counts[first + i, j] = (total + other) * factors[i, j]
        else:
            for row in range(b + batch, last + 1, batch):
                if scales[row] == 0.0:
                    total += left[row - batch, i] * right[row, j]
                else:
                    exponent = alpha[row - batch, i] + float64(transitions[i, j]) + right[row, j] - divisor
                    other += weight * math.exp(exponent)
            counts[first + i, j] = total * factors[i, j] + other


@device_function
def _subtract_path(counts, tags, b, length, weight):
    """Subtract the neighbours among the tags of a sequence; each thread changes what it wrote."""
    size, tag = counts.shape[1], tags[0, b]
    for t in range(1, length):
        before = tag
        tag = tags[t, b]
        if (before * size + tag) & (cuda.blockDim.x - 1) == cuda.threadIdx.x:
            counts[b * (2 + size) + 2 + before, tag] -= weight


@device_function
def _clear(counts, b):
    """Write zeros to the counts of a sequence."""
    size = counts.shape[1]
    for i in range(b * (2 + size), (b + 1) * (2 + size)):
        for j in range(cuda.threadIdx.x, size, cuda.blockDim.x):
            counts[i, j] = float64(0.0)


@kernel
def _add_counts(d_transitions, d_start, d_end, counts):
    # d_transitions (K, K), d_start, d_end (K,), counts (B · (2 + K), K)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    size = d_start.size
    for i in range(y, 2 + size, height):
        for j in range(x, size, width):
            total = float64(0.0)
            for row in range(i, counts.shape[0], 2 + size):
                total += counts[row, j]
            if i == 0:
                d_start[j] += total
            elif i == 1:
                d_end[j] += total
            else:
                d_transitions[i - 2, j] += total


# --------------------------------------------------------------------------------------------------------------- paths


def crf_viterbi(tags, scores, emissions, transitions, start, end, lengths, n_jobs=None):
    """Find the path of the highest score in each sequence, see `fastrnn.kernels.crf.crf_viterbi`."""
    steps, batch, size = emissions.shape
    rows, found = (steps * batch, size), empty(batch, "float64")
    paths, before = empty((steps, batch), "int32"), empty(rows, "int32")
    _launch(_paths, batch, size, paths, found, before, emissions.reshaped(rows), transitions, start, end,
            _uploaded(lengths, steps, batch))  # fmt: skip
    tags[...], scores[...] = to_numpy(paths), to_numpy(found)


@kernel
def _paths(tags, scores, before, emissions, transitions, start, end, lengths):
    # tags (T, B), scores (B,), before (T · B, K) int32: the best tag before each, emissions (T · B, K),
    # transitions (K, K), start, end (K,), lengths (B,)
    shared, batch, size = cuda.shared.array(0, float64), lengths.size, transitions.shape[0]
    for b in range(cuda.blockIdx.x, batch, cuda.gridDim.x):
        length, now, after = lengths[b], 0, size
        for j in range(cuda.threadIdx.x, size, cuda.blockDim.x):
            if length > 0:
                shared[now + j] = float64(start[j]) + float64(emissions[b, j])
        for t in range(1, length):
            cuda.syncthreads()
            row = t * batch + b
            for j in range(cuda.threadIdx.x, size, cuda.blockDim.x):
                high, tag = float64(-math.inf), int32(0)
                for i in range(size):
                    score = shared[now + i] + float64(transitions[i, j])
                    if score > high:
                        high, tag = score, int32(i)
                before[row, j] = tag
                shared[after + j] = high + float64(emissions[row, j])
            now, after = after, now
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            scores[b] = _best_path(tags, before, shared, now, end, b, length)
        for t in range(length + cuda.threadIdx.x, tags.shape[0], cuda.blockDim.x):
            tags[t, b] = int32(-1)
        cuda.syncthreads()


@device_function
def _best_path(tags, before, shared, logs, end, b, length):
    """Write the best path from its last tag on; return its score."""
    if length == 0:
        return float64(0.0)
    high, tag = float64(-math.inf), int32(0)
    for i in range(end.size):
        score = shared[logs + i] + float64(end[i])
        if score > high:
            high, tag = score, int32(i)
    for t in range(length - 1, 0, -1):
        tags[t, b] = tag
        tag = before[t * tags.shape[1] + b, tag]
    tags[0, b] = tag
    return high
