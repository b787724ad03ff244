"""Estimators on the GPU say what they say on the CPU, and their models go from one to the other."""

import copy
import io
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import fastrnn
from fastrnn import (
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
    inspection,
)
from fastrnn.backends import has_gpu
from fastrnn.layers import LSTM
from fastrnn.training import loop
from fastrnn.training.optimizers import Adam

TEXTS = ["a b c", "b c a b", "c a", "b"]
LABELS = [0, 1, 0, 1]
SENTENCES, TAGS = [text.split() for text in TEXTS], [["B-x", "I-x", "O"], ["O", "O", "B-x", "B-y"], ["O", "O"], ["O"]]
SERIES = [np.arange(4.0).reshape(2, 2), np.ones((3, 2)), np.arange(2.0).reshape(1, 2) - 2]
TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}
MOVES = pytest.mark.parametrize(("device", "other"), [("cpu", "cuda"), ("cuda", "cpu")])


def language_model(device, **options):
    defaults = {"cell": "gru", "embedding_size": 3, "hidden_size": 4, "batch_size": 2, "bptt_length": 5, "max_iter": 1,
                "early_stopping": False, "random_state": 0}  # fmt: skip
    return RNNLanguageModel(**{**defaults, **options}, device=device)


def tagger(device, **options):
    defaults = {"embedding_size": 3, "hidden_size": 4, "char_hidden_size": 2, "batch_size": 2, "max_iter": 1,
                "early_stopping": False, "random_state": 0}  # fmt: skip
    return RNNTagger(**{**defaults, **options}, device=device)


def translator(device, **options):
    defaults = {"embedding_size": 3, "hidden_size": 4, "batch_size": 2, "max_iter": 1, "input_feeding": False,
                "random_state": 0}  # fmt: skip
    return RNNTranslator(**{**defaults, **options}, device=device)


def captioner(device, **options):
    defaults = {"embedding_size": 3, "hidden_size": 4, "hidden_layer_sizes": (4,), "batch_size": 2, "max_iter": 1,
                "random_state": 0}  # fmt: skip
    return RNNCaptioner(**{**defaults, **options}, device=device)


def step_regressor(device, **options):
    return RNNStepRegressor("gru", hidden_size=3, bidirectional=False, random_state=0, device=device, **options)


def classifier(device, **options):
    return RNNClassifier(embedding_size=3, hidden_size=4, max_iter=1, random_state=0, device=device, **options)


FITS = {
    "regularized": lambda device: language_model(
        device, cell="lstm", embedding_size=4, tie_weights=True, dropout=0.2, embedding_dropout=0.1, weight_dropout=0.2,
        recurrent_dropout=0.2, zoneout=0.1, activity_penalty=1.0, temporal_activity_penalty=1.0, averaging="ema",
        accumulate_steps=2, max_iter=2,
    ).fit(TEXTS, X_val=TEXTS[:2]),
    "adaptive": lambda device: language_model(
        device, softmax="adaptive", softmax_cutoffs=[3], num_layers=2, residual=True, embedding_size=4, optimizer="sgd",
        averaging="asgd", averaging_patience=1, early_stopping=True, validation_fraction=0.5, max_iter=3,
    ).fit(TEXTS),
    "sampled": lambda device: language_model(
        device, softmax="sampled", softmax_samples=3, carry_state=False, optimizer="rmsprop"
    ).fit(TEXTS),
    "texts": lambda device: classifier(device, dropout=0.2, embedding_dropout=0.2).fit(TEXTS, LABELS, [1, 2, 1, 1]),
    "attention": lambda device: classifier(
        device, pooling="attention", bidirectional=False, cell="rnn", early_stopping=True, validation_fraction=0.5
    ).fit(TEXTS, LABELS),
    "labels": lambda device: MeanEmbeddingClassifier(
        3, (2,), n_buckets=5, dropout=0.2, max_iter=2, random_state=0, device=device
    ).fit(TEXTS, [[0, 1], [1, 1], [0, 0], [1, 0]]),
    "series": lambda device: RNNRegressor(
        "rnn", hidden_size=3, pooling="mean", input="series", max_iter=2, optimizer="adagrad", random_state=0,
        device=device
    ).fit(SERIES, [[1.0, 2], [2.0, 1], [3.0, 0]]),
    "tags": lambda device: tagger(device, max_iter=2).fit(SENTENCES, TAGS),
    "tags of series": lambda device: tagger(
        device, output="softmax", input="series", hidden_size=3, bidirectional=False
    ).fit(SERIES, [[0, 1], [1, 1, 0], [0]]),
    "several labels": lambda device: tagger(
        device, input="series", max_iter=2
    ).fit(SERIES, [part > 0 for part in SERIES]),
    "translations": lambda device: translator(
        device, input_feeding=True, dropout=0.2, embedding_dropout=0.1, label_smoothing=0.1, averaging="ema",
        share_vocabulary=True, tie_weights=True, max_iter=2
    ).fit(TEXTS, TEXTS[::-1], [1, 2, 1, 1], X_val=TEXTS[:2], y_val=TEXTS[:2]),
    "captions": lambda device: captioner(device, dropout=0.2, attention="dot", max_iter=2).fit(SERIES, TEXTS[:3]),
    "captions of vectors": lambda device: captioner(device, attention=None).fit(SERIES[0], TEXTS[:2]),
    "numbers for each step": lambda device: step_regressor(device, max_iter=2).fit(SERIES, SERIES),
}  # fmt: skip


@pytest.mark.parametrize("name", FITS)
def test_a_fit_is_that_of_the_cpu(name, ops):
    expected, model = FITS[name]("cpu"), FITS[name]("cuda")
    assert model.network_.backend is ops
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, **TOLERANCE)
    np.testing.assert_allclose(model.validation_scores_, expected.validation_scores_, **TOLERANCE)
    for key, array in expected.network_.get_arrays().items():
        np.testing.assert_allclose(model.network_.get_arrays()[key], array, **TOLERANCE, err_msg=key)


@pytest.fixture(scope="module")
def models():
    """Return models that were trained on the CPU, and the same models on the GPU, by name."""
    if not has_gpu():
        pytest.skip("needs a GPU, or NUMBA_ENABLE_CUDASIM=1")
    fitted = {
        "lm": language_model("cpu").fit(TEXTS),
        "texts": classifier("cpu").fit(TEXTS, LABELS),
        "series": RNNRegressor("rnn", hidden_size=3, input="series", max_iter=1, random_state=0).fit(SERIES, [1, 2, 3]),
        "means": MeanEmbeddingClassifier(3, n_buckets=5, max_iter=1, random_state=0).fit(TEXTS, LABELS),
        "tags": tagger("cpu").fit(SENTENCES, TAGS),
        "causal": tagger("cpu", output="crf", bidirectional=False).fit(SENTENCES, TAGS),
        "steps": step_regressor("cpu", max_iter=1).fit(SERIES, SERIES),
        "captions": captioner("cpu").fit(SERIES, TEXTS[:3]),
        "translations": translator("cpu", max_iter=20, learning_rate_init=0.05).fit(TEXTS, TEXTS[::-1]),
    }
    return {
        "cpu": fitted,
        "cuda": {name: copy.deepcopy(model).set_params(device="cuda") for name, model in fitted.items()},
    }


def mixture(lm):
    ngrams = NGramLanguageModel(2, smoothing="add_k", vocabulary=lm.vocabulary_).fit(TEXTS)
    return InterpolatedLanguageModel([ngrams, lm]).fit(TEXTS)


# Each takes models by name, and returns arrays.
USES = {
    "distributions": lambda of: [of["lm"].predict_proba(TEXTS[:2]), of["lm"].token_log_probs(TEXTS[:2])[1]],
    "beam search": lambda of: [[found.log_prob for found in of["lm"].beam_search("a", n=2, max_length=3)]],
    "completion": lambda of: [[found.probability for found in of["lm"].complete("a ", 2)]],
    "filling": lambda of: [[found.probability for found in of["lm"].fill("a ___ c", n=2)]],
    "states": lambda of: [
        [found.probability for found in of["lm"].complete("", state=of["lm"].read("a b"))],
        of["lm"].score_samples(TEXTS, independent=True, bos=False, eos=False),
    ],
    "neural cache": lambda of: [NeuralCacheLanguageModel(of["lm"], 4).score_samples(TEXTS)],
    "dynamic evaluation": lambda of: [
        DynamicEvaluation(of["lm"], segment=3, rule=rule).fit(TEXTS).score_samples(TEXTS) for rule in ("sgd", "rms")
    ],
    "mixture": lambda of: [mixture(of["lm"]).score_samples(TEXTS), mixture(of["lm"]).predict_proba(TEXTS[:1])],
    "training": lambda of: [copy.deepcopy(of["lm"]).partial_fit(TEXTS).score_samples(TEXTS)],
    "warm start": lambda of: [
        copy.deepcopy(of["texts"]).set_params(warm_start=True).fit(TEXTS, LABELS).predict_proba(TEXTS)
    ],
    "encodings": lambda of: [of["texts"].transform(TEXTS), of["means"].transform(TEXTS)],
    "numbers": lambda of: [of["series"].predict(SERIES)],
    "tags": lambda of: [np.searchsorted(of["tags"].classes_, path) for path in of["tags"].predict(SENTENCES)],
    "marginals": lambda of: of["tags"].predict_proba(SENTENCES),
    "step by step": lambda of: [step_by_step(of["causal"], SENTENCES[1]), step_by_step(of["steps"], SERIES[1])],
    "what follows": lambda of: [of["steps"].generate(SERIES[1], 2)],
    "translations": lambda of: [
        of["translations"].score_samples(TEXTS, TEXTS),
        of["translations"].transform(TEXTS),
        *(part.weights for part in of["translations"].align(TEXTS)),
        [found.log_prob for (found,) in of["translations"].beam_search(TEXTS[:2], 1, beam_width=2, max_length=2)],
    ],
    "captions": lambda of: [
        of["captions"].score_samples(SERIES, TEXTS[:3]),
        *(part.weights for part in of["captions"].align(SERIES, TEXTS[:3])),
    ],
    "explanations": lambda of: [inspection.explain(of[name], "a b").contributions for name in ("texts", "means")],
    "gradient flow": lambda of: [
        inspection.gradient_flow(of["texts"], TEXTS[:2]).norms,
        inspection.gradient_flow(of["translations"], TEXTS[:2], y=TEXTS[:2], step=0).norms,
    ],
    "hidden states": lambda of: [inspection.hidden_states(of["lm"], TEXTS[:1]).values["h"]],
    "gates": lambda of: [inspection.gate_activations(of["texts"], TEXTS[0]).values],
    "singular values": lambda of: [inspection.singular_values(of["lm"]).values],
    "surprisal": lambda of: [inspection.surprisal(of["lm"], TEXTS[0]).ranks],
    "torch": lambda of: [of["lm"].to_torch()[key] for key in sorted(of["lm"].to_torch())],
    "keras": lambda of: of["texts"].to_keras(),
    "copies": lambda of: [make(of["texts"]).predict_proba(TEXTS) for make in (copy.copy, copy.deepcopy)],
    "mapped": lambda of: [mapped(of["lm"]).partial_fit(TEXTS).score_samples(TEXTS)],
    "joblib": lambda of: [dumped(of["texts"]).predict_proba(TEXTS)],
    "threads": lambda of: joblib.Parallel(2, backend="threading")(
        joblib.delayed(of["texts"].predict_proba)(TEXTS) for _ in range(4)
    ),
}


def step_by_step(model, sequence):
    """Return what a model says about the steps of a sequence that it reads one by one, (T, K)."""
    state, scores = model.initial_state(), []
    for x in sequence:
        _, state = model.advance(state, x)
        scores.append(state.scores)
    return np.array(scores)


def mapped(model):
    """Return a model whose file is mapped into memory."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(pathlib.Path(folder, "model.safetensors"))
        return fastrnn.load(pathlib.Path(folder, "model.safetensors"), verify=False)


def dumped(model):
    """Return a model that joblib has written and read."""
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("use", USES)
def test_a_model_is_used_as_on_the_cpu(use, models, ops):
    for got, wanted in zip(USES[use](models["cuda"]), USES[use](models["cpu"]), strict=True):
        np.testing.assert_allclose(got, wanted, **TOLERANCE)


def test_samples_are_those_of_the_cpu(models, ops):
    options = {"max_length": 4, "random_state": 0, "temperature": 0.7, "top_k": 3}
    samples, expected = (models[device]["lm"].sample(3, **options) for device in ("cuda", "cpu"))
    assert samples == expected


def test_an_onnx_file_is_that_of_the_cpu(models, ops, tmp_path):
    pytest.importorskip("onnx")
    for device in models:
        models[device]["lm"].to_onnx(tmp_path / f"{device}.onnx")
    assert (tmp_path / "cuda.onnx").read_bytes() == (tmp_path / "cpu.onnx").read_bytes()


def test_a_clone_has_device_and_precision(ops):
    copied = clone(language_model("cuda", precision="high"))
    assert (copied.device, copied.precision) == ("cuda", "high")


@pytest.mark.parametrize("name", ["lm", "texts", "series", "means", "translations"])
def test_a_file_goes_from_one_device_to_the_other(name, models, ops, tmp_path):
    X = SERIES if name == "series" else TEXTS
    says = {"lm": "score_samples", "translations": "transform"}.get(name, "predict")
    for device, other in (("cpu", "cuda"), ("cuda", "cpu")):
        model, path = models[device][name], tmp_path / device
        model.save(path)
        assert fastrnn.load(path).network_.backend is model.network_.backend
        loaded = fastrnn.load(path, device=other)
        assert loaded.network_.backend is models[other][name].network_.backend
        np.testing.assert_allclose(getattr(loaded, says)(X), getattr(model, says)(X), **TOLERANCE)


def test_a_layer_is_trained_where_it_was_moved(ops):
    layers = [LSTM(2, 3, dropout=0.5, num_layers=2, random_state=0) for _ in range(2)]
    x, dy = np.ones((3, 2, 2)), np.ones((3, 2, 3))
    for device in ("cuda", "cpu"):
        layers[0].place(device, "highest")
        for layer in layers:
            layer.forward(x, training=True)
            layer.backward(dy)
    for name, gradient in layers[1].grads.items():
        np.testing.assert_allclose(layers[0].grads[name], gradient, **TOLERANCE)


@MOVES
def test_states_and_unfinished_texts_follow_a_model(device, other, ops):
    model, expected = language_model(device).fit(TEXTS), language_model("cpu").fit(TEXTS)
    options = {"max_length": 6, "random_state": 0}
    state, text = model.read("a"), model.stream(**options)
    found = [next(text)]
    model.set_params(device=other)
    assert found + list(text) == list(expected.stream(**options))
    assert model.sample(state=state, **options) == expected.sample(state=expected.read("a"), **options)
    np.testing.assert_allclose(model.advance(state, "b")[0], expected.advance(expected.read("a"), "b")[0], **TOLERANCE)
    wanted = [completion.probability for completion in expected.complete("b c", state=expected.read("a"))]
    np.testing.assert_allclose([c.probability for c in model.complete("b c", state=state)], wanted, **TOLERANCE)


@MOVES
def test_a_state_of_a_series_follows_a_model(device, other, ops):
    model, expected = (step_regressor(name, max_iter=1).fit(SERIES, SERIES) for name in (device, "cpu"))
    _, state = model.advance(model.initial_state(), SERIES[0][0])
    model.set_params(device=other)
    wanted = expected.advance(expected.advance(expected.initial_state(), SERIES[0][0])[1], SERIES[0][1])[0]
    np.testing.assert_allclose(model.advance(state, SERIES[0][1])[0], wanted, **TOLERANCE)


@MOVES
def test_an_optimizer_names_a_parameter_of_another_device(device, other, ops):
    layer = LSTM(2, 3, device=device)
    with pytest.raises(ValueError, match=rf"parameters\['weight_ih_l0'\] must be an array .* device, '{other}', got "):
        Adam(0.1, device=other).step(layer.parameters, layer.grads)


USE_PICKLE = """
import pickle, sys
import numpy as np
model = pickle.load(sys.stdin.buffer)
print(model.device, {layer.device for layer in model.network_.layers.values()}, model.score_samples(["a b c"])[0])
model.partial_fit(["a b c"])
assert isinstance(model.network_.parameters["embedding.weight"], np.ndarray)
"""


def test_a_pickle_is_used_on_a_machine_without_a_gpu(ops):
    model = language_model("cuda").fit(TEXTS)
    without = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "CUDA_VISIBLE_DEVICES": "", "NUMBA_DISABLE_CUDA": "1"}
    process = subprocess.run([sys.executable, "-c", USE_PICKLE],
                             input=pickle.dumps(model), env=without, capture_output=True, timeout=300)  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    device, layers, score = process.stdout.decode().split()
    assert (device, layers) == ("cpu", "{'cpu'}")
    np.testing.assert_allclose(float(score), model.score_samples(["a b c"])[0], rtol=1e-5)


def test_a_training_goes_on_where_the_other_device_was_interrupted(ops, tmp_path):
    options = {"averaging": "ema", "dropout": 0.2, "max_iter": 2}
    expected = language_model("cpu", **options).fit(TEXTS)
    for devices in (("cpu", "cuda"), ("cuda", "cpu")):
        for max_iter, device in zip((1, 2), devices, strict=True):
            model = language_model(device, **{**options, "max_iter": max_iter})
            model.fit(TEXTS, checkpoint=tmp_path / devices[0])
        np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-5)
        np.testing.assert_allclose(model.score_samples(TEXTS), expected.score_samples(TEXTS), **TOLERANCE)


def test_an_interrupt_keeps_the_finished_epochs(ops, monkeypatch):
    expected, finish, finished = language_model("cuda").fit(TEXTS), loop._Run._finish_epoch, []

    def interrupted(run, loss):
        if finished:
            raise KeyboardInterrupt
        finished.append(loss)
        return finish(run, loss)

    monkeypatch.setattr(loop._Run, "_finish_epoch", interrupted)
    with pytest.warns(ConvergenceWarning, match="was interrupted in epoch 2: the weights of the finished epochs"):
        model = language_model("cuda", max_iter=3).fit(TEXTS)
    assert model.loss_curve_ == expected.loss_curve_
    np.testing.assert_array_equal(model.score_samples(TEXTS), expected.score_samples(TEXTS))


def test_a_fit_repeats_to_the_bit(ops):
    first, second = (FITS["texts"]("cuda").network_.get_arrays() for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array, err_msg=name)
