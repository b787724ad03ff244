"""The ``fastrnn lm`` command: what it prints, writes and refuses."""

import errno
import functools
import sys

import pytest

from fastrnn import RNNLanguageModel
from fastrnn.command import main as cli

TEXT = "The dog sees a cat.\nThe cat sees the old dog!\n\nA dog is a dog.\n" * 8
SMALL = ["--cell", "rnn", "--embedding-size", 6, "--hidden-size", 6, "--max-iter", 2, "--seed", 1]


@pytest.fixture
def run(command):
    """Return a function that runs the subcommand, see `command`."""
    return functools.partial(command, "lm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a text and a model."""
    folder = tmp_path_factory.mktemp("lm")
    (folder / "text.txt").write_text(TEXT)
    assert (
        cli.main(["lm", "train", *map(str, [folder / "text.txt", "-o", folder / "model", "--lowercase", *SMALL])]) == 0
    )
    return folder


def test_train(run, folder, tmp_path):
    model = RNNLanguageModel.load(folder / "model")
    parameters = model.get_params()
    assert (parameters["cell"], parameters["lowercase"], parameters["carry_state"]) == ("rnn", True, True)
    options = ["--valid", folder / "text.txt", "--sentences", "--tie-weights", "--dropout", 0.1, "--num-layers", 2]
    status, out, _ = run("train", folder / "text.txt", "-o", tmp_path / "m", *SMALL, *options)
    other = RNNLanguageModel.load(tmp_path / "m")
    assert status == 0
    assert (other.num_layers, other.tie_weights, other.dropout, other.carry_state) == (2, True, 0.1, False)
    perplexity = float(other.perplexity(TEXT.rstrip("\n").split("\n")))
    assert out == (
        f"{tmp_path / 'm'}: {other.n_parameters_:,} parameters, {len(other.vocabulary_) - 4} tokens, "
        f"validation perplexity {perplexity:.2f}\n"
    )


def test_several_files_and_a_checkpoint(run, folder, tmp_path):
    half = len(TEXT) // 2
    (tmp_path / "first.txt").write_text(TEXT[:half])
    (tmp_path / "second.txt").write_text(TEXT[half:])
    files = [tmp_path / "first.txt", "--lowercase", "--checkpoint", tmp_path / "run", tmp_path / "second.txt"]
    assert run("train", *files, "-o", tmp_path / "m", *SMALL)[0] == 0
    assert (tmp_path / "run").exists()
    expected, model = (RNNLanguageModel.load(path) for path in (folder / "model", tmp_path / "m"))
    assert model.get_params() == expected.get_params()
    assert model.score(["the dog", "a cat"]) == pytest.approx(expected.score(["the dog", "a cat"]), rel=1e-4)


def test_a_perplexity_beyond_all_numbers(run, folder, tmp_path):
    status, out, _ = run("train", folder / "text.txt", "-o", tmp_path / "m", *SMALL, "--learning-rate", 1e30)
    assert (status, out.endswith("validation perplexity inf\n")) == (0, True)


def test_too_few_pieces(run, folder, tmp_path):
    pytest.importorskip("tokenizers")
    options = ["--tokenizer", "unigram", "--pieces", 1]
    status, out, err = run("train", folder / "text.txt", "-o", tmp_path / "m", *options)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith("fastrnn lm train: error: No 1 pieces can be learned from X: ")


@pytest.mark.parametrize("tokenizer", ["bytes", "bpe"])
def test_pieces(run, folder, tmp_path, tokenizer):
    pytest.importorskip("tokenizers")
    options = ["--tokenizer", tokenizer, "--pieces", 270]
    assert run("train", folder / "text.txt", "-o", tmp_path / "m", *SMALL, *options)[0] == 0
    assert run("complete", tmp_path / "m", "The d")[0] == 0
    assert run("score", tmp_path / "m", folder / "text.txt")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "none.txt", "-o", "m"], "none.txt: No such file or directory"),
        (["train", "{text}", "-o", "no/such/folder/m"], "--output no/such/folder/m: No such file or directory"),
        (["train", "{text}", "-o", "{text}"], "text.txt: would replace a file that is read"),
        (["train", "{text}", "-o", "{model}", "--valid", "{model}"], "would replace a file that is read"),
        (["train", "{text}", "-o", "m", "--checkpoint", "./m"], "--checkpoint m: is the file of --output"),
        (["train", "{text}", "-o", "m", "--cell", "lstmm"], "did you mean 'lstm'"),
        (["train", "{text}", "-o", "m", "--hidden-size", "0"], "argument --hidden-size: expected an integer from 1"),
        (["train", "{text}", "-o", "m", "--dropout", "1"], "must be at least 0 and below 1, got 1.0"),
        (["train", "{text}"], "the following arguments are required: -o/--output"),
        (["score", "none", "{text}"], "none: No such file or directory"),
        (["score", "{text}", "{text}"], "is no saved model, or it is damaged"),
        (["generate", "{model}", "--top-p", "2"], "top_p must be a number above 0 and at most 1"),
        (["generate", "{model}", "-n", "3", "--beam-width", "2"], "n must be at most beam_width=2, got 3"),
        (["generate", "{model}", "--stop", ""], "stop must hold strings of at least one token"),
        ([], "the following arguments are required: ACTION"),
    ],
)
def test_mistakes_are_one_line(run, folder, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    places = {"model": folder / "model", "text": folder / "text.txt"}
    status, out, err = run(*[argument.format(**places) for argument in arguments])
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("fastrnn lm")
    assert says in err
    assert not list(tmp_path.iterdir())


def test_subwords_without_the_package(run, folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    status, _, err = run("train", folder / "text.txt", "-o", tmp_path / "m", "--tokenizer", "unigram")
    assert (status, err) == (
        2, "fastrnn lm train: error: Subwords need the library tokenizers: pip install tokenizers\n"
    )  # fmt: skip


def test_a_model_of_subwords_without_the_package(run, folder, tmp_path, monkeypatch):
    pytest.importorskip("tokenizers")
    path = tmp_path / "m"
    arguments = ["--tokenizer", "bpe", "--pieces", "60", "--hidden-size", "5", "--max-iter", "1"]
    assert run("train", folder / "text.txt", "-o", path, *arguments)[0] == 0
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert run("score", path, folder / "text.txt") == (
        2, "", "fastrnn lm score: error: Subwords need the library tokenizers: pip install tokenizers\n"
    )  # fmt: skip


def test_a_model_that_cannot_be_written_is_saved_elsewhere(run, folder, tmp_path, monkeypatch):
    save = RNNLanguageModel.save

    def on_a_full_disk(model, path):
        if path.parent == tmp_path:
            raise OSError(errno.ENOSPC, f"{path} cannot be written: no space left on device")
        save(model, path)

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(RNNLanguageModel, "save", on_a_full_disk)
    names = []
    for _ in range(2):  # nothing is overwritten
        status, _, error = run("train", folder / "text.txt", "-o", tmp_path / "model", *SMALL)
        assert status == 2
        begin, _, name = error.partition("no space left on device; the model was saved as ")
        assert begin.endswith(f"error: {tmp_path / 'model'} cannot be written: ")
        names.append(name.removesuffix(" instead\n"))
        assert RNNLanguageModel.load(names[-1]).perplexity(["a"]) > 1
    assert names[0] == str(tmp_path / "elsewhere" / "model")
    assert names[0] != names[1]
