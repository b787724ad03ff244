"""How compiled drivers call a cell: by the class of their `cell` argument.

A cell is a NamedTuple class without fields. Its class is part of a kernel's signature, so that a driver compiled for it
inlines its equations and is found again in the disk cache.
"""

import functools

import numba
from numba.core import types
from numba.core.extending import overload

from fastrnn.simd import emit_load_many, load, primitive, vector_of


def forward(cell, z, state):
    """Call the cell's forward step: (new state, what backward needs) from pre-activations and state, all tuples."""
    return cell.forward(z, state)


def backward(cell, saved, state, new_state, d_new_state):
    """Call the cell's backward step: gradients of the pre-activations, and of the state before."""
    return cell.backward(saved, state, new_state, d_new_state)


@functools.cache
def _compiled(step):
    return numba.njit(forceinline=True, error_model="numpy", fastmath={"contract"})(step)


@overload(forward)
def _forward(cell, z, state):
    step = _compiled(cell.instance_class.forward)
    return lambda cell, z, state: step(z, state)


@overload(backward)
def _backward(cell, saved, state, new_state, d_new_state):
    step = _compiled(cell.instance_class.backward)
    return lambda cell, saved, state, new_state, d_new_state: step(saved, state, new_state, d_new_state)


def _load_counted(attribute):
    """Build the lowering of a load of as many vectors as the cell has of `attribute`."""

    def define(typingctx, cell, array, offset, stride):
        count = len(getattr(cell.instance_class, attribute))
        result = types.UniTuple(vector_of(array), count)

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


load_slots = primitive(_load_slots)(_load_counted("slots"))
load_states = primitive(_load_states)(_load_counted("states"))
