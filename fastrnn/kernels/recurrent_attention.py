"""Attention inside the time loop: arrays before the loop, and gradients after it. The stage is in `stages`."""

from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels import recurrence
from fastrnn.kernels.attention import add_values_gradient, panels_size, row_size
from fastrnn.kernels.attention_scores import padded_keys, prepare_keys
from fastrnn.kernels.dense import product
from fastrnn.kernels.packing import FLOPS_PER_ELEMENT, gather
from fastrnn.kernels.recurrent_panels import packed
from fastrnn.kernels.threads import enter, leave, run_kernel, split, worth
from fastrnn.simd import lanes_of


class Prepared(NamedTuple):
    """What passes over the same sources need besides the sources, while weights do not change."""

    query: object  # as in `recurrence.AttentionWeights`
    bias: object
    score: object  # as in `recurrence.Attention`
    powers: object
    reaches: object  # (sources,)


def kind_of(attended):
    """Return what the types of a pass's arguments depend on; None without attention."""
    return None if attended is None else (attended.score is None, attended.weight_query is None)


def prepare(attended, room, n_jobs):
    """Return the `Prepared` of what the sequences attend to, an `Attended`."""
    keys, offsets, query, bias, score, powers = attended.keys, attended.offsets, None, None, None, None
    reaches = np.zeros(len(offsets) - 1)
    if attended.weight_query is not None:
        query = packed(room, "query", np.ascontiguousarray(attended.weight_query), True)
        bias = room.zeros("query bias", _whole(keys))
        bias[: keys.shape[1]] = attended.bias
    if attended.score is not None:
        score = room.zeros("score", padded_keys(keys.shape[1], keys.dtype))
        score[: keys.shape[1]] = attended.score
        powers = room.take("powers", len(keys), len(score))
        parts = split(len(reaches), worth(n_jobs, FLOPS_PER_ELEMENT * keys.size))
        run_kernel(prepare_sources, [(powers, reaches, keys, offsets, *part) for part in parts])
    return Prepared(query, bias, score, powers, reaches)


def _whole(keys):
    """Return the size of a key, padded to whole vectors."""
    width = lanes_of(keys)
    return -(-keys.shape[1] // width) * width


@kernel
def prepare_sources(board, thread, powers, reaches, keys, offsets, first, last):
    """Run `prepare_keys` for the sources from `first` to `last`."""
    enter(board, thread)
    for b in range(first, last):
        reaches[b] = prepare_keys(powers, keys, offsets[b], offsets[b + 1])
    leave(board, thread)


def new_attention(attended, prepared, table, packing, gate_rows, threads, room):
    """Return the `recurrence.Attention` of a pass; contexts and weights behind a sequence's end become zeros.

    `table` is that of `HeldWeights.context_table`, or None.
    """
    keys, offsets, sequences = attended.keys, attended.offsets, packing.batch_sequences
    sources = sequences if attended.sources is None else attended.sources[sequences]
    attended.weights.fill(0)
    if not packing.is_full:
        attended.contexts.fill(0)
    return recurrence.Attention(
        keys=keys,
        powers=prepared.powers,
        values=attended.values,
        table=room.take("no context table", 0, 0) if table is None else table,
        score=prepared.score,
        sources=offsets[sources[:, np.newaxis] + np.arange(2)],
        reaches=prepared.reaches[sources],
        queries=room.take("queries", gate_rows, _whole(keys)),
        contexts=room.take("contexts", gate_rows, attended.values.shape[1]),
        padded_contexts=attended.contexts,
        weights=attended.weights,
        rows=room.take("attention rows", threads, row_size(attended.weights.shape[2], keys.shape[1], keys.dtype)),
    )


def with_query(weights, prepared):
    """Return the `recurrence.Weights` of a forward pass with those of the query."""
    return weights._replace(attention=weights.attention._replace(query=prepared.query, bias=prepared.bias))


def with_query_backward(weights, attended, room):
    """Return the `recurrence.Weights` of a backward pass with that of the query, where there is one."""
    if attended.weight_query is None:
        return weights
    query = packed(room, "query back", np.ascontiguousarray(attended.weight_query), False)
    return weights._replace(attention=weights.attention._replace(query=query))


def new_gradients(attention, attended, room):
    """Return the `recurrence.AttentionGradients`; `attended` has the gradients, see `Attended`."""
    batch, size, width = len(attention.sources), attended.contexts.shape[2], lanes_of(attention.keys)
    return recurrence.AttentionGradients(
        keys=attended.keys,
        scores=None if attention.score is None else room.zeros("d_scores", batch, len(attention.score)),
        contexts=attended.contexts,
        context=room.take("d_context", batch, -(-size // width) * width),
        queries=room.take("d_queries", *attention.queries.shape),
    )


def add_gradients(attended, gradients, attention, states, packing, room, n_jobs):
    """Add to the gradients of values, v and the query's weight and bias, which the time loop has left out.

    Parameters
    ----------
    attended : Attended
        Of gradients.
    gradients : recurrence.AttentionGradients
    attention : recurrence.Attention
    states : ndarray (·, padded)
        h, the initial one first.
    packing : Packing
    room : Room
    n_jobs : int or None
    """
    d_values, d_score, d_bias = attended.values, attended.score, attended.bias
    weights, size = attention.weights, attention.keys.shape[1]
    threads = worth(n_jobs, 2 * int(packing.offsets[-1]) * weights.shape[2] * d_values.shape[1])
    panels = room.take("values panels", threads, panels_size(len(weights), d_values.shape[1], d_values.dtype))
    columns = attention.sources, packing.batch_sequences, packing.lengths
    parts = packing.shards(threads)
    run_kernel(
        add_values_gradients, [(d_values, gradients.contexts, weights, *columns, panels, *part) for part in parts]
    )
    if gradients.scores is not None:
        d_score += gradients.scores.sum(axis=0)[:size]
    if attended.weight_query is not None:
        d_queries = gradients.queries[:, :size]
        rows, output = slice(len(d_queries)), attended.weight_query.shape[1]
        before = states[rows] if packing.previous is None else gather(states, packing.previous, n_jobs)
        product(attended.weight_query, d_queries.T, before[:, :output], n_jobs)
        d_bias += d_queries.sum(axis=0)


@kernel
def add_values_gradients(
    board, thread, d_values, d_contexts, weights, sources, sequences, lengths, panels, first, last
):
    """Run `add_values_gradient` for the sequences from `first` to `last`, in packed order."""
    # sources (B, 2), sequences (B,) their numbers in the batch, lengths (B,), panels (threads, ·)
    enter(board, thread)
    for place in range(first, last):
        begin, end = sources[place, 0], sources[place, 1]
        if begin < end and lengths[place] > 0:
            add_values_gradient(d_values, d_contexts, weights, sequences[place], lengths[place], begin, end,
                                panels[thread])  # fmt: skip
    leave(board, thread)
