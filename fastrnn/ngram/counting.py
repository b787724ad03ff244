"""Counting n-grams, order after order.

A text is counted without hashing and without comparing n-grams. If at each position the node of the (k-1)-gram that
ends there is known (`fastrnn.ngram.trie` says what nodes are), the k-gram that ends at position j is the pair (node at
j - 1, word at j). So positions sorted by their words, then stably by the node before them, stand in the order of their
k-grams. Both are counting sorts: words and nodes are small integers. The node of the k-gram without its first word is
known too: it ends at the same place.

A long text is cut into runs at sentence ends. They are counted one by one, or in threads, and merged, two at a time:
n-grams are sorted, so that both are read and the result is written from front to back.
"""

import itertools
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.threads import run
from fastrnn.ngram.trie import link_suffixes
from fastrnn.text.tokens import START_ID

_TOKENS_PER_RUN = 1 << 22
_SMALLEST_RUN = 1 << 12  # tokens
_MERGED_AT_ONCE = 1 << 20  # n-grams


class NGramCounts(NamedTuple):
    """All n-grams of a text, up to some order, with their counts: n nodes, m of them below the highest order.

    The first four arrays are those of a `Trie`.
    """

    level_starts: np.ndarray  # int64 (order + 1,)
    words: np.ndarray  # int32 (n,)
    first_child: np.ndarray  # int32 (m + 1,)
    suffixes: np.ndarray  # int32 (n,)
    raw: np.ndarray  # int32 (n,): how often the n-gram stands in the text
    lefts: np.ndarray  # int32 (m,): how many different words stand before it; 0 if it begins with <s>


class _Run(NamedTuple):
    """The n-grams of a part of the text."""

    level_starts: np.ndarray  # int64 (order + 1,)
    words: np.ndarray  # int32 (n,)
    first_child: np.ndarray  # int32 (m + 1,)
    raw: np.ndarray  # int32 (n,)


def count_text(text, ids, order, n_words, workspace):
    """Count all n-grams of a text of any length.

    Parameters
    ----------
    text : int array (T,)
        Sentences one after another, each with ``<s>`` and ``</s>``.
    ids : int32 array
        The id that takes the place of each id of the text; all are below V.
    order : int
        The largest length of an n-gram.
    n_words : int
        The size of the vocabulary, V.
    workspace : Workspace
        Its limit of memory says how long runs may be.

    Returns
    -------
    NGramCounts
    """
    pieces = _cut(text, order, workspace)
    if len(pieces) == 1:
        return count_ngrams(ids[text], order, n_words)
    runs = []  # (how many pieces are in it, the run), ever smaller ones
    for i in range(0, len(pieces), workspace.n_jobs):
        counted = {}
        jobs = [(counted, j, text, ids, order, n_words) for j in range(i, min(i + workspace.n_jobs, len(pieces)))]
        run(lambda counted, j, text, *rest: counted.update({j: _count_run(text[slice(*pieces[j])], *rest)}), jobs)
        for j in sorted(counted):
            runs.append((1, _Run(*map(workspace.keep, counted.pop(j)))))
            while len(runs) > 1 and runs[-2][0] <= runs[-1][0]:
                _merge_last(runs, n_words, workspace)
    while len(runs) > 1:
        _merge_last(runs, n_words, workspace)
    return _complete(runs[0][1], workspace)


def _cut(text, order, workspace):
    """Return the bounds of the runs, which begin with sentences."""
    size = _TOKENS_PER_RUN
    if workspace.memory_limit is not None:
        bytes_per_token = 24 + 40 * order  # of `count_ngrams`, when all n-grams are different
        size = min(size, max(_SMALLEST_RUN, workspace.memory_limit // (2 * bytes_per_token * workspace.n_jobs)))
    bounds = [0]
    while bounds[-1] < len(text):
        bounds.append(_next_start(text, min(bounds[-1] + size, len(text))))
        if len(bounds) % 64 == 0:
            workspace.release()  # pages around a place that is looked at are mapped too
    workspace.release()
    return list(itertools.pairwise(bounds))


@kernel
def _next_start(text, position):
    """Return where the first sentence from this position on begins, or where the text ends."""
    while position < len(text) and text[position] != START_ID:
        position += 1
    return position


def _count_run(text, ids, order, n_words):
    counts = count_ngrams(ids[text], order, n_words)
    return counts.level_starts, counts.words, counts.first_child, counts.raw


def _merge_last(runs, n_words, workspace):
    """Merge the last two runs."""
    (n_b, b), (n_a, a) = runs.pop(), runs.pop()
    runs.append((n_a + n_b, _merge(a, b, n_words, workspace)))


def _merge(a, b, n_words, workspace):
    """Merge two runs."""
    order = len(a.level_starts) - 1
    n_most = len(a.words) + len(b.words) - n_words
    words, raw = workspace.empty(n_most, np.int32), workspace.empty(n_most, np.int32)
    first_child = workspace.empty(len(a.first_child) + len(b.first_child) - 1, np.int32)
    words[:n_words] = a.words[:n_words]
    raw[:n_words] = a.raw[:n_words] + b.raw[:n_words]
    starts = [0, n_words]
    a_nodes = b_nodes = np.arange(n_words, dtype=np.int32)  # in both runs, of the merged n-grams of one order; or -1
    for k in range(1, order):
        n_most = int(a.level_starts[k + 1] - a.level_starts[k] + b.level_starts[k + 1] - b.level_starts[k])
        a_next, b_next = workspace.empty(n_most, np.int32), workspace.empty(n_most, np.int32)
        context, node = starts[-2], starts[-1]
        while context < starts[-1]:
            context, node = _merge_contexts(
                a, b, a_nodes, b_nodes, starts[-2], starts[-1], context, node, node + _MERGED_AT_ONCE,
                words, raw, first_child, a_next, b_next,
            )  # fmt: skip
            workspace.release()
        starts.append(node)
        a_nodes, b_nodes = a_next, b_next
    _check_size(starts[-1])
    first_child[starts[-2]] = starts[-1]
    n, m = starts[-1], starts[-2]
    return _Run(np.array(starts), words[:n], first_child[: m + 1], raw[:n])


@kernel
def _merge_contexts(
    a,  # _Run
    b,  # _Run
    a_nodes,  # int32: the nodes of the merged contexts of this order in a, -1 for none
    b_nodes,  # int32: in b
    first_context,  # where the contexts of this order begin
    first_node,  # and end, so that the next order begins
    context,  # the first context to be merged
    node,  # the node of its first child
    enough,  # the node to stop after
    words,  # int32: output, like all that follow
    raw,  # int32
    first_child,  # int32
    a_next,  # int32: the nodes of the children in a, -1 for none
    b_next,  # int32
):
    """Merge the children of contexts until there are enough; return the next context and node."""
    while context < first_node and node < enough:
        first_child[context] = node
        i = j = i_end = j_end = 0
        in_a, in_b = a_nodes[context - first_context], b_nodes[context - first_context]
        if in_a >= 0:
            i, i_end = a.first_child[in_a], a.first_child[in_a + 1]
        if in_b >= 0:
            j, j_end = b.first_child[in_b], b.first_child[in_b + 1]
        while i < i_end or j < j_end:
            from_a = i < i_end and (j == j_end or a.words[i] <= b.words[j])
            from_b = j < j_end and (i == i_end or b.words[j] <= a.words[i])
            words[node] = a.words[i] if from_a else b.words[j]
            raw[node] = (a.raw[i] if from_a else 0) + (b.raw[j] if from_b else 0)
            a_next[node - first_node] = i if from_a else -1
            b_next[node - first_node] = j if from_b else -1
            i += from_a
            j += from_b
            node += 1
        context += 1
    return context, node


def _complete(run_of_all, workspace):
    """Find what merging loses: suffixes and the number of words on the left."""
    starts, words, first_child, raw = run_of_all
    suffixes = link_suffixes(starts, words, first_child, workspace)
    lefts = workspace.full(int(starts[-2]), 0, np.int32)
    for k in range(1, len(starts) - 1):
        _count_lefts(suffixes[starts[k] : starts[k + 1]], lefts)
        workspace.release()
    return NGramCounts(starts, words, first_child, suffixes, raw, lefts)


@kernel
def _count_lefts(
    suffixes,  # int32 (n_k,): of the n-grams of one order
    lefts,  # int32 (m,): one is added for every n-gram to that of its suffix
):
    """Count the different words before n-grams."""
    for suffix in suffixes:
        lefts[suffix] += 1


def _check_size(n):
    if n > np.iinfo(np.int32).max:
        raise ValueError(f"The text has {n} n-grams, more than 2^31: take a lower order or less text.")


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
    _check_size(level_starts[-1])
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
