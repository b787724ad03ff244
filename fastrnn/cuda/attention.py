"""Attention of the queries of sequences to the rows of their sources, as in `fastrnn.kernels.attention`.

A block computes the weights and the context of one query: teams of threads take the rows of its source for the scores,
and each thread some columns for the context. Backward, the same blocks compute the gradients of the scores and of the
query. Then a block for each row of a source walks over all queries that read it, so that no two blocks add to the same
gradients, and every sum has one order.

The kernels see queries as rows of a matrix, of which a launch takes neighbouring ones, step after step: all steps of a
padded batch, or the rows of one step of a time loop in packed order. `spans` has a line for each sequence: the first
row of its source, the number of these rows, and the number of its steps.
"""

import numpy as np
from numba import cuda

from fastrnn.cuda.arrays import asarray, empty, zeros
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.gpu import device
from fastrnn.cuda.reductions import add_columns, block_maximum, block_sum, team_sum
from fastrnn.simd import exp, tanh, tanh_slope

_WIDTH = 8  # threads that share a row of a source: they read whole sectors of 32 bytes


def attention_forward(contexts, weights, queries, keys, values, score, offsets, sources, lengths, n_jobs=1):
    """Compute the weights and the context of each query, see `fastrnn.kernels.attention.attention_forward`."""
    # contexts (T, B, M), weights (T, B, S), queries (T, B, A), keys (R, A), values (R, M), score (A,) or None,
    # offsets (sources + 1,), sources (B,) or None, lengths (B,) or None of the host
    spans = asarray(make_spans(offsets, sources, lengths, *queries.shape[:2]))
    contexts, weights, queries = map(_as_rows, (contexts, weights, queries))
    over_queries(attend, len(queries), contexts, weights, queries, keys, values, score, spans)(0, len(queries), 0)


def attention_backward(d_queries, d_keys, d_values, d_score, d_contexts, weights, queries, keys, values, score, offsets,
                       sources, lengths, n_jobs=1):  # fmt: skip
    """Compute all gradients of `attention_forward`; no two sequences may have the same source."""
    # d_queries (T, B, A) is overwritten, d_keys (R, A), d_values (R, M), d_score (A,) or None are added to,
    # d_contexts (T, B, M); the others as in `attention_forward`
    steps, batch = queries.shape[:2]
    spans = asarray(make_spans(offsets, sources, lengths, steps, batch))
    d_queries, d_contexts, weights, queries = map(_as_rows, (d_queries, d_contexts, weights, queries))
    d_scores = empty(weights.shape, weights.dtype)
    inputs = weights, queries, keys, values, score, spans
    over_queries(attend_backward, len(queries), d_scores, d_queries, None, d_contexts, *inputs)(0, len(queries), 0)
    slopes = None if score is None else zeros(keys.shape, keys.dtype)
    rows = asarray(np.arange(steps, dtype=np.int32) * np.int32(batch))
    add_source_gradients(d_keys, d_values, d_score, slopes, d_scores, d_contexts, *inputs, rows, rows)


def make_spans(offsets, sources, lengths, steps, batch):
    """Return the first row and the number of rows of each sequence's source, and its steps: int32 (B, 3), host."""
    offsets = np.asarray(offsets, np.int64)
    sources = np.arange(batch) if sources is None else np.asarray(sources)
    spans = np.empty((batch, 3), np.int32)
    spans[:, 0] = offsets[sources]
    spans[:, 1] = offsets[sources + 1] - offsets[sources]
    spans[:, 2] = steps if lengths is None else lengths
    return spans


def _as_rows(array):
    """Return an array (T, B, n) as (T · B, n)."""
    return array.reshaped((array.shape[0] * array.shape[1], array.shape[2]))


def over_queries(function, most, *arguments):
    """Return a launch of a kernel for some queries: it takes `first`, `count` and `first_query` as the kernel does.

    Parameters
    ----------
    function : Kernel
        `attend` or `attend_backward`.
    most : int
        The largest number of queries of a launch.
    *arguments
        Of the kernel, but for the last four.
    """
    found = device()
    threads, itemsize = found.threads, arguments[0].dtype.itemsize
    launch = function.prepare(min(max(most, 1), found.blocks), threads, *arguments, min(_WIDTH, threads), numbers=3,
                              shared=threads * itemsize)  # fmt: skip
    return launch if most else lambda first, count, first_query: None


def add_source_gradients(d_keys, d_values, d_score, slopes, d_scores, d_contexts, weights, queries, keys, values, score,
                         spans, first_rows, first_queries):  # fmt: skip
    """Add the gradients of keys, values and v, from what `attend_backward` has written for all queries.

    `slopes` is scratch: zeros of the shape of the keys, or None without v. Of each step, the last arguments have the
    first row, and that of the queries.
    """
    _add_source_gradients.over_rows(len(spans) * weights.shape[1], d_keys, d_values, slopes, d_scores, d_contexts,
                                    weights, queries, keys, score, spans, first_rows, first_queries)  # fmt: skip
    if score is not None:
        add_columns(d_score, slopes)


# ------------------------------------------------------------------------------------------------------------ kernels


@kernel
def attend(contexts, weights, queries, keys, values, score, spans, width, first, count, first_query):
    """Compute the weights and contexts of `count` queries, from row `first` on; zeros behind a sequence's end.

    The queries themselves are in the rows from `first_query` on.
    """
    # contexts (·, M), weights (·, S), queries (·, A or more), keys (R, A), values (R, M), score (A,) or None,
    # spans (B, 3)
    shared = cuda.shared.array(0, keys.dtype)  # (threads,)
    batch, thread, threads = spans.shape[0], cuda.threadIdx.x, cuda.blockDim.x
    for place in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        row, b = first + place, place % batch
        begin, size = spans[b, 0], spans[b, 1] if place // batch < spans[b, 2] else 0
        if size > 0:
            _write_scores(weights, row, queries, first_query + place, keys, score, begin, size, width, shared)
            _softmax(weights, row, size, shared)
        for s in range(size + thread, weights.shape[1], threads):
            weights[row, s] = weights.dtype.type(0)
        cuda.syncthreads()
        for j in range(thread, values.shape[1], threads):
            total = values.dtype.type(0)
            for s in range(size):
                total += weights[row, s] * values[begin + s, j]
            contexts[row, j] = total


@kernel
def attend_backward(d_scores, d_queries, d_h, d_contexts, weights, queries, keys, values, score, spans, width, first,
                    count, first_query):  # fmt: skip
    """Compute the gradients of the scores and of `count` queries from row `first` on, as `attend` does.

    Those of queries are written to `d_queries`, or added to the first rows of `d_h`, where there is one.
    """
    # d_scores (·, S), d_queries (·, A) or None, d_h (·, A or more) or None, d_contexts (·, M), others as in `attend`
    shared = cuda.shared.array(0, keys.dtype)  # (threads,)
    batch, thread, threads = spans.shape[0], cuda.threadIdx.x, cuda.blockDim.x
    for place in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        row, b = first + place, place % batch
        begin, size = spans[b, 0], spans[b, 1] if place // batch < spans[b, 2] else 0
        if size > 0:
            # Of the weights.
            _write_scores(d_scores, row, d_contexts, row, values, None, begin, size, width, shared)
            mean = keys.dtype.type(0)
            for s in range(thread, size, threads):
                mean += weights[row, s] * d_scores[row, s]
            mean = block_sum(mean, shared)
            for s in range(thread, size, threads):
                d_scores[row, s] = weights[row, s] * (d_scores[row, s] - mean)
        cuda.syncthreads()
        for j in range(thread, keys.shape[1], threads):
            total = keys.dtype.type(0)
            for s in range(size):
                if score is None:
                    total += d_scores[row, s] * keys[begin + s, j]
                else:
                    total += d_scores[row, s] * tanh_slope(tanh(queries[first_query + place, j] + keys[begin + s, j]))
            if score is not None:
                total *= score[j]
            if d_queries is not None:
                d_queries[row, j] = total
            if d_h is not None:
                d_h[place, j] += total


@kernel
def _add_source_gradients(d_keys, d_values, slopes, d_scores, d_contexts, weights, queries, keys, score, spans,
                          first_rows, first_queries):  # fmt: skip
    # d_keys, keys (R, A), d_values (R, M), slopes (R, A) or None, d_scores, weights (·, S), d_contexts (·, M),
    # queries (·, A or more), score (A,) or None, spans (B, 3), first_rows, first_queries (T or more,)
    thread, threads = cuda.threadIdx.x, cuda.blockDim.x
    for place in range(cuda.blockIdx.x, spans.shape[0] * weights.shape[1], cuda.gridDim.x):
        b = place // weights.shape[1]
        s = place - b * weights.shape[1]
        if s < spans[b, 1]:
            source, steps = spans[b, 0] + s, spans[b, 2]
            for j in range(thread, keys.shape[1], threads):
                total = keys.dtype.type(0)
                if score is None:
                    for t in range(steps):
                        total += d_scores[first_rows[t] + b, s] * queries[first_queries[t] + b, j]
                    d_keys[source, j] += total
                else:
                    key, slope = keys[source, j], keys.dtype.type(0)
                    for t in range(steps):
                        value, d_score = tanh(queries[first_queries[t] + b, j] + key), d_scores[first_rows[t] + b, s]
                        slope += d_score * value
                        total += d_score * tanh_slope(value)
                    d_keys[source, j] += total * score[j]
                    slopes[source, j] = slope
            for j in range(thread, d_values.shape[1], threads):
                total = keys.dtype.type(0)
                for t in range(steps):
                    row = first_rows[t] + b
                    total += weights[row, s] * d_contexts[row, j]
                d_values[source, j] += total


@device_function
def _write_scores(scores, row, queries, query, keys, score, begin, size, width, shared):
    """Write the scores of a query and of `size` keys from row `begin` on; the block's threads may then read them."""
    # scores (·, S), queries (·, A or more), keys (R, A), score (A,) or None: products
    teams, member = cuda.blockDim.x // width, cuda.threadIdx.x & (width - 1)
    for first in range(0, size, teams):
        s, total = first + cuda.threadIdx.x // width, keys.dtype.type(0)
        if s < size:
            for j in range(member, keys.shape[1], width):
                if score is None:
                    total += queries[query, j] * keys[begin + s, j]
                else:
                    total += score[j] * tanh(queries[query, j] + keys[begin + s, j])
        total = team_sum(total, shared, width)
        if member == 0 and s < size:
            scores[row, s] = total
    cuda.syncthreads()


@device_function
def _softmax(scores, row, size, shared):
    """Replace the first `size` elements of a row by their softmax; each thread has its own."""
    # scores (·, S)
    thread, threads = cuda.threadIdx.x, cuda.blockDim.x
    highest = scores[row, min(thread, size - 1)]
    for s in range(thread, size, threads):
        highest = max(highest, scores[row, s])
    highest = block_maximum(highest, shared)
    total = scores.dtype.type(0)
    for s in range(thread, size, threads):
        share = exp(scores[row, s] - highest)
        scores[row, s] = share
        total += share
    factor = scores.dtype.type(1) / block_sum(total, shared)
    for s in range(thread, size, threads):
        scores[row, s] *= factor
