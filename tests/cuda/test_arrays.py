"""Arrays of the device."""

import numpy as np


def test_an_array_takes_the_values_of_an_ndarray(ops):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    array = ops.asarray(values)
    assert (array.shape, array.dtype, array.ndim, array.size, array.nbytes) == ((2, 3), np.float32, 2, 6, 24)
    np.testing.assert_array_equal(ops.to_numpy(array), values)
    np.testing.assert_array_equal(ops.to_numpy(array.part(1, 2)), values[1:])
    np.testing.assert_array_equal(ops.to_numpy(ops.reshape(array, (3, -1))), values.reshape(3, 2))


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
