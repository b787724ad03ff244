"""Attention: each query of a sequence reads a weighted mean of the sequence's source rows.

The weights are softmax(e) over the rows s of a source. The score e_s of a query q and a key k_s is

    vᵀ·tanh(q + k_s)    additive (Bahdanau, Cho and Bengio 2015)
    qᵀ·k_s              dot product; of projected keys: "general" (Luong, Pham and Manning 2015)

and the context is c = Σ_s weights_s · values_s. Sources are ragged: the keys and values of all sequences stand one
below the other, without padding.

The additive score takes one division and no exponential: tanh(q + k) = 1 − 2 / (1 + e^2q · e^2k), where the powers of a
key are computed once for all queries. The 1 adds the same to all scores, so that it is left out. Where a key or a query
is too large for that, and where a source has one query, the exponential of the sum is computed instead.

Backward computes the fractions again: nothing is stored for each pair of a query and a key but its weight.
"""

import math

import numpy as np

from fastrnn._jit import kernel
from fastrnn._memory import borrow_room, give_back
from fastrnn.kernels.cross_entropy import maximum
from fastrnn.kernels.gemm import PANEL_VECTORS, TILE_ROWS, Strides, pack, packed_size, product_block
from fastrnn.kernels.threads import enter, leave, run_kernel, split, worth
from fastrnn.simd import exp, lanes, lanes_of, load, load_first, max_lanes, store, store_first, sum_lanes, zero

GROUP = 4  # vectors that share a division, which costs as much as ten products
_FEW_STEPS = 4  # fewer queries of a source are no matrix worth packing
# (largest key and query, largest 1 + e^2(q + k)): products of two powers, and of four denominators, are finite.
_FLOAT32_BOUNDS, _FLOAT64_BOUNDS = (20.0, 1e9), (150.0, 1e18)


def padded_keys(size, dtype):
    """Return the length of a key, padded to whole groups of vectors, in the arrays of the additive score."""
    group = GROUP * lanes_of(np.empty(0, dtype))
    return -(-size // group) * group


def row_size(steps, size, dtype):
    """Return how many elements the scratch array of `attend_row` needs: for `steps` source rows, keys of `size`."""
    width = lanes_of(np.empty(0, dtype))
    return -(-steps // width) * width + padded_keys(size, dtype)


# --------------------------------------------------------------------------------------------------- additive score


@kernel(cache=False)
def _bounds(array):
    """Return the bounds for an array's type."""
    return _FLOAT32_BOUNDS if array.itemsize == 4 else _FLOAT64_BOUNDS


@kernel
def prepare_keys(powers, keys, begin, end):
    """Compute e^(2·key) of the rows from `begin` to `end`; return the largest absolute element of these keys."""
    # powers (R, padded size), keys (R, A)
    size, padded = keys.shape[1], powers.shape[1]
    largest = zero(load(powers, 0))
    for row in range(begin, end):
        for j in range(0, padded, lanes(powers)):
            key = load_first(keys, row * size + j, size - j)
            largest = maximum(maximum(key, -key), largest)
            store(powers, row * padded + j, exp(key + key))
    return max_lanes(largest)


@kernel(cache=False)
def _prepare_query(row, place, queries, query_at, size, padded, reach):
    """Write −e^(2·query) to `row`, or 2·query where the powers would be too large; return whether it is the first."""
    largest, bounds = zero(load(row, place)), _bounds(row)
    for j in range(0, padded, lanes(row)):
        query = load_first(queries, query_at + j, size - j)
        largest = maximum(maximum(query, -query), largest)
        store(row, place + j, query + query)
    near = reach <= bounds[0] and max_lanes(largest) <= bounds[0]
    if near:
        for j in range(0, padded, lanes(row)):
            store(row, place + j, -exp(load(row, place + j)))
    return near


@kernel(cache=False)
def _denominators(row, place, keys, key_at, left, powers, power_at, near, lowest):
    """Return a group of vectors of −(1 + e^(2·(query + key))), none below `lowest`."""
    width = lanes(row)
    if near:
        return (
            maximum(lowest, load(row, place) * load(powers, power_at) - 1),
            maximum(lowest, load(row, place + width) * load(powers, power_at + width) - 1),
            maximum(lowest, load(row, place + 2 * width) * load(powers, power_at + 2 * width) - 1),
            maximum(lowest, load(row, place + 3 * width) * load(powers, power_at + 3 * width) - 1),
        )
    a, b = load_first(keys, key_at, left), load_first(keys, key_at + width, left - width)
    key_at, left = key_at + 2 * width, left - 2 * width
    c, d = load_first(keys, key_at, left), load_first(keys, key_at + width, left - width)
    return (
        maximum(lowest, -exp(load(row, place) + (a + a)) - 1),
        maximum(lowest, -exp(load(row, place + width) + (b + b)) - 1),
        maximum(lowest, -exp(load(row, place + 2 * width) + (c + c)) - 1),
        maximum(lowest, -exp(load(row, place + 3 * width) + (d + d)) - 1),
    )


@kernel(cache=False)
def _additive_scores(row, place, keys, powers, score, begin, end, near):
    """Write vᵀ·tanh(query + key) − Σ v, for the keys from `begin` to `end`, to the beginning of `row`."""
    size, padded, width = keys.shape[1], len(score), lanes(row)
    lowest = zero(load(row, 0)) - _bounds(row)[1]
    for s in range(begin, end):
        total = zero(lowest)
        for j in range(0, padded, GROUP * width):
            key_at, power_at = s * size + j, s * padded + j
            a, b, c, d = _denominators(row, place + j, keys, key_at, size - j, powers, power_at, near, lowest)
            ab, cd = a * b, c * d
            left = load(score, j) * b + load(score, j + width) * a
            right = load(score, j + 2 * width) * d + load(score, j + 3 * width) * c
            total += (left * cd + right * ab) / (ab * cd)
        row[s - begin] = 2 * sum_lanes(total)


@kernel(cache=False)
def _additive_scores_backward(d_queries, query_at, d_keys, d_score, score_at, row, place, keys, powers, score, begin,
                              end, near):  # fmt: skip
    """Propagate the gradients of the scores, which are in `row`, to the query, the keys and v."""
    size, padded, width = keys.shape[1], len(score), lanes(row)
    lowest = zero(load(row, 0)) - _bounds(row)[1]
    for j in range(0, padded, GROUP * width):
        va, vb = load(score, j), load(score, j + width)
        vc, vd = load(score, j + 2 * width), load(score, j + 3 * width)
        qa, qb, qc, qd = zero(lowest), zero(lowest), zero(lowest), zero(lowest)
        sa, sb, sc, sd = zero(lowest), zero(lowest), zero(lowest), zero(lowest)
        for s in range(begin, end):
            key_at, left = s * size + j, size - j
            a, b, c, d = _denominators(row, place + j, keys, key_at, left, powers, s * padded + j, near, lowest)
            ab, cd = a * b, c * d
            inverse = 1 / (ab * cd)
            of_ab, of_cd = inverse * cd, inverse * ab
            a, b, c, d = of_ab * b, of_ab * a, of_cd * d, of_cd * c  # (tanh − 1) / 2; its slope is −4·a·(1 + a)
            slope = zero(lowest) + row[s - begin]
            sa, sb, sc, sd = sa + slope * a, sb + slope * b, sc + slope * c, sd + slope * d
            slope = slope * -4
            a, b = (a + a * a) * (slope * va), (b + b * b) * (slope * vb)
            c, d = (c + c * c) * (slope * vc), (d + d * d) * (slope * vd)
            qa, qb, qc, qd = qa + a, qb + b, qc + c, qd + d
            store_first(d_keys, key_at, load_first(d_keys, key_at, left) + a, left)
            key_at, left = key_at + width, left - width
            store_first(d_keys, key_at, load_first(d_keys, key_at, left) + b, left)
            key_at, left = key_at + width, left - width
            store_first(d_keys, key_at, load_first(d_keys, key_at, left) + c, left)
            key_at, left = key_at + width, left - width
            store_first(d_keys, key_at, load_first(d_keys, key_at, left) + d, left)
        target, left = query_at + j, size - j
        store_first(d_queries, target, qa, left)
        store_first(d_queries, target + width, qb, left - width)
        store_first(d_queries, target + 2 * width, qc, left - 2 * width)
        store_first(d_queries, target + 3 * width, qd, left - 3 * width)
        target = score_at + j  # the gradients of a softmax's scores add up to 0: so does the part of the 1 in tanh
        store(d_score, target, load(d_score, target) + 2 * sa)
        store(d_score, target + width, load(d_score, target + width) + 2 * sb)
        store(d_score, target + 2 * width, load(d_score, target + 2 * width) + 2 * sc)
        store(d_score, target + 3 * width, load(d_score, target + 3 * width) + 2 * sd)


# ------------------------------------------------------------------------------------------- rows of keys and values


@kernel(cache=False)
def _products(row, x, x_at, rows, begin, end):
    """Write the dot products of x with the rows from `begin` to `end` of a matrix to the beginning of `row`."""
    size, width = rows.shape[1], lanes(row)
    whole = size - size % width
    for s in range(begin, end):
        total, other, place = zero(load(row, 0)), zero(load(row, 0)), s * size
        for j in range(0, whole - width, 2 * width):  # two sums: an addition takes as long as several can be begun
            total += load(x, x_at + j) * load(rows, place + j)
            other += load(x, x_at + j + width) * load(rows, place + j + width)
        for j in range(whole - whole % (2 * width), size, width):
            total += load_first(x, x_at + j, size - j) * load_first(rows, place + j, size - j)
        row[s - begin] = sum_lanes(total + other)


@kernel(cache=False)
def _weighted_sum(out, out_at, row, rows, begin, end):
    """Write the sum of the rows from `begin` to `end` of a matrix, with the factors in `row`, to `out`."""
    size, width = rows.shape[1], lanes(row)
    for j in range(0, size, GROUP * width):
        left = size - j
        a, b, c, d = zero(load(row, 0)), zero(load(row, 0)), zero(load(row, 0)), zero(load(row, 0))
        if left >= GROUP * width:
            for s in range(begin, end):
                factor, place = row[s - begin], s * size + j
                a += factor * load(rows, place)
                b += factor * load(rows, place + width)
                c += factor * load(rows, place + 2 * width)
                d += factor * load(rows, place + 3 * width)
        else:
            for s in range(begin, end):
                factor, place = row[s - begin], s * size + j
                a += factor * load_first(rows, place, left)
                b += factor * load_first(rows, place + width, left - width)
                c += factor * load_first(rows, place + 2 * width, left - 2 * width)
                d += factor * load_first(rows, place + 3 * width, left - 3 * width)
        store_first(out, out_at + j, a, left)
        store_first(out, out_at + j + width, b, left - width)
        store_first(out, out_at + j + 2 * width, c, left - 2 * width)
        store_first(out, out_at + j + 3 * width, d, left - 3 * width)


@kernel(cache=False)
def _add_to_rows(sums, row, x, x_at, begin, end):
    """Add x, times the factors in `row`, to the rows from `begin` to `end` of a matrix."""
    size, width = sums.shape[1], lanes(row)
    for s in range(begin, end):
        for j in range(0, size, width):
            place, left = s * size + j, size - j
            product = row[s - begin] * load_first(x, x_at + j, left)
            store_first(sums, place, load_first(sums, place, left) + product, left)


@kernel(cache=False)
def _softmax(row, count):
    """Replace the first `count` elements of `row` by their softmax; those up to a whole vector become 0."""
    width = lanes(row)
    padded = (count + width - 1) // width * width
    for s in range(count, padded):
        row[s] = -math.inf
    largest = load(row, 0)
    for s in range(width, padded, width):
        largest = maximum(load(row, s), largest)
    high, total = max_lanes(largest), zero(largest)
    for s in range(0, padded, width):
        share = exp(load(row, s) - high)
        total += share
        store(row, s, share)
    factor = 1 / sum_lanes(total)
    for s in range(0, padded, width):
        store(row, s, load(row, s) * factor)


# -------------------------------------------------------------------------------------------------------- one query


@kernel
def attend_row(contexts, context_at, weights, weights_at, queries, query_at, keys, powers, values, score, row, begin,
               end, reach):  # fmt: skip
    """Compute the weights and the context of one query, whose source has the rows from `begin` to `end`.

    Additive: `score` is v, padded with zeros, `powers` and `reach` are those of `prepare_keys`; if `reach` is infinite,
    `powers` is not read. Dot product: `score` and `powers` are None.
    """
    # contexts (·, M), weights (·, S), queries (·, A) from the elements *_at on; keys (R, A), powers (R, padded size),
    # values (R, M), score (padded size,), row (row_size,)
    width, size, count = lanes(row), keys.shape[1], end - begin
    if count == 0:
        for j in range(0, values.shape[1], width):
            store_first(contexts, context_at + j, zero(load(row, 0)), values.shape[1] - j)
        return
    if score is None:
        _products(row, queries, query_at, keys, begin, end)
    else:
        place = (count + width - 1) // width * width
        near = _prepare_query(row, place, queries, query_at, size, len(score), reach)
        _additive_scores(row, place, keys, powers, score, begin, end, near)
    _softmax(row, count)
    for s in range(0, count, width):
        store_first(weights, weights_at + s, load(row, s), count - s)
    _weighted_sum(contexts, context_at, row, values, begin, end)


@kernel
def attend_row_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, d_contexts, context_at, weights, weights_at,
                        queries, query_at, keys, powers, values, score, row, begin, end, reach):  # fmt: skip
    """Write the gradient of one query, and add to those of its keys and of v; those of the values are left out.

    The other arguments are those of `attend_row`.
    """
    # d_queries (·, A), d_keys (R, A), d_score (·, padded size), d_contexts (·, M)
    width, size, count = lanes(row), keys.shape[1], end - begin
    if count == 0:
        for j in range(0, size, width):
            store_first(d_queries, d_query_at + j, zero(load(row, 0)), size - j)
        return
    _products(row, d_contexts, context_at, values, begin, end)
    total = zero(load(row, 0))
    for s in range(0, count, width):  # lanes behind the last row have the weight 0
        total += load_first(weights, weights_at + s, count - s) * load_first(row, s, count - s)
    mean = sum_lanes(total)
    for s in range(0, count, width):
        store(row, s, load_first(weights, weights_at + s, count - s) * (load_first(row, s, count - s) - mean))
    if score is None:
        _weighted_sum(d_queries, d_query_at, row, keys, begin, end)
        _add_to_rows(d_keys, row, queries, query_at, begin, end)
    else:
        place = (count + width - 1) // width * width
        near = _prepare_query(row, place, queries, query_at, size, len(score), reach)
        _additive_scores_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, row, place, keys, powers, score,
                                  begin, end, near)  # fmt: skip


@kernel
def add_values_gradient(d_values, d_contexts, weights, b, steps, begin, end, panels):
    """Add Σ_t weights[t, b]ᵀ · d_contexts[t, b], of the first `steps` steps, to the rows from `begin` to `end`."""
    # d_values (R, M), d_contexts (T, B, M), weights (T, B, S), panels (panels_size,)
    batch, size = d_contexts.shape[1], d_values.shape[1]
    source_steps = weights.shape[2]
    edge_size = TILE_ROWS * PANEL_VECTORS * lanes(panels)
    edge, packed = panels[:edge_size], panels[edge_size:]
    pack(packed, d_contexts.reshape(d_contexts.size), Strides(b * size, batch * size, 1), steps, size)
    product_block(d_values, Strides(begin * size, size, 1), weights, Strides(b * source_steps, 1, batch * source_steps),
                  packed, edge, end - begin, steps, size)  # fmt: skip


def panels_size(steps, size, dtype):
    """Return how many elements the scratch array of `add_values_gradient` needs."""
    return TILE_ROWS * PANEL_VECTORS * lanes_of(np.empty(0, dtype)) + packed_size(steps, size, dtype)


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
    rows = room.take("rows", len(cuts), row_size(weights.shape[2], keys.shape[1], keys.dtype))
    run_kernel(attend_sequences, [
        (contexts, weights, queries, keys, powers, values, score, offsets, sources, lengths, rows[k], first, last)
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
    steps, batch = queries.shape[:2]
    rows = room.take("rows", len(cuts), row_size(weights.shape[2], keys.shape[1], keys.dtype))
    panels = room.take("panels", len(cuts), panels_size(steps, values.shape[1], keys.dtype))
    d_scores = None if score is None else room.zeros("d_scores", batch, len(score))
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


@kernel(cache=False)
def _powers(powers, keys, begin, end, steps):
    """Compute the powers of a source's keys if they are used several times; return the reach, see `attend_row`."""
    if powers is not None and steps > 1 and len(powers) >= end:
        return np.float64(prepare_keys(powers, keys, begin, end))
    return math.inf


@kernel
def attend_sequences(board, thread, contexts, weights, queries, keys, powers, values, score, offsets, sources, lengths,
                     row, first, last):  # fmt: skip
    """Compute the weights and contexts of the sequences from `first` to `last`, see `attention_forward`."""
    # score (padded size,) or None, powers (R, padded size), or fewer rows; or None, row (row_size,)
    enter(board, thread)
    steps, batch, size = contexts.shape
    for b in range(first, last):
        begin, end = offsets[sources[b]], offsets[sources[b] + 1]
        used = lengths[b] if end > begin else 0
        reach = _powers(powers, keys, begin, end, used)
        for t in range(steps):
            at = t * batch + b
            weights[t, b] = 0
            if t < used:
                attend_row(contexts, at * size, weights, at * weights.shape[2], queries, at * keys.shape[1], keys,
                           powers, values, score, row, begin, end, reach)  # fmt: skip
            else:
                contexts[t, b] = 0
    leave(board, thread)


@kernel
def attend_sequences_backward(board, thread, d_queries, d_keys, d_values, d_scores, d_contexts, weights, queries, keys,
                              powers, values, score, offsets, sources, lengths, row, panels, first, last):  # fmt: skip
    """Compute the gradients of the sequences from `first` to `last`; that of v in `d_scores`, a row a sequence."""
    # d_scores (B, padded size) or None, panels (panels_size,); the others as in `attend_sequences`
    enter(board, thread)
    steps, batch, size = d_queries.shape
    for b in range(first, last):
        begin, end = offsets[sources[b]], offsets[sources[b] + 1]
        used = lengths[b] if end > begin else 0
        reach = _powers(powers, keys, begin, end, used)
        for t in range(steps):
            at = t * batch + b
            if t < used:
                attend_row_backward(d_queries, at * size, d_keys, d_scores, b * _row(score), d_contexts,
                                    at * values.shape[1], weights, at * weights.shape[2], queries, at * size, keys,
                                    powers, values, score, row, begin, end, reach)  # fmt: skip
                if used < _FEW_STEPS:
                    for s in range(begin, end):
                        row[s - begin] = weights[t, b, s - begin]
                    _add_to_rows(d_values, row, d_contexts, at * values.shape[1], begin, end)
            else:
                d_queries[t, b] = 0
        if used >= _FEW_STEPS:
            add_values_gradient(d_values, d_contexts, weights, b, used, begin, end, panels)
    leave(board, thread)


@kernel(cache=False)
def _row(score):
    """Return the length of v, 0 where there is none."""
    if score is None:
        return 0
    return len(score)
