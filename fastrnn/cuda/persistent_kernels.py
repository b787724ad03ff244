"""The time loop of a recurrent layer in one launch: the kernels, forward and backward.

Blocks (x, y) are those of a group (x) and the groups (y). A group runs some sequences, a block of it some hidden units
with all their gates; its slice of W_hh stays in registers. In each step a block multiplies its slice with h of the
step before, which all blocks of the group wrote to an exchange buffer. Each thread then runs the cell's equations for
one unit of one sequence, and writes h. A barrier of the group ends the step. Backward runs the steps in reverse. There
the blocks exchange the gradients of the pre-activations, and multiply with the transposed slice.

With a tiling, products run on tensor cores (`fastrnn.cuda.fragments`). Without one, each thread computes its own dot
products: this is for float64 and for the simulator, where a group has one block.

The exchange buffer is (2, groups, columns of a group / 8, tiles, 8, 16): steps read one half and write the other.
"""

from typing import NamedTuple

from numba import cuda, float32

from fastrnn.cells._cell import backward, forward
from fastrnn.cuda.barrier import group_barrier
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.fragments import (
    COLUMNS,
    DEPTH,
    TILE,
    add_recurrent_sums,
    items_of,
    load_weights,
    multiply,
    place_of,
    put,
    put_recurrent,
    store_sums,
    units_of,
    warp_sum,
)
from fastrnn.cuda.unit_values import (
    add_many,
    add_to_first,
    load_slots,
    load_states,
    load_units,
    minus,
    plus,
    recurrent_slots,
    store_many,
    times,
)

MOST_THREADS = 256  # of a block: each may have 255 registers


class Sizes(NamedTuple):
    """What a launch is cut into."""

    hidden: int  # H
    batch: int  # B
    units: int  # of a block
    sequences: int  # of a group, a multiple of 8
    columns: int  # of a group in the exchange buffer, a multiple of 8 and of those that are multiplied at a time
    items: int  # pairs of a unit and a sequence that a block computes at a time, a thread one
    tiles: int  # of the exchange buffer: its inner dimension / 16


class Exchange(NamedTuple):
    """How blocks meet."""

    buffer: object  # (2 · groups · columns of a group · inner dimension,)
    counters: object  # (groups · `SPREAD`,) of int32, zeros before
    steps: object  # (groups,), the length of each group's longest sequence
    offsets: object  # (T + 1,) first packed row of each step; None if all sequences have all steps
    delays: object  # (meetings, groups, blocks) of uint32, nanoseconds that a block waits before; None but in tests
    statistics: object = None  # of `fastrnn.cuda.row_statistics`; None where nothing is standardized


@kernel
def start(exchange, initial, tiling, sizes):
    """Clear the counters and the exchange buffer; its first half gets the initial h."""
    # initial (B or more, H), or None
    buffer, counters = exchange.buffer, exchange.counters
    for i in range(cuda.grid(1), counters.size, cuda.gridsize(1)):
        counters[i] = 0
    size = sizes.columns * sizes.tiles * DEPTH  # of a group
    for i in range(cuda.grid(1), buffer.size, cuda.gridsize(1)):
        buffer[i] = 0
        if initial is not None:
            group, tile, place = i // size, i % size // TILE, i % TILE
            n, unit = tile // sizes.tiles * COLUMNS + place // DEPTH, tile % sizes.tiles * DEPTH + place % DEPTH
            sequence = group * sizes.sequences + n  # beyond the last one in the second half
            if n < sizes.sequences and sequence < sizes.batch and unit < sizes.hidden:
                put(tiling, buffer, i, initial[sequence, unit])


@device_function
def step_rows(offsets, batch, t):
    """Return the first packed row of step t, the first row of the states before it, and how many sequences run."""
    if offsets is None:
        return t * batch, t * batch, batch
    return offsets[t], (0 if t == 0 else batch + offsets[t - 1]), offsets[t + 1] - offsets[t]


@device_function
def own_pair(begin, units, first_unit, first, alive, hidden):
    """Return what a thread computes: a sequence of the group and a unit.

    Both may not be there; their numbers in the batch and among the units, which follow, are then of ones that are.
    """
    place = begin + cuda.threadIdx.x
    n, unit = place // units, first_unit + place % units
    return n, unit, first + min(n, alive - 1), min(unit, hidden - 1)


@device_function
def meet(weight, delays, counters, group, step):
    """Let the blocks of a group meet at the end of a step, if they exchange anything."""
    # weight and delays: arrays or None
    if delays is not None:
        cuda.nanosleep(delays[step, group, cuda.blockIdx.x])
    if weight is not None:
        group_barrier(counters, group, (step + 1) * cuda.gridDim.x)
    else:
        cuda.syncthreads()


# ------------------------------------------------------------------------------------------------------- forward


@device_function
def add_products(slots, gates, row, unit, weight, buffer, begin, sequence, sizes):
    """Add the product of a weight and a state in the exchange buffer to some slots of a unit in memory."""
    # weight (slots · H, H) or None
    if weight is not None:
        for g in range(len(slots)):
            total = gates[row, slots[g] * sizes.hidden + unit]
            for k in range(weight.shape[1]):
                h = buffer[begin + place_of(sizes.tiles, sequence, k)]
                total += weight[g * sizes.hidden + unit, k] * h
            gates[row, slots[g] * sizes.hidden + unit] = total


@device_function
def zone_out(update, cell, new, state, row, unit, hidden):
    """Let each state keep a part of its old value."""
    # update (N, R or 1, H) or None
    if update is None:
        return new
    place = (row if update.shape[1] > 1 else 0) * hidden + unit
    return plus(state, times(minus(new, state), load_states(cell, update, place, update.shape[1] * hidden)))


@device_function
def hand_on(weight, mask, masked, tiling, buffer, place, h, sequence, row, unit):
    """Write h, under its mask, to the exchange buffer."""
    # mask (B, H) or None, masked (B + R, H) or None
    if masked is not None:
        h = h * mask[sequence, unit]
        masked[row, unit] = h
    if weight is not None:
        put(tiling, buffer, place, h)


@device_function
def finish_step(cell, memory, weights, masks, z, state, tiling, exchange, place, where, sizes, keep):
    """Run the cell for a unit of a sequence from its pre-activations, and write all results."""
    _, row, unit = where
    hidden = sizes.hidden
    new, saved = forward(cell, z, state, load_units(cell, weights.units, unit, hidden))
    if keep:
        store_many(memory.gates, row * memory.gates.shape[1] + unit, hidden, saved)
    finish_states(cell, memory, weights, masks, new, state, tiling, exchange, place, where, sizes)


@device_function
def finish_states(cell, memory, weights, masks, new, state, tiling, exchange, place, where, sizes):
    """Write the new states of a unit of a sequence after zoneout, and hand on h."""
    sequence, row, unit = where
    hidden, after = sizes.hidden, sizes.batch + row
    new = zone_out(masks.update, cell, new, state, row, unit, hidden)
    store_many(memory.states, after * hidden + unit, memory.states.shape[1] * hidden, new)
    hand_on(weights.recurrent, masks.recurrent, memory.masked, tiling, exchange.buffer, place, new[0], sequence, after,
             unit)  # fmt: skip


@kernel(launch_bounds=MOST_THREADS)
def forward_steps(memory, weights, masks, exchange, cell, tiling, sizes, keep):
    """Run all steps of the groups' sequences, from the initial states on."""
    shared = cuda.shared.array(0, float32)
    group, groups, thread = cuda.blockIdx.y, cuda.gridDim.y, cuda.threadIdx.x
    units, items, hidden = units_of(tiling, sizes.units), items_of(tiling, sizes.items), sizes.hidden
    first_unit, first = cuda.blockIdx.x * units, group * sizes.sequences
    width, plane, size = memory.gates.shape[1], memory.states.shape[1] * hidden, sizes.columns * sizes.tiles * DEPTH
    if tiling is not None:
        depth = weights.recurrent.shape[1]
        fragments = load_weights(tiling, weights.recurrent, thread, first_unit, (depth, hidden * depth, 1), hidden,
                                 depth)  # fmt: skip
    for t in range(exchange.steps[group]):
        step_row, before, running = step_rows(exchange.offsets, sizes.batch, t)
        alive = min(running - first, sizes.sequences)
        source, target = ((t % 2) * groups + group) * size, ((t + 1) % 2 * groups + group) * size
        for begin in range(0, alive * units, items):
            n, unit, sequence, j = own_pair(begin, units, first_unit, first, alive, hidden)
            row = step_row + sequence
            z = load_slots(cell, memory.gates, row * width + j, hidden)
            state = load_states(cell, memory.states, (before + sequence) * hidden + j, plane)
            if tiling is not None:
                columns = source + begin // units * sizes.tiles * DEPTH
                store_sums(tiling, multiply(tiling, fragments, exchange.buffer, columns, thread), shared, thread)
            cuda.syncthreads()  # idle threads have read what others overwrite
            if thread < items and n < alive and unit < hidden:
                if tiling is None:
                    slots = recurrent_slots(cell)
                    add_products(slots, memory.gates, row, unit, weights.recurrent, exchange.buffer, source, n, sizes)
                    z = load_slots(cell, memory.gates, row * width + j, hidden)
                else:
                    z = add_recurrent_sums(tiling, cell, z, shared, unit - first_unit, n - begin // units)
                place = target + place_of(sizes.tiles, n, unit)
                finish_step(cell, memory, weights, masks, z, state, tiling, exchange, place, (sequence, row, unit),
                             sizes, keep)  # fmt: skip
            if begin + items < alive * units:
                cuda.syncthreads()  # before others write their sums
        if t + 1 < exchange.steps[group]:
            meet(weights.recurrent, exchange.delays, exchange.counters, group, t)


# ------------------------------------------------------------------------------------------------------ backward


@device_function
def product(weight, buffer, begin, sequence, unit, sizes):
    """Return the gradient of a unit's h through W_hh."""
    # weight (recurrent slots · H, H)
    total = weight[0, unit] - weight[0, unit]
    for k in range(weight.shape[0]):
        d = buffer[begin + place_of(sizes.tiles, sequence, k)]
        total += weight[k, unit] * weight.dtype.type(d)  # the buffer's numbers may be bits, where this is not called
    return total


@device_function
def masked_gradient(mask, dh, sequence, unit):
    """Return the gradient of h from that of h under its mask."""
    return dh if mask is None else dh * mask[sequence, unit]


@device_function
def split(update, cell, d_new, row, unit, hidden):
    """Return the parts of the states' gradients that go through the step, and past it."""
    # update (N, R or 1, H) or None
    if update is None:
        return d_new, d_new
    place = (row if update.shape[1] > 1 else 0) * hidden + unit
    share = times(d_new, load_states(cell, update, place, update.shape[1] * hidden))
    return share, minus(d_new, share)


@device_function
def joined(update, d_state, carried):
    """Return the gradients of the states before a step."""
    return d_state if update is None else plus(d_state, carried)


@device_function
def add_units(d_units, sequence, unit, hidden, values):
    """Add to the gradients of a unit's parameters."""
    # d_units (B, unit parameters, H) or None
    if d_units is not None:
        add_many(d_units, sequence * d_units.shape[1] * hidden + unit, hidden, values)


@device_function
def hand_on_gradients(weight, cell, tiling, buffer, begin, unit, hidden, dz):
    """Write the gradients of the recurrent slots to the exchange buffer."""
    if weight is not None:
        put_recurrent(cell, tiling, buffer, begin, unit, hidden, dz)


@device_function
def step_backward(cell, gradients, memory, weights, masks, saved, state, d_new, where, sizes):
    """Run the cell's backward step for a unit of a sequence, write its results, and return the slots' gradients."""
    _, row, unit = where
    hidden = sizes.hidden
    d_new, carried = split(masks.update, cell, d_new, row, unit, hidden)
    dz = cell_backward(cell, gradients, weights, masks, saved, state, d_new, carried, d_new[0], where, sizes)
    store_many(memory.gates, row * memory.gates.shape[1] + unit, hidden, dz)
    return dz


@device_function
def cell_backward(cell, gradients, weights, masks, saved, state, d_new, carried, standardized, where, sizes):
    """Run the cell's backward step for a unit, write the gradients of states and parameters, and return the slots'."""
    sequence, _, unit = where
    parameters = load_units(cell, weights.units, unit, sizes.hidden)
    dz, d_state, d_units = backward(cell, saved, state, parameters, d_new, standardized)
    d_state = joined(masks.update, d_state, carried)
    store_many(gradients.states, sequence * sizes.hidden + unit, sizes.batch * sizes.hidden, d_state)
    add_units(gradients.units, sequence, unit, sizes.hidden, d_units)
    return dz


@device_function
def sum_of_products(tiling, weight, buffer, begin, sequence, unit, shared, row, column, sizes, like):
    """Return the gradient of a unit's h through W_hh, from the warps' sums or by itself."""
    if weight is None:
        return like - like
    if tiling is None:
        return product(weight, buffer, begin, sequence, unit, sizes)
    return warp_sum(tiling, shared, row, column)


@kernel(launch_bounds=MOST_THREADS)
def backward_steps(gradients, memory, weights, masks, exchange, cell, tiling, sizes):
    """Run all steps in reverse, from the gradients of the final states to those of the initial ones."""
    shared = cuda.shared.array(0, float32)
    group, groups, thread = cuda.blockIdx.y, cuda.gridDim.y, cuda.threadIdx.x
    units, items, hidden = units_of(tiling, sizes.units), items_of(tiling, sizes.items), sizes.hidden
    first_unit, first, steps = cuda.blockIdx.x * units, group * sizes.sequences, exchange.steps[group]
    width, plane, size = memory.gates.shape[1], memory.states.shape[1] * hidden, sizes.columns * sizes.tiles * DEPTH
    if tiling is not None:
        depth, rows = weights.recurrent.shape
        fragments = load_weights(tiling, weights.recurrent, thread, first_unit, (1, 0, rows), rows, depth)
    for s in range(steps + 1 if steps > 0 else 0):  # after the steps, one more product for the initial h
        step_row, before, running = step_rows(exchange.offsets, sizes.batch, max(steps - 1 - s, 0))
        alive = min(running - first, sizes.sequences)
        source, target = ((s % 2) * groups + group) * size, ((s + 1) % 2 * groups + group) * size
        for begin in range(0, alive * units, items):
            n, unit, sequence, j = own_pair(begin, units, first_unit, first, alive, hidden)
            row = step_row + sequence
            saved = load_slots(cell, memory.gates, row * width + j, hidden)
            state = load_states(cell, memory.states, (before + sequence) * hidden + j, plane)
            d_new = load_states(cell, gradients.states, sequence * hidden + j, sizes.batch * hidden)
            dy = gradients.output[row, j]
            if tiling is not None:
                columns = source + begin // units * sizes.tiles * DEPTH
                store_sums(tiling, multiply(tiling, fragments, exchange.buffer, columns, thread), shared, thread)
            cuda.syncthreads()  # idle threads have read what others overwrite
            if thread < items and n < alive and unit < hidden:
                dh = sum_of_products(tiling, weights.recurrent, exchange.buffer, source, n, unit, shared,
                                      unit - first_unit, n - begin // units, sizes, dy)  # fmt: skip
                dh = masked_gradient(masks.recurrent, dh, sequence, unit)
                if s < steps:
                    d_new, where = add_to_first(d_new, dh + dy), (sequence, row, unit)
                    dz = step_backward(cell, gradients, memory, weights, masks, saved, state, d_new, where, sizes)
                    place = target + place_of(sizes.tiles, n, 0)
                    hand_on_gradients(weights.recurrent, cell, tiling, exchange.buffer, place, unit, hidden, dz)
                else:
                    gradients.states[0, sequence, unit] = d_new[0] + dh
            if begin + items < alive * units:
                cuda.syncthreads()  # before others write their sums
        if s < steps:
            meet(weights.recurrent, exchange.delays, exchange.counters, group, s)
