"""Pooling over steps."""

import numpy as np
import pytest

from fastrnn import kernels

LENGTHS = np.array([4, 1, 0, 3, 5])
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def batch(dtype, steps=5, size=6):
    y = np.random.default_rng(0).standard_normal((steps, len(LENGTHS), size)).astype(dtype)
    y[np.arange(steps)[:, None] >= LENGTHS] = np.nan  # nobody reads the padding
    return y


def both(ops, name, outputs, inputs, *options):
    """Run a function on both backends; compare the outputs, and return what it returns."""
    expected, found = (
        [np.full_like(out, np.nan) for out in outputs],
        [ops.empty(out.shape, out.dtype) for out in outputs],
    )
    result = getattr(kernels, name)(*expected, *inputs, *options)
    result_here = getattr(ops, name)(*found, *map(ops.asarray, inputs), *options)
    for here, there in zip(found, expected, strict=True):
        tolerance = TOLERANCE[str(there.dtype)]
        np.testing.assert_allclose(ops.to_numpy(here), there, rtol=tolerance, atol=tolerance)
    return result_here, result


@DTYPES
@pytest.mark.parametrize("bidirectional", [False, True])
def test_last_steps(ops, bidirectional, dtype):
    y = batch(dtype)
    dout = np.nan_to_num(y[0])
    both(ops, "last_pooling_forward", [dout], [y], LENGTHS, bidirectional)
    both(ops, "last_pooling_backward", [y], [dout], LENGTHS, bidirectional)


@DTYPES
def test_means(ops, dtype):
    y = batch(dtype)
    dout = np.nan_to_num(y[0])
    both(ops, "mean_pooling_forward", [dout], [y], LENGTHS)
    both(ops, "mean_pooling_backward", [y], [dout], LENGTHS)


@DTYPES
def test_maxima(ops, dtype):
    y = batch(dtype)
    y[3] = y[0]  # the first among equals
    dout = np.nan_to_num(y[0])
    where, expected = both(ops, "max_pooling_forward", [dout], [y], LENGTHS)
    np.testing.assert_array_equal(ops.to_numpy(where), expected)
    dy = ops.empty(y.shape, dtype)
    ops.max_pooling_backward(dy, ops.asarray(dout), where)
    kernels.max_pooling_backward(y, dout, expected)
    np.testing.assert_array_equal(ops.to_numpy(dy), y)


@DTYPES
@pytest.mark.parametrize("size", [1, 6])
def test_attention(ops, size, dtype):
    y, scores = batch(dtype, size=size), 5 * batch(dtype, size=2)[:, :, 1]
    dout = np.nan_to_num(y[0])
    both(ops, "attention_pooling_forward", [dout, scores], [y, scores], LENGTHS)
    shares = np.empty_like(scores)
    kernels.attention_pooling_forward(np.empty_like(dout), shares, y, scores, LENGTHS)
    both(ops, "attention_pooling_backward", [y, scores], [dout, shares, y], LENGTHS)


def test_there_may_be_no_steps(ops):
    lengths, y, out = np.zeros(5, int), batch("float32", 0), np.zeros((5, 6), "float32")
    both(ops, "last_pooling_forward", [out], [y], lengths, True)
    both(ops, "max_pooling_forward", [out], [y], lengths)
    both(ops, "attention_pooling_forward", [out, y[:, :, 0]], [y, y[:, :, 0]], lengths)
    both(ops, "attention_pooling_backward", [y, y[:, :, 0]], [out, y[:, :, 0], y], lengths)
