"""All networks: what the base class promises."""

import copy
import functools
import json
import pickle

import numpy as np
import pytest

from fastrnn import backends, kernels
from fastrnn.estimators.sequences import Sequences
from fastrnn.kernels.sampling import make_choice
from fastrnn.networks.language import LanguageNetwork
from fastrnn.networks.sequence import Batch, MeanEmbeddingNetwork, RecurrentNetwork
from fastrnn.networks.tagging import TaggerNetwork
from fastrnn.tagging.targets import StepTargets
from fastrnn.text.batching import Batch as TextBatch
from fastrnn.text.tokens import END_ID, START_ID

RECURRENT = [f"recurrent.{part}_l0" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
OUTPUT = ["output.weight", "output.bias"]
NAMES = {
    "language": ["embedding.weight", *RECURRENT, *OUTPUT],
    "tied": ["embedding.weight", *RECURRENT, "output.projection", "output.bias"],
    "adaptive": ["embedding.weight", *RECURRENT,
                 *(f"output.{part}" for part in ("head.weight", "head.bias", "tail0.projection", "tail0.weight",
                                                 "tail0.bias"))],
    "sampled": ["embedding.weight", *RECURRENT, *OUTPUT],
    "texts": ["embedding.weight", *RECURRENT, "pooling.weight", "pooling.bias", "pooling.context", *OUTPUT],
    "frozen": [*RECURRENT, *OUTPUT],
    "series": [*RECURRENT, *OUTPUT],
    "mean": ["embedding.weight", "hidden_0.weight", "hidden_0.bias", *OUTPUT],
    "steps": ["embedding.weight", *RECURRENT, *OUTPUT],
    "crf": [*RECURRENT, *OUTPUT, "crf.start_transitions", "crf.end_transitions", "crf.transitions"],
}  # fmt: skip
KINDS = pytest.mark.parametrize("kind", NAMES)
NOISE = 0.4


def language(noise=0.0, softmax="full", tie_weights=False):
    return LanguageNetwork(
        12, 5, 6, dropout=noise, input_dropout=None, output_dropout=None, embedding_dropout=noise, locked_dropout=False,
        recurrent_dropout=noise, tie_weights=tie_weights, softmax=softmax, softmax_cutoffs=(4,), softmax_samples=3,
        counts=np.arange(12), activity_penalty=noise, temporal_activity_penalty=noise, cell="rnn", random_state=0,
        n_jobs=1,
    )  # fmt: skip


def recurrent(vectors, head, noise=0.0, pooling="mean", freeze_embedding=False):
    return RecurrentNetwork(
        2, vectors, 3, head, cell="rnn", hidden_size=6, num_layers=1, bidirectional=False, pooling=pooling,
        dropout=noise, embedding_dropout=noise, locked_dropout=False, activity_penalty=noise,
        temporal_activity_penalty=noise, freeze_embedding=freeze_embedding, random_state=0, n_jobs=1,
    )  # fmt: skip


def averaging(noise=0.0):
    return MeanEmbeddingNetwork(VECTORS, 3, "labels", hidden_layer_sizes=(4,), dropout=noise, embedding_dropout=noise,
                                n_frozen=3, random_state=0, n_jobs=1)  # fmt: skip


def tagger(vectors, head, noise=0.0):
    return TaggerNetwork(
        2, vectors, 3, head, cell="rnn", hidden_size=6, num_layers=1, bidirectional=False, dropout=noise,
        embedding_dropout=noise, locked_dropout=False, activity_penalty=noise, temporal_activity_penalty=noise,
        freeze_embedding=False, random_state=0, n_jobs=1,
    )  # fmt: skip


VECTORS = np.random.default_rng(1).standard_normal((12, 5)).astype("f4")
MAKERS = {
    "language": language,
    "tied": lambda noise=0.0: language(noise, tie_weights=True),
    "adaptive": lambda noise=0.0: language(noise, "adaptive"),
    "sampled": lambda noise=0.0: language(noise, "sampled"),
    "texts": lambda noise=0.0: recurrent(VECTORS, "classes", noise, "attention"),
    "frozen": lambda noise=0.0: recurrent(VECTORS, "classes", noise, freeze_embedding=True),
    "series": lambda noise=0.0: recurrent(None, "values", noise),
    "mean": averaging,
    "steps": lambda noise=0.0: tagger(VECTORS, "softmax", noise),
    "crf": lambda noise=0.0: tagger(None, "crf", noise),
}


def batches(kind):
    """Return a batch of four sequences, and two batches with two of these each."""
    rng = np.random.default_rng(0)
    if kind in ("language", "tied", "adaptive", "sampled"):
        inputs, targets = rng.integers(12, size=(2, 3, 4)).astype("i4")
        return [TextBatch(inputs[:, part], targets[:, part], None, True, 3) for part in parts()]
    lengths = np.array([3, 1, 2, 4])
    values = (
        rng.standard_normal((10, 2)).astype("f4")
        if kind in ("series", "crf")
        else rng.integers(12, size=10).astype("i4")
    )
    sequences = Sequences(values, np.concatenate([[0], lengths.cumsum()]))
    targets = {"series": rng.standard_normal((4, 3)), "mean": rng.integers(2, size=(4, 3)).astype("f4")}
    targets = targets.get(kind, rng.integers(3, size=4))
    weights = np.array([0.5, 1.5, 2, 0], "f4")  # both halves have the same sum
    if kind in ("steps", "crf"):
        targets = StepTargets(rng.integers(3, size=10), sequences.offsets)
        weights[2] = 1.5  # both halves have the same sum over all steps
        return [
            Batch(sequences, rows, targets[rows], weights[rows]) for rows in (np.arange(4)[part] for part in parts())
        ]
    return [Batch(sequences, np.arange(4)[part], targets[part], weights[part]) for part in parts()]


def parts():
    return slice(None), slice(0, 2), slice(2, None)


def gradients(network, batch, **options):
    network.train_step(batch, **options)
    return {name: array.copy() for name, array in network.grads.items()}


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def predictions(network, batch):
    """Return what a network predicts for a batch."""
    return network.predict(batch) if isinstance(batch, Batch) else network.log_probs([batch])[0]


@KINDS
def test_parameters_have_the_names_that_stand_in_files(kind):
    network = MAKERS[kind]()
    assert list(network.parameters) == NAMES[kind]
    assert list(network.grads) == NAMES[kind]
    assert list(network.all_parameters) == ["embedding.weight"] * (kind == "frozen") + NAMES[kind]
    assert network.n_parameters == sum(array.size for array in network.all_parameters.values())
    assert network.nbytes == 4 * network.n_parameters


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind != "sampled"])  # whose loss depends on the batch
def test_two_halves_accumulate_to_the_whole_batch(kind):
    network, (whole, first, second) = MAKERS[kind](), batches(kind)
    loss, total = network.train_step(whole)
    expected = gradients(network, whole)
    assert any(array.any() for array in expected.values())
    results = [network.train_step(first, 0.5), network.train_step(second, 0.5, clear=False)]
    assert [part for _, part in results] == [total / 2, total / 2]
    assert np.mean([part for part, _ in results]) == pytest.approx(loss, rel=1e-5)
    for name, array in network.grads.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)


@KINDS
def test_rows_that_are_not_listed_have_no_gradient(kind):
    network, (_, batch, _) = MAKERS[kind](), batches(kind)
    network.train_step(batch)
    grads, rows = network.grads, network.sparse_rows()
    assert ("embedding.weight" in rows) == (kind not in ("tied", "frozen", "series", "crf"))
    if kind == "mean":  # the first rows are not trained
        assert rows["embedding.weight"].min() >= 3
    for name, used in rows.items():
        others = np.delete(grads[name], used, axis=0)
        assert 0 < len(others) < len(grads[name])
        assert not others[3 * (kind == "mean") :].any()
        assert grads[name][used].any()


@KINDS
def test_training_goes_on_from_its_state_to_the_same_bits(kind):
    network, (batch, *_) = MAKERS[kind](NOISE), batches(kind)
    network.train_step(batch)
    going_on = batch._replace(fresh=False) if isinstance(batch, TextBatch) else batch
    content, arrays = network.training_state()
    content, arrays = json.loads(json.dumps(content)), {name: array.copy() for name, array in arrays.items()}
    assert len(arrays) == isinstance(batch, TextBatch)  # the state of the streams
    expected = [gradients(network, going_on) for _ in range(2)]
    assert any((expected[0][name] != array).any() for name, array in expected[1].items())
    other = MAKERS[kind](NOISE)
    for resumed in (network, other):
        resumed.set_training_state(content, arrays)
        for gradient in expected:
            assert_equal(gradients(resumed, going_on), gradient)


@KINDS
def test_a_copy_without_noise(kind):
    noisy, quiet, (batch, *_) = MAKERS[kind](NOISE), MAKERS[kind](), batches(kind)
    network = noisy.without_noise()
    for name, array in network.all_parameters.items():
        assert array is not noisy.all_parameters[name]
    quiet.set_arrays(network.get_arrays())
    content, _ = network.training_state()
    content["layers"]["output"] = quiet.training_state()[0]["layers"]["output"]  # the same candidates are drawn
    network.set_training_state(content, {})
    assert_equal(gradients(network, batch), gradients(quiet, batch))
    first, second = (gradients(noisy, batch) for _ in range(2))
    assert any((first[name] != array).any() for name, array in second.items())


@KINDS
def test_held_weights_change_nothing(kind):
    network, (batch, *_) = MAKERS[kind](), batches(kind)
    expected, held = predictions(network, batch), network.held_weights()
    with held:
        np.testing.assert_array_equal(predictions(network, batch), expected)
    held.keep()
    np.testing.assert_array_equal(predictions(network, batch), expected)
    if kind != "mean":  # which has nothing to prepare
        with pytest.raises(RuntimeError, match="Nothing can be trained while held_weights is in force"):
            network.train_step(batch)
    held.drop()
    network.train_step(batch)


@KINDS
def test_arrays_of_files(kind):
    network, other, (batch, *_) = MAKERS[kind](), MAKERS[kind](), batches(kind)
    for array in network.parameters.values():
        array += 0.1
    arrays = network.get_arrays()
    assert list(arrays) == [*network.all_parameters, *(["output.counts"] if kind in ("adaptive", "sampled") else [])]
    assert (predictions(other, batch) != predictions(network, batch)).any()
    other.set_arrays(arrays)
    np.testing.assert_array_equal(predictions(other, batch), predictions(network, batch))
    for name, array in other.all_parameters.items():
        assert array is not arrays[name]


@KINDS
def test_copies_train_by_themselves(kind):
    network, (batch, *_) = MAKERS[kind](), batches(kind)
    network.encode_training(batch)  # leaves something to be kept for a backward pass
    for twin in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        expected = gradients(twin, batch)
        for array in twin.parameters.values():
            array.flags.writeable = False
        twin.make_writable()
        for array in twin.parameters.values():
            array += 1
        assert any((array != expected[name]).any() for name, array in gradients(twin, batch).items())
        assert_equal(network.all_parameters, MAKERS[kind]().all_parameters)


@KINDS
def test_a_network_hands_its_device_to_all_layers(kind, monkeypatch):
    for cls in (LanguageNetwork, RecurrentNetwork, MeanEmbeddingNetwork, TaggerNetwork):
        monkeypatch.setitem(globals(), cls.__name__, functools.partial(cls, device="another", precision="high"))
    backends.register("another", kernels)
    try:
        network = MAKERS[kind]()
        assert {(layer.device, layer.precision) for layer in network.layers.values()} == {("another", "high")}
        assert network.backend is backends.backend("another", "high")
    finally:
        backends.register("another", None)


@pytest.mark.parametrize("steps", [2, 3])
def test_drawn_tokens_leave_the_state_of_reading_them(steps):
    network = language()
    state = network.read(network.start(12), np.full((1, 12), START_ID))
    with network.held_weights():
        tokens, (h, recurrent) = network.generate(
            state, np.random.default_rng(1).random((steps, 12)), make_choice(1.0, None, None, 12)
        )
    going_on = np.flatnonzero((tokens != END_ID).all(axis=0))
    assert len(going_on) >= 3
    expected_h, expected = network.read(state, tokens)
    np.testing.assert_allclose(h[going_on], expected_h[going_on], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(recurrent[:, going_on], expected[:, going_on], rtol=1e-5, atol=1e-6)
