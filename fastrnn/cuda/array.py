"""An array on the device: memory, a place in it, a shape and a type."""

import math

import numpy as np

from fastrnn.cuda.gpu import is_usable


class Array:
    """A C-contiguous array on the device.

    Above the backend, nothing but the attributes below is used.

    Parameters
    ----------
    memory : object
        Memory of `fastrnn.cuda.memory`: it is free again when no array holds it.
    offset : int
        Bytes from the beginning of the memory to the first element.
    shape : tuple of int
    dtype : dtype

    Attributes
    ----------
    shape, dtype, ndim, size, nbytes
        As an ndarray's.
    """

    __slots__ = ("__weakref__", "_line", "_words", "dtype", "memory", "offset", "shape", "size")

    def __init__(self, memory, offset, shape, dtype):
        self.memory, self.offset, self.shape, self.dtype = memory, offset, shape, dtype
        self.size = math.prod(shape)
        self._line = self._words = None

    ndim = property(lambda self: len(self.shape))
    nbytes = property(lambda self: self.size * self.dtype.itemsize)

    @property
    def address(self):
        """Address of the first element on the device."""
        return self.memory.address + self.offset

    @property
    def values(self):
        """The elements, in the simulator: an ndarray."""
        flat = self.memory.bytes[self.offset : self.offset + self.nbytes]
        return flat.view(self.dtype).reshape(self.shape)

    def reshaped(self, shape):
        """Return the same elements as an array of another shape; one size may be -1."""
        if -1 in shape:
            rest = math.prod(size for size in shape if size != -1)
            shape = tuple(self.size // rest if size == -1 else size for size in shape)
        return Array(self.memory, self.offset, tuple(shape), self.dtype)

    @property
    def line(self):
        """The same elements in one dimension: the same object at each use, so that launches with it are quick."""
        if len(self.shape) == 1:
            return self
        if self._line is None:
            self._line = Array(self.memory, self.offset, (self.size,), self.dtype)
        return self._line

    @property
    def words(self):
        """What a kernel compiled by Numba takes for this array."""
        if self._words is None:
            strides, step = [], self.dtype.itemsize
            for size in reversed(self.shape):
                strides.append(step)
                step *= size
            words = 0, 0, self.size, self.dtype.itemsize, self.address, *self.shape, *reversed(strides)
            self._words = tuple(map(int, words))  # of 8 bytes each: one of NumPy may have less
        return self._words

    def part(self, begin, end):
        """Return the rows `begin` to `end` - 1 of the first axis."""
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        return Array(self.memory, self.offset + begin * row, (end - begin, *self.shape[1:]), self.dtype)

    def viewed(self, dtype, shape):
        """Return the same bytes as an array of another type and shape."""
        return Array(self.memory, self.offset, shape, np.dtype(dtype))

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        return f"<{'×'.join(map(str, self.shape)) or 'one number'}, {self.dtype}, on the GPU>"

    def __deepcopy__(self, memo):
        from fastrnn.cuda.arrays import copy

        return copy(self)

    def __array__(self, dtype=None, copy=None):
        """Return the elements as an ndarray of the host, for users; the package calls `to_numpy` of the backend."""
        from fastrnn.cuda.gpu import device

        if copy is False:
            raise ValueError("an array of the GPU must be copied to be read: take copy=True or None.")
        return device().download(self).astype(dtype or self.dtype, copy=False)

    def __reduce__(self):
        from fastrnn.cuda.arrays import to_numpy

        return restored, (np.array(to_numpy(self)),)


def restored(values):
    """Return a stored array: one of the device again, or the ndarray itself where there is no GPU."""
    if not is_usable():
        return values
    from fastrnn.cuda.arrays import asarray

    return asarray(values)
