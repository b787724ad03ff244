"""The stages of a step besides the recurrent product and the cell's equations, forward beside backward.

A stage is a function whose first argument is None if a cell or a layer does not have the stage. Its body is then left
out when the driver is compiled, and costs nothing. The table has the order of a step in `fastrnn.kernels.recurrence`;
backward runs in reverse. Arrays are those of `recurrence.Memory`.

====================  =======================  =========================  =====================================
stage                 which cells or layers    reads                      writes
====================  =======================  =========================  =====================================
input part            all; many steps at once  inputs, bias               `gates`: input slots
attend                ``context_size``         h before, `attention`      `attention`; `gates`: adds to input slots
recurrent product     ``recurrent_slots``      `masked`, or h before      `gates`: adds to recurrent slots
standardize_products  ``normalized``           `gates`                    `gates`, `scales`
gated_product         ``gated_slots``          `gates`, `states` before   `gated`; `gates`: adds to gated slots
cell step             all                      `gates`, `states` before   `states` after; `gates`: kept values
standardized_output   ``standardized_state``   `gates`, `states` after    `standardized`, `scales`, h after
project               ``proj_size``            h after                    `raw`, h after
zone_out              ``zoneout``              `states` before and after  `states` after
output                all                      h after                    y
mask_output           ``recurrent_dropout``    h after                    `masked`
====================  =======================  =========================  =====================================

These stages are planned. `fastrnn.cells._cell.PLANNED` holds the declarations of those that belong to a cell; a cell
that makes one is refused until the stage is there.

- Input window (``window``; quasi-recurrent networks): a part of the input part. The products of a step read the inputs
  of the last `window` steps; backward adds to the gradients of all of them.
- Skip slots (``skip_slots``; the highway of simple recurrent units): a part of the input part. A skip slot receives x
  itself and not a product of it; backward adds the slot's gradient to dx.
- Decay (``decays``; GRU-D): before the input part, x is replaced by its decayed last value where it is missing; before
  the recurrent product, `states` before are multiplied by their decay. Both factors depend on the time since the last
  value and have parameters; backward adds to their gradients.
- Heads (``heads``; block-diagonal W_hh): inside the recurrent product, one product for each block of units.
"""

import math

from fastrnn._jit import kernel
from fastrnn.cells._cell import (
    gate_state,
    gate_state_backward,
    load_slots,
    load_states,
    load_units,
    output,
    output_backward,
)
from fastrnn.kernels.attention import attend_row, attend_row_backward
from fastrnn.kernels.attention_scores import add_weighted_sum
from fastrnn.kernels.gemm import Strides, packed_product
from fastrnn.kernels.recurrent_panels import pack_columns, pack_gates
from fastrnn.simd import add_many, lanes, load, load_first, store, store_first, store_many, sum_lanes, zero

EPSILON = 1e-5  # added to the variance of layer normalization


# -------------------------------------------------------------------------- attention: the lowest layer of a decoder


@kernel
def pack_context(weights, blocks, columns, padded, board, thread):
    """Pack the columns of W_ih that the contexts are multiplied by."""
    if weights is not None:
        pack_gates(None, weights.panels, weights.context, blocks, columns, padded, 0, padded, board, thread)


@kernel
def pack_context_backward(weights, blocks, columns, padded, board, thread):
    """Pack the same columns for the product with the gradients."""
    if weights is not None:
        size = weights.context.shape[1]
        pack_columns(weights.panels, weights.context, blocks, columns, size, padded, 0, padded, board, thread)


@kernel
def attend(attention, weights, gates, states, order, layout, step, size, thread):
    """Compute each sequence's context from h before the step, and add its product with W_ih to the input slots.

    Where there is a table of the products of all values, the sum of its rows takes the place of the product.
    """
    if attention is not None:
        queries, contexts, weights_out = attention.queries, attention.contexts, attention.weights
        wide, depth, first = queries.shape[1], contexts.shape[1], step.gate_row
        _queries(queries, states, weights.query, weights.bias, step, size)
        row, table, columns, width = attention.rows[thread], attention.table, layout.input, gates.shape[1]
        for b in range(step.count):
            place, source = order[step.row + b], attention.sources[step.first + b]
            attend_row(contexts, (first + b) * depth, weights_out, place * weights_out.shape[2], queries,
                       (first + b) * wide, attention.keys, attention.powers, attention.values, attention.score, row,
                       source[0], source[1], attention.reaches[step.first + b])  # fmt: skip
            for j in range(0, depth, lanes(contexts)):
                context = load_first(contexts, (first + b) * depth + j, depth - j)
                store_first(attention.padded_contexts, place * depth + j, context, depth - j)
            if len(table) > 0:
                add_weighted_sum(gates, (first + b) * width + columns.begin, row, _length(attention.score), table,
                                 source[0], source[1])  # fmt: skip
        if len(table) == 0:
            packed_product(gates, Strides(first * width + columns.begin, width, 1), contexts,
                           Strides(first * depth, depth, 1), weights.panels, step.count, depth,
                           columns.count)  # fmt: skip


@kernel
def _queries(queries, states, panels, bias, step, size):
    """Compute the queries of a step from h before it: h itself if there are no `panels`."""
    # queries (rows of gates, A padded to whole vectors), states (N, rows, padded)
    wide, padded, first = queries.shape[1], states.shape[2], step.gate_row
    for b in range(step.count):
        for j in range(0, wide, lanes(queries)):
            if panels is None:
                store(queries, (first + b) * wide + j, load(states, (step.before + b) * padded + j))
            else:
                store(queries, (first + b) * wide + j, load(bias, j))
    if panels is not None:
        packed_product(queries, Strides(first * wide, wide, 1), states, Strides(step.before * padded, padded, 1),
                       panels, step.count, size, wide)  # fmt: skip


@kernel
def attend_backward(gradients, attention, weights, gates, d_states, order, layout, step, size, thread):
    """Add to the gradients of the contexts their part through the gates; propagate them to keys, v and h before."""
    if gradients is not None:
        queries, d_contexts, shares = attention.queries, gradients.contexts, attention.weights
        d_context, d_queries, columns = gradients.context, gradients.queries, layout.input
        width, wide, padded, depth = gates.shape[1], queries.shape[1], d_context.shape[1], d_contexts.shape[2]
        first, gate_row = step.first, step.gate_row
        d_context[first : first + step.count] = 0
        packed_product(d_context, Strides(first * padded, padded, 1), gates,
                       Strides(gate_row * width + columns.begin, width, 1), weights.panels, step.count, columns.count,
                       depth)  # fmt: skip
        row, score_size = attention.rows[thread], _length(attention.score)
        for b in range(step.count):
            place, query_at, source = order[step.row + b], (gate_row + b) * wide, attention.sources[first + b]
            for j in range(0, depth, lanes(gates)):
                d = load_first(d_contexts, place * depth + j, depth - j) + load(d_context, (first + b) * padded + j)
                store_first(d_contexts, place * depth + j, d, depth - j)
            attend_row_backward(d_queries, query_at, gradients.keys, gradients.scores, (first + b) * score_size,
                                d_contexts, place * depth, shares, place * shares.shape[2], queries, query_at,
                                attention.keys, attention.powers, attention.values, attention.score, row, source[0],
                                source[1], attention.reaches[first + b])  # fmt: skip
        _queries_backward(d_states, d_queries, weights.query, attention.keys.shape[1], step, size)


@kernel
def _queries_backward(d_states, d_queries, panels, keys, step, size):
    """Add to the gradient of h before the step its part through the queries, of `keys` elements each."""
    wide, padded = d_queries.shape[1], d_states.shape[2]
    if panels is None:
        for b in range(step.count):
            for j in range(0, size, lanes(d_states)):
                place = (step.first + b) * padded + j
                d = load_first(d_queries, (step.gate_row + b) * wide + j, size - j)
                store(d_states, place, load(d_states, place) + d)
    else:
        packed_product(d_states, Strides(step.first * padded, padded, 1), d_queries,
                       Strides(step.gate_row * wide, wide, 1), panels, step.count, keys, size)  # fmt: skip


@kernel(cache=False)
def _length(array):
    """Return the length of an array, 0 for None."""
    if array is None:
        return 0
    return len(array)


# ----------------------------------------------------------------------- gated product: a gate before the product (GRU)


@kernel
def gated_product(gated, gates, states, cell, mask, panels, layout, step):
    """Compute the gated state, and add its product with W_hh to the gated slots."""
    if gated is not None:
        columns, width, padded = layout.gated, gates.shape[1], states.shape[2]
        for b in range(step.count):
            for j in range(0, padded, lanes(gates)):
                place = (step.gate_row + b) * width + j
                state = load_states(cell, states, (step.before + b) * padded + j, states.shape[1] * padded)
                slots, operand = gate_state(cell, load_slots(cell, gates, place, padded), state)
                store_many(gates, place, padded, slots)
                if mask is not None:
                    operand = operand * load(mask, (step.first + b) * padded + j)
                store(gated, (step.gate_row + b) * padded + j, operand)
        packed_product(gates, Strides(step.gate_row * width + columns.begin, width, 1), gated,
                       Strides(step.gate_row * padded, padded, 1), panels, step.count, padded,
                       columns.count)  # fmt: skip


@kernel
def gated_product_backward(d_gated, gates, d_states, cell, states, mask, panels, layout, step):
    """Propagate the gradients of the gated slots to the gated state, and further to the gates and the state."""
    if d_gated is not None:
        columns, width, padded, first = layout.gated, gates.shape[1], states.shape[2], step.first
        d_gated[first : first + step.count] = 0
        packed_product(d_gated, Strides(first * padded, padded, 1), gates,
                       Strides(step.gate_row * width + columns.begin, width, 1), panels, step.count, columns.count,
                       padded)  # fmt: skip
        for b in range(step.count):
            for j in range(0, padded, lanes(gates)):
                place, d_place = (step.gate_row + b) * width + j, (first + b) * padded + j
                d_operand = load(d_gated, d_place)
                if mask is not None:
                    d_operand = d_operand * load(mask, d_place)
                state = load_states(cell, states, (step.before + b) * padded + j, states.shape[1] * padded)
                dz, d_state = gate_state_backward(cell, load_slots(cell, gates, place, padded), state, d_operand)
                store_many(gates, place, padded, dz)
                add_many(d_states, d_place, d_states.shape[1] * padded, d_state)


# ---------------------------------------------------------------------------------- layer normalization: row reductions


@kernel(inline="always")
def _standardize(values, place, columns, count):
    """Standardize a row with `count` real elements and zeros up to `columns`; return 1 / standard deviation."""
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
    """Replace the gradient of a standardized row, whose values are `values`, by the gradient of the row."""
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
def standardize_products(scales, gates, layout, step):
    """Standardize the input's and the recurrent pre-activations of a step, each over all gates of a row."""
    if scales is not None:
        width, count, products = gates.shape[1], layout.hidden * layout.gates, (layout.input, layout.recurrent)
        for b in range(step.count):
            for k in range(2):
                columns = products[k]
                place = (step.gate_row + b) * width + columns.begin
                scales[step.gate_row + b, k] = _standardize(gates, place, columns.count, count)


@kernel
def keep_rows(kept, gates, step):
    """Copy the rows of a step that forward kept, before the cell's backward step overwrites them."""
    if kept is not None:
        kept[step.first : step.first + step.count] = gates[step.gate_row : step.gate_row + step.count]


@kernel
def standardize_products_backward(scales, gates, kept, layout, step):
    """Replace the gradients of standardized pre-activations by those of the products."""
    if scales is not None:
        width, count, products = gates.shape[1], layout.hidden * layout.gates, (layout.input, layout.recurrent)
        for b in range(step.count):
            for k in range(2):
                columns = products[k]
                place = (step.gate_row + b) * width + columns.begin
                kept_place = (step.first + b) * width + columns.begin
                _standardize_backward(gates, place, kept, kept_place, columns.count, count,
                                      scales[step.gate_row + b, k])  # fmt: skip


@kernel
def standardized_output(standardized, scales, gates, states, cell, units, layout, step):
    """Standardize a new state over the units of a row, and compute the output from it."""
    if standardized is not None:
        width, padded, source = gates.shape[1], states.shape[2], layout.standardized * states.shape[1]
        for b in range(step.count):
            place = (step.gate_row + b) * padded
            for j in range(0, padded, lanes(gates)):
                store(standardized, place + j, load(states, (source + step.after + b) * padded + j))
            scales[step.gate_row + b, 2] = _standardize(standardized, place, padded, layout.hidden)
            for j in range(0, padded, lanes(gates)):
                z = load_slots(cell, gates, (step.gate_row + b) * width + j, padded)
                h = output(cell, z, load(standardized, place + j), load_units(cell, units, j, padded))
                store(states, (step.after + b) * padded + j, h)


@kernel
def standardized_output_backward(standardized, scales, d_states, gates, cell, units, scratch, layout, step):
    """Add to the gradient of the new state its part through the standardization."""
    if standardized is not None:
        width, padded, target = gates.shape[1], d_states.shape[2], layout.standardized * d_states.shape[1]
        for b in range(step.count):
            row, place, d_place = (step.first + b) * width, (step.gate_row + b) * padded, (step.first + b) * padded
            for j in range(0, padded, lanes(gates)):
                z = load_slots(cell, gates, (step.gate_row + b) * width + j, padded)
                dh = load(d_states, d_place + j)
                d = output_backward(cell, z, load(standardized, place + j), load_units(cell, units, j, padded), dh)
                store(scratch, row + j, d)
            _standardize_backward(scratch, row, standardized, place, padded, layout.hidden,
                                  scales[step.gate_row + b, 2])  # fmt: skip
            for j in range(0, padded, lanes(gates)):
                c_place = target * padded + d_place + j
                store(d_states, c_place, load(d_states, c_place) + load(scratch, row + j))


@kernel
def load_standardized(standardized, states, place):
    """Return a vector of the standardized state, or any vector where there is none."""
    if standardized is None:
        return load(states, 0)
    return load(standardized, place)


# ------------------------------------------------------------------------------------------------------- projection


@kernel
def project(raw, states, panels, step, columns):
    """Move the cell's output to `raw`, and put its projection in its place (Sak et al. 2014)."""
    if raw is not None:
        padded = states.shape[2]
        for b in range(step.count):
            for j in range(0, padded, lanes(states)):
                place = (step.after + b) * padded + j
                value = load(states, place)
                store(raw, (step.gate_row + b) * padded + j, value)
                store(states, place, zero(value))
        packed_product(states, Strides(step.after * padded, padded, 1), raw,
                       Strides(step.gate_row * padded, padded, 1), panels, step.count, padded, columns)  # fmt: skip


@kernel
def project_backward(d_output, d_states, panels, step, columns):
    """Keep the gradient of the projected output, and put that of the cell's output in its place."""
    if d_output is not None:
        padded, first, row = d_states.shape[2], step.first, step.row
        d_output[row : row + step.count] = d_states[0, first : first + step.count]
        d_states[0, first : first + step.count] = 0
        packed_product(d_states, Strides(first * padded, padded, 1), d_output, Strides(row * padded, padded, 1),
                       panels, step.count, columns, padded)  # fmt: skip


# ----------------------------------------------------------------------------- regularizers: zoneout, recurrent dropout


@kernel
def zone_out(update, states, step, part):
    """Let each state keep a part of its old value: s = old + update · (new − old) (Krueger et al. 2017)."""
    if update is not None:
        padded = states.shape[2]
        for n in range(states.shape[0]):
            for b in range(step.count):
                mask = (n * update.shape[1] + (step.row + b if update.shape[1] > 1 else 0)) * padded
                old = (n * states.shape[1] + step.before + b) * padded
                new = (n * states.shape[1] + step.after + b) * padded
                for j in range(part.begin, part.end, lanes(states)):
                    previous = load(states, old + j)
                    change = load(states, new + j) - previous
                    store(states, new + j, previous + load(update, mask + j) * change)


@kernel
def zone_out_backward(carried, d_states, update, step, part):
    """Split the gradient of each state into that of the new value and that of the old one, carried past the step."""
    if carried is not None:
        padded = d_states.shape[2]
        for n in range(d_states.shape[0]):
            for b in range(step.count):
                mask = (n * update.shape[1] + step.row + b) * padded
                place = (n * d_states.shape[1] + step.first + b) * padded
                for j in range(part.begin, part.end, lanes(d_states)):
                    d = load(d_states, place + j)
                    share = d * load(update, mask + j)
                    store(d_states, place + j, share)
                    store(carried, place + j, d - share)


@kernel
def add_carried(carried, d_states, step, part):
    """Add the gradient that zoneout carried past the step."""
    if carried is not None:
        first, last, begin, end = step.first, step.first + step.count, part.begin, part.end
        for n in range(d_states.shape[0]):
            d_states[n, first:last, begin:end] += carried[n, first:last, begin:end]


@kernel
def mask_output(mask, masked, states, step, part):
    """Write h under its mask, for the recurrent product of the next step."""
    if mask is not None:
        count, begin, end = step.count, part.begin, part.end
        h = states[0, step.after : step.after + count, begin:end]
        masked[0, step.after : step.after + count, begin:end] = h * mask[step.first : step.first + count, begin:end]


@kernel
def mask_output_backward(d_masked, d_states, mask, step, part):
    """Add to the gradient of h its part through the masked recurrent product."""
    if d_masked is not None:
        first, last, begin, end = step.first, step.first + step.count, part.begin, part.end
        own = d_masked[0, first:last, begin:end]
        d_states[0, first:last, begin:end] += own * mask[first:last, begin:end]
        own[:] = 0
