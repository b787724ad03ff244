"""Looking up probabilities: from the last word's unigram to the longest n-gram that the table has.

What a model remembers of a text is a row of nodes, its contexts: the last word, the last two words, and so on, as far
as the table has them, then -1.

The nodes of a word after its contexts (the word, the bigram, ...) are found in one of two ways. Ranks lead from an
n-gram to its suffix: if the longest context has only one child, this child and its suffixes are all there is to look
at. Otherwise the rank of the bigram is searched for among the children of the one-word context, its place there is the
rank of the trigram, and so on.

Either way the processor mostly waits for memory. So several texts are read at once, each in a lane, step by step: while
one waits, others go on.
"""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.table import children, first_child

_LN_10 = 2.302585092994046
_LANES = 16


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
    texts, positions = np.empty(_LANES, np.int64), np.empty(_LANES, np.int64)
    known = np.empty((_LANES, longest + 1), np.int64)  # the contexts
    n_known = np.empty(_LANES, np.int64)
    found = np.empty((_LANES, longest + 1), np.int64)  # the n-grams that end in the next word, shortest first
    n_found = np.empty(_LANES, np.int64)
    firsts = np.empty((_LANES, longest + 1), np.int64)
    low, size, rank = np.empty(_LANES, np.int64), np.empty(_LANES, np.int64), np.empty(_LANES, np.int64)
    searching = np.empty(_LANES, np.int64)
    n_lanes, next_text = _refill(0, begin, end, offsets, contexts, texts, positions, known, n_known)
    while n_lanes > 0:
        _follow_only_children(
            bigram_starts, block_starts, child_offsets, ranks, n_lanes, known, n_known, found, n_found, firsts
        )
        n_searching = 0
        for lane in range(n_lanes):
            word = ids[positions[lane]]
            if n_found[lane] == 0 or found[lane, 0] != word:
                found[lane, 0] = word
                n_found[lane] = 1
                searching[n_searching] = lane
                n_searching += 1
        _search(
            bigram_starts, block_starts, child_offsets, ranks, searching, n_searching, known, n_known, found, n_found,
            firsts, low, size, rank,
        )  # fmt: skip
        for lane in range(n_lanes):
            k = n_found[lane]
            log_prob = _decode(probs, prob_codes, codebooks, 0, k, found[lane, k - 1])
            for j in range(k, n_known[lane] + 1):
                log_prob += _decode(backoffs, backoff_codes, codebooks, 1, j, known[lane, j - 1])
            log_probs[positions[lane]] = _LN_10 * log_prob
            orders[positions[lane]] = k
            positions[lane] += 1
            n_known[lane] = min(k, longest)
            for j in range(n_known[lane]):
                known[lane, j] = found[lane, j]
        n_lanes, next_text = _refill(n_lanes, next_text, end, offsets, contexts, texts, positions, known, n_known)


@kernel(cache=False, forceinline=True)
def _refill(
    n_lanes,  # how many are in use
    next_text,  # the first text that was not begun
    end,  # where texts end
    offsets,  # int64 (n + 1,)
    contexts,  # int32 (n, order - 1)
    texts,  # int64 (L,): the text in each lane
    positions,  # int64 (L,)
    known,  # int64 (L, order)
    n_known,  # int64 (L,)
):
    """Give lanes at the end of their text the next one; return how many are in use then, and the next text."""
    lane = 0
    while lane < n_lanes or (n_lanes < _LANES and next_text < end):
        if lane < n_lanes:
            text = texts[lane]
            if positions[lane] < offsets[text + 1]:
                lane += 1
                continue
            for k in range(contexts.shape[1]):
                contexts[text, k] = known[lane, k] if k < n_known[lane] else -1
        else:
            n_lanes += 1
        if next_text < end:
            texts[lane] = next_text
            positions[lane] = offsets[next_text]
            n_known[lane] = 0
            for k in range(contexts.shape[1]):
                known[lane, k] = contexts[next_text, k]
                n_known[lane] += known[lane, k] >= 0
            next_text += 1
        else:  # the last lane takes the place of this one
            n_lanes -= 1
            texts[lane], positions[lane], n_known[lane] = texts[n_lanes], positions[n_lanes], n_known[n_lanes]
            for k in range(contexts.shape[1]):
                known[lane, k] = known[n_lanes, k]
    return n_lanes, next_text


@kernel(cache=False, forceinline=True)
def _follow_only_children(
    bigram_starts,  # these four from the table
    block_starts,
    child_offsets,
    ranks,
    n_lanes,
    known,  # int64 (L, order): the contexts of each lane, n_known of them
    n_known,  # int64 (L,)
    found,  # int64 (L, order): output, an only child, before it its suffixes
    n_found,  # int64 (L,): output, how many these are; 0 if there is no only child
    firsts,  # int64 (L, order): to be overwritten
):
    """Look at the longest context in every lane: if it has only one child, find its suffixes, to the single word."""
    n_words = len(bigram_starts) - 1
    for lane in range(n_lanes):
        last = n_known[lane] - 1
        n_found[lane] = 0
        if last >= 0:
            child, end = children(bigram_starts, block_starts, child_offsets, known[lane, last])
            n_found[lane] = last + 2 if end - child == 1 else 0
            found[lane, last + 1] = child if end - child == 1 else n_words
        for k in range(last):
            firsts[lane, k] = first_child(bigram_starts, block_starts, child_offsets, known[lane, k])
    # Where there is no only child some bigram takes its place: a branch would be guessed wrong too often.
    for k in range(known.shape[1] - 2, -1, -1):
        for lane in range(n_lanes):
            if k < n_known[lane]:
                first = firsts[lane, k - 1] if k > 0 else 0
                node = first + np.int64(ranks[found[lane, k + 1] - n_words])
                found[lane, k] = node if n_found[lane] > 0 or k == 0 else n_words


@kernel(cache=False, forceinline=True)
def _search(
    bigram_starts,  # these four from the table
    block_starts,
    child_offsets,
    ranks,
    searching,  # int64 (L,): the lanes to search in, n_searching of them; overwritten
    n_searching,
    known,  # int64 (L, order): the contexts of each lane, n_known of them
    n_known,  # int64 (L,)
    found,  # int64 (L, order): on entry the next word; output, the n-grams that end in it
    n_found,  # int64 (L,): on entry 1; output, how many these are
    firsts,  # int64 (L, order): to be overwritten, like all that follow
    low,  # int64 (L,)
    size,  # int64 (L,)
    rank,  # int64 (L,)
):
    """Search for longer and longer n-grams that end in the next word."""
    n_words = len(bigram_starts) - 1
    k = 1
    while n_searching > 0:
        n_left = largest = 0
        for i in range(n_searching):
            lane = searching[i]
            if k <= n_known[lane]:
                begin, end = children(bigram_starts, block_starts, child_offsets, known[lane, k - 1])
                if begin < end:
                    rank[lane] = found[lane, k - 1] - (firsts[lane, k - 2] if k > 1 else 0)
                    firsts[lane, k - 1] = low[lane] = begin
                    size[lane] = end - begin
                    largest = max(largest, end - begin)
                    searching[n_left] = lane
                    n_left += 1
        n_searching = n_left
        while largest > 1:  # the last node whose rank is not above is among `size` nodes from `low` on
            for i in range(n_searching):
                lane = searching[i]
                half = size[lane] >> 1
                middle = low[lane] + half
                low[lane] = middle if np.int64(ranks[middle - n_words]) <= rank[lane] else low[lane]
                size[lane] -= half
            largest -= largest >> 1
        n_left = 0
        for i in range(n_searching):
            lane = searching[i]
            if np.int64(ranks[low[lane] - n_words]) == rank[lane]:
                found[lane, k] = low[lane]
                n_found[lane] = k + 1
                searching[n_left] = lane
                n_left += 1
        n_searching = n_left
        k += 1


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
