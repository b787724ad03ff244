"""The time loop in one launch for cells with a gated product: a gate is applied to h before W_hh multiplies it.

As in `fastrnn.cuda.persistent_kernels`, but a step has two products and two barriers. The first half of the exchange
buffer is for the recurrent product, the second one for the gated product. What one half holds has been read by all when
the barrier behind the other one's product is passed, so that neither is needed twice.
"""

from numba import cuda, float32

from fastrnn.cells._cell import gate_state, gate_state_backward
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.fragments import (
    DEPTH,
    add_gated_sums,
    add_recurrent_sums,
    items_of,
    load_weights,
    multiply,
    place_of,
    put,
    put_gated,
    store_sums,
    units_of,
)
from fastrnn.cuda.persistent_kernels import (
    MOST_THREADS,
    add_products,
    finish_step,
    hand_on_gradients,
    masked_gradient,
    meet,
    own_pair,
    step_backward,
    step_rows,
    sum_of_products,
)
from fastrnn.cuda.unit_values import (
    add_many,
    add_to_first,
    gated_slots,
    load_slots,
    load_states,
    recurrent_slots,
    store_many,
)

# ------------------------------------------------------------------------------------------------------- forward


@device_function
def _gate(cell, memory, mask, z, state, tiling, buffer, place, where, hidden):
    """Apply the gates of a unit of a sequence, and hand on the gated state."""
    # mask (B, H) or None
    sequence, row, unit = where
    slots, operand = gate_state(cell, z, state)
    store_many(memory.gates, row * memory.gates.shape[1] + unit, hidden, slots)
    operand = masked_gradient(mask, operand, sequence, unit)
    memory.gated[row, unit] = operand
    put(tiling, buffer, place, operand)


@kernel(launch_bounds=MOST_THREADS)
def gated_forward_steps(memory, weights, masks, exchange, cell, tiling, gated_tiling, sizes, keep):
    """Run all steps of the groups' sequences, from the initial states on."""
    shared = cuda.shared.array(0, float32)
    group, thread, hidden = cuda.blockIdx.y, cuda.threadIdx.x, sizes.hidden
    units, items, buffer = units_of(tiling, sizes.units), items_of(tiling, sizes.items), exchange.buffer
    first, first_unit, strides = group * sizes.sequences, cuda.blockIdx.x * units, (hidden, hidden * hidden, 1)
    width, plane, size = memory.gates.shape[1], memory.states.shape[1] * hidden, sizes.columns * sizes.tiles * DEPTH
    source, gated = group * size, (cuda.gridDim.y + group) * size  # of h, and of the gated state
    if tiling is not None:
        fragments = load_weights(tiling, weights.recurrent, thread, first_unit, strides, hidden, hidden)
        gated_fragments = load_weights(gated_tiling, weights.gated, thread, first_unit, strides, hidden, hidden)
    for t in range(exchange.steps[group]):
        step_row, before, running = step_rows(exchange.offsets, sizes.batch, t)
        alive = min(running - first, sizes.sequences)
        for begin in range(0, alive * units, items):
            n, unit, sequence, j = own_pair(begin, units, first_unit, first, alive, hidden)
            row = step_row + sequence
            z = load_slots(cell, memory.gates, row * width + j, hidden)
            state = load_states(cell, memory.states, (before + sequence) * hidden + j, plane)
            if tiling is not None:
                columns = source + begin // units * sizes.tiles * DEPTH
                store_sums(tiling, multiply(tiling, fragments, buffer, columns, thread), shared, thread)
            cuda.syncthreads()  # idle threads have read what others overwrite
            if thread < items and n < alive and unit < hidden:
                if tiling is None:
                    slots = recurrent_slots(cell)
                    add_products(slots, memory.gates, row, unit, weights.recurrent, buffer, source, n, sizes)
                    z = load_slots(cell, memory.gates, row * width + j, hidden)
                else:
                    z = add_recurrent_sums(tiling, cell, z, shared, unit - first_unit, n - begin // units)
                place, where = gated + place_of(sizes.tiles, n, unit), (sequence, row, unit)
                _gate(cell, memory, masks.recurrent, z, state, tiling, buffer, place, where, hidden)
            cuda.syncthreads()  # before others write their sums
        meet(weights.gated, exchange.delays, exchange.counters, group, 2 * t)
        for begin in range(0, alive * units, items):
            n, unit, sequence, j = own_pair(begin, units, first_unit, first, alive, hidden)
            row = step_row + sequence
            z = load_slots(cell, memory.gates, row * width + j, hidden)
            state = load_states(cell, memory.states, (before + sequence) * hidden + j, plane)
            if tiling is not None:
                columns = gated + begin // units * sizes.tiles * DEPTH
                sums = multiply(gated_tiling, gated_fragments, buffer, columns, thread)
                store_sums(gated_tiling, sums, shared, thread)
            cuda.syncthreads()  # idle threads have read what others overwrite
            if thread < items and n < alive and unit < hidden:
                if tiling is None:
                    slots = gated_slots(cell)
                    add_products(slots, memory.gates, row, unit, weights.gated, buffer, gated, n, sizes)
                    z = load_slots(cell, memory.gates, row * width + j, hidden)
                else:
                    z = add_gated_sums(gated_tiling, cell, z, shared, unit - first_unit, n - begin // units)
                place, where = source + place_of(sizes.tiles, n, unit), (sequence, row, unit)
                finish_step(cell, memory, weights, masks, z, state, tiling, exchange, place, where, sizes, keep)
            cuda.syncthreads()  # before others write their sums
        if t + 1 < exchange.steps[group]:
            meet(weights.gated, exchange.delays, exchange.counters, group, 2 * t + 1)


# ------------------------------------------------------------------------------------------------------ backward


@device_function
def _ungate(cell, gradients, memory, weights, masks, dz, state, d_operand, tiling, buffer, place, where, sizes):
    """Propagate the gradient of the gated state of a unit to its gates and its states, and hand on those of the gates.

    The gates' pre-activations get the gradients that backward leaves in memory.
    """
    sequence, row, unit = where
    hidden = sizes.hidden
    d_operand = masked_gradient(masks.recurrent, d_operand, sequence, unit)
    dz, d_state = gate_state_backward(cell, dz, state, d_operand)
    store_many(memory.gates, row * memory.gates.shape[1] + unit, hidden, dz)
    add_many(gradients.states, sequence * hidden + unit, sizes.batch * hidden, d_state)
    hand_on_gradients(weights.recurrent, cell, tiling, buffer, place, unit, hidden, dz)


@kernel(launch_bounds=MOST_THREADS)
def gated_backward_steps(gradients, memory, weights, masks, exchange, cell, tiling, gated_tiling, sizes):
    """Run all steps in reverse, from the gradients of the final states to those of the initial ones."""
    shared = cuda.shared.array(0, float32)
    group, thread, hidden, steps = cuda.blockIdx.y, cuda.threadIdx.x, sizes.hidden, exchange.steps[cuda.blockIdx.y]
    units, items, buffer = units_of(tiling, sizes.units), items_of(tiling, sizes.items), exchange.buffer
    first, first_unit, strides = group * sizes.sequences, cuda.blockIdx.x * units, (1, 0, hidden)
    width, plane, size = memory.gates.shape[1], memory.states.shape[1] * hidden, sizes.columns * sizes.tiles * DEPTH
    source, gated = group * size, (cuda.gridDim.y + group) * size  # of gradients of the recurrent and the gated slots
    if tiling is not None:
        rows, gated_rows = len(weights.recurrent), len(weights.gated)
        fragments = load_weights(tiling, weights.recurrent, thread, first_unit, strides, hidden, rows)
        gated_fragments = load_weights(gated_tiling, weights.gated, thread, first_unit, strides, hidden, gated_rows)
    for s in range(steps + 1 if steps > 0 else 0):  # after the steps, one more product for the initial h
        step_row, before, running = step_rows(exchange.offsets, sizes.batch, max(steps - 1 - s, 0))
        alive = min(running - first, sizes.sequences)
        for begin in range(0, alive * units, items):
            n, unit, sequence, j = own_pair(begin, units, first_unit, first, alive, hidden)
            row = step_row + sequence
            saved = load_slots(cell, memory.gates, row * width + j, hidden)
            state = load_states(cell, memory.states, (before + sequence) * hidden + j, plane)
            d_new = load_states(cell, gradients.states, sequence * hidden + j, sizes.batch * hidden)
            dy = gradients.output[row, j]
            if tiling is not None:
                columns = source + begin // units * sizes.tiles * DEPTH
                store_sums(tiling, multiply(tiling, fragments, buffer, columns, thread), shared, thread)
            cuda.syncthreads()  # idle threads have read what others overwrite
            if thread < items and n < alive and unit < hidden:
                dh = sum_of_products(tiling, weights.recurrent, buffer, source, n, unit, shared, unit - first_unit,
                                     n - begin // units, sizes, dy)  # fmt: skip
                dh = masked_gradient(masks.recurrent, dh, sequence, unit)
                if s < steps:
                    d_new, where = add_to_first(d_new, dh + dy), (sequence, row, unit)
                    dz = step_backward(cell, gradients, memory, weights, masks, saved, state, d_new, where, sizes)
                    put_gated(cell, tiling, buffer, gated + place_of(sizes.tiles, n, 0), unit, hidden, dz)
                else:
                    gradients.states[0, sequence, unit] = d_new[0] + dh
            cuda.syncthreads()  # before others write their sums
        if s < steps:
            meet(weights.gated, exchange.delays, exchange.counters, group, 2 * s)
            for begin in range(0, alive * units, items):
                n, unit, sequence, j = own_pair(begin, units, first_unit, first, alive, hidden)
                row = step_row + sequence
                dz = load_slots(cell, memory.gates, row * width + j, hidden)
                state = load_states(cell, memory.states, (before + sequence) * hidden + j, plane)
                if tiling is not None:
                    columns = gated + begin // units * sizes.tiles * DEPTH
                    sums = multiply(gated_tiling, gated_fragments, buffer, columns, thread)
                    store_sums(gated_tiling, sums, shared, thread)
                cuda.syncthreads()  # idle threads have read what others overwrite
                if thread < items and n < alive and unit < hidden:
                    d = sum_of_products(gated_tiling, weights.gated, buffer, gated, n, unit, shared, unit - first_unit,
                                        n - begin // units, sizes, state[0])  # fmt: skip
                    place, where = source + place_of(sizes.tiles, n, 0), (sequence, row, unit)
                    _ungate(cell, gradients, memory, weights, masks, dz, state, d, tiling, buffer, place, where, sizes)
                cuda.syncthreads()  # before others write their sums
            meet(weights.gated, exchange.delays, exchange.counters, group, 2 * s + 1)
