import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from fastrnn import RNNLanguageModel
from fastrnn._language_network import LanguageNetwork

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


@pytest.mark.parametrize("options", [MASKED, SHUFFLED], ids=["masked", "shuffled"])
@pytest.mark.parametrize("minutes", [None, 0.0])
def test_after_any_interruption_the_same_call_ends_with_the_same_weights(options, minutes, tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    original, steps = LanguageNetwork.train_step, []

    def counted(self, *arguments, **others):
        steps.append(None)
        return original(self, *arguments, **others)

    monkeypatch.setattr(LanguageNetwork, "train_step", counted)
    whole = RNNLanguageModel(**options).fit(LINES)
    total = len(steps)

    def killed(self, *arguments, **others):
        if len(steps) == limit:
            raise Killed
        return counted(self, *arguments, **others)

    monkeypatch.setattr(LanguageNetwork, "train_step", killed)
    for share in (0.1, 0.5, 0.9):
        steps.clear()
        limit = max(2, int(share * total / 2))
        with pytest.raises(Killed):
            RNNLanguageModel(**options).fit(LINES, checkpoint=path, checkpoint_minutes=minutes)
    steps.clear()
    limit = -1
    resumed = RNNLanguageModel(**options).fit(LINES, checkpoint=path, checkpoint_minutes=minutes)
    assert_same(resumed, whole)
    assert len(steps) < total
    steps.clear()
    assert_same(RNNLanguageModel(**options).fit(LINES, checkpoint=path), whole)  # there is nothing left to do
    assert not steps
    resumed.partial_fit(LINES)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_after_a_kill_the_same_call_ends_with_the_same_weights(tmp_path):
    path = tmp_path / "run.safetensors"
    options = {**MASKED, "early_stopping": False, "averaging": None}
    script = textwrap.dedent(
        f"""
        from fastrnn import RNNLanguageModel
        from fastrnn.checkpoint import Checkpoint
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
    resumed = RNNLanguageModel(**options).fit(LINES, checkpoint=path)
    assert_same(resumed, RNNLanguageModel(**options).fit(LINES))


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
