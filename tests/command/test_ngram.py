"""The ``fastrnn ngram`` command: what it prints, writes and refuses."""

import functools

import pytest

from fastrnn.ngram import NGramLanguageModel

TEXT = "The dog sees a cat.\nThe cat sees the old dog!\n\nA dog is a dog.\n" * 5


@pytest.fixture
def run(command):
    """Return a function that runs the subcommand, see `command`."""
    return functools.partial(command, "ngram")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def model(run, text, tmp_path):
    """Return the file of a bigram model."""
    path = tmp_path / "model"
    assert run("fit", text, "-o", path, "--order", 2, "--smoothing", "add_k", "--lowercase")[0] == 0
    return path


def test_fit_and_score(run, model, text):
    loaded = NGramLanguageModel.load(model)
    assert loaded.get_params() == NGramLanguageModel(2, smoothing="add_k", lowercase=True).get_params()
    status, out, err = run("score", model, text)
    assert (status, err) == (0, "")
    perplexity = loaded.perplexity(TEXT.rstrip("\n").split("\n"))
    assert out.startswith(f"perplexity {float(perplexity):.4f}, without unknown words {perplexity.without_oov:.4f}\n")
    assert out.endswith(f"{perplexity.n_tokens} tokens, ends of lines counted, 0 of them unknown\n")


def test_fit_says_what_came_out(run, text, tmp_path):
    options = ["-o", tmp_path / "m.arpa", "--order", 1, "--min-count", 11, "--smoothing", "add_k"]
    assert run("fit", text, text, *options) == (0, f"{tmp_path / 'm.arpa'}: 9 n-grams of 6 words\n", "")


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_warning_is_one_line(run, text, tmp_path):
    status, _, err = run("fit", text, "-o", tmp_path / "m")
    assert (status, err.count("\n")) == (0, 1)
    assert err.startswith("fastrnn ngram fit: warning: The Kneser-Ney discounts of order")


@pytest.mark.parametrize("name", ["m.arpa", "m.arpa.gz", "m.lm", "other.arpa.xz"])
def test_convert(run, model, text, tmp_path, name):
    assert run("convert", model, tmp_path / name) == (0, "", "")
    assert run("convert", tmp_path / name, tmp_path / "again", "--tokenizer", "words") == (0, "", "")
    assert NGramLanguageModel.load(tmp_path / "again").get_params()["tokenizer"] == "words"
    text.write_text(TEXT.lower())
    expected = run("score", model, text)
    assert (
        expected
        == run("score", tmp_path / name, text, "--tokenizer", "words")
        == run("score", tmp_path / "again", text)
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fit", "none.txt", "-o", "m"], "none.txt: No such file or directory"),
        (["fit", "{text}", "-o", "no/such/folder/m"], "--output no/such/folder/m: No such file or directory"),
        (["fit", "{text}", "-o", "{text}"], "text.txt: would replace a file that is read"),
        (["fit", "{text}", "-o", "m", "--order", "17"], "argument --order: expected an integer from 1 to 16, got '17'"),
        (["fit", "{text}", "-o", "m", "--smoothing", "good"], "smoothing must be one of"),
        (["fit", "{text}", "-o", "m", "--prune", "0,x"], "argument --prune: expected an integer from 0"),
        (["fit", "{text}", "-o", "m", "--prune", "3,1"], "prune must be"),
        (["fit", "{text}", "-o", "m", "--memory-limit", "much"], "memory_limit"),
        (["convert", "{characters}", "m.arpa"], "The token ' ' cannot be written to an ARPA file"),
        (["fit", "{text}"], "the following arguments are required: -o/--output"),
        (["score", "none", "{text}"], "none: No such file or directory"),
        (["score", "{text}", "{text}"], r"is no ARPA file: it has no line \data"),
        (["score", "{model}", "{text}", "--tokenizer", "chars"], "is a saved model, which has its own"),
        (["generate", "{model}", "--top-p", "2"], "top_p must be a number above 0 and at most 1"),
        (
            ["generate", "{model}", "--temperature", "nan"],
            "argument --temperature: expected a number of at least 0, got 'nan'",
        ),
        (["convert", "{text}", "m"], "is no ARPA file"),
        (["convert", "{model}", "no/such/folder/m"], "OUTPUT no/such/folder/m: No such file or directory"),
        (["convert", "{model}", "-"], "OUTPUT -: give the name of a file"),
        ([], "the following arguments are required: ACTION"),
    ],
)
def test_mistakes_are_one_line(run, model, text, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    characters = tmp_path / "characters"
    NGramLanguageModel(1, smoothing="add_k", tokenizer="chars").fit(["a b"]).save(characters)
    before = sorted(tmp_path.iterdir())
    status, out, err = run(*[argument.format(model=model, text=text, characters=characters) for argument in arguments])
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("fastrnn ngram")
    assert says in err
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_model(run, model, text):
    model.write_bytes(model.read_bytes()[:-1])
    status, _, err = run("score", model, text)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"fastrnn ngram score: error: {model} is no saved model, or it is damaged")
