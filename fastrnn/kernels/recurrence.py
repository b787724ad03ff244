"""The time loop of every recurrent cell: whole sequences forward, and backward through time.

The rows of a batch stand in packed order: longest sequence first, and step after step without padding, so that the rows
of step t are ``offsets[t]`` to ``offsets[t + 1]`` and the sequences that are still alive are always the first ones.

Threads cut the batch, or the hidden units. A thread's `part` is (first, last, begin, end): the sequences `first` to
`last`, which it takes through all steps by itself, and all units; or all sequences, and the units `begin` to `end`
(whole vectors), whose weights stay in the cache of its core, while all threads meet at a barrier in each step.

A row of `gates` has `slots` pre-activations for each of `padded` hidden units (whole vectors; the weights of the units
beyond `hidden` are zero), a slot behind the other. Forward turns them into what backward needs, and backward turns that
into their gradients, in place; the weight gradients are then single products over all rows.

A step is the recurrent product and the cell. What only some cells or layers have are stages around them, each a
function whose first argument is None where there is no such stage: its body is left out when the driver is compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.cells._cell import (
    backward,
    early,
    early_backward,
    forward,
    load_slots,
    load_states,
    load_units,
    output,
    output_backward,
)
from fastrnn.kernels.gemm import (
    PACK_COLUMNS,
    PACK_DEPTH,
    PANEL_VECTORS,
    pack,
    pack_vector,
    packed_product,
    panel_product,
    product_block,
    strided_product,
)
from fastrnn.kernels.threads import barrier, enter, leave
from fastrnn.simd import add_many, lanes, load, load_first, store, store_first, store_many, sum_lanes, zero

EPSILON = 1e-5  # added to the variance of layer normalization


class Weights(NamedTuple):
    """The weights, and room for the panels of those that the threads pack together for the products."""

    input: object  # W_ih (gates · hidden, D)
    recurrent: object  # W_hh without the rows for the late slots (gates · hidden, output)
    input_runs: object  # (·, 3) of gates that stand one behind the other in W_ih and in `Memory.gates`: their first row
    # and their rows here, their first column there
    recurrent_runs: object  # likewise of W_hh
    input_panels: object  # W_ihᵀ packed
    recurrent_panels: object  # W_hhᵀ packed; backward: W_hh
    late: object  # the rows of W_hh for the late slots, packed likewise, or None
    projection: object  # W_hr as (hidden, output); backward: (output, hidden); or None
    bias: object  # (slots · padded,)
    units: object  # (unit parameters, padded)


class Output(NamedTuple):
    """Where the output stands, or its gradient: some columns of a matrix, whose rows may be in another order."""

    values: object  # (rows, ·)
    order: object  # (R,) the row of `values` for each packed row
    begin: int  # columns `begin` to `end`
    end: int


class Schedule(NamedTuple):
    """Where the rows of each step are."""

    offsets: object  # (T + 1,) first packed row of each step
    gate_rows: object  # (T,) first row of each step in gates and in what has a row for each of its rows
    state_rows: object  # (T + 1,) first row in states of what each step starts from
    spans: object  # first column and columns in gates of the input's, the recurrent and the late product; hidden units,
    # gates, and which state is standardized


class Memory(NamedTuple):
    """The arrays that forward writes, and keeps for backward."""

    gates: object  # (rows, width)
    states: object  # (N, rows, padded), the initial states first
    operands: object  # (·, rows, padded): [0] is h as the recurrent product takes it; states itself without a mask
    late: object  # (rows of gates, padded), what the late product is taken of, or None
    raw: object  # (rows of gates, padded), the output before the projection, or None
    standardized: object  # (rows of gates, padded), the standardized state, or None
    scales: object  # (rows of gates, 3), 1 / standard deviation of input part, recurrent part and state, or None


class Masks(NamedTuple):
    """The factors of regularizers."""

    recurrent: object  # (B, padded) for h in the recurrent product, or None
    update: object  # (N, rows or 1, padded), the share of the new value in each state (zoneout), or None


class Gradients(NamedTuple):
    """Gradients of states and unit parameters, and room for what lies between."""

    states: object  # (N, B, padded), in: of the final states; out: of the initial ones
    units: object  # (B, unit parameters, padded), zeros before
    through: object  # (·, B, padded), [0] takes what comes back through the recurrent product: states itself…
    operand: object  # … or, under a mask, this array (1, B, padded) of zeros; otherwise None
    late: object  # (B, padded), or None
    output: object  # (R, padded), gradient of the projected output, or None
    carried: object  # (N, B, padded), what passes a step by zoneout, or None
    row: object  # (B, width), a copy of what forward kept of the row, or None


# ------------------------------------------------------------------------------------------------------- forward


@kernel
def recurrence_forward(board, party, y, memory, cell, x, ids, weights, masks, schedule, part, chunk, keep, packed):
    """Run a cell over a part of the sequences or units: all steps, from `memory.states` on.

    The products with the input are made for `chunk` steps at once, as many as the second-level cache holds; or they
    are there already for all inputs that occur, in x, and `ids` says which is whose. `packed` says that the weights
    have been packed before.
    """
    # y: an `Output`, x (R, D) and ids None; or x (V, input columns), the bias included, and ids (R,)
    enter(board, party)
    gates, states, operands = memory.gates, memory.states, memory.operands
    offsets, gate_rows, state_rows, spans = schedule.offsets, schedule.gate_rows, schedule.state_rows, schedule.spans
    first, last, begin, end = part
    padded, steps, size = states.shape[2], len(gate_rows), y.end - y.begin
    if not packed:
        if ids is None:
            _pack_gates(weights.input_panels, weights.input, weights.input_runs, spans[0], spans[1], padded, part,
                        board, party)  # fmt: skip
        _pack_gates(weights.recurrent_panels, weights.recurrent, weights.recurrent_runs, spans[2], spans[3], padded,
                    part, board, party)  # fmt: skip
        barrier(board, party)
    for start in range(0, steps, chunk):
        stop = min(start + chunk, steps)
        if ids is None:
            _input_products(gates, x, weights.input_panels, weights.bias, schedule, padded, start, stop, part)
        else:
            _look_up(gates, x, ids, weights.bias, schedule, padded, start, stop, part)
        for t in range(start, stop):
            rows = _alive(offsets, t, first, last)
            row, before, after = gate_rows[t] + first, state_rows[t] + first, state_rows[t + 1] + first
            _gate_product(gates, row, spans[2], spans[3], operands, before * padded, padded, weights.recurrent_panels,
                          rows, size, padded, part)  # fmt: skip
            _standardize_products(memory.scales, gates, spans, row, rows)
            _late_product(memory.late, gates, states, cell, masks.recurrent, weights.late, spans, row, before, first,
                          rows)  # fmt: skip
            _step(gates, states, cell, weights.units, row, before, after, rows, begin, end, keep)
            _standardized_output(memory.standardized, memory.scales, gates, states, cell, weights.units, spans, row,
                                 after, rows)  # fmt: skip
            _project(memory.raw, states, weights.projection, row, after, rows, size)
            _zone_out(masks.update, states, offsets[t] + first, before, after, rows, begin, end)
            _emit(y, states, offsets[t] + first, after, rows, begin, end)
            _mask_operands(masks.recurrent, operands, states, first, after, rows, begin, end)
            if end - begin < padded:
                barrier(board, party)
    leave(board, party)


@kernel(inline="always")
def _alive(offsets, t, first, last):
    """Return how many of the sequences `first` to `last` have a step t."""
    return max(0, min(last, offsets[t + 1] - offsets[t]) - first)


@kernel
def _pack_gates(panels, weight, runs, span, columns, padded, part, board, party):
    """Pack Wᵀ: whole panels by each thread where all use them all, otherwise a thread's own units."""
    # panels (D · columns,), weight (gates · hidden, D), runs as in `Weights`
    depth, units, slots, first, last = weight.shape[1], part[3] - part[2], columns // padded, part[2], part[3]
    if units == padded:
        slots = 1
        first, last = _share(columns, PANEL_VECTORS * lanes(panels), board, party)
    for slot in range(slots):
        place = first * slots + slot * units if units < padded else first
        _pack_runs(panels, place * depth, weight, runs, span + slot * padded + first, last - first)


@kernel
def _pack_runs(panels, place, weight, runs, begin, columns):
    """Pack Wᵀ: the columns of `gates` from `begin` on."""
    width, depth = lanes(panels), weight.shape[1]
    for first in range(0, columns, PANEL_VECTORS * width):
        stride = min(columns - first, PANEL_VECTORS * width)
        for j in range(0, stride, width):
            for run in range(len(runs)):
                row, rows, column = runs[run]
                offset = begin + first + j - column
                if 0 <= offset < rows:  # runs end with a vector, which may be filled in part
                    pack_vector(panels, place + j, stride, weight, (row + offset) * depth, 1, depth, depth,
                                min(width, rows - offset))  # fmt: skip
        place += stride * depth


@kernel
def pack_weights(panels, weight, runs, span, columns, padded):
    """Pack Wᵀ for many passes."""
    _pack_gates(panels, weight, runs, span, columns, padded, (0, 0, 0, padded), np.zeros((2, 1), np.int64), 0)


@kernel(inline="always")
def _share(columns, multiple, board, party):
    """Return a thread's share of columns or rows, cut at a `multiple`: (first, last)."""
    parties = len(board) // 2
    share = (columns + multiple * parties - 1) // (multiple * parties) * multiple
    return min(columns, party * share), min(columns, (party + 1) * share)


@kernel(inline="always")
def _gate_product(gates, row, span, columns, a, a_offset, a_row, panels, rows, depth, padded, part):
    """Add A·Wᵀ to the pre-activations of one step: to all slots at once, or to a thread's own units of each slot."""
    width, units = gates.shape[1], part[3] - part[2]
    blocks, own = (1, columns) if units == padded else (columns // padded, units)
    for slot in range(blocks):
        place = (part[2] * (columns // padded) + slot * own) * depth
        packed_product(gates, row * width + span + slot * padded + part[2], width, a, a_offset, a_row, 1,
                       panels[place:], rows, depth, own)  # fmt: skip


@kernel
def _input_products(gates, x, panels, bias, schedule, padded, start, stop, part):
    """Compute the bias and the input's part of the pre-activations of the steps `start` to `stop`.

    A panel stays in the first-level cache for all steps; where their rows stand together, they are one product.
    """
    offsets, gate_rows = schedule.offsets, schedule.gate_rows
    span, columns = schedule.spans[0], schedule.spans[1]
    first, last, begin, end = part
    width, depth = gates.shape[1], x.shape[1]
    blocks, own = (1, columns) if end - begin == padded else (columns // padded, end - begin)
    all_rows = offsets[stop] - offsets[start]
    together = (first == 0 and last >= offsets[start + 1] - offsets[start]
                and gate_rows[stop - 1] - gate_rows[start] == offsets[stop - 1] - offsets[start])  # fmt: skip
    for t in range(start, stop):
        row = gate_rows[t] + first
        for place in range(row * width, (row + _alive(offsets, t, first, last)) * width, width):
            for slot in range(0, len(bias), padded):
                for j in range(slot + begin, slot + end, lanes(gates)):
                    store(gates, place + j, load(bias, j))
    for slot in range(blocks):
        block = begin * (columns // padded) + slot * own
        for column in range(0, own, PANEL_VECTORS * lanes(gates)):
            vectors = min(PANEL_VECTORS * lanes(gates), own - column) // lanes(gates)
            for t in range(start, stop, stop - start if together else 1):
                place = (gate_rows[t] + first) * width + span + slot * padded + begin + column
                rows = all_rows if together else _alive(offsets, t, first, last)
                panel_product(gates, place, width, x, (offsets[t] + first) * depth, depth, 1, panels,
                              (block + column) * depth, rows, depth, vectors)  # fmt: skip


@kernel
def _look_up(gates, table, ids, bias, schedule, padded, start, stop, part):
    """Copy the input's part of the pre-activations of the steps `start` to `stop`, bias included, from a table."""
    offsets, width = schedule.offsets, gates.shape[1]
    span, columns = schedule.spans[0], schedule.spans[1]
    first, last, begin, end = part
    for t in range(start, stop):
        for b in range(_alive(offsets, t, first, last)):
            place, source = (schedule.gate_rows[t] + first + b) * width, ids[offsets[t] + first + b] * columns - span
            for slot in range(0, len(bias), padded):
                is_input = span <= slot < span + columns
                for j in range(slot + begin, slot + end, lanes(gates)):
                    store(gates, place + j, load(table, source + j) if is_input else load(bias, j))


@kernel(inline="always")
def _step(gates, states, cell, units, row, before, after, rows, begin, end, keep):
    """Apply the cell to the pre-activations of one step."""
    width, padded = gates.shape[1], states.shape[2]
    stride = states.shape[1] * padded
    for b in range(rows):
        for j in range(begin, end, lanes(gates)):
            place = (row + b) * width + j
            z = load_slots(cell, gates, place, padded)
            state = load_states(cell, states, (before + b) * padded + j, stride)
            new_state, saved = forward(cell, z, state, load_units(cell, units, j, padded))
            store_many(states, (after + b) * padded + j, stride, new_state)
            if keep:
                store_many(gates, place, padded, saved)


@kernel
def _emit(y, states, y_row, after, rows, begin, end):
    """Copy the output of a step from the states to y."""
    values, order, size, padded = y.values, y.order, y.end - y.begin, states.shape[2]
    for b in range(rows):
        place = order[y_row + b] * values.shape[1] + y.begin
        for j in range(begin, min(end, size), lanes(values)):
            store_first(values, place + j, load(states, (after + b) * padded + j), size - j)


# ------------------------------------------------------------------------------------------------------ backward


@kernel
def recurrence_backward(board, party, gradients, memory, cell, dy, weights, masks, schedule, part, start, stop, packed):
    """Run a cell's backward pass over a part of the sequences or units, from step `stop` - 1 back to `start`.

    `packed` says that the weights have been packed before.
    """
    # dy: an `Output`
    enter(board, party)
    gates, states, d_states = memory.gates, memory.states, gradients.states
    offsets, state_rows, spans = schedule.offsets, schedule.state_rows, schedule.spans
    first, last, begin, end = part
    width, padded, size = gates.shape[1], states.shape[2], dy.end - dy.begin
    own = min(end, size) - begin
    if not packed:
        _pack_columns(weights.recurrent_panels, weights.recurrent, weights.recurrent_runs, spans[2], spans[3], begin,
                      own, end - begin == padded, board, party)  # fmt: skip
        barrier(board, party)
    for t in range(stop - 1, start - 1, -1):
        rows = _alive(offsets, t, first, last)
        row, before = offsets[t] + first, state_rows[t] + first
        _collect(d_states, dy, row, first, rows, begin, end)
        _zone_out_backward(gradients.carried, d_states, masks.update, row, first, rows, begin, end)
        _project_backward(gradients.output, d_states, weights.projection, row, first, rows, size)
        _standardized_output_backward(memory.standardized, memory.scales, d_states, gates, cell, weights.units,
                                      gradients.row, spans, row, first, rows)  # fmt: skip
        _keep_rows(gradients.row, gates, row, first, rows)
        _step_backward(gates, d_states, gradients.units, cell, states, memory.standardized, weights.units, row, before,
                       first, rows, begin, end)  # fmt: skip
        _late_product_backward(gradients.late, gates, d_states, cell, states, masks.recurrent, weights.late, spans, row,
                               before, first, rows)  # fmt: skip
        _standardize_products_backward(memory.scales, gates, gradients.row, spans, row, first, rows)
        if end - begin < padded:
            barrier(board, party)
        packed_product(gradients.through, first * padded + begin, padded, gates, row * width + spans[2], width, 1,
                       weights.recurrent_panels[begin * spans[3] :], rows, spans[3], own)  # fmt: skip
        _mask_operands_backward(gradients.operand, d_states, masks.recurrent, first, rows, begin, end)
        _carry(gradients.carried, d_states, first, rows, begin, end)
    leave(board, party)


@kernel
def _pack_columns(panels, weight, runs, span, depth, begin, own, whole, board, party):
    """Pack W for the product with the gradients: whole panels by each thread, or the columns of its own units."""
    # panels (depth · columns,), weight (gates · hidden, columns), runs as in `Weights`
    columns, width = weight.shape[1], lanes(panels)
    first, last = _share(columns, PANEL_VECTORS * width, board, party) if whole else (begin, begin + own)
    for start in range(first, last, PANEL_VECTORS * width):
        used = min(last - start, PANEL_VECTORS * width)
        stride = (used + width - 1) // width * width
        for run in range(len(runs)):
            row, rows, column = runs[run]
            place = start * depth + (column - span) * stride
            for k in range((rows + width - 1) // width * width):  # zeros for the units beyond `hidden`
                for j in range(0, used, width):
                    values = load_first(weight, (row + k) * columns + start + j, used - j if k < rows else 0)
                    store(panels, place + k * stride + j, values)


@kernel
def _collect(d_states, dy, row, first, rows, begin, end):
    """Add the output's gradient to that of the state."""
    values, order, size, padded = dy.values, dy.order, dy.end - dy.begin, d_states.shape[2]
    for b in range(rows):
        source, place = order[row + b] * values.shape[1] + dy.begin, (first + b) * padded
        for j in range(begin, min(end, size), lanes(values)):
            above = load_first(values, source + j, size - j)
            store(d_states, place + j, load(d_states, place + j) + above)


@kernel(inline="always")
def _step_backward(gates, d_states, d_units, cell, states, standardized, units, row, before, first, rows, begin, end):
    """Apply the cell's backward step to one step of the sequences; d_states goes from after it to before it."""
    width, padded = gates.shape[1], states.shape[2]
    stride, d_stride, unit_stride = states.shape[1] * padded, d_states.shape[1] * padded, d_units.shape[1] * padded
    for b in range(rows):
        for j in range(begin, end, lanes(gates)):
            place = (row + b) * width + j
            d_place = (first + b) * padded + j
            d_new_state = load_states(cell, d_states, d_place, d_stride)
            saved = load_slots(cell, gates, place, padded)
            state = load_states(cell, states, (before + b) * padded + j, stride)
            extra = _load_standardized(standardized, states, (row + b) * padded + j)
            dz, d_state, d_unit = backward(cell, saved, state, load_units(cell, units, j, padded), d_new_state, extra)
            store_many(gates, place, padded, dz)
            store_many(d_states, d_place, d_stride, d_state)
            add_many(d_units, (first + b) * unit_stride + j, padded, d_unit)


@kernel
def _load_standardized(standardized, states, place):
    """Return a vector of the standardized state, or any vector where there is none."""
    if standardized is None:
        return load(states, 0)
    return load(standardized, place)


# --------------------------------------------------------------------- late product: a gate before the product (GRU)


@kernel
def _late_product(late, gates, states, cell, mask, panels, spans, row, before, first, rows):
    """Add the late product to its slots, after the cell has made what it is taken of."""
    if late is not None:
        begin, columns, width, padded = spans[4], spans[5], gates.shape[1], states.shape[2]
        for b in range(rows):
            for j in range(0, padded, lanes(gates)):
                place = (row + b) * width + j
                state = load_states(cell, states, (before + b) * padded + j, states.shape[1] * padded)
                slots, operand = early(cell, load_slots(cell, gates, place, padded), state)
                store_many(gates, place, padded, slots)
                if mask is not None:
                    operand = operand * load(mask, (first + b) * padded + j)
                store(late, (row + b) * padded + j, operand)
        packed_product(gates, row * width + begin, width, late, row * padded, padded, 1, panels, rows, padded, columns)


@kernel
def _late_product_backward(d_late, gates, d_states, cell, states, mask, panels, spans, row, before, first, rows):
    """Go back through the late product and what it is taken of."""
    if d_late is not None:
        begin, columns, width, padded = spans[4], spans[5], gates.shape[1], states.shape[2]
        d_late[first : first + rows] = 0
        packed_product(d_late, first * padded, padded, gates, row * width + begin, width, 1, panels, rows, columns,
                       padded)  # fmt: skip
        for b in range(rows):
            for j in range(0, padded, lanes(gates)):
                place, d_place = (row + b) * width + j, (first + b) * padded + j
                d_operand = load(d_late, d_place)
                if mask is not None:
                    d_operand = d_operand * load(mask, d_place)
                state = load_states(cell, states, (before + b) * padded + j, states.shape[1] * padded)
                dz, d_state = early_backward(cell, load_slots(cell, gates, place, padded), state, d_operand)
                store_many(gates, place, padded, dz)
                add_many(d_states, d_place, d_states.shape[1] * padded, d_state)


# ---------------------------------------------------------------------------------- layer normalization: row reductions


@kernel(inline="always")
def _standardize(values, place, columns, count):
    """Standardize a row, of which `count` elements are real and the others zero; return 1 / standard deviation."""
    total = load(values, place)
    for j in range(lanes(values), columns, lanes(values)):
        total = total + load(values, place + j)
    mean = sum_lanes(total) / count
    square = (load(values, place) - mean) * (load(values, place) - mean)
    for j in range(lanes(values), columns, lanes(values)):
        deviation = load(values, place + j) - mean
        square = square + deviation * deviation
    variance = (sum_lanes(square) - (columns - count) * mean * mean) / count
    scale = 1 / math.sqrt(max(variance, 0.0) + EPSILON)
    for j in range(0, columns, lanes(values)):
        store(values, place + j, (load(values, place + j) - mean) * scale)
    return scale


@kernel(inline="always")
def _standardize_backward(d_values, d_place, values, place, columns, count, scale):
    """Turn the gradient of a standardized row into that of the row; `values` are the standardized ones."""
    total = load(d_values, d_place)
    product = total * load(values, place)
    for j in range(lanes(values), columns, lanes(values)):
        d = load(d_values, d_place + j)
        total = total + d
        product = product + d * load(values, place + j)
    mean, slope = sum_lanes(total) / count, sum_lanes(product) / count
    for j in range(0, columns, lanes(values)):
        d = load(d_values, d_place + j) - mean - load(values, place + j) * slope
        store(d_values, d_place + j, d * scale)


@kernel
def _standardize_products(scales, gates, spans, row, rows):
    """Standardize the input's and the recurrent pre-activations of one step, each over all gates of a row."""
    if scales is not None:
        width, count = gates.shape[1], spans[6] * spans[7]
        for b in range(rows):
            for part in range(2):
                place = (row + b) * width + spans[2 * part]
                scales[row + b, part] = _standardize(gates, place, spans[2 * part + 1], count)


@kernel
def _keep_rows(kept, gates, row, first, rows):
    """Copy what forward kept of a step's rows, which the cell is about to overwrite."""
    if kept is not None:
        kept[first : first + rows] = gates[row : row + rows]


@kernel
def _standardize_products_backward(scales, gates, kept, spans, row, first, rows):
    """Turn the gradients of standardized pre-activations into those of the products."""
    if scales is not None:
        width, count = gates.shape[1], spans[6] * spans[7]
        for b in range(rows):
            for part in range(2):
                place, kept_place = (row + b) * width + spans[2 * part], (first + b) * width + spans[2 * part]
                _standardize_backward(gates, place, kept, kept_place, spans[2 * part + 1], count,
                                      scales[row + b, part])  # fmt: skip


@kernel
def _standardized_output(standardized, scales, gates, states, cell, units, spans, row, after, rows):
    """Standardize a new state over the units of a row, and compute the output from it."""
    if standardized is not None:
        width, padded, source = gates.shape[1], states.shape[2], spans[8] * states.shape[1]
        for b in range(rows):
            place = (row + b) * padded
            for j in range(0, padded, lanes(gates)):
                store(standardized, place + j, load(states, (source + after + b) * padded + j))
            scales[row + b, 2] = _standardize(standardized, place, padded, spans[6])
            for j in range(0, padded, lanes(gates)):
                z = load_slots(cell, gates, (row + b) * width + j, padded)
                h = output(cell, z, load(standardized, place + j), load_units(cell, units, j, padded))
                store(states, (after + b) * padded + j, h)


@kernel
def _standardized_output_backward(standardized, scales, d_states, gates, cell, units, room, spans, row, first, rows):
    """Add what comes to the new state through its standardization."""
    if standardized is not None:
        width, padded, target = gates.shape[1], d_states.shape[2], spans[8] * d_states.shape[1]
        for b in range(rows):
            place, d_place = (row + b) * padded, (first + b) * padded
            for j in range(0, padded, lanes(gates)):
                z = load_slots(cell, gates, (row + b) * width + j, padded)
                dh = load(d_states, d_place + j)
                d = output_backward(cell, z, load(standardized, place + j), load_units(cell, units, j, padded), dh)
                store(room, (first + b) * width + j, d)
            _standardize_backward(room, (first + b) * width, standardized, place, padded, spans[6], scales[row + b, 2])
            for j in range(0, padded, lanes(gates)):
                c_place = target * padded + d_place + j
                store(d_states, c_place, load(d_states, c_place) + load(room, (first + b) * width + j))


# ------------------------------------------------------------------------------------------------------- projection


@kernel
def _project(raw, states, panels, row, after, rows, columns):
    """Move the cell's output to `raw`, and put its projection in its place (Sak et al. 2014)."""
    if raw is not None:
        padded = states.shape[2]
        for b in range(rows):
            for j in range(0, padded, lanes(states)):
                place = (after + b) * padded + j
                value = load(states, place)
                store(raw, (row + b) * padded + j, value)
                store(states, place, zero(value))
        packed_product(states, after * padded, padded, raw, row * padded, padded, 1, panels, rows, padded, columns)


@kernel
def _project_backward(d_output, d_states, panels, row, first, rows, columns):
    """Keep the gradient of the projected output, and put that of the cell's output in its place."""
    if d_output is not None:
        padded = d_states.shape[2]
        d_output[row : row + rows] = d_states[0, first : first + rows]
        d_states[0, first : first + rows] = 0
        packed_product(d_states, first * padded, padded, d_output, row * padded, padded, 1, panels, rows, columns,
                       padded)  # fmt: skip


# ----------------------------------------------------------------------------- regularizers: zoneout, recurrent dropout


@kernel
def _zone_out(update, states, mask_row, before, after, rows, begin, end):
    """Let each state keep a part of its old value: s = old + update · (new − old) (Krueger et al. 2017)."""
    if update is not None:
        padded = states.shape[2]
        for n in range(states.shape[0]):
            for b in range(rows):
                mask = (n * update.shape[1] + (mask_row + b if update.shape[1] > 1 else 0)) * padded
                old, new = (n * states.shape[1] + before + b) * padded, (n * states.shape[1] + after + b) * padded
                for j in range(begin, end, lanes(states)):
                    previous = load(states, old + j)
                    change = load(states, new + j) - previous
                    store(states, new + j, previous + load(update, mask + j) * change)


@kernel
def _zone_out_backward(carried, d_states, update, row, first, rows, begin, end):
    """Split the gradient of each state into that of the new value and what passes the step."""
    if carried is not None:
        padded = d_states.shape[2]
        for n in range(d_states.shape[0]):
            for b in range(rows):
                mask, place = (n * update.shape[1] + row + b) * padded, (n * d_states.shape[1] + first + b) * padded
                for j in range(begin, end, lanes(d_states)):
                    d = load(d_states, place + j)
                    share = d * load(update, mask + j)
                    store(d_states, place + j, share)
                    store(carried, place + j, d - share)


@kernel
def _carry(carried, d_states, first, rows, begin, end):
    """Add what passed the step by zoneout."""
    if carried is not None:
        for n in range(d_states.shape[0]):
            d_states[n, first : first + rows, begin:end] += carried[n, first : first + rows, begin:end]


@kernel
def _mask_operands(mask, operands, states, first, after, rows, begin, end):
    """Write the output as the recurrent product of the next step takes it, under its mask."""
    if mask is not None:
        own = states[0, after : after + rows, begin:end]
        operands[0, after : after + rows, begin:end] = own * mask[first : first + rows, begin:end]


@kernel
def _mask_operands_backward(d_operand, d_states, mask, first, rows, begin, end):
    """Add what came through the recurrent product under the mask."""
    if d_operand is not None:
        own = d_operand[0, first : first + rows, begin:end]
        d_states[0, first : first + rows, begin:end] += own * mask[first : first + rows, begin:end]
        own[:] = 0


# ------------------------------------------------------------------------------------------- gradients of the weights


@kernel
def weight_gradients(board, party, d_input, d_recurrent, d_bias, dx, gates, x, before, weight, input_runs,
                     recurrent_runs, scratch):  # fmt: skip
    """Compute dW_ih += dzᵀ·x, dW_hh += dzᵀ·h, d_bias += the sum of dz over its rows, and dx = dz·W_ih.

    The threads cut each product's columns or rows, whichever are more.
    """
    # d_input and weight (gates · hidden, D), d_recurrent (gates · hidden, output), d_bias (slots · padded,), dx (R, D),
    # gates (R, width) with dz, x (R, D), before (R, padded) h before each row, runs as in `Weights`,
    # scratch (parties, ·); gradients of length 0 are not wanted
    enter(board, party)
    room, width = scratch[party], gates.shape[1]
    _add_outer_product(d_input, gates, input_runs, x, room, board, party)
    _add_outer_product(d_recurrent, gates, recurrent_runs, before, room, board, party)
    first, last = _share(len(d_bias), lanes(gates), board, party)
    for j in range(first, last, lanes(gates)):
        total = load(d_bias, j)
        for row in range(len(gates)):
            total = total + load(gates, row * width + j)
        store(d_bias, j, total)
    first, last = _share(len(dx), 1, board, party)
    dx[first:last] = 0
    depth = dx.shape[1]
    for run in range(len(input_runs) if first < last else 0):
        row, rows, column = input_runs[run]
        strided_product(dx, first * depth, depth, gates, first * width + column, width, 1, weight, row * depth, depth,
                        1, last - first, depth, rows, room)  # fmt: skip
    leave(board, party)


@kernel
def _add_outer_product(total, gates, runs, inputs, room, board, party):
    """Compute total += dzᵀ·inputs: a thread's share of it."""
    # total (gates · hidden, N), inputs (R, N or more)
    rows, columns = total.shape
    width, line, depth = gates.shape[1], inputs.shape[1], len(gates)
    panels, edge = room[: PACK_DEPTH * PACK_COLUMNS], room[PACK_DEPTH * PACK_COLUMNS :]
    first_row, last_row, first_column, last_column = 0, rows, 0, columns
    if columns > rows:
        first_column, last_column = _share(columns, PANEL_VECTORS * lanes(gates), board, party)
    else:
        first_row, last_row = _share(rows, 1, board, party)
    for n in range(first_column, last_column, PACK_COLUMNS):
        block_columns = min(PACK_COLUMNS, last_column - n)
        for k in range(0, depth if first_row < last_row else 0, PACK_DEPTH):
            block_depth = min(PACK_DEPTH, depth - k)
            pack(panels, inputs, k * line + n, line, 1, block_depth, block_columns)
            for run in range(len(runs)):
                row, count, column = runs[run]
                begin, end = max(row, first_row), min(row + count, last_row)
                if begin < end:
                    product_block(total, begin * columns + n, columns, gates, k * width + column + begin - row, 1,
                                  width, panels, edge, end - begin, block_depth, block_columns)  # fmt: skip
