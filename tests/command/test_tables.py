"""Tables: every format and way to write it, and the columns that are picked."""

import bz2
import gzip
import json
import lzma

import pytest

from fastrnn.command.labels import take_label
from fastrnn.command.tables import Format, is_table, pick, read_table, take_text, text_column
from fastrnn.text.reading import open_lines

ROWS = [("a fine, good film", "pos"), ("dull\u2028\x85 and\x0cbad", "neg"), ('"so" 5" bad\n\ttwice', "neg")]
LINES = "".join(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n" for text, label in ROWS)
CSV = 'text,label\n"a fine, good film",pos\ndull\u2028\x85 and\x0cbad,neg\n"""so"" 5"" bad\n\ttwice",neg\n'
TSV = 'text\tlabel\na fine, good film\tpos\ndull\u2028\x85 and\x0cbad\tneg\n"""so"" 5"" bad\n\ttwice"\tneg\n'


def table(path, layout=None, encoding="utf-8"):
    return read_table(str(path), open_lines(path, encoding), layout)


def read(path, layout=None):
    return pick(table(path, layout), {"text": take_text, "label": take_label})


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", CSV),
        ("t.CSV", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("t.TSV", TSV),
        ("t.tab", TSV),
        ("t.txt", TSV),
        ("t.jsonl", LINES),
        ("t.ndjson", "\n" + LINES.replace("\n", "\r\n\r\n")),
        ("t.json", LINES),
        ("t.json", json.dumps([dict(zip(("text", "label"), row, strict=True)) for row in ROWS], indent=1)),
        ("t", " [" + LINES.replace("}\n", "},\n")[:-2] + "]"),
        ("t.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("t.Tsv.BZ2", bz2.compress(TSV.encode())),
        ("t.jsonl.xz", lzma.compress(LINES.encode())),
    ],
)
def test_every_format_gives_the_same_rows(write, name, content):
    (texts, labels), bad = read(write(name, content))
    assert list(zip(texts, labels, strict=True)) == ROWS
    assert bad == []


def test_standard_input():
    for content in (CSV, TSV, LINES):
        result = read_table("-", content.split("\n"))
        assert pick(result, {"label": take_label}) == ([["pos", "neg", "neg"]], [])
    with pytest.raises(ValueError, match="standard input: the table is empty"):
        read_table("-", [])


def test_delimiter_quote_encoding_and_no_header(write):
    path = write("t.csv", "1;na\xefve;'a;b'\n2;x;y\n".encode("latin-1"))
    result = table(path, Format(";", "'", header=False), "latin-1")
    assert result.columns == ["1", "2", "3"]
    assert pick(result, {"3": take_text, "2": take_text}) == ([["a;b", "y"], ["naïve", "x"]], [])


def test_a_table_with_tabs_and_no_quotation(write):
    content = 'text\tlabel\n5" disk\tneg\nan "inner" one\tpos\n'
    assert read(write("t.tsv", content))[0][0] == ['5" disk', 'an "inner" one']
    content += '"open\tpos\n"so" bad\tneg\n'
    with pytest.warns(UserWarning, match=r"t\.tsv: quotation marks are taken as text, .* opens in line 4"):
        (texts, _), bad = read(write("t.tsv", content))
    assert (texts, bad) == (['5" disk', 'an "inner" one', '"open', '"so" bad'], [])
    for text, layout in ((content, Format(quote='"')), (content + '"two\nlines"\tpos\n', None)):
        with pytest.raises(ValueError, match=r"t\.tsv, line 4: a quotation mark opens here, but in line 5 'so"):
            read(write("t.tsv", text), layout)


def test_a_quotation_mark_left_open_is_an_error(write):
    with pytest.raises(ValueError, match=r"t\.csv, line 3: the quotation mark that opens here is never closed: close"):
        read(write("t.csv", 'text,label\ngood,pos\n"bad,neg\nfine,pos\n'))
    assert read(write("t.csv", 'text,label\n"bad,neg\n'), Format(quote=""))[0] == [['"bad'], ["neg"]]


def test_bad_rows_are_named(write):
    content = 'text,label\n"two\nlines",pos\nno label\nno label,\ntoo,many,fields\ngood,pos\n'
    (texts, _), bad = read(write("t.csv", content))
    assert texts == ["two\nlines", "good"]
    assert bad == [
        ("line 4", "nothing to use in column 'label'"),
        ("line 5", "nothing to use in column 'label'"),
        ("line 6", "3 fields in a table of 2 columns"),
    ]
    content = '{"text": "a", "label": 1}\nno JSON\n[1]\n{"text": null, "label": 1}\n{"text": ["a"], "label": NaN}\n{}\n'
    _, bad = read(write("t.jsonl", content))
    assert [place for place, _ in bad] == ["line 2", "line 3", "line 4", "line 5", "line 6"]
    _, bad = read(write("t.json", '[{"text": "a", "label": 1}, 3, {"text": "a", "label": "  "}]'))
    assert bad == [("element 2", "no JSON object"), ("element 3", "nothing to use in column 'label'")]


def test_numbers_are_texts_and_labels_keep_their_type(write):
    values, _ = read(write("t.jsonl", '{"text": 12, "label": true}\n{"text": "", "label": 0}\n'))
    assert values == [["12", ""], [True, 0]]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "", "t.csv: the table is empty"),
        ("t.jsonl", "\n \n", "t.jsonl: the table is empty"),
        ("t.json", "[{]", "t.json is no JSON: "),
        ("t.json", '{"text":\n"a"}\n', "no line holds a JSON object, and the file is no JSON array"),
        ("t.json", "[" * 100_000, "t.json is no JSON: "),
        ("t.csv", "a,b\n1,2\n", "has no column 'text'; its columns are 'a', 'b'"),
        ("t.csv", "text,text\n1,2\n", "has several columns 'text'; its columns are 'text', 'text'"),
        ("t.json", "[]", "has no column 'text'; it has no columns"),
    ],
)
def test_what_is_no_table(write, name, content, says):
    with pytest.raises(ValueError, match=says):
        read(write(name, content))


def test_json_has_no_delimiters(write):
    with pytest.raises(ValueError, match="are for tables that are not JSON"):
        read(write("t.jsonl", LINES), Format(delimiter=","))


def test_the_column_of_the_texts(write):
    assert text_column(table(write("t.csv", "review\na\n")), None) == "review"
    assert text_column(table(write("t.csv", "id,text\n1,a\n")), None) == "text"
    result = table(write("t.csv", "id,review\n1,a\n"))
    assert text_column(result, "review") == "review"
    semicolons = table(write("t.csv", "id;text\n1;a\n"))
    assert text_column(semicolons, "id;text") == "id;text"
    with pytest.raises(ValueError, match=r"the only column is 'id;text': say --delimiter ';' if these are several"):
        text_column(semicolons, None)
    with pytest.raises(ValueError, match=r"say with --text-column which .*; its columns are 'id', 'review'"):
        text_column(result, None)


@pytest.mark.parametrize(("name", "expected"), [("a.TSV", True), ("b.csv.gz", True), ("c.gz", False), ("-", False)])
def test_is_table(name, expected):
    assert is_table(name) is expected
