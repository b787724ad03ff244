"""Arrays in memory that is used again.

What a training step computes is gone before the next one, and of the same size. The C library gives such memory back to
the system and asks for it again, which then costs a page fault every 4 KB: up to a fifth of a step.
"""

import collections
import math
import sys

import numpy as np

_LINE = 64  # bytes; no vector of an array that begins at a cache line crosses two of them
_LEAST_BYTES = 1 << 16  # of what is smaller the C library takes care
_MOST_BYTES = 1 << 26


def aligned(size, dtype):
    """Return an array (size,) with arbitrary contents that begins at a cache line."""
    dtype = np.dtype(dtype)
    return _at_line(_new_block(size * dtype.itemsize), (size,), dtype)


def _new_block(size):
    return np.empty(size + _LINE, np.uint8)


def _at_line(block, shape, dtype):
    return np.ndarray(shape, dtype, block, -block.ctypes.data % _LINE)


class Pool:
    """Memory that arrays were in, for new ones of about the same size.

    A block of memory is free when nothing but the pool refers to it: arrays and their views hold the block they are in.
    Threads may share a pool: who has taken a block out of its queue is the only one to look at it.

    Parameters
    ----------
    most_bytes : int
        When the pool would hold more, free or in use, it lets go of all its blocks: those in use live on as ordinary
        memory.
    """

    def __init__(self, most_bytes):
        self.most_bytes = most_bytes
        self._queues = {}  # blocks of each size

    @property
    def n_bytes(self):
        """Memory that is held, free or in use."""
        return sum(size * len(queue) for size, queue in list(self._queues.items()))

    def release(self):
        """Let go of all blocks: memory that is free goes back, that in use lives on as ordinary memory."""
        self._queues.clear()

    def empty(self, shape, dtype):
        """Return an array with arbitrary contents, as `numpy.empty`.

        Parameters
        ----------
        shape : tuple of int
        dtype : dtype-like

        Examples
        --------
        >>> pool = Pool(1 << 20)
        >>> array = pool.empty((200, 100), "float32")
        >>> place = array.ctypes.data
        >>> del array
        >>> pool.empty((199, 100), "float32").ctypes.data == place
        True
        """
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if not _LEAST_BYTES <= size <= self.most_bytes // 2:
            return np.empty(shape, dtype)
        size = _rounded(size)
        queue = self._queues.setdefault(size, collections.deque())
        block = _take_free(queue)
        if block is None:
            if self.n_bytes + size > self.most_bytes:
                self.release()
                queue = self._queues.setdefault(size, collections.deque())
            block = _new_block(size)
        array = _at_line(block, shape, dtype)
        queue.append(block)
        return array


def _rounded(size):
    """Return a size that is up to a quarter larger, so that batches that differ a little share their memory."""
    step = 1 << (size.bit_length() - 3)
    return -(-size // step) * step


def _take_free(queue):
    """Take a block out of a queue that nobody refers to; None if there is none."""
    for _ in range(len(queue)):
        try:
            block = queue.popleft()
        except IndexError:  # another thread took it
            return None
        if _references(block) == _FREE:
            return block
        queue.append(block)
    return None


def _references(block):
    return sys.getrefcount(block)


def _count_of_free():
    block = _new_block(0)
    return _references(block)


_FREE = _count_of_free()  # its variable and arguments
_pool = Pool(_MOST_BYTES)
empty, release = _pool.empty, _pool.release


def empty_like(array):
    """Return an array with arbitrary contents of the shape and type of another one, in the order of C."""
    return _pool.empty(array.shape, array.dtype)
