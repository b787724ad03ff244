"""Norm, scale and bounds of gradients. `rows` are the sorted rows that can be non-zero; None means all."""

from numba import cuda, float64

from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.optimizers import place_in_rows, row_elements
from fastrnn.cuda.reductions import block_sum, total


def sum_of_squares(arrays, rows):
    """Return the sum of the squares of the elements of several arrays, added up in float64: the device is waited for.

    Parameters
    ----------
    arrays : list of Array
    rows : list of (int array or None)
        For each array.

    Returns
    -------
    float
    """
    calls = []
    for array, used in zip(arrays, rows, strict=True):
        used, size, count = row_elements(array, used)
        calls.append((count, (array.line, used, size, count)))
    return total(_squares, calls)


@kernel
def _squares(partials, values, rows, size, count):
    # partials (blocks,) float64, values (n,)
    added = float64(0.0)
    for k in range(cuda.grid(1), count, cuda.gridsize(1)):
        value = float64(values[place_in_rows(rows, size, k)])
        added += value * value
    partials[cuda.blockIdx.x] = block_sum(added, cuda.shared.array(0, float64))


def scale_rows(array, rows, factor):
    """Multiply rows by a number, after rounding the number to the array's type."""
    rows, size, count = row_elements(array, rows)
    _scale.over(count, array.line, rows, size, count, array.dtype.type(factor))


@kernel
def _scale(values, rows, size, count, factor):
    # values (n,)
    for k in range(cuda.grid(1), count, cuda.gridsize(1)):
        values[place_in_rows(rows, size, k)] *= factor


def clip_rows(array, rows, bound):
    """Clip the elements of rows to ±`bound`; NaN stays."""
    rows, size, count = row_elements(array, rows)
    _clip.over(count, array.line, rows, size, count, array.dtype.type(bound))


@kernel
def _clip(values, rows, size, count, bound):
    # values (n,)
    for k in range(cuda.grid(1), count, cuda.gridsize(1)):
        i = place_in_rows(rows, size, k)
        value = values[i]
        if value > bound:
            values[i] = bound
        elif value < -bound:
            values[i] = -bound
