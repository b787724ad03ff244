"""Pooling over the steps of ragged sequences, and means of embedding vectors: one vector for a whole sequence.

Every sequence is summed up step after step on its own, so that its result does not depend on what stands beside it.
"""

import math

from fastrnn._jit import kernel


@kernel
def mean_forward(out, y, lengths):
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
def mean_backward(dy, dout, lengths):
    """Compute the gradient of y; that of padding is 0."""
    # dy (T, B, H), dout (B, H), lengths (B,)
    for t in range(len(dy)):
        for b in range(len(lengths)):
            for j in range(dout.shape[1]):
                dy[t, b, j] = dout[b, j] / lengths[b] if t < lengths[b] else 0


@kernel
def max_forward(out, where, y, lengths):
    """Compute out[b] = maximum of y[t, b], and the step of it (the first among equals; -1 and 0 without any step)."""
    # out (B, H), where (B, H) int64, y (T, B, H), lengths (B,)
    for b in range(len(lengths)):
        out[b] = 0
        where[b] = -1
        for t in range(lengths[b]):
            for j in range(out.shape[1]):
                if t == 0 or y[t, b, j] > out[b, j]:
                    out[b, j] = y[t, b, j]
                    where[b, j] = t


@kernel
def max_backward(dy, dout, where):
    """Compute the gradient of y: it goes to the steps of the maxima."""
    # dy (T, B, H), dout (B, H), where (B, H) int64
    dy[...] = 0
    for b in range(len(dout)):
        for j in range(dout.shape[1]):
            if where[b, j] >= 0:
                dy[where[b, j], b, j] = dout[b, j]


@kernel
def attention_forward(out, shares, y, scores, lengths):
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
def attention_backward(dy, dscores, dout, shares, y, lengths):
    """Compute the gradients of scores, and of y as far as it does not pass through them."""
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


@kernel
def bag_forward(out, weight, ids, factors, offsets):
    """Compute out[b] = mean of factors[i] · weight[ids[i]] over the ids of bag b, 0 where it is empty."""
    # out (B, D), weight (V, D), ids (N,), factors (N,) or (0,) for ones, offsets (B + 1,)
    for b in range(len(out)):
        out[b] = 0
        for i in range(offsets[b], offsets[b + 1]):
            row = ids[i]
            if factors.size == 0:
                for j in range(out.shape[1]):
                    out[b, j] += weight[row, j]
            elif factors[i] != 0:
                for j in range(out.shape[1]):
                    out[b, j] += factors[i] * weight[row, j]
        for j in range(out.shape[1]):
            out[b, j] /= max(offsets[b + 1] - offsets[b], 1)


@kernel
def bag_backward(dweight, dout, ids, factors, offsets):
    """Add the gradient of the vectors to dweight."""
    # dweight (V, D), dout (B, D), ids (N,), factors (N,) or (0,) for ones, offsets (B + 1,)
    for b in range(len(dout)):
        count = offsets[b + 1] - offsets[b]
        for i in range(offsets[b], offsets[b + 1]):
            row = ids[i]
            factor = dweight.dtype.type(1) if factors.size == 0 else factors[i]
            if factor != 0:
                for j in range(dout.shape[1]):
                    dweight[row, j] += factor * dout[b, j] / count
