"""Arrays of a fit, in memory or in temporary files, and kernels that run over them."""

import itertools
import mmap
import os
import re
import tempfile
import weakref

import numpy as np

from fastrnn.kernels.threads import run
from fastrnn.utils.checks import shown
from fastrnn.utils.files import writing_temporary_file

_MIN_PIECE = 1 << 15  # children of contexts that pay for a thread
_DISK_PIECE = 1 << 20  # children of contexts after which a thread gives pages back
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Workspace:
    """Makes arrays, and runs kernels over ranges of contexts.

    Parameters
    ----------
    memory_limit : int or None
        With a number of bytes, large arrays are mapped temporary files. The files have no names: they vanish with the
        last array, even after a crash. Their space on the disk is reserved at once: a full disk raises OSError then,
        and does not crash the process later.
    n_jobs : int
        Threads.
    """

    def __init__(self, memory_limit=None, n_jobs=1):
        self.memory_limit = memory_limit
        self.n_jobs = n_jobs
        self._maps = weakref.WeakSet()

    def empty(self, size, dtype):
        """Return an array (size,) of undefined values."""
        nbytes = size * np.dtype(dtype).itemsize
        if self.memory_limit is None or nbytes < mmap.PAGESIZE:
            return np.empty(size, dtype)
        with tempfile.TemporaryFile(prefix="fastrnn-") as file:
            with writing_temporary_file():
                _reserve(file, nbytes)
            pages = mmap.mmap(file.fileno(), nbytes)
        self._maps.add(pages)
        return np.frombuffer(pages, dtype)

    def full(self, size, value, dtype):
        """Return an array (size,) filled with a value."""
        array = self.empty(size, dtype)
        array[:] = value
        return array

    def keep(self, array):
        """Return an array, moved to a temporary file if there is a memory limit."""
        if self.memory_limit is None:
            return array
        kept = self.empty(len(array), array.dtype)
        kept[:] = array
        return kept

    def concatenate(self, arrays, dtype):
        """Return arrays that come one after another as one array; with a memory limit, one of them is held at a time.

        Parameters
        ----------
        arrays : iterable of array (n_i,)
        dtype : dtype
            The dtype of the result.
        """
        if self.memory_limit is None:
            return np.concatenate([np.empty(0, dtype), *arrays], dtype=dtype)
        with tempfile.TemporaryFile(prefix="fastrnn-") as file:
            for array in arrays:
                with writing_temporary_file():
                    file.write(np.asarray(array, dtype))
            if not file.tell():
                return np.empty(0, dtype)
            with writing_temporary_file():
                file.flush()
            pages = mmap.mmap(file.fileno(), file.tell())
        self._maps.add(pages)
        return np.frombuffer(pages, dtype)

    def release(self):
        """Give the memory of mapped files back; their content stays, and is read again when it is needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for pages in self._maps:
                pages.madvise(mmap.MADV_DONTNEED)

    def over_contexts(self, kernel, first_child, begin, end, *arguments):
        """Call ``kernel(*arguments, low, high)`` in threads, on ranges of contexts that together are begin:end.

        Parameters
        ----------
        kernel : callable
        first_child : int array
            The first child of each context: ranges have about equally many children.
        begin, end : int
        *arguments
            The other arguments of the kernel.
        """
        first, last = int(first_child[begin]), int(first_child[end])
        size = max(1, last - first)
        n_pieces = min(self.n_jobs, 1 + size // _MIN_PIECE)
        if self.memory_limit is not None:
            n_pieces = max(n_pieces, -(-size // _DISK_PIECE))
        cuts = np.linspace(first, last, n_pieces + 1)[1:-1].astype(np.int64)
        bounds = [begin, *(begin + np.searchsorted(first_child[begin:end], cuts)).tolist(), end]
        calls = [(*arguments, low, high) for low, high in itertools.pairwise(bounds)]
        for i in range(0, n_pieces, self.n_jobs):
            run(kernel, calls[i : i + self.n_jobs])
            self.release()


def _reserve(file, nbytes):
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, nbytes)
        return
    zeros = bytes(1 << 20)
    for start in range(0, nbytes, len(zeros)):
        file.write(zeros[: nbytes - start])
    file.flush()


def parse_bytes(name, value):
    """Return the number of bytes that a parameter gives; None for None.

    Examples
    --------
    >>> parse_bytes("memory_limit", "1.5GB")
    1500000000
    """
    if value is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]?)B?\s*", str(value).upper())
    if isinstance(value, bool) or match is None or not float(match[1]):
        raise ValueError(f"{name} must be None, a number of bytes, or a string such as '500MB', got {shown(value)}.")
    return int(float(match[1]) * _UNITS[match[2]])
