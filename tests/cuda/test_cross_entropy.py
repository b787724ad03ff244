"""Softmax, its cross-entropy in chunks of rows, and the distribution of an adaptive softmax."""

import numpy as np
import pytest

from fastrnn import kernels
from fastrnn.cuda import cross_entropy
from tests.cuda.comparing import Host, assert_equal_to_cpu

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def problem(rows, features, classes, dtype):
    """Return x, weight, bias, targets and weights."""
    rng = np.random.default_rng(rows + classes)
    shapes = (rows, features), (classes, features), (classes,), (rows,)
    x, weight, bias, weights = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return x, weight, bias, rng.integers(0, classes, rows), Host(weights)


@DTYPES
@pytest.mark.parametrize("chunk", [1 << 25, 30])
@pytest.mark.parametrize(
    ("rows", "features", "classes", "smoothing"),
    [(0, 2, 3, 0.0), (1, 1, 1, 0.0), (5, 3, 2, 0.1), (7, 3, 13, 0.0), (7, 3, 13, 0.3)],
)
def test_forward_and_backward(ops, rows, features, classes, smoothing, chunk, dtype, monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_SIZE", chunk)
    x, weight, bias, targets, weights = problem(rows, features, classes, dtype)
    log_probs = np.full(rows, np.nan)
    assert_equal_to_cpu(ops, "cross_entropy_forward", log_probs, x, weight, bias, targets, dtype=dtype)
    dx, dweight, dbias = np.full_like(x, np.nan), np.ones_like(weight), np.ones_like(bias)
    assert_equal_to_cpu(
        ops, "cross_entropy_backward", log_probs, dx, dweight, dbias, x, weight, bias, targets, weights, smoothing,
        dtype=dtype,
    )  # fmt: skip


def test_large_logits_and_classes_that_are_ruled_out(ops):
    x, weight = np.eye(3), np.array([[1e4, 0, -1e4], [0, -1e4, 1e4], [9999, 1e-3, 1]])
    bias = np.array([0, 0, -np.inf])
    targets, weights = np.array([0, 1, 1]), Host(np.ones(3))
    grads = np.empty_like(x), np.zeros_like(weight), np.zeros_like(bias)
    assert_equal_to_cpu(
        ops, "cross_entropy_backward", np.empty(3), *grads, x, weight, bias, targets, weights, dtype="float64"
    )


@DTYPES
@pytest.mark.parametrize("classes", [1, 2, 13])
def test_softmax(ops, classes, dtype):
    logits = 5 * np.random.default_rng(0).standard_normal((3, classes)).astype(dtype)
    assert_equal_to_cpu(ops, "softmax", logits, dtype=dtype)


@DTYPES
def test_clusters_are_joined(ops, dtype):
    rng = np.random.default_rng(0)
    head, *tails = (rng.random((3, n)).astype(dtype) for n in (4, 5, 1))
    out, order = np.full((3, 8), np.nan, dtype), rng.permutation(8)
    assert_equal_to_cpu(ops, "join_clusters", out, head, tails, order, dtype=dtype)


@pytest.mark.gpu
@pytest.mark.parametrize(("rows", "features", "classes"), [(700, 650, 10_000), (20_000, 64, 30), (65, 33, 100_003)])
@pytest.mark.parametrize(("precision", "tolerance"), [("highest", 1e-5), ("high", 1e-2), ("medium", 5e-2)])
def test_large_problems_are_exact_and_repeat_to_the_bit(ops, rows, features, classes, precision, tolerance):
    x, weight, bias, targets, (weights,) = problem(rows, features, classes, "float32")
    weight /= np.sqrt(features, dtype="float32")
    arrays = [ops.asarray(array) for array in (x, weight, bias)]

    def run():
        log_probs, dx = ops.empty((rows,), "float64"), ops.empty(x.shape, "float32")
        grads = [ops.zeros(array.shape, "float32") for array in (weight, bias)]
        ops.cross_entropy_backward(log_probs, dx, *grads, *arrays, targets, weights, precision=precision)
        return [ops.to_numpy(array) for array in (log_probs, dx, *grads)]

    first = run()
    for _ in range(5):
        for a, b in zip(run(), first, strict=True):
            np.testing.assert_array_equal(a, b)
    wide = [array.astype("float64") for array in (x, weight, bias)]
    expected = [np.empty(rows), np.empty_like(wide[0]), np.zeros_like(wide[1]), np.zeros_like(wide[2])]
    kernels.cross_entropy_backward(*expected, *wide, targets, weights.astype("float64"))
    for a, b in zip(first, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())
