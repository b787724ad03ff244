"""Relative frequencies: plain, after adding something to every count, or with a fixed price for backing off."""

import numpy as np

from fastrnn.ngram.smoothing.estimates import Estimates
from fastrnn.text.tokens import PAD_ID, START_ID

_BACKOFF = 0.4


def additive(counts, settings, k):
    """Estimate relative frequencies after adding `k` to the count of every word (0: maximum likelihood).

    The context is always order - 1 words, fewer only at the start of a sentence, where it begins with ``<s>``. After a
    context that was never seen all words are equally probable; with k = 0 none has a probability.

    Parameters
    ----------
    counts : NGramCounts
        The n-grams.
    settings : Settings
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
    added = k * settings.n_predictable
    unseen = 1 / settings.n_predictable if k > 0 else 0.0
    probabilities = np.full(len(counts.words), unseen)
    if len(counts.level_starts) == 2:
        raw = counts.raw.copy()
        raw[START_ID] = 0
        probabilities[:] = (raw + k) / (raw.sum(dtype=np.int64) + added)
    probabilities[[PAD_ID, START_ID]] = 0
    # Whole contexts: order - 1 words, or what begins with <s>, before which nothing stands. Only they count.
    whole = counts.lefts == 0  # (m,)
    whole[counts.level_starts[-3:][0] :] = True
    contexts = np.repeat(np.arange(len(whole)), np.diff(counts.first_child))  # of the nodes from n_words on
    totals = np.bincount(contexts, counts.raw[n_words:], minlength=len(whole))
    whole &= totals > 0
    estimates = (counts.raw[n_words:] + k) / (totals + added)[contexts]
    np.copyto(probabilities[n_words:], estimates, where=whole[contexts])
    backoffs = np.ones(len(whole))
    backoffs[whole] = added / (totals[whole] + added)
    return Estimates(probabilities, backoffs)


def stupid_backoff(counts, settings):
    """Score with relative frequencies, 0.4 times that of the shorter context where there is none.

    These are no probabilities: those of a context's words sum up to more than 1. A context that was never seen costs
    nothing. A word that was never seen has the score 0.

    Parameters
    ----------
    counts : NGramCounts
    settings : Settings

    Returns
    -------
    Estimates

    References
    ----------
    Thorsten Brants et al., "Large language models in machine translation", EMNLP 2007.
    """
    n_words = counts.level_starts[1]
    raw = counts.raw[:n_words].astype(np.float64)
    raw[START_ID] = 0
    probabilities = np.empty(len(counts.words), np.float32)
    probabilities[:n_words] = raw / raw.sum()
    contexts = counts.raw[: len(counts.lefts)]
    probabilities[n_words:] = counts.raw[n_words:] / np.repeat(contexts, np.diff(counts.first_child))
    return Estimates(probabilities, np.where(contexts > 0, np.float32(_BACKOFF), np.float32(1)))
