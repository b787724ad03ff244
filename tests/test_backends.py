import pathlib

import numpy as np
import pytest

import fastrnn
from fastrnn import RNNClassifier, RNNLanguageModel, backends, kernels
from fastrnn.classification import MeanEmbeddingClassifier
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
    with pytest.raises(ValueError, match="device must be 'cpu', got 'gpu'"):
        LSTM(2, 3, device="gpu")


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
