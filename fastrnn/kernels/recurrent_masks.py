"""The masks of one direction in one pass: recurrent dropout, weight dropout and zoneout."""

import functools
from typing import NamedTuple

import numpy as np

from fastrnn.kernels.counters import keep_mask
from fastrnn.kernels.recurrence import Masks


class Drawn(NamedTuple):
    """The masks of a pass, in packed order.

    Attributes
    ----------
    weight_hh : ndarray (G · H, output) or None
        Factors of the recurrent weight (weight dropout).
    masks : Masks
        Factors of the states in each step.
    """

    weight_hh: np.ndarray | None
    masks: Masks


NOTHING_DRAWN = Drawn(None, Masks(None, None))


def draw(regularizers, weights, packing, room, n_jobs):
    """Draw the masks of a pass.

    Parameters
    ----------
    regularizers : fastrnn.utils.recurrent.Regularizers or None
    weights : DirectionWeights
    packing : Packing
    room : Room
        Holds the masks until the next pass in this room.
    n_jobs : int or None

    Returns
    -------
    Drawn
    """
    if regularizers is None:
        return NOTHING_DRAWN
    recurrent_dropout, weight_dropout, zoneout, seed, number = regularizers
    padded = weights.padded
    if number is None:
        return Drawn(None, Masks(None, _expected(zoneout, padded, weights.dtype) if any(zoneout) else None))
    weight_hh = recurrent = update = None
    if recurrent_dropout:
        recurrent = room.take("recurrent mask", packing.batch, padded)
        rows = packing.batch_sequences, np.zeros(packing.batch, np.int32)
        keep_mask(recurrent, recurrent_dropout, 1 / (1 - recurrent_dropout), seed, number, *rows, n_jobs)
    if weight_dropout and weights.weight_hh_shape is not None:
        weight_hh = room.take("weight mask", *weights.weight_hh_shape)
        rows = np.arange(len(weight_hh), dtype=np.int32), np.zeros(len(weight_hh), np.int32)
        keep_mask(weight_hh, weight_dropout, 1 / (1 - weight_dropout), seed + 1, number, *rows, n_jobs)
    if any(zoneout):
        rows = packing.sequences, packing.step_numbers
        update = room.take("update", len(zoneout), len(rows[0]), padded)
        for state, rate in enumerate(zoneout):
            keep_mask(update[state], rate, 1.0, seed + 2 + state, number, *rows, n_jobs)
    return Drawn(weight_hh, Masks(recurrent, update))


@functools.lru_cache(maxsize=16)
def _expected(zoneout, padded, dtype):
    """Return the expected share of the new value in each state: (N, 1, padded)."""
    return np.repeat(np.array([[[1 - rate]] for rate in zoneout], dtype), padded, axis=2)
