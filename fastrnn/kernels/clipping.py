"""Clipping of gradients, by their joint norm and by value, in place."""

import math

import numpy as np

from fastrnn._jit import kernel


@kernel(fastmath={"contract", "reassoc"})  # the additions may be spread over lanes
def sum_of_squares(values, rows, size):
    """Return the sum of the squares of the given rows of `size` elements each, in float64."""
    total = 0.0
    for row in rows:
        part = values[row * size : (row + 1) * size]
        for i in range(part.size):
            value = np.float64(part[i])
            total += value * value
    return total


def row_blocks(array, rows):
    """Return what kernels that work on rows take: the flat array, the rows, and their length.

    `rows` are sorted numbers of rows, None for the whole array.
    """
    if not array.flags.c_contiguous:
        raise ValueError("parameters and gradients must be C-contiguous arrays.")
    if rows is None:
        return array.reshape(-1), np.zeros(1, np.int64), array.size
    return array.reshape(-1), np.ascontiguousarray(rows, np.int64), array[0].size


def distinct(arrays):
    """Return the items of a dict of arrays; an array that has several names (tied weights) only under its first."""
    seen = set()
    return [(name, a) for name, a in arrays.items() if not (id(a) in seen or seen.add(id(a)))]


def clip_grad_norm(grads, max_norm, rows=None):
    """Scale gradients in place so that their joint Euclidean norm is at most `max_norm`.

    Parameters
    ----------
    grads : dict of str to ndarray
        C-contiguous; an array that stands under two names counts once.
    max_norm : float
    rows : dict of str to (ndarray of int or None), default=None
        For sparse gradients the rows that are not zero; None or no entry stands for all.

    Returns
    -------
    float
        The norm before scaling. Where it is not finite, the gradients are left as they are.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.kernels.clipping import clip_grad_norm
    >>> grads = {"weight": np.array([3.0, 4.0])}
    >>> clip_grad_norm(grads, 1.0)
    5.0
    >>> grads["weight"].round(4)
    array([0.6, 0.8])
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be above 0, got {max_norm!r}.")
    rows = rows or {}
    arrays = distinct(grads)
    norm = math.sqrt(sum(sum_of_squares(*row_blocks(grad, rows.get(name))) for name, grad in arrays))
    if norm > max_norm and math.isfinite(norm):
        for name, grad in arrays:
            grad[_selection(rows, name)] *= grad.dtype.type(max_norm / (norm + 1e-6))
    return norm


def clip_grad_value(grads, max_value, rows=None):
    """Clip every element of the gradients in place to ±`max_value`.

    Parameters
    ----------
    grads : dict of str to ndarray
    max_value : float
    rows : dict of str to (ndarray of int or None), default=None
        As in `clip_grad_norm`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.kernels.clipping import clip_grad_value
    >>> grads = {"weight": np.array([3.0, -0.5])}
    >>> clip_grad_value(grads, 1.0)
    >>> grads["weight"]
    array([ 1. , -0.5])
    """
    if not max_value > 0:
        raise ValueError(f"max_value must be above 0, got {max_value!r}.")
    rows = rows or {}
    for name, grad in distinct(grads):
        chosen = _selection(rows, name)
        grad[chosen] = np.clip(grad[chosen], -max_value, max_value)


def _selection(rows, name):
    """Return the index of the rows of a gradient that may not be zero."""
    return ... if rows.get(name) is None else rows[name]
