"""Scoring texts: the tokens of a piece of text all at once, order after order.

A token's n-gram of order k is a child of the n-gram of order k - 1 that ends before it. Going from token to token,
every search would wait for the one before. Here none waits for another: first all bigrams are found, then all trigrams,
and so on. The processor works at several searches at a time, in a part of the table that may stay in its cache.

The tokens of a piece stand in slots. Before those of each text stands a slot for what was read before it.
"""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.queries import log_backoff, log_prob
from fastrnn.ngram.table import children

_LN_10 = 2.302585092994046
_N_SLOTS = 1 << 19  # in a piece
_FEW = 64  # places that are counted through, several at a time, rather than halved


def make_slots(n_tokens, n_texts):
    """Return the slots that `score_texts` works in, int32 (4, n_slots).

    Row 0 is the node of the n-gram of order k that ends in a slot, as long as there is one, then -1 - the node of the
    longest one. Row 1 is its place among its siblings (of a unigram: the word); in the slot before a text -1 - the
    text. Rows 2 and 3 say between which places the n-gram of order k + 1 may stand; then row 3 says where it stands, -1
    for nowhere.
    """
    return np.empty((4, min(_N_SLOTS, n_tokens + n_texts)), np.int32)


@kernel
def score_texts(
    table,
    ids,  # int32 (T,)
    offsets,  # int64 (n + 1,): text i is ids[offsets[i]:offsets[i + 1]]
    begin,  # texts begin:end
    end,
    contexts,  # int32 (n, order - 1): the contexts before each text; overwritten by those after it
    slots,  # int32 (4, n_slots), see `make_slots`
    log_probs,  # float64 (T,): output, natural logarithms
    orders,  # uint8 (T,): output, the order of the n-gram that each probability is of
):
    """Find the probability of every token of some texts."""
    text, at = begin, offsets[begin]
    while text < end:
        first = at
        n, text, at = _fill(ids, offsets, text, end, at, contexts, slots, log_probs, orders)
        for k in range(2, len(table.level_starts)):
            _bound(table, slots, n)
            _search(table.ranks, slots, n)
            _settle(table, k, at, contexts, slots, n, log_probs, orders)
        _write(table, first, slots, n, log_probs, orders)


@kernel(cache=False)
def _fill(ids, offsets, text, end, at, contexts, slots, log_probs, orders):
    """Put the tokens from ids[at] on into slots; return how many these are, and the text and token to go on with."""
    n_slots = slots.shape[1]
    has_contexts = contexts.shape[1] > 0
    n = 0
    while text < end and n < n_slots:
        slots[0, n] = contexts[text, 0] if has_contexts else -1
        slots[1, n] = -1 - text
        n += 1
        stop = min(offsets[text + 1], at + n_slots - n)
        if has_contexts and at < stop:
            contexts[text, 0] = ids[stop - 1]
        while at < stop:
            slots[0, n] = slots[1, n] = ids[at]
            log_probs[at] = 0.0
            orders[at] = 1
            n += 1
            at += 1
        if at == offsets[text + 1]:
            text += 1
    return n, text, at


@kernel(cache=False)
def _bound(table, slots, n):
    """Find between which places of the table's ranks the next longer n-grams may stand."""
    # Taken out of the table once: inside of the loop that would cost as much as the work.
    bigram_starts, block_starts, child_offsets = table.bigram_starts, table.block_starts, table.child_offsets
    n_words = len(bigram_starts) - 1
    nodes, ranks, lows, highs = slots[0], slots[1], slots[2], slots[3]
    for slot in range(n):
        lows[slot] = highs[slot] = 0
        if ranks[slot] >= 0 and nodes[slot] >= 0 and nodes[slot - 1] >= 0:
            low, high = children(bigram_starts, block_starts, child_offsets, np.int64(nodes[slot - 1]))
            lows[slot], highs[slot] = low - n_words, high - n_words


@kernel(cache=False)
def _search(table_ranks, slots, n):
    """Put the place of the rank that is looked for, -1 if it is not there, in place of the upper bounds."""
    # Unsigned, since a signed index may count from the end of an array: that is looked after at every access.
    ranks, lows, highs = slots[1], slots[2], slots[3]
    for slot in range(np.uintp(n)):
        rank, low, high = ranks[slot], np.uintp(lows[slot]), np.uintp(highs[slot])
        size = high - low
        while size > np.uintp(_FEW):
            half = size >> np.uintp(1)
            low = low + half if table_ranks[low + half] <= rank else low
            size -= half
        place = low
        for i in range(low, low + size):
            place += np.uintp(table_ranks[i] < rank)
        highs[slot] = np.int32(place) if place < high and table_ranks[place] == rank else np.int32(-1)


@kernel(cache=False)
def _settle(table, k, at, contexts, slots, n, log_probs, orders):
    """Go on to the n-grams of order k that were found; ids[at] is the token after the last slot.

    Of the others, log10 of the backoffs of their contexts is added to `log_probs`.
    """
    n_words = len(table.bigram_starts) - 1
    nodes, ranks, lows, places = slots[0], slots[1], slots[2], slots[3]
    last = n - 1  # slot of the text
    for slot in range(n - 1, -1, -1):
        if ranks[slot] < 0:
            text = -1 - ranks[slot]
            nodes[slot] = -1
            if k <= contexts.shape[1]:
                nodes[slot] = contexts[text, k - 1]
                if last > slot:
                    contexts[text, k - 1] = max(nodes[last], -1)
            last = slot - 1
            continue
        at -= 1
        if places[slot] >= 0:
            nodes[slot] = places[slot] + n_words
            ranks[slot] = places[slot] - lows[slot]
            orders[at] = k
        else:
            if nodes[slot - 1] >= 0:
                log_probs[at] += log_backoff(table, k - 1, nodes[slot - 1])
            nodes[slot] = min(nodes[slot], -1 - nodes[slot])


@kernel(cache=False)
def _write(table, at, slots, n, log_probs, orders):
    """Add the probabilities of the longest n-grams; ids[at] is the first token."""
    nodes, ranks = slots[0], slots[1]
    for slot in range(n):
        if ranks[slot] >= 0:
            longest = max(nodes[slot], -1 - nodes[slot])
            log_probs[at] = _LN_10 * (log_prob(table, orders[at], longest) + log_probs[at])
            at += 1
