"""Launches of kernels: their sizes and arguments."""

import numpy as np
import pytest
from numba import cuda

from fastrnn.cuda import gpu
from fastrnn.cuda.arrays import empty
from fastrnn.cuda.compiler import kernel
from tests.cuda.compiling import array


@kernel
def _count(out):
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = i


@pytest.mark.parametrize(
    ("grid", "block"), [(np.int64(2), np.int32(2)), ((np.int64(1), 1), (np.int64(2), np.int64(1)))]
)
def test_sizes_may_be_integers_of_numpy(ops, grid, block, monkeypatch):
    sizes, launcher = [], gpu.device().launcher

    def recorded(compiled, grid, block, arguments, shared, cooperative):
        sizes.extend([grid, block, shared])
        return launcher(compiled, grid, block, arguments, shared, cooperative)

    monkeypatch.setattr(gpu.device(), "launcher", recorded)
    out = empty(5, np.float32)
    _count.launch(grid, block, out, shared=np.int64(0))
    assert ops.to_numpy(out).tolist() == [0, 1, 2, 3, 4]
    assert {type(size) for given in sizes for size in (given if isinstance(given, tuple) else (given,))} == {int}


@pytest.mark.cpu
def test_a_kernel_gets_words_of_eight_bytes_for_an_array():
    words = array(np.float32, 2, (np.int32(3), np.int32(2))).words
    assert {type(word) for word in words} == {int}
    assert words[-4:] == (3, 2, 8, 4)
