"""The ``fastrnn translate`` command: pairs of lines in, translations out, mistakes in one line."""

import functools
import gzip
import math
import sys

import pytest

from fastrnn import MeanEmbeddingClassifier, NGramLanguageModel, RNNTranslator
from fastrnn.command.translate import load_translator
from fastrnn.metrics import bleu, character_error_rate, chrf, exact_match, token_error_rate
from fastrnn.translation import predict_together

PAIRS = [("one two", "1 2"), ("two one", "2 1"), ("two two", "2 2"), ("one", "1"), ("one one one", "1 1 1")]
SOURCES, TARGETS = zip(*PAIRS, strict=True)
SMALL = ["--hidden-size", 16, "--embedding-size", 16, "--max-iter", 1]


@pytest.fixture
def run(command):
    """Return a function that runs the subcommand, see `command`."""
    return functools.partial(command, "translate")


def lines(path, texts):
    text = "".join(f"{line}\n" for line in texts)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def table(path, pairs=PAIRS):
    return lines(path, map("\t".join, pairs))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the file of a translator that has learned the pairs."""
    path = tmp_path_factory.mktemp("translate") / "model"
    options = {"hidden_size": 16, "embedding_size": 16, "dropout": 0.0, "learning_rate_init": 0.01}
    RNNTranslator(**options, max_iter=150, random_state=0).fit(SOURCES, TARGETS).save(path)
    return path


def test_fit_predict_and_evaluate(run, tmp_path):
    sources, targets, path = lines(tmp_path / "a", SOURCES), lines(tmp_path / "b.gz", TARGETS), tmp_path / "model"
    options = ["--max-iter", 150, "--dropout", 0, "--learning-rate", 0.01, "--hidden-size", 16, "--embedding-size", 16]
    status, out, err = run("fit", sources, targets, "-o", path, *options, "--dev", sources, targets)
    loaded = load_translator(path)
    assert status == 0, err
    assert out.splitlines()[0] == f"5 pairs, 6 source tokens, 6 target tokens, {loaded.n_parameters_:,} parameters"
    assert out.splitlines()[1].startswith(f"{loaded.n_iter_} epochs, loss {loaded.loss_curve_[-1]:.4f}, validation ")
    assert out.splitlines()[2] == f"written to {path}"
    assert run("predict", path, sources) == (0, "".join(f"{text}\n" for text in TARGETS), "")
    status, out, _ = run("evaluate", path, sources, targets)
    score = loaded.score(SOURCES, TARGETS)
    assert (status, out.splitlines()[0]) == (0, f"5 pairs of 5 sources, log likelihood {score:.4f} a token")
    assert "exact match 1.0000\ntoken error rate 0.0000\ncharacter error rate 0.0000\n" in out
    assert loaded.verbose == 0


def test_one_file_with_columns(run, tmp_path):
    rows = [(target, "by me", source) for source, target in PAIRS]
    data, path = table(tmp_path / "a.tsv", [*rows[:2], ("broken",), *rows[2:], ("",)]), tmp_path / "model"
    columns = ["--source-column", 3, "--target-column", 1]
    more = ["--tokenizer", "chars", "--attention", "none", "--checkpoint", tmp_path / "run", "--seed", 3]
    status, out, err = run("fit", data, "-o", path, *SMALL, *columns, *more)
    assert (status, out.split(",")[0]) == (0, "5 pairs"), err
    assert f"{data}: 1 line left out: line 3 (1 column)\n" in err
    assert (tmp_path / "run").exists()
    loaded = load_translator(path)
    assert (loaded.tokenizer, loaded.attention, loaded.random_state, loaded.hidden_size) == ("chars", None, 3, 16)
    assert "n" in loaded.source_vocabulary_
    assert "1" in loaded.target_vocabulary_
    status, out, _ = run("predict", path, lines(tmp_path / "b.tsv", map("\t".join, rows)), "--source-column", 3)
    assert (status, out.splitlines()) == (0, loaded.predict(SOURCES))


def test_parameters(run, tmp_path):
    sources, targets, path = lines(tmp_path / "a", SOURCES), lines(tmp_path / "b", TARGETS), tmp_path / "model"
    options = ["--source-tokenizer", "chars", "--target-tokenizer", "whitespace", "--num-layers", 2,
               "--batch-size", 2, "--min-count", 2, "--max-vocab", 7, "--label-smoothing", 0.1, "--lowercase",
               "--normalize", "NFC", "--tie-weights", "--no-input-feeding"]  # fmt: skip
    status, _, err = run("fit", sources, targets, "-o", path, *SMALL, *options)
    assert status == 0, err
    loaded = load_translator(path)
    assert loaded.tokenizer == ("chars", "whitespace")
    names = ("num_layers", "batch_size", "min_count", "max_vocab", "label_smoothing", "lowercase", "normalize",
             "tie_weights", "input_feeding")  # fmt: skip
    assert [getattr(loaded, name) for name in names] == [2, 2, 2, 7, 0.1, True, "NFC", True, False]
    status, _, err = run("fit", sources, targets, "-o", path, *SMALL, "--share-vocabulary", "--tokenizer", "whitespace")
    assert status == 0, err
    assert load_translator(path).source_vocabulary_ == load_translator(path).target_vocabulary_


def test_standard_input_is_translated_in_blocks(run, model):
    text = b"one two\ntwo two\n\ntwo one\n"
    whole = run("predict", model, stdin=text)
    assert whole[0] == 0
    assert whole[1].count("\n") == 4
    assert whole[1].startswith("1 2\n2 2\n")
    for size in (1, 3):
        assert run("predict", model, "-", "--lines-at-once", size, stdin=text) == whole
    assert run("predict", model, stdin=b"") == (0, "", "")


def test_search_options(run, model, tmp_path):
    loaded, data = load_translator(model), lines(tmp_path / "a", SOURCES)
    options = {"beam_width": 2, "max_length": 2, "length_penalty": 1.5, "coverage_penalty": 0.1}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    assert run("predict", model, data, *words)[1].splitlines() == loaded.predict(SOURCES, **options)
    assert "exact match 0.8000" in run("evaluate", model, data, lines(tmp_path / "b", TARGETS), *words)[1]


def test_the_best_translations_of_each_line(run, model, tmp_path):
    loaded, data = load_translator(model), lines(tmp_path / "a", SOURCES)
    rows = [
        f"{line}\t{found.log_prob:.4f}\t{found.text}\n"
        for line, hypotheses in enumerate(loaded.beam_search(list(SOURCES), 3), start=1)
        for found in hypotheses
    ]
    assert len(rows) > 5
    for more in ([], ["--lines-at-once", 2]):
        assert run("predict", model, data, "--n-best", 3, *more) == (0, "".join(rows), "")


def test_language_models_and_several_translators(run, model, tmp_path):
    data, loaded = lines(tmp_path / "a", SOURCES), load_translator(model)
    language_model = NGramLanguageModel(2, smoothing="add_k", tokenizer="whitespace").fit(["2 2", "2 2 2"] * 5)
    language_model.save(tmp_path / "lm")
    expected = loaded.predict(SOURCES, language_model=language_model, weight=5)
    assert expected != loaded.predict(SOURCES)
    options = ["--language-model", tmp_path / "lm", "--weight", 5]
    assert run("predict", model, data, *options)[1].splitlines() == expected
    other = RNNTranslator(hidden_size=16, embedding_size=16, max_iter=1, random_state=1).fit(SOURCES, TARGETS)
    other.save(tmp_path / "other")
    expected = predict_together([loaded, other], SOURCES)
    options = ["--with", tmp_path / "other"]
    assert run("predict", model, data, *options)[1].splitlines() == expected
    status, out, _ = run("evaluate", model, table(tmp_path / "a.tsv"), *options)
    assert (status, f"exact match {exact_match(TARGETS, expected):.4f}" in out) == (0, True)
    assert f"log likelihood {loaded.score(SOURCES, TARGETS):.4f} a token by the first model\n" in out


def test_figures_with_several_references(run, model, tmp_path):
    pairs = [("one two", "1 3"), ("one two", "1 2"), ("two one", "2 1 1")]
    data, loaded = table(tmp_path / "a.tsv", pairs), load_translator(model)
    found, true = loaded.predict(["one two", "two one"]), [["1 3", "1 2"], ["2 1 1"]]
    expected = [
        f"3 pairs of 2 sources, log likelihood {loaded.score(*zip(*pairs, strict=True)):.4f} a token",
        f"exact match {exact_match(true, found):.4f}",
        f"token error rate {token_error_rate(true, found):.4f}",
        f"character error rate {character_error_rate(true, found):.4f}",
        f"BLEU {bleu(true, found):.2f}, chrF {chrf(true, found):.2f}",
    ]
    assert math.isclose(exact_match(true, found), 0.5)
    assert run("evaluate", model, data) == (0, "".join(f"{line}\n" for line in expected), "")


def test_evaluation_without_sacrebleu(run, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    status, out, err = run("evaluate", model, table(tmp_path / "a.tsv"))
    assert (status, out.count("\n")) == (0, 4)
    assert err == 'BLEU needs sacrebleu: pip install "fastrnn[translate]"\n'


def test_a_model_of_lists_of_tokens(run, tmp_path):
    path = tmp_path / "model"
    options = {"hidden_size": 16, "embedding_size": 16, "max_iter": 1, "random_state": 0}
    X, y = ([text.split() for text in texts] for texts in (SOURCES, TARGETS))
    model = RNNTranslator(tokenizer=None, **options).fit(X, y)
    model.save(path)
    expected = "".join(f"{' '.join(tokens)}\n" for tokens in model.predict(X))
    assert run("predict", path, lines(tmp_path / "a", SOURCES)) == (0, expected, "")
    status, out, err = run("evaluate", path, table(tmp_path / "a.tsv"))
    assert (status, f"log likelihood {model.score(X, y):.4f} a token" in out, err) == (0, True, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fit", "a", "b", "-o", "a"], "would replace a file that is read"),
        (["fit", "a", "short", "-o", "m"], "a and short: expected as many lines in both, got 5 and 1"),
        (["fit", "a", "b", "c", "-o", "m"], "FILE: expected one file or two, got 3"),
        (["fit", "a", "b", "-o", "m", "--dev", "a", "b", "c"], "--dev: expected one file or two, got 3"),
        (["fit", "-", "-", "-o", "m"], "-: standard input can be read once"),
        (["fit", "a", "-o", "m"], "a: there is no pair in it"),
        (["fit", "blank", "blank", "-o", "m"], "blank and blank: there is no pair in it"),
        (["fit", "p.tsv", "-o", "m", "--target-column", "1"], "--source-column and --target-column are both 1"),
        (["fit", "p.tsv", "-o", "m", "--source-tokenizer", "chars"], "give --source-tokenizer and --target-tokenizer"),
        (["fit", "p.tsv", "-o", "m", "--cell", "gur"], "error: cell must be one of"),
        (["predict", "means"], "means holds a MeanEmbeddingClassifier, no translator"),
        (["predict", "{model}", "p.tsv", "--source-column", "3"], "p.tsv, line 1: 2 columns, not 3"),
        (["predict", "{model}", "a", "--n-best", "6"], "--n-best 6: expected at most --beam-width 5"),
        (["predict", "{model}", "a", "--n-best", "2", "--with", "{model}"], "--n-best and --with cannot be asked for"),
        (["predict", "{model}", "nowhere"], "nowhere: No such file or directory"),
        (["evaluate", "{model}", "a", "short"], "a and short: expected as many lines in both, got 5 and 1"),
    ],
)
def test_mistakes_are_one_line(run, model, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "p.tsv")
    for name, texts in (("a", SOURCES), ("b", TARGETS), ("c", TARGETS), ("short", ["1"]), ("blank", ["", " "])):
        lines(tmp_path / name, texts)
    if arguments[1] == "means":
        MeanEmbeddingClassifier(max_iter=1, random_state=0).fit(["a", "b"] * 4, [0, 1] * 4).save("means")
    status, out, err = run(*(argument.format(model=model) for argument in arguments))
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"fastrnn translate {arguments[0]}: error: ")
    assert says.format(model=model) in err.splitlines()[-1]
    assert not (tmp_path / "m").exists()
