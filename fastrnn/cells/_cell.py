"""How compiled drivers call a cell: by the class of their `cell` argument.

A cell is a NamedTuple class without fields. Its class is part of a kernel's signature, so that a driver compiled for it
inlines its equations and is found again in the disk cache.
"""

import functools

from numba.core import types
from numba.core.extending import overload

from fastrnn._jit import kernel
from fastrnn.simd import emit_load_many, load, primitive, vector_of

DEFAULTS = {"parameters": (), "late_slots": (), "normalized": False, "standardized_state": None, "initializers": {}}


def declared(cell, name):
    """Return what a cell (or its class) declares under `name`, or the default."""
    return getattr(cell, name) if name not in DEFAULTS else getattr(cell, name, DEFAULTS[name])


def count_units(cell):
    """Return how many parameters a cell has for each hidden unit."""
    return sum(vectors for _, vectors in declared(cell, "parameters"))


def forward(cell, z, state, units):
    """Call the cell's forward step: (new state, what backward needs)."""
    return cell.forward(z, state, units) if declared(cell, "parameters") else cell.forward(z, state)


def backward(cell, saved, state, units, d_new_state, standardized):
    """Call the cell's backward step: gradients of the pre-activations, of the state before, of the unit parameters."""
    if declared(cell, "standardized_state") is not None:
        return cell.backward(saved, state, units, d_new_state, standardized)
    if declared(cell, "parameters"):
        return cell.backward(saved, state, units, d_new_state)
    return (*cell.backward(saved, state, d_new_state), ())


def early(cell, z, state):
    """Call the stage before the late product: (slots, what the late product is taken of)."""
    return cell.early(z, state)


def early_backward(cell, dz, state, d_operand):
    """Call the backward step of `early`: (gradients of the slots, of the state before)."""
    return cell.early_backward(dz, state, d_operand)


def output(cell, z, standardized, units):
    """Call the stage behind the standardization of the new state: the output."""
    return cell.output(z, standardized, units)


def output_backward(cell, z, standardized, units, dh):
    """Call the backward step of `output` towards the standardized state."""
    return cell.output_backward(z, standardized, units, dh)


@functools.cache
def _compiled(step):
    return kernel(step, cache=False, forceinline=True)


@overload(forward)
def _forward(cell, z, state, units):
    step = _compiled(cell.instance_class.forward)
    if declared(cell.instance_class, "parameters"):
        return lambda cell, z, state, units: step(z, state, units)
    return lambda cell, z, state, units: step(z, state)


@overload(backward)
def _backward(cell, saved, state, units, d_new_state, standardized):
    step = _compiled(cell.instance_class.backward)
    if declared(cell.instance_class, "standardized_state") is not None:
        return lambda cell, saved, state, units, d_new_state, standardized: step(
            saved, state, units, d_new_state, standardized
        )
    if declared(cell.instance_class, "parameters"):
        return lambda cell, saved, state, units, d_new_state, standardized: step(saved, state, units, d_new_state)

    def without_units(cell, saved, state, units, d_new_state, standardized):
        dz, d_state = step(saved, state, d_new_state)
        return dz, d_state, ()

    return without_units


@overload(early)
def _early(cell, z, state):
    step = _compiled(cell.instance_class.early)
    return lambda cell, z, state: step(z, state)


@overload(early_backward)
def _early_backward(cell, dz, state, d_operand):
    step = _compiled(cell.instance_class.early_backward)
    return lambda cell, dz, state, d_operand: step(dz, state, d_operand)


@overload(output)
def _output(cell, z, standardized, units):
    step = _compiled(cell.instance_class.output)
    return lambda cell, z, standardized, units: step(z, standardized, units)


@overload(output_backward)
def _output_backward(cell, z, standardized, units, dh):
    step = _compiled(cell.instance_class.output_backward)
    return lambda cell, z, standardized, units, dh: step(z, standardized, units, dh)


def _load_counted(count_of):
    """Build the lowering of a load of `count_of(cell)` vectors."""

    def define(typingctx, cell, array, offset, stride):
        count = count_of(cell.instance_class)
        result = types.UniTuple(vector_of(array), count) if count else types.Tuple(())

        def lower(context, builder, sig, args):
            return emit_load_many(context, builder, count, array, *args[1:])

        return result(cell, array, types.intp, types.intp), lower

    return define


def _load_slots(cell, array, offset, stride):
    """Return a vector for each slot of the cell, `stride` elements apart, beginning at element `offset`."""
    return tuple(load(array, offset + k * stride) for k in range(len(cell.slots)))


def _load_states(cell, array, offset, stride):
    """Return a vector for each state of the cell, `stride` elements apart, beginning at element `offset`."""
    return tuple(load(array, offset + k * stride) for k in range(len(cell.states)))


def _load_units(cell, array, offset, stride):
    """Return a vector for each unit parameter of the cell, `stride` elements apart, beginning at element `offset`."""
    return tuple(load(array, offset + k * stride) for k in range(count_units(cell)))


load_slots = primitive(_load_slots)(_load_counted(lambda cell: len(cell.slots)))
load_states = primitive(_load_states)(_load_counted(lambda cell: len(cell.states)))
load_units = primitive(_load_units)(_load_counted(count_units))
