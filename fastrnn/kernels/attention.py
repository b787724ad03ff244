"""Attention: each query of a sequence reads a weighted mean of the sequence's source rows.

The weights are softmax(e) over the rows s of a source. The score e_s of a query q and a key k_s is

    vᵀ·tanh(q + k_s)    additive (Bahdanau, Cho and Bengio 2015)
    qᵀ·k_s              dot product; of projected keys: "general" (Luong, Pham and Manning 2015)

and the context is c = Σ_s weights_s · values_s. Sources are ragged: the keys and values of all sequences stand one
below the other, without padding.

Backward computes the hidden units of the scores again: nothing is stored for each pair of a query and a key but its
weight. `kernels.attention_scores` has the pieces.
"""

import math

import numpy as np

from fastrnn._jit import kernel
from fastrnn._memory import borrow_room, give_back
from fastrnn.kernels.attention_scores import (
    add_to_rows,
    additive_scores,
    additive_scores_backward,
    padded_keys,
    prepare_keys,
    prepare_query,
    products,
    softmax,
    softmax_backward,
    weighted_sum,
)
from fastrnn.kernels.gemm import PANEL_VECTORS, TILE_ROWS, Strides, pack, packed_size, product_block
from fastrnn.kernels.threads import enter, leave, run_kernel, split, worth
from fastrnn.simd import lanes, lanes_of

_MANY_STEPS = 4  # fewer queries of a source are no matrix worth packing for


def row_size(steps, size, dtype):
    """Return how many elements the scratch array of `attend_row` needs: for `steps` source rows, keys of `size`."""
    width = lanes_of(np.empty(0, dtype))
    return padded_keys(size, dtype) + -(-steps // width) * width


# -------------------------------------------------------------------------------------------------------- one query


@kernel(cache=False)
def _scores_at(score):
    """Return where the scores begin in a scratch array: behind the query, if that is prepared."""
    if score is None:
        return 0
    return len(score)


@kernel
def attend_row(contexts, context_at, weights, weights_at, queries, query_at, keys, powers, values, score, row, begin,
               end, reach):  # fmt: skip
    """Compute the weights and the context of one query, whose source has the rows from `begin` to `end`.

    Additive: `score` is v, padded with zeros, `powers` and `reach` are those of `prepare_keys`; if `reach` is infinite,
    `powers` is not read. Dot product: `score` and `powers` are None.
    """
    # contexts (·, M), weights (·, S), queries (·, A) from the elements *_at on; keys (R, A), powers (R, padded size),
    # values (R, M), score (padded size,), row (row_size,)
    at = _scores_at(score)
    if begin < end:
        near = prepare_query(row, queries, query_at, keys.shape[1], score, reach)
        _scores(row, at, queries, query_at, keys, powers, score, begin, end, near)
        softmax(row, at, weights, weights_at, end - begin)
    weighted_sum(contexts, context_at, row, at, values, begin, end)


@kernel(cache=False)
def _scores(row, at, queries, query_at, keys, powers, score, begin, end, near):
    """Write the scores of a query to `row`."""
    if score is None:
        products(row, at, queries, query_at, keys, begin, end)
    else:
        additive_scores(row, at, keys, powers, score, begin, end, near)


@kernel
def attend_row_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, d_contexts, context_at, weights, weights_at,
                        queries, query_at, keys, powers, values, score, row, begin, end, reach):  # fmt: skip
    """Write the gradient of one query, and add to those of its keys and of v; those of the values are left out.

    The other arguments are those of `attend_row`.
    """
    # d_queries (·, A), d_keys (R, A), d_score (·, padded size), d_contexts (·, M)
    at = _scores_at(score)
    if begin < end:
        products(row, at, d_contexts, context_at, values, begin, end)
        softmax_backward(row, at, weights, weights_at, end - begin)
    _scores_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, row, at, queries, query_at, keys, powers,
                     score, begin, end, reach)  # fmt: skip


@kernel(cache=False)
def _scores_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, row, at, queries, query_at, keys, powers,
                     score, begin, end, reach):  # fmt: skip
    """Propagate the gradients of a query's scores, which are in `row`."""
    if score is None:
        weighted_sum(d_queries, d_query_at, row, at, keys, begin, end)
        add_to_rows(d_keys, row, at, queries, query_at, begin, end)
    else:
        near = prepare_query(row, queries, query_at, keys.shape[1], score, reach)
        additive_scores_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, row, at, keys, powers, score,
                                  begin, end, near)  # fmt: skip


# --------------------------------------------------------------------------------- all queries of a source: products


@kernel(cache=False)
def _times(c, c_at, a, a_at, b, b_at, rows, depth, columns, panels):
    """Compute C += A·B of matrices at the `Strides` c_at, a_at and b_at; rows of C are contiguous."""
    edge_size = TILE_ROWS * PANEL_VECTORS * lanes(c)
    pack(panels[edge_size:], b.reshape(b.size), b_at, depth, columns)
    product_block(c, c_at, a, a_at, panels[edge_size:], panels[:edge_size], rows, depth, columns)


def panels_size(depth, columns, dtype):
    """Return how many elements the scratch array of a product needs."""
    return TILE_ROWS * PANEL_VECTORS * lanes_of(np.empty(0, dtype)) + packed_size(depth, columns, dtype)


@kernel
def add_values_gradient(d_values, d_contexts, weights, b, steps, begin, end, panels):
    """Add Σ_t weights[t, b]ᵀ · d_contexts[t, b], of the first `steps` steps, to the rows from `begin` to `end`."""
    # d_values (R, M), d_contexts (T, B, M), weights (T, B, S), panels (panels_size of T and M,)
    batch, size, source_steps = d_contexts.shape[1], d_values.shape[1], weights.shape[2]
    _times(d_values, Strides(begin * size, size, 1), weights, Strides(b * source_steps, 1, batch * source_steps),
           d_contexts, Strides(b * size, batch * size, 1), end - begin, steps, size, panels)  # fmt: skip


# -------------------------------------------------------------------------------------------------- whole sequences


def attention_forward(contexts, weights, queries, keys, values, score, offsets, sources, lengths, n_jobs=1):
    """Compute the weights and the context of each query of each sequence.

    Parameters
    ----------
    contexts : array (T, B, M)
        Written: Σ_s weights · values; 0 behind a sequence's end, and for a source without rows.
    weights : array (T, B, S)
        Written: softmax of the scores; 0 behind a source's end, and where the context is 0.
    queries : array (T, B, A)
    keys : array (R, A)
    values : array (R, M)
    score : array (A,) or None
        The v of vᵀ·tanh(query + key); None for the dot product of query and key.
    offsets : int array (B + 1,)
        Source b has the rows ``offsets[b]`` to ``offsets[b + 1]`` of keys and values, at most S.
    sources : int array (B,) or None
        The source of each sequence of queries; None if sequence b reads source b.
    lengths : int array (B,) or None
        Steps of each sequence, 0 allowed; None if all have T.
    n_jobs : int or None, default=1

    Examples
    --------
    >>> import numpy as np
    >>> contexts, weights = np.empty((1, 1, 1)), np.empty((1, 1, 2))
    >>> attention_forward(contexts, weights, np.ones((1, 1, 1)), np.log([[3.0], [1.0]]), np.array([[4.0], [8.0]]), None,
    ...                   np.array([0, 2]), None, None)
    >>> weights.round(2), contexts.round(2)
    (array([[[0.75, 0.25]]]), array([[[5.]]]))
    """
    room = borrow_room(keys.dtype)
    score, powers, offsets, sources, lengths = _prepare(room, queries, keys, score, offsets, sources, lengths)
    cuts = _cuts(offsets, sources, lengths, keys, values, 10, n_jobs)
    rows, panels = _scratch(room, len(cuts), queries, keys, values, weights)
    run_kernel(attend_sequences, [
        (contexts, weights, queries, keys, powers, values, score, offsets, sources, lengths, rows[k], panels[k], first,
         last)
        for k, (first, last) in enumerate(cuts)
    ])  # fmt: skip
    give_back(room)


def attention_backward(d_queries, d_keys, d_values, d_score, d_contexts, weights, queries, keys, values, score, offsets,
                       sources, lengths, n_jobs=1):  # fmt: skip
    """Compute the gradients of queries, keys, values and v from those of the contexts.

    Parameters
    ----------
    d_queries : array (T, B, A)
        Written; 0 where a context is 0 by definition.
    d_keys, d_values, d_score : array (R, A), array (R, M), array (A,) or None
        Added to.
    d_contexts : array (T, B, M)
    weights : array (T, B, S)
        As `attention_forward` wrote them.
    queries, keys, values, score, offsets, sources, lengths, n_jobs : as in `attention_forward`
        No two sequences may have the same source.

    Examples
    --------
    >>> import numpy as np
    >>> d_queries, d_keys, d_values = np.empty((1, 1, 1)), np.zeros((2, 1)), np.zeros((2, 1))
    >>> attention_backward(d_queries, d_keys, d_values, None, np.ones((1, 1, 1)), np.array([[[0.75, 0.25]]]),
    ...                    np.ones((1, 1, 1)), np.log([[3.0], [1.0]]), np.array([[4.0], [8.0]]), None, np.array([0, 2]),
    ...                    None, None)
    >>> d_values[:, 0], d_keys[:, 0]
    (array([0.75, 0.25]), array([-0.75,  0.75]))
    """
    room = borrow_room(keys.dtype)
    score, powers, offsets, sources, lengths = _prepare(room, queries, keys, score, offsets, sources, lengths)
    cuts = _cuts(offsets, sources, lengths, keys, values, 20, n_jobs)
    rows, panels = _scratch(room, len(cuts), queries, keys, values, weights)
    d_scores = None if score is None else room.zeros("d_scores", queries.shape[1], len(score))
    run_kernel(attend_sequences_backward, [
        (d_queries, d_keys, d_values, d_scores, d_contexts, weights, queries, keys, powers, values, score, offsets,
         sources, lengths, rows[k], panels[k], first, last)
        for k, (first, last) in enumerate(cuts)
    ])  # fmt: skip
    if d_scores is not None:
        d_score += d_scores.sum(axis=0)[: len(d_score)]
    give_back(room)


def _prepare(room, queries, keys, score, offsets, sources, lengths):
    """Return v, padded, room for the powers of the keys, and host arrays of the kernels' types."""
    steps, batch = queries.shape[:2]
    powers = None
    if score is not None:
        padded = room.zeros("score", padded_keys(len(score), keys.dtype))
        padded[: len(score)] = score
        score = padded
        # Sequences with the same source may be in different threads, and use no common powers.
        powers = room.take("powers", len(keys) if sources is None and steps > 1 else 0, len(score))
    offsets = np.array(offsets, np.int64)
    sources = np.arange(batch) if sources is None else np.array(sources, np.int64)
    lengths = np.full(batch, steps, np.int64) if lengths is None else np.array(lengths, np.int64)
    return score, powers, offsets, sources, lengths


def _cuts(offsets, sources, lengths, keys, values, cost, n_jobs):
    """Return the ranges of sequences of the threads; `cost` operations for each element of a pair's key and value."""
    pairs = int(((offsets[1:] - offsets[:-1])[sources] * lengths).sum())
    return split(len(sources), worth(n_jobs, cost * pairs * (keys.shape[1] + values.shape[1])))


def _scratch(room, threads, queries, keys, values, weights):
    """Return the scratch arrays of the threads."""
    steps, source_steps, width = len(queries), weights.shape[2], lanes_of(keys)
    rows = room.take("rows", threads, row_size(steps * (source_steps + width), keys.shape[1], keys.dtype))
    depth, columns = max(steps, source_steps), max(keys.shape[1], values.shape[1])
    return rows, room.take("panels", threads, panels_size(depth, columns, keys.dtype))


@kernel(cache=False)
def _powers(powers, keys, begin, end, steps):
    """Compute the powers of a source's keys if they are used several times; return the reach, see `attend_row`."""
    if powers is not None and steps > 1 and len(powers) >= end:
        return np.float64(prepare_keys(powers, keys, begin, end))
    return math.inf


@kernel
def attend_sequences(board, thread, contexts, weights, queries, keys, powers, values, score, offsets, sources, lengths,
                     row, panels, first, last):  # fmt: skip
    """Compute the weights and contexts of the sequences from `first` to `last`, see `attention_forward`."""
    # score (padded size,) or None; powers (R, padded size), or no rows; or None
    enter(board, thread)
    steps, batch, context_size = contexts.shape
    size, source_steps, at, width = keys.shape[1], weights.shape[2], _scores_at(score), lanes(row)
    for b in range(first, last):
        begin, end = offsets[sources[b]], offsets[sources[b] + 1]
        count = end - begin
        padded, used = (count + width - 1) // width * width, lengths[b] if count > 0 else 0
        reach, many = _powers(powers, keys, begin, end, used), used >= _MANY_STEPS
        for t in range(steps):
            contexts[t, b] = 0
            weights[t, b] = 0
        for t in range(used):
            place, scores_at = t * batch + b, at + t * padded
            near = prepare_query(row, queries, place * size, size, score, reach)
            _scores(row, scores_at, queries, place * size, keys, powers, score, begin, end, near)
            softmax(row, scores_at, weights, place * source_steps, count)
            if not many:
                weighted_sum(contexts, place * context_size, row, scores_at, values, begin, end)
        if many:
            _times(contexts, Strides(b * context_size, batch * context_size, 1), row, Strides(at, padded, 1), values,
                   Strides(begin * context_size, context_size, 1), used, count, context_size, panels)  # fmt: skip
    leave(board, thread)


@kernel
def attend_sequences_backward(board, thread, d_queries, d_keys, d_values, d_scores, d_contexts, weights, queries, keys,
                              powers, values, score, offsets, sources, lengths, row, panels, first, last):  # fmt: skip
    """Compute the gradients of the sequences from `first` to `last`; that of v in `d_scores`, a row a sequence."""
    # d_scores (B, padded size) or None; the others as in `attend_sequences`
    enter(board, thread)
    steps, batch, size = d_queries.shape
    context_size, source_steps, at, width = values.shape[1], weights.shape[2], _scores_at(score), lanes(row)
    for b in range(first, last):
        begin, end = offsets[sources[b]], offsets[sources[b] + 1]
        count = end - begin
        padded, used = (count + width - 1) // width * width, lengths[b] if count > 0 else 0
        reach, many = _powers(powers, keys, begin, end, used), used >= _MANY_STEPS
        of_queries = Strides(b * size, batch * size, 1)
        for t in range(steps):
            d_queries[t, b] = 0
        if many:
            add_values_gradient(d_values, d_contexts, weights, b, used, begin, end, panels)
        for t in range(used):
            place, scores_at = t * batch + b, at + t * padded
            products(row, scores_at, d_contexts, place * context_size, values, begin, end)
            if not many:
                add_to_rows(d_values, weights, place * source_steps, d_contexts, place * context_size, begin, end)
            softmax_backward(row, scores_at, weights, place * source_steps, count)
            if score is not None or not many:
                _scores_backward(d_queries, place * size, d_keys, d_scores, b * at, row, scores_at, queries,
                                 place * size, keys, powers, score, begin, end, reach)  # fmt: skip
        if score is None and many:
            _times(d_queries, of_queries, row, Strides(0, padded, 1), keys, Strides(begin * size, size, 1), used, count,
                   size, panels)  # fmt: skip
            _times(d_keys, Strides(begin * size, size, 1), row, Strides(0, 1, padded), queries, of_queries, count, used,
                   size, panels)  # fmt: skip
    leave(board, thread)
