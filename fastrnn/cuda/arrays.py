"""Operations on arrays for layers, heads, optimizers and averages, as in `fastrnn.kernels.arrays`."""

import math

import numpy as np
from numba import cuda

from fastrnn.cuda.array import Array
from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.gpu import device


def empty(shape, dtype):
    """Return an array whose elements are arbitrary."""
    shape, dtype = (shape,) if isinstance(shape, int) else tuple(map(int, shape)), np.dtype(dtype)
    return Array(device().pool.take(math.prod(shape) * dtype.itemsize), 0, shape, dtype)


def empty_like(array):
    """Return an array of the same shape and type whose elements are arbitrary."""
    return empty(array.shape, array.dtype)


def zeros(shape, dtype):
    """Return an array of zeros."""
    array = empty(shape, dtype)
    device().clear(array)
    return array


def asarray(values, dtype=None):
    """Return values as an array of the device: the same object if they already are one of this type."""
    if isinstance(values, Array):
        return values if dtype is None or values.dtype == dtype else asarray(to_numpy(values), dtype)
    values = np.asarray(values, dtype, order="C")
    array = empty(values.shape, values.dtype)
    if values.size:
        device().upload(array, values)
    return array


def to_numpy(array):
    """Return an array of the device as a NumPy array, a copy that is read-only."""
    values = device().download(array)
    values.flags.writeable = False
    return values


def copy(array):
    """Return a copy."""
    out = empty_like(array)
    device().copy(out, array)
    return out


def reshape(array, shape):
    """Return a view of an array with another shape."""
    return array.reshaped((shape,) if isinstance(shape, int) else shape)


def is_writable(array):
    """Whether an array may be written to: always, on this device."""
    return True


@kernel
def _fill(out, value):
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = value


def fill(out, value):
    """Write a number to all elements."""
    if value == 0:
        device().clear(out)
    else:
        _fill.over(out.size, out.reshaped((-1,)), out.dtype.type(value))
