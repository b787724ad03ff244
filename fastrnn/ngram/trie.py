"""The n-grams of a model as tries in plain arrays, for estimation.

Each n-gram has a number, its node. Unigrams have the numbers of their words; bigrams follow, then trigrams, and so on.
Within an order, n-grams are sorted by their context (the node of the n-gram without its last word), then by the last
word: the n-grams of a context are side by side, as its children.
"""

from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel


class Trie(NamedTuple):
    """n n-grams, m of them below the highest order; the context and the suffix of each are n-grams too."""

    level_starts: np.ndarray  # int64 (order + 1,): the nodes of order k are level_starts[k - 1]:level_starts[k]
    words: np.ndarray  # int32 (n,): the last word
    first_child: np.ndarray  # int32 (m + 1,): node c is the context of the nodes first_child[c]:first_child[c + 1]
    suffixes: np.ndarray  # int32 (n,): the node of the n-gram without its first word, -1 for a unigram


def link_suffixes(level_starts, words, first_child, workspace):
    """Return the suffix of each node, int32 (n,); -1 where the trie has none, and for unigrams.

    Parameters
    ----------
    level_starts, words, first_child : arrays
        As in `Trie`.
    workspace : Workspace
    """
    suffixes = workspace.full(len(words), -1, np.int32)
    for k in range(1, len(level_starts) - 1):
        bounds = level_starts[k - 1 : k + 1].tolist()
        workspace.over_contexts(_link, first_child, *bounds, words, first_child, suffixes)
    return suffixes


@kernel
def _link(
    words,  # int32 (n,)
    first_child,  # int32 (m + 1,)
    suffixes,  # int32 (n,): known for these contexts; output for their children
    begin,  # contexts begin:end, of one order
    end,
):
    """Find the suffixes of the children of some contexts."""
    for context in range(begin, end):
        shorter = suffixes[context]
        if shorter < 0 and context >= first_child[0]:
            continue  # a longer context without a suffix
        low = first_child[shorter] if shorter >= 0 else 0
        limit = first_child[shorter + 1] if shorter >= 0 else first_child[0]
        for node in range(first_child[context], first_child[context + 1]):
            high = limit
            while low < high:
                middle = (low + high) >> 1
                if words[middle] < words[node]:
                    low = middle + 1
                else:
                    high = middle
            if low < limit and words[low] == words[node]:
                suffixes[node] = low


def prune_trie(trie, kept, arrays, workspace):
    """Return the trie of the kept n-grams, and their values.

    Parameters
    ----------
    trie : Trie
    kept : bool array (n,)
        All unigrams, and with each n-gram its context and its suffix.
    arrays : list of array (n,) or (m,)
        Values of the n-grams, or of those below the highest order.
    workspace : Workspace

    Returns
    -------
    Trie
    list of array
    """
    numbers = workspace.empty(len(kept) + 1, np.int32)  # how many are kept before each node
    numbers[0] = 0
    np.cumsum(kept, out=numbers[1:])
    n, m = int(numbers[-1]), int(numbers[trie.level_starts[-2]])
    words, suffixes = workspace.empty(n, np.int32), workspace.empty(n, np.int32)
    first_child = workspace.empty(m + 1, np.int32)
    _select(kept, trie.words, words)
    _select(kept, trie.suffixes, suffixes)
    _select(kept, trie.first_child[:-1], first_child)
    first_child[m] = len(kept)
    _renumber(numbers, suffixes)
    _renumber(numbers, first_child)
    selected = []
    for array in arrays:
        selected.append(workspace.empty(n if len(array) == len(kept) else m, array.dtype))
        _select(kept, array, selected[-1])
        workspace.release()
    return Trie(numbers[trie.level_starts].astype(np.int64), words, first_child, suffixes), selected


@kernel
def _select(
    kept,  # bool (n,)
    values,  # (n,) or shorter
    selected,  # output
):
    """Write the kept values one after another."""
    place = 0
    for node in range(len(values)):
        if kept[node]:
            selected[place] = values[node]
            place += 1


@kernel
def _renumber(
    numbers,  # int32 (n + 1,): the new number of each node
    nodes,  # int32: old numbers, or -1; overwritten by new numbers
):
    """Renumber nodes."""
    for i in range(len(nodes)):
        if nodes[i] >= 0:
            nodes[i] = numbers[nodes[i]]
