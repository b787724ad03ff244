"""Softmax cross-entropy of an output layer, logits = x·Wᵀ + b, without ever holding the logits of all rows.

The rows of x are taken in panels, and the logits of a panel are computed transposed: one line for each class, with the
panel's rows side by side in vector lanes. W is therefore read in place, the softmax runs down the lines without a
reduction across lanes, and a panel of probabilities is already the packed operand of the product for dx. The classes
are taken in blocks that stay in the nearest cache: each block keeps its own maximum m, its exponentials e^(l - m) and
their sum. Factors between the blocks are applied when all are known.

In training the probabilities of a chunk of panels are kept, for the gradient of W: at most `CHUNK_SIZE` numbers, or
as many as W has if these are more, or one vector of rows for each thread.
"""

import math

import numpy as np

from fastrnn._jit import kernel
from fastrnn._memory import borrow_room, give_back
from fastrnn.kernels.gemm import PANEL_VECTORS, TILE_ROWS, Strides, pack, panel_product, product_block, transpose
from fastrnn.kernels.maximum import maximum
from fastrnn.kernels.threads import enter, leave, run_kernel, split, worth
from fastrnn.simd import exp, lanes, lanes_of, load, load_first, store, store_first, sum_lanes, zero

CHUNK_SIZE = 4_000_000  # probabilities that are kept at once
CLASS_BLOCK = 96
# Below every logit that matters, and finite: all logits of a block may be minus infinity.
LOWEST = -1e38
# Rows of a multiple of so many bytes have their columns in few sets of the nearest cache.
_CONFLICT = 1024


@kernel
def softmax(logits):
    """Replace each row of logits (N, V) by its softmax."""
    classes = logits.shape[1]
    for row in range(len(logits)):
        start = row * classes
        largest = LOWEST
        for v in range(classes):
            if logits[row, v] > largest:
                largest = logits[row, v]
        total = 0.0
        for v in range(0, classes, lanes(logits)):
            store_first(logits, start + v, exp(load_first(logits, start + v, classes - v) - largest), classes - v)
            total += sum_lanes(load_first(logits, start + v, classes - v))
        for v in range(0, classes, lanes(logits)):
            store_first(logits, start + v, load_first(logits, start + v, classes - v) / total, classes - v)


@kernel(inline="always")
def _block_exponentials(logits, offset, padded, block, maxima, sums, place):
    """Replace a block of logits l by e^(l - m), with m the maximum in each lane; put m and the sums into tables."""
    # logits[offset:] (block, padded), maxima[place:] (padded,), sums[place:] (padded,)
    for j in range(0, padded, lanes(logits)):
        largest = maximum(load(logits, offset + j), LOWEST)
        for v in range(1, block):
            largest = maximum(load(logits, offset + v * padded + j), largest)
        total = zero(largest)
        for v in range(block):
            value = exp(load(logits, offset + v * padded + j) - largest)
            store(logits, offset + v * padded + j, value)
            total += value
        store(maxima, place + j, largest)
        store(sums, place + j, total)


@kernel(inline="always")
def join_blocks(maxima, sums, padded, blocks):
    """Replace each block's maximum m by its factor e^(m - M); M and the joint sum become the tables' last lines."""
    # maxima, sums (blocks + 1, padded)
    end = blocks * padded
    for j in range(0, padded, lanes(maxima)):
        largest = load(maxima, j)
        for place in range(j, end, padded):
            largest = maximum(load(maxima, place), largest)
        total = zero(largest)
        for place in range(j, end, padded):
            factor = exp(load(maxima, place) - largest)
            store(maxima, place, factor)
            total += factor * load(sums, place)
        store(maxima, end + j, largest)
        store(sums, end + j, total)


@kernel(inline="always")
def _add_all_logits(log_probs, logits, offset, padded, block, share, scratch, place, row, rows):
    """Add `share` times the sum of each row's logits in a block to log_probs."""
    # log_probs[row:] (rows,), logits[offset:] (block, padded), scratch[place:] (padded,)
    for j in range(0, padded, lanes(logits)):
        total = load(logits, offset + j)
        for v in range(1, block):
            total += load(logits, offset + v * padded + j)
        store(scratch, place + j, total)
    for i in range(rows):
        log_probs[row + i] += share * scratch[place + i]


@kernel(inline="always")
def _panel_log_probs(log_probs, probabilities, panel, line, x_panel, weight, bias, targets, smoothing, maxima, sums,
                     row, rows):  # fmt: skip
    """Compute the block-wise exponentials of a panel's logits, the tables of `join_blocks`, and log p of the targets.

    `line` is the distance between the lines of two classes, or 0 to overwrite one block of classes with the next.
    """
    classes, features = weight.shape
    padded = (rows + lanes(weight) - 1) // lanes(weight) * lanes(weight)
    blocks = (classes + CLASS_BLOCK - 1) // CLASS_BLOCK
    for i in range(rows):
        log_probs[row + i] = 0.0
    for b in range(blocks):
        first = b * CLASS_BLOCK
        block = min(CLASS_BLOCK, classes - first)
        start = panel + first * line
        for v in range(block):
            for j in range(0, padded, lanes(weight)):
                store(probabilities, start + v * padded + j, bias[first + v])
        panel_product(probabilities, Strides(start, padded, 1), weight, Strides(first * features, features, 1), x_panel,
                      0, block, features, padded // lanes(weight))  # fmt: skip
        for i in range(rows):
            v = targets[row + i] - first
            if 0 <= v < block:
                log_probs[row + i] += (1.0 - smoothing) * probabilities[start + v * padded + i]
        if smoothing:
            _add_all_logits(log_probs, probabilities, start, padded, block, smoothing / classes, sums, b * padded,
                            row, rows)  # fmt: skip
        _block_exponentials(probabilities, start, padded, block, maxima, sums, b * padded)
    join_blocks(maxima, sums, padded, blocks)
    for i in range(rows):
        last = blocks * padded + i
        log_probs[row + i] -= np.float64(maxima[last]) + math.log(np.float64(sums[last]))


@kernel(inline="always")
def _panel_gradient(dx_panel, probabilities, panel, weight, targets, weights, smoothing, maxima, sums, spread,
                    row, rows):  # fmt: skip
    """Turn a panel's exponentials into the gradient of its logits, (p - q) · weight; compute dxᵀ from it.

    The target distribution q is 1 - smoothing for the target, and smoothing / classes more for every class. A block of
    W is copied to `spread`, with other distances of its rows, where its columns would be in few sets of the cache.
    """
    # spread (CLASS_BLOCK · (features + lanes),), or more
    classes, features = weight.shape
    conflicts, line = features * weight.itemsize % _CONFLICT == 0, features + lanes(weight)
    padded = (rows + lanes(weight) - 1) // lanes(weight) * lanes(weight)
    blocks = (classes + CLASS_BLOCK - 1) // CLASS_BLOCK
    for place in range(0, features * padded, lanes(weight)):
        store(dx_panel, place, 0.0)
    for b in range(blocks):
        first = b * CLASS_BLOCK
        block = min(CLASS_BLOCK, classes - first)
        start = panel + first * padded
        for j in range(0, padded, lanes(weight)):  # lanes beyond the last row get the weight 0
            share = load_first(weights, row + j, rows - j) / load(sums, blocks * padded + j)
            factor = load(maxima, b * padded + j) * share
            every = load_first(weights, row + j, rows - j) * (smoothing / classes)
            for v in range(block):
                place = start + v * padded + j
                store(probabilities, place, load(probabilities, place) * factor - every)
        for i in range(rows):
            v = targets[row + i] - first
            if 0 <= v < block:
                probabilities[start + v * padded + i] -= (1.0 - smoothing) * weights[row + i]
        if conflicts:
            for v in range(block):
                for k in range(0, features, lanes(weight)):
                    store(spread, v * line + k, load(weight, (first + v) * features + k))
            panel_product(dx_panel, Strides(0, padded, 1), spread, Strides(0, 1, line), probabilities, start, features,
                          block, padded // lanes(weight))  # fmt: skip
        else:
            panel_product(dx_panel, Strides(0, padded, 1), weight, Strides(first * features, 1, features),
                          probabilities, start, features, block, padded // lanes(weight))  # fmt: skip


@kernel
def cross_entropy_rows(board, thread, log_probs, dx, probabilities, x, weight, bias, targets, weights, smoothing,
                       buffer, begin, end, width, training):  # fmt: skip
    """Compute log p of the targets of rows `begin` to `end - 1`; in training also dx, and the gradient of the logits.

    The gradient of the logits, of -log p times `weights`, is left in `probabilities`: panel by panel of `width` rows,
    (V, rows of the panel) each. Without training, `probabilities` is a buffer for one block of classes.
    """
    # log_probs (R,) float64, dx (R, H), x (R, H), weight (V, H), bias (V,), targets (R,) int64, weights (R,)
    enter(board, thread)
    classes, features = weight.shape
    x_panel, dx_panel = buffer[: features * width], buffer[features * width : 2 * features * width]
    table = width * (1 + (classes + CLASS_BLOCK - 1) // CLASS_BLOCK)
    maxima = buffer[2 * features * width : 2 * features * width + table]
    sums, spread = buffer[2 * features * width + table :], buffer[2 * features * width + 2 * table :]
    for row in range(begin, end, width):
        rows = min(width, end - row)
        padded = (rows + lanes(x) - 1) // lanes(x) * lanes(x)
        panel = (row - begin) * classes if training else 0
        pack(x_panel, x.reshape(x.size), Strides(row * features, 1, features), features, rows)
        _panel_log_probs(log_probs, probabilities, panel, padded if training else 0, x_panel, weight, bias, targets,
                         smoothing, maxima, sums, row, rows)  # fmt: skip
        if training:
            _panel_gradient(dx_panel, probabilities, panel, weight, targets, weights, smoothing, maxima, sums, spread,
                            row, rows)  # fmt: skip
            _write_transposed(dx, row, dx_panel, rows, padded)
    leave(board, thread)


@kernel(inline="always")
def _write_transposed(dx, row, dx_panel, rows, padded):
    """Write a panel of dxᵀ (features, padded) to rows of dx, in square blocks of whole vectors where they fit."""
    features, square = dx.shape[1], lanes(dx)
    flat = dx.reshape(dx.size)
    whole_rows, whole = rows // square * square, features // square * square
    for i in range(0, whole_rows, square):
        for k in range(0, whole, square):
            transpose(dx, (row + i) * features + k, features, dx_panel, k * padded + i, padded)
    for i in range(rows):
        for k in range(whole if i < whole_rows else 0, features):
            flat[(row + i) * features + k] = dx_panel[k * padded + i]


@kernel
def cross_entropy_classes(
    board, thread, dweight, dbias, dlogits, x, buffer, begin, end, width, first_class, last_class
):
    """Add the gradient of a range of classes: dweight += dlogitsᵀ·x and dbias += the sum of dlogits over its rows.

    `dlogits` holds the rows `begin` to `end - 1`, as `cross_entropy_rows` leaves them.
    """
    # dweight (V, H), dbias (V,), x (R, H)
    enter(board, thread)
    classes, features = dweight.shape
    edge = buffer[: TILE_ROWS * PANEL_VECTORS * lanes(x)]
    x_panels = buffer[edge.size :]
    line = (features + lanes(x) - 1) // lanes(x) * lanes(x)
    for row in range(begin, end, width):
        rows = min(width, end - row)
        pack(x_panels[(row - begin) * line :], x.reshape(x.size), Strides(row * features, features, 1), rows, features)
    for first in range(first_class, last_class, CLASS_BLOCK):
        block = min(CLASS_BLOCK, last_class - first)
        for row in range(begin, end, width):
            rows = min(width, end - row)
            padded = (rows + lanes(x) - 1) // lanes(x) * lanes(x)
            start = (row - begin) * classes + first * padded
            product_block(dweight, Strides(first * features, features, 1), dlogits, Strides(start, padded, 1),
                          x_panels[(row - begin) * line :], edge, block, rows, features)  # fmt: skip
            for v in range(block):
                for j in range(0, padded, lanes(x)):  # vector by vector: the sum must not depend on the panels' width
                    dbias[first + v] += sum_lanes(load(dlogits, start + v * padded + j))
    leave(board, thread)


def panel_layout(rows, features, classes, dtype, threads):
    """Return the numbers of rows of a panel and of a chunk that spread the panels evenly over the threads."""
    vector = lanes_of(np.empty(0, dtype))
    rows = max(rows, 1)
    most = max(CHUNK_SIZE, features * classes) // (threads * classes)  # rows of a chunk for each thread
    widest = max(1, min(PANEL_VECTORS, most // vector)) * vector
    rounds = -(-rows // (threads * widest))
    width = -(-rows // (threads * rounds * vector)) * vector
    chunks = -(-rounds // max(1, most // width))
    return width, -(-rounds // chunks) * threads * width


def _buffers(room, rows, width, features, classes, threads, training):
    """Return an array for the probabilities of `rows` rows, and a scratch array for each thread."""
    vector = lanes_of(np.empty(0, room.dtype))
    kept = classes * rows if training else threads * CLASS_BLOCK * width
    own = 2 * width * (features + 1 + -(-classes // CLASS_BLOCK))
    if training:
        if features * room.dtype.itemsize % _CONFLICT == 0:
            own += CLASS_BLOCK * (features + vector)
        own = max(own, TILE_ROWS * PANEL_VECTORS * vector + rows * (-(-features // vector) * vector))
    return room.take("probabilities", kept), room.take("panels and logits", threads, own)


def cross_entropy_forward(log_probs, x, weight, bias, targets, n_jobs=None):
    """Compute log p of the target of each row of x."""
    # log_probs (R,) float64, x (R, H), weight (V, H), bias (V,), targets (R,) int64
    classes, features = weight.shape
    threads = worth(n_jobs, 2 * len(x) * weight.size)
    width, _ = panel_layout(len(x), features, classes, x.dtype, threads)
    room = borrow_room(x.dtype)
    blocks, buffers = _buffers(room, len(x), width, features, classes, threads, training=False)
    cuts = split(len(x), threads, width)
    calls = [
        (log_probs, x, block, x, weight, bias, targets, bias, 0.0, own, begin, end, width, False)
        for (begin, end), block, own in zip(cuts, blocks.reshape(threads, -1), buffers, strict=False)
    ]
    run_kernel(cross_entropy_rows, calls)
    give_back(room)


def cross_entropy_backward(
    log_probs, dx, dweight, dbias, x, weight, bias, targets, weights, smoothing=0.0, n_jobs=None
):
    """Compute log p of the target of each row of x, and the gradients of the loss, the sum of -log p times `weights`.

    With smoothing, log p is its mean over classes drawn from the target distribution: the target by the probability
    1 - smoothing, else any class (Szegedy et al. 2016). dx is overwritten, dweight and dbias are added to.
    """
    # log_probs (R,) float64, dx, x (R, H), dweight, weight (V, H), dbias, bias (V,), targets (R,) int64,
    # weights (R,) of the host
    classes, features = weight.shape
    threads = worth(n_jobs, 6 * len(x) * weight.size)
    width, chunk = panel_layout(len(x), features, classes, x.dtype, threads)
    room = borrow_room(x.dtype)
    most = min(chunk, -(-len(x) // width) * width)
    kept, buffers = _buffers(room, most, width, features, classes, threads, training=True)
    for start in range(0, len(x), chunk):
        stop = min(start + chunk, len(x))
        run_kernel(cross_entropy_rows, [
            (log_probs, dx, kept[begin * classes :], x, weight, bias, targets, weights, float(smoothing), own,
             start + begin, start + end, width, True)
            for (begin, end), own in zip(split(stop - start, threads, width), buffers, strict=False)
        ])  # fmt: skip
        run_kernel(cross_entropy_classes, [
            (dweight, dbias, kept, x, own, start, stop, width, first, last)
            for (first, last), own in zip(split(classes, threads), buffers, strict=False)
        ])  # fmt: skip
    give_back(room)


def join_clusters(out, head, tails, order):
    """Write the distribution over all classes of an adaptive softmax, in the order of the classes.

    The head's first columns are the frequent classes; its last ones are the shares of the clusters of rare classes.
    """
    # out (R, V), head (R, C + K), K tails (R, size of the cluster), order (V,): the class of each column in turn
    begin = frequent = head.shape[1] - len(tails)
    out[:, order[:frequent]] = head[:, :frequent]
    for k, tail in enumerate(tails):
        end = begin + tail.shape[1]
        out[:, order[begin:end]] = head[:, frequent + k, None] * tail
        begin = end
