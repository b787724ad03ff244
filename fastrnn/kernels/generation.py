"""Drawing tokens, one after the other, from a recurrent language model.

One kernel draws a token for each text, looks its vector up, runs all layers for a step, and computes the next logits,
for many steps. Threads cut the texts.
"""

import math
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn._memory import borrow_room, give_back
from fastrnn.kernels.gemm import Strides, packed_product
from fastrnn.kernels.packing import make_packing
from fastrnn.kernels.recurrence import Output, Part, recurrence_forward
from fastrnn.kernels.recurrent_masks import draw
from fastrnn.kernels.recurrent_plan import step_schedules
from fastrnn.kernels.sampling import draw_token
from fastrnn.kernels.threads import enter, leave, run_kernel, split, worth
from fastrnn.utils.recurrent import Inputs

_TABLE_ROWS = 4096  # at most, of a table of the input's part of the first layer's pre-activations


class LayerStep(NamedTuple):
    """The arrays of a recurrent layer for one step of n texts."""

    x: object  # (n, D); for a layer above the first this is y of the one below
    inputs: Inputs  # table of the input's part of the pre-activations (n or V, input columns), row for each text (n,)
    y: Output  # (n, output)
    memory: object
    weights: object  # packed
    masks: object


class Network(NamedTuple):
    """The recurrent layers, and how they are run."""

    layers: tuple  # of LayerStep
    schedules: tuple  # of two `Schedule`: from the first half of the states to the second, and back
    residual: bool  # whether the input of a layer is added to its output, from the second layer on
    tabulated: bool  # whether the first layer's table has a row for each token


class Distribution(NamedTuple):
    """The distribution of the next token, and how a token is drawn from it."""

    embedding: object  # (V, D), the vectors of tokens
    panels: object  # weight of the logits, packed
    bias: object  # (V padded to whole vectors,)
    logits: object  # (n, V padded), scratch
    p: object  # (n, V) float64, scratch
    choice: object
    never: object  # (·,) tokens that are not drawn
    end: int  # the token that ends a text


def generate(tokens, h, states, layers, output, uniforms, choice, n_jobs=None):
    """Draw a token for each step of some texts, and feed it back, until all texts have ended.

    Parameters
    ----------
    tokens : ndarray (T, n) of int32
        Output: the tokens. After the end of a text, all are the end token.
    h : array (n, H)
        Output of the last layer, which predicts the first token. Overwritten by the output after the last step.
    states : list of array (num_layers, n, size)
        States to start from. Overwritten by those after the last step.
    layers : fastrnn.utils.recurrent.HeldLayers
        Layers of one direction that read forwards.
    output : fastrnn.utils.recurrent.TokenOutput
    uniforms : ndarray (T, n) of float64
        Numbers from 0 to 1, one for each draw.
    choice : fastrnn.kernels.sampling.Choice
    n_jobs : int or None, default=None
    """
    (steps, batch), (panels, bias) = tokens.shape, output.logit_map
    embedding, first = output.embedding, layers.directions[0].weights
    tabulated = len(embedding) <= min(steps * batch, _TABLE_ROWS)
    rooms = [borrow_room(h.dtype) for _ in layers.directions]
    layer_steps = _layer_steps(layers, states, embedding if tabulated else None, rooms, n_jobs)
    network = Network(layer_steps, step_schedules(first, batch), layers.residual, tabulated)
    scratch = rooms[0].take("logits", batch, len(bias)), np.empty((batch, len(embedding)))
    never = np.array(output.never)
    distribution = Distribution(embedding, panels, bias, *scratch, choice, never, output.end)
    y = layer_steps[-1].y.values
    y[...] = h
    flops = 2 * steps * batch * (panels.size + sum(_size(direction.weights) for direction in layers.directions))
    parts = split(batch, worth(n_jobs, flops))
    run_kernel(draw_texts, [(tokens, network, first.cell, distribution, uniforms, *part) for part in parts])
    h[...] = y
    half = slice(batch, 2 * batch) if steps % 2 else slice(batch)
    for number, layer in enumerate(layer_steps):
        for state, plane in zip(states, layer.memory.states, strict=True):
            state[number] = plane[half, : state.shape[-1]]
    for room in rooms:
        give_back(room)


def _layer_steps(layers, states, vectors, rooms, n_jobs):
    """Return the `LayerStep` of each layer, in a room of its own.

    With `vectors` (V, D) the first layer's table has a row for each of them.
    """
    batch, steps, first = states[0].shape[1], [], layers.directions[0].weights
    packing, x = make_packing(1, batch), rooms[0].take("x", batch, first.columns)
    for direction, held, room in zip(layers.directions, layers.held, rooms, strict=True):
        weights = direction.weights
        drawn = draw(layers.regularizers, weights, packing, room, n_jobs)
        memory = direction.step_memory(states, packing, drawn, room)
        if vectors is None:
            table = room.take("step inputs", batch, weights.layout.input.count)
        else:
            table = held.table(vectors, n_jobs)
        rows, y = np.arange(batch, dtype=np.int32), room.take("y", batch, weights.output)
        inputs = Inputs(table, rows.copy())  # the kernel writes tokens to its rows
        steps.append(LayerStep(x, inputs, Output(y, rows, 0, weights.output), memory, held.weights, drawn.masks))
        x, vectors = y, None
    return tuple(steps)


def _size(weights):
    """Return the number of elements of the weights that a step reads."""
    return len(weights.cell.gates) * weights.hidden * (weights.columns + weights.output)


@kernel
def draw_texts(board, thread, tokens, network, cell, distribution, uniforms, first, last):
    """Draw a token for each step of the texts `first` to `last`, and feed it back; stop when all have ended."""
    # tokens (T, n), uniforms (T, n)
    enter(board, thread)
    layers, embedding, end = network.layers, distribution.embedding, distribution.end
    alone = np.zeros((2, 8), np.int64)  # the board of a team of one thread
    for t in range(len(tokens)):
        _logits(distribution.logits, distribution.panels, distribution.bias, layers[-1].y.values, first, last)
        going_on = False
        for row in range(first, last):
            token = end
            if t == 0 or tokens[t - 1, row] != end:
                token = _draw(distribution, row, uniforms[t, row])
                going_on = going_on or token != end
            tokens[t, row] = token
            if network.tabulated:
                layers[0].inputs.ids[row] = token
            else:
                layers[0].x[row] = embedding[token]
        if not going_on:
            tokens[t:, first:last] = end
            break
        schedule = network.schedules[t % 2]
        for k in range(len(layers)):
            layer = layers[k]
            if k > 0 or not network.tabulated:
                _input_product(layer.inputs.vectors, layer.x, layer.weights, schedule.layout.input, first, last)
            part = Part(first, last, 0, layer.memory.states.shape[2])
            recurrence_forward(alone, 0, layer.y, layer.memory, cell, layer.inputs, layer.weights, layer.masks,
                               schedule, part)  # fmt: skip
            if network.residual and k > 0:
                layer.y.values[first:last] += layer.x[first:last]
    leave(board, thread)


@kernel
def _logits(logits, panels, bias, h, first, last):
    """Compute the logits of the rows `first` to `last` of h."""
    # logits (n, V padded), bias (V padded,), h (n, H)
    classes, size = logits.shape[1], h.shape[1]
    logits[first:last] = bias
    packed_product(logits, Strides(first * classes, classes, 1), h, Strides(first * size, size, 1), panels,
                   last - first, size, classes)  # fmt: skip


@kernel
def _input_product(table, x, weights, columns, first, last):
    """Compute the input's part of the pre-activations for the rows `first` to `last` of x, bias included."""
    # table (n, input columns), x (n, D)
    depth = x.shape[1]
    table[first:last] = weights.bias[columns.begin : columns.begin + columns.count]
    packed_product(table, Strides(first * columns.count, columns.count, 1), x, Strides(first * depth, depth, 1),
                   weights.input_panels, last - first, depth, columns.count)  # fmt: skip


@kernel
def _draw(distribution, row, uniform):
    """Draw a token from the logits of a row."""
    p, choice = distribution.p[row], distribution.choice
    _probabilities(p, distribution.logits[row, : len(p)], choice.temperature, distribution.never)
    return draw_token(p, choice.top_k, choice.top_p, uniform, distribution.end)


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
