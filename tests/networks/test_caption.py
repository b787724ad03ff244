"""The network of captioners: gradients by central differences in float64, and what its decoder reads."""

import numpy as np
import pytest

from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.caption import CaptionNetwork
from fastrnn.networks.decoder import PairBatch
from tests.reference import central_difference

REGIONS = np.array([3, 1, 0, 2])
INPUTS = np.array([[1, 1, 1, 1], [4, 5, 0, 4], [6, 0, 0, 5]], "i4")
TARGETS = np.array([[4, 5, 2, 4], [6, 2, -1, 5], [2, -1, -1, 2]], "i4")


def problem(attention, hidden_layer_sizes=(5,), cell="gru", dtype="float64", **options):
    """Return a network, and a batch with one source without regions."""
    random, offsets = np.random.default_rng(0), np.concatenate([[0], REGIONS.cumsum()])
    network = CaptionNetwork(
        2, 7, hidden_layer_sizes=hidden_layer_sizes, attention=attention, cell=cell, embedding_size=3, hidden_size=5,
        num_layers=2, tie_weights=False, label_smoothing=0.0, embedding_dropout=0.0, locked_dropout=False, dtype=dtype,
        random_state=0, n_jobs=1, **{"input_feeding": False, "dropout": 0.0, **options},
    )  # fmt: skip
    sources = Sequences(random.standard_normal((6, 2)).astype("f4"), offsets)
    weights = np.array([1.0, 1.0, 0.5, 2.0])
    return network, PairBatch(sources, np.arange(4), INPUTS, TARGETS, np.array([3, 2, 1, 3]), weights)


@pytest.mark.long
@pytest.mark.parametrize(
    ("attention", "hidden_layer_sizes", "cell"),
    [(None, (5,), "lstm"), ("dot", (4, 5), "gru"), ("additive", (), "gru")],
)
def test_gradients_by_central_differences(attention, hidden_layer_sizes, cell):
    network, batch = problem(attention, hidden_layer_sizes, cell)
    loss, total = network.train_step(batch)
    assert total == pytest.approx(3 + 2 + 0.5 + 6)
    assert network.loss(batch) / total == pytest.approx(loss, rel=1e-12)
    random = np.random.default_rng(2)
    for name, array in network.parameters.items():
        direction = random.standard_normal(array.shape)
        slope = central_difference(lambda: network.loss(batch) / total, array, direction)
        assert slope == pytest.approx(np.vdot(network.grads[name], direction), rel=1e-5, abs=1e-9), name


def test_without_attention_it_reads_the_mean_of_the_regions():
    network, batch = problem(None, ())
    sources = batch.sources
    means = [part.mean(axis=0) for part in (sources.values[:3], sources.values[3:4], sources.values[4:])]
    whole = Sequences(np.array(means), np.arange(4))
    kept = np.array([0, 1, 3])
    targets = INPUTS[:, kept], TARGETS[:, kept], batch.lengths[kept]
    expected = network.log_probs(PairBatch(sources, kept, *targets))
    got = network.log_probs(PairBatch(whole, np.arange(3), *targets))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_token_after_token_is_the_whole_target():
    network, batch = problem("dot", dtype="float32")
    whole, state = network.log_probs(batch), network.start(batch)
    for t, tokens in enumerate(INPUTS):
        log_probs, state = network.advance(state, tokens)
        for b in np.flatnonzero(batch.lengths > t):
            assert log_probs[b, TARGETS[t, b]] == pytest.approx(whole[t, b], rel=1e-5)
    state = network.take(state, np.array([3, 0, 0]))
    np.testing.assert_array_equal(state.sources, [3, 0, 0])
    np.testing.assert_allclose(state.weights.sum(axis=1), 1, rtol=1e-6)
