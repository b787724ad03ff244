"""The reader of lines: where lines end, encodings, compression, every kind of file."""

import bz2
import codecs
import gzip
import io
import lzma
import pathlib
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.utils import Bunch

from fastrnn.text.reading import iterate_texts, open_lines, read_text, text_files
from tests.fakes import Frame

# Characters at which str.splitlines or Python's text files end a line, and a text format does not.
INSIDE = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r"
TEXT = f"first{INSIDE}still first\r\n\nthird\r\r\nlast"
LINES = [f"first{INSIDE}still first", "", "third\r", "last"]


def ways(path):
    """Return all kinds of sources of a text in UTF-8, as functions."""
    data = path.read_bytes()
    return {
        "path": lambda: path,
        "name": lambda: str(path),
        "binary": lambda: open(path, "rb"),
        "unbuffered": lambda: open(path, "rb", buffering=0),
        "text": lambda: open(path, encoding="utf-8"),
        "codecs": lambda: codecs.getreader("utf-8")(open(path, "rb")),
        "bytes": lambda: io.BytesIO(data),
        "string": lambda: io.StringIO(data.decode(), newline=""),
        "temporary": lambda: _temporary(data),
    }


def _temporary(data):
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(("\ufeff" + TEXT).encode())
    return path


@pytest.mark.parametrize("way", list(ways(pathlib.Path(__file__))))
def test_lines_end_at_newlines_and_nowhere_else_on_every_way(path, way):
    source = ways(path)[way]()
    assert list(open_lines(source)) == LINES
    if hasattr(source, "close"):
        assert not source.closed  # it is the caller's
        source.close()


@pytest.mark.parametrize("way", list(ways(pathlib.Path(__file__))))
def test_a_whole_text_is_the_same_on_every_way(path, way):
    source = ways(path)[way]()
    assert read_text(source) == "\n".join(LINES)
    if hasattr(source, "close"):
        source.close()


@pytest.mark.parametrize(("text", "lines"), [("", []), ("\n", [""]), ("a", ["a"]), ("a\n\n", ["a", ""])])
def test_every_line_counts_and_a_last_newline_begins_none(text, lines):
    assert list(open_lines(io.StringIO(text))) == lines
    assert list(open_lines(io.BytesIO(text.encode()))) == lines


def test_ends_are_kept_as_they_were_when_asked_for():
    assert list(open_lines(io.BytesIO(b"a\r\nb\nc"), keep_ends=True)) == ["a\r\n", "b\n", "c"]


def test_a_byte_order_mark_is_removed_at_the_beginning_only():
    assert list(open_lines(io.StringIO("\ufeffa\n\ufeffb"))) == ["a", "\ufeffb"]


def test_lines_longer_than_a_block():
    text = "x" * 100_000 + "\n" + "y" * 200_000 + "\nz"
    assert list(open_lines(io.StringIO(text))) == text.split("\n")
    assert list(open_lines(io.BytesIO(text.encode()))) == text.split("\n")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_known_by_their_content(tmp_path, compress):
    path = tmp_path / "text"
    path.write_bytes(compress(TEXT.encode()))
    assert list(open_lines(path)) == LINES
    with open(path, "rb") as file:
        assert list(open_lines(file)) == LINES


@pytest.mark.parametrize("text", ["BZh is no sign of bzip2\n", "BZh9\n"])
def test_a_text_that_begins_as_a_compressed_file(tmp_path, text):
    (tmp_path / "text").write_text(text)
    assert read_text(tmp_path / "text") == text


def test_an_encoding_can_be_given(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("naïve\n", encoding="latin-1")
    assert list(open_lines(path, encoding="latin-1")) == ["naïve"]
    path.write_text("naïve\nα\n", encoding="utf-16")
    assert list(open_lines(path, encoding="utf-16")) == ["naïve", "α"]
    with pytest.raises(ValueError, match="encoding must be the name of a text encoding, got 'latin-0'"):
        list(open_lines(path, encoding="latin-0"))


def test_an_encoding_that_needs_a_byte_order_mark(tmp_path):
    (tmp_path / "text.txt").write_bytes(b"a line\n")
    with pytest.raises(ValueError, match=r"text\.txt, line 1: the text is not in utf-16 \(.* BOM\): give its encoding"):
        list(open_lines(tmp_path / "text.txt", encoding="utf-16"))


@pytest.mark.parametrize("n_before", [0, 1, 10_000])
@pytest.mark.parametrize("way", ["path", "binary", "text"])
def test_an_error_names_the_file_and_the_line(tmp_path, n_before, way):
    path = tmp_path / "text.txt"
    path.write_bytes(b"a line\n" * n_before + b"na\xefve\n" + b"a line\n" * 10)
    source = ways(path)[way]()
    with pytest.raises(ValueError, match=rf"text\.txt, line {n_before + 1}: the text is not in utf-8"):
        list(open_lines(source))
    if way != "path":
        source.close()
    assert len(list(open_lines(path, errors="replace"))) == n_before + 11


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_damaged_compressed_file_is_named(tmp_path, compress):
    path = tmp_path / "text.gz"
    path.write_bytes(compress(TEXT.encode())[:-4])
    with pytest.raises(ValueError, match=r"text\.gz, line \d: the compressed file is damaged"):
        list(open_lines(path))


def test_files_that_are_not_there_and_things_that_are_no_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(open_lines(tmp_path / "none.txt"))
    with pytest.raises(ValueError, match="source must be the path of a file or an open file, got 3"):
        list(open_lines(3))


def test_a_file_of_which_a_line_was_read_goes_on_from_there(path):
    with open(path, encoding="utf-8-sig", newline="\n") as file:
        next(file)
        assert list(open_lines(file)) == LINES[1:]


def test_lines_are_read_as_they_are_needed(path):
    with open(path, "rb") as file:
        lines = open_lines(file)
        assert next(lines) == LINES[0]
    del lines  # the file is closed already


def folder_of_texts(folder):
    """Write files into a folder: two texts, and things that are none."""
    (folder / "b.txt").write_text("third\n", encoding="utf-8")
    (folder / "a").mkdir()
    (folder / "a" / "first.txt.gz").write_bytes(gzip.compress(b"first\nsecond"))
    (folder / "a" / "notes.md").write_text("no text of the corpus")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "old.txt").write_text("no text of the corpus")
    return folder


def test_folders_and_lists_of_paths_are_texts(tmp_path):
    folder = folder_of_texts(tmp_path)
    files = [folder / "a" / "first.txt.gz", folder / "b.txt"]
    assert text_files(folder) == files
    for X in (folder, files, (path for path in files), [folder]):
        assert list(iterate_texts(X)) == ["first", "second", "third"]
    assert list(iterate_texts(files, whole_files=True)) == ["first\nsecond", "third\n"]
    assert list(iterate_texts(folder, whole_files=True)) == ["first\nsecond", "third\n"]
    assert list(iterate_texts(files[0], whole_files=True)) == ["first", "second"]
    assert list(iterate_texts(["zeroth", files[0]])) == ["zeroth", "first", "second"]
    (folder / "none").mkdir()
    with pytest.raises(ValueError, match=r"none is a folder without a file that ends in \.txt"):
        text_files(folder / "none")


def test_files_of_another_encoding_are_texts(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("naïve\n", encoding="latin-1")
    assert list(iterate_texts([path], encoding="latin-1")) == list(iterate_texts(path, encoding="latin-1")) == ["naïve"]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("text", "Iterable over raw text documents expected, string object received: put it into a list"),
        (bytearray(b"text"), "Iterable over raw text documents expected, bytearray object received"),
        (Frame(text=["a"], label=["b"]), r"got a Frame, a table: give the column with the texts, X=frame\['text'\]"),
        ({"text": ["a"]}, r"got a dict, which iterates over its keys: give what holds the texts, X=data\['text'\]"),
        (Bunch(data=["a"], target=[0]), "got a Bunch, which iterates over its keys"),
        ({"a", "b"}, "X must be an iterable of texts in a certain order, got a set: give a list"),
        (np.array([["a"], ["b"]]), r"X must have one dimension, .*, got shape \(2, 1\): give one column, X\[:, 0\]"),
        (SimpleNamespace(ndim=2, __iter__=iter), "X must have one dimension, .*, got a SimpleNamespace"),
        (np.array("a"), r"X must have one dimension, .*, got shape \(\)"),
        (None, "X must be an iterable of strings or of lists of tokens, got None"),
    ],
)
def test_what_iterates_over_other_things_than_texts_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        list(iterate_texts(X))


@pytest.mark.parametrize("collection", [list, tuple, np.array])
def test_names_of_files_are_no_texts(tmp_path, monkeypatch, collection):
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt"):
        pathlib.Path(name).write_text("a text")
    with pytest.raises(ValueError, match=r"X holds names of files, 'a\.txt' for instance, .* give a pathlib\.Path"):
        list(iterate_texts(collection(["a.txt", "b.txt"])))
    for texts in (["a.txt", "c.txt"], [".", ".."], ["a.txt", "a text"], [["a.txt"]], ["\0."], ["x." * 5000]):
        assert list(iterate_texts(texts)) == texts
