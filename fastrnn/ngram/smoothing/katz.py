"""Katz: Good-Turing discounts, whose sum goes to unseen words through backing off."""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.smoothing.estimates import Estimates, count_counts, report_fallback
from fastrnn.ngram.smoothing.interpolation import predicted_counts
from fastrnn.text.tokens import PAD_ID, START_ID

_RELIABLE = 5  # counts above this are not discounted
_FALLBACK_DISCOUNT = 0.5  # of each count up to that


def katz(counts, settings):
    """Estimate Katz probabilities.

    Parameters
    ----------
    counts : NGramCounts
    settings : Settings

    Returns
    -------
    Estimates
        Its discounts are the factors of the counts 1 to 5.

    Raises
    ------
    ValueError
        Discounts cannot be estimated, and the settings allow no fallback.

    Notes
    -----
    A context whose counts are all above 5 would leave nothing to other words: 1 is added to its total, as in SRILM.

    References
    ----------
    Slava M. Katz, "Estimation of probabilities from sparse data for the language model component of a speech
    recognizer", IEEE Transactions on Acoustics, Speech, and Signal Processing, 1987.
    """
    starts, workspace = counts.level_starts, settings.workspace
    raw = predicted_counts(counts, workspace)
    factors = _good_turing(starts, raw, settings)
    # In float64: the probability of other words is a small difference.
    probabilities = workspace.empty(len(counts.words), np.float64)
    backoffs = workspace.empty(len(counts.lefts), np.float64)
    probabilities[: starts[1]] = _unigrams(raw[: starts[1]], _discounting(factors[0]), settings.n_predictable)
    for k in range(2, len(starts)):
        workspace.over_contexts(
            _discount, counts.first_child, int(starts[k - 2]), int(starts[k - 1]),
            raw, settings.kept, counts.first_child, counts.suffixes, _discounting(factors[k - 1]),
            probabilities, backoffs,
        )  # fmt: skip
    return Estimates(probabilities, backoffs, factors)


def _good_turing(starts, raw, settings):
    """Return the factors of the counts 1 to 5, an order a row: float64 (order, 5)."""
    r = np.arange(1, _RELIABLE + 1)
    factors, failed = np.empty((len(starts) - 1, _RELIABLE)), []
    for k, row in enumerate(factors, start=1):
        level = raw[starts[k - 1] : starts[k]]
        n = np.zeros(_RELIABLE + 3, np.int64)
        count_counts(level, n)
        with np.errstate(divide="ignore", invalid="ignore"):
            unreliable = (_RELIABLE + 1) * n[_RELIABLE + 1] / n[1]
            row[:] = ((r + 1) * n[r + 1] / (r * n[r]) - unreliable) / (1 - unreliable)
        if not ((row > 0) & (row <= 1)).all():
            row[:] = 1 - _FALLBACK_DISCOUNT / r
            failed += [k] if len(level) else []
    used = f"{_FALLBACK_DISCOUNT} is taken from each count up to {_RELIABLE}"
    report_fallback("Good-Turing discounts", failed, used, settings.discount_fallback)
    return factors


def _discounting(factors):
    """Return the factors of the counts 0, 1, ..., 5, and 6 or more."""
    return np.concatenate([[0.0], factors, [1.0]])


def _unigrams(raw, factors, n_predictable):
    """Return the probabilities of the unigrams, float64 (V,); unseen words share the rest equally."""
    discounted = raw * factors[np.minimum(raw, len(factors) - 1)]
    n_unseen = n_predictable - np.count_nonzero(raw)
    total = raw.sum(dtype=np.int64)
    left = total - discounted.sum()
    if n_unseen == 0:  # no word gets the rest
        return discounted / discounted.sum()
    if left == 0:
        left, total = 1, total + 1
    probabilities = np.where(raw > 0, discounted, left / n_unseen) / total
    probabilities[[PAD_ID, START_ID]] = 0
    return probabilities


@kernel
def _discount(
    raw,  # int32 (n,)
    kept,  # bool (n,)
    first_child,  # int32 (m + 1,)
    suffixes,  # int32 (n,)
    factors,  # float64 (7,): of the counts 0, 1, ..., 6 or more
    probabilities,  # float64 (n,): known for lower orders; output for the n-grams of these contexts
    backoffs,  # float64 (m,): output for these contexts
    begin,  # contexts begin:end, of one order
    end,
):
    """Discount the n-grams of one order, and compute the backoffs of their contexts."""
    for context in range(begin, end):
        total = 0
        seen = 0.0  # sum of the discounted counts
        lower = 1.0  # probability of other words after the shorter context
        for node in range(first_child[context], first_child[context + 1]):
            total += raw[node]
            if kept[node]:
                seen += raw[node] * factors[min(raw[node], len(factors) - 1)]
                lower -= probabilities[suffixes[node]]
        if seen == 0:
            backoffs[context] = 1.0
            continue
        if seen == total:
            total += 1
        if lower < 1e-12:  # no other words
            total = seen
            lower = 1.0
        backoffs[context] = (1 - seen / total) / lower if seen < total else 1.0
        for node in range(first_child[context], first_child[context + 1]):
            probabilities[node] = raw[node] * factors[min(raw[node], len(factors) - 1)] / total
