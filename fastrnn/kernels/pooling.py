"""Pooling over the steps of ragged sequences: one vector for a whole sequence.

Every sequence is added up step after step on its own, so that its result does not depend on those beside it.
"""

import math

import numpy as np

from fastrnn._jit import kernel


def last_pooling_forward(out, y, lengths, bidirectional):
    """Compute out[b] = y at the last step of sequence b, 0 where there is none.

    With `bidirectional`, the second half of the units comes from the first step.
    """
    # out (B, H), y (T, B, H), lengths (B,)
    for steps, units in _last_steps(lengths, out.shape[1], bidirectional):
        out[:, units] = y[steps, np.arange(len(lengths)), units] if len(y) else 0
    out[lengths == 0] = 0


def last_pooling_backward(dy, dout, lengths, bidirectional):
    """Compute the gradient of y: it goes to the steps that were taken."""
    # dy (T, B, H), dout (B, H), lengths (B,)
    dy[...] = 0
    used = np.flatnonzero(lengths)
    for steps, units in _last_steps(lengths, dout.shape[1], bidirectional):
        dy[steps[used], used, units] = dout[used, units]


def _last_steps(lengths, size, bidirectional):
    """Return the last step of each sequence in reading order, and its units, for each direction."""
    last = np.maximum(lengths - 1, 0)
    if not bidirectional:
        return [(last, slice(None))]
    return [(last, slice(None, size // 2)), (np.zeros_like(last), slice(size // 2, None))]


@kernel
def mean_pooling_forward(out, y, lengths):
    """Compute out[b] = mean of y[t, b] over the steps of sequence b, 0 where there is none."""
    # out (B, H), y (T, B, H), lengths (B,)
    for b in range(len(lengths)):
        out[b] = 0
        for t in range(lengths[b]):
            for j in range(out.shape[1]):
                out[b, j] += y[t, b, j]
        for j in range(out.shape[1]):
            out[b, j] /= max(lengths[b], 1)


@kernel
def mean_pooling_backward(dy, dout, lengths):
    """Compute the gradient of y; that of padding is 0."""
    # dy (T, B, H), dout (B, H), lengths (B,)
    for t in range(len(dy)):
        for b in range(len(lengths)):
            for j in range(dout.shape[1]):
                dy[t, b, j] = dout[b, j] / lengths[b] if t < lengths[b] else 0


def max_pooling_forward(out, y, lengths):
    """Compute out[b] = maximum of y[t, b] over the steps of sequence b, 0 where there is none.

    Returns
    -------
    where : array (B, H) of the device
        For `max_pooling_backward`: the step of each maximum, the first among equals; -1 without any step.
    """
    # out (B, H), y (T, B, H), lengths (B,)
    where = np.empty(out.shape, np.int64)
    _maxima(out, where, y, lengths)
    return where


@kernel
def _maxima(out, where, y, lengths):
    for b in range(len(lengths)):
        out[b] = 0
        where[b] = -1
        for t in range(lengths[b]):
            for j in range(out.shape[1]):
                if t == 0 or y[t, b, j] > out[b, j]:
                    out[b, j] = y[t, b, j]
                    where[b, j] = t


@kernel
def max_pooling_backward(dy, dout, where):
    """Compute the gradient of y: it goes to the steps of the maxima."""
    # dy (T, B, H), dout (B, H), where (B, H) int64
    dy[...] = 0
    for b in range(len(dout)):
        for j in range(dout.shape[1]):
            if where[b, j] >= 0:
                dy[where[b, j], b, j] = dout[b, j]


@kernel
def attention_pooling_forward(out, shares, y, scores, lengths):
    """Compute shares[:, b] = softmax of scores[:, b] over the steps, and out[b] = Σ shares[t, b] · y[t, b]."""
    # out (B, H), shares (T, B), y (T, B, H), scores (T, B), lengths (B,)
    for b in range(len(lengths)):
        out[b] = 0
        shares[:, b] = 0
        if lengths[b] == 0:
            continue
        highest = scores[: lengths[b], b].max()
        total = 0.0
        for t in range(lengths[b]):
            shares[t, b] = math.exp(scores[t, b] - highest)
            total += shares[t, b]
        for t in range(lengths[b]):
            shares[t, b] /= total
            for j in range(out.shape[1]):
                out[b, j] += shares[t, b] * y[t, b, j]


@kernel
def attention_pooling_backward(dy, dscores, dout, shares, y, lengths):
    """Compute the gradient of the scores, and that of y without its part through the scores."""
    # dy (T, B, H), dscores (T, B), dout (B, H), shares (T, B), y (T, B, H), lengths (B,)
    dy[...] = 0
    dscores[...] = 0
    for b in range(len(lengths)):
        mean = 0.0
        for t in range(lengths[b]):
            slope = 0.0
            for j in range(dout.shape[1]):
                slope += dout[b, j] * y[t, b, j]
                dy[t, b, j] = shares[t, b] * dout[b, j]
            dscores[t, b] = slope
            mean += shares[t, b] * slope
        for t in range(lengths[b]):
            dscores[t, b] = shares[t, b] * (dscores[t, b] - mean)
