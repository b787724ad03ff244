"""The n-grams of a model as a forest of prefixes, in plain arrays: what models are estimated in.

Every n-gram has a number, its node. Unigrams are numbered as their words; then come all bigrams, then all trigrams, and
so on. Within an order they are sorted by the node of the n-gram without its last word (its context), then by the last
word: so the n-grams of a context stand side by side.
"""

from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.threads import run, split


class Trie(NamedTuple):
    """n n-grams, m of them below the highest order; with each of them its context and its suffix are there too."""

    level_starts: np.ndarray  # int64 (order + 1,): the nodes of order k are level_starts[k - 1]:level_starts[k]
    words: np.ndarray  # int32 (n,): the last word
    first_child: np.ndarray  # int32 (m + 1,): node c is the context of the nodes first_child[c]:first_child[c + 1]
    suffixes: np.ndarray  # int32 (n,): the node of the n-gram without its first word, -1 for a unigram


def link_suffixes(level_starts, words, first_child, n_jobs=1):
    """Return the suffix of every node, int32 (n,), or -1 where the trie has none (and for unigrams).

    Parameters
    ----------
    level_starts, words, first_child : arrays
        As in `Trie`.
    n_jobs : int
        Threads.
    """
    suffixes = np.full(len(words), -1, np.int32)
    for k in range(1, len(level_starts) - 1):
        begin, end = level_starts[k - 1 : k + 1].tolist()
        pieces = [(begin + low, begin + high) for low, high in split(end - begin, n_jobs)]
        run(_link, [(words, first_child, low, high, suffixes) for low, high in pieces])
    return suffixes


@kernel
def _link(
    words,  # int32 (n,)
    first_child,  # int32 (m + 1,)
    begin,  # contexts begin:end, of one order
    end,
    suffixes,  # int32 (n,): known for these contexts; output for their children
):
    """Find the suffixes of the children of some contexts."""
    for context in range(begin, end):
        shorter = suffixes[context]
        if shorter < 0 and context >= first_child[0]:
            continue  # no unigram, and without a suffix itself
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
