"""The options ``--device`` and ``--precision``: the device of `tests.numpy_backend` stands in for a GPU."""

import pytest

import fastrnn
from fastrnn import backends
from fastrnn.command import main as cli
from fastrnn.ngram import NGramLanguageModel
from tests import numpy_backend

LINES = ["the cat sat on the mat", "the dog sat on the log"] * 10
SMALL = ["--hidden-size", "4", "--embedding-size", "4", "--max-iter", "1", "--seed", "0"]


@pytest.fixture
def gpu():
    backends.register("cuda", numpy_backend)
    yield
    backends.register("cuda", None)


@pytest.fixture
def no_gpu(monkeypatch):
    module = backends._module

    def without(device):
        if device == "cuda":
            raise RuntimeError("device='cuda' needs an NVIDIA GPU.")
        return module(device)

    monkeypatch.setattr(backends, "_module", without)
    monkeypatch.setattr(backends, "has_gpu", lambda: False)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES))
    return path


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("text,label\n" + "".join(f"{line},{k % 2}\n" for k, line in enumerate(LINES)))
    return path


def fitted(path):
    """Return the device and precision of a saved model."""
    model = fastrnn.load(path)
    return model.device, model.precision


def test_a_language_model_is_trained_and_used_on_a_device(command, gpu, text, tmp_path):
    path = tmp_path / "lm"
    status, _, _ = command("lm", "train", text, "-o", path, *SMALL, "--device", "cuda", "--precision", "high")
    assert (status, fitted(path)) == (0, ("cuda", "high"))
    scores = [
        command("lm", "score", path, text, *options)
        for options in ((), ("--device", "cpu"), ("--precision", "medium"), ("--device", "auto"))
    ]
    assert {status for status, _, _ in scores} == {0}
    assert len({out for _, out, _ in scores}) == 1  # to the digits that are printed


@pytest.mark.parametrize("network", ["mean", "rnn"])
def test_a_classifier_is_trained_and_used_on_a_device(command, gpu, table, tmp_path, network):
    path = tmp_path / "classifier"
    options = ["--network", network, "--max-iter", "1"]
    status, _, _ = command("classify", "fit", table, "-o", path, *options, "--device", "cuda", "--precision", "medium")
    assert (status, fitted(path)) == (0, ("cuda", "medium"))
    for action in ("predict", "evaluate"):
        results = [command("classify", action, path, table, *options) for options in ((), ("--device", "cpu"))]
        assert results[0] == results[1]
        assert results[0][0] == 0


def test_a_translator_is_trained_and_used_on_a_device(command, gpu, tmp_path):
    pairs, path = tmp_path / "pairs.tsv", tmp_path / "translator"
    pairs.write_text("one two\t1 2\ntwo one\t2 1\none\t1\n")
    status, _, _ = command("translate", "fit", pairs, "-o", path, *SMALL, "--device", "cuda", "--precision", "high")
    assert (status, fitted(path)) == (0, ("cuda", "high"))
    for action in ("predict", "evaluate"):
        results = [command("translate", action, path, pairs, *options) for options in ((), ("--device", "cpu"))]
        assert results[0] == results[1]
        assert results[0][0] == 0


def test_compare_trains_its_networks_on_the_device(gpu):
    arguments = cli._parse(["compare", "--device", "cuda", "--precision", "high", "--orders", "2", "--cells", "gru"])
    models = cli.build_models(arguments, None)
    assert (models["GRU 128"].device, models["GRU 128"].precision) == ("cuda", "high")


def test_a_device_that_is_missing_is_one_line(command, no_gpu, text, table, tmp_path):
    path = tmp_path / "model"
    assert command("lm", "train", text, "-o", path, *SMALL)[0] == 0
    says = "error: device='cuda' needs an NVIDIA GPU.\n"
    for words in (("lm", "train", text, "-o", tmp_path / "new"), ("lm", "score", path, text), ("compare", text),
                  ("classify", "fit", table, "-o", tmp_path / "new"),
                  ("translate", "fit", table, "-o", tmp_path / "new")):  # fmt: skip
        status, _, err = command(*words, "--device", "cuda")
        assert (status, err.endswith(says), err.count("\n")) == (2, True, 1)
    assert not (tmp_path / "new").exists()


def test_a_model_without_a_network_has_no_device(command, text, tmp_path):
    path = tmp_path / "ngrams"
    NGramLanguageModel(2, smoothing="add_k").fit(LINES).save(path)
    status, _, err = command("ngram", "score", path, text, "--device", "cuda")
    assert (status, err) == (2, "fastrnn ngram score: error: unrecognized arguments: --device cuda\n")
    with pytest.raises(TypeError, match="device"):
        NGramLanguageModel(2, device="cuda")
