"""Files that are written whole or not at all, and errors that name the file which cannot be written."""

import bz2
import contextlib
import glob
import gzip
import lzma
import os
import pathlib
import stat
import tempfile
import uuid


@contextlib.contextmanager
def replaced_file(path):
    """Yield a temporary file in the folder of `path`, which replaces `path` on leaving without an error.

    A full disk or an interrupt leaves the old file, and no half-written one. A new file has the rights that the umask
    leaves; one that replaces another has the rights of that file. A symbolic link stays: the file that it points to is
    replaced. A device or a pipe, ``/dev/stdout`` for instance, cannot be replaced: it is yielded itself.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write.

    Yields
    ------
    pathlib.Path
        The temporary file (or the device), for the body to write and close.

    Raises
    ------
    OSError
        No file can be made there, or it cannot be written: the message names it and the reason.
    """
    path = pathlib.Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        with _named_errors(path, path):
            yield path
        return
    target = pathlib.Path(os.path.realpath(path))
    temporary = temporary_beside(target)
    try:
        open(temporary, "xb").close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    with _named_errors(path, temporary), taking_the_place(temporary, target):
        yield temporary
        if target.is_file():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())


@contextlib.contextmanager
def open_compressed(path, suffix):
    """Open a binary file for writing; compress what is written if the suffix is ``.gz``, ``.bz2`` or ``.xz``."""
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(open(path, "wb"))
        if suffix == ".gz":
            yield stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0))  # the same bytes at any time
        elif suffix == ".bz2":
            yield stack.enter_context(bz2.BZ2File(raw, "wb"))
        elif suffix == ".xz":
            yield stack.enter_context(lzma.LZMAFile(raw, "wb", preset=1))  # the default takes ten times as long
        else:
            yield raw


def temporary_beside(target):
    """Return the name of a temporary file in the folder of `target`, which no other process has."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")


@contextlib.contextmanager
def taking_the_place(temporary, target):
    """Put a file, which is written within the context, in the place of `target`; delete it after an error."""
    try:
        yield
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _named_errors(path, written):
    """Name `path` in an error about the file `written`."""
    try:
        yield
    except OSError as error:
        if error.filename not in (None, str(written)):  # about a file that is read meanwhile
            raise
        message = unwritten(path, error)
        raise (OSError(message) if error.errno is None else OSError(error.errno, message)) from None


def remove_abandoned(path):
    """Remove the temporary files of `replaced_file` that a killed process left; nobody else may be writing `path`."""
    path = pathlib.Path(os.path.realpath(path))
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"):
        temporary.unlink(missing_ok=True)


def unwritten(path, error):
    """Return the message that a file cannot be written and why, unless the OSError has such a message already.

    Examples
    --------
    >>> unwritten("m.st", OSError(28, "No space left on device"))
    'm.st cannot be written: no space left on device'
    """
    reason = error.strerror or str(error)
    if reason.startswith(f"{path} "):
        return reason
    if error.errno is not None:
        reason = reason[0].lower() + reason[1:]
    return f"{path} cannot be written: {reason}"


@contextlib.contextmanager
def writing_temporary_file():
    """Name the folder of temporary files in an error about one of them."""
    try:
        yield
    except OSError as error:
        advice = "for a temporary file (set TMPDIR to a folder with more space)"
        raise OSError(error.errno, f"{error.strerror or error} {advice}", tempfile.gettempdir()) from None
