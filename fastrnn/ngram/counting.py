"""Counting n-grams, order after order.

The n-grams of a text form a forest of prefixes, and every n-gram has a number, its node. Unigrams are numbered as their
words; then come all bigrams, then all trigrams, and so on. Within an order they are sorted by the node of the n-gram
without its last word (its context), then by the last word: so the n-grams of a context stand side by side.

A text is counted without hashing and without comparing n-grams. If at each position the node of the (k-1)-gram that
ends there is known, the k-gram that ends at position j is the pair (node at j - 1, word at j). So positions sorted by
their words, then stably by the node before them, stand in the order of their k-grams. Both are counting sorts: words
and nodes are small integers. The node of the k-gram without its first word is known too: it ends at the same place.
"""

from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.text import START_ID


class NGramCounts(NamedTuple):
    """All n-grams of a text, up to some order, with their counts: n nodes, m of them below the highest order."""

    level_starts: np.ndarray  # int64 (order + 1,): the nodes of order k are level_starts[k - 1]:level_starts[k]
    words: np.ndarray  # int32 (n,): the last word
    first_child: np.ndarray  # int32 (m + 1,): node c is the context of the nodes first_child[c]:first_child[c + 1]
    suffixes: np.ndarray  # int32 (n,): the node of the n-gram without its first word, -1 for a unigram
    raw: np.ndarray  # int32 (n,): how often the n-gram stands in the text
    lefts: np.ndarray  # int32 (m,): how many different words stand before it; 0 if it begins with <s>


@kernel
def _sort_positions(
    keys,  # int32 (T,): less than n_keys; -1 leaves the position out
    order,  # int32 (T,): all positions
    ends,  # int32 (n_keys,): zeros; on return how many positions have this key or a lower one
    sorted_positions,  # int32 (T,): output, as many positions as have keys
):
    """Sort positions by their keys, stably, and return how many have keys."""
    for key in keys:
        if key >= 0:
            ends[key] += 1
    start = 0
    for key in range(len(ends)):
        start, ends[key] = start + ends[key], start
    for position in order:
        key = keys[position]
        if key >= 0:
            sorted_positions[ends[key]] = position
            ends[key] += 1
    return start


@kernel
def _number_ngrams(
    sorted_positions,  # int32 (m,): where the n-grams of one order end, sorted by n-gram
    keys,  # int32 (T,): at each position the number of the n-gram without its last word, its context
    text,  # int32 (T,): at each position the last word
    suffixes,  # int32 (T,): at each position the number of the n-gram without its first word
    numbers,  # int32 (T,): output, at each position the number of the n-gram that ends there, -1 for none
    words,  # int32 (m,): output, an entry an n-gram, like the next two
    suffix_of,  # int32 (m,): output
    raw,  # int32 (m,): zeros on entry
    first_child,  # int32 (n_contexts + 1,): output
    lefts,  # int32 (n_contexts,): zeros on entry
):
    """Give the n-grams of one order their numbers within it, and return how many there are."""
    numbers[:] = -1
    number = context = word = -1
    for position in sorted_positions:
        if keys[position] != context or text[position] != word:
            number += 1
            word = text[position]
            while context < keys[position]:
                context += 1
                first_child[context] = number
            words[number] = word
            suffix_of[number] = suffixes[position]
            lefts[suffixes[position]] += 1
        raw[number] += 1
        numbers[position] = number
    first_child[context + 1 :] = number + 1
    return number + 1


def count_ngrams(text, order, n_words):
    """Count all n-grams of a text.

    Parameters
    ----------
    text : int32 array (T,)
        Sentences one after another, each with ``<s>`` and ``</s>``.
    order : int
        The largest length of an n-gram.
    n_words : int
        The size of the vocabulary, V.

    Returns
    -------
    NGramCounts
    """
    T = len(text)
    starts_sentence = text == START_ID
    by_word = np.empty(T, np.int32)
    _sort_positions(text, np.arange(T, dtype=np.int32), np.zeros(n_words, np.int32), by_word)
    numbers = text  # at each position the number, within its order, of the n-gram that ends there; -1 for none
    words = [np.arange(n_words, dtype=np.int32)]
    suffixes = [np.full(n_words, -1, np.int32)]
    raw = [np.bincount(text, minlength=n_words).astype(np.int32)]
    first_child, lefts = [], []
    for _ in range(1, order):
        n_contexts = len(words[-1])
        keys = np.roll(numbers, 1)
        keys[starts_sentence] = -1
        sorted_positions = np.empty(T, np.int32)
        m = _sort_positions(keys, by_word, np.zeros(n_contexts, np.int32), sorted_positions)
        level = np.empty(m, np.int32), np.empty(m, np.int32), np.zeros(m, np.int32)
        first_child.append(np.empty(n_contexts + 1, np.int32))
        lefts.append(np.zeros(n_contexts, np.int32))
        shorter, numbers = numbers, np.empty(T, np.int32)
        n = _number_ngrams(sorted_positions[:m], keys, text, shorter, numbers, *level, first_child[-1], lefts[-1])
        for arrays, array in zip((words, suffixes, raw), level, strict=True):
            arrays.append(array[:n].copy())
    return _concatenate(words, suffixes, raw, first_child, lefts)


def _concatenate(words, suffixes, raw, first_child, lefts):
    """Put the orders one after another: numbers within an order become nodes."""
    level_starts = np.concatenate([[0], np.cumsum([len(level) for level in words])])
    if level_starts[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"The text has {level_starts[-1]} n-grams, more than 2^31: take a lower order or less text.")
    for k in range(1, len(words)):
        suffixes[k] += np.int32(level_starts[k - 1])
        first_child[k - 1] += np.int32(level_starts[k])
    ends = [level[:-1] for level in first_child] + [level_starts[-1:].astype(np.int32)]
    none = np.zeros(0, np.int32)
    return NGramCounts(
        level_starts,
        np.concatenate(words),
        np.concatenate(ends),
        np.concatenate(suffixes),
        np.concatenate(raw),
        np.concatenate([none, *lefts]),
    )
