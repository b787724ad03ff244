"""Heads of networks: gradients by central differences in float64, and predictions."""

from typing import NamedTuple

import numpy as np
import pytest

from fastrnn.layers import Recurrent
from fastrnn.layers.large_softmax import AdaptiveSoftmax
from fastrnn.layers.softmax import ProjectedSoftmax, Softmax
from fastrnn.networks.base import Network
from fastrnn.networks.heads import HEADS, DenseHead, SoftmaxHead
from fastrnn.text.batching import Batch as TextBatch

FLOAT64 = {"dtype": "float64", "random_state": 0, "n_jobs": 1}
SOFTMAXES = {
    "full": lambda: Softmax(4, 6, **FLOAT64),
    "projected": lambda: ProjectedSoftmax(4, Softmax(3, 6, **FLOAT64), **FLOAT64),
    "adaptive": lambda: AdaptiveSoftmax(4, 6, cutoffs=[2], **FLOAT64),
}


def problem(kind):
    """Return a head, encodings, targets and weights."""
    rng = np.random.default_rng(0)
    if kind in SOFTMAXES:
        targets = np.array([[1, 5, 0], [3, -1, 2]])
        return SoftmaxHead(SOFTMAXES[kind]()), rng.standard_normal((2, 3, 4)), targets, 0.5
    targets = {
        "classes": np.array([2, 0, 1, 1, 2]),
        "labels": rng.integers(2, size=(5, 3)).astype("f4"),
        "values": rng.standard_normal((5, 3)),
    }[kind]
    return HEADS[kind](4, 3, **FLOAT64), rng.standard_normal((5, 4)), targets, rng.random(5)


KINDS = pytest.mark.parametrize("kind", [*SOFTMAXES, *HEADS])


@KINDS
def test_gradients_by_central_differences(kind):
    head, h, targets, weights = problem(kind)
    before = {name: array.copy() for name, array in head.layer.grads.items()}
    loss, dh = head.loss_and_gradient(h, targets, weights)
    assert loss == pytest.approx(head.loss(h, targets, weights), rel=1e-12)
    arrays = [(h, dh), *((head.layer.parameters[name], head.layer.grads[name] - before[name]) for name in before)]
    rng = np.random.default_rng(1)
    for array, gradient in arrays:
        direction, kept = rng.standard_normal(array.shape), array.copy()
        losses = []
        for sign in (1, -1):
            array[...] = kept + sign * 1e-6 * direction
            losses.append(head.loss(h, targets, weights))
        array[...] = kept
        assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(np.vdot(gradient, direction), rel=1e-6, abs=1e-8)


@KINDS
def test_gradients_of_parameters_add_up(kind):
    head, h, targets, weights = problem(kind)
    head.loss_and_gradient(h, targets, weights)
    once = {name: array.copy() for name, array in head.layer.grads.items()}
    head.loss_and_gradient(h, targets, weights)
    for name, array in head.layer.grads.items():
        np.testing.assert_allclose(array, 2 * once[name], rtol=1e-12, err_msg=name)


@KINDS
def test_predictions_are_those_of_the_loss(kind):
    head, h, targets, _ = problem(kind)
    predicted = head.predict(h)
    assert predicted.dtype == np.float64
    if kind == "values":
        expected = ((predicted - targets) ** 2 / 2).sum()
    elif kind == "labels":
        expected = -np.log(np.where(targets == 1, predicted, 1 - predicted)).sum()
    else:
        np.testing.assert_allclose(predicted.sum(axis=-1), 1, rtol=1e-12)
        chosen = np.take_along_axis(predicted, np.maximum(targets, 0)[..., np.newaxis], axis=-1)[..., 0]
        expected = -np.log(chosen[targets >= 0]).sum()
        if kind in SOFTMAXES:
            np.testing.assert_allclose(head.log_probs(h, targets), np.where(targets >= 0, np.log(chosen), 0))
    weights = 1.0 if kind in SOFTMAXES else np.ones(len(h))
    assert head.loss(h, targets, weights) == pytest.approx(expected, rel=1e-12)


def test_weights_of_a_mean():
    head, _, targets, _ = problem("full")
    assert head.mean_weights(TextBatch(None, targets, None, True, 2), 0.5) == (0.1, 5)
    nothing = TextBatch(None, np.full((2, 2), -1), None, True, 2)
    assert head.mean_weights(nothing, 1.0) == (1.0, 0)


class StepHead(DenseHead):
    """A class for each step of each sequence, as a tagger has it: what comes behind an end does not count."""

    _loss = "categorical_cross_entropy"

    def mean_weights(self, batch, scale):
        total = int(batch.lengths.sum())
        return scale / total, total

    def loss_and_gradient(self, h, targets, weights, lengths=None):
        steps, batch, size = h.shape
        used = (np.arange(steps)[:, np.newaxis] < lengths).reshape(-1)
        rows = self.layer.backend.reshape(h, (steps * batch, size))
        loss, dh = super().loss_and_gradient(rows, targets.reshape(-1), weights * used)
        return loss, self.layer.backend.reshape(dh, h.shape)

    def predict(self, h, lengths=None):
        return self.outputs(h).argmax(axis=-1)


class Tagger(Network):
    """Recurrent layers and a class for each step."""

    def __init__(self):
        super().__init__()
        self.recurrent = self.add_layer("recurrent", Recurrent("rnn", 2, 5, random_state=0))
        self.add_head(StepHead(5, 3, random_state=1))

    def encode_training(self, batch):
        h, _ = self.recurrent.forward(batch.x, lengths=batch.lengths, training=True)
        return h, batch.lengths

    def encode_backward(self, dh, scale):
        self.recurrent.backward(dh)


class TaggedBatch(NamedTuple):
    x: np.ndarray  # (T, B, D)
    targets: np.ndarray  # (T, B)
    lengths: np.ndarray  # (B,)


def test_a_network_of_ones_own_with_a_target_for_each_step():
    rng = np.random.default_rng(0)
    x, targets, lengths = rng.standard_normal((4, 3, 2)).astype("f4"), rng.integers(3, size=(4, 3)), np.array([4, 2, 3])
    network, other = Tagger(), Tagger()
    loss, total = network.train_step(TaggedBatch(x, targets, lengths))
    behind = np.arange(4)[:, np.newaxis] >= lengths
    x[behind], targets[behind] = 7, 0
    assert (loss, total) == (other.train_step(TaggedBatch(x, targets, lengths))[0], 9)
    alone = [Tagger() for _ in lengths]
    for b, (length, one) in enumerate(zip(lengths, alone, strict=True)):
        one.train_step(TaggedBatch(x[:length, [b]], targets[:length, [b]], lengths[[b]]), length / total)
    assert network.grads.keys() == other.grads.keys()
    for name, array in network.grads.items():
        np.testing.assert_array_equal(array, other.grads[name])
        summed = sum(np.asarray(one.grads[name]) for one in alone)
        np.testing.assert_allclose(array, summed, rtol=1e-4, atol=1e-6, err_msg=name)
