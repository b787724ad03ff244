"""Jelinek-Mercer: relative frequencies of all orders, with the weights that make a held-out text most probable."""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.smoothing.interpolation import N_BUCKETS, bucket, interpolate, predicted_counts
from fastrnn.text.tokens import START_ID

_MAX_ITERATIONS = 100
_TOLERANCE = 1e-4  # the largest change of a weight that ends the iterations


def jelinek_mercer(counts, settings):
    """Estimate interpolated relative frequencies.

    The weight of a relative frequency against the next lower order depends on the order and on the count of its context
    (in powers of two). Expectation maximization estimates the weights on a held-out part of the text; it begins as if
    each order had been used once and refused once.

    Parameters
    ----------
    counts : NGramCounts
    settings : Settings

    Returns
    -------
    Estimates

    References
    ----------
    Frederick Jelinek and Robert L. Mercer, "Interpolated estimation of Markov source parameters from sparse data",
    Pattern Recognition in Practice, 1980.
    """
    order = len(counts.level_starts) - 1
    weights = _estimate_weights(*settings.heldout(), settings.n_predictable)
    estimates = interpolate(
        counts, predicted_counts(counts, settings.workspace), settings, np.zeros((order, 3)), odds=1 / weights - 1
    )
    return estimates._replace(weights=weights)


def _estimate_weights(counts, text, n_predictable):
    """Return weights, float64 (order, N_BUCKETS), by expectation-maximization on `text`, int32 (T,)."""
    order = len(counts.level_starts) - 1
    frequencies = np.zeros((len(text), order), np.float32)
    buckets = np.full((len(text), order), -1, np.int8)
    _look_up(*counts[:5], text, frequencies, buckets)
    predicted = text != START_ID
    frequencies, buckets = frequencies[predicted], buckets[predicted]
    weights = np.full((order, N_BUCKETS), 0.5)
    for _ in range(_MAX_ITERATIONS):
        used, refused = np.ones_like(weights), np.ones_like(weights)
        _expect(frequencies, buckets, weights, 1 / n_predictable, used, refused)
        before, weights = weights, used / (used + refused)
        if abs(weights - before).max() < _TOLERANCE:
            break
    return weights


@kernel
def _look_up(
    level_starts,  # the trie
    words,
    first_child,
    suffixes,
    raw,
    text,  # int32 (T,)
    frequencies,  # float32 (T, order): zeros on entry; output, the relative frequency of the word after k words
    buckets,  # int8 (T, order): -1 on entry; output, the bucket of that context, -1 if it was not seen
):
    """Look up the relative frequencies of all orders at each position of a text."""
    order = len(level_starts) - 1
    n_tokens = raw[: level_starts[1]].sum() - raw[START_ID]
    contexts = np.full(order, -1, np.int64)  # the last word, the last two, ...
    for position in range(len(text)):
        word = text[position]
        longer = np.full(order, -1, np.int64)
        longer[0] = word
        frequencies[position, 0] = raw[word] / n_tokens
        buckets[position, 0] = bucket(n_tokens)
        for k in range(1, order):
            context = contexts[k - 1]
            if word == START_ID or context < 0:
                break
            low, high = first_child[context], first_child[context + 1]
            total = raw[low:high].sum()
            if total == 0:
                break
            buckets[position, k] = bucket(total)
            node = low + np.searchsorted(words[low:high], word)
            if node < high and words[node] == word:
                frequencies[position, k] = raw[node] / total
                longer[k] = node
        contexts = longer


@kernel
def _expect(
    frequencies,  # float32 (T, order)
    buckets,  # int8 (T, order)
    weights,  # float64 (order, N_BUCKETS)
    uniform,  # the probability of any word below the unigrams
    used,  # float64 (order, N_BUCKETS): the expected number of words that come from this order is added
    refused,  # float64 (order, N_BUCKETS): the expected number that comes from a lower order is added
):
    """Add the expected numbers of words that each order generates."""
    order = frequencies.shape[1]
    parts = np.empty(order)
    for t in range(len(frequencies)):
        rest = 1.0
        for k in range(order - 1, -1, -1):
            parts[k] = 0.0
            if buckets[t, k] >= 0:
                weight = weights[k, buckets[t, k]]
                parts[k] = rest * weight * frequencies[t, k]
                rest *= 1 - weight
        lower = rest * uniform
        total = lower + parts.sum()
        for k in range(order):
            if buckets[t, k] >= 0:
                used[k, buckets[t, k]] += parts[k] / total
                refused[k, buckets[t, k]] += lower / total
            lower += parts[k]
