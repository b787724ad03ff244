"""Attention inside the time loop: memory before it, what a step launches, and gradients after it.

In each step, h before makes the queries, `fastrnn.cuda.attention` the contexts, and their product with the last columns
of W_ih is added to the input's part of the pre-activations.
"""

import numpy as np
from numba import cuda

from fastrnn.cells._cell import slot_blocks
from fastrnn.cuda.attention import add_source_gradients, attend, attend_backward, make_spans, over_queries
from fastrnn.cuda.blas import Matrix, RowProduct, gemm
from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.gpu import device
from fastrnn.cuda.recurrent_memory import Attention, AttentionGradients, block_parts
from fastrnn.cuda.reductions import add_columns
from fastrnn.cuda.rows import gather


def new_attention(attended, packing, room):
    """Return the `Attention` of a pass: an `Attended`, copied to where the time loop finds it again."""
    rows, sources, order = int(packing.offsets[-1]), attended.sources, packing.order
    if order is not None:
        sources = order if sources is None else np.asarray(sources)[order]
    given = make_spans(attended.offsets, sources, packing.lengths, packing.steps, packing.batch)
    spans = room.take("spans", given.size).viewed(given.dtype, given.shape)
    if given.size:
        device().upload(spans, given)
    keys, values = (
        room.take(name, *array.shape) for name, array in (("keys", attended.keys), ("values", attended.values))
    )
    device().copy(keys, attended.keys)
    device().copy(values, attended.values)
    has_query = attended.weight_query is not None
    return Attention(
        contexts=room.take("contexts", rows, values.shape[1]),
        weights=room.take("weights", rows, attended.weights.shape[2]),
        queries=room.take("queries", rows, keys.shape[1]) if has_query else None,
        keys=keys,
        values=values,
        score=attended.score,
        spans=spans,
        query=attended.weight_query,
        bias=attended.bias,
    )


def write_attended(attended, attention, packing):
    """Write contexts and weights to the arrays of an `Attended`; those behind a sequence's end become zeros."""
    rows = packing.uploaded("source_rows", False, True)
    for out, array in ((attended.contexts, attention.contexts), (attended.weights, attention.weights)):
        gather(out.reshaped((out.shape[0] * out.shape[1], out.shape[2])), array, rows)


def read_gradients(attended, attention, packing, room):
    """Return the `AttentionGradients` of a pass, with the gradients of the contexts from an `Attended` of gradients."""
    given, rows = attended.contexts, packing.uploaded("target_rows", False, True)
    contexts, scores = (room.take(f"d_{name}", *getattr(attention, name).shape) for name in ("contexts", "weights"))
    gather(contexts, given.reshaped((given.shape[0] * given.shape[1], given.shape[2])), rows)
    queries = None if attention.queries is None else room.take("d_queries", *attention.queries.shape)
    slopes = None if attention.score is None else room.take("slopes", *attention.keys.shape)
    return AttentionGradients(contexts, scores, queries, slopes)


class AttentionStage:
    """Prepares what a step of a time loop launches for its attention.

    Parameters
    ----------
    cell, hidden, output, precision
        As in `fastrnn.cuda.stepwise.StepwiseLoop`.
    """

    def __init__(self, cell, hidden, output, precision):
        self._hidden, self._output, self._precision = hidden, output, precision
        self._blocks = slot_blocks(cell.input_slots)

    def forward(self, memory, weights):
        """Return a function of a step, `row`, `count` and `before`, that adds the contexts' part to its gates."""
        gates, attention, plane = memory.gates, memory.attention, _plane_of_h(memory.states)
        contexts, shares, queries, keys, values, score, spans, weight, bias = attention
        ask = None
        if weight is not None:
            if bias is None:
                device().clear(queries)
            else:
                _repeat.over_matrix(*queries.shape, queries, bias)
            ask = RowProduct(Matrix(queries), Matrix(plane, 0, self._output), weight, transpose_b=True, add=True,
                             precision=self._precision)  # fmt: skip
        of_step = plane if ask is None else queries
        read = over_queries(attend, len(spans), contexts, shares, of_step, keys, values, score, spans)
        products = [
            RowProduct(own, Matrix(contexts), columns, transpose_b=True, add=True, precision=self._precision)
            for own, columns in self._parts(gates, weights.context, values.shape[1])
        ]

        def run(row, count, before):
            if ask is not None:
                ask(row, before, count)
            read(row, count, before if ask is None else row)
            for product in products:
                product(row, row, count)

        return run

    def backward(self, gradients, memory, weights):
        """Return a function of a step, once its gates are gradients, that adds to the gradient of h before it."""
        attention, d_h = memory.attention, _plane_of_h(gradients.states)
        d_contexts, d_scores, d_queries, _ = gradients.attention
        _, shares, queries, keys, values, score, spans, weight, _ = attention
        products = [
            RowProduct(Matrix(d_contexts), own, columns, add=True, precision=self._precision)
            for own, columns in self._parts(memory.gates, weights.context, values.shape[1])
        ]
        ask, targets, of_step = None, (None, d_h), _plane_of_h(memory.states)
        if weight is not None:
            targets, of_step = (d_queries, None), queries
            ask = RowProduct(Matrix(d_h, 0, self._output), Matrix(d_queries), weight, add=True,
                             precision=self._precision)  # fmt: skip
        read = over_queries(attend_backward, len(spans), d_scores, *targets, d_contexts, shares, of_step, keys, values,
                            score, spans)  # fmt: skip

        def run(row, count, before):
            for product in products:
                product(row, row, count)
            read(row, count, before if ask is None else row)
            if ask is not None:
                ask(0, row, count)

        return run

    def _parts(self, gates, weight, size):
        """Return, for each block of gates with inputs, its columns of gates and its part of the context's weight."""
        found = []
        for block in self._blocks:
            own, rows = block_parts(block, gates, weight, self._hidden)
            found.append((own, Matrix(rows, rows.shape[1] - size, size)))
        return found


def _plane_of_h(states):
    # states (N, ·, H)
    return states.part(0, 1).reshaped(states.shape[1:])


def add_gradients(attended, gradients, memory, before, packing, precision):
    """Add to the gradients of an `Attended` of gradients all that the time loop has left.

    Parameters
    ----------
    attended : Attended
    gradients : AttentionGradients
    memory : Memory
    before : Array or Matrix (R, P)
        h before each row.
    packing : Packing
    precision : str
    """
    _, shares, queries, keys, values, score, spans, weight, _ = memory.attention
    if gradients.slopes is not None:
        device().clear(gradients.slopes)
    rows, rows_before = packing.uploaded("offsets"), packing.uploaded("rows_before")
    of_step, rows_of_step = (_plane_of_h(memory.states), rows_before) if weight is None else (queries, rows)
    inputs = shares, of_step, keys, values, score, spans, rows, rows_of_step
    add_source_gradients(attended.keys, attended.values, attended.score, gradients.slopes, gradients.scores,
                         gradients.contexts, *inputs)  # fmt: skip
    if weight is not None:
        gemm(attended.weight_query, gradients.queries, before, transpose_a=True, add=True, precision=precision)
        if attended.bias is not None:
            add_columns(attended.bias, gradients.queries)


@kernel
def _repeat(out, line):
    """Write a vector to each row."""
    # out (R, A), line (A,)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for row in range(y, out.shape[0], height):
        for j in range(x, line.size, width):
            out[row, j] = line[j]
