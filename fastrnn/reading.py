r"""The one reader of text files: lines, encodings, compression.

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
import zlib

_CHARACTERS_AT_ONCE = 1 << 16
_BYTE_ORDER_MARK = "\ufeff"
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError)


def open_lines(source, encoding="utf-8", errors="strict", keep_ends=False):
    r"""Iterate over the lines of a text, which is read as it is needed.

    Parameters
    ----------
    source : str, os.PathLike or file object
        The path of a file, plain or compressed with gzip, bzip2 or xz; or an open file, which is not closed. An open
        text file has its own encoding.
    encoding : str
        The encoding of the file.
    errors : {"strict", "replace", …}
        What is done about bytes that are not in the encoding, as in `open`.
    keep_ends : bool
        Whether the lines keep their ends as they were read.

    Yields
    ------
    str
        A line without its end, ``\n`` or ``\r\n``; the first one without a byte order mark.

    Raises
    ------
    ValueError
        If the file is not in the encoding, or is damaged by compression: the message names the file and the line.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import io
    >>> list(open_lines(io.BytesIO(b"\xef\xbb\xbfone\x0bline\r\n\ntwo\n")))
    ['one\x0bline', '', 'two']
    """
    name = _name_of(source)
    with _opened(source, encoding, errors) as lines:
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if number == 1:
                    line = line.removeprefix(_BYTE_ORDER_MARK)
                yield line if keep_ends else _without_end(line)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(error.encoding, "ignore")
            raise ValueError(
                f"{name}, line {number + 1 + before.count(chr(10))}: the text is not in {error.encoding} "
                f"({error.reason}): give its encoding."
            ) from None
        except (*_DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ValueError(f"{name}, line {number + 1}: the compressed file is damaged ({error}).") from None


def read_text(source, encoding="utf-8", errors="strict"):
    r"""Return a text as a whole.

    Parameters
    ----------
    source, encoding, errors
        As in `open_lines`.

    Returns
    -------
    str
        The text, whose lines end at ``\n``, without a byte order mark.

    Raises
    ------
    ValueError, OSError
        As `open_lines` does.

    Examples
    --------
    >>> import io
    >>> read_text(io.BytesIO("na\xefve\r\n".encode("latin-1")), encoding="latin-1")
    'naïve\n'
    """
    lines = open_lines(source, encoding, errors, keep_ends=True)
    return "".join(line[:-2] + "\n" if line.endswith("\r\n") else line for line in lines)


def is_file_object(source):
    """Return whether something is an open file, as opposed to a path or an iterable of texts."""
    return hasattr(source, "read") or hasattr(source, "readline")


def decompressed(file):
    """Return a buffered binary file, decompressed if its content is compressed with gzip, bzip2 or xz."""
    beginning = file.peek(4)[:4]
    for magic, opener in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7z", lzma.open)):
        if beginning.startswith(magic):
            return opener(file)
    return file


@contextlib.contextmanager
def _opened(source, encoding, errors):
    """Give an iterator over the lines of a source with their ends."""
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file, _decoded(decompressed(file), encoding, errors) as lines:
            yield lines
        return
    if not is_file_object(source):
        raise ValueError(f"source must be the path of a file or an open file, got {source!r:.80}.")
    read = getattr(source, "read", None)
    if read is None:
        yield source
    elif isinstance(read(0), bytes):
        with _decoded(source, encoding, errors) as lines:
            yield lines
    elif hasattr(source, "reconfigure"):  # by default Python also ends a line at "\r"
        with contextlib.suppress(io.UnsupportedOperation):  # something was read before
            source.reconfigure(newline="\n")
        yield source
    else:
        yield _cut(iter(functools.partial(read, _CHARACTERS_AT_ONCE), ""))


@contextlib.contextmanager
def _decoded(file, encoding, errors):
    """Give the lines of a binary file, which stays open."""
    try:
        lines = io.TextIOWrapper(file, encoding, errors, newline="\n")
    except LookupError:
        raise ValueError(f"encoding must be the name of a text encoding, got {encoding!r:.80}.") from None
    try:
        yield lines
    finally:
        with contextlib.suppress(ValueError):  # the file is closed already
            lines.detach()


def _cut(parts):
    r"""Yield the lines of a text that comes in parts, cut behind each ``\n``."""
    rest = ""
    for part in parts:
        *lines, rest = (rest + part).split("\n")
        yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest


def _without_end(line):
    return line.removesuffix("\n").removesuffix("\r") if line.endswith("\n") else line


def _name_of(source):
    return str(source if isinstance(source, str | os.PathLike) else getattr(source, "name", "the text"))
