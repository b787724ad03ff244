"""Packed matrix products, C += A·B, for tall and for skinny A.

A is (M, K), B (K, N), C (M, N). B is packed once into panels: `PANEL_VECTORS` vectors of columns side by side, row
after row, so that the innermost loop reads it in one stream. A tile of up to `TILE_ROWS` rows of C and one panel's
columns stays in registers while that loop adds up all of K: it spreads one element of A over a vector and multiplies it
with the panel's row.

Every element of C is one chain of additions in ascending order of k, whatever the shape of the tiles and however
threads share rows and panels. Results therefore do not depend on either.
"""

import functools
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastrnn._jit import kernel, link_shared, share, simd_bits
from fastrnn.kernels.threads import enter, leave
from fastrnn.simd import (
    Vector,
    array_pointer,
    emit_load_many,
    fmuladd,
    lanes,
    lanes_of,
    load,
    load_first,
    primitive,
    spread_lanes,
    store,
    store_first,
    store_vector,
)

PANEL_VECTORS = 4  # a panel's width in vectors; the four gates of an LSTM for one vector of hidden units
# 6 rows x 4 vectors of sums, 4 of the panel and 1 of A fill the 32 registers of AVX-512; AVX2 and SSE2 have 16.
TILE_ROWS = 6 if simd_bits() == 512 else 3
# A panel's block of K rows must stay in the first-level cache (32 KB and more) while all tiles pass over it.
BLOCK_DEPTH = 96


class Strides(NamedTuple):
    """Place of a matrix in an array: element (m, n) at ``offset + m * row + n * column``, counted in elements."""

    offset: int
    row: int
    column: int


def _tile(c, c_offset, c_row, a, a_offset, a_row, a_depth, panel, panel_offset, depth, rows, vectors):
    """Add A·panel to one tile of C: `rows` rows of `vectors` vectors."""
    width = lanes_of(c)
    flat_a, flat_c = a.reshape(-1), c.reshape(-1)
    b = panel.reshape(-1)[panel_offset : panel_offset + depth * vectors * width].reshape(depth, vectors * width)
    for i in range(rows):
        row = flat_a[a_offset + i * a_row :: a_depth][:depth] @ b
        for v in range(vectors):
            begin = c_offset + i * c_row + v * width
            flat_c[begin : begin + width] += row[v * width : (v + 1) * width]


@primitive(_tile)
def tile(typingctx, c, c_offset, c_row, a, a_offset, a_row, a_depth, panel, panel_offset, depth, rows, vectors):
    """Type and lower `_tile`: a call of the function that `_emit_tiles` writes."""
    intp = types.intp
    sig = types.void(c, intp, intp, a, intp, intp, intp, panel, intp, intp, intp, intp)

    def lower(context, builder, sig, args):
        c_value, c_offset, c_row, a_value, a_offset, a_row, a_depth, panel_value, panel_offset, *sizes = args
        c_pointer = array_pointer(context, builder, c, c_value, c_offset)
        a_pointer = array_pointer(context, builder, a, a_value, a_offset)
        b_pointer = array_pointer(context, builder, panel, panel_value, panel_offset)
        link_shared(_tile_symbol(c.dtype))
        function = _tile_function(context, builder, c.dtype)
        builder.call(function, [c_pointer, c_row, a_pointer, a_row, a_depth, b_pointer, *sizes])
        return context.get_dummy_value()

    return sig, lower


def _tile_symbol(dtype):
    return f"fastrnn_tile_{dtype}"


def _tile_function(context, builder, dtype):
    """Declare the tile function of an element type: (c, c_row, a, a_row, a_depth, panel, depth, rows, vectors)."""
    pointer, index = context.get_value_type(dtype).as_pointer(), context.get_value_type(types.intp)
    signature = ir.FunctionType(ir.VoidType(), [pointer, index, pointer, index, index, pointer, index, index, index])
    return cgutils.get_or_insert_function(builder.module, signature, _tile_symbol(dtype))


@intrinsic
def _address_of_tile(typingctx, example):
    """Type and lower the address of the tile function for an array's element type, and write its body."""

    def lower(context, builder, sig, args):
        function = _tile_function(context, builder, example.dtype)
        _emit_tiles(function, Vector(example.dtype))
        return builder.ptrtoint(function, context.get_value_type(types.intp))

    return types.intp(example), lower


@kernel
def _tile_address(example):
    """Return the address of the tile function. It takes half a second to compile, once for all kernels."""
    return _address_of_tile(example)


for _dtype in ("float32", "float64"):
    share(_tile_symbol(_dtype), functools.partial(_tile_address, np.empty(0, _dtype)))


def _emit_tiles(function, vector):
    """Write the body of the tile function: one loop over K for each height and width, chosen by a switch."""
    function.linkage = "linkonce_odr"
    *operands, depth, rows, vectors = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    index = depth.type
    done = function.append_basic_block("done")
    switch = builder.switch(builder.add(builder.mul(vectors, index(TILE_ROWS + 1)), rows), done)
    for v in range(1, PANEL_VECTORS + 1):
        for r in range(1, TILE_ROWS + 1):
            block = function.append_basic_block(f"tile_{r}x{v}")
            switch.add_case(index(v * (TILE_ROWS + 1) + r), block)
            builder.position_at_end(block)
            _emit_tile(builder, vector, r, v, *operands, depth)
            builder.branch(done)
    builder.position_at_end(done)
    builder.ret_void()


def _prefetch(builder, pointer):
    """Emit a prefetch of a pointer's cache line to the second level; the pointer may be outside of any array."""
    i8p, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
    function_type = ir.FunctionType(ir.VoidType(), [i8p, i32, i32, i32])
    function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
    read, second_level, data = i32(0), i32(2), i32(1)
    builder.call(function, [builder.bitcast(pointer, i8p), read, second_level, data])


def _emit_tile(builder, vector, rows, vectors, c, c_row, a, a_row, a_depth, b, depth):
    """Write the loop over K for a tile of `rows` rows and `vectors` vectors."""
    index = depth.type
    element = vector.dtype.bitwidth // 8
    pointer_type = ir.VectorType(a.type.pointee, vector.lanes).as_pointer()

    def place(base, offset):
        return builder.bitcast(builder.gep(base, [offset]), pointer_type)

    places = [
        place(c, builder.add(builder.mul(index(r), c_row), index(v * vector.lanes)))
        for r in range(rows)
        for v in range(vectors)
    ]
    sums = [cgutils.alloca_once_value(builder, builder.load(p, align=element)) for p in places]
    a_rows = [builder.gep(a, [builder.mul(index(r), a_row)]) for r in range(rows)]
    with cgutils.for_range(builder, depth) as loop:
        b_row = builder.mul(loop.index, index(vectors * vector.lanes))
        b_vectors = [
            builder.load(place(b, builder.add(b_row, index(v * vector.lanes))), align=element) for v in range(vectors)
        ]
        # Prefetch the panel's next block: large weights come from memory while this block is multiplied. With one row
        # they are only read, and the processor's own prefetching is faster.
        for v in range(vectors if rows > 1 else 0):
            ahead = index((BLOCK_DEPTH * vectors + v) * vector.lanes)
            _prefetch(builder, builder.gep(b, [builder.add(b_row, ahead)]))
        step = builder.mul(loop.index, a_depth)
        for r in range(rows):
            spread = spread_lanes(builder, vector, builder.load(builder.gep(a_rows[r], [step])))
            for v in range(vectors):
                total = sums[r * vectors + v]
                builder.store(fmuladd(builder, spread, b_vectors[v], builder.load(total)), total)
    for where, total in zip(places, sums, strict=True):
        builder.store(builder.load(total), where, align=element)


@kernel(inline="always")
def panel_product(c, c_at, a, a_at, panel, panel_offset, rows, depth, vectors):
    """Add A·panel to `rows` rows of C, in tiles of nearly equal height, K in blocks that stay in the nearest cache."""
    # c, a hold C and A at the `Strides` c_at (column 1) and a_at; panel (·,) holds (depth, vectors · lanes)
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS
    width = vectors * lanes(c)
    for k in range(0, depth, BLOCK_DEPTH):
        block = min(BLOCK_DEPTH, depth - k)
        row = 0
        for t in range(tiles):
            height = (rows - row) // (tiles - t)
            tile(c, c_at.offset + row * c_at.row, c_at.row, a, a_at.offset + row * a_at.row + k * a_at.column, a_at.row,
                 a_at.column, panel, panel_offset + k * width, block, height, vectors)  # fmt: skip
            row += height


def _transpose(panels, offset, row, b, b_offset, b_column):
    """Write the transpose of a square block, as many vectors as a vector has lanes."""
    width = lanes_of(panels)
    flat_panels, flat_b = panels.reshape(-1), b.reshape(-1)
    for k in range(width):
        flat_panels[offset + k * row : offset + k * row + width] = flat_b[b_offset + k :: b_column][:width]


@primitive(_transpose)
def transpose(typingctx, panels, offset, row, b, b_offset, b_column):
    """Type and lower `_transpose`: exchange, bit by bit, the number of a vector with the number of a lane."""
    vector = Vector(panels.dtype)
    intp = types.intp

    def lower(context, builder, sig, args):
        panels_value, offset, row, b_value, b_offset, b_column = args
        values = cgutils.unpack_tuple(
            builder, emit_load_many(context, builder, vector.lanes, b, b_value, b_offset, b_column)
        )
        for bit in (1 << k for k in range(vector.lanes.bit_length() - 1)):
            lane = range(vector.lanes)
            # The lanes of the second vector follow those of the first.
            low = [i + vector.lanes - bit if i & bit else i for i in lane]
            high = [i + vector.lanes if i & bit else i + bit for i in lane]
            pairs = [(i, i + bit) for i in lane if not i & bit]
            for i, j in pairs:
                values[i], values[j] = (
                    builder.shuffle_vector(values[i], values[j], ir.Constant(ir.VectorType(ir.IntType(32), len(m)), m))
                    for m in (low, high)
                )
        for value in values:
            store_vector(context, builder, vector, panels, panels_value, offset, value)
            offset = builder.add(offset, row)
        return context.get_dummy_value()

    return types.void(panels, intp, intp, b, intp, intp), lower


@kernel
def pack_vector(panels, place, stride, b, b_at, depth, used):
    """Write a vector of B's columns, with zeros after the first `used`, into a panel of `stride` columns."""
    width = lanes(panels)
    flat_b, flat_panels = b.reshape(b.size), panels.reshape(panels.size)
    done = 0
    if b_at.row == 1 and used == width:  # in square blocks
        done = depth // width * width
        for k in range(0, done, width):
            transpose(panels, place + k * stride, stride, b, b_at.offset + k, b_at.column)
    for j in range(width):
        for k in range(done, depth):
            value = flat_b[b_at.offset + k * b_at.row + j * b_at.column] if j < used else flat_b.dtype.type(0)
            flat_panels[place + k * stride + j] = value


@kernel
def pack(panels, b, b_at, depth, columns):
    """Write the (depth, columns) matrix B into panels, the last one padded with zero columns to whole vectors."""
    width = lanes(panels)
    place = 0
    for first in range(0, columns, PANEL_VECTORS * width):
        used = min(columns - first, PANEL_VECTORS * width)
        padded = (used + width - 1) // width * width
        source = b_at.offset + first * b_at.column
        if b_at.column == 1:
            for k in range(depth):
                for j in range(0, used, width):
                    store(panels, place + k * padded + j, load_first(b, source + k * b_at.row + j, used - j))
        else:
            for j in range(0, padded, width):
                pack_vector(panels, place + j, padded, b, Strides(source + j * b_at.column, b_at.row, b_at.column),
                            depth, min(width, used - j))  # fmt: skip
        place += depth * padded


def packed_size(depth, columns, dtype):
    """Return how many elements the panels of a (depth, columns) matrix take."""
    width = simd_bits() // (8 * np.dtype(dtype).itemsize)
    return depth * (-(-columns // width) * width)


@kernel(inline="always")
def packed_product(c, c_at, a, a_at, panels, rows, depth, columns):
    """Compute C += A·B for rows of C that are whole vectors long; B (depth, columns) is packed in `panels`."""
    width = lanes(c)
    for first in range(0, columns, PANEL_VECTORS * width):
        vectors = (min(columns - first, PANEL_VECTORS * width) + width - 1) // width
        panel_product(c, Strides(c_at.offset + first, c_at.row, 1), a, a_at, panels, first * depth, rows, depth,
                      vectors)  # fmt: skip


@kernel
def product_block(c, c_at, a, a_at, panels, edge, rows, depth, columns):
    """Compute C += A·B as `packed_product`, for rows of C of any length: the last columns go through `edge`."""
    # edge (TILE_ROWS · PANEL_VECTORS · lanes,)
    width = lanes(c)
    whole = columns // width * width
    panel_width = PANEL_VECTORS * width
    inner = columns // panel_width * panel_width if whole < columns else columns
    packed_product(c, c_at, a, a_at, panels, rows, depth, inner)
    if inner == columns:
        return
    used = columns - inner  # less than a panel, and not whole vectors
    vectors = (used + width - 1) // width
    for row in range(0, rows, TILE_ROWS):
        height = min(TILE_ROWS, rows - row)
        for i in range(height):
            for j in range(0, used, width):
                source = c_at.offset + (row + i) * c_at.row + inner + j
                store(edge, i * panel_width + j, load_first(c, source, used - j))
        panel_product(edge, Strides(0, panel_width, 1), a, Strides(a_at.offset + row * a_at.row, a_at.row, a_at.column),
                      panels, inner * depth, height, depth, vectors)  # fmt: skip
        for i in range(height):
            for j in range(0, used, width):
                target = c_at.offset + (row + i) * c_at.row + inner + j
                store_first(c, target, load(edge, i * panel_width + j), used - j)


PACK_DEPTH = 2 * BLOCK_DEPTH
PACK_COLUMNS = 512


def scratch_size(dtype):
    """Return how many elements the scratch array of `gemm` needs."""
    return PACK_DEPTH * PACK_COLUMNS + TILE_ROWS * PANEL_VECTORS * lanes_of(np.empty(0, dtype))


@kernel
def gemm(board, thread, c, c_at, a, a_at, b, b_at, rows, columns, depth, scratch):
    """Compute C += A·B as a thread's part of a job, see `strided_product`."""
    enter(board, thread)
    strided_product(c, c_at, a, a_at, b, b_at, rows, columns, depth, scratch)
    leave(board, thread)


@kernel
def strided_product(c, c_at, a, a_at, b, b_at, rows, columns, depth, scratch):
    """Compute C += A·B for A (rows, depth) and B (depth, columns) with any strides; rows of C are contiguous.

    B is packed block by block into `scratch`.
    """
    # c, a, b: arrays that hold the matrices at the `Strides` c_at, a_at and b_at; scratch (scratch_size,)
    panels = scratch[: PACK_DEPTH * PACK_COLUMNS]
    edge = scratch[PACK_DEPTH * PACK_COLUMNS :]
    for n in range(0, columns, PACK_COLUMNS):
        block_columns = min(PACK_COLUMNS, columns - n)
        for k in range(0, depth, PACK_DEPTH):
            block_depth = min(PACK_DEPTH, depth - k)
            pack(panels, b, Strides(b_at.offset + k * b_at.row + n * b_at.column, b_at.row, b_at.column), block_depth,
                 block_columns)  # fmt: skip
            product_block(c, Strides(c_at.offset + n, c_at.row, 1), a,
                          Strides(a_at.offset + k * a_at.column, a_at.row, a_at.column), panels, edge, rows,
                          block_depth, block_columns)  # fmt: skip
