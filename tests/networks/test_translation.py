"""The network of translators: gradients by central differences in float64, and independence of the batch."""

import numpy as np
import pytest

from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.decoder import PairBatch, ScheduledSampling
from fastrnn.networks.translation import TranslationNetwork
from fastrnn.text.tokens import END_ID, START_ID
from fastrnn.translation.pairs import Pairs
from fastrnn.utils.ragged import offsets_of
from tests.reference import central_difference

SOURCE_LENGTHS, TARGET_LENGTHS = [3, 0, 4, 1], [2, 3, 1, 4]  # a source without tokens; a target with its end alone


def network(**options):
    """Return a network in float64."""
    options = {
        "cell": "gru",
        "num_layers": 1,
        "bidirectional": True,
        "attention": "additive",
        "input_feeding": False,
        "tie_weights": False,
        "share_embedding": False,
        "dropout": 0.0,
        **options,
    }
    return TranslationNetwork(
        7,
        7 if options["share_embedding"] else 6,
        embedding_size=3,
        hidden_size=4,
        label_smoothing=0.0,
        embedding_dropout=0.0,
        locked_dropout=False,
        random_state=0,
        n_jobs=1,
        dtype="float64",
        **options,
    )


def pairs():
    """Return pairs of random ids."""
    rng = np.random.default_rng(0)
    sources = Sequences(rng.integers(1, 7, sum(SOURCE_LENGTHS), dtype=np.int32), offsets_of(SOURCE_LENGTHS))
    offsets = offsets_of(TARGET_LENGTHS)
    ids = rng.integers(4, 6, offsets[-1], dtype=np.int32)
    ids[offsets[1:] - 1] = END_ID
    return Pairs(sources, Sequences(ids, offsets), np.array([1, 2, 0.5, 1], np.float32), np.arange(4))


CASES = {
    "additive": {},
    "additive, fed": {"input_feeding": True},
    "general, fed, two layers": {"attention": "general", "input_feeding": True, "num_layers": 2},
    "dot, lstm, two layers": {"attention": "dot", "cell": "lstm", "num_layers": 2, "residual": True},
    "general, one direction, tied": {
        "attention": "general",
        "bidirectional": False,
        "tie_weights": True,
        "share_embedding": True,
    },
    "no attention, two layers": {"attention": None, "num_layers": 2, "tie_weights": True},
}


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_gradients_by_central_differences(case):
    net, batch = network(**CASES[case]), pairs().batch(np.arange(4))
    loss, total = net.train_step(batch)
    assert total == pytest.approx((batch.weights * TARGET_LENGTHS).sum())
    assert net.loss(batch) / total == pytest.approx(loss, rel=1e-12)
    rng = np.random.default_rng(2)
    for name, array in net.parameters.items():
        direction = rng.standard_normal(array.shape)
        slope = central_difference(lambda: net.loss(batch) / total, array, direction)
        assert slope == pytest.approx(np.vdot(net.grads[name], direction), rel=1e-5, abs=1e-9), name


@pytest.mark.parametrize("case", ["additive, fed", "general, one direction, tied"])
def test_a_table_of_few_tokens_gives_the_gradients_of_their_vectors(case, monkeypatch):
    nets, batch = [network(**CASES[case]) for _ in range(2)], pairs().batch(np.arange(4))
    loss, _ = nets[0].train_step(batch)
    monkeypatch.setattr("fastrnn.networks.decoder._OCCURRENCES", np.inf)
    assert nets[1].train_step(batch)[0] == pytest.approx(loss, rel=1e-12)
    for name, gradient in nets[0].grads.items():
        np.testing.assert_allclose(gradient, nets[1].grads[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_shared_embedding_is_one_parameter():
    net = network(**CASES["general, one direction, tied"])
    assert not {"target_embedding.weight", "output.weight"} & set(net.parameters)
    assert net.embedding.parameters["weight"] is net.target_embedding.parameters["weight"]


@pytest.mark.parametrize("case", CASES)
def test_predictions_do_not_depend_on_the_batch(case):
    net, every = network(**CASES[case]), pairs()
    batch = every.batch(np.arange(4))
    log_probs, summaries = net.log_probs(batch), net.summaries(batch)
    for b, length in enumerate(TARGET_LENGTHS):
        alone = every.batch(np.array([b]))
        np.testing.assert_array_equal(net.log_probs(alone)[:length, 0], log_probs[:length, b])
        np.testing.assert_array_equal(net.summaries(alone)[0], summaries[b])


@pytest.mark.parametrize("case", CASES)
def test_steps_give_the_probabilities_of_a_whole_target(case):
    net, every = network(**CASES[case]), pairs()
    batch = every.batch(np.arange(4))
    log_probs = net.log_probs(batch)
    weights = None if net.decoder.attention is None else net.attend(batch)
    for b, length in enumerate(TARGET_LENGTHS):
        rows = np.array([b, 2, b])  # several sequences may have the same source
        state = net.take(net.start(PairBatch(every.sequences, np.arange(4))), rows)
        tokens = [START_ID, *batch.targets[:length, b]]
        with net.held_weights():
            for t in range(length):
                following, state = net.advance(state, np.full(3, tokens[t]))
                assert following.shape == (3, net.target_embedding.num_embeddings)
                assert np.exp(following).sum(axis=1) == pytest.approx(1)
                assert following[[0, 2], tokens[t + 1]] == pytest.approx(log_probs[t, b], rel=1e-9)
                if weights is not None:
                    assert state.weights[2] == pytest.approx(weights[t, b], rel=1e-9)
                state = net.take(state, np.array([0, 1, 2]))


def test_the_first_pairs_of_a_batch_are_a_batch():
    net, every = network(), pairs()
    part = every.batch(np.arange(4)).first(2)
    assert part.extent == (2, 4)
    assert net.train_step(part) == net.train_step(
        PairBatch(part.sources, part.rows, part.inputs, part.targets, part.lengths, part.weights)
    )
    assert PairBatch(every.sequences, np.arange(4)).first(3).extent == (3, 4)


def test_sampled_inputs_are_predictions_of_the_step_before():
    net, batch = network(), pairs().batch(np.arange(4))
    net.sampling = ScheduledSampling(0.9, n_passes=1, seed=0)
    state = net._begin(net.encode_sources(batch))
    predicted = net.head.best(net._read_targets(batch, state)[0])
    np.testing.assert_array_equal(net._with_predictions(batch, state), batch.inputs)  # at first the true ones
    inputs = net._with_predictions(batch, state)
    assert (inputs[0] == START_ID).all()
    replaced = inputs != batch.inputs
    assert replaced.any()
    np.testing.assert_array_equal(inputs[1:][replaced[1:]], predicted[:-1][replaced[1:]])


def test_scheduled_sampling_goes_on_where_a_checkpoint_was_written():
    batch, nets = pairs().batch(np.arange(4)), [network(), network()]
    for net in nets:
        net.sampling = ScheduledSampling(0.9, n_passes=5, seed=0)
    for _ in range(3):
        nets[0].train_step(batch)
    nets[1].set_training_state(*nets[0].training_state())
    assert nets[0].train_step(batch) == nets[1].train_step(batch)
    assert nets[0].train_step(batch) != nets[1].without_noise().train_step(batch)


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_parts_of_a_batch_add_up(case):
    net, every = network(**CASES[case]), pairs()
    _, total = net.train_step(every.batch(np.arange(4)))
    whole = {name: np.array(array) for name, array in net.grads.items()}
    for n, rows in enumerate(([2, 0], [3], [1])):  # in another order, and with other padding
        part = every.batch(np.array(rows))
        net.train_step(part, scale=float((part.weights * part.lengths).sum()) / total, clear=n == 0)
    for name, array in net.grads.items():
        np.testing.assert_allclose(np.array(array), whole[name], rtol=1e-9, atol=1e-12, err_msg=name)
