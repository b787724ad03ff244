from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn._jit import kernel
from fastrnn.kernels.gemm import (
    BLOCK_DEPTH,
    PACK_COLUMNS,
    PACK_DEPTH,
    Strides,
    gemm,
    pack,
    packed_product,
    packed_size,
    scratch_size,
)
from fastrnn.kernels.threads import run_kernel
from fastrnn.simd import lanes_of


def whole_numbers(rng, shape, dtype):
    """Return a matrix of small whole numbers: their products and sums are exact."""
    return rng.integers(-4, 5, shape).astype(dtype)


def operand(matrix, transposed, gap, offset):
    """Return a larger array that holds a matrix somewhere, and its `Strides`."""
    stored = matrix.T if transposed else matrix
    line = stored.shape[1] + gap
    flat = np.full(offset + len(stored) * line, 99, matrix.dtype)
    flat[offset:].reshape(len(stored), line)[:, : stored.shape[1]] = stored
    return flat, Strides(offset, 1, line) if transposed else Strides(offset, line, 1)


def multiply(*arguments):
    run_kernel(gemm, [arguments])


def check_product(rows, columns, depth, a_transposed, b_transposed, gap, offset, dtype="float32"):
    rng = np.random.default_rng(rows + 10 * columns + 100 * depth)
    a, b = whole_numbers(rng, (rows, depth), dtype), whole_numbers(rng, (depth, columns), dtype)
    c = whole_numbers(rng, (rows, columns + gap), dtype)
    flat = np.concatenate([np.full(offset, 99, dtype), c.reshape(-1), np.full(70, 99, dtype)])
    scratch = np.full(scratch_size(dtype), np.nan, dtype)
    a_operand, b_operand = operand(a, a_transposed, gap, offset), operand(b, b_transposed, gap, offset)
    multiply(flat, Strides(offset, columns + gap, 1), *a_operand, *b_operand, rows, columns, depth, scratch)
    expected = c.copy()
    expected[:, :columns] += (a.astype(float) @ b.astype(float)).astype(dtype)
    np.testing.assert_array_equal(flat[offset:-70].reshape(c.shape), expected)
    assert (flat[:offset] == 99).all()
    assert (flat[-70:] == 99).all()


sizes = st.integers(1, 80)


@given(sizes, sizes, sizes, st.booleans(), st.booleans(), st.integers(0, 3), st.integers(0, 3))
def test_any_shape_and_stride(rows, columns, depth, a_transposed, b_transposed, gap, offset):
    check_product(rows, columns, depth, a_transposed, b_transposed, gap, offset)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("rows", "columns", "depth"), [(1, 1, 1), (7, 5, 3), (4, 18, 17), (3, 33, 2)])
def test_small_products_are_exact(rows, columns, depth, transposed, dtype):
    check_product(rows, columns, depth, transposed, transposed, 1, 2, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("b_transposed", [False, True])
@pytest.mark.parametrize("columns", [PACK_COLUMNS - 1, PACK_COLUMNS, PACK_COLUMNS + 19])
@pytest.mark.parametrize("depth", [BLOCK_DEPTH + 1, PACK_DEPTH, PACK_DEPTH + 5])
def test_blocks_join(depth, columns, b_transposed, dtype):
    check_product(13, columns, depth, False, b_transposed, 0, 0, dtype)


@pytest.mark.parametrize(("rows", "columns", "depth"), [(0, 5, 4), (5, 0, 4), (5, 4, 0)])
def test_empty_products_change_nothing(rows, columns, depth):
    a, b, c = np.ones((rows, depth)), np.ones((depth, columns)), np.ones((rows, columns))
    multiply(c.reshape(-1), Strides(0, columns, 1), a.reshape(-1), Strides(0, depth, 1), b.reshape(-1),
             Strides(0, columns, 1), rows, columns, depth, np.empty(scratch_size("float64")))  # fmt: skip
    assert (c == 1).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accuracy_and_not_a_number(dtype):
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((20, 150)).astype(dtype), rng.standard_normal((150, 70)).astype(dtype)
    a[3, 5] = np.nan
    b[7, 11] = np.inf
    c = np.zeros((20, 70), dtype)
    multiply(c.reshape(-1), Strides(0, 70, 1), a.reshape(-1), Strides(0, 150, 1), b.reshape(-1), Strides(0, 70, 1), 20,
             70, 150, np.empty(scratch_size(dtype), dtype))  # fmt: skip
    with np.errstate(invalid="ignore"):
        expected = a.astype(float) @ b.astype(float)
    np.testing.assert_allclose(c, expected, rtol=0, atol=300 * np.finfo(dtype).eps)


def test_pieces_of_a_product_are_its_bits():
    """Every sum runs over k in one order, however rows and columns are cut."""
    rng = np.random.default_rng(4)
    rows, columns, depth = 40, 150, 210
    a, b = rng.standard_normal((rows, depth)).astype("f4"), rng.standard_normal((depth, columns)).astype("f4")
    scratch = np.empty(scratch_size("f4"), "f4")
    outcomes = []
    for row_cuts, column_cuts in (([0, 40], [0, 150]), ([0, 1, 17, 40], [0, 150]), ([0, 23, 40], [0, 64, 67, 150])):
        c = np.zeros((rows, columns), "f4")
        for top, bottom in pairwise(row_cuts):
            for left, right in pairwise(column_cuts):
                multiply(c.reshape(-1), Strides(top * columns + left, columns, 1), a.reshape(-1),
                         Strides(top * depth, depth, 1), b.reshape(-1), Strides(left, columns, 1), bottom - top,
                         right - left, depth, scratch)  # fmt: skip
        outcomes.append(c)
    np.testing.assert_array_equal(outcomes[0], outcomes[1])
    np.testing.assert_array_equal(outcomes[0], outcomes[2])


@kernel
def packed(c, a, panels, rows, depth, columns, c_row):
    packed_product(c, Strides(0, c_row, 1), a, Strides(0, depth, 1), panels, rows, depth, columns)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("columns", [1, 16, 37, 64, 90])
def test_panels_are_padded_with_zeros(columns, transposed):
    rng = np.random.default_rng(5)
    rows, depth = 9, 35
    vector = lanes_of(np.empty(0, "f4"))
    a, b = whole_numbers(rng, (rows, depth), "f4"), whole_numbers(rng, (depth, columns), "f4")
    panels = np.full(packed_size(depth, columns, "f4"), np.nan, "f4")
    pack(panels, *operand(b, transposed, 0, 0), depth, columns)
    padded = -(-columns // vector) * vector
    assert panels.size == depth * padded
    c = np.zeros((rows, padded), "f4")
    packed(c.reshape(-1), a.reshape(-1), panels, rows, depth, columns, padded)
    np.testing.assert_array_equal(c[:, :columns], a @ b)
    assert (c[:, columns:] == 0).all()
