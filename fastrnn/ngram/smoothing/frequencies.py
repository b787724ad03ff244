"""Relative frequencies: plain, after adding a number to every count, or with a fixed factor for backing off."""

import numpy as np

from fastrnn.ngram.smoothing.estimates import Estimates
from fastrnn.text.tokens import PAD_ID, START_ID

_BACKOFF = 0.4


def additive(counts, settings, k):
    """Estimate relative frequencies after adding `k` to the count of every word; 0 is maximum likelihood.

    A context always has order - 1 words, or fewer at the start of a sentence, where it begins with ``<s>``. After an
    unseen context all words are equally probable; with k = 0 their probability is 0.

    Parameters
    ----------
    counts : NGramCounts
        The n-grams.
    settings : Settings
    k : float
        The number added to each count.

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
    # Only whole contexts count: those of order - 1 words, and those that begin with <s>.
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
    """Score with relative frequencies; a word unseen after a context has 0.4 times its score after the shorter one.

    Scores are not probabilities: over the words of a context their sum exceeds 1. Backing off from an unseen context
    has the factor 1. An unseen word has the score 0.

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
