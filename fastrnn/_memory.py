"""Memory that is reused for arrays.

A training step needs arrays of the same sizes as the step before. The C library returns such memory to the system and
requests it again, which costs a page fault every 4 KB: up to a fifth of a step.
"""

import collections
import math
import sys

import numpy as np

_MOST_VIEWS = 500  # views of a room's arrays that are kept, for passes of other shapes
_MOST_ROOMS = 16  # rooms of each type of numbers that wait for a pass
_MOST_ROOM_BYTES = 1 << 22  # bytes that a waiting room may hold

_LINE = 64  # bytes; no vector of an array that begins at a cache line crosses two of them
_LEAST_BYTES = 1 << 16  # the C library serves smaller blocks well
_MOST_BYTES = 1 << 26


def aligned(size, dtype):
    """Return an array (size,) with arbitrary contents whose first element begins a cache line."""
    dtype = np.dtype(dtype)
    return np.ndarray((size,), dtype, *_new_entry(size * dtype.itemsize))


def _new_entry(size):
    """Return a block of memory, and the offset of the first cache line that begins in it."""
    block = np.empty(size + _LINE, np.uint8)
    return block, -block.ctypes.data % _LINE


class Pool:
    """Blocks of memory that held arrays, for new arrays of about the same size.

    A block is free when nothing but the pool refers to it: arrays and their views refer to their block. Threads may
    share a pool, because only the thread that has taken a block out of its queue looks at it.

    Parameters
    ----------
    most_bytes : int
        A pool that would hold more, free or in use, drops all its blocks; those in use live on as ordinary memory.
    """

    def __init__(self, most_bytes):
        self.most_bytes = most_bytes
        self._queues = {}  # by size: blocks, each with the offset of its first cache line

    @property
    def n_bytes(self):
        """Bytes of all blocks, free or in use."""
        return sum(size * len(queue) for size, queue in list(self._queues.items()))

    def release(self):
        """Drop all blocks: free memory goes back to the system, memory in use lives on as ordinary memory."""
        self._queues.clear()

    def empty(self, shape, dtype):
        """Return an array with arbitrary contents, as `numpy.empty` does.

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
        entry = _take_free(queue)
        if entry is None:
            if self.n_bytes + size > self.most_bytes:
                self.release()
                queue = self._queues.setdefault(size, collections.deque())
            entry = _new_entry(size)
        array = np.ndarray(shape, dtype, *entry)
        queue.append(entry)
        return array


def _rounded(size):
    """Round a size up, by a quarter at most, so that batches of slightly different sizes share their memory."""
    step = 1 << (size.bit_length() - 3)
    return -(-size // step) * step


def _take_free(queue):
    """Take a free block out of a queue; return None if there is none."""
    for _ in range(len(queue)):
        try:
            entry = queue.popleft()
        except IndexError:  # another thread took it
            return None
        if _references(entry) == _FREE:
            return entry
        queue.append(entry)
    return None


def _references(entry):
    return sys.getrefcount(entry[0])


_FREE = _references(_new_entry(0))  # the entry, and the argument of `getrefcount`
_pool = Pool(_MOST_BYTES)
empty = _pool.empty


def empty_like(array):
    """Return an array with arbitrary contents of the shape and type of another one, in the order of C."""
    return _pool.empty(array.shape, array.dtype)


class Room:
    """Workspace of a pass: named arrays between its arguments and its results.

    Parameters
    ----------
    dtype : dtype-like
    allocate : callable, default=aligned
        ``allocate(size, dtype)`` returns a new array (size,).
    """

    def __init__(self, dtype, allocate=aligned):
        self.dtype, self._allocate = np.dtype(dtype), allocate
        self.clear()

    def clear(self):
        """Drop all arrays."""
        self._arrays, self._views, self._made = {}, {}, {}
        self.n_bytes = 0

    def take(self, name, *shape):
        """Return an array of `shape` with arbitrary contents, valid until `name` is taken again."""
        view = self._views.get((name, shape))
        if view is None:
            size = math.prod(shape)
            array = self._arrays.get(name)
            if array is None or array.size < size:
                array = self._grow(name, array, size)
            elif len(self._views) > _MOST_VIEWS:
                self._forget_views()
            self._views[name, shape] = view = array[:size].reshape(shape)
        return view

    def zeros(self, name, *shape):
        """Return an array of zeros, valid until `name` is taken again."""
        array = self.take(name, *shape)
        array.fill(0)
        return array

    def made(self, key, make, *arguments):
        """Return ``make(self, *arguments)``, which uses arrays of this room, or its earlier result for `key`."""
        value = self._made.get(key)
        if value is None:
            value = make(self, *arguments)
            if len(self._made) > _MOST_VIEWS:
                self._forget_views()
            self._made[key] = value
        return value

    def _grow(self, name, array, size):
        """Replace an array by a larger one, and forget the views of the old one."""
        self.n_bytes += (size - (0 if array is None else array.size)) * self.dtype.itemsize
        self._arrays[name] = array = self._allocate(size, self.dtype)
        self._forget_views()
        return array

    def _forget_views(self):
        self._views.clear()
        self._made.clear()


def _allocate_from_pool(size, dtype):
    """Return an array (size,) that begins a cache line; large ones come from the pool, which is faster."""
    return aligned(size, dtype) if size * dtype.itemsize < _LEAST_BYTES else empty((size,), dtype)


# Free rooms by type of numbers. Threads may share them: each operation on a deque is atomic.
_rooms = {}


def borrow_room(dtype):
    """Return a room for one pass, which no other thread uses.

    Give it back after the pass: the next one, in any thread, uses its arrays again. As many rooms wait as passes have
    run at a time, at most 16, of at most 4 MB each. Larger arrays come from the pool and go back to it.

    Parameters
    ----------
    dtype : numpy.dtype

    Returns
    -------
    Room

    Examples
    --------
    >>> room = borrow_room(np.dtype("float32"))
    >>> room.take("gates", 2, 8).shape
    (2, 8)
    >>> give_back(room)
    >>> borrow_room(np.dtype("float32")) is room
    True
    """
    try:
        return _rooms[dtype].pop()
    except (KeyError, IndexError):
        return Room(dtype, _allocate_from_pool)


def give_back(room):
    """Give a room to later passes; nobody may read its arrays from now on."""
    if room.n_bytes > _MOST_ROOM_BYTES:
        room.clear()
    waiting = _rooms.get(room.dtype)
    if waiting is None:
        waiting = _rooms.setdefault(room.dtype, collections.deque(maxlen=_MOST_ROOMS))
    waiting.append(room)


def release(rooms=True):
    """Return waiting memory to the system: that of the pool, and that of the rooms on request."""
    _pool.release()
    if rooms:
        _rooms.clear()
