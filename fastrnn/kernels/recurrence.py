"""The time loop of every recurrent cell: whole sequences forward, and backward through time.

The rows of a batch stand in packed order: longest sequence first, and step after step without padding, so that the rows
of step t are ``offsets[t]`` to ``offsets[t + 1]`` and the sequences that are still alive are always the first ones. A
thread takes the sequences `first` to `last` of the batch through all steps; threads share nothing but the weights.

A row of `gates` has `slots` pre-activations for each of `padded` hidden units (whole vectors; the weights of the units
beyond `hidden` are zero), a slot behind the other. Forward turns them into what backward needs, and backward turns that
into their gradients, in place; the weight gradients are then single products over all rows.

A step is the recurrent product and the cell. What only some cells or layers have are stages around them, each a
function whose first argument is None where there is no such stage: its body is left out when the driver is compiled.
"""

import math
from typing import NamedTuple

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
from fastrnn.kernels.gemm import PANEL_VECTORS, packed_product, panel_product
from fastrnn.kernels.threads import enter, leave
from fastrnn.simd import add_many, lanes, load, load_first, store, store_first, store_many, sum_lanes, zero

EPSILON = 1e-5  # added to the variance of layer normalization


class Weights(NamedTuple):
    """The weights, packed for the products."""

    input: object  # W_ih as (D, input columns)
    recurrent: object  # W_hh as (output, recurrent columns); backward: (recurrent columns, output)
    late: object  # the rows of W_hh for the late slots, likewise, or None
    projection: object  # W_hr as (hidden, output); backward: (output, hidden); or None
    bias: object  # (slots · padded,)
    units: object  # (unit parameters, padded)


class Schedule(NamedTuple):
    """Where the rows of each step are."""

    offsets: object  # (T + 1,) first packed row of each step
    gate_rows: object  # (T,) first row of each step in gates and in what has a row for each of its rows
    state_rows: object  # (T + 1,) first row in states of what each step starts from
    spans: object  # first column and columns in gates of the input's, the recurrent and the late product; hidden units,
    # gates, and which state is standardized


class Memory(NamedTuple):
    """What forward writes, and keeps for backward."""

    gates: object  # (rows, width)
    states: object  # (N, rows, padded), the initial states first
    operands: object  # (·, rows, padded): [0] is h as the recurrent product takes it; states itself without a mask
    late: object  # (rows of gates, padded), what the late product is taken of, or None
    raw: object  # (rows of gates, padded), the output before the projection, or None
    standardized: object  # (rows of gates, padded), the standardized state, or None
    scales: object  # (rows of gates, 3), 1 / standard deviation of input part, recurrent part and state, or None


class Masks(NamedTuple):
    """What a regularizer multiplies with."""

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
def recurrence_forward(board, party, y, memory, cell, x, weights, masks, schedule, first, last, chunk, keep):
    """Run a cell over the sequences `first` to `last`: all steps, from `memory.states` on.

    The products with the input are made for `chunk` steps at once, as many as the second-level cache holds.
    """
    # y (R, output), x (R, D)
    enter(board, party)
    gates, states, operands = memory.gates, memory.states, memory.operands
    offsets, gate_rows, state_rows = schedule.offsets, schedule.gate_rows, schedule.state_rows
    recurrent_begin, recurrent_columns = schedule.spans[2], schedule.spans[3]
    width, padded, steps = gates.shape[1], states.shape[2], len(gate_rows)
    for begin in range(0, steps, chunk):
        end = min(begin + chunk, steps)
        _input_products(gates, x, weights.input, weights.bias, schedule, begin, end, first, last)
        for t in range(begin, end):
            rows = _alive(offsets, t, first, last)
            row, before, after = gate_rows[t] + first, state_rows[t] + first, state_rows[t + 1] + first
            packed_product(gates, row * width + recurrent_begin, width, operands, before * padded, padded, 1,
                           weights.recurrent, rows, y.shape[1], recurrent_columns)  # fmt: skip
            _standardize_products(memory.scales, gates, schedule.spans, row, rows)
            _late_product(memory.late, gates, states, cell, masks.recurrent, weights.late, schedule.spans, row, before,
                          first, rows)  # fmt: skip
            _step(gates, states, cell, weights.units, row, before, after, rows, keep)
            _standardized_output(memory.standardized, memory.scales, gates, states, cell, weights.units,
                                 schedule.spans, row, after, rows)  # fmt: skip
            _project(memory.raw, states, weights.projection, row, after, rows, y.shape[1])
            _zone_out(masks.update, states, offsets[t] + first, before, after, rows)
            _emit(y, states, offsets[t] + first, after, rows)
            _mask_operands(masks.recurrent, operands, states, first, after, rows)
    leave(board, party)


@kernel(inline="always")
def _alive(offsets, t, first, last):
    """Return how many of the sequences `first` to `last` have a step t."""
    return max(0, min(last, offsets[t + 1] - offsets[t]) - first)


@kernel(inline="always")
def _input_products(gates, x, panels, bias, schedule, begin, end, first, last):
    """Compute the bias and the input's part of the pre-activations of the steps `begin` to `end`."""
    offsets, gate_rows = schedule.offsets, schedule.gate_rows
    input_begin, input_columns = schedule.spans[0], schedule.spans[1]
    width, depth = gates.shape[1], x.shape[1]
    for t in range(begin, end):
        row = gate_rows[t] + first
        for place in range(row * width, (row + _alive(offsets, t, first, last)) * width, width):
            for j in range(0, len(bias), lanes(gates)):
                store(gates, place + j, load(bias, j))
    for column in range(0, input_columns, PANEL_VECTORS * lanes(gates)):
        vectors = min(PANEL_VECTORS * lanes(gates), input_columns - column) // lanes(gates)
        for t in range(begin, end):
            place = (gate_rows[t] + first) * width + input_begin + column
            panel_product(gates, place, width, x, (offsets[t] + first) * depth, depth, 1, panels, column * depth,
                          _alive(offsets, t, first, last), depth, vectors)  # fmt: skip


@kernel(inline="always")
def _step(gates, states, cell, units, row, before, after, rows, keep):
    """Apply the cell to the pre-activations of one step."""
    width, padded = gates.shape[1], states.shape[2]
    stride = states.shape[1] * padded
    for b in range(rows):
        for j in range(0, padded, lanes(gates)):
            place = (row + b) * width + j
            z = load_slots(cell, gates, place, padded)
            state = load_states(cell, states, (before + b) * padded + j, stride)
            new_state, saved = forward(cell, z, state, load_units(cell, units, j, padded))
            store_many(states, (after + b) * padded + j, stride, new_state)
            if keep:
                store_many(gates, place, padded, saved)


@kernel(inline="always")
def _emit(y, states, y_row, after, rows):
    """Copy the output of a step from the states to y."""
    columns, padded = y.shape[1], states.shape[2]
    for b in range(rows):
        for j in range(0, columns, lanes(y)):
            store_first(y, (y_row + b) * columns + j, load(states, (after + b) * padded + j), columns - j)


# ------------------------------------------------------------------------------------------------------ backward


@kernel
def recurrence_backward(board, party, gradients, memory, cell, dy, weights, masks, schedule, first, last):
    """Run a cell's backward pass over the sequences `first` to `last`, from the last step to the first."""
    # dy (R, output)
    enter(board, party)
    gates, states, d_states = memory.gates, memory.states, gradients.states
    offsets, state_rows = schedule.offsets, schedule.state_rows
    recurrent_begin, recurrent_columns = schedule.spans[2], schedule.spans[3]
    width, padded = gates.shape[1], states.shape[2]
    for t in range(len(offsets) - 2, -1, -1):
        rows = _alive(offsets, t, first, last)
        row, before = offsets[t] + first, state_rows[t] + first
        _collect(d_states, dy, row, first, rows)
        _zone_out_backward(gradients.carried, d_states, masks.update, row, first, rows)
        _project_backward(gradients.output, d_states, weights.projection, row, first, rows, dy.shape[1])
        _standardized_output_backward(memory.standardized, memory.scales, d_states, gates, cell, weights.units,
                                      gradients.row, schedule.spans, row, first, rows)  # fmt: skip
        _keep_rows(gradients.row, gates, row, first, rows)
        _step_backward(gates, d_states, gradients.units, cell, states, memory.standardized, weights.units, row, before,
                       first, rows)  # fmt: skip
        _late_product_backward(gradients.late, gates, d_states, cell, states, masks.recurrent, weights.late,
                               schedule.spans, row, before, first, rows)  # fmt: skip
        _standardize_products_backward(memory.scales, gates, gradients.row, schedule.spans, row, first, rows)
        packed_product(gradients.through, first * padded, padded, gates, row * width + recurrent_begin, width, 1,
                       weights.recurrent, rows, recurrent_columns, dy.shape[1])  # fmt: skip
        _mask_operands_backward(gradients.operand, d_states, masks.recurrent, first, rows)
        _carry(gradients.carried, d_states, first, rows)
    leave(board, party)


@kernel(inline="always")
def _collect(d_states, dy, row, first, rows):
    """Add the output's gradient to that of the state."""
    columns, padded = dy.shape[1], d_states.shape[2]
    for b in range(rows):
        for j in range(0, columns, lanes(dy)):
            place = (first + b) * padded + j
            above = load_first(dy, (row + b) * columns + j, columns - j)
            store(d_states, place, load(d_states, place) + above)


@kernel(inline="always")
def _step_backward(gates, d_states, d_units, cell, states, standardized, units, row, before, first, rows):
    """Apply the cell's backward step to one step of the sequences; d_states goes from after it to before it."""
    width, padded = gates.shape[1], states.shape[2]
    stride, d_stride, unit_stride = states.shape[1] * padded, d_states.shape[1] * padded, d_units.shape[1] * padded
    for b in range(rows):
        for j in range(0, padded, lanes(gates)):
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
def _zone_out(update, states, mask_row, before, after, rows):
    """Let each state keep a part of its old value: s = old + update · (new − old) (Krueger et al. 2017)."""
    if update is not None:
        padded = states.shape[2]
        for n in range(states.shape[0]):
            for b in range(rows):
                mask = (n * update.shape[1] + (mask_row + b if update.shape[1] > 1 else 0)) * padded
                old, new = (n * states.shape[1] + before + b) * padded, (n * states.shape[1] + after + b) * padded
                for j in range(0, padded, lanes(states)):
                    previous = load(states, old + j)
                    change = load(states, new + j) - previous
                    store(states, new + j, previous + load(update, mask + j) * change)


@kernel
def _zone_out_backward(carried, d_states, update, row, first, rows):
    """Split the gradient of each state into that of the new value and what passes the step."""
    if carried is not None:
        padded = d_states.shape[2]
        for n in range(d_states.shape[0]):
            for b in range(rows):
                mask, place = (n * update.shape[1] + row + b) * padded, (n * d_states.shape[1] + first + b) * padded
                for j in range(0, padded, lanes(d_states)):
                    d = load(d_states, place + j)
                    share = d * load(update, mask + j)
                    store(d_states, place + j, share)
                    store(carried, place + j, d - share)


@kernel
def _carry(carried, d_states, first, rows):
    """Add what passed the step by zoneout."""
    if carried is not None:
        for n in range(d_states.shape[0]):
            d_states[n, first : first + rows] += carried[n, first : first + rows]


@kernel
def _mask_operands(mask, operands, states, first, after, rows):
    """Write the output as the recurrent product of the next step takes it, under its mask."""
    if mask is not None:
        operands[0, after : after + rows] = states[0, after : after + rows] * mask[first : first + rows]


@kernel
def _mask_operands_backward(d_operand, d_states, mask, first, rows):
    """Add what came through the recurrent product under the mask."""
    if d_operand is not None:
        d_states[0, first : first + rows] += d_operand[0, first : first + rows] * mask[first : first + rows]
        d_operand[0, first : first + rows] = 0


@kernel
def column_sums(sums, rows, first, last):
    """Compute sums += the columns `first` to `last` (whole vectors) of rows (R, width), each summed over the rows."""
    width = rows.shape[1]
    for j in range(first, last, lanes(rows)):
        total = load(sums, j)
        for r in range(rows.shape[0]):
            total = total + load(rows, r * width + j)
        store(sums, j, total)
