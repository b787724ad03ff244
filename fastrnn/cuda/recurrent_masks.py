"""The masks of one direction in one pass: recurrent dropout, weight dropout and zoneout."""

from typing import NamedTuple

import numpy as np

from fastrnn.cuda.counters import keep_mask
from fastrnn.cuda.gpu import device
from fastrnn.cuda.recurrent_memory import Masks


class Drawn(NamedTuple):
    """The masks of a pass, in packed order."""

    weight_hh: object  # (G · H, P) factors of the recurrent weight (weight dropout), or None
    masks: Masks


NOTHING_DRAWN = Drawn(None, Masks(None, None))


def draw(regularizers, weights, packing, room):
    """Draw the masks of a pass, the same as on the CPU.

    Parameters
    ----------
    regularizers : fastrnn.utils.recurrent.Regularizers or None
    weights : DirectionWeights
    packing : Packing
    room : Room
        Holds the masks until the next pass in this room.

    Returns
    -------
    Drawn
    """
    if regularizers is None:
        return NOTHING_DRAWN
    recurrent_dropout, weight_dropout, zoneout, seed, number = regularizers
    hidden = weights.hidden
    if number is None:
        return Drawn(None, Masks(None, _expected(zoneout, hidden, room) if any(zoneout) else None))
    weight_hh = recurrent = update = None
    if recurrent_dropout:
        recurrent = room.take("recurrent mask", packing.batch, weights.output)
        rows = packing.batch_sequences, np.zeros(packing.batch, np.int32)
        keep_mask(recurrent, recurrent_dropout, 1 / (1 - recurrent_dropout), seed, number, *rows)
    if weight_dropout and weights.weight_hh_shape is not None:
        weight_hh = room.take("weight mask", *weights.weight_hh_shape)
        rows = np.arange(len(weight_hh), dtype=np.int32), np.zeros(len(weight_hh), np.int32)
        keep_mask(weight_hh, weight_dropout, 1 / (1 - weight_dropout), seed + 1, number, *rows)
    if any(zoneout):
        rows = packing.sequences, packing.step_numbers
        update = room.take("update", len(zoneout), len(rows[0]), hidden)
        for state, rate in enumerate(zoneout):
            plane = update.part(state, state + 1).reshaped((-1, hidden))
            keep_mask(plane, rate, 1.0, seed + 2 + state, number, *rows)
    return Drawn(weight_hh, Masks(recurrent, update))


def _expected(zoneout, hidden, room):
    """Return the expected share of the new value in each state: (N, 1, H)."""
    values = np.repeat(np.array([[[1 - rate]] for rate in zoneout], room.dtype), hidden, axis=2)
    shares = room.take("expected update", *values.shape)
    device().upload(shares, values)
    return shares
