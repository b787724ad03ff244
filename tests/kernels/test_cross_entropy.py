import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn._jit import kernel
from fastrnn._memory import Room
from fastrnn.kernels import cross_entropy, threads
from fastrnn.kernels.cross_entropy import (
    CHUNK_SIZE,
    CLASS_BLOCK,
    cross_entropy_backward,
    cross_entropy_forward,
    panel_layout,
    softmax,
)
from fastrnn.kernels.maximum import maximum
from fastrnn.simd import lanes, lanes_of, load, store
from tests import reference_dense as reference


def problem(rows, features, classes, dtype="float32", seed=0):
    """Return the arguments of the kernels: x, weight, bias, targets, weights."""
    rng = np.random.default_rng(seed)
    x, weight, bias = (
        rng.standard_normal((rows, features)),
        rng.standard_normal((classes, features)),
        rng.random(classes),
    )
    weights, targets = rng.random(rows), rng.integers(0, classes, rows)
    return x.astype(dtype), weight.astype(dtype), bias.astype(dtype), targets, weights.astype(dtype)


def backward(x, weight, bias, targets, weights, smoothing=0.0, n_jobs=None):
    """Return what `cross_entropy_backward` writes and adds, from ones."""
    log_probs, dx = np.full(len(x), np.nan), np.full_like(x, np.nan)
    dweight, dbias = np.ones_like(weight), np.ones_like(bias)
    cross_entropy_backward(log_probs, dx, dweight, dbias, x, weight, bias, targets, weights, smoothing, n_jobs)
    return log_probs, dx, dweight, dbias


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize(
    ("rows", "features", "classes"),
    [
        (1, 1, 1),
        (5, 3, 7),
        (67, 5, 2),
        (20, 18, CLASS_BLOCK),
        (70, 9, CLASS_BLOCK + 1),
        (3, 100, 2 * CLASS_BLOCK + 50),
        (40, 256, CLASS_BLOCK + 9),
    ],
)
def test_equals_the_reference(rows, features, classes, dtype, tolerance):
    arguments = problem(rows, features, classes, dtype)
    expected = reference.cross_entropy(*arguments)
    got = backward(*arguments)
    for name, a, b in zip(("log_probs", "dx", "dweight", "dbias"), got, expected, strict=True):
        added = 1 if name in ("dweight", "dbias") else 0
        np.testing.assert_allclose(a, b + added, rtol=tolerance, atol=3 * tolerance, err_msg=name)
    log_probs = np.full(rows, np.nan)
    cross_entropy_forward(log_probs, *arguments[:4])
    np.testing.assert_array_equal(log_probs, got[0])  # training computes the same


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize(("rows", "features", "classes"), [(2, 3, 1), (5, 3, 7), (70, 9, 2 * CLASS_BLOCK + 1)])
@pytest.mark.parametrize("smoothing", [0.1, 0.75])
def test_smoothed_labels(rows, features, classes, smoothing, dtype, tolerance):
    arguments = problem(rows, features, classes, dtype)
    expected = reference.cross_entropy(*arguments, smoothing)
    log_probs, dx, dweight, dbias = backward(*arguments, smoothing)
    for a, b in zip((log_probs, dx, dweight - 1, dbias - 1), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=3 * tolerance)
    if classes > 1:
        assert (log_probs != backward(*arguments)[0]).all()


@pytest.mark.parametrize("jobs", [2, 3])
@pytest.mark.parametrize("rows", [2, 100, 250])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_neither_threads_nor_chunks_change_a_bit(rows, jobs, smoothing, monkeypatch):
    monkeypatch.setattr(threads, "_FLOPS_PER_THREAD", 1)
    arguments = *problem(rows, 21, 230), smoothing
    whole = backward(*arguments, n_jobs=1)
    monkeypatch.setattr(cross_entropy, "CHUNK_SIZE", 1)
    for n_jobs in (1, jobs):
        for a, b in zip(whole, backward(*arguments, n_jobs=n_jobs), strict=True):
            np.testing.assert_array_equal(a, b)


sizes = st.integers(1, 10**6)


@given(st.integers(1, 10**5), sizes, sizes, st.integers(1, 64), st.sampled_from(["float32", "float64"]))
def test_chunks_are_bounded_and_panels_fill_the_threads(rows, features, classes, jobs, dtype):
    vector = lanes_of(np.empty(0, dtype))
    width, chunk = panel_layout(rows, features, classes, dtype, jobs)
    assert width % vector == 0
    assert chunk % (width * jobs) == 0
    assert chunk * classes <= max(CHUNK_SIZE, features * classes, jobs * vector * classes)
    assert chunk - rows < width * jobs  # no more panels than it takes


def test_memory_is_bounded(monkeypatch):
    """The scratch is the only large array: without training it does not grow with rows times classes at all."""
    asked = []
    monkeypatch.setattr(cross_entropy, "give_back", lambda room: asked.append(room.n_bytes // room.dtype.itemsize))
    monkeypatch.setattr(cross_entropy, "borrow_room", Room)
    monkeypatch.setattr(cross_entropy, "CHUNK_SIZE", 40_000)
    arguments = problem(3000, 4, 500)
    backward(*arguments, n_jobs=1)
    cross_entropy_forward(np.empty(3000), *arguments[:4], n_jobs=1)
    training, prediction = asked
    assert training < 40_000 + 5000
    assert prediction < 10_000


def test_large_logits_are_safe():
    """Logits of ±1e4: the differences count."""
    x = np.eye(3)
    weight = np.array([[1e4, -1e4, 0], [1e4 - 1, -1e4, -1e4], [-1e4, -1e4, 1e4]])
    targets, weights = np.array([1, 0, 1]), np.ones(3)
    expected = reference.cross_entropy(x, weight, np.zeros(3), targets, weights)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        got = backward(x.astype(dtype), weight.astype(dtype), np.zeros(3, dtype), targets, weights.astype(dtype))
        np.testing.assert_allclose(got[0], expected[0], rtol=tolerance)
        np.testing.assert_allclose(got[1], expected[1], rtol=tolerance, atol=1e4 * tolerance)
        np.testing.assert_allclose(got[2] - 1, expected[2], atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_impossible_classes(dtype):
    """Minus infinity is the probability 0, also for a whole block of classes."""
    x, weight, bias, _, weights = problem(4, 3, 3 * CLASS_BLOCK, dtype)
    bias[: 2 * CLASS_BLOCK] = -np.inf
    targets = np.array([CLASS_BLOCK, 2 * CLASS_BLOCK, 3 * CLASS_BLOCK - 1, 0])
    log_probs, dx, dweight, dbias = backward(x, weight, bias, targets, weights)
    possible = slice(2 * CLASS_BLOCK, None)
    expected = reference.cross_entropy(
        x, weight[possible], bias[possible], np.array([-1, 0, CLASS_BLOCK - 1, -1]), weights
    )
    np.testing.assert_array_equal(log_probs[[0, 3]], [-np.inf, -np.inf])
    np.testing.assert_allclose(log_probs[[1, 2]], expected[0][[1, 2]], rtol=1e-5)
    np.testing.assert_allclose(dx[[1, 2]], expected[1][[1, 2]], atol=1e-5)
    assert np.isfinite(dx).all()
    assert np.isfinite(dweight).all()
    assert dbias[CLASS_BLOCK] == 1 - weights[0]


def test_not_a_number_stays_in_its_row():
    x, weight, bias, targets, weights = problem(5, 3, 10)
    clean = backward(x, weight, bias, targets, weights)
    for bad in (np.nan, np.inf):
        x[2, 1] = bad
        log_probs, dx, _, _ = backward(x, weight, bias, targets, weights)
        assert np.isnan(log_probs[2])
        assert np.isnan(dx[2]).all()
        others = [0, 1, 3, 4]
        np.testing.assert_array_equal(log_probs[others], clean[0][others])
        np.testing.assert_array_equal(dx[others], clean[1][others])


def test_all_logits_minus_infinity_is_not_a_number():
    x, weight, _, targets, weights = problem(2, 3, 10)
    assert np.isnan(backward(x, weight, np.full(10, -np.inf, "f4"), targets, weights)[0]).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("classes", [1, 5, 16, 50])
def test_softmax(classes, dtype, tolerance):
    logits = np.random.default_rng(0).standard_normal((4, classes)).astype(dtype) * 10 - 20
    logits[1] += 1e4
    logits[2, 0] = -np.inf if classes > 1 else 0
    expected = [reference.softmax(row) for row in logits]
    softmax(logits)
    np.testing.assert_allclose(logits, expected, rtol=50 * tolerance, atol=tolerance)


@kernel
def largest_of(out, a, b):
    for i in range(0, a.size, lanes(a)):
        store(out, i, maximum(load(a, i), load(b, i)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_maximum(dtype):
    a = np.tile(np.array([1, -np.inf, np.inf, 3, np.nan, 2, -1, 0], dtype), 2)
    b = np.tile(np.array([2, -5, 7, 3, 4, np.nan, -np.inf, -2], dtype), 2)
    out = np.empty_like(a)
    largest_of(out, a, b)
    expected = np.tile(np.array([2, -5, np.inf, 3, 4, np.nan, -1, 0], dtype), 2)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(maximum.python(a, b) if hasattr(maximum, "python") else maximum(a, b), expected)
