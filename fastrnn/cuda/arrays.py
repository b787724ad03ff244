"""Operations on arrays for layers, heads, optimizers and averages, as in `fastrnn.kernels.arrays`."""

import itertools
import math

import numpy as np
from numba import cuda

from fastrnn.cuda.array import Array
from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.gpu import device
from fastrnn.utils.device_memory import DeviceMemoryError


def empty(shape, dtype):
    """Return an array whose elements are arbitrary."""
    shape, dtype = (shape,) if isinstance(shape, int) else tuple(map(int, shape)), np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    try:
        return Array(device().pool.take(nbytes), 0, shape, dtype)
    except MemoryError:
        pass
    (free, total), used = device().memory_left(), device().pool.used
    raise DeviceMemoryError(
        f"An array of shape {shape} and type {dtype} takes {_size(nbytes)}, but the GPU has {_size(free)} of "
        f"{_size(total)} left.",
        used + free,
    )


def _size(nbytes):
    """Return a number of bytes in MB or GB."""
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.1f} MB"


def peak_memory(function):
    """Return the bytes that all arrays take at a time, at most, while `function()` runs."""
    pool = device().pool
    pool.peak = pool.used
    function()
    return pool.peak


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


def upload_lists(*lists):
    """Return lists of integers as int32 arrays of the device, by one copy."""
    joined = asarray(np.concatenate(lists, dtype=np.int32, casting="unsafe"))
    ends = itertools.accumulate(map(len, lists), initial=0)
    return [joined.part(begin, end) for begin, end in itertools.pairwise(ends)]


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


def assign(out, values):
    """Write values, of the device or not, to an array; those of the host are broadcast to its shape."""
    if not isinstance(values, Array):
        values = np.broadcast_to(np.asarray(values, out.dtype), out.shape)
        if out.size:
            device().upload(out, np.ascontiguousarray(values))
        return
    check_shape("values", values, out.shape)
    device().copy(out, asarray(values, out.dtype))


def check_shape(name, array, shape):
    """Raise ValueError unless an array has a shape."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}.")


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
        _fill.over(out.size, out.line, out.dtype.type(value))


@kernel
def _find_non_finite(found, array):
    # found (1,), array (n,)
    for i in range(cuda.grid(1), array.size, cuda.gridsize(1)):
        difference = array[i] - array[i]
        if difference != difference:
            found[0] = 1  # whoever writes, writes the same


def is_finite(array):
    """Whether no element is NaN or infinite."""
    found = zeros(1, np.int32)
    _find_non_finite.over(array.size, found, array.line)
    return to_numpy(found)[0] == 0


@kernel
def _add(out, a, b):
    # all (n,)
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = a[i] + b[i]


def add(a, b):
    """Return a + b, of one shape."""
    check_shape("b", b, a.shape)
    out = empty_like(a)
    _add.over(out.size, *(array.line for array in (out, a, b)))
    return out


@kernel
def _multiply(out, a, b):
    # out, a (m, n), b (m, n or 1)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for row in range(y, out.shape[0], height):
        for column in range(x, out.shape[1], width):
            out[row, column] = a[row, column] * b[row, min(column, b.shape[1] - 1)]


@kernel
def _add_product(out, a, b):
    # all (n,)
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] += a[i] * b[i]


def add_product(out, a, b):
    """Add a · b, by elements, to `out`; all have one shape and type."""
    _add_product.over(out.size, out.line, a.line, b.line)


@kernel
def _scale(out, array, factor):
    # out, array (n,)
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = array[i] * factor


def multiply(a, b):
    """Return a · b, by elements; b is a number, or an array of the shape of a, whose last axis may have the size 1."""
    if not isinstance(b, Array):
        out = empty_like(a)
        scale_into(out, a, b)
        return out
    if b.shape != (*a.shape[:-1], 1):
        check_shape("b", b, a.shape)
    out = empty(a.shape, np.result_type(a.dtype, b.dtype))
    multiply_into(out, a, b)
    return out


def multiply_into(out, a, b):
    """Write a · b to `out`, which may be a; the last axis of b may have the size 1."""
    if out.size:
        columns = out.shape[-1] if out.ndim else 1
        rows = out.size // columns
        out, a, b = out.reshaped((rows, columns)), a.reshaped((rows, columns)), b.reshaped((rows, -1))
        _multiply.over_matrix(rows, columns, out, a, b)


def scale_into(out, array, factor):
    """Write the elements times a number to `out`, which may be the array."""
    _scale.over(array.size, out.line, array.line, array.dtype.type(factor))


def scale(array, factor):
    """Multiply all elements by a number, in place."""
    scale_into(array, array, factor)


@kernel
def _copy_columns(out, array, out_begin, begin, columns):
    # out, array (m, ·): `columns` columns from `begin` on to those from `out_begin` on
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for row in range(y, array.shape[0], height):
        for column in range(x, columns, width):
            out[row, out_begin + column] = array[row, begin + column]


def concatenate(arrays, axis=0):
    """Return several arrays as one, one after another along an axis."""
    arrays = list(arrays)
    shape, dtype = list(arrays[0].shape), np.result_type(*(array.dtype for array in arrays))
    shape[axis] = sum(array.shape[axis] for array in arrays)
    for array in arrays:
        check_shape("arrays", array, (*shape[:axis], array.shape[axis], *shape[axis + 1 :]))
    out, begin = empty(shape, dtype), 0
    rows, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    for array in arrays:
        array, columns = asarray(array, dtype), array.shape[axis] * inner
        if array.size == 0:
            continue
        if rows == 1:
            device().copy(out.line.part(begin, begin + columns), array)
        else:
            matrices = out.reshaped((rows, -1)), array.reshaped((rows, -1))
            _copy_columns.over_matrix(rows, columns, *matrices, begin, 0, columns)
        begin += columns
    return out


def split(array, sizes, axis=0):
    """Return the parts of an array that stand one after another along an axis: views along axis 0, else copies."""
    parts, begin, shape = [], 0, array.shape
    rows, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    for size in sizes:
        part_shape, columns = (*shape[:axis], size, *shape[axis + 1 :]), size * inner
        if axis == 0:
            part = array.line.part(begin, begin + columns).reshaped(part_shape)
        else:
            part = empty(part_shape, array.dtype)
            if part.size:
                matrices = part.reshaped((rows, columns)), array.reshaped((rows, -1))
                _copy_columns.over_matrix(rows, columns, *matrices, 0, begin, columns)
        parts.append(part)
        begin += columns
    return parts


@kernel
def _repeat(out, array, n):
    # out (m · n, k), array (m, k)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for row in range(y, out.shape[0], height):
        source = row // n
        for column in range(x, out.shape[1], width):
            out[row, column] = array[source, column]


def repeat(array, n):
    """Return a matrix (m, k) with each row `n` times: (m, n, k)."""
    m, k = array.shape
    out = empty((m, n, k), array.dtype)
    _repeat.over_matrix(m * n, k, out.reshaped((m * n, k)), array, n)
    return out


@kernel
def _add_sums(out, array):
    # out (m, k), array (m, n, k)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for row in range(y, out.shape[0], height):
        for column in range(x, out.shape[1], width):
            total = array[row, 0, column]
            for i in range(1, array.shape[1]):
                total += array[row, i, column]
            out[row, column] += total


def add_sum(out, array, axis):
    """Add to `out` the sum over an axis."""
    axis %= array.ndim
    check_shape("out", out, array.shape[:axis] + array.shape[axis + 1 :])
    if array.size:
        m, n, k = math.prod(array.shape[:axis]), array.shape[axis], math.prod(array.shape[axis + 1 :])
        _add_sums.over_matrix(m, k, out.reshaped((m, k)), array.reshaped((m, n, k)))
