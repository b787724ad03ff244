"""Pooling over the steps of ragged sequences: one vector for a whole sequence.

Every sequence is added up step after step on its own, so that its result does not depend on those beside it. Lengths
are on the host.
"""

import numpy as np
from numba import cuda

from fastrnn.cuda.arrays import asarray, empty
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.gpu import device
from fastrnn.cuda.reductions import block_maximum, block_sum
from fastrnn.simd import exp


def _uploaded(lengths):
    return asarray(np.asarray(lengths, np.int32))


def _as_rows(y):
    """Return an array (T, B, H) as (T · B, H)."""
    return y.reshaped((y.shape[0] * y.shape[1], y.shape[2]))


# ------------------------------------------------------------------------------------------------------------- last


@device_function
def _last_step(length, unit, first_half):
    """Return the step that a unit of a sequence is taken from, -1 without any: that of the second half is the first."""
    return min(length - 1, 0) if unit >= first_half else length - 1


@kernel
def _take_last(out, y, lengths, first_half):
    # out (B, H), y (T · B, H), lengths (B,); the units from `first_half` on come from the first step
    x, first = cuda.grid(2)
    width, height = cuda.gridsize(2)
    batch = out.shape[0]
    for b in range(first, batch, height):
        for j in range(x, out.shape[1], width):
            t = _last_step(lengths[b], j, first_half)
            out[b, j] = y[t * batch + b, j] if t >= 0 else out.dtype.type(0)


@kernel
def _give_last(dy, dout, lengths, first_half):
    # dy (T · B, H), dout (B, H), lengths (B,)
    x, first = cuda.grid(2)
    width, height = cuda.gridsize(2)
    batch = dout.shape[0]
    for row in range(first, dy.shape[0], height):
        t = row // batch
        b = row - t * batch
        for j in range(x, dy.shape[1], width):
            dy[row, j] = dout[b, j] if t == _last_step(lengths[b], j, first_half) else dy.dtype.type(0)


def _first_half(size, bidirectional):
    return size // 2 if bidirectional else size


def last_pooling_forward(out, y, lengths, bidirectional):
    """Compute out[b] = y at the last step of sequence b, 0 where there is none.

    With `bidirectional`, the second half of the units comes from the first step.
    """
    # out (B, H), y (T, B, H), lengths (B,)
    half = _first_half(out.shape[1], bidirectional)
    _take_last.over_matrix(*out.shape, out, _as_rows(y), _uploaded(lengths), half)


def last_pooling_backward(dy, dout, lengths, bidirectional):
    """Compute the gradient of y: it goes to the steps that were taken."""
    # dy (T, B, H), dout (B, H), lengths (B,)
    rows, half = _as_rows(dy), _first_half(dout.shape[1], bidirectional)
    _give_last.over_matrix(*rows.shape, rows, dout, _uploaded(lengths), half)


# ------------------------------------------------------------------------------------------------------------- mean


@kernel
def _mean(out, y, lengths):
    # out (B, H), y (T · B, H), lengths (B,)
    x, first = cuda.grid(2)
    width, height = cuda.gridsize(2)
    batch = out.shape[0]
    for b in range(first, batch, height):
        count = out.dtype.type(max(lengths[b], 1))
        for j in range(x, out.shape[1], width):
            total = out.dtype.type(0)
            for t in range(lengths[b]):
                total += y[t * batch + b, j]
            out[b, j] = total / count


@kernel
def _give_mean(dy, dout, lengths):
    # dy (T · B, H), dout (B, H), lengths (B,)
    x, first = cuda.grid(2)
    width, height = cuda.gridsize(2)
    batch = dout.shape[0]
    for row in range(first, dy.shape[0], height):
        t = row // batch
        b = row - t * batch
        count = dy.dtype.type(lengths[b])
        for j in range(x, dy.shape[1], width):
            dy[row, j] = dout[b, j] / count if t < lengths[b] else dy.dtype.type(0)


def mean_pooling_forward(out, y, lengths):
    """Compute out[b] = mean of y[t, b] over the steps of sequence b, 0 where there is none."""
    # out (B, H), y (T, B, H), lengths (B,)
    _mean.over_matrix(*out.shape, out, _as_rows(y), _uploaded(lengths))


def mean_pooling_backward(dy, dout, lengths):
    """Compute the gradient of y; that of padding is 0."""
    # dy (T, B, H), dout (B, H), lengths (B,)
    rows = _as_rows(dy)
    _give_mean.over_matrix(*rows.shape, rows, dout, _uploaded(lengths))


# ---------------------------------------------------------------------------------------------------------- maximum


@kernel
def _maxima(out, where, y, lengths):
    # out, where (B, H), y (T · B, H), lengths (B,)
    x, first = cuda.grid(2)
    width, height = cuda.gridsize(2)
    batch = out.shape[0]
    for b in range(first, batch, height):
        for j in range(x, out.shape[1], width):
            largest, place = out.dtype.type(0), -1
            for t in range(lengths[b]):
                value = y[t * batch + b, j]
                if t == 0 or value > largest:
                    largest, place = value, t
            out[b, j] = largest
            where[b, j] = place


@kernel
def _give_maxima(dy, dout, where):
    # dy (T · B, H), dout, where (B, H)
    x, first = cuda.grid(2)
    width, height = cuda.gridsize(2)
    batch = dout.shape[0]
    for row in range(first, dy.shape[0], height):
        t = row // batch
        b = row - t * batch
        for j in range(x, dy.shape[1], width):
            dy[row, j] = dout[b, j] if where[b, j] == t else dy.dtype.type(0)


def max_pooling_forward(out, y, lengths):
    """Compute out[b] = maximum of y[t, b] over the steps of sequence b, 0 where there is none.

    Returns
    -------
    where : int32 array (B, H) of the device
        For `max_pooling_backward`: the step of each maximum, the first among equals; -1 without any step.
    """
    # out (B, H), y (T, B, H), lengths (B,)
    where = empty(out.shape, np.int32)
    _maxima.over_matrix(*out.shape, out, where, _as_rows(y), _uploaded(lengths))
    return where


def max_pooling_backward(dy, dout, where):
    """Compute the gradient of y: it goes to the steps of the maxima."""
    # dy (T, B, H), dout (B, H), where (B, H)
    rows = _as_rows(dy)
    _give_maxima.over_matrix(*rows.shape, rows, dout, where)


# -------------------------------------------------------------------------------------------------------- attention


@kernel
def _share(shares, scores, lengths):
    # shares, scores (T, B), lengths (B,)
    shared = cuda.shared.array(0, shares.dtype)  # (threads,)
    thread, threads = cuda.threadIdx.x, cuda.blockDim.x
    for b in range(cuda.blockIdx.x, shares.shape[1], cuda.gridDim.x):
        highest = scores[min(thread, max(lengths[b] - 1, 0)), b]
        for t in range(thread, lengths[b], threads):
            highest = max(highest, scores[t, b])
        highest = block_maximum(highest, shared)
        total = shares.dtype.type(0)
        for t in range(thread, lengths[b], threads):
            share = exp(scores[t, b] - highest)
            shares[t, b] = share
            total += share
        total = block_sum(total, shared)
        for t in range(thread, shares.shape[0], threads):
            shares[t, b] = shares[t, b] / total if t < lengths[b] else shares.dtype.type(0)


@kernel
def _weigh(out, shares, y, lengths):
    # out (B, H), shares (T, B), y (T · B, H), lengths (B,)
    x, first = cuda.grid(2)
    width, height = cuda.gridsize(2)
    batch = out.shape[0]
    for b in range(first, batch, height):
        for j in range(x, out.shape[1], width):
            total = out.dtype.type(0)
            for t in range(lengths[b]):
                total += shares[t, b] * y[t * batch + b, j]
            out[b, j] = total


@kernel
def _give_shares(dy, slopes, dout, shares, y, lengths):
    # dy (T · B, H), slopes (T · B,), dout (B, H), shares (T · B,), y (T · B, H), lengths (B,)
    shared = cuda.shared.array(0, dy.dtype)  # (threads,)
    batch = dout.shape[0]
    for row in range(cuda.blockIdx.x, dy.shape[0], cuda.gridDim.x):
        t = row // batch
        b = row - t * batch
        slope = dy.dtype.type(0)
        for j in range(cuda.threadIdx.x, dy.shape[1], cuda.blockDim.x):
            if t < lengths[b]:
                slope += dout[b, j] * y[row, j]
                dy[row, j] = shares[row] * dout[b, j]
            else:
                dy[row, j] = dy.dtype.type(0)
        slope = block_sum(slope, shared)
        if cuda.threadIdx.x == 0:
            slopes[row] = slope


@kernel
def _center(dscores, shares):
    # dscores, shares (T, B): dscores holds slopes before
    shared = cuda.shared.array(0, dscores.dtype)  # (threads,)
    for b in range(cuda.blockIdx.x, dscores.shape[1], cuda.gridDim.x):
        mean = dscores.dtype.type(0)
        for t in range(cuda.threadIdx.x, dscores.shape[0], cuda.blockDim.x):
            mean += shares[t, b] * dscores[t, b]
        mean = block_sum(mean, shared)
        for t in range(cuda.threadIdx.x, dscores.shape[0], cuda.blockDim.x):
            dscores[t, b] = shares[t, b] * (dscores[t, b] - mean)


def _shared(array):
    """Return the bytes of shared memory with an element for each thread."""
    return device().threads * array.dtype.itemsize


def attention_pooling_forward(out, shares, y, scores, lengths):
    """Compute shares[:, b] = softmax of scores[:, b] over the steps, and out[b] = Σ shares[t, b] · y[t, b]."""
    # out (B, H), shares (T, B), y (T, B, H), scores (T, B), lengths (B,)
    lengths = _uploaded(lengths)
    _share.over_rows(shares.shape[1] if shares.size else 0, shares, scores, lengths, shared=_shared(shares))
    _weigh.over_matrix(*out.shape, out, shares, _as_rows(y), lengths)


def attention_pooling_backward(dy, dscores, dout, shares, y, lengths):
    """Compute the gradient of the scores, and that of y without its part through the scores."""
    # dy (T, B, H), dscores (T, B), dout (B, H), shares (T, B), y (T, B, H), lengths (B,)
    rows, flat = _as_rows(dy), dscores.line
    _give_shares.over_rows(len(rows), rows, flat, dout, shares.line, _as_rows(y), _uploaded(lengths),
                           shared=_shared(dy))  # fmt: skip
    _center.over_rows(dscores.shape[1] if dscores.size else 0, dscores, shares, shared=_shared(dy))
