"""What the subcommands of ``fastrnn`` share: the error of the user, types of arguments, texts."""

import argparse
import contextlib
import math
import pathlib
import tempfile


class UserError(Exception):
    """What the user can put right: one line, exit status 2."""


def integer(text, minimum, maximum):
    """Return an integer between two others."""
    with contextlib.suppress(ValueError):
        if minimum <= int(text) <= maximum:
            return int(text)
    raise argparse.ArgumentTypeError(f"expected an integer from {minimum} to {maximum}, got {text!r}")


def positive(text):
    """Return an integer above 0."""
    return integer(text, 1, 1_000_000)


def number(text):
    """Return a number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")


def seed(text):
    """Return the seed of a random state."""
    return integer(text, 0, 2**32 - 1)


def orders(text):
    """Return orders of n-gram models, separated by commas, each once."""
    return list(dict.fromkeys(integer(order, 1, 16) for order in text.split(",") if text))


def read_file(file):
    """Return the text of a file without empty lines at the end; raise UserError if it has none."""
    try:
        text = pathlib.Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not a text file in UTF-8") from error
    if "\0" in text:
        raise UserError(f"{file}: not a text file (it holds a NUL byte)")
    if not text.strip():
        raise UserError(f"{file}: the file is empty")
    return text.rstrip("\n")


def check_output(option, path, files):
    """Raise UserError if a file cannot be written, or is one of the files that are read."""
    if path.is_dir():
        raise UserError(f"{option} {path}: is a directory")
    if any(path.exists() and pathlib.Path(file).exists() and path.samefile(file) for file in files):
        raise UserError(f"{option} {path}: would replace the text that is read")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{option} {path}: {error.strerror}") from error
