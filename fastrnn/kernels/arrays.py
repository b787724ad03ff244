"""Operations on arrays for layers, heads, optimizers and averages, by names that every device has."""

import numpy as np

from fastrnn._memory import empty, empty_like


def asarray(values, dtype=None):
    """Return values as a contiguous array of the device: the same object if they already are one."""
    return np.asarray(values, dtype, order="C")


def to_numpy(array):
    """Return an array of the device as a NumPy array: on the CPU the same object."""
    return array


def peak_memory(function):
    """Run `function()`; return the bytes that all arrays of the device take at a time, at most: 0 where none counts."""
    function()
    return 0


def zeros(shape, dtype):
    """Return an array of zeros, whose memory is not touched before it is used."""
    return np.zeros(shape, dtype)


def copy(array):
    """Return a copy."""
    return array.copy()


def assign(out, values):
    """Write values, of the device or not, to an array."""
    out[...] = values


def fill(out, value):
    """Write a number to all elements; ValueError if the array is read-only."""
    out.fill(value)


def is_writable(array):
    """Whether an array may be written to; one that is mapped from a file is read-only."""
    return array.flags.writeable


def is_finite(array):
    """Whether no element is NaN or infinite."""
    return bool(np.isfinite(array).all())


def reshape(array, shape):
    """Return a view of a contiguous array with another shape."""
    return array.reshape(shape)


def add(a, b):
    """Return a + b."""
    return np.add(a, b, out=empty_like(a))


def multiply(a, b):
    """Return a · b, by elements."""
    return np.multiply(a, b, out=empty(a.shape, np.result_type(a, b)))


def scale(array, factor):
    """Multiply all elements by a number, in place."""
    array *= factor


def concatenate(arrays, axis=0):
    """Return several arrays as one, one after another along an axis."""
    return np.concatenate(arrays, axis)


def split(array, sizes, axis=0):
    """Return the parts of an array that stand one after another along an axis: views along axis 0, else copies.

    Parameters
    ----------
    array : array
    sizes : iterable of int
        Of the parts along the axis; together the size of the array.
    axis : int, default=0

    Returns
    -------
    list of array
    """
    parts, begin, before = [], 0, (slice(None),) * axis
    for size in sizes:
        part = array[(*before, slice(begin, begin + size))]
        if axis > 0:
            copied = empty_like(part)
            copied[...] = part
            part = copied
        parts.append(part)
        begin += size
    return parts


def repeat(array, n):
    """Return a matrix (m, k) with each row `n` times: (m, n, k)."""
    return np.repeat(array[:, None], n, axis=1)


def add_sum(out, array, axis):
    """Add to `out` the sum over an axis."""
    out += array.sum(axis=axis)
