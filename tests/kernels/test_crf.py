"""The linear-chain conditional random field against enumeration of all paths, and its equations in log space."""

import itertools

import numpy as np
import pytest

from fastrnn.kernels import crf
from tests.numpy_backend import crf as reference

LENGTHS = np.array([4, 1, 0, 3, 4, 2])


def problem(size, steps=4, batch=6, scale=1.0, dtype="float64"):
    """Return emissions, (transitions, start, end), tags and weights."""
    rng = np.random.default_rng(size)
    emissions, transitions, start, end = (
        (scale * rng.standard_normal(shape)).astype(dtype)
        for shape in ((steps, batch, size), (size, size), (size,), (size,))
    )
    return emissions, (transitions, start, end), rng.integers(size, size=(steps, batch)), rng.random(batch)


def forbid(emissions, model, tags):
    """Forbid some scores that the paths of `tags` do not use."""
    transitions, start, end = model
    size, used = len(start), np.zeros(transitions.shape, bool)
    used[tags[:-1], tags[1:]] = True
    np.fill_diagonal(used, True)
    transitions[~used & (np.arange(size) % 2 == 0)] = -np.inf
    start[np.setdiff1d(np.arange(1, size), tags[0])] = -np.inf
    end[np.setdiff1d(np.arange(1, size), tags)] = -np.inf
    emissions[1, np.arange(tags.shape[1]), (tags[1] + 1) % size] = -np.inf


def loss_and_gradients(module, emissions, model, tags, lengths, weights, n_jobs=1):
    """Return the loss and the gradients of emissions, transitions, start and end; the last three are added to ones."""
    gradients = [np.full_like(emissions, np.nan), *map(np.ones_like, model)]
    loss = module.crf_loss(*gradients, emissions, *model, tags, lengths, weights, n_jobs)
    return loss, *gradients


def marginals(module, emissions, model, lengths, n_jobs=1):
    found = np.full(emissions.shape, np.nan)
    module.crf_marginals(found, emissions, *model, lengths, n_jobs)
    return found


def paths(module, emissions, model, lengths, n_jobs=1):
    tags, scores = np.full(emissions.shape[:2], 7, np.int32), np.full(emissions.shape[1], np.nan)
    module.crf_viterbi(tags, scores, emissions, *model, lengths, n_jobs)
    return tags, scores


@pytest.mark.parametrize("module", [crf, reference])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_enumeration_of_all_paths(module, size):
    emissions, model, tags, weights = problem(size)
    expected, found = 0.0, marginals(module, emissions, model, LENGTHS)
    best, scores = paths(module, emissions, model, LENGTHS)
    for b, length in enumerate(LENGTHS):
        if not length:
            continue
        all_paths = list(itertools.product(range(size), repeat=length))
        all_scores = np.array([reference.path_score(np.array(p), emissions[:length, b], *model) for p in all_paths])
        p = np.exp(all_scores) / np.exp(all_scores).sum()
        expected -= weights[b] * np.log(p[all_paths.index(tuple(tags[:length, b]))])
        for t, j in np.ndindex(length, size):
            share = sum(q for q, path in zip(p, all_paths, strict=True) if path[t] == j)
            assert found[t, b, j] == pytest.approx(share, abs=1e-12)
        assert tuple(best[:length, b]) == all_paths[all_scores.argmax()]
        assert scores[b] == pytest.approx(all_scores.max(), rel=1e-12)
        assert not found[length:, b].any()
        assert (best[length:, b] == -1).all()
    loss, *_ = loss_and_gradients(module, emissions, model, tags, LENGTHS, weights)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert not found[:, 2].any()
    assert scores[2] == 0


def assert_equal_to_reference(emissions, model, tags, lengths, weights, tolerance):
    expected = loss_and_gradients(reference, emissions, model, tags, lengths, weights)
    got = loss_and_gradients(crf, emissions, model, tags, lengths, weights)
    assert got[0] == pytest.approx(expected[0], rel=tolerance)
    for a, b in zip(got[1:], expected[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    alone = crf.crf_loss(None, None, None, None, emissions, *model, tags, lengths, weights)
    assert alone == got[0]
    found = marginals(crf, emissions, model, lengths)
    np.testing.assert_allclose(found, marginals(reference, emissions, model, lengths), atol=max(tolerance, 1e-12))
    best, scores = paths(crf, emissions, model, lengths)
    expected_best, expected_scores = paths(reference, emissions, model, lengths)
    np.testing.assert_array_equal(best, expected_best)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 5, 9, 23, 100])
@pytest.mark.parametrize("forbidden", [False, True])
def test_float64(size, forbidden):
    emissions, model, tags, weights = problem(size)
    if forbidden and size > 2:
        forbid(emissions, model, tags)
    assert_equal_to_reference(emissions, model, tags, LENGTHS, weights, 1e-12)
    assert_equal_to_reference(emissions, model, tags, None, weights, 1e-12)


@pytest.mark.parametrize("forbidden", [False, True])
def test_float32(forbidden):
    emissions, model, tags, weights = problem(9, dtype="float32")
    if forbidden:
        forbid(emissions, model, tags)
    assert_equal_to_reference(emissions, model, tags, LENGTHS, weights, 1e-6)


@pytest.mark.parametrize("scale", [30, 100, 1e4])
@pytest.mark.parametrize("forbidden", [False, True])
def test_large_scores(scale, forbidden):
    emissions, model, tags, weights = problem(5, steps=6, scale=scale)
    if forbidden:
        forbid(emissions, model, tags)
    lengths = np.minimum(2 * LENGTHS, 6)
    with np.errstate(over="raise", invalid="raise"):
        assert_equal_to_reference(emissions, model, tags, lengths, weights, 1e-10)


def test_a_path_that_falls_far_behind_and_is_the_only_one_allowed_at_the_end():
    emissions, tags = np.zeros((60, 2, 2)), np.ones((60, 2), np.int64)
    emissions[:, :, 0] = 30
    stay = np.where(np.eye(2), 0, -np.inf)
    assert_equal_to_reference(emissions, (stay, np.zeros(2), np.array([-np.inf, 0])), tags, None, np.ones(2), 1e-12)
    emissions[:, 1] = emissions[:, 1, ::-1]
    assert_equal_to_reference(emissions, (stay, np.array([-np.inf, 0]), np.zeros(2)), tags, None, np.ones(2), 1e-12)


def test_without_an_allowed_path():
    emissions, (_, start, end), tags, weights = problem(2, batch=2)
    nowhere = np.full((2, 2), -np.inf), start, end
    lengths = np.array([4, 1])
    for module in (crf, reference):
        loss, d_emissions, *others = loss_and_gradients(module, emissions, nowhere, tags, lengths, weights)
        assert loss == np.inf
        assert all(np.isfinite(gradient).all() for gradient in (d_emissions, *others))
        assert not marginals(module, emissions, nowhere, lengths)[:, 0].any()
        assert paths(module, emissions, nowhere, lengths)[1][0] == -np.inf
        assert np.isfinite(module.crf_loss(None, None, None, None, emissions, *nowhere, tags, lengths, np.arange(2.0)))


def test_nan_is_neither_hidden_nor_an_endless_loop():
    emissions, model, tags, weights = problem(5)
    emissions[1, 0, 2] = np.nan
    loss, d_emissions, *_ = loss_and_gradients(crf, emissions, model, tags, LENGTHS, weights)
    assert np.isnan(loss)
    assert np.isfinite(d_emissions[:, 1:]).all()
    assert (paths(crf, emissions, model, LENGTHS)[0] < 5).all()


def test_equal_scores_give_the_lowest_tags():
    tags, scores = paths(crf, np.zeros((3, 2, 9)), (np.zeros((9, 9)), np.zeros(9), np.zeros(9)), np.array([3, 2]))
    np.testing.assert_array_equal(tags, [[0, 0], [0, 0], [0, -1]])
    assert not scores.any()


@pytest.mark.parametrize("scale", [1, 300])
def test_results_depend_neither_on_threads_nor_on_the_batch(scale, monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1000)
    emissions, model, tags, weights = problem(9, batch=37, scale=scale, dtype="float32")
    lengths = np.random.default_rng(0).integers(5, size=37)
    expected = loss_and_gradients(crf, emissions, model, tags, lengths, weights)
    found, best = marginals(crf, emissions, model, lengths), paths(crf, emissions, model, lengths)
    for n_jobs in (2, 3):
        got = loss_and_gradients(crf, emissions, model, tags, lengths, weights, n_jobs)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(marginals(crf, emissions, model, lengths, n_jobs), found)
        np.testing.assert_array_equal(paths(crf, emissions, model, lengths, n_jobs)[0], best[0])
    for some in ([5], [36, 0, 17]):
        part = np.ascontiguousarray(emissions[:, some])
        np.testing.assert_array_equal(marginals(crf, part, model, lengths[some]), found[:, some])
        np.testing.assert_array_equal(paths(crf, part, model, lengths[some])[1], best[1][some])
        gradients = loss_and_gradients(crf, part, model, tags[:, some], lengths[some], weights[some])
        np.testing.assert_array_equal(gradients[1], expected[1][:, some])


def test_no_sequences_and_no_steps():
    for steps, batch in ((3, 0), (0, 2)):
        emissions, model, tags, weights = problem(3, steps, batch)
        loss, *gradients = loss_and_gradients(crf, emissions, model, tags, None, weights)
        assert loss == 0
        assert all((gradient == 1).all() for gradient in gradients[1:])
        assert paths(crf, emissions, model, None)[0].shape == (steps, batch)
