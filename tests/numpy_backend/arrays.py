"""Operations on arrays."""

import numpy as np


def asarray(values, dtype=None):
    return np.asarray(values, dtype, order="C")


def empty(shape, dtype):
    return np.full(shape, np.nan, dtype)  # nobody may rely on what is there


def empty_like(array):
    return np.full(array.shape, np.nan, array.dtype)


def peak_memory(function):
    function()
    return 0


def zeros(shape, dtype):
    return np.zeros(shape, dtype)


def copy(array):
    return array.copy()


def assign(out, values):
    out[...] = values


def fill(out, value):
    out.fill(value)


def is_writable(array):
    return array.flags.writeable


def is_finite(array):
    return bool(np.isfinite(array).all())


def reshape(array, shape):
    return array.reshape(shape)


def add(a, b):
    return a + b


def multiply(a, b):
    return a * b


def scale(array, factor):
    array *= factor


def repeat(array, n):
    return np.repeat(array[:, None], n, axis=1)


def add_sum(out, array, axis):
    out += array.sum(axis=axis)


def concatenate(arrays, axis=0):
    return np.concatenate(arrays, axis)


def split(array, sizes, axis=0):
    return [part.copy() for part in np.split(array, np.cumsum(list(sizes))[:-1], axis)]
