"""Attention: weights, contexts and all gradients."""

import numpy as np
import pytest

from fastrnn import kernels
from tests.cuda.comparing import assert_equal_to_cpu

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
COUNTS = np.array([3, 0, 5, 1])  # rows of each source


def problem(dtype, steps, batch, size, additive, memory=3):
    """Return contexts and weights, unwritten, and the queries, keys, values and v of `batch` sequences."""
    rng = np.random.default_rng(steps + size)
    rows = COUNTS.sum()
    shapes = (steps, batch, size), (rows, size), (rows, memory), (size,)
    queries, keys, values, score = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    outputs = (np.full((steps, batch, n), np.nan, dtype) for n in (memory, COUNTS.max()))
    return *outputs, queries, keys, values, score if additive else None


OFFSETS = np.concatenate([[0], np.cumsum(COUNTS)])


@DTYPES
@pytest.mark.parametrize("additive", [True, False])
@pytest.mark.parametrize(
    ("steps", "size", "sources", "lengths"),
    [
        (3, 4, None, [3, 2, 1, 0]),
        (2, 9, [2, 0, 3], None),
        (1, 1, [3, 1, 2, 0], None),
        (0, 2, None, None),
    ],
)
def test_forward_and_backward(ops, steps, size, sources, lengths, additive, dtype):
    batch = 4 if sources is None else len(sources)
    sources, lengths = (None if array is None else np.array(array) for array in (sources, lengths))
    contexts, weights, *inputs = problem(dtype, steps, batch, size, additive)
    rest = OFFSETS, sources, lengths
    assert_equal_to_cpu(ops, "attention_forward", contexts, weights, *inputs, *rest, dtype=dtype)
    kernels.attention_forward(contexts, weights, *inputs, *rest)
    queries, keys, values, score = inputs
    d_contexts = np.random.default_rng(0).standard_normal(contexts.shape).astype(dtype)
    gradients = [np.full_like(queries, np.nan), np.ones_like(keys), np.ones_like(values)]
    gradients.append(None if score is None else np.ones_like(score))
    assert_equal_to_cpu(ops, "attention_backward", *gradients, d_contexts, weights, *inputs, *rest, dtype=dtype)


def test_several_sequences_read_one_source(ops):
    contexts, weights, *inputs = problem("float32", 1, 6, 5, True)
    sources = np.array([2, 2, 0, 2, 1, 0])
    assert_equal_to_cpu(ops, "attention_forward", contexts, weights, *inputs, OFFSETS, sources, None, dtype="float32")


def test_large_scores(ops):
    contexts, weights, queries, *rest = problem("float32", 2, 4, 3, False)
    assert_equal_to_cpu(
        ops, "attention_forward", contexts, weights, 1e3 * queries, *rest, OFFSETS, None, None, dtype="float32"
    )


@pytest.mark.gpu
@pytest.mark.parametrize("additive", [True, False])
def test_large_problems_are_exact_and_repeat_to_the_bit(ops, additive):
    rng, (steps, batch, size, memory) = np.random.default_rng(0), (30, 64, 256, 512)
    counts = rng.integers(0, 70, batch)
    offsets, lengths = np.concatenate([[0], np.cumsum(counts)]), rng.integers(0, steps + 1, batch)
    shapes = (steps, batch, size), (offsets[-1], size), (offsets[-1], memory), (size,), (steps, batch, memory)
    queries, keys, values, score, d_contexts = (rng.standard_normal(shape).astype("f4") for shape in shapes)
    inputs = [queries, keys, values, score / 8 if additive else None]

    def run(module):
        given = [None if array is None else module.asarray(array) for array in inputs]
        contexts, weights = (module.empty((steps, batch, n), "float32") for n in (memory, counts.max()))
        module.attention_forward(contexts, weights, *given, offsets, None, lengths)
        gradients = [
            module.empty(queries.shape, "float32"),
            *(module.zeros(a.shape, "float32") for a in (keys, values)),
        ]
        gradients.append(module.zeros(size, "float32") if additive else None)
        module.attention_backward(*gradients, module.asarray(d_contexts), weights, *given, offsets, None, lengths)
        return [module.to_numpy(array) for array in (contexts, weights, *gradients) if array is not None]

    first, expected = run(ops), run(kernels)
    for a, b in zip(run(ops), first, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(first, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())
