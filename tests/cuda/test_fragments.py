"""Products of a block on tensor cores, as the emulator of a GPU executes them, against NumPy."""

import pickle

import numpy as np
import pytest
from numba import cuda, float32

from fastrnn.cuda import arrays
from fastrnn.cuda.compiler import kernel, type_of
from fastrnn.cuda.fragments import (
    COLUMNS,
    DEPTH,
    exchange_type,
    load_weights,
    multiply,
    place_of,
    put,
    store_sums,
    tiling,
    warp_sum,
)
from tests.cuda.emulator import emulated

pytestmark = pytest.mark.cpu


@kernel
def _product(out, weight, values, buffer, tiling, first, strides, sizes):
    """Compute the sums of a block whose units begin with `first`: (rows, columns) for the tiling's slots and units."""
    # weight (slots · units, depth) or, transposed, (depth, units); values (columns, depth)
    shared = cuda.shared.array(0, float32)
    thread, threads = cuda.threadIdx.x, cuda.blockDim.x
    units, depth, tiles = sizes
    for i in range(thread, values.size, threads):
        column, k = i // depth, i % depth
        put(tiling, buffer, place_of(tiles, column, k), values[column, k])
    cuda.syncthreads()
    fragments = load_weights(tiling, weight, thread, first, strides, units, depth)
    store_sums(tiling, multiply(tiling, fragments, buffer, 0, thread), shared, thread)
    cuda.syncthreads()
    for i in range(thread, out.size, threads):
        row, column = i // out.shape[1], i % out.shape[1]
        out[row, column] = warp_sum(tiling, shared, row, column)


def product(kind, slots, weight, values, first):
    """Return a block's part of the product of a weight (slots, units, depth): (slots, units of the block, columns)."""
    _, units, depth = weight.shape
    tiles = kind.warps * kind.tiles
    buffer = arrays.zeros(kind.column_tiles * COLUMNS * tiles * DEPTH, exchange_type(kind.precision))
    out = arrays.empty((slots * kind.units, kind.column_tiles * COLUMNS), np.float32)
    shared = kind.warps * kind.row_tiles * 16 * kind.stride * 4
    _product.launch(1, kind.warps * 32, out, arrays.asarray(weight.reshape(-1, depth)), arrays.asarray(values), buffer,
                    kind, first, (depth, units * depth, 1), (units, depth, tiles), shared=shared)  # fmt: skip
    return arrays.to_numpy(out).reshape(slots, kind.units, -1)


def normal(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# Two rounded factors of a product, relative to its magnitude.
TOLERANCES = {"highest": 1e-6, "high": 2**-10, "medium": 2**-7}
SHAPES = [  # slots, units of a block, warps, tiles, tiles of columns, ahead, chains; units, depth, first unit
    ((4, 8, 1, 2, 1, 1, 1), (19, 29, 16)),
    ((3, 8, 2, 1, 2, 1, 1), (8, 17, 0)),
    ((1, 16, 1, 3, 2, 2, 2), (30, 48, 16)),
    ((1, 8, 2, 2, 1, 2, 2), (8, 64, 0)),
]


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize(("sizes", "weight_sizes"), SHAPES, ids=str)
def test_a_block_multiplies_its_rows(precision, sizes, weight_sizes):
    units, depth, first = weight_sizes
    kind = tiling(precision, *sizes)
    weight, values = normal(sizes[0], units, depth, seed=0), normal(sizes[4] * COLUMNS, depth, seed=1)
    with emulated(seed=0):
        got = product(kind, sizes[0], weight, values, first)[:, : units - first]
    weight = weight[:, first : first + kind.units].astype(float)
    expected, magnitude = (np.einsum("suk,nk->sun", f(weight), f(values.astype(float))) for f in (np.positive, np.abs))
    assert (np.abs(got - expected) <= TOLERANCES[precision] * magnitude).all()


def test_three_products_of_tf32_are_as_exact_as_float32():
    kind, depth = tiling("highest", 1, 16, 1, 3, 1, 3, 1), 48
    weight, values = normal(1, 16, depth, seed=2), normal(COLUMNS, depth, seed=3)
    with emulated(seed=0):
        got = product(kind, 1, weight, values, 0)[0]
    expected, plain = weight[0].astype(float) @ values.T.astype(float), weight[0] @ values.T
    assert np.abs(got - expected).max() <= 4 * np.abs(plain - expected).max()


def test_the_class_of_a_tiling_is_found_by_its_name():
    from fastrnn.cuda import fragments

    kind = tiling("high", 3, 8, 4, 2, 1, 2, 1)
    assert getattr(fragments, type(kind).__name__) is type(kind)
    assert pickle.loads(pickle.dumps(type_of(kind))) == type_of(kind)  # as in the key of a kernel on disk
    with pytest.raises(AttributeError, match="no attribute 'Tiles'"):
        fragments.Tiles  # noqa: B018
