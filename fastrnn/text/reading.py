r"""Reading texts: lines of files, encodings, compression, and collections of texts.

A line ends at ``\n``, or at ``\r\n``, and nowhere else: U+2028, U+0085, a form feed or a ``\r`` alone stay inside it.
Every line counts, an empty one too, also at the end of a text; a ``\n`` at the very end begins no further line.
"""

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import os
import pathlib
import re
import zlib
from collections.abc import Mapping

from fastrnn.utils.checks import is_frame, shown

_CHARACTERS_AT_ONCE = 1 << 16
_BYTE_ORDER_MARK = "\ufeff"
_COMPRESSED = (".gz", ".bz2", ".xz")
_LONGEST_NAME = 1000  # characters of a text that could be the name of a file
_MAGIC = (  # first bytes of a compressed file; that of bzip2 is long, because a text may begin with its letters
    (re.compile(rb"\x1f\x8b"), gzip.open),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"), bz2.open),
    (re.compile(rb"\xfd7z"), lzma.open),
)
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError)


def open_lines(source, encoding="utf-8", errors="strict", keep_ends=False):
    r"""Iterate over the lines of a text, reading as needed.

    Parameters
    ----------
    source : str, os.PathLike or file object
        The path of a file, or an open file, which stays open; plain or compressed with gzip, bzip2 or xz. An open text
        file has its own encoding.
    encoding : str
        The encoding of the file.
    errors : {"strict", "replace", …}
        Treatment of bytes that are not in the encoding, as in `open`.
    keep_ends : bool
        Whether to keep the ends of lines.

    Yields
    ------
    str
        A line without its end, ``\n`` or ``\r\n``; the first one without a byte order mark.

    Raises
    ------
    ValueError
        If the file is not in the encoding, or is compressed and damaged: the message names the file and the line.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import io
    >>> list(open_lines(io.BytesIO(b"\xef\xbb\xbfone\x0bline\r\n\ntwo\n")))
    ['one\x0bline', '', 'two']
    """
    name = name_of(source)
    with _opened(source, encoding, errors) as lines:
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if number == 1:
                    line = line.removeprefix(_BYTE_ORDER_MARK)
                if not keep_ends:
                    line = line[:-2] if line.endswith("\r\n") else line.rstrip("\n")
                yield line
        except UnicodeError as error:
            used, reason = encoding, error  # UTF-16 without a byte order mark: the place is unknown
            if isinstance(error, UnicodeDecodeError):
                used, reason = error.encoding, error.reason
                number += error.object[: error.start].decode(used, "ignore").count("\n")
            raise ValueError(
                f"{name}, line {number + 1}: the text is not in {used} ({reason}): give its encoding."
            ) from None
        except (*_DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ValueError(f"{name}, line {number + 1}: the compressed file is damaged ({error}).") from None


def read_text(source, encoding="utf-8"):
    r"""Return a whole text.

    Parameters
    ----------
    source, encoding
        As in `open_lines`.

    Returns
    -------
    str
        The text without a byte order mark; its lines end at ``\n``.

    Raises
    ------
    ValueError, OSError
        As in `open_lines`.

    Examples
    --------
    >>> import io
    >>> read_text(io.BytesIO("na\xefve\r\n".encode("latin-1")), encoding="latin-1")
    'naïve\n'
    """
    lines = open_lines(source, encoding, keep_ends=True)
    return "".join(line[:-2] + "\n" if line.endswith("\r\n") else line for line in lines)


def iterate_texts(X, encoding="utf-8", whole_files=False, name="X"):
    """Iterate over the texts of a collection.

    Parameters
    ----------
    X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
        The path (a `pathlib.Path`) of a text file, and an open file, give its lines; the path of a folder gives those
        of its text files, see `text_files`.
    encoding : str
        The encoding of the files.
    whole_files : bool
        Whether each of several files is one text, rather than a text for each line.
    name : str
        The argument's name in messages.

    Yields
    ------
    str, or other elements of X unchanged

    Raises
    ------
    ValueError
        If X is not a collection of texts: a string or a table, for instance. Errors of files are those of `open_lines`.

    Examples
    --------
    >>> list(iterate_texts(["a fine film", ["so", "dull"]]))
    ['a fine film', ['so', 'dull']]
    """
    check_texts(X, name)
    if is_file_object(X) or (isinstance(X, os.PathLike) and not os.path.isdir(X)):
        yield from open_lines(X, encoding)
        return
    for element in [X] if isinstance(X, os.PathLike) else X:
        if isinstance(element, str) or not isinstance(element, os.PathLike):
            yield element
            continue
        for path in text_files(element):
            if whole_files:
                yield read_text(path, encoding)
            else:
                yield from open_lines(path, encoding)


def check_texts(X, name="X"):
    """Raise ValueError if X, an argument of this name, cannot be a collection of texts; few elements are checked."""
    if not isinstance(X, list | tuple):
        _check_kind(X, name)
    if hasattr(X, "__len__") and len(X) and all(map(_is_name_of_file, X)):
        raise ValueError(
            f"{name} holds names of files, {shown(next(iter(X)))} for instance, where texts are expected: give a "
            "pathlib.Path for each."
        )


def _check_kind(X, name):
    """Raise ValueError if the type of X shows that its elements are not texts, or have no order."""
    kind = type(X).__name__
    if isinstance(X, str | bytes | bytearray):
        kind = "string" if isinstance(X, str) else kind
        raise ValueError(
            f"Iterable over raw text documents expected, {kind} object received: put it into a list, or give a "
            "pathlib.Path if it is the name of a file."
        )
    if is_frame(X):
        raise ValueError(
            f"{name} must be an iterable of texts, got a {kind}, a table: give the column with the texts, "
            f"{name}=frame['text'] for instance."
        )
    if isinstance(X, Mapping):
        raise ValueError(
            f"{name} must be an iterable of texts, got a {kind}, which iterates over its keys: give what holds the "
            f"texts, {name}=data['text'] or {name}=list(data.values()) for instance."
        )
    if isinstance(X, set | frozenset):
        raise ValueError(f"{name} must be an iterable of texts in a certain order, got a {kind}: give a list.")
    if not isinstance(X, os.PathLike) and not hasattr(X, "__iter__") and not hasattr(X, "__getitem__"):
        raise ValueError(f"{name} must be an iterable of strings or of lists of tokens, got {shown(X)}.")
    if getattr(X, "ndim", 1) != 1:
        given = f"shape {tuple(X.shape)}" if hasattr(X, "shape") else f"a {kind}"
        raise ValueError(
            f"{name} must have one dimension, with a text in each place, got {given}: give one column, {name}[:, 0] "
            f"for instance, or {name}.tolist() if each row is a list of tokens."
        )


def _is_name_of_file(text):
    may_be_one = isinstance(text, str) and len(text) <= _LONGEST_NAME and ("." in text or os.sep in text)
    return may_be_one and os.path.isfile(text)


def text_files(path):
    """Return the text files of a path.

    Parameters
    ----------
    path : os.PathLike
        A file; or a folder: all files below it whose names end in ``.txt``, perhaps followed by
        ``.gz``, ``.bz2`` or ``.xz``, sorted by name. Names that begin with a point are left out.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    ValueError
        If the folder has no such file.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if _is_text_file(file.relative_to(path)) and file.is_file())
    if not files:
        raise ValueError(f"{path} is a folder without a file that ends in .txt: give a list of the paths of its files.")
    return files


def _is_text_file(name):
    return suffix_of(name) == ".txt" and not any(part.startswith(".") for part in name.parts)


def suffix_of(path):
    """Return the suffix of a file's name, after dropping that of a compression.

    Parameters
    ----------
    path : pathlib.PurePath

    Returns
    -------
    str

    Examples
    --------
    >>> suffix_of(pathlib.PurePath("reviews.tsv.gz"))
    '.tsv'
    """
    return (path.with_suffix("") if path.suffix in _COMPRESSED else path).suffix


def check_encoding(encoding):
    """Raise ValueError if Python does not know an encoding."""
    try:
        "".encode(encoding)
    except (LookupError, TypeError):
        raise ValueError(f"encoding must be the name of a text encoding, got {shown(encoding)}.") from None


def is_file_object(source):
    """Return whether `source` is an open file, as opposed to a path or an iterable of texts."""
    return hasattr(source, "read") or hasattr(source, "readline")


def decompressed(file):
    """Return a buffered binary file, decompressed if it is compressed with gzip, bzip2 or xz."""
    beginning = file.peek(16)
    for magic, opener in _MAGIC:
        if magic.match(beginning):
            return opener(file)
    return file


@contextlib.contextmanager
def _opened(source, encoding, errors):
    """Open a source; yield an iterator over its lines, which keep their ends."""
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file, _decoded(decompressed(file), encoding, errors) as lines:
            yield lines
        return
    if not is_file_object(source):
        raise ValueError(f"source must be the path of a file or an open file, got {shown(source)}.")
    read = getattr(source, "read", None)
    if read is None:
        yield source
    elif isinstance(read(0), bytes):
        with _decoded(decompressed(source) if hasattr(source, "peek") else source, encoding, errors) as lines:
            yield lines
    elif hasattr(source, "reconfigure"):  # by default, Python also ends a line at "\r"
        with contextlib.suppress(io.UnsupportedOperation):  # something was read before
            source.reconfigure(newline="\n")
        yield source
    else:
        yield _cut(iter(functools.partial(read, _CHARACTERS_AT_ONCE), ""))


@contextlib.contextmanager
def _decoded(file, encoding, errors):
    """Decode a binary file, which stays open; yield an iterator over its lines."""
    check_encoding(encoding)
    lines = io.TextIOWrapper(file, encoding, errors, newline="\n")
    try:
        yield lines
    finally:
        with contextlib.suppress(ValueError):  # the file is closed already
            lines.detach()


def _cut(parts):
    r"""Yield the lines of a text that comes in parts; each ends with ``\n``."""
    rest = ""
    for part in parts:
        *lines, rest = (rest + part).split("\n")
        yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest


def name_of(source):
    """Return the path of a file, or an open file's name, for messages."""
    return str(source if isinstance(source, str | os.PathLike) else getattr(source, "name", "the text"))
