"""Writing texts into files, plain or compressed, and into open files."""

import contextlib
import os
import pathlib

from fastrnn.text.reading import is_file_object
from fastrnn.utils.checks import shown
from fastrnn.utils.files import open_compressed, replaced_file


@contextlib.contextmanager
def text_writer(target, encoding="utf-8"):
    r"""Yield a function that writes a str.

    Parameters
    ----------
    target : str, os.PathLike or file object
        The path of a file, which is replaced whole or not at all, and compressed if its name ends in ``.gz``, ``.bz2``
        or ``.xz``; or an open file of text or bytes, which stays open.
    encoding : str, default="utf-8"
        The encoding of a file; an open text file has its own.

    Yields
    ------
    callable

    Raises
    ------
    OSError
        The file cannot be written.
    ValueError
        `target` is none of these.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> with text_writer(file) as write:
    ...     _ = write("naïve\n")
    >>> file.getvalue()
    b'na\xc3\xafve\n'
    """
    if isinstance(target, str | os.PathLike):
        with replaced_file(target) as temporary, open_compressed(temporary, pathlib.Path(target).suffix) as file:
            yield _encoding_into(file, encoding)
    elif not hasattr(target, "write"):
        kind = " that can be written" if is_file_object(target) else ""
        raise ValueError(f"target must be the path of a file or an open file{kind}, got {shown(target)}.")
    elif _takes_text(target):
        yield target.write
    else:
        yield _encoding_into(target, encoding)


def _encoding_into(file, encoding):
    return lambda text: file.write(text.encode(encoding, "surrogatepass"))


def _takes_text(file):
    try:
        file.write("")
    except TypeError:
        return False
    return True
