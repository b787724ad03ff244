"""Arrays and modules of other libraries, recognized by their methods, so that none of these libraries is imported."""

import numpy as np


def to_array(value):
    """Return a tensor, or anything array-like, as an array.

    Parameters
    ----------
    value : array-like, or tensor of torch
        A tensor may need a gradient and be on any device. A type that NumPy does not have, bfloat16 for instance,
        becomes float32.

    Returns
    -------
    ndarray
        A copy only where one is needed.
    """
    if not hasattr(value, "detach"):
        return np.asarray(value)
    tensor = value.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:
        return tensor.float().numpy()


def rows_of(sequence):
    """Return an array, or a column or a table of pandas, as a list; anything else as it is.

    Examples
    --------
    >>> rows_of(np.array([["Rome", "NNP"], ["is", "VBZ"]])), rows_of(("Rome", "is"))
    ([('Rome', 'NNP'), ('is', 'VBZ')], ('Rome', 'is'))
    """
    n_axes = getattr(sequence, "ndim", 0)
    if n_axes not in (1, 2):
        return sequence
    rows = to_array(sequence).tolist()
    return rows if n_axes == 1 else list(map(tuple, rows))


def keras_weights(weights):
    """Return the weights of a Keras layer or model, or a list of them, as arrays."""
    weights = weights.get_weights() if hasattr(weights, "get_weights") else weights
    return [to_array(weight) for weight in weights]


def weights_of(module):
    """Return the arrays of a state dict, or of a module that has one.

    Parameters
    ----------
    module : mapping of str to (tensor or array-like), or object with a method ``state_dict``
        A module of torch or its ``state_dict()``, or one of our layers.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    ValueError
        `module` is neither, or an entry is not an array of numbers.
    """
    state_dict = module.state_dict() if hasattr(module, "state_dict") else module
    if not hasattr(state_dict, "items"):
        raise ValueError(f"state_dict must be a mapping of names to arrays, or a module, got {_kind(module)}.")
    arrays = {}
    for name, value in state_dict.items():
        try:
            array = to_array(value)
        except (TypeError, ValueError):
            array = np.array(None)
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise ValueError(f"state_dict[{name!r}] must be a tensor or an array of numbers, got {_kind(value)}.")
        arrays[name] = array
    return arrays


def _kind(value):
    return type(value).__name__
