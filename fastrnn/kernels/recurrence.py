"""The time loop of every recurrent cell: whole sequences forward, and backward through time.

The rows of a batch are packed: longest sequence first, time step after time step, without padding. The rows of step t
are ``offsets[t]`` to ``offsets[t + 1]``, and the sequences that still run are always the first ones.

Threads cut the batch or the hidden units (see `Part`). With the batch cut, a thread takes its sequences through all
steps by itself. With the units cut, the weights of a thread's units stay in the cache of its core, and all threads meet
at a barrier in each step.

A row of `gates` holds the pre-activations: for each slot of the cell, those of all hidden units, padded with units of
weight zero to whole vectors (`padded`). Forward replaces them by the values that backward needs; backward replaces
these by gradients. The weight gradients are then single products over all rows (`fastrnn.kernels.weight_gradients`).

A step is the recurrent product and the cell's equations. `fastrnn.kernels.stages` adds what only some cells or layers
have, and lists all stages in their order.
"""

from typing import NamedTuple

from fastrnn._jit import kernel
from fastrnn.cells._cell import backward, forward, load_slots, load_states, load_units
from fastrnn.kernels.gemm import (
    PANEL_VECTORS,
    Strides,
    packed_product,
    panel_product,
)
from fastrnn.kernels.recurrent_panels import pack_columns, pack_gates
from fastrnn.kernels.stages import (
    add_carried,
    attend,
    attend_backward,
    gated_product,
    gated_product_backward,
    keep_rows,
    load_standardized,
    mask_output,
    mask_output_backward,
    pack_context,
    pack_context_backward,
    project,
    project_backward,
    standardize_products,
    standardize_products_backward,
    standardized_output,
    standardized_output_backward,
    zone_out,
    zone_out_backward,
)
from fastrnn.kernels.threads import barrier, enter, leave
from fastrnn.simd import add_many, lanes, load, load_first, store, store_first, store_many


class Columns(NamedTuple):
    """Neighbouring columns in a row of `Memory.gates`."""

    begin: int
    count: int


class Layout(NamedTuple):
    """Where the products of a cell add to a row of `Memory.gates`, and the sizes that its stages need."""

    input: Columns  # of W_ih·x
    recurrent: Columns  # of W_hh·h
    gated: Columns  # of W_hh times the gated state
    hidden: int  # H, without padding
    gates: int  # G
    standardized: int  # number of the state that is standardized; -1 for none


class Blocks(NamedTuple):
    """Gates that are neighbours both in a weight and in `Memory.gates`.

    A row is (first row in the weight, number of rows, first column in `Memory.gates`).
    """

    input: object  # (·, 3) for W_ih
    recurrent: object  # (·, 3) for W_hh


class AttentionWeights(NamedTuple):
    """The weights of the stage that attends."""

    context: object  # the columns of W_ih for the context (gates · hidden, M)
    panels: object  # the same, transposed and packed; backward: not transposed
    query: object  # W_query packed, as (output, A); backward: (A, output); or None if the query is h
    bias: object  # (A padded to whole vectors,), or None


class Weights(NamedTuple):
    """The weights, and their panels for the products (see `fastrnn.kernels.gemm`)."""

    input: object  # W_ih (gates · hidden, D)
    recurrent: object  # W_hh without the rows of the gated slots (gates · hidden, output)
    blocks: Blocks
    input_panels: object  # W_ihᵀ packed
    recurrent_panels: object  # W_hhᵀ packed; backward: W_hh
    packed: bool  # whether both are; otherwise the threads pack them together
    gated: object  # the rows of W_hh for the gated slots, packed likewise, or None
    projection: object  # W_hr packed, as (hidden, output); backward: (output, hidden); or None
    bias: object  # (slots · padded,)
    units: object  # (unit parameters, padded)
    attention: object  # `AttentionWeights`, or None


class Output(NamedTuple):
    """The output or its gradient: the columns `begin` to `end` of a matrix, whose rows may be in another order."""

    values: object  # (rows, ·)
    order: object  # (R,) the row of `values` for each packed row
    begin: int
    end: int


class Schedule(NamedTuple):
    """Where the rows of each step are, and how many of them are kept."""

    offsets: object  # (T + 1,) first packed row of each step
    gate_rows: object  # (T,) first row of each step in gates, and in all arrays with "rows of gates"
    state_rows: object  # (T + 1,) first row in states of the states before each step; the last are the final ones
    layout: Layout
    chunk: int  # steps whose input products are computed together, so that they stay in the second-level cache
    keep: bool  # whether what backward needs is kept; otherwise gates are a buffer for one chunk


class Part(NamedTuple):
    """A thread's part of a pass: some sequences with all units, or all sequences with some units (whole vectors)."""

    first: int  # sequences `first` to `last`
    last: int
    begin: int  # units `begin` to `end`
    end: int


class Step(NamedTuple):
    """The rows of one step that a thread computes."""

    count: int  # sequences of the thread's part that still run
    first: int  # the first of them, in arrays with a row for each sequence
    row: int  # first packed row
    gate_row: int  # first row of gates
    before: int  # first row in states of the states before the step
    after: int  # first row in states of the states after it


class Attention(NamedTuple):
    """What the sequences attend to, and what they read from there. The arguments of `attend_row` have its shapes."""

    keys: object  # (source rows, A)
    powers: object  # of the keys, for the additive score, or None
    values: object  # (source rows, M)
    table: object  # (source rows, input columns), their products with the context's weights; no rows: of contexts
    score: object  # of the additive score, or None
    sources: object  # (B, 2) the first of each sequence's source rows, and the row behind the last
    reaches: object  # (B,) see `prepare_keys`
    queries: object  # (rows of gates, A padded to whole vectors)
    contexts: object  # (rows of gates, M)
    padded_contexts: object  # (T, B, M) the contexts in the rows of the outputs
    weights: object  # (T, B, S) in the rows of the outputs
    rows: object  # (threads, ·) scratch


class Memory(NamedTuple):
    """The arrays that forward writes, and keeps for backward."""

    gates: object  # (rows of gates, width)
    states: object  # (N, rows, padded), the initial states first
    masked: object  # (1, rows, padded), h under the mask of the recurrent product, or None
    gated: object  # (rows of gates, padded), the gated state, or None
    raw: object  # (rows of gates, padded), the output before the projection, or None
    standardized: object  # (rows of gates, padded), the standardized state, or None
    scales: object  # (rows of gates, 3), 1 / standard deviation of input part, recurrent part and state, or None
    attention: object  # `Attention`, or None


class Masks(NamedTuple):
    """The factors of regularizers."""

    recurrent: object  # (B, padded) for h in the recurrent product, or None
    update: object  # (N, rows or 1, padded), the share of the new value in each state (zoneout), or None


class AttentionGradients(NamedTuple):
    """Gradients of what the sequences attend to, and of what they read."""

    keys: object  # (source rows, A), added to
    scores: object  # (B, ·) that of `Attention.score` for each sequence, zeros before; or None
    contexts: object  # (T, B, M) in the rows of the outputs; in: from above; out: the part through the gates added
    context: object  # (B, M padded to whole vectors), the part through the gates in a step
    queries: object  # (R, A padded to whole vectors)


class Gradients(NamedTuple):
    """Gradients of states and unit parameters, and scratch arrays of the backward pass."""

    states: object  # (N, B, padded), in: of the final states; out: of the initial ones
    units: object  # (B, unit parameters, padded), zeros before
    masked: object  # (1, B, padded), gradient of h under the mask of the recurrent product, zeros before; or None
    gated: object  # (B, padded), gradient of the gated state, or None
    output: object  # (R, padded), gradient of the projected output, or None
    carried: object  # (N, B, padded), gradient that zoneout carries past a step, or None
    row: object  # (B, width), a copy of the rows that forward kept, or None
    attention: object  # `AttentionGradients`, or None


# ------------------------------------------------------------------------------------------------------- forward


@kernel
def recurrence_forward(board, thread, y, memory, cell, inputs, weights, masks, schedule, part):
    """Run a cell over a part of the sequences or units: all steps, from `memory.states` on.

    If ``inputs.ids`` is None, ``inputs.vectors`` are the inputs (R, D). Otherwise they are a table (V, input columns)
    of the input's part of the pre-activations, bias included, and ``inputs.ids`` (R,) is its row for each input.
    """
    # y: an `Output`
    enter(board, thread)
    gates, states, layout = memory.gates, memory.states, schedule.layout
    padded, steps, size = states.shape[2], len(schedule.gate_rows), y.end - y.begin
    operand = _recurrent_operand(memory.masked, states)
    if not weights.packed:
        pack_gates(inputs.ids, weights.input_panels, weights.input, weights.blocks.input, layout.input, padded,
                   part.begin, part.end, board, thread)  # fmt: skip
        pack_gates(None, weights.recurrent_panels, weights.recurrent, weights.blocks.recurrent, layout.recurrent,
                   padded, part.begin, part.end, board, thread)  # fmt: skip
        pack_context(weights.attention, weights.blocks.input, layout.input, padded, board, thread)
        barrier(board, thread)
    for start in range(0, steps, schedule.chunk):
        stop = min(start + schedule.chunk, steps)
        _input_products(inputs.ids, gates, inputs.vectors, weights.input_panels, weights.bias, schedule, padded, start,
                        stop, part)  # fmt: skip
        _look_up(inputs.ids, gates, inputs.vectors, weights.bias, schedule, padded, start, stop, part)
        for t in range(start, stop):
            step = _step_rows(schedule, schedule.gate_rows, part, t)
            attend(memory.attention, weights.attention, gates, states, y.order, layout, step, size, thread)
            _recurrent_product(gates, operand, weights.recurrent_panels, layout.recurrent, step, part, size)
            standardize_products(memory.scales, gates, layout, step)
            gated_product(memory.gated, gates, states, cell, masks.recurrent, weights.gated, layout, step)
            _cell_step(gates, states, cell, weights.units, step, part, schedule.keep)
            standardized_output(memory.standardized, memory.scales, gates, states, cell, weights.units, layout, step)
            project(memory.raw, states, weights.projection, step, size)
            zone_out(masks.update, states, step, part)
            _emit(y, states, step, part)
            mask_output(masks.recurrent, memory.masked, states, step, part)
            if part.end - part.begin < padded:
                barrier(board, thread)
    leave(board, thread)


@kernel(inline="always")
def _step_rows(schedule, gate_rows, part, t):
    """Return the rows of step t."""
    offsets, state_rows, first = schedule.offsets, schedule.state_rows, part.first
    return Step(
        _still_running(offsets, t, part),
        first,
        offsets[t] + first,
        gate_rows[t] + first,
        state_rows[t] + first,
        state_rows[t + 1] + first,
    )


@kernel
def _recurrent_operand(masked, states):
    """Return the array that [0] of the recurrent product reads h from, or that its gradient adds to."""
    if masked is None:
        return states
    return masked


@kernel(inline="always")
def _still_running(offsets, t, part):
    """Return how many of a part's sequences have a step t."""
    return max(0, min(part.last, offsets[t + 1] - offsets[t]) - part.first)


@kernel
def _input_products(ids, gates, x, panels, bias, schedule, padded, start, stop, part):
    """Compute the bias and the input's products of the steps `start` to `stop`, if there are no `ids`.

    A panel stays in the first-level cache for all steps. Steps whose rows follow each other are one product.
    """
    # gates (rows of gates, width), x (R, D), panels (D · input columns,), bias (slots · padded,)
    if ids is None:
        offsets, gate_rows, columns = schedule.offsets, schedule.gate_rows, schedule.layout.input
        first, last, begin, end = part
        width, depth = gates.shape[1], x.shape[1]
        slots, own = (1, columns.count) if end - begin == padded else (columns.count // padded, end - begin)
        all_rows = offsets[stop] - offsets[start]
        together = (first == 0 and last >= offsets[start + 1] - offsets[start]
                    and gate_rows[stop - 1] - gate_rows[start] == offsets[stop - 1] - offsets[start])  # fmt: skip
        for t in range(start, stop):
            row = gate_rows[t] + first
            for place in range(row * width, (row + _still_running(offsets, t, part)) * width, width):
                for slot in range(0, len(bias), padded):
                    for j in range(slot + begin, slot + end, lanes(gates)):
                        store(gates, place + j, load(bias, j))
        for slot in range(slots):
            packed_columns = begin * (columns.count // padded) + slot * own
            for column in range(0, own, PANEL_VECTORS * lanes(gates)):
                vectors = min(PANEL_VECTORS * lanes(gates), own - column) // lanes(gates)
                for t in range(start, stop, stop - start if together else 1):
                    place = (gate_rows[t] + first) * width + columns.begin + slot * padded + begin + column
                    rows = all_rows if together else _still_running(offsets, t, part)
                    panel_product(gates, Strides(place, width, 1), x, Strides((offsets[t] + first) * depth, depth, 1),
                                  panels, (packed_columns + column) * depth, rows, depth, vectors)  # fmt: skip


@kernel
def _look_up(ids, gates, table, bias, schedule, padded, start, stop, part):
    """Copy the input's part of the pre-activations of the steps `start` to `stop` from a table, if there are `ids`.

    The table has the bias in it.
    """
    # ids (R,), gates (rows of gates, width), table (V, input columns), bias (slots · padded,)
    if ids is not None:
        offsets, width, columns = schedule.offsets, gates.shape[1], schedule.layout.input
        first, _, begin, end = part
        for t in range(start, stop):
            for b in range(_still_running(offsets, t, part)):
                place = (schedule.gate_rows[t] + first + b) * width
                source = ids[offsets[t] + first + b] * columns.count - columns.begin
                for slot in range(0, len(bias), padded):
                    is_input = columns.begin <= slot < columns.begin + columns.count
                    for j in range(slot + begin, slot + end, lanes(gates)):
                        store(gates, place + j, load(table, source + j) if is_input else load(bias, j))


@kernel(inline="always")
def _recurrent_product(gates, h, panels, columns, step, part, depth):
    """Add h·W_hhᵀ to the pre-activations of a step: to all slots at once, or to a thread's own units of each slot."""
    # gates (rows of gates, width), h (·, rows, padded), panels (columns · depth,)
    width, padded, own = gates.shape[1], h.shape[2], part.end - part.begin
    slots = columns.count // padded
    products, count = (1, columns.count) if own == padded else (slots, own)
    for slot in range(products):
        place = (part.begin * slots + slot * count) * depth
        target = Strides(step.gate_row * width + columns.begin + slot * padded + part.begin, width, 1)
        packed_product(gates, target, h, Strides(step.before * padded, padded, 1), panels[place:], step.count, depth,
                       count)  # fmt: skip


@kernel(inline="always")
def _cell_step(gates, states, cell, units, step, part, keep):
    """Apply the cell to the pre-activations of a step."""
    width, padded = gates.shape[1], states.shape[2]
    stride = states.shape[1] * padded
    for b in range(step.count):
        for j in range(part.begin, part.end, lanes(gates)):
            place = (step.gate_row + b) * width + j
            z = load_slots(cell, gates, place, padded)
            state = load_states(cell, states, (step.before + b) * padded + j, stride)
            new_state, saved = forward(cell, z, state, load_units(cell, units, j, padded))
            store_many(states, (step.after + b) * padded + j, stride, new_state)
            if keep:
                store_many(gates, place, padded, saved)


@kernel
def _emit(y, states, step, part):
    """Copy the output of a step from the states to y."""
    values, order, size, padded = y.values, y.order, y.end - y.begin, states.shape[2]
    for b in range(step.count):
        place = order[step.row + b] * values.shape[1] + y.begin
        for j in range(part.begin, min(part.end, size), lanes(values)):
            store_first(values, place + j, load(states, (step.after + b) * padded + j), size - j)


# ------------------------------------------------------------------------------------------------------ backward


@kernel
def recurrence_backward(board, thread, gradients, memory, cell, dy, weights, masks, schedule, part, start, stop):
    """Run a cell's backward pass over a part of the sequences or units, from step `stop` - 1 back to `start`."""
    # dy: an `Output`
    enter(board, thread)
    gates, states, d_states, layout = memory.gates, memory.states, gradients.states, schedule.layout
    width, padded, size = gates.shape[1], states.shape[2], dy.end - dy.begin
    own = min(part.end, size) - part.begin
    columns, d_operand = layout.recurrent, _recurrent_operand(gradients.masked, d_states)
    if not weights.packed:
        pack_columns(weights.recurrent_panels, weights.recurrent, weights.blocks.recurrent, columns, own, padded,
                     part.begin, part.end, board, thread)  # fmt: skip
        pack_context_backward(weights.attention, weights.blocks.input, layout.input, padded, board, thread)
        barrier(board, thread)
    for t in range(stop - 1, start - 1, -1):
        step = _step_rows(schedule, schedule.offsets, part, t)
        _collect(d_states, dy, step, part)
        zone_out_backward(gradients.carried, d_states, masks.update, step, part)
        project_backward(gradients.output, d_states, weights.projection, step, size)
        standardized_output_backward(memory.standardized, memory.scales, d_states, gates, cell, weights.units,
                                     gradients.row, layout, step)  # fmt: skip
        keep_rows(gradients.row, gates, step)
        _cell_step_backward(gates, d_states, gradients.units, cell, states, memory.standardized, weights.units, step,
                            part)  # fmt: skip
        gated_product_backward(gradients.gated, gates, d_states, cell, states, masks.recurrent, weights.gated, layout,
                               step)  # fmt: skip
        standardize_products_backward(memory.scales, gates, gradients.row, layout, step)
        if part.end - part.begin < padded:
            barrier(board, thread)
        packed_product(d_operand, Strides(step.first * padded + part.begin, padded, 1), gates,
                       Strides(step.gate_row * width + columns.begin, width, 1),
                       weights.recurrent_panels[part.begin * columns.count :], step.count, columns.count,
                       own)  # fmt: skip
        mask_output_backward(gradients.masked, d_states, masks.recurrent, step, part)
        attend_backward(gradients.attention, memory.attention, weights.attention, gates, d_states, dy.order, layout,
                        step, size, thread)  # fmt: skip
        add_carried(gradients.carried, d_states, step, part)
    leave(board, thread)


@kernel
def _collect(d_states, dy, step, part):
    """Add the output's gradient to that of the state."""
    values, order, size, padded = dy.values, dy.order, dy.end - dy.begin, d_states.shape[2]
    for b in range(step.count):
        source, place = order[step.row + b] * values.shape[1] + dy.begin, (step.first + b) * padded
        for j in range(part.begin, min(part.end, size), lanes(values)):
            above = load_first(values, source + j, size - j)
            store(d_states, place + j, load(d_states, place + j) + above)


@kernel(inline="always")
def _cell_step_backward(gates, d_states, d_units, cell, states, standardized, units, step, part):
    """Apply the cell's backward step to a step; `d_states` goes from the states after it to those before it."""
    width, padded = gates.shape[1], states.shape[2]
    stride, d_stride, unit_stride = states.shape[1] * padded, d_states.shape[1] * padded, d_units.shape[1] * padded
    for b in range(step.count):
        for j in range(part.begin, part.end, lanes(gates)):
            place = (step.gate_row + b) * width + j
            d_place = (step.first + b) * padded + j
            d_new_state = load_states(cell, d_states, d_place, d_stride)
            saved = load_slots(cell, gates, place, padded)
            state = load_states(cell, states, (step.before + b) * padded + j, stride)
            extra = load_standardized(standardized, states, (step.gate_row + b) * padded + j)
            dz, d_state, d_unit = backward(cell, saved, state, load_units(cell, units, j, padded), d_new_state, extra)
            store_many(gates, place, padded, dz)
            store_many(d_states, d_place, d_stride, d_state)
            add_many(d_units, (step.first + b) * unit_stride + j, padded, d_unit)
