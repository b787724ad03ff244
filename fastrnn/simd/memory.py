"""Loads and stores of vectors: one, the first lanes of one, and several at a stride.

Offsets are flat, are never negative, and are not checked.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from fastrnn._jit import simd_bits
from fastrnn.simd.vector import Vector, element_type, primitive, splat


def array_pointer(context, builder, array_type, array, offset):
    """Return the LLVM pointer to element `offset` (flat, not checked, never negative) of a contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def vector_of(array):
    """Return the vector type for the elements of a C-contiguous array type."""
    if not (isinstance(array, types.Array) and array.layout == "C" and isinstance(array.dtype, types.Float)):
        raise TypeError(f"A vector needs a C-contiguous array of floating-point numbers, got {array}.")
    return Vector(array.dtype)


def load_vector(context, builder, vector, array_type, array, offset):
    """Emit the load of a vector from element `offset` of an array."""
    pointer = array_pointer(context, builder, array_type, array, offset)
    pointer = builder.bitcast(pointer, ir.VectorType(element_type(vector), vector.lanes).as_pointer())
    return builder.load(pointer, align=vector.dtype.bitwidth // 8)


def store_vector(context, builder, vector, array_type, array, offset, value):
    """Emit the store of a vector to element `offset` of an array."""
    pointer = array_pointer(context, builder, array_type, array, offset)
    pointer = builder.bitcast(pointer, ir.VectorType(element_type(vector), vector.lanes).as_pointer())
    builder.store(value, pointer, align=vector.dtype.bitwidth // 8)


def lanes_of(array):
    """Return how many elements of `array` a vector holds."""
    return simd_bits() // (8 * array.itemsize)


@primitive(lanes_of)
def lanes(typingctx, array):
    """Type and lower `lanes_of`."""
    count = vector_of(array).lanes
    return types.intp(array), lambda context, builder, sig, args: context.get_constant(types.intp, count)


def _load(array, offset):
    """Return the vector that begins at element `offset` (flat, not checked) of a C-contiguous array."""
    return array.reshape(-1)[offset : offset + lanes_of(array)].copy()


@primitive(_load)
def load(typingctx, array, offset):
    """Type and lower `_load`."""
    vector = vector_of(array)

    def lower(context, builder, sig, args):
        return load_vector(context, builder, vector, array, *args)

    return vector(array, types.intp), lower


def _store(array, offset, vector):
    """Write a vector to the elements from `offset` on (flat, not checked) of a C-contiguous array."""
    array.reshape(-1)[offset : offset + lanes_of(array)] = vector


@primitive(_store)
def store(typingctx, array, offset, value):
    """Type and lower `_store`."""
    vector = vector_of(array)

    def lower(context, builder, sig, args):
        store_vector(context, builder, vector, array, *args)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), lower


def _load_first(array, offset, count):
    """Return a vector with elements `offset` to `offset + count - 1` of an array, followed by zeros."""
    vector = np.zeros(lanes_of(array), array.dtype)
    part = array.reshape(-1)[offset : offset + min(count, lanes_of(array))]
    vector[: len(part)] = part
    return vector


def _mask(builder, vector, count):
    """Emit the vector of bits that is true in the first `count` lanes."""
    integers = ir.VectorType(ir.IntType(32), vector.lanes)
    count = builder.trunc(count, ir.IntType(32))
    first = builder.insert_element(ir.Constant(integers, ir.Undefined), count, ir.Constant(ir.IntType(32), 0))
    counts = builder.shuffle_vector(first, first, ir.Constant(integers, [0] * vector.lanes))
    return builder.icmp_signed("<", ir.Constant(integers, list(range(vector.lanes))), counts)


def _masked(builder, vector, name, args):
    """Call ``llvm.masked.load`` or ``llvm.masked.store``."""
    lane_type = f"v{vector.lanes}f{vector.dtype.bitwidth}"
    values = ir.VectorType(element_type(vector), vector.lanes)
    result = values if name == "load" else ir.VoidType()
    function_type = ir.FunctionType(result, [a.type for a in args])
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.masked.{name}.{lane_type}.p0")
    return builder.call(function, args)


@primitive(_load_first)
def load_first(typingctx, array, offset, count):
    """Type and lower `_load_first`."""
    vector = vector_of(array)

    def lower(context, builder, sig, args):
        value, offset, count = args
        pointer = array_pointer(context, builder, array, value, offset)
        pointer = builder.bitcast(pointer, ir.VectorType(element_type(vector), vector.lanes).as_pointer())
        align = ir.Constant(ir.IntType(32), vector.dtype.bitwidth // 8)
        return _masked(builder, vector, "load", [pointer, align, _mask(builder, vector, count), splat(vector, 0.0)])

    return vector(array, types.intp, types.intp), lower


def _store_first(array, offset, vector, count):
    """Write the first `count` lanes of a vector (all, where `count` is larger) to an array from `offset` on."""
    count = min(count, lanes_of(array))
    array.reshape(-1)[offset : offset + count] = np.broadcast_to(vector, lanes_of(array))[:count]


@primitive(_store_first)
def store_first(typingctx, array, offset, value, count):
    """Type and lower `_store_first`."""
    vector = vector_of(array)

    def lower(context, builder, sig, args):
        array_value, offset, value, count = args
        pointer = array_pointer(context, builder, array, array_value, offset)
        pointer = builder.bitcast(pointer, ir.VectorType(element_type(vector), vector.lanes).as_pointer())
        align = ir.Constant(ir.IntType(32), vector.dtype.bitwidth // 8)
        _masked(builder, vector, "store", [value, pointer, align, _mask(builder, vector, count)])
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, types.intp), lower


def emit_load_many(context, builder, count, array_type, array, offset, stride):
    """Emit the loads of `count` vectors, `stride` elements apart; return the LLVM tuple of them."""
    vector = vector_of(array_type)
    values = []
    for _ in range(count):
        values.append(load_vector(context, builder, vector, array_type, array, offset))
        offset = builder.add(offset, stride)
    return context.make_tuple(builder, types.UniTuple(vector, count) if count else types.Tuple(()), values)


def _store_many(array, offset, stride, vectors):
    """Write a tuple of vectors to an array, `stride` elements apart, beginning at element `offset`."""
    for k, vector in enumerate(vectors):
        store(array, offset + k * stride, vector)


def _define_many(emit):
    """Build the typing and lowering of a function of (array, offset, stride, tuple of vectors)."""

    def define(typingctx, array, offset, stride, vectors):
        vector = vector_of(array)
        expected = types.UniTuple(vector, len(vectors)) if len(vectors) else types.Tuple(())

        def lower(context, builder, sig, args):
            array_value, offset, stride, values = args
            for value in cgutils.unpack_tuple(builder, values, len(vectors)):
                emit(context, builder, vector, array, array_value, offset, value)
                offset = builder.add(offset, stride)
            return context.get_dummy_value()

        return types.void(array, types.intp, types.intp, expected), lower

    return define


def _add_many(array, offset, stride, vectors):
    """Add a tuple of vectors to an array, `stride` elements apart, beginning at element `offset`."""
    for k, vector in enumerate(vectors):
        store(array, offset + k * stride, load(array, offset + k * stride) + vector)


def _emit_add(context, builder, vector, array_type, array, offset, value):
    total = builder.fadd(load_vector(context, builder, vector, array_type, array, offset), value)
    store_vector(context, builder, vector, array_type, array, offset, total)


store_many = primitive(_store_many)(_define_many(store_vector))
add_many = primitive(_add_many)(_define_many(_emit_add))
