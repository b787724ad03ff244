import numpy as np
import pytest

from fastrnn import RNNClassifier, RNNLanguageModel, RNNRegressor
from fastrnn.exchange import from_keras, to_keras
from fastrnn.layers import GRU, LSTM, RNN, Recurrent
from tests import reference_keras

LAYERS = {
    "rnn": (RNN, {}, reference_keras.simple_rnn),
    "rnn_relu": (RNN, {"nonlinearity": "relu"}, lambda *args: reference_keras.simple_rnn(*args, lambda z: z * (z > 0))),
    "lstm": (LSTM, {}, reference_keras.lstm),
    "gru": (GRU, {}, reference_keras.gru),
    "gru, reset before": (GRU, {"reset_after": False}, reference_keras.gru),
}


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((6, 3))


def random_weights(layer):
    """Return weights of the shapes that Keras has, all of them random."""
    rng = np.random.default_rng(1)
    return [rng.uniform(-0.9, 0.9, weight.shape) for weight in to_keras(layer)]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_compute_what_the_formulas_of_keras_say(name, x):
    cls, options, formula = LAYERS[name]
    layer = cls(3, 4, num_layers=2, bidirectional=True, random_state=0, **options)
    weights = random_weights(layer)
    from_keras(layer, weights)
    first = reference_keras.bidirectional(formula, x, weights[:3], weights[3:6])
    second = reference_keras.bidirectional(formula, first, weights[6:9], weights[9:])
    np.testing.assert_allclose(layer.forward(x[:, None])[0][:, 0], second, atol=1e-5)
    for weight, back in zip(weights, to_keras(layer), strict=True):
        np.testing.assert_allclose(back, weight, rtol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_shapes_are_those_of_keras(name):
    cls, options, _ = LAYERS[name]
    layer = cls(3, 4, random_state=0, **options)
    gates = len(layer.cell.gates)
    bias = (2, 12) if name == "gru" else (4 * gates,)
    assert [weight.shape for weight in to_keras(layer)] == [(3, 4 * gates), (4, 4 * gates), bias]
    assert len(to_keras(cls(3, 4, bias=False, random_state=0, **options))) == 2


def test_a_layer_of_keras_is_taken_too():
    class KerasLayer:
        def get_weights(self):
            return random_weights(layer)

    layer = GRU(3, 4, random_state=0)
    from_keras(layer, KerasLayer())
    for weight, expected in zip(to_keras(layer), random_weights(layer), strict=True):
        np.testing.assert_array_equal(weight, expected.astype(np.float32))


def test_learned_initial_states_stay():
    layer = GRU(3, 4, learn_initial_state=True, random_state=0)
    layer.parameters["initial_h"][...] = 2
    from_keras(layer, random_weights(layer))
    assert (layer.parameters["initial_h"] == 2).all()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Recurrent("mgu", 3, 4), "Keras has no layer with the cell 'mgu': only with rnn"),
        (LSTM(3, 4, proj_size=2), "Keras has no recurrent layer with a projection"),
        (GRU(3, 4, zoneout=0.1), "Keras has no recurrent layer with zoneout"),
        (RNN(4, 4, 2, residual=True), "Keras has no recurrent layer with residual connections"),
    ],
)
def test_layers_that_keras_has_not(layer, message):
    with pytest.raises(ValueError, match=message):
        to_keras(layer)
    with pytest.raises(ValueError, match=message):
        from_keras(layer, [])


def test_wrong_shapes_change_nothing():
    layer = RNN(3, 4, random_state=0)
    before = layer.state_dict()
    weights = to_keras(layer)
    for wrong in (weights[:2], [weights[1], weights[0], weights[2]]):
        with pytest.raises(ValueError, match=r"weights must have the shapes \[\(3, 4\), \(4, 4\), \(4,\)\], got"):
            from_keras(layer, wrong)
    np.testing.assert_equal(layer.state_dict(), before)


# ----- language models ----------------------------------------------------------------------------------------------


def weights_of_a_language_model(name):
    cls, options, _ = LAYERS[name]
    rng = np.random.default_rng(2)
    layers = random_weights(cls(3, 4, random_state=0, **options)) + random_weights(cls(4, 4, random_state=0, **options))
    return [rng.standard_normal((4, 3)), *layers, rng.standard_normal((4, 4)), rng.standard_normal(4)]


TOKENS = ["the", "a", ".", "cat"]


def test_language_models():
    weights = weights_of_a_language_model("rnn")
    model = RNNLanguageModel.from_keras(weights, TOKENS, special_tokens={"</s>": "."})
    h = weights[0][[2, 0, 3]]  # what was before, "the", "cat"
    for k in (1, 4):
        h = reference_keras.simple_rnn(h, *weights[k : k + 3])
    logits = h[-1] @ weights[-2] + weights[-1]
    expected = np.exp(logits) / np.exp(logits).sum()
    proba = model.predict_proba(["the cat"])[0]
    np.testing.assert_allclose(proba[model.vocabulary_.encode(["the", "a", "</s>", "cat"])], expected, atol=1e-5)
    assert proba[:3].sum() < 1e-30
    with pytest.raises(ValueError, match=r"weights must be those of .* 6, 9, … arrays, got 8"):
        RNNLanguageModel.from_keras(weights[:-1], TOKENS)
    with pytest.raises(ValueError, match=r"weights\[2\] must have 1, 3 or 4 times 4 columns, got 8"):
        RNNLanguageModel.from_keras([*weights[:2], np.zeros((4, 8)), *weights[3:]], TOKENS)


@pytest.mark.parametrize(
    ("name", "cell"), [("rnn", "rnn"), ("gru", "gru"), ("gru, reset before", "gru_reset_before"), ("lstm", "lstm")]
)
def test_language_models_there_and_back(name, cell):
    weights = weights_of_a_language_model(name)
    model = RNNLanguageModel.from_keras(weights, TOKENS, special_tokens={"</s>": "."})
    assert (model.cell, model.num_layers, model.embedding_size, model.hidden_size) == (cell, 2, 3, 4)
    back = model.to_keras()
    place = model.vocabulary_.encode(["the", "a", "</s>", "cat"])
    np.testing.assert_allclose(back[0][place], weights[0], rtol=1e-6)
    np.testing.assert_allclose(back[-2][:, place], weights[-2], rtol=1e-6)
    for ours, theirs in zip(back[1:-2], weights[1:-2], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


# ----- classifiers and regressors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_bidirectional_classifiers(name, x):
    cls, options, formula = LAYERS[name]
    layer = cls(3, 4, num_layers=2, bidirectional=True, random_state=0, **options)
    rng = np.random.default_rng(2)
    weights = [*random_weights(layer), rng.standard_normal((8, 3)), rng.standard_normal(3)]
    model = RNNClassifier.from_keras(weights, ["b", "a", "c"], pooling="mean")
    first = reference_keras.bidirectional(formula, x, weights[:3], weights[3:6])
    second = reference_keras.bidirectional(formula, first, weights[6:9], weights[9:12])
    logits = second.mean(axis=0) @ weights[-2] + weights[-1]
    expected = (np.exp(logits) / np.exp(logits).sum())[[1, 0, 2]]
    np.testing.assert_allclose(model.predict_proba([x])[0], expected, atol=1e-5)
    for back, weight in zip(model.to_keras()[:12], weights, strict=False):
        np.testing.assert_allclose(back, weight, rtol=1e-6)


def test_texts_of_classifiers():
    rng = np.random.default_rng(2)
    weights = [
        rng.standard_normal((5, 3)),
        *random_weights(RNN(3, 4)),
        rng.standard_normal((4, 1)),
        rng.standard_normal(1),
    ]
    model = RNNClassifier.from_keras(weights, ["no", "yes"], pooling="last")
    h = reference_keras.simple_rnn(weights[0][[2, 0, 4]], *weights[1:4])[-1]
    expected = 1 / (1 + np.exp(-(h @ weights[-2] + weights[-1])))  # the sigmoid of the only output
    np.testing.assert_allclose(model.predict_proba([[2, 0, 4]])[0, 1], expected[0], atol=1e-5)
    np.testing.assert_allclose(model.to_keras()[0][4:], weights[0], rtol=1e-6)
    with pytest.raises(ValueError, match=r"weights must be those of an Embedding \(of texts\), .* arrays, got 7"):
        RNNClassifier.from_keras([*weights, 1], ["no", "yes"])


def test_regressors(x):
    X, y = 20 + 3 * np.random.default_rng(0).standard_normal((6, 5, 3)), np.arange(6) * 100.0
    options = {"hidden_size": 4, "max_iter": 1, "random_state": 0}
    for targets in (y, np.stack([y, -y], axis=1)):
        model = RNNRegressor("rnn", input="series", **options).fit(X, targets)
        for back in (RNNRegressor.from_keras(model.to_keras()), RNNRegressor.from_torch(model.to_torch())):
            assert back.predict(X).shape == targets.shape
            np.testing.assert_allclose(back.predict(X), model.predict(X), rtol=1e-4)


def test_classifiers_that_keras_has_not(x):
    labels, options = [0, 1], {"hidden_size": 4, "input": "series", "max_iter": 1}
    for params, message in (
        ({"cell": "rnn", "pooling": "attention"}, "pooling must not be 'attention' for Keras"),
        ({"cell": "rnn", "zoneout": 0.1}, "Keras has no recurrent layer with zoneout"),
    ):
        with pytest.raises(ValueError, match=message):
            RNNClassifier(**params, **options).fit([x, -x], labels).to_keras()
