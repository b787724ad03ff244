"""Attention against its equations, for sizes, lengths and magnitudes that take different ways through the kernels."""

import numpy as np
import pytest

from fastrnn.kernels import attention
from tests.numpy_backend import attention as reference

COUNTS, LENGTHS = np.array([5, 0, 1, 40, 3]), np.array([6, 2, 4, 9, 0])
OFFSETS = np.concatenate([[0], np.cumsum(COUNTS)])
BATCH, STEPS, SOURCE_STEPS = len(COUNTS), 9, 41
TOLERANCES = {"float32": 2e-5, "float64": 1e-12}


def problem(score, size=(37, 21), dtype="float64", scale=1.0):
    """Return queries, keys, values and v, or None for the dot product."""
    rng = np.random.default_rng(0)
    keys, values = size
    shapes = [(STEPS, BATCH, keys), (OFFSETS[-1], keys), (OFFSETS[-1], values), (keys,)]
    queries, *others = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return [queries * queries.dtype.type(scale), *others[:2], others[2] if score == "additive" else None]


def forward(module, arrays, offsets=OFFSETS, sources=None, lengths=LENGTHS, n_jobs=1):
    queries, _, values, _ = arrays
    contexts = np.full((*queries.shape[:2], values.shape[1]), np.nan, values.dtype)
    weights = np.full((*queries.shape[:2], SOURCE_STEPS), np.nan, values.dtype)
    module.attention_forward(contexts, weights, *arrays, offsets, sources, lengths, n_jobs)
    return contexts, weights


def backward(module, arrays, weights, offsets=OFFSETS, sources=None, lengths=LENGTHS, n_jobs=1):
    """Return the gradients; those that are added to begin with ones."""
    queries, *others = arrays
    gradients = [np.full_like(queries, np.nan), *(None if array is None else np.ones_like(array) for array in others)]
    d_contexts = np.random.default_rng(1).standard_normal((*queries.shape[:2], others[1].shape[1]))
    d_contexts = d_contexts.astype(queries.dtype)
    module.attention_backward(*gradients, d_contexts, weights, *arrays, offsets, sources, lengths, n_jobs)
    return [gradient for gradient in gradients if gradient is not None]


def assert_equal_to_reference(arrays, tolerance, **options):
    exact = [None if array is None else array.astype("float64") for array in arrays]
    got, expected = forward(attention, arrays, **options), forward(reference, exact, **options)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    got, expected = backward(attention, arrays, got[1], **options), backward(reference, exact, expected[1], **options)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max()))


@pytest.mark.parametrize("score", ["additive", "dot"])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("size", [(1, 1), (37, 21), (64, 130)])
def test_equations(score, dtype, size):
    arrays = problem(score, size, dtype)
    assert_equal_to_reference(arrays, TOLERANCES[dtype])
    assert_equal_to_reference(arrays, TOLERANCES[dtype], lengths=None)
    assert_equal_to_reference(arrays, TOLERANCES[dtype], sources=np.array([3, 0, 1, 4, 2]))


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_additive_scores_of_large_queries_and_keys(dtype):
    """The powers of some keys would be infinite; of others, the sum with the query is small."""
    arrays = problem("additive", dtype=dtype, scale=1e3)
    keys = arrays[1]
    keys[5:30] *= 400
    arrays[0][:, 3, ::2] = -keys[7, ::2] + 0.5
    # float32 rounds a sum of 400 by 3e-5, and its score has 37 of them.
    assert_equal_to_reference(arrays, {"float32": 1e-3, "float64": 1e-10}[dtype])


@pytest.mark.parametrize("magnitude", [5, 19.9, 20.1])
def test_sums_of_opposite_powers_keep_their_bits(magnitude):
    arrays = problem("additive", dtype="float32")
    arrays[0] += np.float32(magnitude)
    arrays[1] -= np.float32(magnitude)
    assert_equal_to_reference(arrays, 1e-4)


def test_scores_far_apart():
    arrays = problem("dot", dtype="float32", scale=1e4)
    assert_equal_to_reference(arrays, 1e-2)
    assert np.isfinite(forward(attention, arrays)[1]).all()


@pytest.mark.parametrize("score", ["additive", "dot"])
def test_nan_stays_in_its_sequence(score):
    arrays = problem(score)
    arrays[0][2, 0, 3] = np.nan
    contexts, weights = forward(attention, arrays)
    assert np.isnan(contexts[2, 0]).all()
    assert np.isnan(weights[2, 0, :5]).all()
    contexts[2, 0], weights[2, 0] = 0, 0
    assert np.isfinite(contexts).all()
    assert np.isfinite(weights).all()


@pytest.mark.parametrize("score", ["additive", "dot"])
def test_results_depend_neither_on_threads_nor_on_the_batch(score, monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1000)
    arrays = problem(score, dtype="float32")
    expected = forward(attention, arrays)
    expected += tuple(backward(attention, arrays, expected[1]))
    for n_jobs in (2, 3):
        got = forward(attention, arrays, n_jobs=n_jobs)
        got += tuple(backward(attention, arrays, got[1], n_jobs=n_jobs))
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    some = np.array([3, 0])
    rows = np.concatenate([np.arange(OFFSETS[b], OFFSETS[b + 1]) for b in some])
    part = [np.ascontiguousarray(arrays[0][:, some]), arrays[1][rows], arrays[2][rows], arrays[3]]
    offsets = np.array([0, COUNTS[3], COUNTS[3] + COUNTS[0]])
    got = forward(attention, part, offsets, lengths=LENGTHS[some])
    for a, b in zip(got, expected, strict=False):
        np.testing.assert_array_equal(a, b[:, some])


def test_no_sequences_and_no_steps():
    for steps, batch in ((3, 0), (0, 2)):
        queries, keys, values = np.zeros((steps, batch, 2)), np.zeros((2, 2)), np.ones((2, 3))
        arrays, offsets = (queries, keys, values, np.ones(2)), np.arange(batch + 1)
        contexts, weights = forward(attention, arrays, offsets, lengths=None)
        assert contexts.shape == (steps, batch, 3)
        assert all((g == 1).all() for g in backward(attention, arrays, weights, offsets, lengths=None)[1:])
