"""The reader of lines: where lines end, encodings, compression, every kind of file."""

import bz2
import codecs
import gzip
import io
import lzma
import pathlib
import tempfile

import pytest

from fastrnn.reading import open_lines, read_text

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


def test_an_encoding_can_be_given(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("naïve\n", encoding="latin-1")
    assert list(open_lines(path, encoding="latin-1")) == ["naïve"]
    path.write_text("naïve\nα\n", encoding="utf-16")
    assert list(open_lines(path, encoding="utf-16")) == ["naïve", "α"]
    with pytest.raises(ValueError, match="encoding must be the name of a text encoding, got 'latin-0'"):
        list(open_lines(path, encoding="latin-0"))


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
