"""State dicts in and out; `tests/parity/test_exchange.py` compares with torch itself."""

import numpy as np
import pytest

from fastrnn import RNNClassifier, RNNLanguageModel
from fastrnn.text import SPECIAL_TOKENS

LINES = ["the cat sat on the mat", "the dog sat on the log"] * 5
OPTIONS = {"embedding_size": 5, "hidden_size": 5, "max_iter": 1, "early_stopping": False, "random_state": 0}


@pytest.fixture(scope="module")
def model():
    return RNNLanguageModel("rnn", num_layers=2, **OPTIONS).fit(LINES)


def state_dict(rows=6, embedding="encoder", recurrent="rnn", output="decoder", gates=1, bias=True):
    rng = np.random.default_rng(0)
    shapes = {f"{embedding}.weight": (rows, 3), f"{recurrent}.weight_ih_l0": (gates * 4, 3),
              f"{recurrent}.weight_hh_l0": (gates * 4, 4)}  # fmt: skip
    if bias:
        shapes |= {f"{recurrent}.bias_ih_l0": (gates * 4,), f"{recurrent}.bias_hh_l0": (gates * 4,)}
    shapes |= {f"{output}.weight": (rows, 4), f"{output}.bias": (rows,)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


TOKENS = ["a", "<eos>", "b", "<unk>", "c", "d"]
EOS = {"</s>": "<eos>"}


@pytest.mark.parametrize("tie_weights", [False, True])
def test_there_and_back(tie_weights, tmp_path):
    model = RNNLanguageModel("rnn", num_layers=2, tie_weights=tie_weights, **OPTIONS).fit(LINES)
    weights = model.to_torch(embedding="encoder", recurrent="rnn", output="decoder")
    assert {name.split(".")[0] for name in weights} == {"encoder", "rnn", "decoder"}
    back = RNNLanguageModel.from_torch(weights, model.vocabulary_.tokens, tokenizer="whitespace")
    assert back.vocabulary_ == model.vocabulary_
    assert (back.num_layers, back.hidden_size, back.tie_weights) == (2, 5, tie_weights)
    np.testing.assert_array_equal(back.score_samples(LINES), model.score_samples(LINES))
    weights["encoder.weight"][...] = 0  # a copy
    assert model.network_.embedding.parameters["weight"].any()
    back.save(tmp_path / "model")
    back.partial_fit(LINES)
    loaded = RNNLanguageModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score_samples(LINES), model.score_samples(LINES))


def test_rows_stand_in_the_order_of_the_vocabulary():
    weights = state_dict()
    model = RNNLanguageModel.from_torch(weights, TOKENS, special_tokens=EOS)
    assert model.vocabulary_.tokens == [*SPECIAL_TOKENS, "a", "b", "c", "d"]
    rows = model.network_.embedding.parameters["weight"]
    np.testing.assert_array_equal(rows[[1, 3, 4, 5, 6, 7]], weights["encoder.weight"][[3, 1, 0, 2, 4, 5]])
    proba = model.predict_proba(["a zzz"])[0]
    h, w = np.zeros(4), {name.partition(".")[2]: array.astype(float) for name, array in weights.items()}
    for token in ("<eos>", "a", "<unk>"):
        x = weights["encoder.weight"][TOKENS.index(token)].astype(float)
        h = np.tanh(x @ w["weight_ih_l0"].T + w["bias_ih_l0"] + w["bias_hh_l0"] + h @ w["weight_hh_l0"].T)
    logits = h @ weights["decoder.weight"].T + weights["decoder.bias"]
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(proba[[4, 3, 5, 1, 6, 7]], expected, atol=1e-5)
    assert proba[[0, 2]].tolist() == [0, 0]
    assert np.isfinite(model.score_samples(["a zzz"])).all()


def test_tokens_may_be_a_mapping_to_rows():
    weights, by_row = state_dict(), {token: row for row, token in reversed(list(enumerate(TOKENS)))}
    model = RNNLanguageModel.from_torch(weights, by_row, special_tokens=EOS)
    expected = RNNLanguageModel.from_torch(weights, TOKENS, special_tokens=EOS)
    np.testing.assert_array_equal(model.score_samples(["a b", "d zzz"]), expected.score_samples(["a b", "d zzz"]))


def test_parts_are_found_or_named():
    odd = state_dict(embedding="model.words", recurrent="model.core", output="head")
    first = RNNLanguageModel.from_torch(odd, TOKENS, special_tokens=EOS)
    more = {**odd, "other.weight": np.zeros((2, 2)), "other.bias": np.zeros(2)}
    with pytest.raises(ValueError, match=r"2 keys that end in \.bias: name the part with output=…, one of"):
        RNNLanguageModel.from_torch(more, TOKENS, special_tokens=EOS)
    names = {"embedding": "model.words", "recurrent": "model.core", "output": "head"}
    with pytest.warns(UserWarning, match=r"arrays that are not used: \['other\.bias', 'other\.weight'\]"):
        second = RNNLanguageModel.from_torch(more, TOKENS, special_tokens=EOS, **names)
    np.testing.assert_array_equal(first.score_samples(["a b"]), second.score_samples(["a b"]))
    without = RNNLanguageModel.from_torch(state_dict(bias=False), TOKENS, special_tokens=EOS)
    assert not without.network_.recurrent.parameters["bias_ih_l0"].any()
    assert RNNLanguageModel.from_torch(state_dict(gates=4), TOKENS, special_tokens=EOS).cell == "lstm"
    relu = RNNLanguageModel.from_torch(state_dict(), TOKENS, special_tokens=EOS, cell="rnn_relu")
    assert relu.cell == "rnn_relu"


def changed(**changes):
    weights = {**state_dict(), **changes}
    return {name: array for name, array in weights.items() if array is not None}


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (changed(), {"tokens": TOKENS[1:]}, r"tokens must be as many as rows of embedding\.weight, 6, got 5"),
        (changed(), {"special_tokens": None}, "tokens has no '</s>': say which token ends a sentence"),
        (changed(), {"special_tokens": {"</s>": "<end>"}}, "special_tokens must map .* got </s>: <end>"),
        (changed(), {"special_tokens": {"eos": "<eos>"}}, "special_tokens must map .* got eos: <eos>"),
        (changed(), {"cell": "gru"}, "cell must be one of 'rnn', 'rnn_relu', 'irnn', got 'gru'"),
        (changed(), {"tokens": dict.fromkeys(TOKENS, 0)}, "tokens must map each token to its row, from 0 to 5, got"),
        (changed(), {"output": "head"}, "state_dict has no 'head.weight', got the keys"),
        (changed(**{"rnn.weight_hh_l0": None}), {}, r"state_dict must have rnn\.weight_ih_l0 and rnn\.weight_hh_l0"),
        (changed(**{"rnn.weight_ih_l0": None}), {}, r"state_dict has no keys that end in \.weight_ih_l0"),
        (changed(**{"rnn.weight_ih_l0_reverse": np.zeros(2)}), {}, "state_dict has a second direction in rnn"),
        (changed(**{"rnn.weight_hh_l0": np.zeros((8, 4))}), {}, "must have 1, 3 or 4 times 4 rows, got 8"),
    ],
)
def test_wrong_state_dicts(weights, options, message):
    with pytest.raises(ValueError, match=message):
        RNNLanguageModel.from_torch(weights, **{"tokens": TOKENS, "special_tokens": EOS, **options})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"residual": True}, "residual must be False for torch"),
        ({"zoneout": 0.1}, r"zoneout must be 0\.0 for torch"),
        ({"cell": "gru_simple"}, r"cell must be one of .* for torch, got 'gru_simple'"),
    ],
)
def test_networks_that_torch_has_not(params, message):
    with pytest.raises(ValueError, match=message):
        RNNLanguageModel(**{"cell": "rnn", **params, **OPTIONS}).fit(LINES).to_torch()


def test_projections_of_lstms_there_and_back(tmp_path):
    model = RNNLanguageModel("lstm", proj_size=3, **OPTIONS).fit(LINES)
    back = RNNLanguageModel.from_torch(model.to_torch(), model.vocabulary_.tokens)
    assert (back.hidden_size, back.proj_size) == (5, 3)
    np.testing.assert_array_equal(back.score_samples(LINES), model.score_samples(LINES))
    assert back.sample(2, random_state=0) == model.sample(2, random_state=0)
    back.save(tmp_path / "model")
    loaded = RNNLanguageModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score_samples(LINES), model.score_samples(LINES))
    classifier = RNNClassifier("lstm", proj_size=3, **OPTIONS).fit(LINES, [0, 1] * 5)
    back = RNNClassifier.from_torch(classifier.to_torch(), [0, 1], classifier.vocabulary_.tokens)
    np.testing.assert_array_equal(back.predict_proba(LINES), classifier.predict_proba(LINES))
    with pytest.raises(ValueError, match="proj_size needs a cell that has a state besides h, got 'gru'"):
        RNNClassifier("gru", proj_size=3, **OPTIONS).fit(LINES, [0, 1] * 5)


@pytest.mark.parametrize("softmax", ["full", "sampled"])
def test_projected_and_sampled_softmaxes_become_one_matrix(softmax):
    options = {**OPTIONS, "hidden_size": 6, "tie_weights": True, "softmax": softmax}  # a projection from 6 to 5 units
    model = RNNLanguageModel("rnn", softmax_samples=3, **options).fit(LINES)
    back = RNNLanguageModel.from_torch(model.to_torch(), model.vocabulary_.tokens)
    np.testing.assert_allclose(back.score_samples(LINES), model.score_samples(LINES), rtol=1e-5)
    model = RNNLanguageModel("rnn", **{**options, "tie_weights": False, "softmax": "adaptive"}).fit(LINES)
    with pytest.raises(ValueError, match="softmax must be 'full' or 'sampled' for torch, got 'adaptive'"):
        model.to_torch()


# ----- classifiers --------------------------------------------------------------------------------------------------

CLASSES = ["yes", "no", "perhaps"]


def classifier_weights(embedding=True, directions=1):
    rng = np.random.default_rng(0)
    shapes = {"words.weight": (6, 3)} if embedding else {}
    for end in ("", "_reverse")[:directions]:
        shapes |= {f"rnn.weight_ih_l0{end}": (4, 3), f"rnn.weight_hh_l0{end}": (4, 4),
                   f"rnn.bias_ih_l0{end}": (4,), f"rnn.bias_hh_l0{end}": (4,)}  # fmt: skip
    shapes |= {"head.weight": (3, 4 * directions), "head.bias": (3,)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def slow_outputs(weights, x):
    """Return the softmax of the linear layer on the last outputs of the directions, for vectors (T, D)."""
    last = []
    for end, steps in (("", x), ("_reverse", x[::-1])):
        if f"rnn.weight_ih_l0{end}" in weights:
            ih, hh, *biases = (weights[f"rnn.{name}_l0{end}"].astype(float)
                               for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))  # fmt: skip
            h = np.zeros(4)
            for step in steps:
                h = np.tanh(ih @ step + hh @ h + sum(biases))
            last.append(h)
    logits = weights["head.weight"] @ np.concatenate(last) + weights["head.bias"]
    return np.exp(logits) / np.exp(logits).sum()


@pytest.mark.parametrize("directions", [1, 2])
def test_text_classifiers(directions, tmp_path):
    weights = classifier_weights(directions=directions)
    tokens = ["a", "b", "[UNK]", "c", "d", "e"]
    model = RNNClassifier.from_torch(weights, CLASSES, tokens, special_tokens={"<unk>": "[UNK]"}, pooling="last")
    assert model.classes_.tolist() == ["no", "perhaps", "yes"]
    expected = slow_outputs(weights, weights["words.weight"].astype(float)[[0, 3, 2, 0]])
    np.testing.assert_allclose(model.predict_proba(["a c zzz a"])[0], expected[[1, 2, 0]], atol=1e-5)
    back = model.to_torch(embedding="words", recurrent="rnn", output="head")
    np.testing.assert_array_equal(back["rnn.weight_hh_l0"], weights["rnn.weight_hh_l0"])
    again = RNNClassifier.from_torch(back, model.classes_, model.vocabulary_.tokens, pooling="last")
    np.testing.assert_array_equal(again.predict_proba(["a c zzz a"]), model.predict_proba(["a c zzz a"]))
    model.save(tmp_path / "model")
    loaded = RNNClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(["a c zzz a"]), model.predict_proba(["a c zzz a"]))


def test_series_classifiers():
    weights, x = classifier_weights(embedding=False), np.random.default_rng(1).standard_normal((5, 3))
    model = RNNClassifier.from_torch(weights, CLASSES, pooling="last")
    np.testing.assert_allclose(model.predict_proba([x])[0], slow_outputs(weights, x)[[1, 2, 0]], atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (classifier_weights(False), {"tokens": ["a"]}, "tokens must be None for a module without an embedding"),
        (classifier_weights(False), {"classes": ["a", "b"]}, r"classes must be 3 different ones, got \['a', 'b'\]"),
        (classifier_weights(False), {"classes": ["a", "b", "a"]}, "classes must be 3 different ones"),
        (
            {**classifier_weights(), "head.weight": np.ones((3, 5))},
            {},
            r"head\.weight must have 4 columns, as many numbers as the recurrent layers return, got the shape \(3, 5\)",
        ),
        (
            {**classifier_weights(), "words.weight": np.ones((6, 2))},
            {},
            r"words\.weight must have 3 columns, as many numbers as the recurrent layers read, got the shape \(6, 2\)",
        ),
        (classifier_weights(), {"tokens": ["a"]}, r"tokens must be as many as rows of embedding\.weight, 6, got 1"),
    ],
)
def test_wrong_classifiers(weights, options, message):
    with pytest.raises(ValueError, match=message):
        RNNClassifier.from_torch(weights, **{"classes": CLASSES, **options})


@pytest.mark.parametrize("bidirectional", [False, True])
def test_series_are_standardized_by_the_weights(bidirectional):
    X = 50 + [20, 0.5] * np.random.default_rng(0).standard_normal((6, 5, 2))
    model = RNNClassifier("rnn", input="series", bidirectional=bidirectional, **OPTIONS).fit(X, [0, 1, 2] * 2)
    back = RNNClassifier.from_torch(model.to_torch(), [0, 1, 2])
    np.testing.assert_allclose(back.predict_proba(X), model.predict_proba(X), atol=1e-5)
    assert not back.learned.reader.mean.any()


def test_integer_ids():
    weights, ids = classifier_weights(), [0, 3, 2, 0]
    model = RNNClassifier.from_torch(weights, CLASSES, pooling="last")
    expected = slow_outputs(weights, weights["words.weight"].astype(float)[ids])[[1, 2, 0]]
    np.testing.assert_allclose(model.predict_proba([ids, np.array(ids)]), [expected] * 2, atol=1e-5)
    shuffled = RNNClassifier.from_torch(weights, CLASSES, [30, 10, 20, 0, 50, 40], pooling="last", input="tokens")
    np.testing.assert_allclose(shuffled.predict_proba([[30, 0, 20, 30]])[0], expected, atol=1e-5)


def test_a_single_logit_is_that_of_the_second_class():
    weights = classifier_weights(embedding=False)
    weights |= {"head.weight": weights["head.weight"][:1], "head.bias": weights["head.bias"][:1]}
    x = np.random.default_rng(1).standard_normal((5, 3))
    two = {"head.weight": np.concatenate([np.zeros((1, 4)), weights["head.weight"]]),
           "head.bias": np.append(0, weights["head.bias"])}  # fmt: skip
    p_yes = slow_outputs({**weights, **two}, x)[1]  # the softmax of 0 and the logit
    for classes, column in ((["no", "yes"], 1), (["yes", "no"], 0), ([False, True], 1)):
        model = RNNClassifier.from_torch(weights, classes, pooling="last")
        proba = model.predict_proba([x])[0]
        np.testing.assert_allclose(proba[int(np.flatnonzero(model.classes_ == classes[1])[0])], p_yes, atol=1e-5)
        assert model.classes_.tolist().index(classes[1]) == column
    with pytest.raises(ValueError, match="classes must be 2 different ones, got"):
        RNNClassifier.from_torch(weights, ["yes"])


def test_several_labels_have_a_sigmoid_each():
    weights, x = classifier_weights(embedding=False), np.random.default_rng(1).standard_normal((5, 3))
    model = RNNClassifier.from_torch(weights, None, pooling="last")
    softmax = slow_outputs(weights, x)
    proba = model.predict_proba([x])[0]
    odds = proba / (1 - proba)  # the exponentials of the logits
    np.testing.assert_allclose(odds / odds.sum(), softmax, rtol=1e-4)
    assert model.predict([x]).shape == (1, 3)


def test_outputs_without_a_bias():
    weights = classifier_weights()
    zeros = {"head.bias": np.zeros(3, np.float32)}
    expected = RNNClassifier.from_torch({**weights, **zeros}, CLASSES).predict_proba([[0, 3]])
    del weights["head.bias"]
    np.testing.assert_array_equal(RNNClassifier.from_torch(weights, CLASSES).predict_proba([[0, 3]]), expected)
    alike = {**weights, "words.weight": np.ones((6, 4)), "rnn.weight_ih_l0": np.ones((4, 4))}
    with pytest.raises(ValueError, match=r"2 keys that end in \.weight: name the part with output=…"):
        RNNClassifier.from_torch(alike, CLASSES)
    assert RNNClassifier.from_torch(alike, CLASSES, output="head").hidden_size == 4


def test_classifiers_that_torch_has_not():
    x = np.random.default_rng(1).standard_normal((4, 5, 3))
    for params, message in (
        ({"pooling": "attention"}, "pooling must not be 'attention' for torch"),
        ({"residual": True}, "residual must be False for torch"),
        ({"zoneout": 0.1}, r"zoneout must be 0\.0 for torch"),
    ):
        model = RNNClassifier(**{"cell": "rnn", "input": "series", **params, **OPTIONS}).fit(x, [0, 1, 0, 1])
        model.set_params(residual=False, zoneout=0.0, pooling="max")  # what was fitted counts
        with pytest.raises(ValueError, match=message):
            model.to_torch()
    with pytest.raises(ValueError, match="pooling must be 'last', 'mean' or 'max', got 'attention'"):
        RNNClassifier.from_torch(classifier_weights(False), CLASSES, pooling="attention")
