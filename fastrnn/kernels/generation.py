"""Drawing tokens, one after the other, from a recurrent language model."""

import math
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.gemm import Strides, packed_product
from fastrnn.kernels.recurrence import Part, recurrence_forward
from fastrnn.kernels.sampling import draw_token
from fastrnn.kernels.threads import enter, leave


class LayerStep(NamedTuple):
    """The arrays of a recurrent layer for one step of n texts."""

    x: object  # (n, D); of a layer above the first this is y of the one below
    table: object  # (n, input columns), the input's part of the pre-activations; of the first layer perhaps (V, ·)
    ids: object  # (n,) row of `table` for each text
    y: object  # `Output` (n, output)
    memory: object
    weights: object  # packed before
    masks: object


class Table(NamedTuple):
    """The input's part of the pre-activations, and the row of it for each text."""

    vectors: object  # (V, input columns)
    ids: object  # (n,)


@kernel
def generate(board, thread, drawn, h, layers, cell, schedules, embedding, panels, bias, logits, p, uniforms, choice,
             never, end_id, residual, tabulated, alone, first, last):  # fmt: skip
    """Draw a token for each step of the texts `first` to `last`, and feed it back; stop when all have ended.

    `schedules` are two for one step each: its states go from the first half of the memory to the second, and back.
    `tabulated` says that the first layer's table has a row for each token.
    """
    # drawn (T, n), h (n, H) output of the last layer, embedding (V, D), bias and logits' rows padded to whole vectors,
    # p (n, V) float64, uniforms (T, n), never (·,) tokens that are not drawn
    enter(board, thread)
    classes, padded = embedding.shape[0], logits.shape[1]
    for t in range(len(drawn)):
        logits[first:last] = bias
        packed_product(logits, Strides(first * padded, padded, 1), h, Strides(first * h.shape[1], h.shape[1], 1),
                       panels, last - first, h.shape[1], padded)  # fmt: skip
        going_on = False
        for row in range(first, last):
            token = end_id
            if t == 0 or drawn[t - 1, row] != end_id:
                _probabilities(p[row], logits[row, :classes], choice.temperature, never)
                token = draw_token(p[row], choice.top_k, choice.top_p, uniforms[t, row], end_id)
                going_on = going_on or token != end_id
            drawn[t, row] = token
            if tabulated:
                layers[0].ids[row] = token
            else:
                layers[0].x[row] = embedding[token]
        if not going_on:
            drawn[t:, first:last] = end_id
            break
        for k in range(len(layers)):
            layer = layers[k]
            part = Part(first, last, 0, layer.memory.states.shape[2])
            if k > 0 or not tabulated:
                _input_product(layer.table, layer.x, layer.weights, schedules[0].layout.input, first, last)
            recurrence_forward(alone, 0, layer.y, layer.memory, cell, Table(layer.table, layer.ids), layer.weights,
                               layer.masks, schedules[t % 2], part)  # fmt: skip
            if residual and k > 0:
                layer.y.values[first:last] += layer.x[first:last]
    leave(board, thread)


@kernel
def _input_product(table, x, weights, columns, first, last):
    """Compute the input's part of the pre-activations for the rows `first` to `last` of x, bias included."""
    depth = x.shape[1]
    table[first:last] = weights.bias[columns.begin : columns.begin + columns.count]
    packed_product(table, Strides(first * columns.count, columns.count, 1), x, Strides(first * depth, depth, 1),
                   weights.input_panels, last - first, depth, columns.count)  # fmt: skip


@kernel
def _probabilities(p, logits, temperature, never):
    """Compute p, in proportion to the probabilities and 1 at the most probable token; those in `never` get 0."""
    for token in never:
        logits[token] = -np.inf
    largest = -np.inf
    for logit in logits:
        largest = max(largest, logit)
    for token in range(len(p)):
        p[token] = math.exp((logits[token] - largest) / temperature)
