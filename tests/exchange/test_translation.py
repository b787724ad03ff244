"""What cannot be exchanged of translators; `tests/parity/test_translation.py` runs what can."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fastrnn import RNNTranslator

X, Y = ["a b", "b a"], ["1 2", "2 1"]
OPTIONS = {"hidden_size": 4, "embedding_size": 4, "max_iter": 1, "random_state": 0}


@pytest.fixture(scope="module")
def model():
    return RNNTranslator(**OPTIONS).fit(X, Y)


def test_weights_come_back(model):
    arrays = model.to_torch({"encoder": "rnn", "decoder": "cells", "attention_score": "v"})
    assert arrays["rnn.weight_hh_l0_reverse"].shape == (12, 4)
    assert arrays["cells.0.weight_ih"].shape == (12, 4 + 8)  # the context is fed
    assert arrays["v.weight"].shape == (1, 4)
    names = {"encoder": "rnn", "decoder": "cells", "attention_score": "v"}
    tokens = model.source_vocabulary_.tokens, model.target_vocabulary_.tokens
    back = RNNTranslator.from_torch(arrays, *tokens, names=names, tokenizer="whitespace")
    assert back.predict(X) == model.predict(X)
    np.testing.assert_array_equal(back.score_samples(X, Y), model.score_samples(X, Y))
    of_lists = RNNTranslator.from_torch(arrays, *tokens, names=names, tokenizer=None)
    assert of_lists.predict([text.split() for text in X]) == [text.split() for text in model.predict(X)]
    renamed = {token.replace("</s>", "<eos>"): row for row, token in enumerate(tokens[1])}
    other = RNNTranslator.from_torch(arrays, tokens[0], renamed, special_tokens={"</s>": "<eos>"}, names=names)
    np.testing.assert_array_equal(other.score_samples(X, Y), model.score_samples(X, Y))


def test_biases_may_be_missing(model):
    arrays = model.to_torch()
    tokens = model.source_vocabulary_.tokens, model.target_vocabulary_.tokens
    weights = {name: array for name, array in arrays.items() if "bias" not in name}
    zeros = {name: array if name in weights else np.zeros_like(array) for name, array in arrays.items()}
    scores = [RNNTranslator.from_torch(found, *tokens).score_samples(X, Y) for found in (weights, zeros)]
    np.testing.assert_array_equal(*scores)


def test_a_bias_of_the_memory_is_added_to_that_of_the_query(model):
    arrays = model.to_torch()
    tokens = model.source_vocabulary_.tokens, model.target_vocabulary_.tokens
    bias = arrays.pop("attention_query.bias") + 1
    expected = RNNTranslator.from_torch({**arrays, "attention_query.bias": bias}, *tokens)
    moved = {**arrays, "attention_memory.bias": bias, "attention_score.bias": np.ones(1)}
    np.testing.assert_array_equal(
        RNNTranslator.from_torch(moved, *tokens).score_samples(X, Y), expected.score_samples(X, Y)
    )


def test_models_that_the_others_have_not(tmp_path):
    paths = tmp_path / "a.onnx", tmp_path / "b.onnx"
    with pytest.raises(NotFittedError):
        RNNTranslator().to_onnx(*paths)
    with pytest.raises(NotFittedError):
        RNNTranslator().to_torch()
    model = RNNTranslator(**OPTIONS, zoneout=0.25, residual=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"step must be another file than encoder, got .* for both"):
        model.to_onnx(paths[0], str(paths[0]))
    with pytest.raises(ValueError, match=r"zoneout must be 0 for ONNX, .* got 0\.25"):
        model.to_onnx(*paths)
    with pytest.raises(ValueError, match=r"residual must be False for torch"):
        model.to_torch()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"output.weight": None, "output.bias": None}, "state_dict must have arrays of 'output': say with names"),
        ({"decoder.0.weight_hh": None}, "state_dict must have decoder.0.weight_hh, got"),
        ({"decoder.0.weight_hh": np.ones((10, 4))}, "decoder.0.weight_hh must have 1, 3 or 4 times 4 rows, got 10"),
        ({"encoder.weight_hh_l0": np.ones((15, 5))}, "encoder.weight_hh_l0 must have the shape of decoder.0"),
        ({"embedding.weight": np.ones((5, 4))}, "tokens must be as many as rows of embedding.weight, 5, got 6"),
        ({"bridge_h.0.weight": None}, "state_dict must have bridge_h.0.weight, got"),
    ],
)
def test_weights_of_other_modules(model, change, says):
    arrays = {name: array for name, array in {**model.to_torch(), **change}.items() if array is not None}
    with pytest.raises(ValueError, match=says):
        RNNTranslator.from_torch(arrays, model.source_vocabulary_.tokens, model.target_vocabulary_.tokens)


def test_names_of_other_parts(model):
    with pytest.raises(ValueError, match=r"names must have keys that are one of 'embedding', .*, got 'encodre'"):
        model.to_torch({"encodre": "rnn"})
    tokens = model.source_vocabulary_.tokens, model.target_vocabulary_.tokens
    with pytest.warns(UserWarning, match=r"state_dict has arrays that are not used: \['norm.weight'\]"):
        RNNTranslator.from_torch({**model.to_torch(), "norm.weight": np.ones(3)}, *tokens)
