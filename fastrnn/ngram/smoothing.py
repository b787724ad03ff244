"""From counts to probabilities: one function a method, each with its source.

Every method ends in the same form, in which probabilities are looked up: with h' the context h without its first word,

    p(w | h) = probabilities[node of hw]      if hw is an n-gram of the model,
               backoffs[node of h] p(w | h')  otherwise; without the factor if h is no n-gram of the model.

The distribution that all this ends in is the one of the unigrams, where no word is without a node.
"""

import logging
import warnings
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.text import PAD_ID, START_ID

_LOGGER = logging.getLogger(__name__)

_FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


class Estimates(NamedTuple):
    """Probabilities of n n-grams, m of them below the highest order."""

    probabilities: np.ndarray  # float32 (n,)
    backoffs: np.ndarray  # float32 (m,)
    discounts: np.ndarray | None  # float64 (order, 3), where the method has some


def modified_kneser_ney(counts, discount_fallback=True):
    """Estimate interpolated modified Kneser-Ney probabilities.

    The numbers are those of KenLM's lmplz.

    Parameters
    ----------
    counts : NGramCounts
        The n-grams.
    discount_fallback : bool
        Whether an order whose discounts cannot be estimated takes 0.5, 1 and 1.5.

    Returns
    -------
    Estimates

    Raises
    ------
    ValueError
        If discounts cannot be estimated and `discount_fallback` is False.

    References
    ----------
    Stanley F. Chen and Joshua Goodman, "An empirical study of smoothing techniques for language modeling", 1998.
    Kenneth Heafield et al., "Scalable modified Kneser-Ney language model estimation", ACL 2013.
    """
    adjusted = _adjusted_counts(counts)
    discounts = _estimate_discounts(counts, adjusted, discount_fallback)
    starts = counts.level_starts
    probabilities = np.empty(len(counts.words), np.float32)
    probabilities[: starts[1]] = _unigram_probabilities(adjusted[: starts[1]], discounts[0])
    backoffs = np.empty(len(counts.lefts), np.float32)
    for k in range(1, len(starts) - 1):
        table = np.concatenate([[0.0], discounts[k]])
        contexts = starts[k - 1], starts[k]
        _interpolate(adjusted, counts.first_child, counts.suffixes, *contexts, table, probabilities, backoffs)
    return Estimates(probabilities, backoffs, discounts)


def _adjusted_counts(counts):
    """Return how many words stand before an n-gram; raw counts at the highest order and for what begins with <s>."""
    adjusted = counts.raw.copy()
    np.copyto(adjusted[: len(counts.lefts)], counts.lefts, where=counts.lefts > 0)
    adjusted[START_ID] = 0  # <s> is never predicted
    return adjusted  # int32 (n,)


def _estimate_discounts(counts, adjusted, fallback):
    """Return the discounts of the counts 1, 2, and 3 or more, an order a row: float64 (order, 3)."""
    order = len(counts.level_starts) - 1
    discounts = np.empty((order, 3))
    failed = []
    for k in range(1, order + 1):
        level = adjusted[counts.level_starts[k - 1] : counts.level_starts[k]]
        n = np.bincount(np.minimum(level, 5), minlength=6)  # n[j] n-grams have the count j
        if k < order and len(level):  # a quirk of lmplz: the raw count of this one enters
            last = _last_ngram(counts, k)
            n[min(adjusted[last], 5)] -= 1
            n[min(counts.raw[last], 5)] += 1
        j = np.arange(1, 4)
        with np.errstate(divide="ignore", invalid="ignore"):
            discounts[k - 1] = j - (j + 1) * n[1] / (n[1] + 2 * n[2]) * n[j + 1] / n[j]
        if not ((n[j] > 0) & (discounts[k - 1] >= 0) & (discounts[k - 1] <= j)).all():
            discounts[k - 1] = _FALLBACK_DISCOUNTS
            if len(level):
                failed.append(k)
    if failed:
        _report_failed_discounts(failed, fallback)
    return discounts


def _last_ngram(counts, k):
    """Return the node of the last n-gram of order k that was seen, if last words are compared first."""
    begin, end = counts.level_starts[k - 1 : k + 1]
    nodes = (begin + np.flatnonzero(counts.raw[begin:end])).astype(np.int32)
    ends = nodes  # of the beginnings of these n-grams that are not compared yet
    for back in range(k):
        if back:
            ends = np.searchsorted(counts.first_child, ends, side="right") - 1
        words = counts.words[ends]
        is_last = words == words.max()
        nodes, ends = nodes[is_last], ends[is_last]
    return nodes[0]


def _report_failed_discounts(failed, fallback):
    orders = ", ".join(map(str, failed))
    problem = f"The Kneser-Ney discounts of order {orders} cannot be estimated: too few n-grams appear once to 4 times"
    if not fallback:
        raise ValueError(f"{problem}; allow discount_fallback, lower the order or give more text.")
    message = f"{problem}; 0.5, 1 and 1.5 are used."
    if failed == [1]:  # characters, like any closed vocabulary, have no rare unigrams; it matters little
        _LOGGER.info(message)
    else:
        warnings.warn(message, stacklevel=2)


def _unigram_probabilities(counts, discounts):
    """Return the discounted unigram probabilities, interpolated with the uniform distribution: float64 (V,)."""
    removed = np.concatenate([[0.0], discounts])[np.minimum(counts, 3)]
    total = counts.sum(dtype=np.int64)
    probabilities = (counts - removed + removed.sum() / _n_predictable(len(counts))) / total
    probabilities[[PAD_ID, START_ID]] = 0
    return probabilities


def _n_predictable(n_words):
    """Return how many words of a vocabulary can come next: all but <pad> and <s>."""
    return n_words - 2


@kernel
def _interpolate(
    counts,  # int32 (n,)
    first_child,  # int32 (m + 1,)
    suffixes,  # int32 (n,)
    begin,  # contexts begin:end
    end,
    discounts,  # float64 (4,): what is taken from the counts 0, 1, 2, and 3 or more
    probabilities,  # float32 (n,): those of lower orders known; output for the n-grams of these contexts
    backoffs,  # float32 (m,): output for these contexts
):
    """Discount the n-grams of one order and interpolate them with the next lower one."""
    for context in range(begin, end):
        total = 0
        removed = 0.0
        for node in range(first_child[context], first_child[context + 1]):
            total += counts[node]
            removed += discounts[min(counts[node], 3)]
        if total == 0:
            backoffs[context] = 1.0
            continue
        backoff = removed / total
        backoffs[context] = backoff
        for node in range(first_child[context], first_child[context + 1]):
            discounted = (counts[node] - discounts[min(counts[node], 3)]) / total
            probabilities[node] = discounted + backoff * probabilities[suffixes[node]]


def additive(counts, k):
    """Estimate relative frequencies after adding `k` to the count of every word (0: maximum likelihood).

    The context is always order - 1 words, fewer only at the start of a sentence, where it begins with ``<s>``. After a
    context that was never seen all words are equally probable; with k = 0 none has a probability.

    Parameters
    ----------
    counts : NGramCounts
        The n-grams.
    k : float
        What is added.

    Returns
    -------
    Estimates

    References
    ----------
    G. J. Lidstone, "Note on the general case of the Bayes-Laplace formula for inductive or a posteriori
    probabilities", 1920.
    """
    n_words = counts.level_starts[1]
    n_predictable = _n_predictable(n_words)
    unseen = 1 / n_predictable if k > 0 else 0.0
    probabilities = np.full(len(counts.words), unseen, np.float32)
    if len(counts.level_starts) == 2:
        raw = counts.raw.copy()
        raw[START_ID] = 0
        probabilities[:] = (raw + k) / (raw.sum(dtype=np.int64) + k * n_predictable)
    probabilities[[PAD_ID, START_ID]] = 0
    # Whole contexts: order - 1 words, or what begins with <s>, before which nothing stands. Only they count.
    whole = counts.lefts == 0  # (m,)
    whole[counts.level_starts[-3:][0] :] = True
    contexts = np.repeat(np.arange(len(whole)), np.diff(counts.first_child))  # of the nodes from n_words on
    totals = np.bincount(contexts, counts.raw[n_words:], minlength=len(whole))
    whole &= totals > 0
    estimates = (counts.raw[n_words:] + k) / (totals + k * n_predictable)[contexts]
    np.copyto(probabilities[n_words:], estimates, where=whole[contexts], casting="same_kind")
    backoffs = np.ones(len(whole), np.float32)
    backoffs[whole] = k * n_predictable / (totals[whole] + k * n_predictable)
    return Estimates(probabilities, backoffs, None)
