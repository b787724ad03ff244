"""Training on a device whose arrays are opaque, see `tests.devices`: numbers are those of the CPU."""

import numpy as np
import pytest

from fastrnn import RNNClassifier, RNNLanguageModel, RNNTagger, backends
from fastrnn.training.averaging import WeightAverage
from fastrnn.training.clipping import clip_grad_norm, clip_grad_value
from fastrnn.training.optimizers import make_optimizer
from tests import numpy_backend
from tests.devices import devices

OPTIMIZERS = [
    ("sgd", {"momentum": 0.8, "nesterov": True}),
    ("adam", {"weight_decay": 0.1}),
    ("adamw", {}),
    ("adagrad", {}),
    ("rmsprop", {"momentum": 0.6}),
]
LINES = ["the cat sat on the mat .", "the dog sat on the log .", "a cat saw the dog ."] * 4


@pytest.fixture(params=[name for name in devices() if name != "cpu"])
def device(request):
    """The name of a device beside the CPU."""
    backends.register("numpy", numpy_backend)
    yield request.param
    backends.register("numpy", None)


def trained(name, options, device):
    """Return what clipped steps make of a parameter and of its average, and the state of the optimizer."""
    rng, ops = np.random.default_rng(0), backends.backend(device)
    parameters = {"w": ops.asarray(rng.standard_normal((4, 3)))}
    optimizer = make_optimizer(name, learning_rate=0.1, device=device, **options)
    average, norms = WeightAverage("ema", device=device), []
    for rows in (None, {"w": np.array([1, 3])}, None):
        grads = {"w": ops.asarray(rng.standard_normal((4, 3)))}
        norms.append(clip_grad_norm(grads, 1.0, rows, ops))
        clip_grad_value(grads, 0.3, rows, ops)
        optimizer.step(parameters, grads, rows)
        average.update(parameters)
        optimizer.load_state_dict(optimizer.state_dict())
        average.set_state(*average.state())
    last = np.array(ops.to_numpy(parameters["w"]))
    average.exchange(parameters)
    return {"last": last, "mean": ops.to_numpy(parameters["w"]), "norms": norms, **optimizer.state_dict()}


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_steps(name, options, device):
    got, expected = trained(name, options, device), trained(name, options, "cpu")
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(got[key], value, rtol=1e-12, err_msg=key)


OPTIONS = {"embedding_size": 5, "hidden_size": 6, "max_iter": 2, "dropout": 0.2, "random_state": 0}
STREAMS = {"batch_size": 2, "bptt_length": 8, "averaging": "ema", "validation_fraction": 0.25, **OPTIONS}


def test_a_training_and_its_checkpoint(device, tmp_path):
    on_cpu = RNNLanguageModel(**STREAMS).fit(LINES)
    model = RNNLanguageModel(**STREAMS, device=device).fit(LINES)
    np.testing.assert_allclose(model.loss_curve_, on_cpu.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(model.validation_scores_, on_cpu.validation_scores_, rtol=1e-5)
    path = tmp_path / "run.safetensors"
    RNNLanguageModel(**{**STREAMS, "max_iter": 1}, device=device).fit(LINES, checkpoint=path)
    resumed = RNNLanguageModel(**STREAMS, device=device).fit(LINES, checkpoint=path)
    assert resumed.loss_curve_ == model.loss_curve_
    assert resumed.validation_scores_ == model.validation_scores_


REGULARIZED = {"recurrent_dropout": 0.2, "weight_dropout": 0.2, "embedding_dropout": 0.1, "alpha": 1e-4,
               "activity_penalty": 1.0, "temporal_activity_penalty": 1.0, "optimizer": "adamw"}  # fmt: skip


@pytest.mark.parametrize("softmax", ["adaptive", "sampled"])
def test_a_regularized_language_model_of_sentences(softmax, device):
    options = {**OPTIONS, **REGULARIZED, "num_layers": 2, "carry_state": False, "batch_size": 3, "softmax": softmax,
               "softmax_samples": 4, "softmax_cutoffs": [5], "tie_weights": softmax == "sampled"}  # fmt: skip
    on_cpu, model = (RNNLanguageModel("gru", **options, device=name).fit(LINES) for name in ("cpu", device))
    np.testing.assert_allclose(model.loss_curve_, on_cpu.loss_curve_, rtol=1e-5)
    assert model.score(LINES[:3]) == pytest.approx(on_cpu.score(LINES[:3]), rel=1e-5)


def test_a_classifier(device):
    labels, options = [0, 1, 2] * 4, {**OPTIONS, **REGULARIZED, "bidirectional": True, "pooling": "attention"}
    on_cpu, model = (RNNClassifier(**options, batch_size=5, device=name).fit(LINES, labels) for name in ("cpu", device))
    np.testing.assert_allclose(model.loss_curve_, on_cpu.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(model.predict_proba(LINES), on_cpu.predict_proba(LINES), rtol=1e-5)


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_a_tagger(output, device):
    X = [line.split()[:5] for line in LINES[:6]]
    y = [["B-X" if "a" in token else "I-X" if place else "O" for place, token in enumerate(tokens)] for tokens in X]
    options = {**OPTIONS, **REGULARIZED, "output": output, "class_weight": {"O": 2.0}, "batch_size": 3}
    on_cpu, model = (RNNTagger(**options, device=name).fit(X, y, None, X, y) for name in ("cpu", device))
    np.testing.assert_allclose(model.loss_curve_, on_cpu.loss_curve_, rtol=1e-5)
    assert model.validation_scores_ == on_cpu.validation_scores_
    assert model.predict(X) == on_cpu.predict(X)
    np.testing.assert_allclose(model.predict_proba(X), on_cpu.predict_proba(X), rtol=1e-5)
