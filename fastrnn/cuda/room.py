"""Workspace of a pass: arrays by name."""

import math

from fastrnn.cuda.array import Array
from fastrnn.cuda.arrays import empty
from fastrnn.cuda.gpu import device


class Room:
    """Named arrays between a pass's arguments and its results.

    An array that is taken again, with no more elements, is in the same memory: what was prepared for the last pass
    serves the next one.

    Parameters
    ----------
    dtype : dtype

    Attributes
    ----------
    changes : int
        Number of arrays that were in no memory before, or in another one.
    """

    def __init__(self, dtype):
        self.dtype, self._arrays, self.changes = dtype, {}, 0

    @property
    def nbytes(self):
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self._arrays.values())

    def take(self, name, *shape):
        """Return an array of `shape` with arbitrary contents, valid until `name` is taken again."""
        array = self._arrays.get(name)
        if array is None or array.size < math.prod(shape):
            self._arrays[name] = None  # the smaller one is free for the pool
            array = self._arrays[name] = empty(shape, self.dtype)
            self.changes += 1
        return Array(array.memory, array.offset, shape, array.dtype)

    def zeros(self, name, *shape):
        """Return an array of zeros, valid until `name` is taken again."""
        array = self.take(name, *shape)
        device().clear(array)
        return array
