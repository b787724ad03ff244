import numpy as np

from fastrnn._memory import Room
from fastrnn.kernels.packing import make_packing
from fastrnn.kernels.recurrent_masks import NOTHING_DRAWN, draw
from fastrnn.layers import LSTM
from fastrnn.utils.recurrent import Regularizers
from tests import reference_counters

RATES, SEED, NUMBER = (0.5, 0.25, (0.1, 0.0)), 7 << 32, 3


def drawn(lengths, number=NUMBER, rates=RATES):
    ((direction,),) = LSTM(3, 5, random_state=0)._layers
    packing = make_packing(4, 3, lengths)
    regularizers = None if rates is None else Regularizers(*rates, SEED, number)
    return draw(regularizers, direction.weights, packing, Room(direction.weights.dtype), 1), packing


def test_masks_are_those_of_the_counters():
    for lengths in (None, np.array([2, 4, 0])):
        (weight_hh, masks), packing = drawn(lengths)
        order = range(3) if packing.order is None else packing.order
        kept = reference_counters.kept(0.5, SEED, NUMBER, order, [0, 0, 0], 5)
        np.testing.assert_array_equal(masks.recurrent[:, :5], np.where(kept, np.float32(2), 0))
        kept = reference_counters.kept(0.25, SEED + 1, NUMBER, range(20), [0] * 20, 5)
        np.testing.assert_array_equal(weight_hh, np.where(kept, np.float32(4 / 3), 0))
        rows = packing.sequences, packing.step_numbers
        assert len(rows[0]) == (12 if lengths is None else 6)
        kept = reference_counters.kept(0.1, SEED + 2, NUMBER, *rows, 5)
        np.testing.assert_array_equal(masks.update[0, :, :5], kept)
        assert (masks.update[1] == 1).all()


def test_prediction_takes_the_expectation_of_zoneout_alone():
    (weight_hh, masks), _ = drawn(None, number=None)
    assert weight_hh is None
    assert masks.recurrent is None
    np.testing.assert_array_equal(masks.update[:, 0, :5], np.repeat(np.float32([[0.9], [1.0]]), 5, axis=1))
    assert drawn(None, number=None, rates=(0.5, 0.5, (0.0, 0.0)))[0] == NOTHING_DRAWN
    assert drawn(None, rates=None)[0] is NOTHING_DRAWN
