"""Norm, scale and bounds of gradients. `rows` are the sorted rows that can be non-zero; None means all."""

from numba import cuda, float64

from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.parameters import elements, launches, place_in_rows
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
    return total(_squares, [(count, (*given, used, size)) for given, used, size, count in launches([arrays], rows)])


@kernel
def _squares(partials, arrays, rows, size):
    # partials (blocks,) float64, a tuple of arrays (n,)
    added = float64(0.0)
    for p in range(len(arrays)):
        values = arrays[p]
        for k in range(cuda.grid(1), elements(values, rows, size), cuda.gridsize(1)):
            value = float64(values[place_in_rows(rows, size, k)])
            added += value * value
    partials[cuda.blockIdx.x] = block_sum(added, cuda.shared.array(0, float64))


def scale_rows(arrays, rows, factor):
    """Multiply rows of several arrays by a number, after rounding the number to the arrays' type."""
    for given, used, size, count in launches([arrays], rows):
        _scale.over(count, *given, used, size, given[0][0].dtype.type(factor))


@kernel
def _scale(arrays, rows, size, factor):
    # a tuple of arrays (n,)
    for p in range(len(arrays)):
        values = arrays[p]
        for k in range(cuda.grid(1), elements(values, rows, size), cuda.gridsize(1)):
            values[place_in_rows(rows, size, k)] *= factor


def clip_rows(arrays, rows, bound):
    """Clip the elements of rows of several arrays to ±`bound`; NaN stays."""
    for given, used, size, count in launches([arrays], rows):
        _clip.over(count, *given, used, size, given[0][0].dtype.type(bound))


@kernel
def _clip(arrays, rows, size, bound):
    # a tuple of arrays (n,)
    for p in range(len(arrays)):
        values = arrays[p]
        for k in range(cuda.grid(1), elements(values, rows, size), cuda.gridsize(1)):
            i = place_in_rows(rows, size, k)
            value = values[i]
            if value > bound:
                values[i] = bound
            elif value < -bound:
                values[i] = -bound
