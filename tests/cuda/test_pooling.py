"""Pooling over steps."""

import numpy as np
import pytest

from fastrnn import kernels
from tests.cuda.comparing import assert_equal_to_cpu

LENGTHS = np.array([4, 1, 0, 3, 5])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def batch(dtype, steps=5, size=6):
    """Return y (steps, 5, size), and a gradient of the pooled vectors (5, size)."""
    y = np.random.default_rng(0).standard_normal((steps, len(LENGTHS), size)).astype(dtype)
    y[np.arange(steps)[:, None] >= LENGTHS] = np.nan  # nobody reads the padding
    return y, np.random.default_rng(1).standard_normal(y.shape[1:]).astype(dtype)


def unwritten(array):
    return np.full_like(array, np.nan)


@DTYPES
@pytest.mark.parametrize("bidirectional", [False, True])
def test_last_steps(ops, bidirectional, dtype):
    y, dout = batch(dtype)
    options = LENGTHS, bidirectional
    assert_equal_to_cpu(ops, "last_pooling_forward", unwritten(dout), y, *options, dtype=dtype)
    assert_equal_to_cpu(ops, "last_pooling_backward", unwritten(y), dout, *options, dtype=dtype)


@DTYPES
def test_means(ops, dtype):
    y, dout = batch(dtype)
    assert_equal_to_cpu(ops, "mean_pooling_forward", unwritten(dout), y, LENGTHS, dtype=dtype)
    assert_equal_to_cpu(ops, "mean_pooling_backward", unwritten(y), dout, LENGTHS, dtype=dtype)


@DTYPES
@pytest.mark.parametrize("lengths", [LENGTHS, 0 * LENGTHS])
def test_maxima(ops, lengths, dtype):
    y, dout = batch(dtype)
    y[3] = y[0]  # the first among equals
    expected, dy = unwritten(dout), unwritten(y)
    kernels.max_pooling_backward(dy, dout, kernels.max_pooling_forward(expected, y, lengths))
    out, dy_here = ops.empty(dout.shape, dtype), ops.empty(y.shape, dtype)
    ops.max_pooling_backward(dy_here, ops.asarray(dout), ops.max_pooling_forward(out, ops.asarray(y), lengths))
    np.testing.assert_array_equal(ops.to_numpy(out), expected)
    np.testing.assert_array_equal(ops.to_numpy(dy_here), dy)


@DTYPES
@pytest.mark.parametrize(("steps", "size"), [(5, 1), (5, 6), (0, 6)])
def test_attention(ops, steps, size, dtype):
    (y, dout), lengths = batch(dtype, steps, size), np.minimum(LENGTHS, steps)
    scores = 5 * batch(dtype, steps, 2)[0][:, :, 1]
    outputs = unwritten(dout), unwritten(scores)
    assert_equal_to_cpu(ops, "attention_pooling_forward", *outputs, y, scores, lengths, dtype=dtype)
    shares, outputs = np.empty_like(scores), (unwritten(y), unwritten(scores))
    kernels.attention_pooling_forward(np.empty_like(dout), shares, y, scores, lengths)
    assert_equal_to_cpu(ops, "attention_pooling_backward", *outputs, dout, shares, y, lengths, dtype=dtype)
