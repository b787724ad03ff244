"""How compiled drivers call a cell: the class of their `cell` argument selects its functions.

A cell is a NamedTuple class without fields. Its class is part of a kernel's signature: a driver compiled for it
inlines its equations, and the disk cache finds it again.
"""

import functools

from numba.core import types
from numba.core.extending import overload

from fastrnn._jit import kernel
from fastrnn.simd import emit_load_many, load, primitive, vector_of

# Declarations that a cell may leave out, see `fastrnn.cells`.
DEFAULTS = {"parameters": (), "gated_slots": (), "normalized": False, "standardized_state": None, "initializers": {}}
# Declarations for planned stages: steps of an input window, slots that receive x itself, parameters of a decay, blocks
# of a block-diagonal W_hh. `fastrnn.kernels.stages` says where each stage goes.
PLANNED = {"window": 1, "skip_slots": (), "decays": (), "heads": 1}


def declared(cell, name):
    """Return the declaration `name` of a cell or its class, or its default."""
    return getattr(cell, name) if name not in DEFAULTS else getattr(cell, name, DEFAULTS[name])


def check_stages(cell):
    """Refuse a cell that declares a stage which the recurrence does not have yet."""
    for name, default in PLANNED.items():
        if getattr(cell, name, default) != default:
            raise NotImplementedError(
                f"cell must not declare {name}, a stage that is planned only, got {getattr(cell, name)!r}."
            )


def count_units(cell):
    """Return the number of parameters of each hidden unit."""
    return sum(vectors for _, vectors in declared(cell, "parameters"))


@functools.cache
def slot_blocks(slots):
    """Return the blocks of neighbouring gates with neighbouring slots: (first slot, end, first gate) for each."""
    blocks = []
    for gate, slot in enumerate(slots):
        if blocks and blocks[-1][1] == slot:
            blocks[-1] = (blocks[-1][0], slot + 1, blocks[-1][2])
        else:
            blocks.append((slot, slot + 1, gate))
    return tuple(blocks)


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


def gate_state(cell, z, state):
    """Call the step before the gated product: (slots, gated state)."""
    return cell.gate_state(z, state)


def gate_state_backward(cell, dz, state, d_gated):
    """Call the backward step of `gate_state`: (gradients of the slots, of the state before)."""
    return cell.gate_state_backward(dz, state, d_gated)


def output(cell, z, standardized, units):
    """Call the step after the standardization of the new state: the output."""
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


@overload(gate_state)
def _gate_state(cell, z, state):
    step = _compiled(cell.instance_class.gate_state)
    return lambda cell, z, state: step(z, state)


@overload(gate_state_backward)
def _gate_state_backward(cell, dz, state, d_gated):
    step = _compiled(cell.instance_class.gate_state_backward)
    return lambda cell, dz, state, d_gated: step(dz, state, d_gated)


@overload(output)
def _output(cell, z, standardized, units):
    step = _compiled(cell.instance_class.output)
    return lambda cell, z, standardized, units: step(z, standardized, units)


@overload(output_backward)
def _output_backward(cell, z, standardized, units, dh):
    step = _compiled(cell.instance_class.output_backward)
    return lambda cell, z, standardized, units, dh: step(z, standardized, units, dh)


def _load_counted(count_of):
    """Return the typing and lowering of a load of `count_of(cell)` vectors."""

    def define(typingctx, cell, array, offset, stride):
        count = count_of(cell.instance_class)
        result = types.UniTuple(vector_of(array), count) if count else types.Tuple(())

        def lower(context, builder, sig, args):
            return emit_load_many(context, builder, count, array, *args[1:])

        return result(cell, array, types.intp, types.intp), lower

    return define


def _load_slots(cell, array, offset, stride):
    """Return a vector for each slot of the cell, from element `offset` on, `stride` elements apart."""
    return tuple(load(array, offset + k * stride) for k in range(len(cell.slots)))


def _load_states(cell, array, offset, stride):
    """Return a vector for each state of the cell, from element `offset` on, `stride` elements apart."""
    return tuple(load(array, offset + k * stride) for k in range(len(cell.states)))


def _load_units(cell, array, offset, stride):
    """Return a vector for each unit parameter of the cell, from element `offset` on, `stride` elements apart."""
    return tuple(load(array, offset + k * stride) for k in range(count_units(cell)))


load_slots = primitive(_load_slots)(_load_counted(lambda cell: len(cell.slots)))
load_states = primitive(_load_states)(_load_counted(lambda cell: len(cell.states)))
load_units = primitive(_load_units)(_load_counted(count_units))
