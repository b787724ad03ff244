"""Clipping of gradients in place, by their joint norm and by value."""

import math

from fastrnn import backends
from fastrnn.training.arrays import distinct


def clip_grad_norm(grads, max_norm, rows=None, backend=None):
    """Scale gradients in place so that their joint Euclidean norm is at most `max_norm`.

    Parameters
    ----------
    grads : dict of str to array
        C-contiguous; an array under two names counts once.
    max_norm : float
    rows : dict of str to (ndarray of int or None), default=None
        For sparse gradients the rows that are not zero; None or no entry means all.
    backend : module or None, default=None
        The backend of the arrays' device, see `fastrnn.backends`; None is the CPU's.

    Returns
    -------
    float
        The norm before scaling. Where it is not finite, the gradients are left as they are.

    Raises
    ------
    ValueError
        `max_norm` is not above 0, or a gradient is not C-contiguous.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.training.clipping import clip_grad_norm
    >>> grads = {"weight": np.array([3.0, 4.0])}
    >>> clip_grad_norm(grads, 1.0)
    5.0
    >>> grads["weight"].round(4)
    array([0.6, 0.8])
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be above 0, got {max_norm!r}.")
    ops, (arrays, used) = backend or backends.backend("cpu"), _lists(grads, rows)
    norm = math.sqrt(ops.sum_of_squares(arrays, used))
    if norm > max_norm and math.isfinite(norm):
        ops.scale_rows(arrays, used, max_norm / (norm + 1e-6))
    return norm


def clip_grad_value(grads, max_value, rows=None, backend=None):
    """Clip every element of the gradients in place to ±`max_value`.

    Parameters
    ----------
    grads : dict of str to array
    max_value : float
    rows : dict of str to (ndarray of int or None), default=None
    backend : module or None, default=None
        As in `clip_grad_norm`.

    Raises
    ------
    ValueError
        `max_value` is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.training.clipping import clip_grad_value
    >>> grads = {"weight": np.array([3.0, -0.5])}
    >>> clip_grad_value(grads, 1.0)
    >>> grads["weight"]
    array([ 1. , -0.5])
    """
    if not max_value > 0:
        raise ValueError(f"max_value must be above 0, got {max_value!r}.")
    (backend or backends.backend("cpu")).clip_rows(*_lists(grads, rows), max_value)


def _lists(grads, rows):
    """Return gradients, each once, and the rows of each."""
    items, rows = distinct(grads), rows or {}
    return [grad for _, grad in items], [rows.get(name) for name, _ in items]
