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


def extreme(kind):
    """Return emissions (5, 2, 3) and scores for which products of scaled sums do not do."""
    rng = np.random.default_rng(1)
    emissions, transitions, start, end = (rng.standard_normal(shape) for shape in ((5, 2, 3), (3, 3), (3,), (3,)))
    if kind == "far apart":  # summands that have vanished beside the largest are all that is left
        emissions[:3] *= 1000
        transitions[0] = [-900, 800, -np.inf]
    elif kind == "dead end":  # the best beginning has no end
        emissions[1, :, 0], transitions[0] = 1500, -np.inf
    elif kind == "nothing allowed":
        emissions[2] = -np.inf
    else:
        transitions[:] = -np.inf
    return emissions, (transitions, start, end)


@pytest.mark.parametrize("kind", ["far apart", "dead end", "nothing allowed", "no transitions"])
def test_scores_far_apart_are_exact(ops, kind):
    emissions, model = extreme(kind)
    gradients = [np.full_like(emissions, 7), *map(np.ones_like, model)]
    lengths, weights, tags = np.array([5, 1]), Host(np.array([0.5, 2.0])), np.ones((5, 2), np.int64)
    assert_equal_to_cpu(ops, "crf_loss", *gradients, emissions, *model, tags, lengths, weights, dtype="float64")
    assert_equal_to_cpu(ops, "crf_marginals", np.zeros(emissions.shape), emissions, *model, lengths, dtype="float64")


def test_equal_scores_and_paths_that_no_score_allows(ops):
    emissions, model = np.zeros((4, 3, 5)), [np.zeros((5, 5)), np.zeros(5), np.zeros(5)]
    emissions[2, 1], emissions[1, 2, 3] = -np.inf, 1
    results = []
    for backend in (kernels, ops):
        tags, scores = np.empty((4, 3), np.int32), np.empty(3)
        backend.crf_viterbi(tags, scores, *map(backend.asarray, (emissions, *model)), None)
        results.append((tags, scores))
    for expected, found in zip(*results, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_no_sequences_and_no_steps(ops):
    model = [ops.asarray(np.zeros(shape)) for shape in ((2, 2), (2,), (2,))]
    for steps, batch in ((3, 0), (0, 2)):
        emissions, gradients = ops.asarray(np.zeros((steps, batch, 2))), [ops.zeros(a.shape, "float64") for a in model]
        tags, weights = np.zeros((steps, batch), np.int64), np.ones(batch)
        assert ops.crf_loss(ops.empty_like(emissions), *gradients, emissions, *model, tags, None, weights) == 0
        assert not np.any([ops.to_numpy(gradient).any() for gradient in gradients])


@pytest.mark.parametrize(
    ("steps", "batch", "size"),
    [
        (4, 3, 5),
        *(
            pytest.param(*large, marks=pytest.mark.gpu)
            for large in ((25, 32, 23), (60, 200, 9), (12, 5, 150), (700, 3, 40))
        ),
    ],
)
def test_large_problems_are_exact_and_repeat_to_the_bit(ops, steps, batch, size):
    rng = np.random.default_rng(0)
    emissions, *model = (
        2 * rng.standard_normal(shape).astype("f4") for shape in ((steps, batch, size), (size, size), (size,), (size,))
    )
    model[0][:, 0] = -np.inf
    tags, lengths = rng.integers(1, size, (steps, batch)), rng.integers(0, steps + 1, batch)
    weights, on_device = rng.random(batch), list(map(ops.asarray, (emissions, *model)))

    def run():
        gradients = [ops.zeros(array.shape, "float32") for array in on_device]
        loss = ops.crf_loss(*gradients, *on_device, tags, lengths, weights)
        paths, scores = np.empty((steps, batch), np.int32), np.empty(batch)
        ops.crf_viterbi(paths, scores, *on_device, lengths)
        return [loss, *map(ops.to_numpy, gradients), paths, scores]

    first = run()
    for _ in range(3):
        for a, b in zip(run(), first, strict=True):
            np.testing.assert_array_equal(a, b)
    gradients = [np.zeros_like(array) for array in (emissions, *model)]
    expected = [kernels.crf_loss(*gradients, emissions, *model, tags, lengths, weights), *gradients]
    paths, scores = np.empty((steps, batch), np.int32), np.empty(batch)
    kernels.crf_viterbi(paths, scores, emissions, *model, lengths)
    for found, wanted in zip(first, [*expected, paths, scores], strict=True):
        largest = np.abs(wanted).max(initial=1)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * largest)
