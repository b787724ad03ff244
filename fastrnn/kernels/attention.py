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
from fastrnn.simd import (
    exp,
    lanes,
    lanes_of,
    load,
    load_first,
    max_lanes,
    sigmoids,
    store,
    store_first,
    sum_lanes,
    zero,
)

GROUP = 4  # vectors that share a division, which costs as much as ten products
_MANY_STEPS = 4  # fewer queries of a source are no matrix worth packing for
# (largest key and query, largest 1 + e^2(q + k)): products of two powers, and of four denominators, are finite.
_FLOAT32_BOUNDS, _FLOAT64_BOUNDS = (20.0, 1e9), (150.0, 1e18)


def padded_keys(size, dtype):
    """Return the length of a key, padded to whole groups of vectors, in the arrays of the additive score."""
    group = GROUP * lanes_of(np.empty(0, dtype))
    return -(-size // group) * group


def row_size(steps, size, dtype):
    """Return how many elements the scratch array of `attend_row` needs: for `steps` source rows, keys of `size`."""
    width = lanes_of(np.empty(0, dtype))
    return padded_keys(size, dtype) + -(-steps // width) * width


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
def _prepare_query(row, queries, query_at, size, score, reach):
    """Write −e^(2·query) to `row`, or −2·query where powers would be too large; return whether it is the first."""
    if score is None:
        return False
    largest, bounds = zero(load(row, 0)), _bounds(row)
    for j in range(0, len(score), lanes(row)):
        query = load_first(queries, query_at + j, size - j)
        largest = maximum(maximum(query, -query), largest)
        store(row, j, query * -2)
    near = reach <= bounds[0] and max_lanes(largest) <= bounds[0]
    if near:
        for j in range(0, len(score), lanes(row)):
            store(row, j, -exp(-load(row, j)))
    return near


@kernel(cache=False)
def _fractions(row, j, keys, key_at, left, powers, power_at, near, lowest):
    """Return a group of vectors of (tanh(query + key) − 1) / 2 = −1 / (1 + e^(2·(query + key)))."""
    width = lanes(row)
    if near:
        a = maximum(lowest, load(row, j) * load(powers, power_at) - 1)
        b = maximum(lowest, load(row, j + width) * load(powers, power_at + width) - 1)
        c = maximum(lowest, load(row, j + 2 * width) * load(powers, power_at + 2 * width) - 1)
        d = maximum(lowest, load(row, j + 3 * width) * load(powers, power_at + 3 * width) - 1)
        ab, cd = a * b, c * d
        inverse = 1 / (ab * cd)
        of_ab, of_cd = inverse * cd, inverse * ab
        return of_ab * b, of_ab * a, of_cd * d, of_cd * c
    a, b = load_first(keys, key_at, left), load_first(keys, key_at + width, left - width)
    key_at, left = key_at + 2 * width, left - 2 * width
    c, d = load_first(keys, key_at, left), load_first(keys, key_at + width, left - width)
    a, b = sigmoids((load(row, j) - (a + a), load(row, j + width) - (b + b)))
    c, d = sigmoids((load(row, j + 2 * width) - (c + c), load(row, j + 3 * width) - (d + d)))
    return -a, -b, -c, -d


@kernel(cache=False)
def _additive_scores(row, at, keys, powers, score, begin, end, near):
    """Write vᵀ·tanh(query + key) − Σ v, for the keys from `begin` to `end`, to `row` from the element `at` on."""
    size, padded, width = keys.shape[1], len(score), lanes(row)
    lowest = zero(load(row, 0)) - _bounds(row)[1]
    for s in range(begin, end):
        total, other = zero(lowest), zero(lowest)
        for j in range(0, padded, GROUP * width):
            a, b, c, d = _fractions(row, j, keys, s * size + j, size - j, powers, s * padded + j, near, lowest)
            total += load(score, j) * a
            other += load(score, j + width) * b
            total += load(score, j + 2 * width) * c
            other += load(score, j + 3 * width) * d
        row[at + s - begin] = 2 * sum_lanes(total + other)


@kernel(cache=False)
def _additive_scores_backward(d_queries, query_at, d_keys, d_score, score_at, row, at, keys, powers, score, begin, end,
                              near):  # fmt: skip
    """Propagate the gradients of the scores, in `row` from the element `at` on, to the query, the keys and v."""
    size, padded, width = keys.shape[1], len(score), lanes(row)
    lowest = zero(load(row, 0)) - _bounds(row)[1]
    for j in range(0, padded, GROUP * width):
        va, vb = load(score, j), load(score, j + width)
        vc, vd = load(score, j + 2 * width), load(score, j + 3 * width)
        qa, qb, qc, qd = zero(lowest), zero(lowest), zero(lowest), zero(lowest)
        sa, sb, sc, sd = zero(lowest), zero(lowest), zero(lowest), zero(lowest)
        for s in range(begin, end):
            key_at, left = s * size + j, size - j
            a, b, c, d = _fractions(row, j, keys, key_at, left, powers, s * padded + j, near, lowest)
            slope = zero(lowest) + row[at + s - begin]
            sa, sb, sc, sd = sa + slope * a, sb + slope * b, sc + slope * c, sd + slope * d
            slope = slope * -4  # of tanh: −4·a·(1 + a)
            a, b = (a + a * a) * (slope * va), (b + b * b) * (slope * vb)
            c, d = (c + c * c) * (slope * vc), (d + d * d) * (slope * vd)
            qa, qb, qc, qd = qa + a, qb + b, qc + c, qd + d
            _add_group(d_keys, key_at, left, a, b, c, d)
        _store_group(d_queries, query_at + j, size - j, qa, qb, qc, qd)
        # The gradients of a softmax's scores add up to 0, and so does the part of the 1 in tanh = 1 + 2·a.
        _add_group(d_score, score_at + j, padded - j, sa + sa, sb + sb, sc + sc, sd + sd)


@kernel(cache=False)
def _store_group(array, at, left, a, b, c, d):
    """Write a group of vectors, at most `left` elements."""
    width = lanes(array)
    store_first(array, at, a, left)
    store_first(array, at + width, b, left - width)
    store_first(array, at + 2 * width, c, left - 2 * width)
    store_first(array, at + 3 * width, d, left - 3 * width)


@kernel(cache=False)
def _add_group(array, at, left, a, b, c, d):
    """Add a group of vectors, at most `left` elements."""
    width = lanes(array)
    if left >= GROUP * width:
        store(array, at, load(array, at) + a)
        store(array, at + width, load(array, at + width) + b)
        store(array, at + 2 * width, load(array, at + 2 * width) + c)
        store(array, at + 3 * width, load(array, at + 3 * width) + d)
    else:
        second, third, fourth = at + width, at + 2 * width, at + 3 * width
        a, b = load_first(array, at, left) + a, load_first(array, second, left - width) + b
        c, d = load_first(array, third, left - 2 * width) + c, load_first(array, fourth, left - 3 * width) + d
        _store_group(array, at, left, a, b, c, d)


# ------------------------------------------------------------------------------------------- rows of keys and values


@kernel(cache=False)
def _products(row, at, x, x_at, rows, begin, end):
    """Write the dot products of x with the rows from `begin` to `end` of a matrix to `row` from `at` on."""
    size, width = rows.shape[1], lanes(row)
    whole = size // width * width
    for s in range(begin, end, GROUP):  # rows at a time, which share the loads of x; the last ones twice if need be
        first = max(min(s, end - GROUP), begin)
        one, two, three = min(1, end - 1 - first), min(2, end - 1 - first), min(3, end - 1 - first)
        a, b, c, d = first * size, (first + one) * size, (first + two) * size, (first + three) * size
        left = size - whole
        tail = load_first(x, x_at + whole, left)
        sum_a, sum_b = tail * load_first(rows, a + whole, left), tail * load_first(rows, b + whole, left)
        sum_c, sum_d = tail * load_first(rows, c + whole, left), tail * load_first(rows, d + whole, left)
        for j in range(0, whole, width):
            part = load(x, x_at + j)
            sum_a += part * load(rows, a + j)
            sum_b += part * load(rows, b + j)
            sum_c += part * load(rows, c + j)
            sum_d += part * load(rows, d + j)
        place = at + first - begin
        row[place], row[place + one] = sum_lanes(sum_a), sum_lanes(sum_b)
        row[place + two], row[place + three] = sum_lanes(sum_c), sum_lanes(sum_d)


@kernel(cache=False)
def _weighted_sum(out, out_at, row, at, rows, begin, end):
    """Write the sum of the rows from `begin` to `end` of a matrix, with the factors in `row` from `at` on, to `out`."""
    size, width = rows.shape[1], lanes(row)
    for j in range(0, size, GROUP * width):
        left = size - j
        a, b, c, d = zero(load(row, 0)), zero(load(row, 0)), zero(load(row, 0)), zero(load(row, 0))
        for s in range(begin, end):
            factor, place = row[at + s - begin], s * size + j
            if left >= GROUP * width:
                a += factor * load(rows, place)
                b += factor * load(rows, place + width)
                c += factor * load(rows, place + 2 * width)
                d += factor * load(rows, place + 3 * width)
            else:
                a += factor * load_first(rows, place, left)
                b += factor * load_first(rows, place + width, left - width)
                c += factor * load_first(rows, place + 2 * width, left - 2 * width)
                d += factor * load_first(rows, place + 3 * width, left - 3 * width)
        _store_group(out, out_at + j, left, a, b, c, d)


@kernel(cache=False)
def _add_to_rows(sums, factors, at, x, x_at, begin, end):
    """Add x, times the factors from the element `at` on, to the rows from `begin` to `end` of a matrix."""
    size, width = sums.shape[1], lanes(sums)
    factors = factors.reshape(factors.size)
    for s in range(begin, end):
        for j in range(0, size, width):
            place, left = s * size + j, size - j
            product = factors[at + s - begin] * load_first(x, x_at + j, left)
            store_first(sums, place, load_first(sums, place, left) + product, left)


@kernel(cache=False)
def _softmax(row, at, weights, weights_at, count):
    """Replace `count` scores in `row` by their softmax, with zeros up to a whole vector; write it to `weights` too."""
    width = lanes(row)
    padded = (count + width - 1) // width * width
    for s in range(count, padded):
        row[at + s] = -math.inf
    largest = load(row, at)
    for s in range(width, padded, width):
        largest = maximum(load(row, at + s), largest)
    high, total = max_lanes(largest), zero(largest)
    for s in range(0, padded, width):
        share = exp(load(row, at + s) - high)
        total += share
        store(row, at + s, share)
    factor = 1 / sum_lanes(total)
    for s in range(0, padded, width):
        share = load(row, at + s) * factor
        store(row, at + s, share)
        store_first(weights, weights_at + s, share, count - s)


@kernel(cache=False)
def _softmax_backward(row, at, weights, weights_at, count):
    """Replace the gradients of `count` weights in `row` by those of the scores."""
    width = lanes(row)
    total = zero(load(row, 0))
    for s in range(0, count, width):  # lanes behind the last row have the weight 0
        total += load_first(weights, weights_at + s, count - s) * load_first(row, at + s, count - s)
    mean = sum_lanes(total)
    for s in range(0, count, width):
        slope = load_first(row, at + s, count - s) - mean
        store(row, at + s, load_first(weights, weights_at + s, count - s) * slope)


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
        near = _prepare_query(row, queries, query_at, keys.shape[1], score, reach)
        _scores(row, at, queries, query_at, keys, powers, score, begin, end, near)
        _softmax(row, at, weights, weights_at, end - begin)
    _weighted_sum(contexts, context_at, row, at, values, begin, end)


@kernel(cache=False)
def _scores(row, at, queries, query_at, keys, powers, score, begin, end, near):
    """Write the scores of a query to `row`."""
    if score is None:
        _products(row, at, queries, query_at, keys, begin, end)
    else:
        _additive_scores(row, at, keys, powers, score, begin, end, near)


@kernel
def attend_row_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, d_contexts, context_at, weights, weights_at,
                        queries, query_at, keys, powers, values, score, row, begin, end, reach):  # fmt: skip
    """Write the gradient of one query, and add to those of its keys and of v; those of the values are left out.

    The other arguments are those of `attend_row`.
    """
    # d_queries (·, A), d_keys (R, A), d_score (·, padded size), d_contexts (·, M)
    at = _scores_at(score)
    if begin < end:
        _products(row, at, d_contexts, context_at, values, begin, end)
        _softmax_backward(row, at, weights, weights_at, end - begin)
    _scores_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, row, at, queries, query_at, keys, powers,
                     score, begin, end, reach)  # fmt: skip


@kernel(cache=False)
def _scores_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, row, at, queries, query_at, keys, powers,
                     score, begin, end, reach):  # fmt: skip
    """Propagate the gradients of a query's scores, which are in `row`."""
    if score is None:
        _weighted_sum(d_queries, d_query_at, row, at, keys, begin, end)
        _add_to_rows(d_keys, row, at, queries, query_at, begin, end)
    else:
        near = _prepare_query(row, queries, query_at, keys.shape[1], score, reach)
        _additive_scores_backward(d_queries, d_query_at, d_keys, d_score, d_score_at, row, at, keys, powers, score,
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
            near = _prepare_query(row, queries, place * size, size, score, reach)
            _scores(row, scores_at, queries, place * size, keys, powers, score, begin, end, near)
            _softmax(row, scores_at, weights, place * source_steps, count)
            if not many:
                _weighted_sum(contexts, place * context_size, row, scores_at, values, begin, end)
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
            _products(row, scores_at, d_contexts, place * context_size, values, begin, end)
            if not many:
                _add_to_rows(d_values, weights, place * source_steps, d_contexts, place * context_size, begin, end)
            _softmax_backward(row, scores_at, weights, place * source_steps, count)
            if score is not None or not many:
                _scores_backward(d_queries, place * size, d_keys, d_scores, b * at, row, scores_at, queries,
                                 place * size, keys, powers, score, begin, end, reach)  # fmt: skip
        if score is None and many:
            _times(d_queries, of_queries, row, Strides(0, padded, 1), keys, Strides(begin * size, size, 1), used, count,
                   size, panels)  # fmt: skip
            _times(d_keys, Strides(begin * size, size, 1), row, Strides(0, 1, padded), queries, of_queries, count, used,
                   size, panels)  # fmt: skip
    leave(board, thread)
