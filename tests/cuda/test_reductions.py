"""Sums and maxima over the threads of a block, and over a whole array."""

import numpy as np
import pytest
from numba import cuda, float64

from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.gpu import device
from fastrnn.cuda.reductions import add_columns, block_maximum, block_sum, total


@kernel
def _reduce_rows(sums, maxima, values):
    # sums, maxima (rows, threads), values (rows, threads)
    shared = cuda.shared.array(0, values.dtype)
    thread = cuda.threadIdx.x
    for row in range(cuda.blockIdx.x, values.shape[0], cuda.gridDim.x):
        sums[row, thread] = block_sum(values[row, thread], shared)
        maxima[row, thread] = block_maximum(values[row, thread], shared)


@kernel
def _add(partials, values):
    total = float64(0.0)
    for i in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        total += float64(values[i])
    partials[cuda.blockIdx.x] = block_sum(total, cuda.shared.array(0, float64))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_every_thread_gets_the_sum_and_the_maximum_of_its_block(ops, threads, dtype):
    values = np.random.default_rng(threads).normal(size=(3, threads)).astype(dtype)
    sums, maxima = (ops.empty(values.shape, dtype) for _ in range(2))
    _reduce_rows.launch(2, threads, sums, maxima, ops.asarray(values), shared=values[0].nbytes)
    expected = np.repeat(values.sum(axis=1, keepdims=True), threads, axis=1)
    np.testing.assert_allclose(ops.to_numpy(sums), expected, rtol=1e-5 if dtype == "float32" else 1e-12)
    np.testing.assert_array_equal(ops.to_numpy(maxima), np.repeat(values.max(axis=1, keepdims=True), threads, axis=1))


def test_the_maximum_of_a_block_is_that_of_the_numbers_beside_nan(ops):
    values = np.array([[np.nan, -3.0, -np.inf, np.nan], [np.nan] * 4])
    maxima = ops.empty((2, 4), "float64")
    _reduce_rows.launch(1, 4, ops.empty((2, 4), "float64"), maxima, ops.asarray(values), shared=32)
    np.testing.assert_array_equal(ops.to_numpy(maxima), [[-3.0] * 4, [np.nan] * 4])


def test_the_total_of_several_arrays_takes_one_download(ops, monkeypatch):
    arrays = [np.random.default_rng(n).normal(size=n).astype("float32") for n in (0, 1, 1000)]
    calls = [(array.size, (ops.asarray(array),)) for array in arrays]
    downloads = []
    download = type(device()).download
    monkeypatch.setattr(type(device()), "download", lambda self, array: downloads.append(0) or download(self, array))
    assert total(_add, calls) == pytest.approx(sum(float(array.astype(float).sum()) for array in arrays), rel=1e-12)
    assert len(downloads) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (1, 1), (7, 1), (5, 4), (3, 70)])
def test_columns_are_added_to_what_is_there(ops, rows, columns, dtype):
    values = np.random.default_rng(rows).normal(size=(rows, columns)).astype(dtype)
    out = ops.asarray(np.ones(columns, dtype))
    add_columns(out, ops.asarray(values))
    np.testing.assert_allclose(ops.to_numpy(out), 1 + values.sum(axis=0), rtol=1e-5 if dtype == "float32" else 1e-12)
