"""Files that earlier versions wrote are read, and models say what they said then: see `tests.saved_models.write`."""

import json
import shutil

import numpy as np
import pytest

import fastrnn
from fastrnn import NGramLanguageModel, Vocabulary
from tests.saved_models import write

FOLDER, EXPECTED = write.FOLDER, json.loads(write.EXPECTED.read_text())
INPUTS, MODELS, OTHERS = EXPECTED["inputs"], EXPECTED["models"], EXPECTED["others"]
CHECKPOINTS = EXPECTED["checkpoints"]

pytestmark = pytest.mark.filterwarnings("ignore:.* are longer than max_length")


def load(name):
    return fastrnn.load(FOLDER / f"{name}.safetensors")


def assert_says(model, asked, expected):
    said = write.results(model, asked, INPUTS)
    for name, values in expected.items():
        if np.asarray(values).dtype.kind == "f":  # another machine may add up in another order
            np.testing.assert_allclose(said[name], values, rtol=1e-5, atol=1e-7, err_msg=name)
        else:
            assert said[name] == values, name


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_what_it_said_when_it_was_written(name):
    expected, model = MODELS[name], load(name)
    assert type(model).__name__ == expected["class"]
    params = {name: getattr(model, name) for name in expected["params"]}
    assert json.loads(json.dumps(params)) == expected["params"]
    if expected["tokens"] is not None:
        assert model.vocabulary_.tokens == expected["tokens"]
    assert_says(model, expected["asked"], expected["results"])


def test_there_is_a_model_of_every_class_that_can_be_saved():
    classes = {name for name in fastrnn.__all__ if hasattr(getattr(fastrnn, name), "save")} - {"Vocabulary"}
    assert {expected["class"] for expected in MODELS.values()} == classes


@pytest.mark.parametrize(
    ("name", "inputs", "y"),
    [
        ("lm_sampled", "sentences", None),
        ("classifier_series", "series", [True, False]),
        ("means_integers", "ids", [10, 30]),
    ],
)
def test_a_network_goes_on_learning(name, inputs, y):
    model, X = load(name), INPUTS[inputs]
    method = "predict_proba" if y else "score_samples"
    before = getattr(model, method)(X)
    after = getattr(model.partial_fit(X, y), method)(X)
    assert np.isfinite(after).all()
    assert (abs(after - before) > 1e-5).all()


def test_ngrams_go_on_learning():
    model, text = load("ngram_jelinek_mercer"), OTHERS["ids.npy"]["text"]
    whole = NGramLanguageModel(**model.get_params()).fit(text + INPUTS["sentences"])
    model.partial_fit(INPUTS["sentences"])
    assert model.vocabulary_ == whole.vocabulary_
    np.testing.assert_array_equal(model.score_samples(text), whole.score_samples(text))


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_no_model(name):
    with pytest.raises(ValueError, match=r"a checkpoint, which fit\(checkpoint=…\) reads"):
        load(name)


@pytest.mark.parametrize("name", [name for name in CHECKPOINTS if "no_masks" not in name])
def test_a_checkpoint_with_masks_of_an_older_version_is_refused(name, tmp_path):
    model, data, path, _ = interrupted(name, tmp_path)
    with pytest.raises(ValueError, match=r"was written by an older version of fastrnn, .* remove the file to start"):
        model.fit(*data, checkpoint=path)
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("name", [name for name in CHECKPOINTS if "no_masks" in name])
def test_a_checkpoint_without_masks_goes_on_to_the_same_end(name, tmp_path, caplog):
    model, data, path, expected = interrupted(name, tmp_path)
    model.set_params(verbose=1).fit(*data, checkpoint=path)
    assert "continues from" in caplog.text
    assert_says(model, expected["asked"], expected["results"])


def interrupted(name, folder):
    """Return a model, the data and a copy of the checkpoint of its training, and what is expected of it."""
    expected = CHECKPOINTS[name]
    model = getattr(fastrnn, expected["class"])(**expected["params"])
    path = shutil.copy(FOLDER / f"{name}.safetensors", folder)
    return model, expected["data"], path, expected


def test_vocabulary():
    expected = OTHERS["vocabulary.json"]
    vocabulary = Vocabulary.load(FOLDER / "vocabulary.json")
    assert vocabulary.tokens == expected["tokens"]
    assert (vocabulary.min_count, vocabulary.max_size) == (expected["min_count"], expected["max_size"])


@pytest.mark.parametrize("name", ["ngrams.arpa", "ngrams.arpa.gz"])
def test_arpa_file(name):
    model = NGramLanguageModel.from_arpa(FOLDER / name, tokenizer="words")
    assert_says(model, OTHERS[name]["asked"], OTHERS[name]["results"])


def test_token_file():
    expected = OTHERS["ids.npy"]
    ids = np.load(FOLDER / "ids.npy")
    words = " </s> ".join(expected["text"]).split()
    assert Vocabulary.from_tokens(expected["tokens"]).decode(ids) == [*words, "</s>"]
