"""Memory that is used again: never by two arrays at a time, and never more than was promised."""

import threading

import numpy as np
import pytest

from fastrnn._memory import Pool, aligned, empty, empty_like
from fastrnn.layers import LSTM

SHAPE = (300, 100)


def place(array):
    return array.ctypes.data


@pytest.fixture
def pool():
    return Pool(1 << 22)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_arrays_are_whole_and_begin_at_a_cache_line(pool, dtype):
    for shape in (SHAPE, (40_000,), (7, 50, 100)):
        array = pool.empty(shape, dtype)
        assert (array.shape, array.dtype, place(array) % 64) == (shape, np.dtype(dtype), 0)
        assert array.flags.c_contiguous
        assert array.flags.writeable
    assert place(aligned(100, dtype)) % 64 == 0


def test_memory_of_a_dead_array_is_used_again(pool):
    first = pool.empty(SHAPE, "float32")
    there = place(first)
    del first
    assert place(pool.empty((299, 100), "int32")) == there


@pytest.mark.parametrize("hold", [lambda a: a, lambda a: a[5:, ::2], lambda a: a.reshape(-1).view("int32"), memoryview])
def test_memory_that_is_looked_at_is_not_used_again(pool, hold):
    array = pool.empty(SHAPE, "float32")
    there, held = place(array), hold(array)
    del array
    assert place(pool.empty(SHAPE, "float32")) != there
    del held


def test_living_arrays_do_not_overlap(pool):
    arrays = [pool.empty(SHAPE, "float32") for _ in range(100)]  # more than the pool holds
    for number, array in enumerate(arrays):
        array.fill(number)
    assert all((array == number).all() for number, array in enumerate(arrays))


def test_the_pool_is_bounded(pool):
    for number in range(100):
        held = [pool.empty((1000 * number + 20_000,), "float32") for _ in range(3)]
        assert pool.n_bytes <= pool.most_bytes
        del held


def test_released_memory_is_forgotten(pool):
    array = pool.empty(SHAPE, "float32")
    array.fill(3)
    pool.release()
    assert pool.n_bytes == 0
    other = pool.empty(SHAPE, "float32")
    other.fill(4)
    assert (array == 3).all()


def test_small_and_huge_arrays_are_not_kept(pool):
    for size in (0, 10, pool.most_bytes):
        assert pool.empty((size,), "float32").base is None
    assert pool.n_bytes == 0


def test_threads_share_a_pool(pool):
    wrong = []

    def work(number):
        for _ in range(300):
            array = pool.empty(SHAPE, "int64")
            array.fill(number)
            other = pool.empty(SHAPE, "int64")
            other.fill(-number)
            if (array != number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_empty_like_is_contiguous():
    array = np.ones((200, 300)).T
    assert empty_like(array).shape == array.shape
    assert empty_like(array).flags.c_contiguous
    assert empty(array.shape, "float32").dtype == np.float32


def test_what_a_layer_returned_does_not_change_later():
    layer, random = LSTM(40, 40, random_state=0), np.random.default_rng(0)
    x = random.standard_normal((50, 20, 40), "float32")
    y, _ = layer.forward(x, training=True)
    dx, _ = layer.backward(np.ones_like(y))
    copies = y.copy(), dx.copy()
    for _ in range(3):
        other, _ = layer.forward(-x, training=True)
        layer.backward(other)
        del other
    np.testing.assert_array_equal(y, copies[0])
    np.testing.assert_array_equal(dx, copies[1])
