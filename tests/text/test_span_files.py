import io
import json

import pytest

from fastrnn.text import read_spans, write_spans


def lines(*contents):
    return io.StringIO("".join(json.dumps(content) + "\n" for content in contents))


@pytest.mark.parametrize("key", ["spans", "entities", "labels", "label"])
def test_keys(key):
    contents = {"id": 1, "text": "EU naïve", key: [[0, 2, "ORG"]]}, {"text": "", key: []}
    assert read_spans(lines(*contents)) == (["EU naïve", ""], [[(0, 2, "ORG")], []])


def test_objects():
    span = {"start": 3, "end": 5, "label": "X", "token_start": 1}
    assert read_spans(lines({"text": "an EU", "spans": [span]})) == (["an EU"], [[(3, 5, "X")]])


def test_texts_alone():
    assert read_spans(lines({"text": "a"}, {"text": "b", "label": "pos"})) == (["a", "b"], None)
    assert read_spans(io.StringIO("\n \n")) == ([], None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 2: no JSON: '\{'"),
        ("[1]", r'line 2: expected a JSON object with a "text", got \[1\]'),
        ('{"text": 3}', 'line 2: expected a JSON object with a "text"'),
        ('{"text": "a"}', r'line 2: the object has no "spans", as others have'),
        ('{"text": "ab", "spans": [[0, 3, "X"]]}', "line 2: expected spans within a text of 2 characters, got"),
        ('{"text": "ab", "spans": [[1, 1, "X"]]}', "line 2: expected spans within"),
        ('{"text": "ab", "spans": [[0, 1.5, "X"]]}', "line 2: expected spans within"),
        (
            '{"text": "ab", "entities": [[0, "X"]]}',
            r"line 2: expected entities as \[begin, end, label\], got",
        ),
        ('{"text": "ab", "spans": [{"start": 0}]}', r"line 2: expected spans as \[begin, end, label\], got"),
    ],
)
def test_messages(tmp_path, line, message):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "EU", "spans": [[0, 2, "ORG"]]}\n' + line)
    with pytest.raises(ValueError, match=rf"bad\.jsonl, {message}"):
        read_spans(path)


def test_round_trip(tmp_path):
    texts, spans = ["EU naïve\n", ""], [[(0, 2, "ORG"), (3, 8, "X")], []]
    write_spans(tmp_path / "a.jsonl.gz", texts, spans)
    assert read_spans(tmp_path / "a.jsonl.gz") == (texts, spans)
    with pytest.raises(ValueError, match="texts and spans must be of the same length, got 1 and 0"):
        write_spans(tmp_path / "a.jsonl.gz", ["a"], [])
    for wrong in ((0, 3, "X"), (1, 1, "X"), (0, 1.5, "X")):
        with pytest.raises(ValueError, match=r"spans\[1\]\[0\] must be a span within 2 characters, got \("):
            write_spans(tmp_path / "a.jsonl.gz", ["a", "ab"], [[], [wrong]])
