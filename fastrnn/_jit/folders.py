"""Where compiled kernels are kept on disk, and which folders are trusted with them.

They are in the subfolder ``fastrnn`` of ``NUMBA_CACHE_DIR`` if that is set, and else in ``__pycache__`` beside the
source. Where that cannot be written, they are in ``fastrnn/kernels`` in the user's folder of caches
(``$XDG_CACHE_HOME``, ``~/.cache``).

A kernel on disk is code: whoever can write into its folder decides what runs here. So a folder is trusted only if it
belongs to the user or to root, and nobody else can write into it. ``__pycache__`` is trusted as much as the source
beside it, because Python itself runs the files in it.
"""

import contextlib
import hashlib
import os
import pathlib
import sys

from numba.core import config

from fastrnn.utils.files import taking_the_place, temporary_beside

_BESIDE = "__pycache__"
_OTHERS_WRITE = 0o022  # the group, and all
_FILES = "*.nbc*"  # kernels, and temporary files of killed processes


def kernel_folders(source):
    """Return the folders that can hold the kernels of a source file, the best one first.

    Parameters
    ----------
    source : pathlib.Path

    Returns
    -------
    list of pathlib.Path
        They need not exist.
    """
    beside = source.absolute().parent
    own = [root / f"{beside.name}-{hashlib.sha256(str(beside).encode()).hexdigest()[:16]}" for root in _roots()]
    return own if config.CACHE_DIR else [beside / _BESIDE, *own]


def _roots():
    """Return the folder that holds nothing but kernels of this package and its users, if there can be one."""
    if config.CACHE_DIR:
        return [pathlib.Path(config.CACHE_DIR).absolute() / "fastrnn"]
    caches = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    caches = pathlib.Path(os.path.expanduser(caches))  # still begins with "~" where the user has no home
    return [caches / "fastrnn/kernels"] if caches.is_absolute() else []


def check_trusted(folder):
    """Raise OSError if code in a folder must not be run, or if there is no such folder."""
    status = folder.stat()
    if os.name == "nt":  # rights are of another kind
        return
    owners, others = {os.geteuid(), 0}, _OTHERS_WRITE
    if folder.name == _BESIDE:
        source = folder.parent.stat()
        owners, others = owners | {source.st_uid}, others & ~source.st_mode
    if status.st_uid not in owners:
        raise PermissionError(None, "it belongs to another user", str(folder))
    if status.st_mode & others:
        raise PermissionError(None, "other users can write into it", str(folder))


def read_kernel(source, name):
    """Return the path and the content of a file in the first folder that has it and is trusted, or None."""
    for folder in kernel_folders(source):
        try:
            check_trusted(folder)
            return folder / name, (folder / name).read_bytes()
        except OSError:
            continue
    return None


def write_kernel(source, name, content):
    """Write a file, whole or not at all, into the first folder that can be written.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OSError
        No folder can be written: the message says why, for each.
    """
    reasons = []
    for folder in kernel_folders(source):
        try:
            # Readable for all, so that root can compile for users; never writable for others, whatever the umask.
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(0o755, exist_ok=True)
            check_trusted(folder)
            path = folder / name
            temporary = temporary_beside(path)
            with taking_the_place(temporary, path):
                temporary.write_bytes(content)  # not synced: a kernel that is lost is compiled again
            return path
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror or error}")
    raise OSError("; ".join(reasons))


def delete_files(paths):
    """Delete the files that can be deleted; return their number and their bytes."""
    count = size = 0
    for path in paths:
        with contextlib.suppress(OSError):
            bytes_ = path.stat().st_size
            path.unlink()
            count, size = count + 1, size + bytes_
    return count, size


def file_sizes(paths):
    """Return the bytes of all files together; another process may have deleted some meanwhile."""
    size = 0
    for path in paths:
        with contextlib.suppress(OSError):
            size += path.stat().st_size
    return size


def kept_files():
    """Return the paths of all compiled kernels on disk, those of other packages that use this compiler too."""
    beside = [] if config.CACHE_DIR else [pathlib.Path(__file__).parents[1].rglob(f"{_BESIDE}/{_FILES}")]
    return [path for found in (*beside, *(root.glob(f"*/{_FILES}") for root in _roots())) for path in found]
