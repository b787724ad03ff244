"""Heads of taggers: gradients by central differences in float64, predictions, and what comes behind an end."""

from typing import NamedTuple

import numpy as np
import pytest

from fastrnn.networks.sequence import Batch
from fastrnn.networks.step_heads import STEP_HEADS

LENGTHS = np.array([4, 0, 2])
BEHIND = np.arange(4)[:, np.newaxis] >= LENGTHS  # (T, B)
KINDS = pytest.mark.parametrize("kind", STEP_HEADS)


class SomeSequences(NamedTuple):
    lengths: np.ndarray


def problem(kind):
    """Return a head, h (4, 3, 5), targets with the sequence first, and the weights of the sequences."""
    rng = np.random.default_rng(0)
    head, h = STEP_HEADS[kind](5, 3, dtype="float64", random_state=0, n_jobs=1), rng.standard_normal((4, 3, 5))
    if kind in ("softmax", "crf"):
        targets = np.where(BEHIND.T, -1, rng.integers(3, size=(3, 4)))
    else:
        targets = rng.integers(2, size=(3, 4, 3)) if kind == "labels" else rng.standard_normal((3, 4, 3))
        targets = targets.astype("f4")
        targets[BEHIND.T] = np.nan
    return head, h, targets, np.array([0.5, 3.0, 2.0])


def all_arrays(head, attribute):
    return {
        f"{name}.{key}": array
        for name, layer in head.layers.items()
        for key, array in getattr(layer, attribute).items()
    }


@KINDS
@pytest.mark.parametrize("of_steps", [False, True])
def test_gradients_by_central_differences(kind, of_steps):
    head, h, targets, weights = problem(kind)
    weights = np.random.default_rng(2).random((3, 4)) if of_steps else weights
    loss, dh = head.loss_and_gradient(h, targets, weights, LENGTHS)
    assert loss == pytest.approx(head.loss(h, targets, weights, LENGTHS), rel=1e-6)
    assert not np.asarray(dh)[BEHIND].any()
    parameters, grads = all_arrays(head, "parameters"), all_arrays(head, "grads")
    rng = np.random.default_rng(1)
    for array, gradient in [(h, dh), *((parameters[name], grads[name]) for name in grads)]:
        direction, kept, losses = rng.standard_normal(array.shape), np.array(array), []
        for sign in (1, -1):
            array[...] = kept + sign * 1e-5 * direction
            losses.append(head.loss(h, targets, weights, LENGTHS))
        array[...] = kept
        slope = (losses[0] - losses[1]) / 2e-5
        assert np.vdot(np.asarray(gradient), direction) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@KINDS
def test_what_comes_behind_an_end_does_not_count(kind):
    head, h, targets, weights = problem(kind)
    loss = head.loss(h, targets, weights, LENGTHS)
    together = head.predict(h, LENGTHS)
    h[BEHIND], targets[BEHIND.T] = 7, 0
    if kind == "softmax":  # its targets say where the ends are
        targets[BEHIND.T] = -1
    assert head.loss(h, targets, weights, LENGTHS) == loss
    assert together.dtype == np.float64
    assert not together[BEHIND].any()
    for b, length in enumerate(LENGTHS):
        if length:
            alone = head.predict(np.ascontiguousarray(h[:length, [b]]), LENGTHS[[b]])
            np.testing.assert_array_equal(alone[:, 0], together[:length, b])


@KINDS
def test_predictions_are_those_of_the_loss(kind):
    head, h, targets, _ = problem(kind)
    predicted = head.predict(h, LENGTHS)
    loss = head.loss(h, targets, np.ones(3), LENGTHS)
    if kind == "values":
        expected = np.nansum((np.swapaxes(predicted, 0, 1) - targets) ** 2) / 2
    elif kind == "labels":
        p = np.swapaxes(predicted, 0, 1)
        expected = -np.nansum(np.log(np.where(targets == 1, p, 1 - p)) * (targets + 1 > 0))
    elif kind == "softmax":
        chosen = np.take_along_axis(predicted, np.maximum(targets.T, 0)[..., np.newaxis], axis=-1)[..., 0]
        expected = -np.log(chosen[~BEHIND]).sum()
    else:
        expected = head.crf.loss(head.outputs(h), targets.T, 1.0, LENGTHS)
        np.testing.assert_allclose(predicted.sum(axis=2), ~BEHIND, atol=1e-12)
    assert loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["softmax", "crf", "labels"])
def test_decoding(kind):
    head, h, *_ = problem(kind)
    decoded = head.decode(h, LENGTHS)
    assert decoded.dtype == np.int32
    assert (decoded[BEHIND] == -1).all()
    if kind == "crf":
        np.testing.assert_array_equal(decoded, head.crf.decode(head.outputs(h), LENGTHS)[0])
    else:
        p = head.predict(h)
        expected = p.argmax(axis=2) if kind == "softmax" else p > 0.5
        np.testing.assert_array_equal(decoded[~BEHIND], expected[~BEHIND])


@KINDS
def test_weights_of_a_mean_over_steps(kind):
    head, _, targets, weights = problem(kind)
    sequences = SomeSequences(np.array([9, *LENGTHS]))
    batch = Batch(sequences, np.array([1, 2, 3]), targets, weights.astype("f4"))
    found, total = head.mean_weights(batch, 0.5)
    assert total == pytest.approx(0.5 * 4 + 2 * 2)
    np.testing.assert_allclose(found, weights * 0.5 / total)
    found, total = head.mean_weights(batch._replace(weights=None), 1.0)
    assert total == 6
    np.testing.assert_allclose(found, np.full(3, 1 / 6))
    each = np.arange(12.0).reshape(3, 4)
    found, total = head.mean_weights(batch._replace(weights=each), 1.0)
    assert total == pytest.approx(each[~BEHIND.T].sum())
    np.testing.assert_allclose(found, each / total)
