"""The ``fastrnn classify`` command: tables of every kind in, a line a row out, mistakes in one line."""

import csv
import functools
import gzip
import json

import numpy as np
import pytest

from fastrnn import MeanEmbeddingClassifier
from fastrnn.command.classify import load_classifier

ROWS = [("a fine, good film", "pos"), ("dull and bad", "neg"), ("good fun", "pos"), ("so bad", "neg")] * 10
COLUMNS = ["--text-column", "review", "--label-column", "mood"]


@pytest.fixture
def run(command):
    """Return a function that runs the subcommand, see `command`."""
    return functools.partial(command, "classify")


def table(path, rows=ROWS):
    """Write a table in the format that its ending names."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps({"review": text, "mood": label}) + "\n" for text, label in rows)
        else:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            csv.writer(file, delimiter=delimiter).writerows([("review", "mood"), *rows])
    return path


@pytest.fixture
def fit(run, tmp_path):
    """Return a function that fits a model to a table, and returns what the command did."""
    return lambda data, *more: run("fit", data, *COLUMNS, "-o", tmp_path / "model", "--max-iter", 60, *more)


def saved_model(path, classes=("neg", "pos")):
    """Save a model that finds the word "good" where the second class is."""
    labels = np.array(classes)[[1, 0] * 20]
    MeanEmbeddingClassifier(max_iter=60, random_state=0).fit([text for text, _ in ROWS], labels).save(path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the file of a model with the classes "neg" and "pos"."""
    return saved_model(tmp_path_factory.mktemp("classify") / "model")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_fit_predict_and_evaluate(run, fit, tmp_path, ending):
    data = table(tmp_path / f"data{ending}")
    status, out, _ = fit(data)
    assert (status, out.splitlines()[0].startswith("40 texts (neg 20, pos 20)")) == (0, True)
    assert run("predict", tmp_path / "model", stdin=b"a good film\nbad\n")[:2] == (0, "pos\nneg\n")
    status, out, _ = run("predict", tmp_path / "model", data, "--text-column", "review", "--proba")
    lines = out.splitlines()
    assert (status, len(lines), lines[0].startswith("pos\tneg=0.")) == (0, 40, True)
    picture = tmp_path / "confusion.png"
    status, out, _ = run("evaluate", tmp_path / "model", data, *COLUMNS, "--plot", picture)
    assert (status, "precision" in out, out.splitlines()[-2].split()) == (0, True, ["neg", "20", "0"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_field_holds_a_whole_document(fit, tmp_path):
    status, out, _ = fit(table(tmp_path / "data.csv", [*ROWS, ("good\n" * 40_000, "pos")]))
    assert (status, "41 texts" in out) == (0, True)


def test_bad_rows_are_counted_and_named(fit, tmp_path):
    path = table(tmp_path / "data.jsonl")
    path.write_text(path.read_text() + 'no json\n["a list"]\n{"review": "no label"}\n{"review": "", "mood": "pos"}\n')
    status, out, err = fit(path)
    assert (status, "41 texts" in out) == (0, True)
    named = "line 41 (no JSON); line 42 (no JSON object); line 43 (nothing to use in column 'mood')\n"
    assert err == f"{path}: 3 rows left out: {named}"


def test_a_checkpoint(fit, tmp_path):
    data = table(tmp_path / "data.csv")
    assert fit(data)[0] == 0
    expected = load_classifier(tmp_path / "model").predict_proba(["a good film"])
    for iterations in (1, 60):
        assert fit(data, "--checkpoint", tmp_path / "run", "--max-iter", iterations)[0] == 0
        assert (tmp_path / "run").exists()
    assert load_classifier(tmp_path / "model").predict_proba(["a good film"]).tolist() == expected.tolist()
    status, _, err = fit(data, "--checkpoint", data)
    assert (status, "--checkpoint" in err, "would replace a file that is read" in err) == (2, True, True)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("review,mood\n", "there is no row to read"),
        ("text,mood\na,b\n", "has no column 'review'; its columns are 'text', 'mood'"),
        ("review,mood\ngood,pos\n", "one class only"),
        ('review,mood\ngood,pos\n"bad,neg\n' + "fine,pos\n" * 60, "data.csv, line 3: the quotation mark that opens"),
        (None, "data.csv: No such file or directory"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(fit, tmp_path, content, says):
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_text(content)
    status, out, err = fit(path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("fastrnn classify fit: error: ")
    assert says in err
    assert not (tmp_path / "model").exists()


def test_lines_end_nowhere_but_at_the_line_end(run, model, tmp_path):
    text = "a fine film\u2029truly\x85\x0c good\r\n\nbad \x1c one"
    path = tmp_path / "lines.txt"
    path.write_text(text, encoding="utf-8", newline="")
    for out in (run("predict", model, stdin=text.encode())[1], run("predict", model, path)[1]):
        assert out.splitlines() == ["pos", out.splitlines()[1], "neg"]
    path.write_text("")
    assert run("predict", model, path) == (0, "", "")
    assert run("predict", model, "--proba", stdin=b"") == (0, "", "")


def test_a_table_on_standard_input(run, model, tmp_path):
    content = table(tmp_path / "t.csv").read_bytes()
    for stdin in (content, gzip.compress(content)):
        status, out, _ = run("predict", model, "-", "--text-column", "review", stdin=stdin)
        assert (status, out) == (0, "pos\nneg\n" * 20)
        assert "accuracy                         1.0000" in run("evaluate", model, "-", *COLUMNS, stdin=stdin)[1]


def test_latin_1_is_refused_or_asked_for(run, model):
    status, out, err = run("predict", model, stdin=b"a good one\nna\xefve\n")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "line 2: the text is not in utf-8" in err
    status, out, _ = run("predict", model, "--encoding", "latin-1", stdin=b"a good one\nna\xefve bad\n")
    assert (status, out) == (0, "pos\nneg\n")


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("t.csv", "text\ngood\n\nbad\n", []),  # an empty line between others is a row of a table of one column
        ("t.csv", "id,text\n1,good\n2,\n3,bad\n", []),
        ("t.tsv", "a\tb\ngood\t1\n\t2\nbad\t3\n", ["--text-column", "a"]),
        ("t.csv", "1;good\n2;\n3;bad\n", ["--delimiter", ";", "--no-header", "--text-column", "2"]),
        ("t.txt", "1\tgood\n2\t\n3\tbad\n", ["--delimiter", r"\t", "--no-header", "--text-column", "2"]),
        ("t.csv", "text,b\n'good','x'\n'',2\n'bad, so bad','y'\n", ["--quote", "'"]),
        ("t.json", '[{"text": "good"}, {"text": ""}, {"text": "bad"}]', []),
        ("t.JSONL", '{"text": "good"}\n{"text": ""}\n{"text": "bad"}\n', []),
    ],
)
def test_predict_prints_a_line_for_each_row(run, model, tmp_path, name, content, options):
    (tmp_path / name).write_text(content)
    status, out, err = run("predict", model, tmp_path / name, *options)
    assert (status, err) == (0, "")
    assert out.splitlines() == ["pos", load_classifier(model).predict([""])[0], "neg"]


@pytest.mark.parametrize(
    ("name", "content", "options", "says"),
    [
        ("t.jsonl", '{"text": "a"}\n{"text": null}\n', [], "1 row cannot be classified: line 2 (nothing to use in"),
        ("t.csv", "text,b\na,b\na,fine,film\n", [], "line 3 (3 fields in a table of 2 columns)"),
        ("t.csv", "id,review\n1,good\n", [], "say with --text-column which column holds the texts; its columns are"),
        ("t.csv", "text\n", ["--text-column", "a"], "has no column 'a'; its columns are 'text'"),
        ("t.csv", "1,2\n", ["--no-header"], "say with --text-column which column"),
        ("t.jsonl", '{"text": "a"}\n', ["--delimiter", ","], "are for tables that are not JSON"),
        ("t.csv", "text\n", ["--delimiter", "||"], "argument --delimiter: expected one character, got '||'"),
        ("t.csv", "text\n", ["--quote", ""], "argument --quote: expected one character, got ''"),
        ("t.csv", "text\n", ["--encoding", "utf-9"], "argument --encoding: expected the name of an encoding"),
        ("t.txt", "a\0b\n", [], "t.txt: not a text file (it holds a NUL byte)"),
    ],
)
def test_what_cannot_be_predicted_is_one_line(run, model, tmp_path, name, content, options, says):
    (tmp_path / name).write_text(content)
    status, out, err = run("predict", model, tmp_path / name, *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("fastrnn classify predict: error: ")
    assert says in err


@pytest.mark.parametrize(
    ("classes", "written"),
    [
        ([False, True], ("true", "false")),
        ([False, True], ("True", "False")),
        (["False", "True"], (True, False)),
        ([0, 1], ("1", "0")),
        ([0.0, 1.0], ("1", "0")),
        (["0", "1"], (1.0, 0)),
    ],
)
def test_labels_of_another_type_are_found(run, tmp_path, classes, written):
    saved_model(tmp_path / "model", classes)
    is_text = isinstance(written[0], str)
    rows = [(text, written[0] if label == "pos" else written[1]) for text, label in ROWS]
    data = table(tmp_path / ("data.csv" if is_text else "data.jsonl"), rows)
    status, out, err = run("evaluate", tmp_path / "model", data, *COLUMNS)
    assert (status, err) == (0, "")
    assert "accuracy                         1.0000        40" in out


def test_truth_values_of_json_keep_their_type(run, fit, tmp_path):
    data = table(tmp_path / "data.jsonl", [(text, label == "pos") for text, label in ROWS])
    assert fit(data)[1].startswith("40 texts (false 20, true 20)")
    assert load_classifier(tmp_path / "model").classes_.tolist() == [False, True]
    assert run("predict", tmp_path / "model", stdin=b"good\nbad\n")[1] == "true\nfalse\n"
    data = table(tmp_path / "data.csv", [(text, str(label == "pos").lower()) for text, label in ROWS])
    assert "accuracy                         1.0000        40" in run("evaluate", tmp_path / "model", data, *COLUMNS)[1]


def test_labels_that_are_no_class(run, model, tmp_path):
    data = table(tmp_path / "data.csv", [*ROWS, ("good", "fair"), ("good", "")])
    status, out, err = run("evaluate", model, data, *COLUMNS)
    assert (status, "fair" in out) == (0, True)
    assert err == (
        f"{data}: 1 row left out: line 43 (nothing to use in column 'mood')\n"
        f"{data}: 1 of 41 labels are no class of the model: fair\n"
    )
    data = table(tmp_path / "data.csv", [("good", "1"), ("bad", "0")])
    status, out, err = run("evaluate", model, data, *COLUMNS)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.endswith("no label is a class of the model: labels are 1, 0; classes are neg, pos\n")


def test_a_picture_that_cannot_be_drawn(run, model, tmp_path):
    for name in ("confusion.txt", "confusion"):
        status, out, err = run("evaluate", model, table(tmp_path / "t.csv"), *COLUMNS, "--plot", tmp_path / name)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "the file's name must end in one of" in err


def test_a_class_with_a_line_end_is_one_line(run, tmp_path):
    saved_model(tmp_path / "model", ["a", "two\nlines"])
    assert run("predict", tmp_path / "model", stdin=b"good\nbad\n")[1] == "two\\nlines\na\n"


def test_several_labels_a_text(run, tmp_path):
    labels = np.array([[1, 1, 0], [0, 0, 1]] * 20)
    model = MeanEmbeddingClassifier(max_iter=60, random_state=0).fit([text for text, _ in ROWS], labels)
    model.save(tmp_path / "model")
    assert run("predict", tmp_path / "model", stdin=b"good fun\nso bad\n")[1] == "0,1\n2\n"
    status, _, err = run("evaluate", tmp_path / "model", table(tmp_path / "t.csv"), *COLUMNS)
    assert (status, err.count("\n")) == (2, 1)


def test_what_is_no_classifier_is_refused(run, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"no model")
    status, _, err = run("predict", path, path)
    assert (status, "is no saved model" in err) == (2, True)
    with pytest.raises(ValueError, match="is no saved model"):
        load_classifier(path)
