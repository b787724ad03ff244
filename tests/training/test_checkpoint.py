import errno
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.base import clone

from fastrnn import RNNLanguageModel, RNNTagger
from fastrnn.classification import MeanEmbeddingClassifier, RNNClassifier, RNNRegressor
from fastrnn.networks.base import Network
from fastrnn.training import checkpoint
from fastrnn.training.schedule import Schedule

LINES = ["the cat sat on the mat .", "the dog sat on the log .", "a cat saw the dog ."] * 12
SMALL = {"embedding_size": 7, "hidden_size": 9, "tokenizer": "whitespace", "learning_rate_init": 0.02, "max_iter": 3,
         "bptt_length": 8, "batch_size": 4, "random_state": 0}  # fmt: skip
# Everything that is drawn at random, and everything that is remembered.
MASKED = {**SMALL, "num_layers": 2, "dropout": 0.2, "weight_dropout": 0.1, "embedding_dropout": 0.1,
          "random_bptt": True, "averaging": "ema", "softmax": "sampled", "softmax_samples": 3, "schedule": "cosine",
          "warmup": 5, "accumulate_steps": 2}  # fmt: skip
SHUFFLED = {**SMALL, "carry_state": False, "optimizer": "sgd", "averaging": "asgd", "averaging_patience": 1}


def assert_same(first, second):
    assert first.loss_curve_ == second.loss_curve_
    assert first.validation_scores_ == second.validation_scores_
    for name, array in first.network_.parameters.items():
        np.testing.assert_array_equal(array, second.network_.parameters[name], err_msg=name)


class Killed(Exception):
    pass


SERIES = np.random.default_rng(0).normal(size=(30, 6, 2))
LABELS = ["sits", "sits", "sees"] * 12
SEQUENCES = {"embedding_size": 6, "max_iter": 3, "batch_size": 8, "dropout": 0.2, "embedding_dropout": 0.1,
             "random_state": 0}  # fmt: skip
MODELS = {
    "masked": lambda: (RNNLanguageModel(**MASKED), (LINES,)),
    "shuffled": lambda: (RNNLanguageModel(**SHUFFLED), (LINES,)),
    "classifier": lambda: (
        RNNClassifier("lstm", hidden_size=7, **SEQUENCES, recurrent_dropout=0.1, early_stopping=True,
                      class_weight={"sits": 2.0, "sees": 1.0}),
        (LINES, LABELS, np.arange(36) % 5),
    ),
    "regressor": lambda: (
        RNNRegressor("lstm", hidden_size=7, **{**SEQUENCES, "random_state": np.random.RandomState(3)}, input="series"),
        (SERIES[:20], SERIES[:20, 0], None, SERIES[20:], SERIES[20:, 0]),
    ),
    "tagger": lambda: (
        RNNTagger("lstm", hidden_size=7, **SEQUENCES, char_encoder=None, early_stopping=True, class_weight="balanced"),
        ([line.split() for line in LINES], [["O", "B-X", *["I-X"] * (len(line.split()) - 2)] for line in LINES]),
    ),
    "means": lambda: (MeanEmbeddingClassifier(hidden_layer_sizes=(4,), n_buckets=20, **SEQUENCES), (LINES, LABELS)),
}  # fmt: skip


@pytest.fixture
def steps(monkeypatch):
    """Return a list that gets longer with each step; at a length of its attribute `limit` the process is "killed"."""

    class Steps(list):
        limit = -1

    steps = Steps()
    original = Network.train_step

    def counted(self, *arguments, **options):
        if len(steps) == steps.limit:
            raise Killed
        steps.append(None)
        return original(self, *arguments, **options)

    monkeypatch.setattr(Network, "train_step", counted)
    return steps


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("minutes", [None, 0.0])
def test_after_any_interruption_the_same_call_ends_with_the_same_weights(name, minutes, tmp_path, steps):
    def fit(**options):
        model, data = MODELS[name]()
        return model.fit(*data, **options)

    path = tmp_path / "run.safetensors"
    whole, total = fit(), len(steps)
    for share in (0.1, 0.5, 0.9):
        steps.clear()
        steps.limit = max(2, int(share * total / 2))
        with pytest.raises(Killed):
            fit(checkpoint=path, checkpoint_minutes=minutes)
    steps.clear()
    steps.limit = -1
    resumed = fit(checkpoint=path, checkpoint_minutes=minutes)
    assert_same(resumed, whole)
    assert len(steps) < total
    steps.clear()
    assert_same(fit(checkpoint=path), whole)  # there is nothing left to do
    assert not steps
    resumed.partial_fit(*MODELS[name]()[1][:2])


@pytest.mark.parametrize("name", ["masked", "classifier"])
def test_a_training_goes_on_for_further_epochs(name, tmp_path, steps):
    path = tmp_path / "run.safetensors"
    (model, data), steady = MODELS[name](), {"schedule": "plateau"} if name == "masked" else {}
    model.set_params(**steady, max_iter=1).fit(*data, checkpoint=path)
    n_steps = len(steps)
    model.set_params(max_iter=3).fit(*data, checkpoint=path)
    assert len(steps) == 3 * n_steps
    assert_same(model, MODELS[name]()[0].set_params(**steady).fit(*data))
    with pytest.raises(ValueError, match=r"run\.safetensors has 3 finished epochs, more than max_iter=2"):
        model.set_params(max_iter=2).fit(*data, checkpoint=path)


def test_a_training_that_has_stopped_early_stays_so(tmp_path):
    path, options = tmp_path / "run.safetensors", {**SMALL, "learning_rate_init": 0.0, "n_iter_no_change": 1}
    stopped = RNNLanguageModel(**options).fit(LINES, checkpoint=path)
    assert stopped.n_iter_ == 2
    assert_same(RNNLanguageModel(**{**options, "max_iter": 9}).fit(LINES, checkpoint=path), stopped)


def test_the_rate_of_a_cosine_goes_on_as_that_of_the_new_number_of_epochs(tmp_path, monkeypatch):
    path, rates, original = tmp_path / "run.safetensors", [], Schedule.at
    monkeypatch.setattr(Schedule, "at", lambda *arguments: rates.append(original(*arguments)) or rates[-1])
    options = {**SMALL, "schedule": "cosine", "early_stopping": False}
    RNNLanguageModel(**options).fit(LINES)
    whole, rates[:] = rates[:], []
    RNNLanguageModel(**{**options, "max_iter": 1}).fit(LINES, checkpoint=path)
    rates.clear()
    RNNLanguageModel(**options).fit(LINES, checkpoint=path)
    assert rates == whole[len(whole) // 3 :]


def test_without_a_seed_a_classifier_goes_on_with_the_same_split(tmp_path, steps):
    path = tmp_path / "run.safetensors"
    model, data = MODELS["classifier"]()
    steps.limit = 6  # in the second epoch
    with pytest.raises(Killed):
        model.set_params(random_state=None).fit(*data, checkpoint=path)
    steps.limit = -1
    content = path.read_bytes()
    first = clone(model).fit(*data, checkpoint=path)
    path.write_bytes(content)
    assert_same(clone(model).fit(*data, checkpoint=path), first)


def test_a_checkpoint_of_other_data_of_a_classifier_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    model, (texts, labels, weights) = MODELS["classifier"]()
    model.set_params(max_iter=1, class_weight=None).fit(texts, labels, weights, checkpoint=path)
    for options, data, name in (
        ({}, (texts[::-1], labels, weights), "X"),
        ({}, (texts, labels[::-1], weights), "y"),
        ({}, (texts, [label.upper() for label in labels], weights), "y"),
        ({}, (texts, labels), "sample_weight"),
        ({}, (texts, labels, weights, texts, labels), "X_val"),
        ({"dropout": 0.3}, (texts, labels, weights), r"dropout \(0\.2 there, 0\.3 now\)"),
        ({"class_weight": "balanced"}, (texts, labels, weights), "class_weight"),
        ({"embedding": {"cat": [1.0] * 6}}, (texts, labels, weights), "embedding"),
    ):
        with pytest.raises(ValueError, match=f"that of a training with another {name}"):
            clone(model).set_params(**options).fit(*data, checkpoint=path)
    with pytest.raises(ValueError, match="warm_start=True"):
        model.set_params(warm_start=True).fit(texts, labels, weights, checkpoint=path)


def test_the_order_of_weights_of_classes_does_not_matter(tmp_path):
    model, (texts, labels, weights) = MODELS["classifier"]()
    class_weight = model.get_params()["class_weight"]
    for items in (class_weight.items(), reversed(class_weight.items())):
        model = clone(model).set_params(max_iter=1, class_weight=dict(items))
        model.fit(texts, labels, weights, checkpoint=tmp_path / "run.safetensors")
    assert list(model.class_weight) == list(class_weight)[::-1]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_after_a_kill_the_same_call_ends_with_the_same_weights(tmp_path):
    path = tmp_path / "run.safetensors"
    options = {**MASKED, "early_stopping": False, "averaging": None}
    script = textwrap.dedent(
        f"""
        from fastrnn import RNNLanguageModel, RNNTagger
        from fastrnn.training import checkpoint
        from fastrnn.training.checkpoint import Checkpoint
        original, calls = Checkpoint.write, []
        def write(*arguments):
            original(*arguments)
            calls.append(None)
            if len(calls) == 7:
                print("written", flush=True)
        Checkpoint.write = write
        RNNLanguageModel(**{options!r}).fit({LINES!r}, checkpoint={str(path)!r}, checkpoint_minutes=0)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    (tmp_path / ".run.safetensors.0123abcd.tmp").touch()  # as if it was killed while it wrote
    resumed = RNNLanguageModel(**options).fit(LINES, checkpoint=path)
    assert_same(resumed, RNNLanguageModel(**options).fit(LINES))
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    model = RNNLanguageModel(**SMALL).fit(LINES, checkpoint=path)
    for options, X, message in (
        ({"hidden_size": 10}, LINES, r"another hidden_size \(9 there, 10 now\)"),
        ({"random_state": 1}, LINES, "another random_state"),
        ({}, [*LINES[1:], LINES[0]], "another X: call fit as it was called then, or remove the file"),
        ({"vocabulary": model.vocabulary_}, LINES[::-1], "another X"),
    ):
        with pytest.raises(ValueError, match=message):
            RNNLanguageModel(**{**SMALL, **options}).fit(X, checkpoint=path)
    assert_same(RNNLanguageModel(**SMALL, n_jobs=1).fit(LINES, checkpoint=path), model)  # threads change nothing
    with pytest.raises(ValueError, match=r"holds a RNNLanguageModel checkpoint, not a RNNLanguageModel"):
        RNNLanguageModel.load(path)
    model.save(path)
    with pytest.raises(ValueError, match=r"use RNNLanguageModel\.load"):
        RNNLanguageModel(**SMALL).fit(LINES, checkpoint=path)
    path.unlink()
    RNNLanguageModel(**SMALL).fit(LINES, checkpoint=path)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        RNNLanguageModel(**SMALL).fit(LINES, checkpoint=path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"checkpoint": 3}, ValueError, "checkpoint must be None or the path of a file, got 3"),
        ({"checkpoint": "a.safetensors", "checkpoint_minutes": -1}, ValueError, "checkpoint_minutes must be None or"),
        ({"checkpoint_minutes": 1}, ValueError, "checkpoint_minutes needs a checkpoint"),
        ({"checkpoint": "/no/such/folder/a"}, FileNotFoundError, "folder that exists"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        RNNLanguageModel(**SMALL).fit(LINES, **arguments)


def test_no_checkpoint_for_a_warm_start(tmp_path):
    model = RNNLanguageModel(**SMALL, warm_start=True).fit(LINES)
    with pytest.raises(ValueError, match="warm_start=True"):
        model.fit(LINES, checkpoint=tmp_path / "run.safetensors")


def test_a_full_disk_does_not_end_the_training(tmp_path, monkeypatch):
    path, whole, saved = tmp_path / "run.safetensors", RNNLanguageModel(**SMALL).fit(LINES), []
    original = checkpoint.save_model

    def limited(*arguments):
        saved.append(None)
        if len(saved) in full:  # as where a file cannot be made, and where it cannot be written
            message = (
                "No space left on device" if len(saved) % 2 else f"{path} cannot be written: no space left on device"
            )
            raise OSError(errno.ENOSPC, message)
        original(*arguments)

    monkeypatch.setattr(checkpoint, "save_model", limited)
    message = r"^checkpoint .*run\.safetensors cannot be written: no space left on device\. The training continues"
    full = {1, 2}
    with pytest.warns(RuntimeWarning, match=message) as caught:
        assert_same(RNNLanguageModel(**SMALL).fit(LINES, checkpoint=path), whole)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_same(RNNLanguageModel(**SMALL).fit(LINES, checkpoint=path), whole)  # the third one was written
    path.unlink()
    saved.clear()
    full = {2, 3}
    with pytest.warns(RuntimeWarning) as caught:
        assert_same(RNNLanguageModel(**SMALL).fit(LINES, checkpoint=path), whole)
    assert "can be used and saved, but its checkpoint" in str(caught[1].message)
    assert len(caught) == 2
    assert_same(RNNLanguageModel(**SMALL).fit(LINES, checkpoint=path), whole)  # goes on from the first one
