"""Arrays of the device."""

import numpy as np
import pytest


def test_an_array_takes_the_values_of_an_ndarray(ops):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    array = ops.asarray(values)
    assert (array.shape, array.dtype, array.ndim, array.size, array.nbytes) == ((2, 3), np.float32, 2, 6, 24)
    np.testing.assert_array_equal(ops.to_numpy(array), values)
    np.testing.assert_array_equal(ops.to_numpy(array.part(1, 2)), values[1:])
    np.testing.assert_array_equal(ops.to_numpy(ops.reshape(array, (3, -1))), values.reshape(3, 2))


def test_users_read_an_array_as_one_of_numpy(ops):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    array = ops.asarray(values)
    np.testing.assert_array_equal(array, values)
    read = np.asarray(array)
    read[0] = 7
    np.testing.assert_array_equal(array, values)  # it was a copy
    assert np.asarray(array, np.float64).dtype == np.float64
    assert (2 + np.asarray(array)).dtype == np.float32
    with pytest.raises(ValueError, match="must be copied"):
        array.__array__(copy=False)


def test_fill_writes_all_elements(ops):
    array = ops.empty((3, 5), "float64")
    ops.fill(array, 2.5)
    np.testing.assert_array_equal(ops.to_numpy(array), np.full((3, 5), 2.5))
    ops.fill(array, 0)
    np.testing.assert_array_equal(ops.to_numpy(array), np.zeros((3, 5)))


def test_memory_is_used_again(ops):
    from fastrnn.cuda.gpu import device

    pool = device().pool
    before, array = pool.used, ops.zeros((100, 100), "float32")
    place = id(array.memory._raw)
    del array
    assert pool.used == before
    assert id(ops.zeros((100, 100), "float32").memory._raw) == place


def test_lists_go_to_the_device_together():
    from fastrnn.cuda.arrays import to_numpy, upload_lists

    lists = [4, 2**31 - 1], np.zeros(0), np.arange(5), np.arange(3, dtype=np.uint8)
    for array, expected in zip(upload_lists(*lists), lists, strict=True):
        assert array.dtype == np.int32
        np.testing.assert_array_equal(to_numpy(array), expected)


def random(*shape, dtype="float32"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arithmetic(ops, dtype):
    a, b, factors = random(3, 5, dtype=dtype), 2 + random(3, 5, dtype=dtype), random(3, 1, dtype=dtype)
    x, y = ops.asarray(a), ops.asarray(b)
    for result, expected in (
        (ops.add(x, y), a + b),
        (ops.multiply(x, y), a * b),
        (ops.multiply(x, ops.asarray(factors)), a * factors),
        (ops.multiply(x, 0.5), a * a.dtype.type(0.5)),
    ):
        assert result.dtype == dtype
        np.testing.assert_array_equal(ops.to_numpy(result), expected)
    ops.scale(x, 0.3)
    np.testing.assert_array_equal(ops.to_numpy(x), a * a.dtype.type(0.3))


def test_shapes_that_do_not_fit_are_refused(ops):
    a, b = ops.zeros((3, 5), "float32"), ops.zeros((5,), "float32")
    for function in ops.add, ops.multiply, ops.assign:
        with pytest.raises(ValueError, match=r" must have shape \(3, 5\), got \(5,\)"):
            function(a, b)
    with pytest.raises(ValueError, match="broadcast"):
        ops.assign(a, np.ones(4))
    with pytest.raises(ValueError, match=r"out must have shape \(3,\)"):
        ops.add_sum(b, a, 1)
    with pytest.raises(ValueError, match=r"arrays must have shape \(3, 4\), got \(2, 4\)"):
        ops.concatenate([a, ops.zeros((2, 4), "float32")], axis=1)


def test_values_are_assigned_from_the_device_and_the_host(ops):
    out, values = ops.zeros((2, 3), "float32"), random(2, 3, dtype="float64")
    for given in (values, values[0], 7, ops.asarray(values, "float32"), ops.asarray(values)):
        ops.assign(out, given)
        expected = np.broadcast_to(values if given.__class__.__name__ == "Array" else given, (2, 3))
        np.testing.assert_array_equal(ops.to_numpy(out), expected.astype("float32"))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_arrays_are_joined_repeated_and_added_up(ops, axis):
    values = random(2, 3, 4), random(2, 3, 4) + 1
    arrays = [ops.asarray(part) for part in values]
    joined = ops.concatenate(arrays, axis)
    np.testing.assert_array_equal(ops.to_numpy(joined), np.concatenate(values, axis))
    size = values[0].shape[axis]
    for part, expected in zip(ops.split(joined, [size - 1, 0, size + 1], axis), np.split(
        np.concatenate(values, axis), [size - 1, size - 1], axis), strict=True):  # fmt: skip
        np.testing.assert_array_equal(ops.to_numpy(part), expected)
    out = ops.asarray(np.ones(values[0].sum(axis).shape, "float32"))
    ops.add_sum(out, arrays[0], axis)
    np.testing.assert_allclose(ops.to_numpy(out), 1 + values[0].sum(axis), rtol=1e-6)
    matrix = values[0].reshape(6, 4)
    expected = np.repeat(matrix[:, None], axis, axis=1)
    np.testing.assert_array_equal(ops.to_numpy(ops.repeat(ops.asarray(matrix), axis)), expected)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_found(ops, wrong):
    values = random(4, 5)
    assert ops.is_finite(ops.asarray(values))
    assert ops.is_finite(ops.asarray(values[:0]))
    values[3, 2] = wrong
    assert not ops.is_finite(ops.asarray(values))
