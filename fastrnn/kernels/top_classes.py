"""The most probable classes of an output layer, softmax(x·Wᵀ + b), without ever holding the logits of all classes.

Rows are taken in panels and classes in blocks, as in `fastrnn.kernels.cross_entropy`. A block is looked at closer only
for rows whose maximum in it is larger than the least probable class found before.
"""

import math

import numpy as np

from fastrnn._jit import kernel
from fastrnn._memory import borrow_room, give_back
from fastrnn.kernels.cross_entropy import CLASS_BLOCK, LOWEST, join_blocks, panel_layout
from fastrnn.kernels.gemm import Strides, pack, panel_product
from fastrnn.kernels.maximum import maximum
from fastrnn.kernels.threads import enter, leave, run_kernel, split, worth
from fastrnn.simd import exp, lanes, load, store, zero


@kernel(inline="always")
def _insert(log_probs, classes, logit, v):
    """Put a class into the list of the largest logits; of equal ones the first one stays before."""
    place = len(log_probs) - 1
    while place > 0 and log_probs[place - 1] < logit:
        log_probs[place], classes[place] = log_probs[place - 1], classes[place - 1]
        place -= 1
    log_probs[place], classes[place] = logit, v


@kernel(inline="always")
def _choose_from_block(log_probs, classes, logits, padded, block, first, rows, maxima, allowed):
    """Put the allowed classes of a block of logits among the largest of each row; write the maximum of each row."""
    # log_probs, classes (rows, count), logits[:] (block, padded), maxima[:] (padded,), allowed (V,)
    for j in range(0, padded, lanes(logits)):
        largest = maximum(load(logits, j), LOWEST)
        for v in range(1, block):
            largest = maximum(load(logits, v * padded + j), largest)
        store(maxima, j, largest)
    last = log_probs.shape[1] - 1
    for i in range(rows):
        if maxima[i] > log_probs[i, last]:
            for v in range(block):
                logit = np.float64(logits[v * padded + i])
                if logit > log_probs[i, last] and allowed[first + v]:
                    _insert(log_probs[i], classes[i], logit, first + v)


@kernel(inline="always")
def _sum_exponentials(logits, padded, block, maxima, sums):
    """Write the sum of e^(l - m) over a block of logits l, m being the maximum of the row."""
    # logits[:] (block, padded), maxima[:], sums[:] (padded,)
    for j in range(0, padded, lanes(logits)):
        largest = load(maxima, j)
        total = zero(largest)
        for v in range(block):
            total += exp(load(logits, v * padded + j) - largest)
        store(sums, j, total)


@kernel
def most_probable_rows(board, thread, log_probs, classes, x, weight, bias, allowed, buffer, begin, end, width):
    """Find the most probable classes of the rows `begin` to `end - 1`, in panels of `width` rows."""
    enter(board, thread)
    n_classes, features = weight.shape
    blocks = (n_classes + CLASS_BLOCK - 1) // CLASS_BLOCK
    x_panel, logits = buffer[: features * width], buffer[features * width : (features + CLASS_BLOCK) * width]
    tables = buffer[(features + CLASS_BLOCK) * width :].reshape(2, -1)
    maxima, sums = tables[0], tables[1]
    for row in range(begin, end, width):
        rows = min(width, end - row)
        padded = (rows + lanes(x) - 1) // lanes(x) * lanes(x)
        pack(x_panel, x.reshape(x.size), Strides(row * features, 1, features), features, rows)
        for b in range(blocks):
            first = b * CLASS_BLOCK
            block = min(CLASS_BLOCK, n_classes - first)
            for v in range(block):
                for j in range(0, padded, lanes(x)):
                    store(logits, v * padded + j, bias[first + v])
            panel_product(logits, Strides(0, padded, 1), weight, Strides(first * features, features, 1), x_panel, 0,
                          block, features, padded // lanes(x))  # fmt: skip
            _choose_from_block(log_probs[row : row + rows], classes[row : row + rows], logits, padded, block, first,
                               rows, maxima[b * padded :], allowed)  # fmt: skip
            _sum_exponentials(logits, padded, block, maxima[b * padded :], sums[b * padded :])
        join_blocks(maxima, sums, padded, blocks)
        for i in range(rows):
            last = blocks * padded + i
            log_probs[row + i] -= np.float64(maxima[last]) + math.log(np.float64(sums[last]))
    leave(board, thread)


def most_probable(log_probs, classes, x, weight, bias, allowed, n_jobs=None):
    """Find the allowed classes with the largest log softmax(x·Wᵀ + b) of each row, the largest first.

    Of equal logits the first class is preferred. Where fewer classes are allowed, the rest is minus infinity. All
    classes count in the softmax.
    """
    # log_probs (R, count) float64, classes (R, count) int32, both of the host; x (R, H), weight (V, H), bias (V,),
    # allowed (V,) bool of the host
    n_classes, features = weight.shape
    log_probs[:], classes[:] = -np.inf, 0
    threads = worth(n_jobs, 2 * len(x) * weight.size)
    width, _ = panel_layout(len(x), features, n_classes, x.dtype, threads)
    room = borrow_room(x.dtype)
    tables = 2 * width * (1 + -(-n_classes // CLASS_BLOCK))
    buffers = room.take("panels and logits", threads, width * (features + CLASS_BLOCK) + tables)
    run_kernel(most_probable_rows, [
        (log_probs, classes, x, weight, bias, allowed, own, begin, end, width)
        for (begin, end), own in zip(split(len(x), threads, width), buffers, strict=False)
    ])  # fmt: skip
    give_back(room)
