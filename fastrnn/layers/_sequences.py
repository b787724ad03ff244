"""The arguments of a recurrent layer: checks, and conversions between lists of sequences and padded batches."""

from typing import NamedTuple

import numpy as np

from fastrnn.utils.recurrent import Inputs


class Batch(NamedTuple):
    """A batch that `Recurrent.forward` was given, for `Recurrent.backward`."""

    packing: object
    x_shape: tuple | None  # None for a table
    y_shape: tuple
    is_learned: bool  # whether it started from the learned initial states
    lengths: np.ndarray | None  # of the arrays of a list


def read_inputs(x, lengths, layer):
    """Return the sequences given to `Recurrent.forward` as `Inputs`, their lengths, and whether they were a list.

    Parameters
    ----------
    x : array-like, list of array-like, or Inputs
    lengths : array-like or None
    layer : Recurrent

    Returns
    -------
    x : Inputs
        Of the device: vectors (T, B, D) or (B, T, D), or a table (V, D) and ids.
    lengths : ndarray (B,) of int64 or None
        None if all sequences have all steps.
    is_list : bool
    """
    if isinstance(x, Inputs):
        x, is_list = _read_table(x, layer), False
    else:
        is_list = isinstance(x, list | tuple) and lengths is None and all(np.ndim(part) == 2 for part in x)
        if is_list:
            x, lengths = pad(x, layer.input_size, layer.dtype, layer.batch_first)
        x = layer.backend.asarray(x, layer.dtype)
        if x.ndim != 3 or x.shape[2] != layer.input_size:
            layout = "(B, T, input_size)" if layer.batch_first else "(T, B, input_size)"
            raise ValueError(f"x must have shape {layout} with input_size={layer.input_size}, got {x.shape}.")
        x = Inputs(x)
    if lengths is not None:
        batch, steps = x.batch_shape if layer.batch_first else x.batch_shape[::-1]
        lengths = _check_lengths(lengths, steps, batch)
    return x, lengths, is_list


def read_step(x, layer):
    """Return the inputs of `Recurrent.step` as `Inputs` of the device: vectors (B, D), or a table and ids (B,)."""
    if layer.bidirectional or layer.reverse:
        raise ValueError("step needs a layer that reads forwards, got bidirectional=True or reverse=True.")
    if isinstance(x, Inputs):
        return _read_table(x, layer, 1)
    x = layer.backend.asarray(x, layer.dtype)
    if x.ndim != 2 or x.shape[1] != layer.input_size:
        raise ValueError(f"x must have shape (B, input_size) with input_size={layer.input_size}, got {x.shape}.")
    return Inputs(x)


def _read_table(x, layer, ndim=2):
    """Return a table and its rows, an array of `ndim` dimensions, as `Inputs` of the device."""
    vectors, ids = layer.backend.asarray(x.vectors, layer.dtype), np.asarray(x.ids)
    if vectors.ndim != 2 or vectors.shape[1] != layer.input_size:
        raise ValueError(f"x.vectors must have shape (V, {layer.input_size}), got {vectors.shape}.")
    if ids.ndim != ndim or ids.dtype.kind not in "iu":
        expected = "a matrix" if ndim == 2 else "a vector"
        raise ValueError(f"x.ids must be {expected} of integers, got an array of {ids.dtype}, shape {ids.shape}.")
    if ids.size and not 0 <= ids.min() <= ids.max() < vectors.shape[0]:
        raise ValueError(f"x.ids must be from 0 to {vectors.shape[0] - 1}, got {ids.min()} to {ids.max()}.")
    return Inputs(vectors, ids)


def read_gradient(dy, shape, lengths, layer):
    """Return the gradient of an output as an array of the device.

    Parameters
    ----------
    dy : array-like, or list of array-like
    shape : tuple of int
        Of the padded output.
    lengths : ndarray (B,) or None
        Of the arrays, where the output was a list.
    layer : Recurrent
    """
    if lengths is not None:
        if [len(part) for part in dy] != list(lengths):
            raise ValueError(f"dy must be a list of arrays as long as those of x, got {[len(p) for p in dy]} steps.")
        dy, _ = pad(dy, layer.output_size, layer.dtype, layer.batch_first)
    dy = layer.backend.asarray(dy, layer.dtype)
    if dy.shape != shape:
        raise ValueError(f"dy must have the shape of the output, {shape}, got {dy.shape}.")
    return dy


def _check_lengths(lengths, steps, batch):
    """Return lengths as an array (batch,) of int64."""
    lengths = np.asarray(lengths)
    if lengths.shape != (batch,) or not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError(
            f"lengths must be {batch} integers, one a sequence, got shape {lengths.shape} of {lengths.dtype}."
        )
    if batch and (lengths.min() < 0 or lengths.max() > steps):
        raise ValueError(
            f"lengths must be between 0 and {steps}, the steps of x, got {lengths.min()} to {lengths.max()}."
        )
    return lengths.astype(np.int64)


def read_states(states, shapes, argument, layer):
    """Return given states as a list of arrays of the device.

    Parameters
    ----------
    states : array-like or tuple of array-like
    shapes : list of tuple of int
        The shape of each state.
    argument : str
        The argument's name, for errors.
    layer : Recurrent
    """
    parts = (states,) if len(shapes) == 1 or not hasattr(states, "__iter__") else tuple(states)
    given = [getattr(part, "shape", None) or np.shape(part) for part in parts]
    if given != shapes:
        expected = " and ".join(
            f"{name} of shape {shape}" for name, shape in zip(layer.cell.states, shapes, strict=True)
        )
        raise ValueError(f"{argument} must be {expected}, got shapes {given}.")
    return [layer.backend.asarray(part, layer.dtype) for part in parts]


def pad(sequences, columns, dtype, batch_first):
    """Return a list of arrays (T_i, n) as a padded batch, and their lengths.

    Parameters
    ----------
    sequences : list of array-like
    columns : int
        Columns of the batch if the list is empty.
    dtype : numpy.dtype
    batch_first : bool

    Returns
    -------
    padded : ndarray (B, T, n) or (T, B, n)
    lengths : ndarray (B,)
    """
    widths = {part.shape[1] for part in map(np.asarray, sequences)}
    if len(widths) > 1:
        raise ValueError(f"A list of sequences must have the same number of columns in all, got {sorted(widths)}.")
    lengths = np.array([len(part) for part in sequences], np.int64)
    padded = np.zeros((len(sequences), lengths.max(initial=0), *(widths or {columns})), dtype)
    for row, part in zip(padded, sequences, strict=True):
        row[: len(part)] = part
    return padded if batch_first else padded.swapaxes(0, 1), lengths


def cut(padded, lengths, batch_first):
    """Return a padded batch of the host as a list of arrays (T_i, n)."""
    rows = padded if batch_first else padded.swapaxes(0, 1)
    return [row[:length].copy() for row, length in zip(rows, lengths, strict=True)]
