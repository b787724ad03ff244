"""Layouts of the tensor cores, packed and unpacked on paper for many sizes, against products by NumPy."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.cuda.fragments import (
    COLUMNS,
    DEPTH,
    ROWS,
    TILE,
    add_recurrent_sums,
    exchange_type,
    items_of,
    load_weights,
    multiply,
    place_of,
    put,
    put_recurrent,
    store_sums,
    tiling,
    units_of,
    warp_sum,
)
from tests.cuda.emulator.conversions import from_bf16, to_bf16, to_tf32
from tests.cuda.paper import Memory, call

pytestmark = pytest.mark.cpu
place = place_of.py_func
ROUNDED = {  # numbers as the tensor cores read them
    "highest": lambda x: x,
    "high": lambda x: to_tf32(x).view(np.float32),
    "medium": lambda x: from_bf16(to_bf16(x)),
}
TOLERANCES = {"highest": 1e-6, "high": 2**-10, "medium": 2**-7}  # of the sum of magnitudes


class Case(NamedTuple):
    """A block's product."""

    kind: object  # the tiling
    hidden: int  # units of all blocks
    depth: int
    first: int  # unit of the block
    transposed: bool  # as backward: the weight is (depth, hidden)
    chunks: int  # of columns, multiplied one after the other


@st.composite
def cases(draw):
    """Draw sizes."""
    transposed, integer = draw(st.booleans()), lambda least, most: draw(st.integers(least, most))
    slots, units, warps, tiles = 1 if transposed else integer(1, 4), 8 * integer(1, 4), integer(1, 8), integer(1, 4)
    precision = draw(st.sampled_from(list(TOLERANCES)))
    kind = tiling(precision, slots, units, warps, tiles, integer(1, 3), integer(1, tiles), integer(1, 3))
    hidden = integer(1, 3 * units)
    first = integer(0, (hidden - 1) // units) * units
    return Case(kind, hidden, integer(1, warps * tiles * DEPTH), first, transposed, integer(1, 2))


def products(case, weight, values):
    """Return the product of a block's rows of a weight (slots, hidden, depth) and values (columns, depth).

    The result is (slots, units of the block, columns).
    """
    kind, tiles = case.kind, case.kind.warps * case.kind.tiles
    thread, chunk = np.arange(kind.warps * 32), kind.column_tiles * COLUMNS
    buffer = np.zeros(len(values) * tiles * DEPTH, exchange_type(kind.precision))
    column, k = (index.ravel() for index in np.indices(values.shape))
    call(put, (kind,), Memory(buffer), place(tiles, column, k), values.ravel())
    strides, flat = (case.depth, case.hidden * case.depth, 1), weight.reshape(-1)
    if case.transposed:
        strides, flat = (1, 0, case.hidden), weight[0].T.reshape(-1)
    registers = call(load_weights, (kind,), Memory(flat), thread, case.first, strides, case.hidden, case.depth)
    results = []
    for begin in range(0, len(values), chunk):
        sums = call(multiply, (kind,), registers, Memory(buffer), place(tiles, begin, 0), thread)
        shared = np.full(kind.warps * kind.row_tiles * ROWS * kind.stride, np.nan, np.float32)
        call(store_sums, (kind,), sums, Memory(shared), thread)
        results.append(unpacked(case, shared, chunk))
    return np.concatenate(results, axis=2)


def unpacked(case, shared, columns):
    """Return the sums of the warps' sums in shared memory: (slots, units of the block, columns)."""
    kind = case.kind
    unit, column = (index.ravel() for index in np.indices((kind.units, columns)))
    if case.transposed:
        return call(warp_sum, (kind,), Memory(shared), unit, column).data.reshape(1, kind.units, columns)
    # The first rows are those of the slot that the cell declares first.
    cell, z = SimpleNamespace(recurrent_slots=range(kind.slots)[::-1]), np.zeros(unit.shape, np.float32)
    added = call(add_recurrent_sums, (kind, cell), (z,) * kind.slots, Memory(shared), unit, column)
    return np.stack([part.data.reshape(kind.units, columns) for part in added.data[::-1]])


def compare(case, random):
    """Return the product on paper, and that by NumPy of rounded numbers, of plain ones and of magnitudes."""
    kind, rounded = case.kind, ROUNDED[case.kind.precision]
    weight = random(kind.slots, case.hidden, case.depth)
    values = random(case.chunks * kind.column_tiles * COLUMNS, case.depth)
    got = products(case, weight, values)[:, : case.hidden - case.first]
    weight = weight[:, case.first : case.first + kind.units]
    pairs = (rounded(weight), rounded(values)), (weight, values), (np.abs(weight), np.abs(values))
    return got, *[np.einsum("suk,nk->sun", a.astype(np.float64), b.astype(np.float64)) for a, b in pairs]


@settings(max_examples=40)
@given(cases(), st.integers(0, 99))
def test_products_of_small_integers_are_exact(case, seed):
    rng = np.random.default_rng(seed)
    got, _, expected, _ = compare(case, lambda *shape: rng.integers(-8, 9, shape).astype(np.float32))
    np.testing.assert_array_equal(got, expected)


@settings(max_examples=40)
@given(cases(), st.integers(0, 99), st.integers(-20, 20))
def test_errors_are_those_of_rounded_factors(case, seed, exponent):
    rng = np.random.default_rng(seed)
    got, rounded, expected, magnitude = compare(
        case, lambda *shape: np.ldexp(rng.standard_normal(shape), exponent).astype(np.float32)
    )
    assert (np.abs(got - rounded) <= 1e-6 * magnitude).all()
    assert (np.abs(got - expected) <= TOLERANCES[case.kind.precision] * magnitude).all()


@settings(max_examples=20)
@given(cases())
def test_lanes_hold_what_the_module_describes(case):
    kind = case.kind
    thread, depth = np.arange(kind.warps * 32), kind.warps * kind.tiles * DEPTH
    weight = np.arange(kind.slots * kind.units * depth, dtype=np.float32).reshape(-1, depth)
    kind = tiling("highest", kind.slots, kind.units, kind.warps, kind.tiles, kind.column_tiles, kind.ahead, kind.chains)
    strides = depth, kind.units * depth, 1
    registers = call(load_weights, (kind,), Memory(weight.reshape(-1)), thread, 0, strides, kind.units, depth)
    held = np.stack([np.broadcast_to(part.data, thread.shape) for part in registers.data])
    shared = np.full(kind.warps * kind.row_tiles * ROWS * kind.stride, -1, np.float32)
    count = 4 * kind.row_tiles * kind.column_tiles
    sums = tuple([np.float32(thread * count + k) for k in range(count)])
    call(store_sums, (kind,), sums, Memory(shared), thread)
    shared = shared.reshape(kind.warps, kind.row_tiles, ROWS, kind.stride)
    for own in thread:
        warp, r, c = own // 32, own % 32 // 4, own % 4
        rows = np.arange(kind.row_tiles)[:, None] * ROWS + [r, r + 8]
        depths = (warp * kind.tiles + np.arange(kind.tiles))[:, None] * DEPTH + 4 * c + np.arange(4)
        inside = rows[rows < kind.slots * kind.units]
        padding = [0] * (rows.size - inside.size) * depths.size
        expected = np.sort([*weight[np.ix_(inside, depths.ravel())].ravel(), *padding])
        np.testing.assert_array_equal(np.sort(held[:, own]), expected)
        columns = np.arange(kind.column_tiles)[:, None] * COLUMNS + [2 * c, 2 * c + 1]
        written = shared[warp][:, [r, r + 8]][:, :, columns.ravel()]
        np.testing.assert_array_equal(np.sort(written.ravel()), own * count + np.arange(count))


@settings(max_examples=50)
@given(st.integers(1, 6), st.integers(1, 4))
def test_tiles_of_columns_follow_each_other_in_the_exchange_buffer(tiles, column_tiles):
    shape = column_tiles * COLUMNS, tiles * DEPTH
    places = place(tiles, *np.indices(shape))
    expected = np.arange(places.size).reshape(column_tiles, tiles, COLUMNS, DEPTH).swapaxes(1, 2).reshape(shape)
    np.testing.assert_array_equal(places, expected)
    assert TILE == COLUMNS * DEPTH


@settings(max_examples=50)
@given(st.sampled_from(list(TOLERANCES)), st.integers(1, 4), st.integers(1, 70), st.integers(1, 9), st.data())
def test_gradients_of_slots_stand_behind_each_other(precision, slots, hidden, columns, data):
    kind, tiles = tiling(precision, slots, 8, 1, 1, 1, 1, 1), -(-slots * hidden // DEPTH)
    order = data.draw(st.permutations(range(slots)))
    values = np.random.default_rng(0).standard_normal((slots, columns, hidden)).astype(np.float32)
    buffer = np.zeros(-(-columns // COLUMNS) * COLUMNS * tiles * DEPTH, exchange_type(precision))
    column, unit = (index.ravel() for index in np.indices((columns, hidden)))
    parts = tuple([part.ravel() for part in values])
    cell = SimpleNamespace(recurrent_slots=order)
    call(put_recurrent, (cell, kind), Memory(buffer), place(tiles, column, 0), unit, hidden, parts)
    written = from_bf16(buffer) if precision == "medium" else buffer
    for g, slot in enumerate(order):
        found = written[place(tiles, column, g * hidden + unit)]
        np.testing.assert_array_equal(found, ROUNDED[precision](values[slot].ravel()))


@given(cases())
def test_a_block_computes_a_unit_of_a_column_in_each_thread(case):
    kind = case.kind
    assert call(units_of, (kind,), 0).constant == kind.units
    assert call(items_of, (kind,), 0).constant == kind.units * kind.column_tiles * COLUMNS
    assert kind.row_tiles * ROWS >= kind.slots * kind.units > (kind.row_tiles - 1) * ROWS
    assert kind.stride >= kind.column_tiles * COLUMNS
    assert kind.stride % 2 == 0  # sums are written in pairs
