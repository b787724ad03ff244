"""Drawing tokens of a few texts by one launch.

The blocks share the units of all layers and the tokens of the output: a block reads its rows of the weights for each
token, from the second-level cache. All blocks meet after the logits, after the draws and after each layer.
"""

from typing import NamedTuple

from llvmlite import ir
from numba import cuda, types

from fastrnn.cuda.arrays import empty, zeros
from fastrnn.cuda.barrier import SPREAD, group_barrier
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.drawing import draw_token, shared_size
from fastrnn.cuda.gpu import device
from fastrnn.cuda.stacked_layers import step_unit
from fastrnn.simd import array_pointer, primitive

FEW_TEXTS = 8
_THREADS = 512  # of a block
_TOGETHER = 8  # products whose factors a thread loads at a time


class Network(NamedTuple):
    """The layers and their memory, see `StackedLayers`, and the output."""

    weights: object  # (·,), the matrices (S · H, K) of all layers
    vectors: object  # (·,), two matrices (n, K) for each layer: steps with odd numbers begin from the second
    states: object  # (N, L · n, H)
    gates: object  # (n, S · H), scratch
    top: object  # (n · H,), the output of the last layer
    output: object  # (V · H,), the weight of the logits
    embedding: object  # (V, D)
    depth: int  # L
    first_columns: int  # K of the first layer
    columns: int  # K of the others
    residual: int


def write_texts(tokens, stacked, output, drawing, uniforms):
    """Draw all tokens.

    Parameters
    ----------
    tokens : array (T, n) of int32
        Output; end tokens before.
    stacked : StackedLayers
    output : fastrnn.utils.recurrent.TokenOutput
    drawing : Drawing
    uniforms : array (T, n) of float64
    """
    found, (weight, bias) = device(), output.logit_map
    hidden, slots, batch = stacked.hidden, len(stacked.cell.slots), stacked.batch
    flat = stacked.top.line, weight.line
    network = Network(
        stacked.weights, stacked.vectors, stacked.states, empty((batch, slots * hidden), weight.dtype), *flat,
        output.embedding, len(stacked.columns), stacked.columns[0], stacked.columns[-1], stacked.residual,
    )  # fmt: skip
    _generate.launch(found.multiprocessors, _threads(), tokens, network, stacked.units, stacked.cell, drawing, bias,
                     uniforms, zeros(SPREAD, "int32"), shared=_shared_bytes(stacked, len(weight)),
                     cooperative=True)  # fmt: skip


def pays(stacked, classes):
    """Return whether one launch is faster than a graph for each token, for `StackedLayers` and a number of tokens."""
    return stacked.batch <= FEW_TEXTS and _shared_bytes(stacked, classes) <= device().shared_memory


def _threads():
    """Return the threads of a block."""
    return _THREADS if device().threads >= 32 else device().threads  # a simulated thread is one of Python's


def _shared_bytes(stacked, classes):
    """Return the bytes of shared memory of a block."""
    blocks, threads = device().multiprocessors, _threads()
    rows = max(len(stacked.cell.slots) * -(-stacked.hidden // blocks), -(-classes // blocks))
    return 8 * max(shared_size(threads), stacked.batch * max(rows, threads))


@kernel(launch_bounds=_THREADS)  # all of a block's threads find registers, so that all blocks run at once
def _generate(tokens, network, units, cell, drawing, bias, uniforms, counters):
    """Draw a token for each step of the texts, and feed it back; stop when all have ended."""
    # tokens, uniforms (T, n), units (L, unit parameters, H) or None, bias (V,), counters (SPREAD,) of zeros
    shared = cuda.shared.array(0, types.float64)
    passed = 0  # barriers
    for t in range(tokens.shape[0]):
        _compute_logits(drawing.logits, network, shared)
        passed += cuda.gridDim.x
        group_barrier(counters, 0, passed)
        for b in range(cuda.blockIdx.x, tokens.shape[1], cuda.gridDim.x):
            _draw(tokens, network, drawing, bias, uniforms, t, b, shared)
        passed += cuda.gridDim.x
        group_barrier(counters, 0, passed)
        if _all_ended(tokens, t, drawing.end):
            break
        for layer in range(network.depth):
            _run_layer(network, units, cell, layer, t % 2, shared)
            passed += cuda.gridDim.x
            group_barrier(counters, 0, passed)


@device_function
def _own_share(count):
    """Return the first of a block's share of some units or tokens, and their number."""
    size = (count + cuda.gridDim.x - 1) // cuda.gridDim.x
    first = min(size * cuda.blockIdx.x, count)
    return first, min(size, count - first)


@device_function
def _compute_logits(logits, network, shared):
    """Compute the logits of the block's tokens, without the bias."""
    first, count = _own_share(logits.shape[1])
    hidden, classes = network.states.shape[2], logits.shape[1]
    _multiply(logits, network.output, 0, hidden, first, count, 1, classes, network.top, 0, shared)


@device_function
def _draw(tokens, network, drawing, bias, uniforms, t, b, shared):
    """Draw the token of a text, and look its vector up for the first layer."""
    token, embedding = drawing.end, network.embedding
    if t == 0 or tokens[t - 1, b] != drawing.end:
        token = draw_token(drawing, b, bias, uniforms[t, b], shared)
    if cuda.threadIdx.x == 0:
        tokens[t, b] = token
    begin = (t % 2 * tokens.shape[1] + b) * network.first_columns
    for column in range(cuda.threadIdx.x, embedding.shape[1], cuda.blockDim.x):
        network.vectors[begin + column] = embedding[token, column]


@device_function
def _all_ended(tokens, t, end):
    count = 0
    for b in range(tokens.shape[1]):
        count += tokens[t, b] == end
    return count == tokens.shape[1]


@device_function
def _place_of_vectors(network, layer, half):
    """Return where the vectors of a layer begin."""
    batch = network.gates.shape[0]
    if layer == 0:
        return half * batch * network.first_columns
    before = 2 * batch * (network.first_columns + (layer - 1) * network.columns)
    return before + half * batch * network.columns


@device_function
def _run_layer(network, units, cell, layer, half, shared):
    """Run the block's units of a layer for all texts, and hand h on to the next layer and to the next step."""
    hidden, batch, gates = network.states.shape[2], network.gates.shape[0], network.gates
    rows, size, columns, weights_begin = gates.shape[1], network.embedding.shape[1], network.first_columns, 0
    if layer > 0:
        weights_begin = rows * (columns + (layer - 1) * network.columns)
        size, columns = hidden, network.columns
    first, count = _own_share(hidden)
    own, following = _place_of_vectors(network, layer, half), _place_of_vectors(network, layer, 1 - half)
    above = _place_of_vectors(network, layer + 1, half)
    _multiply(gates, network.weights, weights_begin, columns, first, count, rows // hidden, hidden, network.vectors,
              own, shared)  # fmt: skip
    for task in range(cuda.threadIdx.x, batch * count, cuda.blockDim.x):
        b, unit = task // count, first + task % count
        h = step_unit(cell, gates, b * rows + unit, network.states, layer * batch + b, units, layer, unit)
        network.vectors[following + b * columns + size + unit] = h
        if network.residual and layer > 0:
            h += network.vectors[own + b * columns + unit]
        if layer + 1 < network.depth:
            network.vectors[above + b * network.columns + unit] = h
        else:
            network.top[b * hidden + unit] = h


@device_function
def _multiply(out, weights, begin, columns, first, count, groups, stride, vectors, place, shared):
    """Compute products of rows of weights and the vectors of all texts.

    The rows are `count` ones from `first` on in each of `groups` groups of `stride` rows. Several threads share a row;
    their sums are added in a fixed order.
    """
    # out (n, groups · stride), weights (·,) with rows of `columns` from `begin` on, vectors (·,) with n rows from
    # `place` on, shared (n · max(groups · count, threads),) of float64
    thread, threads, batch, rows = cuda.threadIdx.x, cuda.blockDim.x, out.shape[0], groups * count
    parts = 1
    while 2 * parts * rows <= threads and 2 * parts <= columns:
        parts *= 2
    for task in range(thread, rows * parts, threads):
        row, part = task // parts, task % parts
        at = begin + (row // count * stride + first + row % count) * columns
        for b in range(batch):
            vector = place + b * columns
            total, k = weights.dtype.type(0), part
            while k < columns:
                total = add_products(total, weights, at, vectors, vector, k, columns, parts)
                k += _TOGETHER * parts
            shared[(part * batch + b) * rows + row] = total
    cuda.syncthreads()
    for task in range(thread, batch * rows, threads):
        total = 0.0
        for part in range(parts):
            total += shared[part * batch * rows + task]
        row = task % rows
        out[task // rows, row // count * stride + first + row % count] = total
    cuda.syncthreads()


def _add_products(total, a, i, b, j, k, end, stride):
    """Return a sum with products added: of the elements i + k of a and j + k of b, for some k, `stride` apart."""
    for place in range(k, min(k + _TOGETHER * stride, end), stride):
        total = total + a[i + place] * b[j + place]
    return total


@primitive(_add_products)
def add_products(typingctx, total, a, i, b, j, k, end, stride):
    """Type and lower `_add_products`: all loads come first, so that one waiting time is that of all."""

    def lower(context, builder, sig, args):
        total, a_value, i, b_value, j, k, end, stride = args
        none, nothing, factors = ir.Constant(k.type, 0), ir.Constant(total.type, 0), []
        for _ in range(_TOGETHER):
            inside = builder.icmp_signed("<", k, end)
            place = builder.select(inside, k, none)
            for kind, array, begin in ((a, a_value, i), (b, b_value, j)):
                pointer = array_pointer(context, builder, kind, array, builder.add(begin, place))
                factors.append(builder.select(inside, builder.load(pointer), nothing))
            k = builder.add(k, stride)
        for x, y in zip(factors[::2], factors[1::2], strict=True):
            total = builder.fadd(total, builder.fmul(x, y, flags=("contract",)), flags=("contract",))
        return total

    return a.dtype(a.dtype, a, types.int64, b, *(types.int64,) * 4), lower
