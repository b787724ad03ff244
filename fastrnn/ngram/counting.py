"""Counting n-grams, order after order.

A text is counted without hashing and without comparing n-grams. Once the node of the (k-1)-gram that ends at each
position is known (see `fastrnn.ngram.trie`), the k-gram that ends at position j is the pair (node at j - 1, word at j).
Positions that are sorted by word, then stably by the node before them, are in the order of their k-grams. Both sorts
are counting sorts: words and nodes are small integers. The suffix of the k-gram, which ends at the same position, is
known too.

A long text is cut into chunks at sentence ends. They are counted one by one, or in threads, and merged in pairs. Their
n-grams are sorted: a merge reads both chunks and writes the result from front to back.
"""

import itertools
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.threads import run
from fastrnn.ngram.trie import link_suffixes
from fastrnn.text.tokens import START_ID

_TOKENS_PER_CHUNK = 1 << 22
_SMALLEST_CHUNK = 1 << 12  # tokens
_MERGED_AT_ONCE = 1 << 20  # n-grams


class NGramCounts(NamedTuple):
    """All n-grams of a text, up to some order, with their counts: n nodes, m of them below the highest order.

    The first four arrays are those of a `Trie`.
    """

    level_starts: np.ndarray  # int64 (order + 1,)
    words: np.ndarray  # int32 (n,)
    first_child: np.ndarray  # int32 (m + 1,)
    suffixes: np.ndarray  # int32 (n,)
    raw: np.ndarray  # int32 (n,): count of the n-gram in the text
    lefts: np.ndarray  # int32 (m,): number of different words before it; 0 if it begins with <s>


class _Chunk(NamedTuple):
    """The n-grams of a chunk of the text, or of several chunks that were merged."""

    level_starts: np.ndarray  # int64 (order + 1,)
    words: np.ndarray  # int32 (n,)
    first_child: np.ndarray  # int32 (m + 1,)
    raw: np.ndarray  # int32 (n,)


class _Merged(NamedTuple):
    """The arrays that a merge writes."""

    words: np.ndarray  # int32 (n,)
    raw: np.ndarray  # int32 (n,)
    first_child: np.ndarray  # int32 (m + 1,)


class _Sources(NamedTuple):
    """The nodes of the merged n-grams of one order in each of two chunks, -1 for none."""

    a: np.ndarray  # int32 (n_k,)
    b: np.ndarray  # int32 (n_k,)


def count_text(text, ids, order, n_words, workspace):
    """Count all n-grams of a text of any length.

    Parameters
    ----------
    text : int array (T,)
        Sentences one after another, each with ``<s>`` and ``</s>``.
    ids : int32 array
        The id that replaces each id of the text; all are below V.
    order : int
        The largest length of an n-gram.
    n_words : int
        The size of the vocabulary, V.
    workspace : Workspace
        Its memory limit bounds the length of the chunks.

    Returns
    -------
    NGramCounts
    """
    bounds = _cut(text, order, workspace)
    if len(bounds) == 1:
        return count_ngrams(ids[text], order, n_words)
    chunks = []  # pairs (number of chunks merged, _Chunk), the numbers descending
    for i in range(0, len(bounds), workspace.n_jobs):
        counted = {}
        jobs = [(counted, j, text, ids, order, n_words) for j in range(i, min(i + workspace.n_jobs, len(bounds)))]
        run(lambda counted, j, text, *rest: counted.update({j: _count_chunk(text[slice(*bounds[j])], *rest)}), jobs)
        for j in sorted(counted):
            chunks.append((1, _Chunk(*map(workspace.keep, counted.pop(j)))))
            while len(chunks) > 1 and chunks[-2][0] <= chunks[-1][0]:
                _merge_last(chunks, n_words, workspace)
    while len(chunks) > 1:
        _merge_last(chunks, n_words, workspace)
    return _complete(chunks[0][1], workspace)


def _cut(text, order, workspace):
    """Return begin and end of each chunk; chunks begin with sentences."""
    size = _TOKENS_PER_CHUNK
    if workspace.memory_limit is not None:
        bytes_per_token = 24 + 40 * order  # of `count_ngrams`, when all n-grams differ
        size = min(size, max(_SMALLEST_CHUNK, workspace.memory_limit // (2 * bytes_per_token * workspace.n_jobs)))
    bounds = [0]
    while bounds[-1] < len(text):
        bounds.append(_next_start(text, min(bounds[-1] + size, len(text))))
        if len(bounds) % 64 == 0:
            workspace.release()  # reading a position maps the pages around it
    workspace.release()
    return list(itertools.pairwise(bounds))


@kernel
def _next_start(text, position):
    """Return where the first sentence from this position on begins, or the end of the text."""
    while position < len(text) and text[position] != START_ID:
        position += 1
    return position


def _count_chunk(text, ids, order, n_words):
    counts = count_ngrams(ids[text], order, n_words)
    return counts.level_starts, counts.words, counts.first_child, counts.raw


def _merge_last(chunks, n_words, workspace):
    """Merge the last two chunks."""
    (n_b, b), (n_a, a) = chunks.pop(), chunks.pop()
    chunks.append((n_a + n_b, _merge(a, b, n_words, workspace)))


def _merge(a, b, n_words, workspace):
    """Merge two chunks."""
    order = len(a.level_starts) - 1
    n_most = len(a.words) + len(b.words) - n_words
    merged = _Merged(
        words=workspace.empty(n_most, np.int32),
        raw=workspace.empty(n_most, np.int32),
        first_child=workspace.empty(len(a.first_child) + len(b.first_child) - 1, np.int32),
    )
    merged.words[:n_words] = a.words[:n_words]
    merged.raw[:n_words] = a.raw[:n_words] + b.raw[:n_words]
    starts, contexts = [0, n_words], _Sources(*[np.arange(n_words, dtype=np.int32)] * 2)
    for k in range(1, order):
        n_most = int(a.level_starts[k + 1] - a.level_starts[k] + b.level_starts[k + 1] - b.level_starts[k])
        children = _Sources(workspace.empty(n_most, np.int32), workspace.empty(n_most, np.int32))
        context, node = starts[-2], starts[-1]
        while context < starts[-1]:
            context, node = _merge_contexts(
                a, b, contexts, *starts[-2:], context, node, node + _MERGED_AT_ONCE, merged, children
            )
            workspace.release()
        starts.append(node)
        contexts = children
    _check_size(starts[-1])
    n, m = starts[-1], starts[-2]
    merged.first_child[m] = n
    return _Chunk(np.array(starts), merged.words[:n], merged.first_child[: m + 1], merged.raw[:n])


@kernel
def _merge_contexts(
    a,  # _Chunk
    b,  # _Chunk
    contexts,  # _Sources of the contexts of this order
    first_context,  # the node of the first context of this order
    first_node,  # the node of its first child: the next order begins
    context,  # the first context to be merged
    node,  # the node of its first child
    enough,  # the node to stop after
    merged,  # _Merged: output
    children,  # _Sources of the children: output
):
    """Merge the children of contexts until there are enough; return the next context and node."""
    words, raw, first_child = merged.words, merged.raw, merged.first_child
    a_contexts, b_contexts, a_children, b_children = contexts.a, contexts.b, children.a, children.b
    while context < first_node and node < enough:
        first_child[context] = node
        i = j = i_end = j_end = 0
        in_a, in_b = a_contexts[context - first_context], b_contexts[context - first_context]
        if in_a >= 0:
            i, i_end = a.first_child[in_a], a.first_child[in_a + 1]
        if in_b >= 0:
            j, j_end = b.first_child[in_b], b.first_child[in_b + 1]
        while i < i_end or j < j_end:
            from_a = i < i_end and (j == j_end or a.words[i] <= b.words[j])
            from_b = j < j_end and (i == i_end or b.words[j] <= a.words[i])
            words[node] = a.words[i] if from_a else b.words[j]
            raw[node] = (a.raw[i] if from_a else 0) + (b.raw[j] if from_b else 0)
            a_children[node - first_node] = i if from_a else -1
            b_children[node - first_node] = j if from_b else -1
            i += from_a
            j += from_b
            node += 1
        context += 1
    return context, node


def _complete(chunk, workspace):
    """Return the counts of merged chunks: a merge does not keep suffixes, nor the numbers of words on the left."""
    starts, words, first_child, raw = chunk
    suffixes = link_suffixes(starts, words, first_child, workspace)
    lefts = workspace.full(int(starts[-2]), 0, np.int32)
    for k in range(1, len(starts) - 1):
        _count_lefts(suffixes[starts[k] : starts[k + 1]], lefts)
        workspace.release()
    return NGramCounts(starts, words, first_child, suffixes, raw, lefts)


@kernel
def _count_lefts(
    suffixes,  # int32 (n_k,): of the n-grams of one order
    lefts,  # int32 (m,): each n-gram adds 1 to that of its suffix
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
    ends,  # int32 (n_keys,): zeros on entry; output, the number of positions that have this key or a lower one
    sorted_positions,  # int32 (T,): output, the positions that have keys
):
    """Sort positions stably by their keys; return how many have keys."""
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
    words,  # int32 (m,): output, one entry for each n-gram, as in the next two
    suffix_of,  # int32 (m,): output
    raw,  # int32 (m,): zeros on entry
    first_child,  # int32 (n_contexts + 1,): output
    lefts,  # int32 (n_contexts,): zeros on entry
):
    """Number the n-grams of one order; return how many there are."""
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
    """Concatenate the orders; numbers within an order become nodes."""
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
