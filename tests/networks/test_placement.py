"""Fitted models that move to another device, which is the one of `tests.numpy_backend` here."""

import pickle

import numpy as np
import pytest

import fastrnn
from fastrnn import (
    InterpolatedLanguageModel,
    MeanEmbeddingClassifier,
    NeuralCacheLanguageModel,
    NGramLanguageModel,
    RNNClassifier,
    RNNLanguageModel,
    RNNRegressor,
    backends,
)
from tests import numpy_backend
from tests.numpy_backend.opaque import Opaque

pytestmark = pytest.mark.cpu  # both devices in each test

TEXTS = ["a fine film", "a dull film", "what a fine day", "dull", "it was a long and dull day", "fine fine fine"]
SERIES = [np.arange(6.0).reshape(3, 2), np.ones((5, 2)), np.arange(4.0).reshape(2, 2) - 2]
SIZES = {"hidden_size": 6, "max_iter": 2, "random_state": 0}


@pytest.fixture(autouse=True)
def elsewhere():
    backends.register("elsewhere", numpy_backend)
    yield
    backends.register("elsewhere", None)


def fit_language_model(**options):
    return RNNLanguageModel(embedding_size=6, early_stopping=False, **SIZES, **options).fit(TEXTS)


MODELS = {
    "tied": (lambda: fit_language_model(tie_weights=True, dropout=0.2, num_layers=2), TEXTS, None),
    "projected": (lambda: fit_language_model(cell="gru", embedding_dropout=0.2, softmax="sampled", softmax_samples=3),
                  TEXTS, None),
    "adaptive": (lambda: fit_language_model(softmax="adaptive", softmax_cutoffs=[4]), TEXTS, None),
    "attention": (lambda: RNNClassifier(pooling="attention", embedding_size=4, **SIZES).fit(TEXTS, [0, 1, 0, 1, 1, 0]),
                  TEXTS, [0, 1, 0, 1, 1, 0]),
    "series": (lambda: RNNRegressor("rnn", input="series", **SIZES).fit(SERIES, [1.0, 2, 3]), SERIES, [1.0, 2, 3]),
    "means": (lambda: MeanEmbeddingClassifier(4, (3,), n_buckets=9, max_iter=2, random_state=0).fit(
        TEXTS, [0, 1, 0, 1, 1, 0]), TEXTS, [0, 1, 0, 1, 1, 0]),
}  # fmt: skip


def says(model, X):
    """Return scores or predictions of X."""
    return model.score_samples(X) if hasattr(model, "score_samples") else model.predict(X)


def arrays(model):
    network = model.network_
    slots = [array for slots in model._optimizer._state.values() for array in slots.values()]
    return [*network.all_parameters.values(), *network.grads.values(), *slots]


@pytest.mark.parametrize("name", MODELS)
def test_a_fitted_model_moves_and_goes_on_training(name):
    make, X, y = MODELS[name]
    model, moved = make(), make()
    assert moved.set_params(device="elsewhere", precision="high") is moved
    assert all(isinstance(array, Opaque) for array in arrays(moved))
    places = {(layer.device, layer.precision) for layer in moved.network_.layers.values()}
    assert places == {("elsewhere", "high")}
    for _ in range(2):
        np.testing.assert_allclose(says(moved, X), says(model, X), rtol=1e-4, atol=1e-6)
        for one in (model, moved):
            one.partial_fit(X, y)
    moved.set_params(device="cpu")
    assert all(isinstance(array, np.ndarray) for array in arrays(moved))
    for _ in range(2):
        np.testing.assert_allclose(says(moved, X), says(model, X), rtol=1e-4, atol=1e-6)
        for one in (model, moved):
            one.partial_fit(X, y)


def test_a_device_that_is_given_as_an_attribute_counts_in_the_next_fit():
    model = fit_language_model(warm_start=True)
    model.device = "elsewhere"
    assert model.fit(TEXTS).network_.backend is numpy_backend


def test_a_wrong_device_leaves_a_fitted_model_where_it_is(monkeypatch):
    model = fit_language_model().set_params(device="tpu")  # `fit` refuses it
    assert model.network_.layers["output"].device == "cpu"
    with pytest.raises(ValueError, match=r"device must be one of .* got 'tpu'"):
        model.fit(TEXTS)
    monkeypatch.setattr(backends, "_module", no_gpu)
    with pytest.raises(RuntimeError, match="no GPU"):
        model.set_params(device="cuda", n_jobs=1)
    assert (model.device, model.n_jobs) == ("tpu", None)


def no_gpu(device):
    raise RuntimeError("no GPU")


@pytest.mark.parametrize("name", ["tied", "attention", "means"])
def test_a_file_is_loaded_to_any_device(name, tmp_path):
    make, X, _ = MODELS[name]
    model, path = make(), tmp_path / "model.safetensors"
    for device in ("elsewhere", "cpu"):
        model.save(path)
        assert fastrnn.load(path).device == model.device
        loaded = fastrnn.load(path, device=device)
        assert (loaded.device, {layer.device for layer in loaded.network_.layers.values()}) == (device, {device})
        np.testing.assert_allclose(says(loaded, X), says(model, X), rtol=1e-4, atol=1e-6)
        model = loaded


def test_models_within_a_model_are_loaded_to_any_device(tmp_path):
    network, path = fit_language_model(), tmp_path / "model.safetensors"
    ngrams = NGramLanguageModel(2, smoothing="add_k", vocabulary=network.vocabulary_).fit(TEXTS)
    cache = NeuralCacheLanguageModel(network, 4)
    mixture = InterpolatedLanguageModel([ngrams, network, cache], [0.2, 0.5, 0.3]).fit()
    mixture.save(path)
    loaded = fastrnn.load(path, device="elsewhere")
    assert (loaded.models[1].device, loaded.models[2].model.device) == ("elsewhere", "elsewhere")
    np.testing.assert_allclose(loaded.score_samples(TEXTS), mixture.score_samples(TEXTS), rtol=1e-4)


def test_a_model_of_a_missing_gpu_is_loaded_to_the_cpu(tmp_path, monkeypatch):
    backends.register("cuda", numpy_backend)
    model, path = fit_language_model(device="cuda"), tmp_path / "model.safetensors"
    model.save(path)
    backends.register("cuda", None)
    monkeypatch.setattr(backends, "has_gpu", lambda: False)
    loaded = fastrnn.load(path)
    assert (loaded.device, loaded.network_.layers["output"].device) == ("cpu", "cpu")
    np.testing.assert_allclose(loaded.score_samples(TEXTS), model.score_samples(TEXTS), rtol=1e-4)
    monkeypatch.setattr(backends, "_module", no_gpu)
    with pytest.raises(RuntimeError, match="no GPU"):
        fastrnn.load(path, device="cuda")


def test_a_device_for_a_model_without_a_network_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    NGramLanguageModel(2, smoothing="add_k").fit(TEXTS).save(path)
    for device in (None, "cpu", "auto"):
        assert fastrnn.load(path, device=device).order == 2
    backends.register("cuda", numpy_backend)
    try:
        with pytest.raises(ValueError, match="device must be None or 'cpu' for a NGramLanguageModel, which has no"):
            fastrnn.load(path, device="cuda")
    finally:
        backends.register("cuda", None)
    with pytest.raises(ValueError, match=r"device must be one of .* got 'tpu'"):
        fastrnn.load(path, device="tpu")


def test_a_pickle_remembers_device_and_precision():
    model = fit_language_model(device="elsewhere", precision="medium")
    copied = pickle.loads(pickle.dumps(model))
    assert {(layer.device, layer.precision) for layer in copied.network_.layers.values()} == {("elsewhere", "medium")}
    np.testing.assert_allclose(copied.score_samples(TEXTS), model.score_samples(TEXTS))


def test_the_device_that_auto_stands_for_is_that_of_the_pickle(monkeypatch):
    model = fit_language_model(device="auto")
    device = model.network_.layers["output"].device
    pickled = pickle.dumps(model)
    if device == "cpu":
        monkeypatch.setattr(backends, "has_gpu", lambda: True)
    copied = pickle.loads(pickled)
    assert (copied.device, copied.network_.layers["output"].device) == ("auto", device)
