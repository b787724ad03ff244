"""Rows by their numbers: taken, written and added to, as in `fastrnn.kernels.rows`."""

import math

import numpy as np
from numba import cuda

from fastrnn.cuda.array import Array
from fastrnn.cuda.arrays import asarray, check_shape, empty, zeros
from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.gpu import device


def upload_rows(rows, count):
    """Return numbers of rows on the device, int32 (n,); IndexError unless all are from 0 to `count` - 1."""
    rows = np.asarray(rows)
    if rows.size and not (rows.min() >= 0 and rows.max() < count):
        raise IndexError(f"rows must be from 0 to {count - 1}, got {rows.min()} to {rows.max()}.")
    return asarray(rows.astype(np.int32))


def _in_words(*matrices):
    """Return matrices of one type as integers of 8 bytes, or of 4 where rows do not consist of such."""
    wide = all(matrix.offset % 8 == 0 and matrix.shape[1] * matrix.dtype.itemsize % 8 == 0 for matrix in matrices)
    word = np.dtype(np.int64 if wide else np.int32)
    return [matrix.viewed(word, (len(matrix), matrix.nbytes // len(matrix) // word.itemsize)) for matrix in matrices]


@kernel
def _take(out, array, rows):
    # out (m · n, k), array (m · count, k), rows (n,)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    n = rows.size
    count = array.shape[0] // (out.shape[0] // n)
    for row in range(y, out.shape[0], height):
        part = row // n
        source = part * count + rows[row - part * n]
        for column in range(x, out.shape[1], width):
            out[row, column] = array[source, column]


def take_rows(array, rows, axis=0):
    """Return a copy of the entries `rows` (n,) of an array along an axis."""
    m, count, k = math.prod(array.shape[:axis]), array.shape[axis], math.prod(array.shape[axis + 1 :])
    n, rows = len(rows), upload_rows(rows, count)
    out = empty((*array.shape[:axis], n, *array.shape[axis + 1 :]), array.dtype)
    copy_rows(out.reshaped((m * n, k)), array.reshaped((m * count, k)), rows)
    return out


def copy_rows(out, array, rows):
    """Write to out (m · n, k) the rows `rows` (n,), of the device, of each of m parts of array (m · count, k)."""
    if out.size:
        target, source = _in_words(out, array)
        _take.over_matrix(*target.shape, target, source, rows)


@kernel
def _gather(out, source, rows, out_column, source_row, source_column, columns):
    # out (n, out_column + columns or more), source (·, source_column + columns or more), rows (n,) or None
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for i in range(y, out.shape[0], height):
        row = i
        if rows is not None:
            row = rows[i]
        for j in range(x, columns, width):
            value = out.dtype.type(0)
            if row >= 0:
                value = source[source_row + row, source_column + j]
            out[i, out_column + j] = value


def gather(out, source, rows, *, columns=None, out_column=0, source_row=0, source_column=0):
    """Write rows of a matrix to the rows of another one, or some columns of them.

    Parameters
    ----------
    out : Array (n, ·)
    source : Array (m, ·)
    rows : Array (n,) of int32 or None
        The row of `source`, from `source_row` on, for each row of `out`; -1 for zeros. None is 0, 1, …
    columns : int, default=None
        Number of columns; None is all that `out` has.
    out_column, source_column : int, default=0
        The first column.
    source_row : int, default=0
    """
    columns = out.shape[1] if columns is None else columns
    if rows is None and columns == out.shape[1] == source.shape[1] and out.dtype == source.dtype:
        device().copy(out, source.part(source_row, source_row + len(out)))
        return
    _gather.over_matrix(len(out), columns, out, source, rows, out_column, source_row, source_column, columns)


@kernel
def _assign(out, rows, values):
    # out (m, k), rows (n,), values (n, k)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for i in range(y, rows.size, height):
        for column in range(x, out.shape[1], width):
            out[rows[i], column] = values[i, column]


@kernel
def _fill(out, rows, value):
    # out (m, k), rows (n,)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for i in range(y, rows.size, height):
        for column in range(x, out.shape[1], width):
            out[rows[i], column] = value


def assign_rows(out, rows, values):
    """Write `values` (n, …), or a number, to distinct `rows` (n,) of `out`."""
    rows = upload_rows(rows, len(out))
    if not rows.size or not out.size:
        return
    matrix = out.reshaped((len(out), -1))
    if not isinstance(values, Array):
        _fill.over_matrix(rows.size, matrix.shape[1], matrix, rows, out.dtype.type(values))
        return
    check_shape("values", values, (rows.size, *out.shape[1:]))
    values = asarray(values, out.dtype).reshaped((rows.size, -1))
    target, source = _in_words(matrix, values)
    _assign.over_matrix(*source.shape, target, rows, source)


def spread_rows(values, rows, count):
    """Return `count` rows with `values` (n, …) at distinct `rows` (n,) in rising order, and zeros elsewhere."""
    if len(rows) == count:
        return values
    full = zeros((count, *values.shape[1:]), values.dtype)
    assign_rows(full, rows, values)
    return full


@kernel
def _add(out, rows, values):
    # out (m, k), rows (n,), values (n, k)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for i in range(y, rows.size, height):
        for column in range(x, out.shape[1], width):
            out[rows[i], column] += values[i, column]


def add_to_rows(out, rows, values):
    """Add `values` (n, …) to distinct `rows` (n,) of `out`."""
    rows = upload_rows(rows, len(out))
    check_shape("values", values, (rows.size, *out.shape[1:]))
    if values.size:
        values = values.reshaped((rows.size, -1))
        _add.over_matrix(*values.shape, out.reshaped((len(out), -1)), rows, values)
