"""Methods that interpolate every order with the next lower one, the last with equal probabilities.

They differ in the discounts of the counts of a context h, and in the extra that they add to the total:

    p(w | h) = (c(hw) - D(c)) / (C + E) + gamma p(w | h'),    gamma = (sum of D(c) + E) / (C + E),

where C is the sum of the counts. D(c) are the discounts of Kneser-Ney and its relatives. The extra E is the number of
different words after h for Witten-Bell, and a multiple of C for Jelinek-Mercer. The whole count of a pruned n-gram goes
to gamma.
"""

from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.smoothing.estimates import Estimates, count_counts, report_fallback
from fastrnn.text.tokens import PAD_ID, START_ID

N_BUCKETS = 16  # of contexts, by the logarithm of their count

_NO_ODDS = np.zeros(N_BUCKETS)
_FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
_FALLBACK_DISCOUNT = 0.75


def modified_kneser_ney(counts, settings):
    """Estimate interpolated modified Kneser-Ney probabilities.

    The numbers are those of KenLM's lmplz.

    Parameters
    ----------
    counts : NGramCounts
    settings : Settings

    Returns
    -------
    Estimates

    Raises
    ------
    ValueError
        Discounts cannot be estimated, and the settings allow no fallback.

    References
    ----------
    Stanley F. Chen and Joshua Goodman, "An empirical study of smoothing techniques for language modeling", 1998.
    Kenneth Heafield et al., "Scalable modified Kneser-Ney language model estimation", ACL 2013.
    """
    adjusted = _adjusted_counts(counts, settings.workspace)
    discounts, failed = _three_discounts(counts, adjusted)
    used = "0.5, 1 and 1.5 are used"
    report_fallback("Kneser-Ney discounts", failed, used, settings.discount_fallback)
    return interpolate(counts, adjusted, settings, discounts)._replace(discounts=discounts)


def kneser_ney(counts, settings):
    """Estimate interpolated Kneser-Ney probabilities with one discount per order.

    Lower orders count the different words before an n-gram. See `modified_kneser_ney` for the parameters.

    References
    ----------
    Reinhard Kneser and Hermann Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995.
    """
    return _with_one_discount(counts, _adjusted_counts(counts, settings.workspace), settings)


def absolute_discount(counts, settings):
    """Estimate interpolated probabilities with one discount per order, taken from the counts of n-grams.

    See `modified_kneser_ney` for the parameters.

    References
    ----------
    Hermann Ney, Ute Essen and Reinhard Kneser, "On structuring probabilistic dependences in stochastic language
    modelling", Computer Speech and Language, 1994.
    """
    return _with_one_discount(counts, predicted_counts(counts, settings.workspace), settings)


def witten_bell(counts, settings):
    """Estimate interpolated Witten-Bell probabilities: the extra is the number of different words after a context.

    See `modified_kneser_ney` for the parameters.

    References
    ----------
    Ian H. Witten and Timothy C. Bell, "The zero-frequency problem: estimating the probabilities of novel events in
    adaptive text compression", IEEE Transactions on Information Theory, 1991.
    """
    order = len(counts.level_starts) - 1
    raw = predicted_counts(counts, settings.workspace)
    return interpolate(counts, raw, settings, np.zeros((order, 3)), extra_per_word=1.0)


def predicted_counts(counts, workspace):
    """Return how often each n-gram is predicted, int32 (n,): its count in the text, but 0 for ``<s>``."""
    raw = workspace.empty(len(counts.raw), np.int32)
    raw[:] = counts.raw
    raw[START_ID] = 0
    workspace.release()
    return raw


def _adjusted_counts(counts, workspace):
    """Return the number of different words before each n-gram, int32 (n,).

    N-grams of the highest order, and those that begin with ``<s>``, keep their counts.
    """
    adjusted = predicted_counts(counts, workspace)
    np.copyto(adjusted[: len(counts.lefts)], counts.lefts, where=counts.lefts > 0)
    return adjusted


def _three_discounts(counts, adjusted):
    """Return the discounts of the counts 1, 2, and 3 or more, float64 (order, 3), and the orders where that failed."""
    order = len(counts.level_starts) - 1
    discounts, failed = np.empty((order, 3)), []
    for k in range(1, order + 1):
        n = _count_level(counts, adjusted, k, 5)
        seen = counts.level_starts[k] > counts.level_starts[k - 1]
        if k < order and seen:  # a quirk of lmplz: the raw count of this n-gram is used
            last = _last_ngram(counts, k)
            n[min(adjusted[last], 5)] -= 1
            n[min(counts.raw[last], 5)] += 1
        j = np.arange(1, 4)
        with np.errstate(divide="ignore", invalid="ignore"):
            discounts[k - 1] = j - (j + 1) * n[1] / (n[1] + 2 * n[2]) * n[j + 1] / n[j]
        if not ((n[j] > 0) & (discounts[k - 1] >= 0) & (discounts[k - 1] <= j)).all():
            discounts[k - 1] = _FALLBACK_DISCOUNTS
            failed += [k] if seen else []
    return discounts, failed


def _with_one_discount(counts, values, settings):
    order = len(counts.level_starts) - 1
    discounts, failed = np.full((order, 1), _FALLBACK_DISCOUNT), []
    for k in range(1, order + 1):
        n = _count_level(counts, values, k, 3)
        if n[1] and n[2]:
            discounts[k - 1] = n[1] / (n[1] + 2 * n[2])
        elif counts.level_starts[k] > counts.level_starts[k - 1]:
            failed.append(k)
    report_fallback("discount", failed, f"{_FALLBACK_DISCOUNT} is used", settings.discount_fallback)
    return interpolate(counts, values, settings, np.repeat(discounts, 3, axis=1))._replace(discounts=discounts)


def _count_level(counts, values, k, largest):
    """Return how many n-grams of order k have the value 0, 1, ..., `largest` or more: int64 (largest + 1,)."""
    n = np.zeros(largest + 1, np.int64)
    count_counts(values[counts.level_starts[k - 1] : counts.level_starts[k]], n)
    return n


def _last_ngram(counts, k):
    """Return the node of the last n-gram of order k that was seen, in the order that compares last words first."""
    begin, end = counts.level_starts[k - 1 : k + 1]
    level, seen = counts.words[begin:end], counts.raw[begin:end] > 0
    nodes = (begin + np.flatnonzero(seen & (level == level.max(where=seen, initial=-1)))).astype(np.int32)
    ends = nodes  # the contexts whose last words are compared next
    for _ in range(k - 1):
        ends = np.searchsorted(counts.first_child, ends, side="right") - 1
        is_last = counts.words[ends] == counts.words[ends].max()
        nodes, ends = nodes[is_last], ends[is_last]
    return nodes[0]


class _Parameters(NamedTuple):
    """Amounts that a method subtracts from the counts of one order and adds to their sums."""

    discounts: np.ndarray  # float64 (4,): of the counts 0, 1, 2, and 3 or more
    extra_per_word: float
    odds: np.ndarray  # float64 (N_BUCKETS,)


def interpolate(counts, values, settings, discounts, extra_per_word=0.0, odds=None):
    """Interpolate all orders.

    Parameters
    ----------
    counts : NGramCounts
        The n-grams.
    values : int32 array (n,)
        The counts c of the method.
    settings : Settings
    discounts : float64 array (order, 3)
        The discounts D of the counts 1, 2, and 3 or more.
    extra_per_word : float
        E for each different word after a context.
    odds : float64 array (order, N_BUCKETS) or None
        E for each occurrence of a context, by the `bucket` of their number.

    Returns
    -------
    Estimates
    """
    starts, workspace = counts.level_starts, settings.workspace
    probabilities = workspace.empty(len(counts.words), np.float32)
    backoffs = workspace.empty(len(counts.lefts), np.float32)
    for k in range(1, len(starts)):
        parameters = _Parameters(
            discounts=np.concatenate([[0.0], discounts[k - 1]]),
            extra_per_word=extra_per_word,
            odds=_NO_ODDS if odds is None else odds[k - 1],
        )
        if k == 1:
            probabilities[: starts[1]] = _unigrams(values[: starts[1]], parameters, settings.n_predictable)
            continue
        workspace.over_contexts(
            _interpolate, counts.first_child, int(starts[k - 2]), int(starts[k - 1]),
            values, settings.kept, counts.first_child, counts.suffixes, parameters, probabilities, backoffs,
        )  # fmt: skip
    return Estimates(probabilities, backoffs)


def _unigrams(values, parameters, n_predictable):
    """Return the probabilities of the unigrams, interpolated with equal probabilities: float64 (V,)."""
    removed = parameters.discounts[np.minimum(values, 3)]
    total = values.sum(dtype=np.int64)
    extra = parameters.extra_per_word * np.count_nonzero(values) + total * parameters.odds[bucket(total)]
    probabilities = (values - removed + (removed.sum() + extra) / n_predictable) / (total + extra)
    probabilities[[PAD_ID, START_ID]] = 0
    return probabilities


@kernel
def bucket(total):
    """Return the bucket of contexts with this total: the whole part of its logarithm to base 2, at most 15."""
    found = 0
    while total > 1 and found < N_BUCKETS - 1:
        total >>= 1
        found += 1
    return found


@kernel
def _interpolate(
    counts,  # int32 (n,)
    kept,  # bool (n,)
    first_child,  # int32 (m + 1,)
    suffixes,  # int32 (n,)
    parameters,  # _Parameters
    probabilities,  # float32 (n,): known for lower orders; output for the n-grams of these contexts
    backoffs,  # float32 (m,): output for these contexts
    begin,  # contexts begin:end, of one order
    end,
):
    """Discount the n-grams of one order and interpolate them with the next lower one."""
    discounts, extra_per_word, odds = parameters.discounts, parameters.extra_per_word, parameters.odds
    for context in range(begin, end):
        low, high = first_child[context], first_child[context + 1]
        total = 0
        removed = 0.0
        for node in range(low, high):
            total += counts[node]
            removed += discounts[min(counts[node], 3)] if kept[node] else counts[node]
        if total == 0:
            backoffs[context] = 1.0
            continue
        extra = extra_per_word * (high - low) + total * odds[bucket(total)]
        backoff = (removed + extra) / (total + extra)
        backoffs[context] = backoff
        for node in range(low, high):
            discounted = (counts[node] - discounts[min(counts[node], 3)]) / (total + extra)
            probabilities[node] = discounted + backoff * probabilities[suffixes[node]]
