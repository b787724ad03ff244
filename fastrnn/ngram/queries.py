"""Looking up probabilities: from the last word's unigram to the longest n-gram that the table has.

What a model remembers of a text is a row of nodes, its contexts: the last word, the last two words, and so on, as far
as the table has them, then -1.

The nodes of a word after its contexts (the word, the bigram, ...) are found in one of two ways. Ranks lead from an
n-gram to its suffix: if the longest context has only one child, this child and its suffixes are all there is to look
at. Otherwise the rank of the bigram is searched for among the children of the one-word context, its place there is the
rank of the trigram, and so on.
"""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.table import children

_LN_10 = 2.302585092994046


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
    # Arrays are taken out of the table once: inside of the loop that would cost as much as the work.
    bigram_starts, block_starts = table.bigram_starts, table.block_starts
    child_offsets, ranks = table.child_offsets, table.ranks
    codebooks = table.codebooks
    probs, prob_codes = table.log_probs, table.prob_codes
    backoffs, backoff_codes = table.log_backoffs, table.backoff_codes
    longest = contexts.shape[1]
    known = np.empty(longest + 1, np.int64)  # the contexts
    found = np.empty(longest + 1, np.int64)  # the n-grams that end in the next word, shortest first
    firsts = np.empty(longest + 1, np.int64)
    for i in range(begin, end):
        n_known = 0
        while n_known < longest and contexts[i, n_known] >= 0:
            known[n_known] = contexts[i, n_known]
            n_known += 1
        for j in range(offsets[i], offsets[i + 1]):
            n_found = _match_only_child(
                bigram_starts, block_starts, child_offsets, ranks, known, n_known, ids[j], found, firsts
            )
            if n_found == 0:
                n_found = _search(bigram_starts, block_starts, child_offsets, ranks, known, n_known, ids[j], found)
            log_prob = _decode(probs, prob_codes, codebooks, 0, n_found, found[n_found - 1])
            for k in range(n_found, n_known + 1):
                log_prob += _decode(backoffs, backoff_codes, codebooks, 1, k, known[k - 1])
            log_probs[j] = _LN_10 * log_prob
            orders[j] = n_found
            n_known = min(n_found, longest)
            for k in range(n_known):
                known[k] = found[k]
        for k in range(longest):
            contexts[i, k] = known[k] if k < n_known else -1


@kernel(cache=False, forceinline=True)
def _match_only_child(
    bigram_starts,  # these four from the table
    block_starts,
    child_offsets,
    ranks,
    known,  # int64 (order,): the contexts, n_known of them
    n_known,
    word,
    found,  # int64 (order,): output
    firsts,  # int64 (order,): to be overwritten
):
    """Return n_known + 1 if the only child of the longest context ends in `word`, else 0."""
    if n_known == 0:
        return 0
    node, end = children(bigram_starts, block_starts, child_offsets, known[n_known - 1])
    if end - node != 1:
        return 0
    n_words = len(bigram_starts) - 1
    for k in range(n_known - 1):  # these do not wait for each other
        firsts[k], _ = children(bigram_starts, block_starts, child_offsets, known[k])
    for k in range(n_known - 1, 0, -1):
        found[k + 1] = node
        node = firsts[k - 1] + np.int64(ranks[node - n_words])
    found[1] = node
    found[0] = word
    return n_known + 1 if np.int64(ranks[node - n_words]) == word else 0


@kernel(cache=False, forceinline=True)
def _search(
    bigram_starts,  # these four from the table
    block_starts,
    child_offsets,
    ranks,
    known,  # int64 (order,): the contexts, n_known of them
    n_known,
    word,
    found,  # int64 (order,): output
):
    """Find the n-grams that end in `word`, and return how many there are."""
    n_words = len(bigram_starts) - 1
    found[0] = word
    first = 0
    for k in range(1, n_known + 1):
        rank = found[k - 1] - first
        low, end = children(bigram_starts, block_starts, child_offsets, known[k - 1])
        first = low
        size = end - low
        if size == 0:
            return k
        while size > 1:  # the last node whose rank is not above is among `size` nodes from `low` on
            half = size >> 1
            low += half * (np.int64(ranks[low + half - n_words]) <= rank)  # a branch would be guessed wrong
            size -= half
        if np.int64(ranks[low - n_words]) != rank:
            return k
        found[k] = low
    return n_known + 1


@kernel(cache=False, forceinline=True)
def _decode(values, codes, codebooks, kind, k, node):
    """Return log10 of the probability (kind 0) or backoff (kind 1) of an n-gram of order k."""
    if len(codebooks):
        return np.float64(codebooks[k - 1, kind, codes[node]])
    return np.float64(values[node])


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
    starts = table.bigram_starts, table.block_starts, table.child_offsets
    prob_values = table.log_probs, table.prob_codes, table.codebooks
    ranks = table.ranks
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
            low, high = children(*starts, np.int64(row[k - 1]))
            for node in range(low, high):
                # `words` are those that follow the shorter context; ranks ascend, so that entries move forward only.
                rank = ranks[node - n_words]
                word = words[rank] if k > 1 else np.int32(rank)
                words[node - low] = word
                probabilities[i, word] = np.exp(_LN_10 * (log_scale + _decode(*prob_values, 0, k + 1, node)))


@kernel(cache=False)
def _log_scale(table, contexts, begin, end):
    """Return log10 of the product of the backoffs of the contexts begin:end of a row."""
    total = 0.0
    for k in range(begin, end):
        total += _decode(table.log_backoffs, table.backoff_codes, table.codebooks, 1, k + 1, np.int64(contexts[k]))
    return total
