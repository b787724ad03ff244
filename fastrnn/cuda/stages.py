"""The kernels of a step of the time loop: the cell's equations, and what some cells and layers have besides.

`fastrnn.kernels.stages` lists the stages in their order. All that lies between two matrix products is one kernel here.
Kernels that need a row's sums have a block for a row (`normalized_step`); the others have a thread for a unit of a
sequence. An argument that is None belongs to a stage that the cell or the layer does not have. Arrays are those of
`fastrnn.cuda.recurrent_memory`; a step is given by

- ``row``: its first packed row,
- ``count``: how many sequences it has,
- ``before``: the first row of the states before it.
"""

import math
from typing import NamedTuple

from numba import cuda

from fastrnn.cells._cell import backward, forward, gate_state, gate_state_backward, output, output_backward
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.reductions import block_sum
from fastrnn.cuda.unit_values import add_many, load_slots, load_states, load_units, store_many
from fastrnn.kernels.stages import EPSILON


class NormalizedLayout(NamedTuple):
    """Where a row of gates has the pre-activations that are standardized, and which state is; -1 for none."""

    input_begin: int  # first column of the input's part
    input_end: int
    recurrent_begin: int
    recurrent_end: int
    standardized: int


# ---------------------------------------------------------------------------------- the values of unit j in some row


@device_function
def _load_slots(cell, gates, row, j, hidden):
    return load_slots(cell, gates, row * gates.shape[1] + j, hidden)


@device_function
def _load_states(cell, states, row, j):
    return load_states(cell, states, row * states.shape[2] + j, states.shape[1] * states.shape[2])


@device_function
def _store_slots(gates, row, j, hidden, values):
    store_many(gates, row * gates.shape[1] + j, hidden, values)


@device_function
def _store_states(states, row, j, values):
    store_many(states, row * states.shape[2] + j, states.shape[1] * states.shape[2], values)


@device_function
def _add_states(states, row, j, values):
    add_many(states, row * states.shape[2] + j, states.shape[1] * states.shape[2], values)


@device_function
def _add_units(d_units, b, j, values):
    # d_units (B, unit parameters, H), or None if there are none
    if d_units is not None:
        add_many(d_units, b * d_units.shape[1] * d_units.shape[2] + j, d_units.shape[2], values)


# ------------------------------------------------------------------------------------------------------- forward


@kernel
def gate_states(gates, gated, states, cell, mask, row, count, before):
    """Apply the gates to the states before a step, for the gated product."""
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    hidden = states.shape[2]
    for b in range(y, count, height):
        for j in range(x, hidden, width):
            state = _load_states(cell, states, before + b, j)
            slots, operand = gate_state(cell, _load_slots(cell, gates, row + b, j, hidden), state)
            _store_slots(gates, row + b, j, hidden, slots)
            if mask is not None:
                operand = operand * mask[b, j]
            gated[row + b, j] = operand


@kernel
def cell_step(gates, states, masked, raw, cell, units, mask, update, keep, row, count, before):
    """Apply the cell to the pre-activations of a step, and the regularizers to its states.

    Unless `keep` is 0, gates become what backward needs.
    """
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    hidden, first = states.shape[2], states.shape[1] - gates.shape[0]
    for b in range(y, count, height):
        for j in range(x, hidden, width):
            z, state = _load_slots(cell, gates, row + b, j, hidden), _load_states(cell, states, before + b, j)
            new_state, saved = forward(cell, z, state, load_units(cell, units, j, hidden))
            if keep:
                _store_slots(gates, row + b, j, hidden, saved)
            _store_states(states, first + row + b, j, new_state)
            _finish_unit(states, masked, raw, mask, update, b, j, row + b, before + b, first + row + b)


@device_function
def _finish_unit(states, masked, raw, mask, update, b, j, row, before, after):
    """Apply zoneout to a unit's new states, and write h under its mask.

    With a projection, h moves to `raw`, and `finish_projection` does this for the projected one.
    """
    start = 0
    if raw is not None:
        raw[row, j] = states[0, after, j]
        start = 1
    if update is not None:
        for k in range(start, states.shape[0]):
            _keep_a_part(update, states, k, row, before, after, j)
    if raw is None:
        _write_masked(masked, states, mask, b, j, after)


@device_function
def _keep_a_part(update, states, k, row, before, after, j):
    """Let a state keep a part of its old value: s = old + update · (new − old)."""
    old = states[k, before, j]
    share = update[k, min(row, update.shape[1] - 1), j]
    states[k, after, j] = old + share * (states[k, after, j] - old)


@device_function
def _write_masked(masked, states, mask, b, j, after):
    if masked is not None:
        masked[after, j] = states[0, after, j] * mask[b, j]


@kernel
def finish_projection(states, masked, mask, update, size, rows, row, count, before):
    """Apply zoneout to the projected h, and write it under its mask."""
    # size: P; rows: R
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    first = states.shape[1] - rows
    for b in range(y, count, height):
        for j in range(x, size, width):
            if update is not None:
                _keep_a_part(update, states, 0, row + b, before + b, first + row + b, j)
            _write_masked(masked, states, mask, b, j, first + row + b)


@kernel
def mask_states(masked, states, mask):
    """Write the initial h under its mask."""
    # mask (B, P)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for b in range(y, mask.shape[0], height):
        for j in range(x, mask.shape[1], width):
            masked[b, j] = states[0, b, j] * mask[b, j]


# ------------------------------------------------------------------------- forward, with sums over the units of a row


@device_function
def _standardize(values, row, begin, end, hidden, shared):
    """Standardize the columns `begin` to `end` of a row, and return 1 / standard deviation, to all threads.

    A thread computes the columns of its own units.
    """
    # values (rows, ·), shared (threads,)
    number = values.dtype.type
    total = number(0)
    for j in range(begin + cuda.threadIdx.x, begin + hidden, cuda.blockDim.x):
        for column in range(j, end, hidden):
            total += values[row, column]
    count = number(end - begin)
    mean = block_sum(total, shared) / count
    total = number(0)
    for j in range(begin + cuda.threadIdx.x, begin + hidden, cuda.blockDim.x):
        for column in range(j, end, hidden):
            deviation = values[row, column] - mean
            total += deviation * deviation
    scale = number(1) / math.sqrt(block_sum(total, shared) / count + number(EPSILON))
    for j in range(begin + cuda.threadIdx.x, begin + hidden, cuda.blockDim.x):
        for column in range(j, end, hidden):
            values[row, column] = (values[row, column] - mean) * scale
    return scale


@kernel
def standardize_inputs(gates, scales, layout, hidden, row, count):
    """Standardize the input's part of the pre-activations of some rows."""
    # layout: `NormalizedLayout`
    shared = cuda.shared.array(0, gates.dtype)
    for b in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        scale = _standardize(gates, row + b, layout.input_begin, layout.input_end, hidden, shared)
        if cuda.threadIdx.x == 0:
            scales[row + b, 0] = scale


@kernel
def normalized_step(
    gates, states, masked, raw, standardized, scales, cell, units, mask, update, layout, row, count, before
):
    """Do what `cell_step` does, with standardized recurrent pre-activations and a standardized new state."""
    # layout: `NormalizedLayout`
    shared = cuda.shared.array(0, gates.dtype)
    hidden, first = states.shape[2], states.shape[1] - gates.shape[0]
    for b in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        after = first + row + b
        begin, end = layout.recurrent_begin, layout.recurrent_end
        if begin < end:
            scale = _standardize(gates, row + b, begin, end, hidden, shared)
            if cuda.threadIdx.x == 0:
                scales[row + b, 1] = scale
        for j in range(cuda.threadIdx.x, hidden, cuda.blockDim.x):
            z, state = _load_slots(cell, gates, row + b, j, hidden), _load_states(cell, states, before + b, j)
            new_state, saved = forward(cell, z, state, load_units(cell, units, j, hidden))
            _store_slots(gates, row + b, j, hidden, saved)
            _store_states(states, after, j, new_state)
            if standardized is not None:
                standardized[row + b, j] = states[layout.standardized, after, j]
        if standardized is not None:
            scale = _standardize(standardized, row + b, 0, hidden, hidden, shared)
            if cuda.threadIdx.x == 0:
                scales[row + b, 2] = scale
            for j in range(cuda.threadIdx.x, hidden, cuda.blockDim.x):
                z = _load_slots(cell, gates, row + b, j, hidden)
                states[0, after, j] = output(cell, z, standardized[row + b, j], load_units(cell, units, j, hidden))
        for j in range(cuda.threadIdx.x, hidden, cuda.blockDim.x):
            _finish_unit(states, masked, raw, mask, update, b, j, row + b, before + b, after)


# ------------------------------------------------------------------------------------------------------ backward

# `waiting` sequences have a gradient in `d_masked`: that of h under its mask, by the step after this one.


@device_function
def _gradient_of_h(d_states, d_output, d_masked, mask, b, j, row, waiting):
    """Return the gradient of h: through the states after it, the output and the masked recurrent product."""
    dh = d_states[0, b, j] + d_output[row, j]
    if d_masked is not None and b < waiting:
        dh += d_masked[b, j] * mask[b, j]
    return dh


@kernel
def projection_backward(d_output, d_states, d_masked, mask, update, size, row, count, waiting):
    """Collect the gradient of the projected h in `d_output`, and leave in `d_states` what zoneout carries past it."""
    # size: P
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for b in range(y, count, height):
        for j in range(x, size, width):
            dh = _gradient_of_h(d_states, d_output, d_masked, mask, b, j, row + b, waiting)
            d_output[row + b, j] = dh
            d_states[0, b, j] = d_states.dtype.type(0)
            if update is not None:
                d_output[row + b, j] = dh * update[0, row + b, j]
                d_states[0, b, j] = dh - d_output[row + b, j]


@device_function
def _collect(d_states, d_raw, d_output, d_masked, carried, mask, update, b, j, row, waiting):
    """Put the gradients of a unit's new states, of the values before zoneout, into `d_states`.

    The gradient of an h that is projected is in `d_raw`; h's place in `d_states` then has the carried gradient.
    """
    start = 1
    if d_raw is None:
        d_states[0, b, j] = _gradient_of_h(d_states, d_output, d_masked, mask, b, j, row, waiting)
        start = 0
    if update is not None:
        for k in range(start, d_states.shape[0]):
            d = d_states[k, b, j]
            share = d * update[k, row, j]
            carried[k, b, j] = d - share
            d_states[k, b, j] = share


@device_function
def _load_gradients(cell, d_states, d_raw, b, j):
    """Return the gradients of a unit's new states."""
    d_new_state = _load_states(cell, d_states, b, j)
    if d_raw is not None:
        d_new_state = (d_raw[b, j],) + d_new_state[1:]  # noqa: RUF005, the form that Numba compiles
    return d_new_state


@device_function
def _store_gradients(d_states, d_raw, carried, update, b, j, d_state):
    """Write the gradients of a unit's states before the step, with what zoneout carried past it."""
    start = 0
    if d_raw is not None:
        start = 1
    kept = d_states[0, b, j]
    _store_states(d_states, b, j, d_state)
    if d_raw is not None:
        d_states[0, b, j] = kept  # a projected h acts through the recurrent product only
    if update is not None:
        for k in range(start, d_states.shape[0]):
            d_states[k, b, j] += carried[k, b, j]


@kernel
def cell_step_backward(
    gates, states, d_states, d_units, d_output, d_raw, d_masked, carried, cell, units, mask, update, row, count, before,
    waiting,
):  # fmt: skip
    """Replace what forward kept of a step by gradients of the pre-activations; `d_states` goes to the states before."""
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    hidden = states.shape[2]
    for b in range(y, count, height):
        for j in range(x, hidden, width):
            _collect(d_states, d_raw, d_output, d_masked, carried, mask, update, b, j, row + b, waiting)
            saved, state = _load_slots(cell, gates, row + b, j, hidden), _load_states(cell, states, before + b, j)
            d_new_state = _load_gradients(cell, d_states, d_raw, b, j)
            dz, d_state, d_unit = backward(
                cell, saved, state, load_units(cell, units, j, hidden), d_new_state, state[0]
            )
            _store_slots(gates, row + b, j, hidden, dz)
            _store_gradients(d_states, d_raw, carried, update, b, j, d_state)
            _add_units(d_units, b, j, d_unit)


@kernel
def gate_states_backward(d_gated, gates, states, d_states, cell, mask, row, count, before):
    """Propagate the gradients of the gated states to the gates and to the states before the step."""
    # d_gated (B, H)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    hidden = states.shape[2]
    for b in range(y, count, height):
        for j in range(x, hidden, width):
            d_operand = d_gated[b, j]
            if mask is not None:
                d_operand = d_operand * mask[b, j]
            dz, state = _load_slots(cell, gates, row + b, j, hidden), _load_states(cell, states, before + b, j)
            dz, d_state = gate_state_backward(cell, dz, state, d_operand)
            _store_slots(gates, row + b, j, hidden, dz)
            _add_states(d_states, b, j, d_state)


@kernel
def mask_gradients(d_states, d_masked, mask, count):
    """Add to the gradient of the initial h its part through the masked recurrent product."""
    # d_masked, mask (B, P)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for b in range(y, count, height):
        for j in range(x, mask.shape[1], width):
            d_states[0, b, j] += d_masked[b, j] * mask[b, j]


# ------------------------------------------------------------------------ backward, with sums over the units of a row


@device_function
def _standardize_backward(out, row, d_values, b, begin, end, hidden, scale, shared):
    """Replace a standardized row by the gradient of the row, of which `d_values` has that of the standardized one."""
    # out (R, ·) with the standardized row, d_values (B, ·), shared (threads,)
    number = out.dtype.type
    total, product = number(0), number(0)
    for j in range(begin + cuda.threadIdx.x, begin + hidden, cuda.blockDim.x):
        for column in range(j, end, hidden):
            total += d_values[b, column]
            product += d_values[b, column] * out[row, column]
    count = number(end - begin)
    mean, slope = block_sum(total, shared) / count, block_sum(product, shared) / count
    for j in range(begin + cuda.threadIdx.x, begin + hidden, cuda.blockDim.x):
        for column in range(j, end, hidden):
            out[row, column] = (d_values[b, column] - mean - out[row, column] * slope) * scale


@device_function
def _add_through_standardization(d_states, d_values, standardized, number, b, row, scale, shared):
    """Add to the gradient of a new state its part through the standardization."""
    # d_values (B, H or more), gradient of the standardized state, standardized (R, H), shared (threads,)
    hidden, type_ = standardized.shape[1], standardized.dtype.type
    total, product = type_(0), type_(0)
    for j in range(cuda.threadIdx.x, hidden, cuda.blockDim.x):
        total += d_values[b, j]
        product += d_values[b, j] * standardized[row, j]
    mean, slope = block_sum(total, shared) / type_(hidden), block_sum(product, shared) / type_(hidden)
    for j in range(cuda.threadIdx.x, hidden, cuda.blockDim.x):
        d_states[number, b, j] += (d_values[b, j] - mean - standardized[row, j] * slope) * scale


@kernel
def normalized_step_backward(
    gates, states, standardized, scales, d_states, d_units, d_output, d_raw, d_masked, carried, d_row, cell, units,
    mask, update, layout, row, count, before, waiting,
):  # fmt: skip
    """Do what `cell_step_backward` does, back through the standardizations too."""
    # d_row (B, S · H), layout: `NormalizedLayout`
    shared = cuda.shared.array(0, gates.dtype)
    hidden = states.shape[2]
    for b in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        for j in range(cuda.threadIdx.x, hidden, cuda.blockDim.x):
            _collect(d_states, d_raw, d_output, d_masked, carried, mask, update, b, j, row + b, waiting)
        if standardized is not None:
            for j in range(cuda.threadIdx.x, hidden, cuda.blockDim.x):
                z, parameters = _load_slots(cell, gates, row + b, j, hidden), load_units(cell, units, j, hidden)
                dh = _load_gradients(cell, d_states, d_raw, b, j)[0]
                d_row[b, j] = output_backward(cell, z, standardized[row + b, j], parameters, dh)
            _add_through_standardization(
                d_states, d_row, standardized, layout.standardized, b, row + b, scales[row + b, 2], shared
            )
        for j in range(cuda.threadIdx.x, hidden, cuda.blockDim.x):
            saved, state = _load_slots(cell, gates, row + b, j, hidden), _load_states(cell, states, before + b, j)
            d_new_state, extra = _load_gradients(cell, d_states, d_raw, b, j), state[0]
            if standardized is not None:
                extra = standardized[row + b, j]
            dz, d_state, d_unit = backward(cell, saved, state, load_units(cell, units, j, hidden), d_new_state, extra)
            _store_slots(d_row, b, j, hidden, dz)
            _store_gradients(d_states, d_raw, carried, update, b, j, d_state)
            _add_units(d_units, b, j, d_unit)
        begin, end = layout.input_begin, layout.input_end
        _standardize_backward(gates, row + b, d_row, b, begin, end, hidden, scales[row + b, 0], shared)
        begin, end = layout.recurrent_begin, layout.recurrent_end
        if begin < end:
            _standardize_backward(gates, row + b, d_row, b, begin, end, hidden, scales[row + b, 1], shared)
