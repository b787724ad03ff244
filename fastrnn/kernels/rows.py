"""Rows by their numbers: taken, written and added to; from padded batches to packed ones and back."""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.threads import enter, leave
from fastrnn.simd import lanes, load, load_first, store, store_first


def take_rows(array, rows, axis=0):
    """Return a copy of the entries `rows` (n,) of an array along an axis."""
    if axis and len(rows) > 1 and rows[-1] - rows[0] == len(rows) - 1 and (rows[1:] - rows[:-1] == 1).all():
        part = [slice(None)] * axis + [slice(rows[0], rows[-1] + 1)]  # NumPy copies neighbours at once
        return array[tuple(part)].copy()
    return array.take(rows, axis)


def assign_rows(out, rows, values):
    """Write `values` (n, …), or a number, to distinct `rows` (n,) of `out`."""
    out[rows] = values


def spread_rows(values, rows, count):
    """Return `count` rows with `values` (n, …) at distinct `rows` (n,) in rising order, and zeros elsewhere."""
    if len(rows) == count:
        return values
    full = np.zeros((count, *values.shape[1:]), values.dtype)
    full[rows] = values
    return full


def add_to_rows(out, rows, values):
    """Add `values` (n, …) to distinct `rows` (n,) of `out`."""
    out[rows] += values


@kernel
def gather_rows(board, thread, out, source, rows, first, last):
    """Compute out[i] = source[rows[i]], as many columns as `out` has, for i from `first` to `last`.

    A negative row number gives zeros.
    """
    # out (n, columns), source (m, columns or more), rows (n,)
    enter(board, thread)
    columns = out.shape[1]
    for i in range(first, last):
        target, place = i * columns, max(rows[i], 0) * source.shape[1]
        copied = columns if rows[i] >= 0 else 0
        whole = copied - copied % lanes(out)
        for j in range(0, whole, lanes(out)):
            store(out, target + j, load(source, place + j))
        for j in range(whole, columns, lanes(out)):
            store_first(out, target + j, load_first(source, place + j, max(0, copied - j)), columns - j)
    leave(board, thread)


@kernel
def add_rows(board, thread, sums, values, ids, begin, end):
    """Compute sums[ids[i]] += values[i] for one i after the other, in the columns `begin` to `end` (whole vectors)."""
    # sums (V, columns), values (n, columns), ids (n,)
    enter(board, thread)
    columns = sums.shape[1]
    for i in range(len(ids)):
        for j in range(begin, end, lanes(sums)):
            place = ids[i] * columns + j
            store(sums, place, load(sums, place) + load(values, i * columns + j))
    leave(board, thread)


@kernel
def clear_rows(board, thread, out, packed, first, last):
    """Write zeros to the rows of `out` from `first` to `last` for which `packed` is negative."""
    # out (n, columns), packed (n,)
    enter(board, thread)
    columns = out.shape[1]
    for i in range(first, last):
        if packed[i] < 0:
            for j in range(0, columns, lanes(out)):
                store_first(out, i * columns + j, load_first(out, 0, 0), columns - j)
    leave(board, thread)


@kernel
def number_rows(rows, places, reverse, previous, packed, order, lengths, offsets, step_rows, sequence_rows):
    """Write the maps between the rows of a ragged batch, see `fastrnn.kernels.packing.RowNumbers`."""
    # rows, places, reverse, previous (R,), packed (padded rows,), order, lengths (batch,), offsets (T + 1,); in the
    # padded batch, steps are `step_rows` rows apart and sequences `sequence_rows`
    for row in range(len(packed)):
        packed[row] = -1
    for t in range(len(offsets) - 1):
        for place in range(offsets[t + 1] - offsets[t]):
            row = offsets[t] + place
            rows[row] = t * step_rows + order[place] * sequence_rows
            places[row] = place
            reverse[row] = offsets[lengths[place] - 1 - t] + place
            previous[row] = place if t == 0 else len(order) + offsets[t - 1] + place
            packed[rows[row]] = row


def row_blocks(array, rows):
    """Return an array of any shape in the form that kernels on some of its rows take.

    Parameters
    ----------
    array : array
        C-contiguous.
    rows : int array or None
        Sorted; None makes the whole array one row.

    Returns
    -------
    flat : array (n,)
    rows : int64 array (R,)
    size : int
        Elements of a row.

    Raises
    ------
    ValueError
        The array is not C-contiguous.
    """
    if not array.flags.c_contiguous:
        raise ValueError("parameters and gradients must be C-contiguous arrays.")
    if rows is None:
        return array.reshape(-1), np.zeros(1, np.int64), array.size
    return array.reshape(-1), np.ascontiguousarray(rows, np.int64), array[0].size
