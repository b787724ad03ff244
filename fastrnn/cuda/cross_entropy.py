"""Softmax cross-entropy of an output layer, logits = x·Wᵀ + b, as in `fastrnn.kernels.cross_entropy`.

The rows of x are taken in chunks. cuBLAS writes the logits of a chunk to a bounded buffer; one kernel computes log p of
the targets and writes the gradient of the logits over them, from which three products follow.

A team of threads owns a row of logits: the whole block where there are many classes, a few threads where there are few.
"""

import math

from numba import cuda, float64

from fastrnn.cuda.arrays import asarray, empty
from fastrnn.cuda.blas import gemm
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.gpu import device
from fastrnn.cuda.reductions import add_columns, team_maximum, team_sum
from fastrnn.simd import exp

CHUNK_SIZE = 1 << 25  # logits that are held at once, or those of one row
_CLASSES = 4  # of a thread, at least, before more threads share a row
# Below every logit that matters, and finite: all logits of a thread may be minus infinity.
_LOWEST = -1e38


def cross_entropy_forward(log_probs, x, weight, bias, targets, n_jobs=None, precision="highest"):
    """Compute log p of the target of each row of x."""
    # log_probs (R,) float64, x (R, H), weight (V, H), bias (V,), targets (R,) int64 of the host
    targets = asarray(targets, "int64")
    for begin, end, logits in _chunks(x, weight, precision):
        _over_teams(_log_probs, logits, log_probs.part(begin, end), logits, bias, targets.part(begin, end), None, None)


def cross_entropy_backward(
    log_probs, dx, dweight, dbias, x, weight, bias, targets, weights, smoothing=0.0, n_jobs=None, precision="highest"
):
    """Compute log p of the target of each row of x, and the gradients of the loss, the sum of -log p times `weights`.

    With smoothing, log p is its mean over classes drawn from the target distribution: the target by the probability
    1 - smoothing, else any class (Szegedy et al. 2016). dx is overwritten, dweight and dbias are added to.
    """
    # log_probs (R,) float64, dx, x (R, H), dweight, weight (V, H), dbias, bias (V,), targets (R,) int64 of the host,
    # weights (R,) of the host
    targets, weights = asarray(targets, "int64"), asarray(weights, x.dtype)
    smoothing = x.dtype.type(smoothing) if smoothing else None
    for begin, end, logits in _chunks(x, weight, precision):
        _over_teams(_log_probs, logits, log_probs.part(begin, end), logits, bias, targets.part(begin, end),
                    weights.part(begin, end), smoothing)  # fmt: skip
        gemm(dx.part(begin, end), logits, weight, precision=precision)
        gemm(dweight, logits, x.part(begin, end), transpose_a=True, add=True, precision=precision)
        add_columns(dbias, logits)


def _chunks(x, weight, precision):
    """Yield the first row of each chunk, the end of the chunk, and its logits without bias in one buffer."""
    rows, classes = x.shape[0], weight.shape[0]
    size = min(max(CHUNK_SIZE // classes, 1), rows)
    buffer = empty((size, classes), x.dtype)
    for begin in range(0, rows, max(size, 1)):
        end = min(begin + size, rows)
        logits = buffer.part(0, end - begin)
        gemm(logits, x.part(begin, end), weight, transpose_b=True, precision=precision)
        yield begin, end, logits


@kernel
def _log_probs(log_probs, logits, bias, targets, weights, smoothing, width):
    """Compute log p of the target of each row; with weights, replace the logits by the gradient of -log p · weight."""
    # log_probs (R,) float64, logits (R, V) without the bias (V,), targets (R,), weights (R,) or None,
    # smoothing of the type of the logits, or None
    shared = cuda.shared.array(0, logits.dtype)
    rows, teams, member = logits.shape[0], cuda.blockDim.x // width, cuda.threadIdx.x & (width - 1)
    for first in range(cuda.blockIdx.x * teams, rows, cuda.gridDim.x * teams):
        row = first + cuda.threadIdx.x // width
        count = logits.shape[1] if row < rows else 0  # a team beyond the last row takes part in the sums
        largest, added = _maximum_and_sum(logits, bias, row, count, member, width, shared)
        if smoothing is not None:
            of_all = _sum_of_logits(logits, bias, row, count, member, width, shared)
        if row < rows:
            target = targets[row]
            if target & (width - 1) == member:
                logit = float64(logits[row, target] + bias[target])
                if smoothing is not None:
                    share = float64(smoothing)
                    logit = (1.0 - share) * logit + share / float64(count) * float64(of_all)
                log_probs[row] = logit - (float64(largest) + _log(float64(added)))
            if weights is not None:
                factor, wanted = weights[row] / added, weights[row]
                if smoothing is not None:
                    every = wanted * smoothing / logits.dtype.type(count)
                    wanted -= wanted * smoothing
                for v in range(member, count, width):
                    gradient = exp(logits[row, v] + bias[v] - largest) * factor
                    if smoothing is not None:
                        gradient -= every
                    logits[row, v] = gradient - wanted if v == target else gradient


@device_function
def _sum_of_logits(logits, bias, row, count, member, width, shared):
    """Return to all members of a team the sum of their row's logits."""
    total = logits.dtype.type(0)
    for v in range(member, count, width):
        total += logits[row, v] + bias[v]
    return team_sum(total, shared, width)


@device_function
def _maximum_and_sum(logits, bias, row, count, member, width, shared):
    """Return to all members of a team the maximum m of their row's logits l, and the sum of e^(l - m)."""
    largest = logits.dtype.type(_LOWEST)
    for v in range(member, count, width):
        logit = logits[row, v] if bias is None else logits[row, v] + bias[v]
        if logit > largest:
            largest = logit
    largest = team_maximum(largest, shared, width)
    added = logits.dtype.type(0)
    for v in range(member, count, width):
        logit = logits[row, v] if bias is None else logits[row, v] + bias[v]
        added += exp(logit - largest)
    return largest, team_sum(added, shared, width)


@device_function
def _log(x):
    """Return the logarithm of a number that may be 0."""
    return -math.inf if x == 0.0 else math.log(x)


def softmax(logits):
    """Replace each row of logits (N, V) by its softmax."""
    _over_teams(_softmax, logits, logits)


@kernel
def _softmax(logits, width):
    # logits (R, V)
    shared = cuda.shared.array(0, logits.dtype)
    rows, teams, member = logits.shape[0], cuda.blockDim.x // width, cuda.threadIdx.x & (width - 1)
    for first in range(cuda.blockIdx.x * teams, rows, cuda.gridDim.x * teams):
        row = first + cuda.threadIdx.x // width
        count = logits.shape[1] if row < rows else 0
        largest, added = _maximum_and_sum(logits, None, row, count, member, width, shared)
        for v in range(member, count, width):
            logits[row, v] = exp(logits[row, v] - largest) / added


def _over_teams(function, logits, *arguments):
    """Launch a kernel for rows of logits; its last argument is the number of threads of a row's team."""
    rows, classes = logits.shape
    if rows:
        found = device()
        width = min(1 << max(-(-classes // _CLASSES) - 1, 0).bit_length(), found.threads)
        grid = min(-(-rows * width // found.threads), found.blocks)
        function.launch(grid, found.threads, *arguments, width, shared=found.threads * logits.dtype.itemsize)


def join_clusters(out, head, tails, order):
    """Write the distribution over all classes of an adaptive softmax, in the order of the classes.

    The head's first columns are the frequent classes; its last ones are the shares of the clusters of rare classes.
    """
    # out (R, V), head (R, C + K), K tails (R, size of the cluster), order (V,): the class of each column in turn
    rows, begin = out.shape[0], head.shape[1] - len(tails)
    frequent, order = begin, asarray(order, "int64")
    _scatter_columns.over_matrix(rows, frequent, out, head, None, order.part(0, frequent), 0)
    for k, tail in enumerate(tails):
        end = begin + tail.shape[1]
        _scatter_columns.over_matrix(rows, end - begin, out, tail, head, order.part(begin, end), frequent + k)
        begin = end


@kernel
def _scatter_columns(out, values, shares, order, share):
    """Compute out[r, order[c]] = values[r, c], times column `share` of the shares if there are any."""
    # out (R, V), values (R, as many columns as `order` or more), shares (R, columns) or None
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for r in range(y, out.shape[0], height):
        for c in range(x, order.size, width):
            value = values[r, c]
            out[r, order[c]] = value if shares is None else value * shares[r, share]
