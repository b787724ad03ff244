import numpy as np
import pytest

from fastrnn.kernels.packing import make_packing
from fastrnn.utils.recurrent import Inputs

LENGTHS = [2, 0, 3, 1]


def padded_rows(batch_first):
    """Return the numbers of a padded batch's rows, (3, 4) by step and sequence, and whether they are steps."""
    numbers = np.arange(12).reshape(4, 3).T if batch_first else np.arange(12).reshape(3, 4)
    return numbers, np.arange(3)[:, None] < LENGTHS


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_rows_are_packed_and_unpacked(batch_first, ragged):
    numbers, real = padded_rows(batch_first)
    real = real if ragged else np.ones_like(real)
    packing = make_packing(3, 4, np.array(LENGTHS) if ragged else None, batch_first)
    order = [2, 0, 3, 1] if ragged else range(4)  # the longest first
    expected = [(t, b) for t in range(3) for b in order if real[t, b]]
    assert list(zip(packing.step_numbers, packing.sequences, strict=True)) == expected
    rows = [numbers[step] for step in expected]
    shape = (4, 3) if batch_first else (3, 4)
    x = np.random.default_rng(0).standard_normal((*shape, 5), "float32")
    packed = packing.pack(Inputs(x), 1)
    np.testing.assert_array_equal(packed.vectors, x.reshape(12, 5)[rows])
    table = packing.pack(Inputs(x, np.arange(12).reshape(shape)), 1)
    np.testing.assert_array_equal(table.ids, rows)
    assert table.vectors is x
    unpacked = packing.unpack(packed.vectors, x.shape, 1)
    padding = ~(real.T if batch_first else real)
    np.testing.assert_array_equal(unpacked, np.where(padding[:, :, None], 0, x))
    new = packing.new_rows(5, np.dtype("float32"), True, 1)
    assert (new.reshape(x.shape)[padding] == 0).all()
    assert packing.new_rows(5, np.dtype("float32"), False, 1).shape == (len(rows), 5)


def test_states_are_read_and_written_in_packed_order():
    for lengths in (None, np.array(LENGTHS)):
        packing, state = make_packing(3, 4, lengths), np.arange(12.0).reshape(4, 3)
        plane, back = np.full((4, 8), np.nan), np.empty((4, 3))
        packing.read_states(plane, state)
        np.testing.assert_array_equal(plane[:, :3], state if lengths is None else state[[2, 0, 3, 1]])
        assert (plane[:, 3:] == 0).all()
        packing.write_states(back, plane)
        np.testing.assert_array_equal(back, state)


def test_shards_have_nearly_equal_work():
    packing = make_packing(9, 5, np.array([9, 1, 1, 3, 4]))
    assert packing.shards(1) == [(0, 5)]
    assert packing.shards(2) == [(0, 1), (1, 5)]
    bounds = packing.shards(9)
    assert [first for first, _ in bounds[1:]] == [last for _, last in bounds[:-1]]
    assert (bounds[0][0], bounds[-1][1]) == (0, 5)
