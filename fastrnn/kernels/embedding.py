"""Look-up of embedding vectors, and means of them, with sparse gradients: only the rows that were used are touched."""

import numpy as np

from fastrnn._jit import kernel


def embedding_forward(out, weight, ids, factors=None):
    """Compute out[i] = weight[ids[i]], times factors[ids[i]] unless `factors` is None."""
    # out (N, D), weight (V, D), ids (N,) int64, factors (V, 1)
    _look_up(out, weight, ids)
    if factors is not None:
        out *= factors[ids]


@kernel
def _look_up(out, weight, ids):
    for i in range(ids.size):
        source = ids[i]
        for j in range(weight.shape[1]):
            out[i, j] = weight[source, j]


def embedding_backward(dweight, dout, ids, padding_idx, factors=None):
    """Add dout[i], times factors[ids[i]] unless `factors` is None, to dweight[ids[i]], in the order of i.

    Rows of `padding_idx` are left out; -1 leaves none out.
    """
    # dweight (V, D), dout (N, D), ids (N,) int64, factors (V, 1)
    _add_vectors(dweight, dout if factors is None else dout * factors[ids], ids, padding_idx)


@kernel
def _add_vectors(dweight, dout, ids, padding_idx):
    for i in range(ids.size):
        target = ids[i]
        if target != padding_idx:
            for j in range(dweight.shape[1]):
                dweight[target, j] += dout[i, j]


def bag_forward(out, weight, ids, factors, offsets):
    """Compute out[b] = mean of factors[b, k] · weight[ids[offsets[b] + k]] over the ids of bag b, 0 where it is empty.

    `factors` may be None, for ones.
    """
    # out (B, D), weight (V, D), ids (N,) int64, factors (B, ids of the largest bag), offsets (B + 1,) int64
    _bag_forward(out, weight, ids, _given(factors, out), offsets)


def bag_backward(dweight, dout, ids, factors, offsets):
    """Add the gradient of the vectors to dweight."""
    # dweight (V, D), dout (B, D), ids (N,) int64, factors as in `bag_forward`, offsets (B + 1,) int64
    _bag_backward(dweight, dout, ids, _given(factors, dout), offsets)


def _given(factors, like):
    return np.empty((0, 0), like.dtype) if factors is None else factors


@kernel
def _bag_forward(out, weight, ids, factors, offsets):
    # out (B, D), weight (V, D), ids (N,), factors (B, largest bag) or (0, 0) for ones, offsets (B + 1,)
    for b in range(len(out)):
        out[b] = 0
        for i in range(offsets[b], offsets[b + 1]):
            row = ids[i]
            factor = out.dtype.type(1) if factors.size == 0 else factors[b, i - offsets[b]]
            if factor != 0:
                for j in range(out.shape[1]):
                    out[b, j] += factor * weight[row, j]
        for j in range(out.shape[1]):
            out[b, j] /= max(offsets[b + 1] - offsets[b], 1)


@kernel
def _bag_backward(dweight, dout, ids, factors, offsets):
    # dweight (V, D), dout (B, D), ids (N,), factors (B, largest bag) or (0, 0) for ones, offsets (B + 1,)
    for b in range(len(dout)):
        count = offsets[b + 1] - offsets[b]
        for i in range(offsets[b], offsets[b + 1]):
            row = ids[i]
            factor = dweight.dtype.type(1) if factors.size == 0 else factors[b, i - offsets[b]]
            if factor != 0:
                for j in range(dout.shape[1]):
                    dweight[row, j] += factor * dout[b, j] / count
