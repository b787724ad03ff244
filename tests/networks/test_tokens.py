"""Vectors of tokens: gradients of all parts by central differences in float64, and independence of the batch."""

import numpy as np
import pytest

from fastrnn.estimators.tokens import TokenReader
from fastrnn.networks import tokens
from fastrnn.networks.tokens import TokenEncoder, WordEmbedding
from fastrnn.text.tokens import UNK_ID

X = [["The", "dog", "saw", "a", "dog"], ["A", "Dog's"], [], ["the", "dog", "2019", "the"]]
TAGGED = [[(token, token[0], "odd" if i % 2 else "even") for i, token in enumerate(sentence)] for sentence in X]
OPTIONS = {"input": "tokens", "tokenizer": "whitespace", "lowercase": True, "normalize": None, "encoding": "utf-8",
           "max_length": None, "truncation": "end"}  # fmt: skip


def encoder(X=X, char_encoder="rnn", dtype="float64", **options):
    """Return an encoder, and the sequences that it reads."""
    reader, sequences = TokenReader.learn(X, {**OPTIONS, "char_encoder": char_encoder}, 1, None, ["zebra"])
    vectors = np.random.default_rng(0).standard_normal((len(reader.vocabulary), 3))
    given = {"char_embedding_size": 2, "char_hidden_size": 3, "shapes": True, "word_dropout": 0.0,
             "embedding_dropout": 0.0, "freeze_embedding": False, **options}  # fmt: skip
    random = {"random_state": np.random.RandomState(0), "dtype": dtype, "n_jobs": 1}
    return TokenEncoder(vectors, reader, char_encoder=char_encoder, options=random, **given), sequences


def host(layer, array):
    return np.array(layer.backend.to_numpy(array))


PARTS = pytest.mark.parametrize(("char_encoder", "shapes", "data"), [
    ("rnn", True, TAGGED), ("ngrams", True, X), (None, False, X), (None, False, TAGGED),
])  # fmt: skip


@PARTS
def test_gradients_by_central_differences(char_encoder, shapes, data):
    network, sequences = encoder(data, char_encoder, shapes=shapes)
    ids, lengths = sequences.padded(np.array([3, 0, 2]))
    rng = np.random.default_rng(1)
    upstream = rng.standard_normal((5, 3, network.output_size)) * (np.arange(5)[:, None] < lengths)[..., None]

    def loss():
        return (host(network.words, network.forward(ids, sequences.forms)) * upstream).sum()

    network.forward(ids, sequences.forms, training=True)
    network.backward(upstream)
    assert len(network.layers) == 1 + {"rnn": 3, "ngrams": 1, None: 0}[char_encoder] + shapes + 2 * (data is TAGGED)
    for layer_name, layer in network.layers.items():
        for name, array in layer.parameters.items():
            gradient, value = host(layer, layer.grads[name]), host(layer, array)
            assert gradient.any(), (layer_name, name)
            direction, losses = rng.standard_normal(value.shape), []
            for sign in (1, -1):
                layer.backend.assign(array, value + sign * 1e-6 * direction)
                losses.append(loss())
            layer.backend.assign(array, value)
            slope = (losses[0] - losses[1]) / 2e-6
            assert slope == pytest.approx((gradient * direction).sum(), rel=1e-6, abs=1e-8), (layer_name, name)


@PARTS
def test_vectors_do_not_depend_on_the_batch(char_encoder, shapes, data, monkeypatch):
    network, sequences = encoder(data, char_encoder, "float32", shapes=shapes)

    def vectors(rows):
        ids, lengths = sequences.padded(np.array(rows))
        x = host(network.words, network.forward(ids, sequences.forms))
        return [x[:length, b] for b, length in enumerate(lengths)]

    together = vectors([0, 1, 2, 3])
    assert [len(x) for x in together] == [5, 2, 0, 4]
    for row, x in enumerate(together):
        np.testing.assert_array_equal(vectors([row])[0], x)
    monkeypatch.setattr(tokens, "_FORMS", 2)
    for x, again in zip(together, vectors([0, 1, 2, 3]), strict=True):
        np.testing.assert_array_equal(again, x)


def test_rare_words_are_unknown_in_training_as_often_as_said():
    counts = np.array([0, 0, 1, 4])
    layer = WordEmbedding(np.arange(4.0)[:, None], counts, None, 1.0, 0.0, random_state=0)
    ids = np.repeat([2, 3], 2000)
    drawn = host(layer, layer.forward(ids, training=True))[:, 0]
    shares = (drawn == UNK_ID).reshape(2, 2000).mean(axis=1)
    np.testing.assert_allclose(shares, [1 / 2, 1 / 5], atol=0.04)
    state = layer.training_state()
    again = [host(layer, layer.forward(ids, training=True)) for _ in range(2)]
    assert (again[0] != again[1]).any()
    layer.set_training_state(state)
    np.testing.assert_array_equal(host(layer, layer.forward(ids, training=True)), again[0])
    np.testing.assert_array_equal(host(layer, layer.forward(ids))[:, 0], ids)
    layer.remove_noise()
    np.testing.assert_array_equal(host(layer, layer.forward(ids, training=True))[:, 0], ids)


def test_given_vectors_may_be_frozen_and_learned_ones_are_trained():
    layer = WordEmbedding(np.ones((5, 2)), np.ones(5, int), 3, 0.0, 0.0, random_state=0)
    layer.forward(np.array([1, 2, 4]), training=True)
    layer.backward(np.ones((3, 2), "f4"))
    assert layer.sparse_rows()["weight"].tolist() == [1, 2]


def test_wrong_parameters_are_named():
    with pytest.raises(ValueError, match=r"word_dropout must be .*, got -1"):
        encoder(word_dropout=-1)
