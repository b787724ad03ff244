"""Tests of `fastrnn.kernels.top_classes`, against logits as a whole."""

import numpy as np
import pytest
from scipy.special import log_softmax

from fastrnn.kernels import threads
from fastrnn.kernels.cross_entropy import CLASS_BLOCK
from fastrnn.kernels.top_classes import most_probable


def found(x, weight, bias, allowed, count, n_jobs=None):
    log_probs, classes = np.full((len(x), count), np.nan), np.full((len(x), count), -1, np.int32)
    most_probable(log_probs, classes, x, weight, bias, allowed, n_jobs)
    return log_probs, classes


def problem(rows, features, classes, dtype, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (rows, features), (classes, features), (classes,)
    return *(rng.standard_normal(shape).astype(dtype) for shape in shapes), rng.random(classes) < 0.8


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize(
    ("rows", "features", "classes"), [(1, 1, 1), (5, 3, 7), (67, 5, CLASS_BLOCK), (20, 18, 3 * CLASS_BLOCK + 5)]
)
def test_equals_the_whole_softmax(rows, features, classes, dtype, tolerance):
    x, weight, bias, allowed = problem(rows, features, classes, dtype)
    count = 10
    log_probs, chosen = found(x, weight, bias, allowed, count)
    expected = log_softmax(x.astype(float) @ weight.astype(float).T + bias, axis=1)
    expected[:, ~allowed] = -np.inf
    order = np.argsort(-expected, axis=1, kind="stable")[:, :count]
    wanted = np.full((rows, count), -np.inf)
    wanted[:, : order.shape[1]] = np.take_along_axis(expected, order, 1)
    np.testing.assert_allclose(log_probs, wanted, rtol=tolerance, atol=3 * tolerance)
    possible = wanted > -np.inf
    rows_of = np.nonzero(possible)[0]
    np.testing.assert_allclose(expected[rows_of, chosen[possible]], wanted[possible], rtol=tolerance, atol=tolerance)
    assert all(len(set(line[ok])) == ok.sum() for line, ok in zip(chosen, possible, strict=True))


def test_of_equal_classes_the_first_ones_are_found():
    x, weight, bias = np.ones((3, 2)), np.zeros((2 * CLASS_BLOCK, 2)), np.zeros(2 * CLASS_BLOCK)
    bias[[5, CLASS_BLOCK, CLASS_BLOCK + 1]] = 1
    _, chosen = found(x, weight, bias, np.ones(len(bias), bool), 5)
    assert chosen.tolist() == [[5, CLASS_BLOCK, CLASS_BLOCK + 1, 0, 1]] * 3


def test_classes_of_probability_0():
    x, weight, bias, allowed = problem(4, 3, 3 * CLASS_BLOCK, "float32")
    bias[: 2 * CLASS_BLOCK] = -np.inf
    log_probs, chosen = found(x, weight, bias, allowed, 4)
    assert (chosen >= 2 * CLASS_BLOCK).all()
    assert np.isfinite(log_probs).all()


@pytest.mark.parametrize("jobs", [2, 3])
def test_neither_threads_nor_other_rows_change_a_bit(jobs, monkeypatch):
    x, weight, bias, allowed = problem(150, 21, 230, "float32")
    whole = found(x, weight, bias, allowed, 6, 1)
    one = found(x[77:78], weight, bias, allowed, 6, 1)
    monkeypatch.setattr(threads, "_FLOPS_PER_THREAD", 1)
    several = found(x, weight, bias, allowed, 6, jobs)
    for a, b, c in zip(whole, several, one, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a[77:78], c)
