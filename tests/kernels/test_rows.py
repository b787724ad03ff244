import numpy as np
import pytest

from fastrnn.kernels.rows import add_to_rows, assign_rows, clear_rows, gather_rows, number_rows, spread_rows, take_rows
from fastrnn.kernels.threads import run_kernel


@pytest.mark.parametrize("columns", [1, 16, 37])
def test_gathers_rows_and_zeros_for_negative_ones(columns):
    source = np.random.default_rng(0).standard_normal((5, columns + 3)).astype(np.float32)
    rows = np.array([4, -1, 0, 4, 2])
    out = np.full((5, columns), np.nan, np.float32)
    run_kernel(gather_rows, [(out, source, rows, 0, 3), (out, source, rows, 3, 5)])
    expected = np.where(rows[:, None] < 0, 0, source[rows, :columns])
    np.testing.assert_array_equal(out, expected)


def test_clears_the_rows_of_padding_alone():
    out = np.ones((4, 21), np.float32)
    run_kernel(clear_rows, [(out, np.array([2, -1, -1, 0]), 0, 4)])
    np.testing.assert_array_equal(out, np.repeat([[1.0], [0.0], [0.0], [1.0]], 21, axis=1))


def test_numbers_the_rows_of_a_ragged_batch():
    lengths, order = np.array([3, 2, 0]), np.array([2, 0, 1])  # in packed order: sequences 2, 0 and 1 of the batch
    steps = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]  # step and place of every packed row
    offsets = np.array([0, 2, 4, 5])
    written, packed = np.empty((4, 5), np.int32), np.empty(4 * 3, np.int64)
    number_rows(*written, packed, order, lengths, offsets, 3, 1)
    rows, places, reverse, previous = written.tolist()
    assert rows == [3 * t + order[place] for t, place in steps]
    assert places == [place for _, place in steps]
    assert reverse == [steps.index((lengths[place] - 1 - t, place)) for t, place in steps]
    assert previous == [place if t == 0 else 3 + steps.index((t - 1, place)) for t, place in steps]
    assert packed.tolist() == [rows.index(row) if row in rows else -1 for row in range(12)]


def test_rows_by_their_numbers():
    array, rows = np.arange(12.0).reshape(4, 3), np.array([0, 3])
    taken = take_rows(array, rows)
    np.testing.assert_array_equal(taken, [[0, 1, 2], [9, 10, 11]])
    for columns in ([1, 2], [0, 1, 2], [2, 1], [0, 2, 1], [1], []):
        some = take_rows(array, np.array(columns, int), 1)
        np.testing.assert_array_equal(some, array[:, columns])
        assert not np.shares_memory(some, array)
    spread = spread_rows(taken, rows, 4)
    np.testing.assert_array_equal(spread, [[0, 1, 2], [0, 0, 0], [0, 0, 0], [9, 10, 11]])
    assert spread_rows(taken, rows, 2) is taken
    add_to_rows(array, rows, taken)
    np.testing.assert_array_equal(array[:, 0], [0, 3, 6, 18])
    assign_rows(array, rows, 7)
    np.testing.assert_array_equal(array[:, 0], [7, 3, 6, 7])
    assign_rows(array, rows[:0], 1)
    np.testing.assert_array_equal(array[:, 0], [7, 3, 6, 7])
