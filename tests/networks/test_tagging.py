"""The network of taggers: gradients by central differences in float64, and independence of the batch."""

import numpy as np
import pytest

from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.sequence import Batch, StepBatch
from fastrnn.networks.tagging import TaggerNetwork
from fastrnn.tagging.targets import StepTargets
from tests.reference import central_difference

LENGTHS = np.array([3, 0, 4, 1])
ALLOWED = np.array([True, True, False]), np.array([[1, 1, 0], [1, 1, 1], [1, 1, 1]], bool), np.ones(3, bool)


def problem(kind, **options):
    """Return a network in float64, and a batch with one sequence without steps."""
    rng, offsets = np.random.default_rng(0), np.concatenate([[0], LENGTHS.cumsum()])
    series = kind != "softmax"
    values = rng.standard_normal((8, 2)) if series else rng.integers(5, size=8).astype("i4")
    vectors = None if series else rng.standard_normal((5, 3))
    network = TaggerNetwork(
        2, vectors, 3, kind, options, cell="gru", hidden_size=4, num_layers=2, bidirectional=True, dropout=0.0,
        embedding_dropout=0.0, locked_dropout=False, activity_penalty=0.0, temporal_activity_penalty=0.0,
        freeze_embedding=False, random_state=0, n_jobs=1, dtype="float64",
    )  # fmt: skip
    targets = StepTargets(np.array([0, 1, 2, 1, 0, 1, 1, 0]), offsets)
    rows = np.arange(4)
    return network, StepBatch(Sequences(values, offsets), rows, targets[rows], np.array([1.0, 1.0, 0.5, 2.0]))


@pytest.mark.parametrize("weighs_steps", [False, True])
@pytest.mark.parametrize("kind", ["softmax", "crf"])
def test_gradients_by_central_differences(kind, weighs_steps):
    network, batch = problem(kind)
    if weighs_steps:
        batch = batch._replace(weights=np.random.default_rng(1).random(batch.targets.shape))
    loss, total = network.train_step(batch)
    weights = batch.weights if weighs_steps else batch.weights[:, None]
    assert total == pytest.approx((weights * (batch.targets >= 0)).sum())
    assert network.loss(batch) / total == pytest.approx(loss, rel=1e-12)
    rng = np.random.default_rng(2)
    for name, array in network.parameters.items():
        direction = rng.standard_normal(array.shape)
        slope = central_difference(lambda: network.loss(batch) / total, array, direction)
        assert slope == pytest.approx(np.vdot(network.grads[name], direction), rel=1e-5, abs=1e-9), name


@pytest.mark.parametrize("kind", ["softmax", "crf"])
def test_what_is_not_allowed_is_not_decoded(kind):
    network, batch = problem(kind, allowed=ALLOWED)
    network.parameters["output.bias"][...] = np.array([0.0, 0.1, 1.0])
    tags, free = network.decode(batch), problem(kind)[0]
    free.set_arrays(network.get_arrays())
    start, transitions, _ = ALLOWED
    for b, length in enumerate(LENGTHS):
        path = tags[:length, b]
        assert (path >= 0).all()
        assert (tags[length:, b] == -1).all()
        assert length == 0 or (start[path[0]] and transitions[path[:-1], path[1:]].all())
    assert (free.decode(batch) != tags).any()


@pytest.mark.parametrize("kind", ["softmax", "crf"])
def test_predictions_do_not_depend_on_the_batch(kind):
    network, batch = problem(kind)
    p, outputs, tags = network.predict(batch), network.outputs(batch), network.decode(batch)
    for b, length in enumerate(LENGTHS):
        alone = Batch(batch.sequences, np.array([b]))
        np.testing.assert_array_equal(network.predict(alone)[:length, 0], p[:length, b])
        np.testing.assert_array_equal(network.outputs(alone)[:length, 0], outputs[:length, b])
        np.testing.assert_array_equal(network.decode(alone)[:length, 0], tags[:length, b])


@pytest.mark.parametrize("weighs_steps", [False, True])
def test_the_first_sequences_of_a_batch_have_their_own_steps(weighs_steps):
    network, batch = problem("crf")
    if weighs_steps:
        batch = batch._replace(weights=np.ones(batch.targets.shape))
    part = batch.first(2)
    assert part.targets.shape == (2, 3)
    expected = network.train_step(StepBatch(batch.sequences, batch.rows[:2], part.targets, np.ones(2)))
    assert network.train_step(part) == expected
