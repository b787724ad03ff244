"""Products on tensor cores: a slice of W_hh in registers, times columns that blocks exchange through global memory.

A warp multiplies tiles of 16 rows, 16 deep in the inner dimension, with tiles of the same depth and 8 columns: the
columns are sequences. In memory a tile of columns is (8 columns, 16 deep); tiles of the inner dimension follow each
other, then those of the columns. Lane 4·r + c of a warp holds, of a tile of

- weights: the rows r and r + 8, each at the depths 4·c to 4·c + 3;
- columns: column r at the depths 4·c to 4·c + 3;
- sums: the rows r and r + 8, each at the columns 2·c and 2·c + 1.

The instructions, m16n8k8 for tf32 and m16n8k16 for bfloat16, number the inner dimension otherwise. Sums do not depend
on its order as long as both factors have the same one, and with this one a lane loads its part of a tile at once.

``precision`` says what is multiplied: "medium" is bfloat16 and "high" tf32. "highest" cuts both factors into two tf32
parts, when it multiplies, and adds three products: the error is below 1e-6 of the sum of magnitudes.
"""

import functools
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from fastrnn.cuda.compiler import device_function
from fastrnn.simd import array_pointer, primitive

ROWS, COLUMNS, DEPTH = 16, 8, 16  # of tiles
TILE = COLUMNS * DEPTH
_FLOAT, _INT, _SHORT, _LONG = ir.FloatType(), ir.IntType(32), ir.IntType(16), ir.IntType(64)
_SUMS = ir.LiteralStructType([_FLOAT] * 4)


class Tiling(NamedTuple):
    """The tiles of a warp's product, known at compile time: attributes of the class, see `tiling`."""


@functools.cache
def tiling(precision, slots, units, warps, tiles, column_tiles, ahead, chains):
    """Return the `Tiling` of a product.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
    slots, units : int
        The rows of a block: `units` rows, a multiple of 8, of each of `slots` parts of the weight.
    warps : int
        Warps of a block: each has a part of the inner dimension.
    tiles : int
        Tiles of the inner dimension of a warp.
    column_tiles : int
        Tiles of columns that are multiplied at a time.
    ahead : int
        Tiles of the inner dimension whose columns are loaded before the first product.
    chains : int
        Parts of the inner dimension with sums of their own, so that one product does not wait for another.
    """
    given = locals().copy()
    more = {"row_tiles": -(-slots * units // ROWS), "stride": _stride(units, column_tiles * COLUMNS)}
    name = "_".join(map(str, ("Tiling", *given.values())))
    return type(name, (Tiling,), {**given, **more, "__slots__": (), "__module__": __name__})()


def __getattr__(name):
    """Return the class of a tiling by its name, so that kernels compiled for it are found on disk."""
    kind, *sizes = name.split("_")
    if kind != "Tiling" or len(sizes) != 8:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return type(tiling(sizes[0], *map(int, sizes[1:])))


def _stride(units, columns):
    """Return how many floats the rows of sums in shared memory are apart, so that few accesses meet in a bank.

    A half-warp writes pairs, four rows at a time; a warp reads a column of `units` rows after the other.
    """

    def conflicts(places):
        banks = [place % 32 for place in places]
        return max(map(banks.count, banks))

    def cost(stride):
        written = [row * stride + column for row in range(4) for column in range(8)]
        read = [lane % units * stride + lane // units for lane in range(32)]
        return conflicts(written) + conflicts(read)

    return min(range(columns, columns + 32, 2), key=cost)


def exchange_type(precision):
    """Return the type of the elements of an exchange buffer; bfloat16 is stored as uint16."""
    return np.dtype(np.uint16 if precision == "medium" else np.float32)


# ------------------------------------------------------------------------------------------------- numbers' formats


def _assembled(builder, result, code, constraints, arguments, stays=False):
    """Emit one PTX instruction; it is not moved, out of a loop for instance, if it `stays`."""
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(ir.InlineAsm(function, code, constraints, side_effect=stays), arguments)


def _as_tf32(builder, value, stays=False):
    """Emit the bits of a float32 rounded to tf32."""
    return _assembled(builder, _INT, "cvt.rna.tf32.f32 $0, $1;", "=r,f", [value], stays)


def _parts(builder, value):
    """Emit the bits of the two tf32 parts of a float32, where they are used: beyond a loop they cost registers."""
    high = _as_tf32(builder, value, stays=True)
    return high, _as_tf32(builder, builder.fsub(value, builder.bitcast(high, _FLOAT)))


def _as_bf16_pair(builder, low, high):
    """Emit the bits of two float32 as bfloat16, `low` in the lower half."""
    return _assembled(builder, _INT, "cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f", [high, low])


def _emit_exchanged(builder, precision, value):
    """Emit a float32 in the format of an exchange buffer."""
    if precision == "medium":
        return _assembled(builder, _SHORT, "cvt.rn.bf16.f32 $0, $1;", "=h,f", [value])
    return value if precision == "highest" else builder.bitcast(_as_tf32(builder, value), _FLOAT)


# ------------------------------------------------------------------------------------------------- exchange buffers


@device_function
def place_of(tiles, column, depth):
    """Return the place of an element in an exchange buffer with so many tiles of the inner dimension."""
    tile = column // COLUMNS * tiles + depth // DEPTH
    return tile * TILE + column % COLUMNS * DEPTH + depth % DEPTH


def _put(tiling, exchange, place, value):
    """Write a number to an exchange buffer; `tiling` is None where no tensor core will read it."""
    exchange.reshape(-1)[place] = value


@primitive(_put)
def put(typingctx, tiling, exchange, place, value):
    """Type and lower `_put`."""

    def lower(context, builder, sig, args):
        _, memory, place, value = args
        if tiling is not types.none:
            value = _emit_exchanged(builder, tiling.instance_class.precision, value)
        builder.store(value, array_pointer(context, builder, exchange, memory, place))
        return context.get_dummy_value()

    number = value if tiling is not types.none else exchange.dtype
    return types.void(tiling, exchange, types.int64, number), lower


def _puts(name):
    """Return a function that writes some of a unit's slots, those that a cell declares as `name`."""

    def python(cell, tiling, exchange, begin, unit, hidden, values):
        """Write a unit's values of some slots: that of the g-th slot at the depth g · `hidden` + `unit`."""
        for g, slot in enumerate(getattr(cell, name)):
            put(tiling, exchange, begin + place_of(0, 0, g * hidden + unit), values[slot])

    def define(typingctx, cell, tiling, exchange, begin, unit, hidden, values):
        slots = getattr(cell.instance_class, name)

        def lower(context, builder, sig, args):
            _, _, memory, begin, depth, hidden, values = args
            values = cgutils.unpack_tuple(builder, values)
            for slot in slots:
                tile = builder.mul(builder.lshr(depth, _LONG(4)), _LONG(TILE))
                place = builder.add(begin, builder.add(tile, builder.and_(depth, _LONG(DEPTH - 1))))
                value = values[slot]
                if tiling is not types.none:
                    value = _emit_exchanged(builder, tiling.instance_class.precision, value)
                builder.store(value, array_pointer(context, builder, exchange, memory, place))
                depth = builder.add(depth, hidden)
            return context.get_dummy_value()

        return types.void(cell, tiling, exchange, types.int64, types.int64, types.int64, values), lower

    return primitive(python)(define)


put_recurrent, put_gated = _puts("recurrent_slots"), _puts("gated_slots")


# ---------------------------------------------------------------------------------------------- products of a warp


def _count_registers(tiling):
    """Return how many 32-bit registers of a lane hold a warp's weights."""
    return tiling.row_tiles * tiling.tiles * (4 if tiling.precision == "medium" else 8)


def _of_thread(builder, thread):
    """Emit a thread's warp, and the numbers r and c of its lane."""
    lane = builder.and_(thread, _LONG(31))
    return builder.lshr(thread, _LONG(5)), builder.lshr(lane, _LONG(2)), builder.and_(lane, _LONG(3))


def _sum_of(builder, *terms):
    """Emit the sum of products of LLVM values and numbers."""
    total = _LONG(0)
    for value, factor in terms:
        factor = _LONG(factor) if isinstance(factor, int) else factor
        total = builder.add(total, builder.mul(value, factor))
    return total


@intrinsic
def load_weights(typingctx, tiling, weight, thread, first, strides, count, depth):
    """Return a thread's part of the weights of its warp.

    ``strides`` are the distances from a row, a slot, and a depth to the next one in the flat array ``weight``. Rows are
    ``first`` and those that follow, up to ``count``. Beyond ``count`` and ``depth`` the last ones are repeated: sums of
    such rows are not used, and the columns are zero there.
    """
    shape = tiling.instance_class
    result = types.UniTuple(types.int32 if shape.precision == "medium" else types.float32, _count_registers(shape))

    def lower(context, builder, sig, args):
        _, memory, thread, first, strides, count, depth = args
        first, count, depth, *strides = [
            builder.trunc(value, _INT) for value in (first, count, depth, *cgutils.unpack_tuple(builder, strides))
        ]
        row_stride, slot_stride, depth_stride = strides
        warp, r, c = _of_thread(builder, thread)
        own_row = builder.add(first, builder.trunc(r, _INT))
        own_depth = builder.trunc(_sum_of(builder, (warp, shape.tiles * DEPTH), (c, 4)), _INT)

        def clipped(value, more, end):
            value, last = builder.add(value, _INT(more)), builder.sub(end, _INT(1))
            return builder.select(builder.icmp_signed("<", value, last), value, last)

        def element(row, k):  # beyond the thread's own
            slot, unit = divmod(row, shape.units)
            if slot >= shape.slots:
                return ir.Constant(_FLOAT, 0.0)
            place = builder.mul(clipped(own_row, unit, count), row_stride)
            place = builder.add(place, builder.mul(slot_stride, _INT(slot)))
            place = builder.add(place, builder.mul(clipped(own_depth, k, depth), depth_stride))
            return builder.load(array_pointer(context, builder, weight, memory, builder.sext(place, _LONG)))

        registers = []
        for tile in range(shape.tiles):
            for row in range(0, shape.row_tiles * ROWS, ROWS // 2):
                values = [element(row, tile * DEPTH + j) for j in range(4)]
                if shape.precision == "medium":
                    registers += [_as_bf16_pair(builder, *values[:2]), _as_bf16_pair(builder, *values[2:])]
                elif shape.precision == "high":
                    registers += [builder.bitcast(_as_tf32(builder, value), _FLOAT) for value in values]
                else:
                    registers += values
        return context.make_tuple(builder, result, registers)

    integer = types.int64
    return result(tiling, weight, integer, integer, types.UniTuple(integer, 3), integer, integer), lower


def _load_columns(builder, precision, address):
    """Emit the load of a lane's part of a tile of columns, past the first-level cache."""
    if precision == "medium":
        result, code, constraints = [_INT] * 2, "ld.global.cg.v2.b32 {$0,$1}, [$2];", "=r,=r,l"
    else:
        result, code, constraints = [_FLOAT] * 4, "ld.global.cg.v4.f32 {$0,$1,$2,$3}, [$4];", "=f,=f,=f,=f,l"
    function = ir.FunctionType(ir.LiteralStructType(result), [_LONG])
    loaded = builder.call(ir.InlineAsm(function, code, constraints, side_effect=True), [address])
    return [builder.extract_value(loaded, k) for k in range(len(result))]


def _mma(builder, kind, weights, columns, sums):
    """Emit sums += weights · columns for one instruction."""
    code = f"mma.sync.aligned.{kind} {{$0,$1,$2,$3}}, {{$4,$5,$6,$7}}, {{$8,$9}}, {{$10,$11,$12,$13}};"
    new = _assembled(builder, _SUMS, code, "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f", [*weights, *columns, *sums])
    return [builder.extract_value(new, k) for k in range(4)]


def _multiply_bf16(builder, weights, columns, sums):
    rows, more = weights[:2], weights[2:]
    return _mma(builder, "m16n8k16.row.col.f32.bf16.bf16.f32", [rows[0], more[0], rows[1], more[1]], columns, sums)


def _multiply_tf32(builder, weights, columns, sums):
    """Emit the two instructions for a tile: the first takes the depths 0, 1 of each lane, the second 2, 3."""
    for j in (0, 2):
        rows = [weights[j], weights[4 + j], weights[j + 1], weights[5 + j]]
        sums = _mma(builder, "m16n8k8.row.col.f32.tf32.tf32.f32", rows, columns[j : j + 2], sums)
    return sums


def _multiply(builder, precision, weights, columns, sums):
    """Emit sums += weights · columns for a tile, in the format that `_prepared` returns."""
    if precision == "medium":
        return _multiply_bf16(builder, weights[0], columns[0], sums)
    if precision == "highest":
        sums = _multiply_tf32(builder, weights[1], columns[0], sums)
        sums = _multiply_tf32(builder, weights[0], columns[1], sums)
    return _multiply_tf32(builder, weights[0], columns[0], sums)


def _prepared(builder, precision, values):
    """Emit a lane's part of a tile as bits for the tensor cores: a list of its parts."""
    if precision == "medium":
        return [values]
    if precision == "high":  # rounded when they were written
        return [[builder.bitcast(value, _INT) for value in values]]
    return list(zip(*[_parts(builder, value) for value in values], strict=True))


@intrinsic
def multiply(typingctx, tiling, weights, exchange, begin, thread):
    """Return a thread's part of its warp's weights times columns, from the tile at the place ``begin`` on."""
    shape = tiling.instance_class
    count = shape.row_tiles * shape.column_tiles * 4
    result = types.UniTuple(types.float32, count)

    def lower(context, builder, sig, args):
        _, weights, memory, begin, thread = args
        weights = cgutils.unpack_tuple(builder, weights)
        size = len(weights) // (shape.row_tiles * shape.tiles)
        warp, r, c = _of_thread(builder, thread)
        first = _sum_of(builder, (begin, 1), (warp, shape.tiles * TILE), (r, DEPTH), (c, 4))

        def load(k):
            for n in range(shape.column_tiles if k < shape.tiles else 0):
                place = builder.add(first, _LONG((n * shape.warps * shape.tiles + k) * TILE))
                pointer = array_pointer(context, builder, exchange, memory, place)
                columns[n, k] = _load_columns(builder, shape.precision, builder.ptrtoint(pointer, _LONG))

        columns = {}
        for k in range(shape.ahead):
            load(k)
        places = list(np.ndindex(shape.row_tiles, shape.column_tiles))
        sums = {(*place, chain): [ir.Constant(_FLOAT, 0.0)] * 4 for place in places for chain in range(shape.chains)}
        for k in range(shape.tiles):
            right = [_prepared(builder, shape.precision, columns[n, k]) for n in range(shape.column_tiles)]
            load(k + shape.ahead)
            for m in range(shape.row_tiles):
                part = weights[(k * shape.row_tiles + m) * size :][:size]
                left = _prepared(builder, shape.precision, part)
                for n in range(shape.column_tiles):
                    chain = m, n, k % shape.chains
                    sums[chain] = _multiply(builder, shape.precision, left, right[n], sums[chain])
        results = []
        for place in places:
            own = zip(*[sums[(*place, chain)] for chain in range(shape.chains)], strict=True)
            results += [functools.reduce(builder.fadd, parts) for parts in own]
        return context.make_tuple(builder, result, results)

    return result(tiling, weights, exchange, types.int64, types.int64), lower


@intrinsic
def store_sums(typingctx, tiling, sums, shared, thread):
    """Write a thread's part of its warp's sums to shared memory: (warps, rows, ``stride`` of the tiling)."""
    shape = tiling.instance_class

    def lower(context, builder, sig, args):
        _, sums, memory, thread = args
        warp, r, c = _of_thread(builder, thread)
        place = _sum_of(builder, (warp, shape.row_tiles * ROWS * shape.stride), (r, shape.stride), (c, 2))
        values = iter(cgutils.unpack_tuple(builder, sums))
        for m in range(shape.row_tiles):
            for n in range(shape.column_tiles):
                for half in range(2):
                    row = m * ROWS + half * ROWS // 2
                    offset = builder.add(place, _LONG(row * shape.stride + n * COLUMNS))
                    pair = ir.Constant(ir.VectorType(_FLOAT, 2), ir.Undefined)
                    for k in range(2):
                        pair = builder.insert_element(pair, next(values), _INT(k))
                    pointer = array_pointer(context, builder, shared, memory, offset)
                    kind = ir.VectorType(_FLOAT, 2).as_pointer(pointer.type.addrspace)
                    builder.store(pair, builder.bitcast(pointer, kind), align=8)
        return context.get_dummy_value()

    return types.void(tiling, sums, shared, types.int64), lower


def _warp_sum(context, builder, shape, shared, memory, place):
    """Emit the sum of an element's partial sums, which the warps wrote."""
    total = None
    for warp in range(shape.warps):
        offset = builder.add(place, _LONG(warp * shape.row_tiles * ROWS * shape.stride))
        value = builder.load(array_pointer(context, builder, shared, memory, offset))
        total = value if total is None else builder.fadd(total, value)
    return total


@intrinsic
def warp_sum(typingctx, tiling, shared, row, column):
    """Return the sum of what the warps wrote for a row and a column."""
    shape = tiling.instance_class

    def lower(context, builder, sig, args):
        _, memory, row, column = args
        place = _sum_of(builder, (row, shape.stride), (column, 1))
        return _warp_sum(context, builder, shape, shared, memory, place)

    return types.float32(tiling, shared, types.int64, types.int64), lower


def _adds(name):
    """Return a function that adds sums to some of a unit's slots, those that a cell declares as `name`."""

    @intrinsic
    def add_sums(typingctx, tiling, cell, z, shared, row, column):
        """Return a unit's slots with the sums of all warps added to some; ``row`` is that of the first of them."""
        shape = tiling.instance_class

        def lower(context, builder, sig, args):
            _, _, z, memory, row, column = args
            place = _sum_of(builder, (row, shape.stride), (column, 1))
            values = cgutils.unpack_tuple(builder, z)
            for slot in getattr(cell.instance_class, name):
                total = _warp_sum(context, builder, shape, shared, memory, place)
                values[slot] = builder.fadd(values[slot], total)
                place = builder.add(place, _LONG(shape.units * shape.stride))
            return context.make_tuple(builder, sig.return_type, values)

        return z(tiling, cell, z, shared, types.int64, types.int64), lower

    return add_sums


add_recurrent_sums, add_gated_sums = _adds("recurrent_slots"), _adds("gated_slots")


def _constant(of_tiling):
    """Return a function that returns its number: one that is known at compile time where there is a tiling."""

    def python(tiling, number):
        """Return a number."""
        return number

    def define(typingctx, tiling, number):
        def lower(context, builder, sig, args):
            return args[1] if tiling is types.none else _LONG(of_tiling(tiling.instance_class))

        return types.int64(tiling, types.int64), lower

    return primitive(python)(define)


units_of = _constant(lambda shape: shape.units)
items_of = _constant(lambda shape: shape.units * shape.column_tiles * COLUMNS)
