import numpy as np
import pytest

from fastrnn.kernels import dense
from fastrnn.kernels.dense import FEW_ROWS, activate, activation_gradient, dense_backward, dense_forward, product
from tests import reference_dense as reference


def problem(rows, inputs, outputs, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(rows, inputs), (outputs, inputs), outputs, (rows, outputs)]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, FEW_ROWS, FEW_ROWS + 1, 9])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (19, 3), (6, 21)])
def test_few_and_many_rows(rows, inputs, outputs, dtype):
    x, weight, bias, dy = problem(rows, inputs, outputs, dtype)
    tolerance = 30 * np.finfo(dtype).eps
    y = np.full((rows, outputs), np.nan, dtype)
    dense_forward(y, x, weight, bias)
    np.testing.assert_allclose(y, reference.dense(x, weight, bias), rtol=tolerance, atol=tolerance)
    dense_forward(y, x, weight, None)
    np.testing.assert_allclose(y, reference.dense(x, weight, 0 * bias), rtol=tolerance, atol=tolerance)
    dx, dweight, dbias = np.full_like(x, np.nan), np.ones_like(weight), np.ones_like(bias)
    dense_backward(dx, dweight, dbias, dy, x, weight)
    wide = [a.astype(float) for a in (dy, x, weight)]
    np.testing.assert_allclose(dx, wide[0] @ wide[2], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(dweight, 1 + wide[0].T @ wide[1], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(dbias, 1 + wide[0].sum(0), rtol=tolerance, atol=tolerance)


def test_by_rows_a_row_has_the_same_bits_beside_any_others():
    x, weight, bias, _ = problem(9, 19, 33)
    whole = np.empty((9, 33), "f4")
    dense_forward(whole, x, weight, bias)
    for rows in (1, FEW_ROWS):
        part = np.empty((rows, 33), "f4")
        dense_forward(part, x[:rows], weight, bias, by_rows=True)
        np.testing.assert_array_equal(part, whole[:rows])


def test_no_rows():
    x, weight, bias, dy = problem(0, 5, 4)
    dense_forward(np.empty((0, 4), "f4"), x, weight, bias)
    dx, dweight, dbias = np.empty_like(x), np.zeros_like(weight), np.zeros_like(bias)
    dense_backward(dx, dweight, dbias, dy, x, weight)
    assert not dweight.any()
    assert not dbias.any()


@pytest.mark.parametrize("rows", [3, 50, 300])
@pytest.mark.parametrize("jobs", [2, 3])
def test_the_number_of_threads_changes_no_bit(rows, jobs, monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1)
    x, weight, bias, dy = problem(rows, 70, 200)
    outcomes = []
    for n_jobs in (1, jobs):
        y = np.empty((rows, 200), "f4")
        dense_forward(y, x, weight, bias, n_jobs)
        dx, dweight, dbias = np.empty_like(x), np.zeros_like(weight), np.zeros_like(bias)
        dense_backward(dx, dweight, dbias, dy, x, weight, n_jobs)
        outcomes.append((y, dx, dweight, dbias))
    for one, several in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(one, several)


def test_work_is_shared_without_overlap(monkeypatch):
    """Each thread gets its own rows or columns of C, and its own scratch."""
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1)
    shared = []
    monkeypatch.setattr(dense, "run_kernel", lambda function, calls: shared.append(calls))
    for rows, columns in ((300, 20), (20, 300)):
        product(np.zeros((rows, columns)), np.ones((rows, 8)), np.ones((8, columns)), n_jobs=3)
    for calls, done in zip(shared, ((300, 20), (20, 300)), strict=True):
        assert len(calls) == 3
        assert sum(call[6] * call[7] for call in calls) == done[0] * done[1]
        assert len({call[9].ctypes.data for call in calls}) == 3


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid"])
def test_activations(name):
    function = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}[name]
    z = np.linspace(-3, 3, 38).reshape(2, 19)  # not at the kink of relu
    y = z.copy()
    activate(y, name)
    np.testing.assert_allclose(y, function(z), rtol=1e-14)
    dy = np.random.default_rng(0).standard_normal(z.shape)
    expected = dy * (function(z + 1e-6) - function(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(activation_gradient(dy, y, name), expected, atol=1e-9)
