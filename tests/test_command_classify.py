import csv
import json

import pytest

from fastrnn import cli
from fastrnn._command_classify import load_classifier

ROWS = [("a fine, good film", "pos"), ("dull and bad", "neg"), ("good fun", "pos"), ("so bad", "neg")] * 10


def table(path, rows=ROWS):
    """Write a table in the format that its ending names."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps({"review": text, "mood": label}) + "\n" for text, label in rows)
        elif path.suffix == ".tsv":
            file.writelines(f"{a}\t{b}\n" for a, b in [("review", "mood"), *rows])
        else:
            csv.writer(file).writerows([("review", "mood"), *rows])
    return str(path)


COLUMNS = ["--text-column", "review", "--label-column", "mood"]


def fit(tmp_path, data, *more):
    out = tmp_path / "model.safetensors"
    return cli.main(["classify", "fit", data, *COLUMNS, "--model", str(out), "--max-iter", "60", *more]), str(out)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_fit_predict_and_evaluate(tmp_path, capsys, ending):
    data = table(tmp_path / f"data{ending}")
    status, model = fit(tmp_path, data)
    assert status == 0
    assert "40 texts (neg 20, pos 20)" in capsys.readouterr().out
    (tmp_path / "lines.txt").write_text("a good film\nbad\n")
    assert cli.main(["classify", "predict", model, str(tmp_path / "lines.txt")]) == 0
    assert capsys.readouterr().out == "pos\nneg\n"
    assert cli.main(["classify", "predict", model, data, "--text-column", "review", "--proba"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 40
    assert lines[0].startswith("pos\tneg=0.")
    picture = tmp_path / "confusion.png"
    assert cli.main(["classify", "evaluate", model, data, *COLUMNS, "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "precision" in out
    assert out.splitlines()[-2].split() == ["neg", "20", "0"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_field_holds_a_whole_document_and_a_file_may_be_empty(tmp_path, capsys):
    data = table(tmp_path / "data.csv", [*ROWS, ("good " * 40_000, "pos")])
    status, model = fit(tmp_path, data)
    assert status == 0
    assert "41 texts" in capsys.readouterr().out
    (tmp_path / "empty.txt").write_text("")
    assert cli.main(["classify", "predict", model, str(tmp_path / "empty.txt")]) == 0
    assert capsys.readouterr().out == ""


def test_bad_rows_are_counted_and_named(tmp_path, capsys):
    path = tmp_path / "data.jsonl"
    table(path)
    path.write_text(path.read_text() + 'no json\n["a list"]\n{"review": "no label"}\n{"review": "", "mood": "pos"}\n')
    assert fit(tmp_path, str(path))[0] == 0
    captured = capsys.readouterr()
    assert "3 bad rows left out (lines 41, 42, 43)" in captured.err
    assert "41 texts" in captured.out


@pytest.mark.parametrize(
    ("content", "message"),
    [("review,mood\n", "no column 'review'|there is no row to read"), ("text,mood\na,b\n", "no column 'review'"),
     ("review,mood\ngood,pos\n", "one class only"), (None, "No such file")],
)  # fmt: skip
def test_what_cannot_be_fitted_is_one_line(tmp_path, capsys, content, message):
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_text(content)
    assert fit(tmp_path, str(path))[0] == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert any(part in err for part in message.split("|"))
    assert not (tmp_path / "model.safetensors").exists()


def test_what_is_no_classifier_is_refused(tmp_path, capsys):
    path = tmp_path / "model"
    path.write_bytes(b"no model")
    assert cli.main(["classify", "predict", str(path), str(path)]) == 2
    assert "is no saved model" in capsys.readouterr().err
    with pytest.raises(ValueError, match="is no saved model"):
        load_classifier(path)
