"""Attention over ragged sources, from the equations."""

import numpy as np


def pairs(offsets, sources, lengths, steps, batch):
    """Yield the numbers of a step and a sequence, and the rows of its source, for each query whose source has rows."""
    sources = np.arange(batch) if sources is None else sources
    lengths = np.full(batch, steps) if lengths is None else lengths
    for b in range(batch):
        rows = slice(offsets[sources[b]], offsets[sources[b] + 1])
        for t in range(lengths[b] if rows.stop > rows.start else 0):
            yield t, b, rows


def attention_forward(contexts, weights, queries, keys, values, score, offsets, sources, lengths, n_jobs=1):
    contexts[...], weights[...] = 0, 0
    for t, b, rows in pairs(offsets, sources, lengths, *queries.shape[:2]):
        query = queries[t, b]
        scores = keys[rows] @ query if score is None else np.tanh(query + keys[rows]) @ score
        p = np.exp(scores - scores.max())
        weights[t, b, : len(p)] = p / p.sum()
        contexts[t, b] = weights[t, b, : len(p)] @ values[rows]


def attention_backward(d_queries, d_keys, d_values, d_score, d_contexts, weights, queries, keys, values, score, offsets,
                       sources, lengths, n_jobs=1):  # fmt: skip
    d_queries[...] = 0
    for t, b, rows in pairs(offsets, sources, lengths, *queries.shape[:2]):
        query, p = queries[t, b], weights[t, b, : rows.stop - rows.start]
        slopes = values[rows] @ d_contexts[t, b]
        d_scores = p * (slopes - p @ slopes)
        d_values[rows] += np.outer(p, d_contexts[t, b])
        if score is None:
            d_queries[t, b] = d_scores @ keys[rows]
            d_keys[rows] += np.outer(d_scores, query)
        else:
            hidden = np.tanh(query + keys[rows])
            d_sums = np.outer(d_scores, score) * (1 - hidden**2)
            d_queries[t, b] = d_sums.sum(axis=0)
            d_keys[rows] += d_sums
            d_score += d_scores @ hidden
