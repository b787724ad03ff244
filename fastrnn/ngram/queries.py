"""Look-ups of values, and the distribution of the next word.

The state of a text is a row of nodes, its contexts: the last word, the last two words, and so on; -1 for contexts that
the table lacks.
"""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.table import children

_LN_10 = 2.302585092994046


@kernel(cache=False)
def log_prob(table, k, node):
    """Return log10 of the probability of an n-gram of order k."""
    if len(table.codebooks):
        return np.float64(table.codebooks[k - 1, 0, table.prob_codes[node]])
    return np.float64(table.log_probs[node])


@kernel(cache=False)
def log_backoff(table, k, node):
    """Return log10 of the backoff of a context of k words."""
    if len(table.codebooks):
        return np.float64(table.codebooks[k - 1, 1, table.backoff_codes[node]])
    return np.float64(table.log_backoffs[node])


@kernel
def next_probabilities(
    table,
    contexts,  # int32 (n, order - 1)
    begin,  # rows begin:end
    end,
    unigrams,  # float64 (V,): their probabilities
    words,  # int32 (V,): to be overwritten
    probabilities,  # float64 (n, V): output
):
    """Write the distribution of the next word after some contexts."""
    bigram_starts, block_starts, child_offsets = table.bigram_starts, table.block_starts, table.child_offsets
    ranks = table.ranks
    n_words = len(unigrams)
    for i in range(begin, end):
        row = contexts[i]
        n_contexts = 0
        while n_contexts < len(row) and row[n_contexts] >= 0:
            n_contexts += 1
        # From the empty context to the longest one: probabilities after longer contexts overwrite those before.
        scale = np.exp(_LN_10 * _log_scale(table, row, 0, n_contexts))
        for word in range(n_words):
            probabilities[i, word] = scale * unigrams[word]
        for k in range(1, n_contexts + 1):
            log_scale = _log_scale(table, row, k, n_contexts)
            low, high = children(bigram_starts, block_starts, child_offsets, np.int64(row[k - 1]))
            for node in range(low, high):
                # `words` are those that follow the shorter context. Ranks ascend: entries only move forward.
                rank = ranks[node - n_words]
                word = words[rank] if k > 1 else np.int32(rank)
                words[node - low] = word
                probabilities[i, word] = np.exp(_LN_10 * (log_scale + log_prob(table, k + 1, node)))


@kernel(cache=False)
def _log_scale(table, contexts, begin, end):
    """Return log10 of the product of the backoffs of the contexts begin:end of a row."""
    total = 0.0
    for k in range(begin, end):
        total += log_backoff(table, k + 1, np.int64(contexts[k]))
    return total
