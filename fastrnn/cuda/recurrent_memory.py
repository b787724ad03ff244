"""The arrays that a time loop reads and writes: `fastrnn.cuda.stepwise` and `fastrnn.cuda.persistent`.

R packed rows, T steps, B sequences, N states, S slots, G gates and H units; P is the length of h: H, or the size of the
projection. Rows are packed as in `fastrnn.kernels.packing`: longest sequence first, step after step. The states after
row r are at row B + r. Those before row r, of sequence b in step t, are at row b if t is 0, and otherwise at row
B + ``offsets[t - 1]`` + b. Rows of h are as long as those of the other states, and their first P elements count.
"""

from typing import NamedTuple

from fastrnn.cuda.blas import Matrix


class Attention(NamedTuple):
    """What the sequences of a pass attend to, and what they read there; see `fastrnn.cuda.attention`.

    The sources have A numbers of each row for scores, and M for contexts; S is the number of rows of the longest one.
    """

    contexts: object  # (R, M)
    weights: object  # (R, S)
    queries: object  # (R, A), or None where a query is h before the step
    keys: object  # (source rows, A)
    values: object  # (source rows, M)
    score: object  # (A,), or None
    spans: object  # (B, 3), in packed order
    query: object  # the weight (A, P) that makes a query of h, or None
    bias: object  # its bias (A,), or None


class Memory(NamedTuple):
    """What forward writes, and keeps for backward."""

    # (R, S · H), slot by slot. Before the loop: the input's part of the pre-activations, which is standardized for
    # normalized cells, and all biases. After forward: what backward needs. After backward: gradients of the
    # pre-activations, for normalized cells of those before the standardization.
    gates: object
    states: object  # (N, B + R, H), the initial states first
    masked: object  # (B + R, H), h under the mask of the recurrent product, the initial one too; or None
    gated: object  # (R, H), the gated state, under the mask if there is one; or None
    raw: object  # (R, H), the output before the projection, or None
    standardized: object  # (R, H), the standardized state, or None
    scales: object  # (R, 3), 1 / standard deviation of input part (before the loop), recurrent part and state; or None
    attention: object = None  # `Attention`


class Weights(NamedTuple):
    """The weights, in torch's layout."""

    recurrent: object  # W_hh without the rows of the gated slots (recurrent slots · H, P), under its mask; or None
    gated: object  # the rows of W_hh for the gated slots (gated slots · H, P), under their mask; or None
    projection: object  # W_hr (P, H), or None
    units: object  # (unit parameters, H), or None
    context: object = None  # W_ih (G · H, D + M), whose last columns the contexts are multiplied by; or None


class Masks(NamedTuple):
    """The factors of regularizers."""

    recurrent: object  # (B, P) for h in the recurrent product, or None
    update: object  # (N, R or 1, H), the share of the new value in each state (zoneout), or None


class AttentionGradients(NamedTuple):
    """What backward reads and writes for `Attention`."""

    contexts: object  # (R, M), in: by what reads the contexts of the output; out: by all
    scores: object  # (R, S)
    queries: object  # (R, A), or None where they are added to the gradient of h
    slopes: object  # scratch for that of the score, of the shape of the keys, or None


class Gradients(NamedTuple):
    """What backward reads and writes besides `Memory.gates`."""

    output: object  # (R, P), in: of y in packed rows. With a projection, out: of its results
    states: object  # (N, B, H), in: of the final states; out: of the initial ones
    units: object  # (B, unit parameters, H), zeros before; or None
    attention: object = None  # `AttentionGradients`


def block_parts(block, gates, weight, hidden):
    """Return what a product has of a block of gates, in place: the columns of their slots, the rows of the weight.

    Parameters
    ----------
    block : tuple of int
        First slot, last slot + 1 and first gate, as `fastrnn.cells._cell.slot_blocks` returns them.
    gates : Array (R, S · H)
    weight : Array (G · H, ·)
        A weight or its gradient.
    hidden : int
    """
    slot, end, gate = block
    columns = Matrix(gates, slot * hidden, (end - slot) * hidden)
    return columns, weight.part(gate * hidden, (gate + end - slot) * hidden)
