import numpy as np
import pytest

from fastrnn import MeanEmbeddingClassifier, RNNClassifier, RNNLanguageModel
from fastrnn.layers import GRU
from fastrnn.utils.arrays import to_array, weights_of
from tests.fakes import Module, Tensor

VALUES = [[1.5, -2.0], [0.25, 3.0]]


@pytest.mark.parametrize("bfloat16", [False, True])
def test_tensors_become_arrays(bfloat16):
    array = to_array(Tensor(VALUES, bfloat16))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, VALUES)
    np.testing.assert_array_equal(weights_of(Module({"weight": VALUES}, bfloat16))["weight"], VALUES)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2], "state_dict must be a mapping of names to arrays, or a module, got list"),
        ({"epoch": None}, r"state_dict\['epoch'\] must be a tensor or an array of numbers, got NoneType"),
        ({"state": {"weight": VALUES}}, r"state_dict\['state'\] must be .*, got dict"),
        ({"name": "model"}, r"state_dict\['name'\] must be .*, got str"),
        ({"ragged": [[1], [1, 2]]}, r"state_dict\['ragged'\] must be .*, got list"),
    ],
)
def test_what_is_no_state_dict_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        weights_of(given)
    with pytest.raises(ValueError, match=message):
        GRU(3, 4).load_state_dict(given)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_layers_take_modules(bfloat16):
    ours, theirs = GRU(3, 4, random_state=0), GRU(3, 4, random_state=1)
    ours.load_state_dict(Module(theirs.state_dict(), bfloat16))
    np.testing.assert_equal(ours.state_dict(), theirs.state_dict())
    ours.load_state_dict(GRU(3, 4, random_state=2))  # a layer is a module too
    np.testing.assert_equal(ours.state_dict(), GRU(3, 4, random_state=2).state_dict())


@pytest.mark.parametrize("bfloat16", [False, True])
def test_models_take_modules(bfloat16):
    rng = np.random.default_rng(0)
    shapes = {"words.weight": (4, 3), "rnn.weight_ih_l0": (4, 3), "rnn.weight_hh_l0": (4, 4), "head.weight": (4, 4),
              "head.bias": (4,)}  # fmt: skip
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    module, tokens = Module(weights, bfloat16), ["a", "b", "<unk>", "</s>"]
    model = RNNLanguageModel.from_torch(module, tokens)
    np.testing.assert_array_equal(
        model.to_torch("words", "rnn", "head")["rnn.weight_hh_l0"], weights["rnn.weight_hh_l0"]
    )
    classifier = RNNClassifier.from_torch(module, ["s", "t", "u", "v"], tokens)
    np.testing.assert_array_equal(classifier.to_torch()["output.weight"], weights["head.weight"])


@pytest.mark.parametrize("bfloat16", [False, True])
def test_word_vectors_may_be_tensors(bfloat16):
    texts, labels, words = ["a b", "b c"] * 2, [0, 1] * 2, ["a", "b"]
    options = {"freeze_embedding": True, "ngram_range": (1, 1), "max_iter": 1}
    for embedding in (
        (words, Tensor(VALUES, bfloat16)),
        (words, Module({"weight": VALUES}, bfloat16)),
        (words, [Tensor(row, bfloat16) for row in VALUES]),
        {word: Tensor(row, bfloat16) for word, row in zip(words, VALUES, strict=True)},
    ):
        model = MeanEmbeddingClassifier(embedding=embedding, **options).fit(texts, labels)
        vectors = model.network_.layers["embedding"].parameters["weight"]
        np.testing.assert_array_equal(vectors[model.vocabulary_.encode(words)], VALUES)
