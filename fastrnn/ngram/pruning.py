"""Pruning: the choice of the n-grams that a model keeps."""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.text.tokens import END_ID, START_ID


def frequent(level_starts, raw, thresholds, workspace):
    """Return which n-grams are more frequent than their order's threshold.

    Parameters
    ----------
    level_starts : int64 array (order + 1,)
    raw : int32 array (n,)
        The count of each n-gram in the text.
    thresholds : sequence of int
        Of the orders 1, 2, ...; the last one holds for all higher orders. They do not descend: with an n-gram its
        context and its suffix are kept.
    workspace : Workspace

    Returns
    -------
    bool array (n,)
    """
    kept = workspace.full(len(raw), True, np.bool_)
    for k in range(2, len(level_starts)):
        threshold = thresholds[min(k, len(thresholds)) - 1]
        if threshold:
            level = slice(level_starts[k - 1], level_starts[k])
            np.greater(raw[level], threshold, out=kept[level])
            workspace.release()
    return kept


def prune_entropy(trie, probabilities, backoffs, threshold):
    """Find the n-grams without which the perplexity rises by less than a threshold, and adapt the backoffs.

    Parameters
    ----------
    trie : Trie
    probabilities : float array (n,)
    backoffs : float array (m,)
        Overwritten: the probability of pruned n-grams goes to shorter contexts.
    threshold : float
        The relative rise of the perplexity below which an n-gram is pruned.

    Returns
    -------
    bool array (n,)
        The n-grams that are kept: with each of them its context and its suffix.

    References
    ----------
    Andreas Stolcke, "Entropy-based pruning of backoff language models", DARPA Broadcast News Transcription and
    Understanding Workshop, 1998.
    """
    starts = trie.level_starts
    reached = np.empty(len(backoffs))  # the probability of each context
    reached[: starts[1]] = probabilities[: starts[1]]
    reached[START_ID] = probabilities[END_ID]  # a sentence begins as often as one ends
    for k in range(2, len(starts) - 1):
        _reach(trie.first_child, probabilities, reached, int(starts[k - 2]), int(starts[k - 1]))
    kept = np.zeros(len(probabilities), bool)
    kept[: starts[1]] = True
    for k in range(len(starts) - 1, 1, -1):
        _prune(
            trie.first_child, trie.suffixes, probabilities, backoffs, reached, threshold, kept,
            int(starts[k - 2]), int(starts[k - 1]),
        )  # fmt: skip
    return kept


@kernel
def _reach(
    first_child,  # int32 (m + 1,)
    probabilities,  # float (n,)
    reached,  # float64 (m,): known for these contexts; output for their children
    begin,  # contexts begin:end, of one order
    end,
):
    """Compute the probabilities of the children of some contexts."""
    for context in range(begin, end):
        for node in range(first_child[context], first_child[context + 1]):
            reached[node] = reached[context] * probabilities[node]


@kernel
def _prune(
    first_child,  # int32 (m + 1,)
    suffixes,  # int32 (n,)
    probabilities,  # float (n,)
    backoffs,  # float (m,): overwritten for these contexts
    reached,  # float64 (m,)
    threshold,
    kept,  # bool (n,): on entry, the children that longer n-grams need; output, with the contexts and suffixes needed
    begin,  # contexts begin:end, of one order
    end,
):
    """Prune the n-grams of one order, before those of lower orders."""
    for context in range(begin, end):
        low, high = first_child[context], first_child[context + 1]
        lower = 1.0  # the shorter context's probability of words that are unseen after this one
        for node in range(low, high):
            lower -= probabilities[suffixes[node]]
        lower = max(lower, 0.0)
        left = backoffs[context] * lower  # this context's probability of them
        new_left, new_lower = left, lower
        for node in range(low, high):
            p, q = np.float64(probabilities[node]), np.float64(probabilities[suffixes[node]])
            if not kept[node] and p > 0 and q > 0:
                new = np.log((left + p) / (lower + q))
                rise = p * (np.log(q) + new - np.log(p))
                if left > 0:
                    rise += left * (new - np.log(left / lower))
                kept[node] = np.expm1(-reached[context] * rise) >= threshold
            if kept[node]:
                kept[context] = kept[suffixes[node]] = True
            else:
                new_left += p
                new_lower += q
        if new_lower > lower:
            backoffs[context] = new_left / new_lower
