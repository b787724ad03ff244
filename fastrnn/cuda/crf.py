"""The linear-chain conditional random field, as in `fastrnn.kernels.crf`: a thread for each sequence, on logarithms.

Sums are float64. Gradients of the transitions are made for each sequence on its own, and added up in the order of the
sequences.
"""

import math

import numpy as np
from numba import cuda, float64

from fastrnn.cuda.arrays import asarray, empty, to_numpy, zeros
from fastrnn.cuda.compiler import device_function, kernel


def crf_loss(d_emissions, d_transitions, d_start, d_end, emissions, transitions, start, end, tags, lengths, weights,
             n_jobs=None):  # fmt: skip
    """Compute Σ weights · −log p(tags), and its gradient, see `fastrnn.kernels.crf.crf_loss`."""
    weights = np.asarray(weights, np.float64)
    counts, losses = _run(d_emissions, emissions, (transitions, start, end), tags, lengths, weights)
    if d_emissions is not None:
        size = emissions.shape[2]
        _add_counts.over(size * size, d_transitions, d_start, d_end, counts)
    used, losses = weights != 0, to_numpy(losses)
    return float(losses[used] @ weights[used])


def crf_marginals(marginals, emissions, transitions, start, end, lengths, n_jobs=None):
    """Compute the probability of each tag at each step, see `fastrnn.kernels.crf.crf_marginals`."""
    batch = emissions.shape[:2]
    _run(marginals, emissions, (transitions, start, end), np.full(batch, -1), lengths, np.ones(batch[1]))


def _run(out, emissions, model, tags, lengths, weights):
    """Compute the gradient of each sequence, in `out` and as counts (B · (2 + K), K), and −log p(tags) of each."""
    steps, batch, size = emissions.shape
    rows = (steps * batch, size)
    losses, counts = empty(batch, "float64"), None
    alpha, beta = empty(rows, "float64"), None
    if out is not None:
        counts, beta, out = zeros((batch * (2 + size), size), "float64"), empty(rows, "float64"), out.reshaped(rows)
    tags, weights = asarray(np.ascontiguousarray(tags, np.int32)), asarray(weights)
    _sequences.over(batch, losses, out, counts, alpha, beta, emissions.reshaped(rows), *model, tags,
                    _uploaded(lengths, steps, batch), weights)  # fmt: skip
    return counts, losses


def _uploaded(lengths, steps, batch):
    return asarray(np.full(batch, steps, np.int32) if lengths is None else np.asarray(lengths, np.int32))


@device_function
def _log_added(total, value):
    """Return log(exp(total) + exp(value))."""
    high, low = max(total, value), min(total, value)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


@kernel
def _sequences(losses, out, counts, alpha, beta, emissions, transitions, start, end, tags, lengths, weights):
    # losses (B,), out (T · B, K) or None, counts (B · (2 + K), K), alpha, beta, emissions (T · B, K),
    # transitions (K, K), start, end (K,), tags (T, B), lengths, weights (B,)
    batch, size = tags.shape[1], emissions.shape[1]
    for b in range(cuda.grid(1), batch, cuda.gridsize(1)):
        length = lengths[b]
        log_z = float64(0.0) if length == 0 else float64(-math.inf)
        for t in range(length):
            for j in range(size):
                before = float64(start[j]) if t == 0 else float64(-math.inf)
                if t > 0:
                    for i in range(size):
                        before = _log_added(before, alpha[(t - 1) * batch + b, i] + float64(transitions[i, j]))
                alpha[t * batch + b, j] = before + float64(emissions[t * batch + b, j])
                if t == length - 1:
                    log_z = _log_added(log_z, alpha[t * batch + b, j] + float64(end[j]))
        score = float64(0.0)
        if length > 0 and tags[0, b] >= 0:
            score = float64(start[tags[0, b]]) + float64(end[tags[length - 1, b]])
            for t in range(length):
                score += float64(emissions[t * batch + b, tags[t, b]])
                if t > 0:
                    score += float64(transitions[tags[t - 1, b], tags[t, b]])
        losses[b] = math.inf if min(log_z, score) == -math.inf else log_z - score
        if out is not None:
            divisor = float64(math.inf) if log_z == -math.inf else log_z
            _backward(out, counts, alpha, beta, emissions, transitions, end, tags, b, length, divisor, weights[b])


@device_function
def _backward(out, counts, alpha, beta, emissions, transitions, end, tags, b, length, log_z, weight):
    """Write the marginals of a sequence and what its neighbours count, less the path of its tags."""
    batch, size = tags.shape[1], emissions.shape[1]
    first = b * (2 + size)
    for t in range(length - 1, -1, -1):
        row = t * batch + b
        for i in range(size):
            behind = float64(end[i]) if t == length - 1 else float64(-math.inf)
            if t < length - 1:
                for j in range(size):
                    after = row + batch
                    chance = float64(transitions[i, j]) + float64(emissions[after, j]) + beta[after, j]
                    behind = _log_added(behind, chance)
                    counts[first + 2 + i, j] += weight * math.exp(alpha[row, i] + chance - log_z)
            beta[row, i] = behind
            marginal = weight * math.exp(alpha[row, i] + behind - log_z)
            if tags[t, b] == i:
                marginal -= weight
            out[row, i] = marginal
            if t == 0:
                counts[first, i] += marginal
            if t == length - 1:
                counts[first + 1, i] += marginal
        if t > 0 and tags[t, b] >= 0:
            counts[first + 2 + tags[t - 1, b], tags[t, b]] -= weight
    for t in range(length, tags.shape[0]):
        for i in range(size):
            out[t * batch + b, i] = out.dtype.type(0)


@kernel
def _add_counts(d_transitions, d_start, d_end, counts):
    # d_transitions (K, K), d_start, d_end (K,), counts (B · (2 + K), K)
    size = d_start.size
    height = 2 + size
    for place in range(cuda.grid(1), size * size, cuda.gridsize(1)):
        i = place // size
        j = place - i * size
        total, first, last = float64(0.0), float64(0.0), float64(0.0)
        for row in range(0, counts.shape[0], height):
            total += counts[row + 2 + i, j]
            if i == 0:
                first += counts[row, j]
                last += counts[row + 1, j]
        d_transitions[i, j] += total
        if i == 0:
            d_start[j] += first
            d_end[j] += last


def crf_viterbi(tags, scores, emissions, transitions, start, end, lengths, n_jobs=None):
    """Find the path of the highest score in each sequence, see `fastrnn.kernels.crf.crf_viterbi`."""
    steps, batch, size = emissions.shape
    rows = (steps * batch, size)
    paths, found, best = asarray(np.full(tags.shape, -1, np.int32)), empty(batch, "float64"), empty(rows, "float64")
    _paths.over(batch, paths, found, best, emissions.reshaped(rows), transitions, start, end,
                _uploaded(lengths, steps, batch))  # fmt: skip
    tags[...], scores[...] = to_numpy(paths), to_numpy(found)


@kernel
def _paths(tags, scores, best, emissions, transitions, start, end, lengths):
    # tags (T, B), scores (B,), best, emissions (T · B, K), transitions (K, K), start, end (K,), lengths (B,)
    batch, size = tags.shape[1], emissions.shape[1]
    for b in range(cuda.grid(1), batch, cuda.gridsize(1)):
        length = lengths[b]
        for t in range(length):
            row = t * batch + b
            for j in range(size):
                high = float64(start[j]) if t == 0 else float64(-math.inf)
                if t > 0:
                    for i in range(size):
                        high = max(high, best[row - batch, i] + float64(transitions[i, j]))
                best[row, j] = high + float64(emissions[row, j])
        scores[b] = float64(0.0)
        tag = 0
        for t in range(length - 1, -1, -1):
            high, after = float64(-math.inf), tag
            tag = 0
            for i in range(size):
                behind = float64(end[i]) if t == length - 1 else float64(transitions[i, after])
                if best[t * batch + b, i] + behind > high:
                    high, tag = best[t * batch + b, i] + behind, i
            tags[t, b] = tag
            if t == length - 1:
                scores[b] = high
