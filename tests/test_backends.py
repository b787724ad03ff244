import pathlib

import numpy as np
import pytest

import fastrnn
from fastrnn import (
    DynamicEvaluation,
    MeanEmbeddingClassifier,
    NeuralCacheLanguageModel,
    RNNClassifier,
    RNNLanguageModel,
    RNNRegressor,
    backends,
    inspection,
    kernels,
)
from fastrnn.layers import LSTM
from tests import numpy_backend
from tests.numpy_backend.opaque import Leak, Opaque

TEXTS = ["a fine film", "a dull film", "what a fine day", "dull", "it was a long and dull day", "fine fine fine"]
LABELS = [1, 0, 1, 0, 0, 1]


@pytest.fixture
def opaque_device():
    """Runs everything on the NumPy backend, under the name of the CPU."""
    backends.register("cpu", numpy_backend)
    yield
    backends.register("cpu", None)


def test_the_numpy_backend_offers_what_the_cpu_does():
    missing = {name for name in kernels.__all__ if not hasattr(numpy_backend, name)}
    assert not missing


def test_an_unknown_device_is_named():
    with pytest.raises(ValueError, match=r"device must be .*'auto', 'cpu'.*'cuda', got 'gpu'"):
        LSTM(2, 3, device="gpu")


class Doubling:
    """A backend in which one function multiplies matrices."""

    def product(out, a, b, n_jobs=None, precision="highest"):
        return precision

    def effective_n_jobs(n_jobs):
        return 1

    def scale(array, factor):
        return "scaled"


def test_functions_that_multiply_matrices_get_the_precision():
    backends.register("mine", Doubling)
    try:
        for precision in backends.PRECISIONS:
            ops = backends.backend("mine", precision)
            assert ops.product(None, None, None) == precision
            assert ops.scale(None, 2) == "scaled"
        assert backends.backend("mine", "high") is backends.backend("mine", "high")
    finally:
        backends.register("mine", None)


def test_a_registered_gpu_is_found():
    before = backends.has_gpu()
    backends.register("cuda", numpy_backend)
    try:
        assert backends.has_gpu()
        assert backends.backend("auto") is numpy_backend
    finally:
        backends.register("cuda", None)
    assert backends.has_gpu() is before


@pytest.mark.parametrize("precision", ["low", None, ["high"]])
def test_an_unknown_precision_is_named(precision):
    with pytest.raises(ValueError, match="precision must be one of 'highest', 'high', 'medium', got"):
        LSTM(2, 3, precision=precision)


def test_the_precision_changes_nothing_on_the_cpu():
    x = np.random.default_rng(0).normal(size=(4, 3, 2))
    layers = [LSTM(2, 3, random_state=0, precision=precision) for precision in backends.PRECISIONS]
    for layer in layers:
        np.testing.assert_array_equal(layer.forward(x)[0], layers[0].forward(x)[0])
    with pytest.raises(AttributeError, match="no_such"):
        layers[1].backend.no_such()


@pytest.mark.parametrize(
    "use", ["x + 1", "1 + x", "x[0]", "len(x)", "np.exp(x)", "np.asarray(x)", "x.sum()", "bool(x)", "list(x)", "x == x",
            "np.concatenate([x, x])", "x.T"]
)  # fmt: skip
def test_the_package_cannot_open_an_array_of_a_device(use):
    x = Opaque(np.ones(3))
    in_package = compile(use, str(pathlib.Path(fastrnn.__file__).with_name("probe.py")), "eval")
    with pytest.raises(Leak):
        eval(in_package, {"x": x, "np": np})
    eval(compile(use.replace("bool(x)", "bool(x[0])"), __file__, "eval"), {"x": x, "np": np})


MODELS = {
    "texts": lambda: RNNClassifier("gru", hidden_size=6, embedding_size=5, dropout=0.2, max_iter=2, random_state=0),
    "attention": lambda: RNNClassifier(
        hidden_size=6, embedding_size=5, pooling="attention", bidirectional=True, num_layers=2, max_iter=2,
        random_state=0, locked_dropout=True, dropout=0.3,
    ),
    "means": lambda: MeanEmbeddingClassifier(embedding_size=5, hidden_layer_sizes=(4,), max_iter=2, random_state=0),
    "language model": lambda: RNNLanguageModel(
        hidden_size=6, embedding_size=6, dropout=0.2, max_iter=2, random_state=0
    ),
    "sampled": lambda: RNNLanguageModel(
        "gru", hidden_size=6, embedding_size=4, tie_weights=True, softmax="sampled", softmax_samples=5, max_iter=2,
        random_state=0,
    ),
}  # fmt: skip


def results(model):
    """Return what a fitted model computes."""
    if isinstance(model, RNNLanguageModel):
        model.fit(TEXTS)
        return [model.score_samples(TEXTS), model.predict_proba(TEXTS[:2]), model.loss_curve_]
    model.fit(TEXTS, LABELS)
    return [model.predict_proba(TEXTS), model.loss_curve_]


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_on_opaque_arrays_is_that_on_the_cpu(name, request):
    expected = results(MODELS[name]())
    request.getfixturevalue("opaque_device")
    for got, wanted in zip(results(MODELS[name]()), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4)


SERIES = [np.arange(6.0).reshape(3, 2), np.ones((5, 2)), np.arange(4.0).reshape(2, 2) - 2]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the files of models that were fitted on the CPU."""
    options = {"hidden_size": 6, "max_iter": 1, "random_state": 0}
    models = {
        "lstm": RNNLanguageModel(embedding_size=5, num_layers=2, **options).fit(TEXTS),
        "adaptive": RNNLanguageModel("rnn", softmax="adaptive", softmax_cutoffs=(5,), **options).fit(TEXTS),
        "recurrent": RNNClassifier("gru", embedding_size=5, **options).fit(TEXTS, LABELS),
        "means": MeanEmbeddingClassifier(5, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(TEXTS, LABELS),
        "series": RNNRegressor("rnn", input="series", **options).fit(SERIES, [1.0, 2, 3]),
    }
    folder = tmp_path_factory.mktemp("models")
    for name, model in models.items():
        model.save(folder / name)
    return {name: folder / name for name in models}


def score_and_predict(model):
    return [model.score_samples(TEXTS), model.predict_proba(["a fine", "", "what a dull day"])]


# Each takes a function that loads a model by its name, and returns arrays.
USES = {
    "scores": lambda load: [*score_and_predict(load("lstm")), *score_and_predict(load("adaptive"))],
    "beam search": lambda load: [[found.log_prob for found in load("lstm").beam_search("a", n=3)]],
    "completion": lambda load: [[found.probability for found in load("lstm").complete("a f")]],
    "neural cache": lambda load: score_and_predict(NeuralCacheLanguageModel(load("lstm"), 4)),
    "dynamic evaluation": lambda load: [
        DynamicEvaluation(load("lstm"), rule=rule).fit(TEXTS).score_samples(TEXTS) for rule in ("sgd", "rms")
    ],
    "training goes on": lambda load: [load("lstm").partial_fit(TEXTS).score_samples(TEXTS)],
    "encodings": lambda load: [load(name).transform(TEXTS) for name in ("recurrent", "means")],
    "numbers": lambda load: [load("series").predict(SERIES)],
    "explanations": lambda load: [
        inspection.explain(load(name), "a fine film").contributions for name in ("recurrent", "means")
    ],
    "gradient flow": lambda load: [
        inspection.gradient_flow(load(name), TEXTS[:2]).norms for name in ("lstm", "adaptive", "recurrent")
    ],
    "hidden states": lambda load: inspection.hidden_states(load("lstm"), TEXTS[:2]).values["c"],
    "gates": lambda load: [inspection.gate_activations(load("recurrent"), TEXTS[0]).values],
    "singular values": lambda load: [inspection.singular_values(load("lstm")).values],
    "surprisal": lambda load: [inspection.surprisal(load("lstm"), TEXTS[0]).ranks],
    "torch": lambda load: load("lstm").to_torch().values(),
    "keras": lambda load: load("recurrent").to_keras(),
}


@pytest.mark.parametrize("use", USES)
def test_models_are_used_on_opaque_arrays_as_on_the_cpu(use, files, request):
    def load(name):
        return fastrnn.load(files[name])

    expected = USES[use](load)
    request.getfixturevalue("opaque_device")
    for got, wanted in zip(USES[use](load), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)
