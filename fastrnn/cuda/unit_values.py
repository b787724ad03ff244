"""The values of one hidden unit as a tuple of numbers: loads, stores, and arithmetic between such tuples.

The cell, an argument of the kernel, says at compile time how many values there are, so that they stay in registers.
Offsets are flat, are never negative, and are not checked.
"""

import functools
import operator

from llvmlite import ir
from numba.core import cgutils, types

from fastrnn.cells._cell import count_units
from fastrnn.simd import array_pointer, primitive


def _flat(array, offset, stride, count):
    """Return the places of `count` elements in the flat array, and that array."""
    return array.reshape(-1), [offset + k * stride for k in range(count)]


def tuple_of(number, count):
    """Return the type of a tuple of `count` numbers."""
    return types.UniTuple(number, count) if count else types.Tuple(())


def _loads(count_of):
    """Return the typing and lowering of a load of `count_of(cell)` numbers."""

    def define(typingctx, cell, array, offset, stride):
        count = count_of(cell.instance_class)
        result = tuple_of(array.dtype if count else None, count)

        def lower(context, builder, sig, args):
            _, memory, offset, stride = args
            values = []
            for _ in range(count):
                values.append(builder.load(array_pointer(context, builder, array, memory, offset)))
                offset = builder.add(offset, stride)
            return context.make_tuple(builder, result, values)

        return result(cell, array, types.int64, types.int64), lower

    return define


def _load_slots(cell, array, offset, stride):
    """Return a number for each slot of the cell, from element `offset` on, `stride` elements apart."""
    flat, places = _flat(array, offset, stride, len(cell.slots))
    return tuple(flat[place] for place in places)


def _load_states(cell, array, offset, stride):
    """Return a number for each state of the cell, likewise."""
    flat, places = _flat(array, offset, stride, len(cell.states))
    return tuple(flat[place] for place in places)


def _load_units(cell, array, offset, stride):
    """Return a number for each parameter of the units, likewise; `array` is None if there are none."""
    if array is None:
        return ()
    flat, places = _flat(array, offset, stride, count_units(cell))
    return tuple(flat[place] for place in places)


load_slots = primitive(_load_slots)(_loads(lambda cell: len(cell.slots)))
load_states = primitive(_load_states)(_loads(lambda cell: len(cell.states)))
load_units = primitive(_load_units)(_loads(count_units))


def _stores(emit):
    """Return the typing and lowering of a function that writes a tuple to an array."""

    def define(typingctx, array, offset, stride, values):
        def lower(context, builder, sig, args):
            memory, offset, stride, values = args
            for value in cgutils.unpack_tuple(builder, values):
                emit(builder, array_pointer(context, builder, array, memory, offset), value)
                offset = builder.add(offset, stride)
            return context.get_dummy_value()

        return types.void(array, types.int64, types.int64, tuple_of(_number(array, values), len(values))), lower

    return define


def _number(array, values):
    return array.dtype if len(values) else None


def _store_many(array, offset, stride, values):
    """Write a tuple of numbers to an array, `stride` elements apart, from element `offset` on."""
    if values:
        flat, places = _flat(array, offset, stride, len(values))
        for place, value in zip(places, values, strict=True):
            flat[place] = value


def _add_many(array, offset, stride, values):
    """Add a tuple of numbers to an array, `stride` elements apart, from element `offset` on."""
    if values:
        flat, places = _flat(array, offset, stride, len(values))
        for place, value in zip(places, values, strict=True):
            flat[place] += value


def _emit_add(builder, pointer, value):
    builder.store(builder.fadd(builder.load(pointer), value), pointer)


store_many = primitive(_store_many)(_stores(lambda builder, pointer, value: builder.store(value, pointer)))
add_many = primitive(_add_many)(_stores(_emit_add))


def _between(emit):
    """Return the typing and lowering of an operation between tuples of equal length, value by value."""

    def define(typingctx, *operands):
        def lower(context, builder, sig, args):
            columns = zip(*[cgutils.unpack_tuple(builder, values) for values in args], strict=True)
            return context.make_tuple(builder, sig.return_type, [emit(builder, *values) for values in columns])

        return operands[0](*operands), lower

    return define


def _plus(a, b):
    """Return the sums of two tuples."""
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _minus(a, b):
    """Return the differences of two tuples."""
    return tuple(x - y for x, y in zip(a, b, strict=True))


def _times(a, b):
    """Return the products of two tuples."""
    return tuple(x * y for x, y in zip(a, b, strict=True))


def _define_pair(emit):
    define = _between(emit)
    return lambda typingctx, a, b: define(typingctx, a, b)


plus = primitive(_plus)(_define_pair(lambda builder, a, b: builder.fadd(a, b)))
minus = primitive(_minus)(_define_pair(lambda builder, a, b: builder.fsub(a, b)))
times = primitive(_times)(_define_pair(lambda builder, a, b: builder.fmul(a, b)))


def _changes(change, place_of):
    """Return the lowering of a function that changes one value of the tuple before its last argument."""

    def lower(context, builder, sig, args):
        parts, place = cgutils.unpack_tuple(builder, args[-2]), place_of(sig)
        parts[place] = change(builder, parts[place], args[-1])
        return context.make_tuple(builder, sig.return_type, parts)

    return lower


def _add_to_first(values, number):
    """Return a tuple with `number` added to its first value."""
    return (values[0] + number, *values[1:])


@primitive(_add_to_first)
def add_to_first(typingctx, values, number):
    """Type and lower `_add_to_first`."""
    return values(values, values.dtype), _changes(lambda builder, old, new: builder.fadd(old, new), lambda sig: 0)


def _with_first(values, number):
    """Return a tuple with `number` in place of its first value."""
    return (number, *values[1:])


@primitive(_with_first)
def with_first(typingctx, values, number):
    """Type and lower `_with_first`."""
    return values(values, values.dtype), _changes(lambda builder, old, new: new, lambda sig: 0)


def _place_of_standardized(sig):
    return sig.args[0].instance_class.standardized_state


def _add_to_standardized(cell, values, number):
    """Return the states with `number` added to the one that is standardized."""
    place = cell.standardized_state
    return (*values[:place], values[place] + number, *values[place + 1 :])


@primitive(_add_to_standardized)
def add_to_standardized(typingctx, cell, values, number):
    """Type and lower `_add_to_standardized`."""
    add = _changes(lambda builder, old, new: builder.fadd(old, new), _place_of_standardized)
    return values(cell, values, values.dtype), add


def _standardized_of(cell, values):
    """Return the state that is standardized."""
    return values[cell.standardized_state]


@primitive(_standardized_of)
def standardized_of(typingctx, cell, values):
    """Type and lower `_standardized_of`."""

    def lower(context, builder, sig, args):
        return builder.extract_value(args[1], _place_of_standardized(sig))

    return values.dtype(cell, values), lower


# ------------------------------------------------------------------------------------- all numbers of some slots


def _filled(values, number):
    """Return a tuple as long as another one, of one number."""
    return (number,) * len(values)


@primitive(_filled)
def filled(typingctx, values, number):
    """Type and lower `_filled`."""

    def lower(context, builder, sig, args):
        return context.make_tuple(builder, values, [args[1]] * len(values))

    return values(values, values.dtype), lower


def _total(values):
    """Return the sum of a tuple that is not empty."""
    return functools.reduce(operator.add, values)


@primitive(_total)
def total(typingctx, values):
    """Type and lower `_total`."""

    def lower(context, builder, sig, args):
        return functools.reduce(builder.fadd, cgutils.unpack_tuple(builder, args[0]))

    return values.dtype(values), lower


def _picks(name):
    """Return a function that returns the values of those slots which a cell declares as `name`."""

    def python(cell, values):
        """Return the values of some slots."""
        return tuple(values[slot] for slot in getattr(cell, name))

    def define(typingctx, cell, values):
        slots = getattr(cell.instance_class, name)
        result = tuple_of(values.dtype, len(slots))

        def lower(context, builder, sig, args):
            return context.make_tuple(builder, result, [builder.extract_value(args[1], slot) for slot in slots])

        return result(cell, values), lower

    return primitive(python)(define)


def _replaces(name):
    """Return a function that replaces the values of those slots which a cell declares as `name`."""

    def python(cell, values, others):
        """Return the values of all slots with others for some."""
        found = dict(zip(getattr(cell, name), others, strict=True))
        return tuple(found.get(slot, value) for slot, value in enumerate(values))

    def define(typingctx, cell, values, others):
        def lower(context, builder, sig, args):
            parts, new = cgutils.unpack_tuple(builder, args[1]), cgutils.unpack_tuple(builder, args[2])
            for slot, value in zip(getattr(cell.instance_class, name), new, strict=True):
                parts[slot] = value
            return context.make_tuple(builder, values, parts)

        return values(cell, values, others), lower

    return primitive(python)(define)


pick_input, pick_recurrent = _picks("input_slots"), _picks("recurrent_slots")
replace_input, replace_recurrent = _replaces("input_slots"), _replaces("recurrent_slots")


def _numbers(name):
    """Return a function of a cell that returns the numbers of the slots which it declares as `name`."""

    def python(cell):
        """Return the numbers of some slots."""
        return getattr(cell, name)

    def define(typingctx, cell):
        slots = getattr(cell.instance_class, name)
        result = tuple_of(types.int64, len(slots))

        def lower(context, builder, sig, args):
            return context.make_tuple(builder, result, [ir.Constant(ir.IntType(64), slot) for slot in slots])

        return result(cell), lower

    return primitive(python)(define)


recurrent_slots, gated_slots = _numbers("recurrent_slots"), _numbers("gated_slots")
