"""The ``fastrnn tag`` command: columns and JSON Lines in, the same with tags or spans out, mistakes in one line."""

import functools
import gzip
import json

import pytest

from fastrnn import CRFTagger, MeanEmbeddingClassifier, RNNTagger
from fastrnn.command.tag import load_tagger
from fastrnn.text import read_conll, read_spans

SENTENCES = [
    [
        ("Ann", "NNP", "B-PER"),
        ("Lee", "NNP", "I-PER"),
        ("saw", "VBD", "O"),
        ("all", "DT", "O"),
        ("Rome", "NNP", "B-LOC"),
    ],
    [("Bob", "NNP", "B-PER"), ("left", "VBD", "O"), ("Paris", "NNP", "B-LOC")],
    [("She", "PRP", "O"), ("lives", "VBZ", "O"), ("in", "IN", "O"), ("Paris", "NNP", "B-LOC"), (".", ".", "O")],
]
TEXTS = [
    {"text": "Ann Lee lives in Rome.", "spans": [[0, 7, "PER"], [17, 21, "LOC"]]},
    {"text": "Bob left Paris.", "spans": [[0, 3, "PER"], [9, 14, "LOC"]]},
    {"text": "She lives here.", "spans": []},
]
SMALL = ["--model", "rnn", "--max-iter", 1]


@pytest.fixture
def run(command):
    """Return a function that runs the subcommand, see `command`."""
    return functools.partial(command, "tag")


def columns(path, sentences=SENTENCES, repeat=8):
    text = "\n\n".join("\n".join("\t".join(row) for row in rows) for rows in sentences * repeat) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def spans(path, texts=TEXTS, repeat=8):
    path.write_text("".join(json.dumps(text) + "\n" for text in texts * repeat))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the file of a tagger of entities."""
    path = tmp_path_factory.mktemp("tag") / "model"
    X = [[row[0] for row in rows] for rows in SENTENCES * 8]
    y = [[row[2] for row in rows] for rows in SENTENCES * 8]
    CRFTagger().fit(X, y).save(path)
    return path


@pytest.mark.parametrize("ending", ["conll", "conll.gz"])
def test_fit_predict_and_evaluate(run, tmp_path, ending):
    data, path = columns(tmp_path / f"a.{ending}"), tmp_path / "model"
    status, out, err = run("fit", data, "-o", path, "--dev", data, "--c2", 0.01)
    assert (status, out.splitlines()[0]) == (0, "24 sentences, 104 tokens (O 56, B-LOC 24, B-PER 16, I-PER 8)"), err
    assert f"\n{data}: 24 sentences, 104 tokens, accuracy 1.0000\n" in out
    assert out.splitlines()[-1] == f"written to {path}"
    status, out, _ = run("predict", path, data)
    assert status == 0
    lines = [line.split("\t") for line in out.splitlines()]
    assert lines[:5] == [[*row, row[-1]] for row in SENTENCES[0]]
    assert lines[5] == [""]
    status, out, _ = run("evaluate", path, data)
    assert (status, out.splitlines()[0]) == (0, "24 sentences, 104 tokens, accuracy 1.0000")
    assert out.splitlines()[3].split() == ["LOC", "1.0000", "1.0000", "1.0000", "24", "24"]


def test_other_columns(run, tmp_path):
    data, path = columns(tmp_path / "a.conll"), tmp_path / "model"
    options = ["--token-column", 1, "--columns", 2]
    assert run("fit", data, "-o", path, *options, "--tag-column", -1)[0] == 0
    assert "accuracy 1.0000" in run("evaluate", path, data, *options)[1]
    status, out, err = run("predict", path, data)
    assert (status, out, err.endswith("got 'Ann'. Are --columns as they were for fit?\n")) == (2, "", True)
    assert run("fit", data, "-o", path, "--tag-column", 2)[0] == 0
    status, out, _ = run("evaluate", path, data, "--tag-column", 2)
    assert (status, out) == (0, "24 sentences, 104 tokens, accuracy 1.0000\n")  # parts of speech are no entities


def test_conllu(run, tmp_path):
    rows = [(form, form.lower(), f"X{tag}", tag, *"_____") for form, tag, _ in SENTENCES[0]]
    lines = ["\t".join([str(i), *row]) for i, row in enumerate(rows, 1)]
    data = tmp_path / "a.conllu"
    data.write_text("\n".join(["# text = Ann", "1-2\tAnn Lee" + "\t_" * 8, *lines, ""]))
    assert run("fit", data, "-o", tmp_path / "model")[0] == 0
    assert load_tagger(tmp_path / "model").classes_.tolist() == ["XDT", "XNNP", "XVBD"]
    assert run("fit", data, "-o", tmp_path / "model", "--tag-column", "xpos", "--columns", "lemma")[0] == 0
    status, out, _ = run("predict", tmp_path / "model", data, "--columns", "lemma")
    assert (status, out.splitlines()[0]) == (0, lines[0] + "\tNNP")


def test_lines_and_standard_input(run, model, tmp_path):
    expected = "Bob\tB-PER\nlives\tO\nin\tO\nRome\tB-LOC\n\nLee\tI-PER\n\n"
    status, out, _ = run("predict", model, "--format", "lines", stdin=b"Bob lives in Rome\n \nLee\n")
    assert (status, out.count("\n")) == (0, expected.count("\n"))
    assert out.startswith("Bob\tB-PER\nlives\tO\nin\tO\nRome\tB-LOC\n\nLee\t")
    status, out, _ = run("predict", model, "-", stdin=b"Bob\nlives\n\n")
    assert (status, out) == (0, "Bob\tB-PER\nlives\tO\n\n")
    assert run("predict", model, stdin=b"") == (0, "", "")
    status, out, _ = run("evaluate", model, "-", "--errors", stdin=columns(tmp_path / "a.conll").read_bytes())
    assert (status, "accuracy 1.0000" in out, "missed" in out) == (0, True, True)


def test_a_network(run, tmp_path):
    data, path = columns(tmp_path / "a.conll", repeat=2), tmp_path / "model"
    more = ["--dev", data, "--seed", 1, "--checkpoint", tmp_path / "run"]
    status, out, err = run("fit", data, "-o", path, *SMALL, *more)
    assert (status, "1 epochs, loss" in out) == (0, True), err
    assert (tmp_path / "run").exists()
    assert run("predict", path, data)[1].count("\n") == 2 * (13 + 3)
    assert run("evaluate", path, data)[0] == 0


def test_tags_that_the_model_does_not_have(run, model, tmp_path):
    data = columns(tmp_path / "a.conll", [[("Ann", "B-PER"), ("Inc", "B-ORG")]], 1)
    status, out, err = run("evaluate", model, data)
    assert (status, err) == (0, f"{data}: 1 of 2 tags are no class of the model: B-ORG\n")
    assert "ORG" in out
    data = columns(tmp_path / "a.conll", [[("Ann", "NOUN")]], 1)
    status, out, err = run("evaluate", model, data)
    assert (status, out) == (2, "")
    assert "no tag is a class of the model: tags are NOUN; classes are B-LOC, B-PER, I-PER, O" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fit", "a.conll", "-o", "m", "--tag-column", "4"], "--tag-column 4: a.conll has 3 columns"),
        (["fit", "a.conll", "-o", "m", "--tag-column", "-4"], "--tag-column -4: a.conll has 3 columns"),
        (["fit", "a.conll", "-o", "m", "--columns", "1,9"], "--columns 9: a.conll has 3 columns"),
        (["fit", "a.conll", "-o", "m", "--tag-column", "0"], "expected the number of a column"),
        (["fit", "a.conll", "-o", "m", "--tag-column", "upos"], "got 'upos': a.conll is not in CoNLL-U"),
        (["fit", "a.conll", "-o", "m", "--embedding", "v"], "--embedding is for --model rnn"),
        (["fit", "a.conll", "-o", "m", "--checkpoint", "r"], "--checkpoint is for --model rnn"),
        (["fit", "a.conll", "-o", "m", "--model", "rnn", "--c1", "1"], "--c1 is for --model crf"),
        (["fit", "a.conll", "-o", "a.conll"], "would replace a file that is read"),
        (["fit", "-", "-o", "m", "--dev", "-"], "standard input is FILE already"),
        (["fit", "one", "-o", "m"], "one has one column, and no tags"),
        (["fit", "ragged", "-o", "m"], "ragged, line 2: 3 columns, where other lines have 2"),
        (["fit", "blank", "-o", "m"], "blank: there is no sentence in it"),
        (["fit", "none.jsonl", "-o", "m"], "none.jsonl: there are no spans in it"),
        (["fit", "bad.jsonl", "-o", "m"], "bad.jsonl, line 1: no JSON"),
        (["predict", "means", "a.conll"], "means holds a MeanEmbeddingClassifier, no tagger of sentences"),
        (["predict", "series", "a.conll"], "series holds a tagger of series, no tagger of sentences"),
        (["predict", "{model}", "none.jsonl"], "none.jsonl holds texts, and {model} reads tokens"),
    ],
)
def test_mistakes_are_one_line(run, model, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    columns(tmp_path / "a.conll")
    (tmp_path / "one").write_text("Ann\nlives\n")
    (tmp_path / "ragged").write_text("Ann\tO\nlives\tO\tO\n")
    (tmp_path / "blank").write_text(" \n\n")
    (tmp_path / "bad.jsonl").write_text("Ann lives\n")
    spans(tmp_path / "none.jsonl", [{"text": "Ann lives"}])
    if arguments[1] == "means":
        MeanEmbeddingClassifier(max_iter=1, random_state=0).fit(["a", "b"] * 4, [0, 1] * 4).save("means")
    if arguments[1] == "series":
        tagger = RNNTagger(input="series", hidden_size=16, max_iter=1, random_state=0)
        tagger.fit([[[0.0]], [[1.0]]], [[0], [1]]).save("series")
    status, out, err = run(*(argument.format(model=model) for argument in arguments))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"fastrnn tag {arguments[0]}: error: ")
    assert says.format(model=model) in err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("kind", ["crf", "rnn"])
def test_texts_with_spans(run, tmp_path, kind):
    data, path = spans(tmp_path / "a.jsonl"), tmp_path / "model"
    more = [] if kind == "crf" else SMALL
    status, out, err = run("fit", data, "-o", path, *more)
    assert (status, out.splitlines()[0]) == (0, "24 texts, 32 spans (PER 16, LOC 16)"), err
    status, out, _ = run("predict", path, data)
    written = tmp_path / "out.jsonl"
    written.write_text(out)
    assert (status, read_spans(written)[0]) == (0, read_spans(data)[0])
    if kind == "crf":
        assert out == data.read_text()
        status, out, _ = run("predict", path, "--format", "lines", stdin=b"Bob lives in Rome.\n\n")
        found = [{"text": "Bob lives in Rome.", "spans": [[0, 3, "PER"], [13, 17, "LOC"]]}, {"text": "", "spans": []}]
        assert [json.loads(line) for line in out.splitlines()] == found
    status, out, _ = run("evaluate", path, data)
    assert (status, out.splitlines()[0]) == (0, "24 texts")
    status, out, err = run("predict", path, columns(tmp_path / "a.conll"))
    assert (status, out) == (2, "")
    assert f"a.conll holds tokens, and {path} reads texts" in err


def test_what_is_written_can_be_read(run, model, tmp_path):
    data = columns(tmp_path / "a.conll")
    (tmp_path / "out.conll").write_text(run("predict", model, data)[1])
    assert read_conll(tmp_path / "out.conll") == read_conll(data)
