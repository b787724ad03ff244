"""Looking up probabilities: from the last word's unigram to the longest n-gram that the table has.

What a model remembers of a text is a row of nodes, its contexts: the last word, the last two words, and so on, as far
as the table has them, then -1.
"""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.table import children

_LN_10 = 2.302585092994046


@kernel(cache=False)
def _log_prob(table, k, node):
    """Return log10 of the probability of an n-gram of order k."""
    if len(table.codebooks):
        return np.float64(table.codebooks[k - 1, 0, table.prob_codes[node]])
    return np.float64(table.log_probs[node])


@kernel(cache=False)
def _log_backoff(table, k, node):
    """Return log10 of the backoff of a context of k words."""
    if len(table.codebooks):
        return np.float64(table.codebooks[k - 1, 1, table.backoff_codes[node]])
    return np.float64(table.log_backoffs[node])


@kernel(cache=False)
def _find_rank(table, begin, end, rank):
    """Return the first of the nodes begin:end whose rank is not below `rank`."""
    n_words = len(table.bigram_starts) - 1
    low = begin - n_words
    high = end - n_words
    while low < high:
        middle = (low + high) >> 1
        if table.ranks[middle] < rank:
            low = middle + 1
        else:
            high = middle
    return low + n_words


@kernel(cache=False)
def _follow(table, contexts, word):
    """Return log10 of the probability of `word` after `contexts`, int32 (order - 1,), and the order of its n-gram.

    `contexts` becomes those after the word.
    """
    longest = len(contexts)
    node = np.int64(word)  # of the longest n-gram found, which has k words
    k = 1
    first = np.int64(0)  # the first n-gram of the same context
    while k <= longest and contexts[k - 1] >= 0:
        begin, end = children(table, np.int64(contexts[k - 1]))
        rank = node - first
        child = _find_rank(table, begin, end, rank)
        if child == end or table.ranks[child - len(table.bigram_starts) + 1] != rank:
            break
        contexts[k - 1] = node
        node, first = child, begin
        k += 1
    log_prob = _log_prob(table, k, node)
    if k <= longest:
        for j in range(k, longest + 1):
            if contexts[j - 1] < 0:
                break
            log_prob += _log_backoff(table, j, contexts[j - 1])
            contexts[j - 1] = -1
        contexts[k - 1] = node
    return log_prob, k


@kernel
def walk(
    table,
    ids,  # int32 (T,)
    offsets,  # int64 (n + 1,): text i is ids[offsets[i]:offsets[i + 1]]
    begin,  # texts begin:end
    end,
    contexts,  # int32 (n, order - 1): the contexts before each text; overwritten by those after it
    log_probs,  # float64 (T,): output, natural logarithms
    orders,  # uint8 (T,): output, the order of the n-gram that each probability is of
):
    """Walk through texts word by word."""
    for i in range(begin, end):
        row = contexts[i]
        for j in range(offsets[i], offsets[i + 1]):
            log_prob, order = _follow(table, row, ids[j])
            log_probs[j] = _LN_10 * log_prob
            orders[j] = order


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
    n_words = len(unigrams)
    for i in range(begin, end):
        row = contexts[i]
        n_contexts = 0
        while n_contexts < len(row) and row[n_contexts] >= 0:
            n_contexts += 1
        # From the empty context to the longest one: what a longer one knows takes the place of what stood there.
        scale = np.exp(_LN_10 * _log_scale(table, row, 0, n_contexts))
        for word in range(n_words):
            probabilities[i, word] = scale * unigrams[word]
        for k in range(1, n_contexts + 1):
            log_scale = _log_scale(table, row, k, n_contexts)
            low, high = children(table, np.int64(row[k - 1]))
            for node in range(low, high):
                # `words` are those that follow the shorter context; ranks ascend, so that entries move forward only.
                rank = table.ranks[node - n_words]
                word = words[rank] if k > 1 else np.int32(rank)
                words[node - low] = word
                probabilities[i, word] = np.exp(_LN_10 * (log_scale + _log_prob(table, k + 1, node)))


@kernel(cache=False)
def _log_scale(table, contexts, begin, end):
    """Return log10 of the product of the backoffs of the contexts begin:end of a row."""
    total = 0.0
    for k in range(begin, end):
        total += _log_backoff(table, k + 1, np.int64(contexts[k]))
    return total
