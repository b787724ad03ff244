"""Estimation of n-gram models: from an encoded text to the table of its n-grams."""

from typing import NamedTuple

import numpy as np

from fastrnn.ngram.counting import count_text
from fastrnn.ngram.pruning import frequent, prune_entropy
from fastrnn.ngram.smoothing import SMOOTHINGS, Settings
from fastrnn.ngram.table import NGramTable
from fastrnn.ngram.trie import Trie, prune_trie
from fastrnn.text.tokens import START_ID


class EstimationOptions(NamedTuple):
    """The parameters of `NGramLanguageModel` that its probabilities depend on."""

    order: int
    smoothing: str
    k: float
    discount_fallback: bool
    prune: tuple  # of int, at most one for each order
    prune_entropy: float
    vocab_pad: int
    quantize: bool


def estimate_table(text, ids, n_words, options, workspace):
    """Estimate the probabilities of the n-grams of a text.

    Parameters
    ----------
    text : int array (n_tokens,)
        Sentences one after another, each with ``<s>`` and ``</s>``.
    ids : int32 array
        The id in the vocabulary of the model for each id of the text.
    n_words : int
        The size of the vocabulary.
    options : EstimationOptions
    workspace : Workspace

    Returns
    -------
    NGramTable
    Estimates
        The discounts or weights that were estimated, among others.
    """
    counts = count_text(text, ids, options.order, n_words, workspace)
    kept = frequent(counts.level_starts, counts.raw, options.prune, workspace)
    settings = Settings(
        n_predictable=max(n_words - 2, options.vocab_pad),  # all but <pad> and <s>
        kept=kept,
        discount_fallback=options.discount_fallback,
        k=options.k,
        heldout=lambda: _hold_out(text, ids, options.order, n_words, workspace),
        workspace=workspace,
    )
    estimates = SMOOTHINGS[options.smoothing].estimate(counts, settings)
    table = _make_table(Trie(*counts[:4]), kept, estimates, options.prune_entropy, workspace)
    return table.quantize() if options.quantize else table, estimates


def _hold_out(text, ids, order, n_words, workspace):
    """Return the counts of nine sentences in ten, and the text of the others, int32 (n_tokens,).

    Of fewer than ten sentences the last one is held out; a single one is both.
    """
    starts = np.append(np.flatnonzero(text == START_ID), len(text))
    held = np.arange(len(starts) - 1) % 10 == 9
    held[-1] |= not held.any()
    held = np.repeat(held, np.diff(starts))
    heldout = ids[text[held]]
    rest = text if held.all() else workspace.keep(text[~held])
    return count_text(rest, ids, order, n_words, workspace), heldout


def _make_table(trie, kept, estimates, entropy_threshold, workspace):
    """Return the table of the n-grams that are kept."""
    values = [estimates.probabilities, estimates.backoffs]
    if not kept.all():
        trie, values = prune_trie(trie, kept, values, workspace)
    if entropy_threshold > 0 and len(estimates.backoffs):
        trie, values = prune_trie(trie, prune_entropy(trie, *values, entropy_threshold), values, workspace)
    return NGramTable.from_trie(trie, *(_log10(array, workspace) for array in values), workspace)


def _log10(values, workspace):
    """Return logarithms to base 10, float32 (n,)."""
    logarithms = np.empty(len(values), np.float32)
    with np.errstate(divide="ignore"):  # probability 0
        for begin in range(0, len(values), 1 << 16):  # while they are in the cache
            block = slice(begin, begin + (1 << 16))
            logarithms[block] = np.log10(values[block], dtype=np.float64)
            if begin % (1 << 20) == 0:
                workspace.release()
    return logarithms
