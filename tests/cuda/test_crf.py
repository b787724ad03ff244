"""The conditional random field of a GPU against that of the CPU."""

import numpy as np
import pytest

from fastrnn import kernels
from tests.cuda.comparing import TOLERANCES, Host, assert_equal_to_cpu

LENGTHS = np.array([3, 1, 0])
SHAPES = pytest.mark.parametrize(("size", "dtype"), [(3, "float64"), (1, "float64"), (5, "float32")])


def problem(size, dtype):
    """Return emissions (3, 3, size), the model's scores with one that forbids, and tags."""
    rng = np.random.default_rng(0)
    emissions, transitions, start, end = (
        rng.standard_normal(shape).astype(dtype) for shape in ((3, 3, size), (size, size), (size,), (size,))
    )
    if size > 1:
        transitions[0, 1] = -np.inf
    return emissions, (transitions, start, end), np.zeros((3, 3), np.int64)


@SHAPES
@pytest.mark.parametrize("training", [True, False])
def test_loss(ops, size, dtype, training):
    emissions, model, tags = problem(size, dtype)
    gradients = [np.full_like(emissions, 7), *map(np.ones_like, model)] if training else [None] * 4
    weights = Host(np.array([0.5, 2.0, 1.0]))
    assert_equal_to_cpu(ops, "crf_loss", *gradients, emissions, *model, tags, LENGTHS, weights, dtype=dtype)


@SHAPES
def test_marginals_and_paths(ops, size, dtype):
    emissions, model, _ = problem(size, dtype)
    assert_equal_to_cpu(ops, "crf_marginals", np.zeros(emissions.shape), emissions, *model, LENGTHS, dtype=dtype)
    found, scores, expected = np.empty((3, 3), np.int32), np.empty(3), (np.empty((3, 3), np.int32), np.empty(3))
    ops.crf_viterbi(found, scores, *map(ops.asarray, (emissions, *model)), LENGTHS)
    kernels.crf_viterbi(*expected, emissions, *model, LENGTHS)
    np.testing.assert_array_equal(found, expected[0])
    np.testing.assert_allclose(scores, expected[1], rtol=TOLERANCES[dtype])
