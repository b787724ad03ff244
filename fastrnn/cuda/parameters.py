"""Launches for lists of parameters, all elements of them or some rows: many parameters go in one launch.

A kernel takes a tuple of arrays for each kind, such as weights and gradients, and goes through one parameter after the
other, with `elements` and `place_in_rows`.
"""

from fastrnn.cuda.arrays import asarray
from fastrnn.cuda.compiler import device_function

_AT_ONCE = 16  # parameters of a launch, whose arguments have 4 KB


def launches(lists, rows):
    """Yield the arguments of launches for lists of arrays, such as parameters and gradients.

    Parameters
    ----------
    lists : sequence of (list of Array or None)
    rows : list of (int array or None)
        The sorted rows of each array that count; None means all.

    Yields
    ------
    arrays : list of (tuple of Array or None)
        A tuple for each list, of one-dimensional arrays of one type; with rows, each has one array.
    rows : Array of int64 (R,) or None
    size : int
        Elements of a row.
    count : int
        Elements that count.
    """
    groups = {}
    for k, (array, used) in enumerate(zip(lists[0], rows, strict=True)):
        if used is None:
            groups.setdefault(array.dtype, []).append(k)
        else:
            size = array.size // max(array.shape[0], 1)
            yield _tuples(lists, [k]), asarray(used, "int64"), size, len(used) * size
    for group in groups.values():
        for begin in range(0, len(group), _AT_ONCE):
            part = group[begin : begin + _AT_ONCE]
            yield _tuples(lists, part), None, 1, sum(lists[0][k].size for k in part)


def _tuples(lists, group):
    return [None if arrays is None else tuple([arrays[k].line for k in group]) for arrays in lists]


@device_function
def elements(array, rows, size):
    """Return the number of elements that count of an array: of some rows, or all."""
    return array.size if rows is None else rows.size * size


@device_function
def place_in_rows(rows, size, k):
    """Return the place of element `k` of some rows in the whole array."""
    return k if rows is None else rows[k // size] * size + k % size
