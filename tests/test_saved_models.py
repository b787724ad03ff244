"""What a damaged, foreign or incomplete file says, for every model that can be saved."""

import numpy as np
import pytest
from sklearn.base import clone

import fastrnn
from fastrnn import (
    CacheLanguageModel,
    CRFTagger,
    DynamicEvaluation,
    InterpolatedLanguageModel,
    MeanEmbeddingClassifier,
    NeuralCacheLanguageModel,
    NGramLanguageModel,
    RNNCaptioner,
    RNNClassifier,
    RNNLanguageModel,
    RNNRegressor,
    RNNStepRegressor,
    RNNTagger,
    RNNTranslator,
    persistence,
)

HALF = "\ud83d"  # the first half of an emoji that was cut: nothing that UTF-8 can hold
LINES = [f"the cat sat on the mat {HALF}", "the dog sat on the log"] * 5
LABELS = [f"cat {HALF}", "dog"] * 5
TOKENS = [line.split()[-6:] for line in LINES]
TAGS = [[HALF if token == HALF else "word" for token in tokens] for tokens in TOKENS]
SERIES = [[[float(step), float(i)] for step in range(3)] for i in range(5)]
X = {
    "RNNTagger": TOKENS,
    "CRFTagger": TOKENS,
    "RNNStepRegressor": SERIES,
    "RNNCaptioner": SERIES,
}  # of the models that do not read lines
Y = {"RNNLanguageModel": None, "RNNRegressor": [1.0, 2.5] * 5, "RNNTagger": TAGS}  # where they are not `LABELS`


def _models():
    network = RNNLanguageModel("rnn", 5, 5, max_iter=1, random_state=0).fit(LINES)
    shared = {"vocabulary": network.vocabulary_}
    ngrams = NGramLanguageModel(2, smoothing="add_k", **shared).fit(LINES)
    cache = CacheLanguageModel(**shared).fit()
    models = [
        network,
        ngrams,
        cache,
        InterpolatedLanguageModel([ngrams, network, cache], [0.5, 0.3, 0.2]).fit(),
        NeuralCacheLanguageModel(network),
        DynamicEvaluation(network, rule="rms").fit(LINES),
        RNNClassifier("rnn", 5, 5, max_iter=1, bidirectional=False, random_state=0).fit(LINES, LABELS),
        RNNRegressor("rnn", 5, 5, max_iter=1, bidirectional=False, random_state=0).fit(LINES, [1.0, 2.5] * 5),
        MeanEmbeddingClassifier(5, n_buckets=20, max_iter=1, random_state=0).fit(LINES, LABELS),
        CRFTagger().fit(TOKENS, TAGS),
        RNNStepRegressor("rnn", 5, max_iter=1, bidirectional=False, random_state=0).fit(SERIES, SERIES),
        RNNTagger("rnn", 5, 5, max_iter=1, char_encoder="ngrams", random_state=0).fit(TOKENS, TAGS),
        RNNTranslator("rnn", 5, 5, max_iter=1, random_state=0).fit(LINES, LABELS),
        RNNCaptioner("rnn", 5, 5, max_iter=1, random_state=0).fit(SERIES, LINES[: len(SERIES)]),
    ]
    return {type(model).__name__: model for model in models}


@pytest.fixture(scope="module")
def models():
    return _models()


@pytest.fixture(params=["RNNLanguageModel", "NGramLanguageModel", "CacheLanguageModel", "InterpolatedLanguageModel",
                        "NeuralCacheLanguageModel", "DynamicEvaluation", "RNNClassifier", "RNNRegressor",
                        "MeanEmbeddingClassifier", "RNNTagger", "CRFTagger", "RNNStepRegressor",
                        "RNNTranslator", "RNNCaptioner"])  # fmt: skip
def model(request, models):
    return models[request.param]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def test_every_model_is_tested(models):
    assert {name for name in fastrnn.__all__ if hasattr(getattr(fastrnn, name), "load")} - {"Vocabulary"} == set(models)


def test_whole_files_come_back(model, path):
    model.save(path)
    method = "score_samples" if hasattr(model, "perplexity") else "predict"
    lines = X.get(type(model).__name__, LINES)
    expected = getattr(model, method)(lines)
    for loaded in (type(model).load(path), fastrnn.load(path), fastrnn.load(str(path), verify=False)):
        assert type(loaded) is type(model)
        if hasattr(model, "vocabulary_"):
            assert HALF in loaded.vocabulary_
            assert loaded.vocabulary_ == model.vocabulary_
        np.testing.assert_array_equal(getattr(loaded, method)(lines), expected)


@pytest.mark.parametrize("name", ["RNNLanguageModel", "RNNClassifier", "RNNRegressor", "MeanEmbeddingClassifier",
                                  "RNNTagger"])  # fmt: skip
def test_a_checkpoint_holds_whatever_is_learned(models, name, path):
    for _ in range(2):
        model = clone(models[name]).fit(X.get(name, LINES), Y.get(name, LABELS), checkpoint=path)
        assert model.loss_curve_ == models[name].loss_curve_
        assert model.vocabulary_ == models[name].vocabulary_


def test_what_is_written_is_that_of_the_model_itself(models):
    expected = models["RNNLanguageModel"].sample(2, random_state=0)
    assert models["DynamicEvaluation"].sample(2, random_state=0) == expected


def test_wrong_class(model, models, path):
    model.save(path)
    name = type(model).__name__
    for other in models.values():
        if other is not model:
            with pytest.raises(
                ValueError, match=rf"model holds a {name}, not a {type(other).__name__}: use {name}\.load"
            ):
                type(other).load(path)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("RNNLanguageModel checkpoint", r"a checkpoint, which fit\(checkpoint=…\) reads"),
        ("Vocabulary", "a Vocabulary"),
        ("MyClassifier", "a MyClassifier"),
        ("__version__", "a __version__"),
        ("load", "a load"),
        ("compare_language_models", "a compare_language_models"),
    ],
)
def test_only_models_of_the_package_are_loaded_by_the_name_in_the_file(path, name, what):
    persistence.save_model(path, name, {}, {}, {})
    with pytest.raises(ValueError, match=rf"model holds no model of a class of fastrnn, but {what}\."):
        fastrnn.load(path)


@pytest.mark.parametrize("content", [b"", b"no model", bytes(range(256)) * 4])
def test_what_is_no_model_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="model is no saved model, or it is damaged"):
        fastrnn.load(path)
    with pytest.raises(FileNotFoundError, match="nothing"):
        fastrnn.load(path.with_name("nothing"))


def test_an_arpa_file_is_named(models, path):
    models["NGramLanguageModel"].to_arpa(path)
    with pytest.raises(ValueError, match=r"model is an ARPA file: NGramLanguageModel\.from_arpa reads it"):
        fastrnn.load(path)


def test_newer_format(model, path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(persistence, "_FORMAT_VERSION", 99)
        model.save(path)
    for load in (type(model).load, fastrnn.load):
        with pytest.raises(ValueError, match=r"model has version 99 of the file format, this fastrnn reads 1\."):
            load(path)


def test_flipped_bytes(model, path):
    model.save(path)
    content = path.read_bytes()
    header = 8 + len(content[8 : 8 + int.from_bytes(content[:8], "little")].rstrip())  # behind it: spaces
    places = [*range(header), *range(8 + int.from_bytes(content[:8], "little"), len(content))]
    for place in places[:: 1 + len(places) // 50]:
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        for load in (type(model).load, fastrnn.load):
            with pytest.raises(ValueError, match=r"model is (no saved model|no model saved by fastrnn|damaged)"):
                load(path)


def test_missing_tensors(model, path):
    name = type(model).__name__
    model.save(path)
    params, content, arrays = persistence.load_model(path, name)
    assert bool(arrays) == (name != "CacheLanguageModel")
    for key in arrays:
        if key.endswith("text"):  # of n-gram models: what `partial_fit` alone needs
            continue
        # A file that is whole, but for this; one that was cut out of a whole file is damaged (see above).
        rest = {other: array for other, array in arrays.items() if other != key}
        persistence.save_model(path, name, params, content, rest)
        with pytest.raises(ValueError, match=f"model does not hold a valid {name}: .*{key.rpartition('.')[2]}"):
            type(model).load(path)
