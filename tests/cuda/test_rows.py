"""Rows by their numbers."""

import numpy as np
import pytest

from fastrnn import kernels


def random(*shape, dtype="float32"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("columns", [1, 4, 7])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows_are_taken_along_an_axis(ops, columns, axis):
    array, rows = random(3, 5, columns), np.array([0, 2, 2, 1]) % columns if axis == 2 else np.array([2, 0, 2, 1])
    np.testing.assert_array_equal(ops.to_numpy(ops.take_rows(ops.asarray(array), rows, axis)), array.take(rows, axis))
    assert ops.take_rows(ops.asarray(array), rows[:0], axis).size == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(6,), (6, 4), (6, 3), (6, 2, 3)])
def test_rows_are_written_and_added_to(ops, shape, dtype):
    array, rows, values = random(*shape, dtype=dtype), np.array([5, 0, 3]), 2 + random(3, *shape[1:], dtype=dtype)
    for function, given in (("assign_rows", values), ("add_to_rows", values), ("assign_rows", 2.5)):
        expected, out = array.copy(), ops.asarray(array)
        getattr(kernels, function)(expected, rows, given)
        getattr(ops, function)(out, rows, given if given is not values else ops.asarray(values))
        np.testing.assert_array_equal(ops.to_numpy(out), expected)
        getattr(ops, function)(out, rows[:0], 1 if given is not values else ops.asarray(values[:0]))
        np.testing.assert_array_equal(ops.to_numpy(out), expected)


def test_rows_are_spread_among_zeros(ops):
    values, rows = random(3, 5), np.array([1, 2, 4])
    array = ops.asarray(values)
    np.testing.assert_array_equal(ops.to_numpy(ops.spread_rows(array, rows, 6)), kernels.spread_rows(values, rows, 6))
    assert ops.spread_rows(array, np.arange(3), 3) is array


def test_rows_may_begin_at_any_element(ops):
    array = ops.asarray(random(5, 6))
    part = ops.reshape(array, (30,)).part(3, 27).reshaped((4, 6))  # not at a multiple of 8 bytes
    expected = ops.to_numpy(array).reshape(-1)[3:27].reshape(4, 6)[[3, 1]]
    np.testing.assert_array_equal(ops.to_numpy(ops.take_rows(part, [3, 1])), expected)


@pytest.mark.parametrize("rows", [[0, 3], [-1]])
def test_rows_outside_are_refused(ops, rows):
    array = ops.zeros((3, 2), "float32")
    with pytest.raises(IndexError, match="rows must be from 0 to 2"):
        ops.take_rows(array, rows)
    with pytest.raises(IndexError, match="rows must be from 0 to 2"):
        ops.assign_rows(array, rows, 0)
