"""The time loop in one launch for cells with layer normalization.

As in `fastrnn.cuda.persistent_kernels`, but a row of recurrent pre-activations is standardized before the cell's
equations. Its units are those of all blocks of a group, which exchange statistics (`fastrnn.cuda.row_statistics`): one
more barrier a step, and another one if a state is standardized too. Backward exchanges sums in the same way.

A step reads the exchange buffer before its first barrier and writes it behind that: only the first half is used.
"""

from numba import cuda

from fastrnn.cells._cell import forward, output, output_backward
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.fragments import (
    DEPTH,
    add_recurrent_sums,
    items_of,
    load_weights,
    multiply,
    place_of,
    put_recurrent,
    store_sums,
    units_of,
)
from fastrnn.cuda.persistent_kernels import (
    MOST_THREADS,
    add_products,
    cell_backward,
    finish_states,
    finish_step,
    masked_gradient,
    meet,
    own_pair,
    split,
    step_rows,
    sum_of_products,
)
from fastrnn.cuda.row_statistics import (
    Step,
    pair_place,
    receive_moments,
    receive_sums,
    results,
    send_moments,
    send_sums,
)
from fastrnn.cuda.unit_values import (
    add_to_first,
    add_to_standardized,
    filled,
    load_slots,
    load_states,
    load_units,
    minus,
    pick_input,
    pick_recurrent,
    recurrent_slots,
    replace_input,
    replace_recurrent,
    standardized_of,
    store_many,
    times,
    total,
    with_first,
)


@device_function
def _put_sums(shared, statistics, k, where, d, standardized, step, sizes):
    """Keep two numbers of a unit and a sequence: the sums of gradients, and of their products with the values."""
    unit, n = where
    shared[pair_place(statistics, k, unit, n, step, sizes)] = total(d)
    shared[pair_place(statistics, k + 1, unit, n, step, sizes)] = total(times(d, standardized))


@device_function
def _barriers(standardized):
    """Return how many barriers a step has."""
    return 2 if standardized is None else 3


@device_function
def _own_step(exchange, tiling, sizes, t):
    """Return the block's part of step t."""
    first, units = cuda.blockIdx.y * sizes.sequences, units_of(tiling, sizes.units)
    row, before, running = step_rows(exchange.offsets, sizes.batch, t)
    alive, place = min(running - first, sizes.sequences), cuda.blockIdx.y * sizes.columns * sizes.tiles * DEPTH
    return Step(row, before, alive, first, cuda.blockIdx.x * units, units, items_of(tiling, sizes.items), place)


@device_function
def _own_pair(begin, step, sizes):
    """Return the unit and the sequence of the group of a thread, and whether both are there."""
    n, unit, _, _ = own_pair(begin, step.units, step.first_unit, step.first, step.alive, sizes.hidden)
    return n, unit, cuda.threadIdx.x < step.items and n < step.alive and unit < sizes.hidden


# ------------------------------------------------------------------------------------------------------- forward


@device_function
def _put_moments(cell, shared, statistics, z, unit, n, step, sizes):
    """Keep the mean and the sum of squared deviations of a unit's recurrent pre-activations."""
    number, values = shared.dtype.type, pick_recurrent(cell, z)
    mean = total(values) / number(len(recurrent_slots(cell)))
    deviations = minus(values, filled(values, mean))
    shared[pair_place(statistics, 0, unit - step.first_unit, n, step, sizes)] = mean
    shared[pair_place(statistics, 1, unit - step.first_unit, n, step, sizes)] = total(times(deviations, deviations))


@device_function
def _put_state(shared, statistics, value, unit, n, step, sizes):
    """Keep a unit's new state."""
    shared[pair_place(statistics, 0, unit - step.first_unit, n, step, sizes)] = value
    shared[pair_place(statistics, 1, unit - step.first_unit, n, step, sizes)] = value - value


@device_function
def _step_states(
    standardized, cell, memory, weights, masks, z, state, shared, exchange, tiling, where, n, step, sizes, keep
):
    """Run the cell for a unit of a sequence; its new states are the last ones if none is standardized."""
    # standardized (R, H) or None
    _, row, unit = where
    hidden = sizes.hidden
    if standardized is None:
        place = step.place + place_of(sizes.tiles, n, unit)
        finish_step(cell, memory, weights, masks, z, state, tiling, exchange, place, where, sizes, keep)
    else:
        new, saved = forward(cell, z, state, load_units(cell, weights.units, unit, hidden))
        store_many(memory.gates, row * memory.gates.shape[1] + unit, hidden, saved)
        store_many(memory.states, (sizes.batch + row) * hidden + unit, memory.states.shape[1] * hidden, new)
        _put_state(shared, exchange.statistics, standardized_of(cell, new), unit, n, step, sizes)


@device_function
def _cells(cell, memory, weights, masks, shared, exchange, tiling, step, sizes, keep):
    """Standardize the recurrent pre-activations of the block's pairs, and run the cell."""
    hidden, statistics = sizes.hidden, exchange.statistics
    for begin in range(0, step.alive * step.units, step.items):
        n, unit, is_there = _own_pair(begin, step, sizes)
        if is_there:
            row, sequence = step.row + step.first + n, step.first + n
            mean, scale = results(shared, statistics, 0, n, step, sizes)
            z = load_slots(cell, memory.gates, row * memory.gates.shape[1] + unit, hidden)
            values = pick_recurrent(cell, z)
            values = times(minus(values, filled(values, mean)), filled(values, scale))
            z = replace_recurrent(cell, z, values)
            store_many(memory.gates, row * memory.gates.shape[1] + unit, hidden, z)
            if unit == 0:
                memory.scales[row, 1] = scale
            place = (step.before + sequence) * hidden + unit
            state = load_states(cell, memory.states, place, memory.states.shape[1] * hidden)
            _step_states(memory.standardized, cell, memory, weights, masks, z, state, shared, exchange, tiling,
                         (sequence, row, unit), n, step, sizes, keep)  # fmt: skip


@device_function
def _finish_standardized(standardized, cell, memory, weights, masks, shared, exchange, tiling, step, sizes, barrier):
    """Standardize the new state, where a cell has one that is, and write the states behind the cell's output."""
    # standardized (R, H) or None
    if standardized is not None:
        hidden, statistics, plane = sizes.hidden, exchange.statistics, memory.states.shape[1] * sizes.hidden
        cuda.syncthreads()
        send_moments(shared, statistics, 1, 1, step, sizes)
        meet(weights.recurrent, exchange.delays, exchange.counters, cuda.blockIdx.y, barrier)
        receive_moments(shared, statistics, 1, 1, step, sizes)
        for begin in range(0, step.alive * step.units, step.items):
            n, unit, is_there = _own_pair(begin, step, sizes)
            if is_there:
                row, sequence = step.row + step.first + n, step.first + n
                mean, scale = results(shared, statistics, 0, n, step, sizes)
                z = load_slots(cell, memory.gates, row * memory.gates.shape[1] + unit, hidden)
                state = load_states(cell, memory.states, (step.before + sequence) * hidden + unit, plane)
                new = load_states(cell, memory.states, (sizes.batch + row) * hidden + unit, plane)
                value = (standardized_of(cell, new) - mean) * scale
                standardized[row, unit] = value
                if unit == 0:
                    memory.scales[row, 2] = scale
                new = with_first(new, output(cell, z, value, load_units(cell, weights.units, unit, hidden)))
                place, where = step.place + place_of(sizes.tiles, n, unit), (sequence, row, unit)
                finish_states(cell, memory, weights, masks, new, state, tiling, exchange, place, where, sizes)


@kernel(launch_bounds=MOST_THREADS)
def normalized_forward_steps(memory, weights, masks, exchange, cell, tiling, sizes, keep):
    """Run all steps of the groups' sequences, from the initial states on."""
    shared = cuda.shared.array(0, memory.gates.dtype)
    group, thread, hidden, statistics = cuda.blockIdx.y, cuda.threadIdx.x, sizes.hidden, exchange.statistics
    width, slots, barriers = memory.gates.shape[1], len(recurrent_slots(cell)), _barriers(memory.standardized)
    if tiling is not None:
        first_unit, strides = cuda.blockIdx.x * units_of(tiling, sizes.units), (hidden, hidden * hidden, 1)
        fragments = load_weights(tiling, weights.recurrent, thread, first_unit, strides, hidden, hidden)
    for t in range(exchange.steps[group]):
        step = _own_step(exchange, tiling, sizes, t)
        for begin in range(0, step.alive * step.units, step.items):
            n, unit, is_there = _own_pair(begin, step, sizes)
            row = step.row + step.first + min(n, step.alive - 1)  # of a pair that is there
            z = load_slots(cell, memory.gates, row * width + min(unit, hidden - 1), hidden)
            if tiling is not None:
                columns = step.place + begin // step.units * sizes.tiles * DEPTH
                store_sums(tiling, multiply(tiling, fragments, exchange.buffer, columns, thread), shared, thread)
            cuda.syncthreads()
            if is_there:
                if tiling is None:
                    add_products(recurrent_slots(cell), memory.gates, row, unit, weights.recurrent, exchange.buffer,
                                 step.place, n, sizes)  # fmt: skip
                    z = load_slots(cell, memory.gates, row * width + unit, hidden)
                else:
                    z = add_recurrent_sums(tiling, cell, z, shared, unit - step.first_unit, n - begin // step.units)
                    store_many(memory.gates, row * width + unit, hidden, z)
                _put_moments(cell, shared, statistics, z, unit, n, step, sizes)
            cuda.syncthreads()  # before others write their sums
        send_moments(shared, statistics, 0, slots, step, sizes)
        meet(weights.recurrent, exchange.delays, exchange.counters, group, barriers * t)
        receive_moments(shared, statistics, 0, slots, step, sizes)
        _cells(cell, memory, weights, masks, shared, exchange, tiling, step, sizes, keep)
        _finish_standardized(memory.standardized, cell, memory, weights, masks, shared, exchange, tiling, step, sizes,
                             barriers * t + 1)  # fmt: skip
        if t + 1 < exchange.steps[group]:
            meet(weights.recurrent, exchange.delays, exchange.counters, group, barriers * (t + 1) - 1)


# ------------------------------------------------------------------------------------------------------ backward


@device_function
def _through(d, standardized, mean, slope, scale):
    """Return the gradients of values from those of the standardized ones."""
    d = minus(minus(d, filled(d, mean)), times(standardized, filled(d, slope)))
    return times(d, filled(d, scale))


@device_function
def _step_gradients(
    cell, gradients, weights, masks, saved, state, d_new, carried, standardized, shared, statistics, where, n, step,
    sizes,
):  # fmt: skip
    """Run the cell's backward step for a unit of a sequence, and keep the slots' gradients and their sums."""
    sequence, _, unit = where
    dz = cell_backward(cell, gradients, weights, masks, saved, state, d_new, carried, standardized, where, sizes)
    store_many(statistics.rows, sequence * statistics.rows.shape[1] + unit, sizes.hidden, dz)
    pair = unit - step.first_unit, n
    _put_sums(shared, statistics, 0, pair, pick_input(cell, dz), pick_input(cell, saved), step, sizes)
    _put_sums(shared, statistics, 2, pair, pick_recurrent(cell, dz), pick_recurrent(cell, saved), step, sizes)


@device_function
def _first_gradients(
    standardized, cell, gradients, memory, weights, masks, saved, d_new, shared, statistics, where, n, step, sizes
):
    """Propagate the gradients of a unit's new states, those of a standardized state to this one only."""
    # standardized (R, H) or None
    sequence, row, unit = where
    hidden, place = sizes.hidden, (step.before + sequence) * sizes.hidden + unit
    share, carried = split(masks.update, cell, d_new, row, unit, hidden)
    if standardized is None:
        state = load_states(cell, memory.states, place, memory.states.shape[1] * hidden)
        _step_gradients(cell, gradients, weights, masks, saved, state, share, carried, share[0], shared, statistics,
                        where, n, step, sizes)  # fmt: skip
    else:
        value, parameters = standardized[row, unit], load_units(cell, weights.units, unit, hidden)
        d = output_backward(cell, saved, value, parameters, share[0])
        statistics.rows[sequence, unit] = d
        store_many(gradients.states, sequence * hidden + unit, sizes.batch * hidden, d_new)
        pair = unit - step.first_unit, n
        shared[pair_place(statistics, 0, pair[0], n, step, sizes)] = d
        shared[pair_place(statistics, 1, pair[0], n, step, sizes)] = d * value


@device_function
def _standardized_gradients(
    standardized, cell, gradients, memory, weights, masks, shared, exchange, step, sizes, barrier
):
    """Propagate the gradient of a standardized state, where a cell has one, and then run the cell's backward step."""
    # standardized (R, H) or None
    if standardized is not None:
        hidden, statistics, plane = sizes.hidden, exchange.statistics, memory.states.shape[1] * sizes.hidden
        send_sums(shared, statistics, 1, 2, step, sizes)
        meet(weights.recurrent, exchange.delays, exchange.counters, cuda.blockIdx.y, barrier)
        receive_sums(shared, statistics, 1, 2, 1, step, sizes)
        for begin in range(0, step.alive * step.units, step.items):
            n, unit, is_there = _own_pair(begin, step, sizes)
            if is_there:
                row, sequence = step.row + step.first + n, step.first + n
                mean, slope = results(shared, statistics, 0, n, step, sizes)
                saved = load_slots(cell, memory.gates, row * memory.gates.shape[1] + unit, hidden)
                state = load_states(cell, memory.states, (step.before + sequence) * hidden + unit, plane)
                d_new = load_states(cell, gradients.states, sequence * hidden + unit, sizes.batch * hidden)
                share, carried = split(masks.update, cell, d_new, row, unit, hidden)
                value = standardized[row, unit]
                d = (statistics.rows[sequence, unit] - mean - value * slope) * memory.scales[row, 2]
                share = add_to_standardized(cell, share, d)
                _step_gradients(cell, gradients, weights, masks, saved, state, share, carried, value, shared,
                                statistics, (sequence, row, unit), n, step, sizes)  # fmt: skip
        cuda.syncthreads()


@device_function
def _finish_gradients(cell, memory, shared, exchange, tiling, step, sizes):
    """Write the gradients of the pre-activations before their standardization, and hand on the recurrent ones."""
    hidden, statistics = sizes.hidden, exchange.statistics
    for begin in range(0, step.alive * step.units, step.items):
        n, unit, is_there = _own_pair(begin, step, sizes)
        if is_there:
            row, width = step.row + step.first + n, memory.gates.shape[1]
            saved = load_slots(cell, memory.gates, row * width + unit, hidden)
            d = load_slots(cell, statistics.rows, (step.first + n) * width + unit, hidden)
            mean, slope = results(shared, statistics, 0, n, step, sizes)
            own = _through(pick_input(cell, d), pick_input(cell, saved), mean, slope, memory.scales[row, 0])
            d = replace_input(cell, d, own)
            mean, slope = results(shared, statistics, 2, n, step, sizes)
            own = _through(pick_recurrent(cell, d), pick_recurrent(cell, saved), mean, slope, memory.scales[row, 1])
            d = replace_recurrent(cell, d, own)
            store_many(memory.gates, row * width + unit, hidden, d)
            put_recurrent(cell, tiling, exchange.buffer, step.place + place_of(sizes.tiles, n, 0), unit, hidden, d)


@kernel(launch_bounds=MOST_THREADS)
def normalized_backward_steps(gradients, memory, weights, masks, exchange, cell, tiling, sizes):
    """Run all steps in reverse, from the gradients of the final states to those of the initial ones."""
    shared = cuda.shared.array(0, memory.gates.dtype)
    group, thread, hidden, steps = cuda.blockIdx.y, cuda.threadIdx.x, sizes.hidden, exchange.steps[cuda.blockIdx.y]
    width, statistics, barriers = memory.gates.shape[1], exchange.statistics, _barriers(memory.standardized)
    if tiling is not None:
        depth, rows = weights.recurrent.shape
        first_unit = cuda.blockIdx.x * units_of(tiling, sizes.units)
        fragments = load_weights(tiling, weights.recurrent, thread, first_unit, (1, 0, rows), rows, depth)
    for s in range(steps + 1 if steps > 0 else 0):  # after the steps, one more product for the initial h
        step = _own_step(exchange, tiling, sizes, max(steps - 1 - s, 0))
        for begin in range(0, step.alive * step.units, step.items):
            n, unit, is_there = _own_pair(begin, step, sizes)
            sequence, j = step.first + min(n, step.alive - 1), min(unit, hidden - 1)  # of a pair that is there
            row = step.row + sequence
            saved = load_slots(cell, memory.gates, row * width + j, hidden)
            d_new = load_states(cell, gradients.states, sequence * hidden + j, sizes.batch * hidden)
            dy = gradients.output[row, j]
            if tiling is not None:
                columns = step.place + begin // step.units * sizes.tiles * DEPTH
                store_sums(tiling, multiply(tiling, fragments, exchange.buffer, columns, thread), shared, thread)
            cuda.syncthreads()
            if is_there:
                dh = sum_of_products(tiling, weights.recurrent, exchange.buffer, step.place, n, unit, shared,
                                     unit - step.first_unit, n - begin // step.units, sizes, dy)  # fmt: skip
                dh = masked_gradient(masks.recurrent, dh, sequence, unit)
                if s < steps:
                    d_new, where = add_to_first(d_new, dh + dy), (sequence, row, unit)
                    _first_gradients(memory.standardized, cell, gradients, memory, weights, masks, saved, d_new, shared,
                                     statistics, where, n, step, sizes)  # fmt: skip
                else:
                    gradients.states[0, sequence, unit] = d_new[0] + dh
            cuda.syncthreads()  # before others write their sums
        if s < steps:
            _standardized_gradients(memory.standardized, cell, gradients, memory, weights, masks, shared, exchange,
                                    step, sizes, barriers * s)  # fmt: skip
            send_sums(shared, statistics, 0, 4, step, sizes)
            meet(weights.recurrent, exchange.delays, exchange.counters, group, barriers * (s + 1) - 2)
            receive_sums(shared, statistics, 0, 4, len(recurrent_slots(cell)), step, sizes)
            _finish_gradients(cell, memory, shared, exchange, tiling, step, sizes)
            meet(weights.recurrent, exchange.delays, exchange.counters, group, barriers * (s + 1) - 1)
