"""The time loop of every recurrent cell: whole sequences forward, and backward through time.

The rows of a batch stand in packed order: longest sequence first, and step after step without padding, so that the rows
of step t are ``offsets[t]`` to ``offsets[t + 1]`` and the sequences that are still alive are always the first ones. A
thread takes the sequences `first` to `last` of the batch through all steps; threads share nothing but the weights.

A row of `gates` has `slots` pre-activations for each of `padded` hidden units (whole vectors; the weights of the units
beyond `hidden` are zero), a slot behind the other. Forward turns them into what backward needs, and backward turns that
into their gradients, in place; the weight gradients are then single products over all rows.
"""

from fastrnn._jit import kernel
from fastrnn.cells._cell import backward, forward, load_slots, load_states
from fastrnn.kernels.gemm import PANEL_VECTORS, packed_product, panel_product
from fastrnn.simd import lanes, load, load_first, store, store_first, store_many


@kernel
def recurrence_forward(
    y,  # (R, hidden), out
    gates,  # (rows, width), out: kept for backward, or the buffer of a chunk of steps
    states,  # (N, rows, padded), in and out: the initial states first
    cell,
    x,  # (R, D)
    input_panels,  # W_ih as a (D, input slots · padded) matrix, packed
    recurrent_panels,  # W_hh as a (hidden, recurrent slots · padded) matrix, packed
    bias,  # (slots · padded,)
    offsets,  # (T + 1,) first packed row of each step
    gate_rows,  # (T,) first row of each step in gates
    state_rows,  # (T + 1,) first row in states of what each step starts from
    spans,  # (first column, columns) of the input's and of the recurrent product in gates
    first,
    last,
    chunk,  # steps whose input products are made at once: as many as the second-level cache holds
    keep,
):
    """Run a cell over the sequences `first` to `last`: all steps, from `states` on."""
    input_begin, input_columns, recurrent_begin, recurrent_columns = spans
    steps, depth, hidden = len(gate_rows), x.shape[1], y.shape[1]
    width, padded = gates.shape[1], states.shape[2]
    panel = PANEL_VECTORS * lanes(gates)
    for begin in range(0, steps, chunk):
        end = min(begin + chunk, steps)
        for t in range(begin, end):
            _fill_rows(gates, gate_rows[t] + first, _alive(offsets, t, first, last), bias)
        for column in range(0, input_columns, panel):
            vectors = min(panel, input_columns - column) // lanes(gates)
            for t in range(begin, end):
                place = (gate_rows[t] + first) * width + input_begin + column
                panel_product(gates, place, width, x, (offsets[t] + first) * depth, depth, 1, input_panels,
                              column * depth, _alive(offsets, t, first, last), depth, vectors)  # fmt: skip
        for t in range(begin, end):
            rows = _alive(offsets, t, first, last)
            place = (gate_rows[t] + first) * width
            packed_product(gates, place + recurrent_begin, width, states, (state_rows[t] + first) * padded, padded, 1,
                           recurrent_panels, rows, hidden, recurrent_columns)  # fmt: skip
            _forward_step(y, (offsets[t] + first) * hidden, gates, place, states, (state_rows[t] + first) * padded,
                          (state_rows[t + 1] + first) * padded, cell, rows, keep)  # fmt: skip


@kernel(inline="always")
def _alive(offsets, t, first, last):
    """Return how many of the sequences `first` to `last` have a step t."""
    return max(0, min(last, offsets[t + 1] - offsets[t]) - first)


@kernel(inline="always")
def _fill_rows(gates, row, rows, bias):
    """Start pre-activations from the bias."""
    width = gates.shape[1]
    for place in range(row * width, (row + rows) * width, width):
        for j in range(0, len(bias), lanes(gates)):
            store(gates, place + j, load(bias, j))


@kernel(inline="always")
def _forward_step(y, y_place, gates, gate_place, states, before, after, cell, rows, keep):
    """Apply the cell to the pre-activations of one step."""
    hidden, width, padded = y.shape[1], gates.shape[1], states.shape[2]
    stride = states.shape[1] * padded
    for b in range(rows):
        for j in range(0, padded, lanes(gates)):
            place = gate_place + b * width + j
            z = load_slots(cell, gates, place, padded)
            state = load_states(cell, states, before + b * padded + j, stride)
            new_state, saved = forward(cell, z, state)
            store_many(states, after + b * padded + j, stride, new_state)
            store_first(y, y_place + b * hidden + j, new_state[0], hidden - j)
            if keep:
                store_many(gates, place, padded, saved)


@kernel
def recurrence_backward(
    gates,  # (R, width), in: what forward kept; out: gradients of the pre-activations
    d_states,  # (N, B, padded), in: gradients of the final states; out: of the initial ones
    cell,
    states,  # (N, B + R, padded)
    dy,  # (R, hidden)
    recurrent_panels,  # W_hh as a (recurrent slots · padded, padded) matrix, packed
    offsets,  # (T + 1,)
    state_rows,  # (T + 1,)
    spans,
    first,
    last,
):
    """Run a cell's backward pass over the sequences `first` to `last`, from the last step to the first."""
    recurrent_begin, recurrent_columns = spans[2], spans[3]
    width, padded = gates.shape[1], states.shape[2]
    for t in range(len(offsets) - 2, -1, -1):
        rows = _alive(offsets, t, first, last)
        row = offsets[t] + first
        _backward_step(gates, row, d_states, first, cell, states, (state_rows[t] + first) * padded,
                       (state_rows[t + 1] + first) * padded, dy, rows)  # fmt: skip
        packed_product(d_states, first * padded, padded, gates, row * width + recurrent_begin, width, 1,
                       recurrent_panels, rows, recurrent_columns, padded)  # fmt: skip


@kernel(inline="always")
def _backward_step(gates, row, d_states, first, cell, states, before, after, dy, rows):
    """Apply the cell's backward step to one step of the sequences; d_states goes from after it to before it."""
    hidden, width, padded = dy.shape[1], gates.shape[1], states.shape[2]
    stride, d_stride = states.shape[1] * padded, d_states.shape[1] * padded
    for b in range(rows):
        for j in range(0, padded, lanes(gates)):
            place = (row + b) * width + j
            d_place = (first + b) * padded + j
            store(d_states, d_place, load(d_states, d_place) + load_first(dy, (row + b) * hidden + j, hidden - j))
            d_new_state = load_states(cell, d_states, d_place, d_stride)
            saved = load_slots(cell, gates, place, padded)
            state = load_states(cell, states, before + b * padded + j, stride)
            new_state = load_states(cell, states, after + b * padded + j, stride)
            dz, d_state = backward(cell, saved, state, new_state, d_new_state)
            store_many(gates, place, padded, dz)
            store_many(d_states, d_place, d_stride, d_state)


@kernel
def column_sums(sums, rows, first, last):
    """Compute sums += the columns `first` to `last` (whole vectors) of rows (R, width), each summed over the rows."""
    width = rows.shape[1]
    for j in range(first, last, lanes(rows)):
        total = load(sums, j)
        for r in range(rows.shape[0]):
            total = total + load(rows, r * width + j)
        store(sums, j, total)
