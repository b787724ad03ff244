"""Scores of texts: the tokens of a block of text are looked up together, order after order.

The n-gram of order k at a token is a child of the n-gram of order k - 1 that ends before the token. Token by token,
each search would wait for the one before. Here all bigrams of a block are found first, then all trigrams, and so on:
no search waits for another, the processor overlaps several of them, and they share a part of the table that may stay
in its cache.

Each token of a block has a slot. A slot before the tokens of each text holds its context.
"""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.queries import log_backoff, log_prob
from fastrnn.ngram.table import children

_LN_10 = 2.302585092994046
_N_SLOTS = 1 << 19  # of a block
_FEW = 64  # ranks that are compared one by one (in vectors) rather than bisected


def make_slots(n_tokens, n_texts):
    """Return the slots of `score_texts`, int32 (4, n_slots).

    Row 0 is the node of the n-gram of order k that ends in a slot, or -1 - the node of the longest one if there is none
    of order k. Row 1 is its place among its siblings, for a unigram the word; in the slot before a text it is -1 - the
    text. Rows 2 and 3 bound the possible places of the n-gram of order k + 1; then row 3 is its place, -1 for none.
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
    orders,  # uint8 (T,): output, the order of the n-gram of each probability
):
    """Compute the log probability of each token of some texts."""
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
    """Put the tokens from ids[at] on into slots; return the number of slots, and the text and token that come next."""
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
    """Bound the places of the n-grams of the next order in the ranks of the table."""
    # Fields of the table are read once: inside the loop that would take as long as the work.
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
    """Replace the upper bounds by the places of the ranks, -1 for missing ones."""
    # Unsigned: a signed index may count from the end of an array, which is checked at each access.
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
    """Move to the n-grams of order k that were found; for others, add log10 of the backoff to `log_probs`.

    ``ids[at]`` is the token after the last slot.
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
    """Add the log probabilities of the longest n-grams; ``ids[at]`` is the first token."""
    nodes, ranks = slots[0], slots[1]
    for slot in range(n):
        if ranks[slot] >= 0:
            longest = max(nodes[slot], -1 - nodes[slot])
            log_probs[at] = _LN_10 * (log_prob(table, orders[at], longest) + log_probs[at])
            at += 1
