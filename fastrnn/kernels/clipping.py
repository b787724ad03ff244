"""Norm, scale and bounds of a gradient. `rows` are the sorted rows that can be non-zero; None means all."""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.rows import row_blocks


def sum_of_squares(arrays, rows):
    """Return the sum of the squares of the elements of several arrays, added up in float64.

    Parameters
    ----------
    arrays : list of array
        C-contiguous, of any shape.
    rows : list of (int array or None)
        For each array.

    Returns
    -------
    float
    """
    return float(sum(_sum_of_squares(*row_blocks(array, used)) for array, used in zip(arrays, rows, strict=True)))


@kernel(fastmath={"contract", "reassoc"})  # the additions may be spread over lanes
def _sum_of_squares(values, rows, size):
    # values (n,), rows (R,) of `size` elements each
    total = 0.0
    for row in rows:
        part = values[row * size : (row + 1) * size]
        for i in range(part.size):
            value = np.float64(part[i])
            total += value * value
    return total


def scale_rows(arrays, rows, factor):
    """Multiply rows of several arrays by a number, after rounding the number to the arrays' type.

    Parameters
    ----------
    arrays : list of array
    rows : list of (int array or None)
    factor : float
    """
    for array, used in zip(arrays, rows, strict=True):
        array[_index(used)] *= array.dtype.type(factor)


def clip_rows(arrays, rows, bound):
    """Clip the elements of rows of several arrays to ±`bound`; NaN stays.

    Parameters
    ----------
    arrays : list of array
    rows : list of (int array or None)
    bound : float
    """
    for array, used in zip(arrays, rows, strict=True):
        index = _index(used)
        array[index] = np.clip(array[index], -bound, bound)


def _index(rows):
    return ... if rows is None else rows
