"""Looking up probabilities: contexts are walked word by word, from the longest known context to shorter ones."""

from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel

EMPTY_CONTEXT = -1


class NGramTable(NamedTuple):
    """The n-grams of a model, n of them, m below the highest order; the first V are the words of the vocabulary.

    `NGramCounts` says how they are numbered, `fastrnn.ngram.smoothing` how probabilities come out of them.
    """

    words: np.ndarray  # int32 (n,): the last word
    suffixes: np.ndarray  # int32 (n,): the node of the n-gram without its first word, -1 for a unigram
    probabilities: np.ndarray  # float32 (n,)
    first_child: np.ndarray  # int32 (m + 1,): node c is the context of the nodes first_child[c]:first_child[c + 1]
    backoffs: np.ndarray  # float32 (m,)


@kernel
def _follow(table, context, word):
    """Return the probability of `word` after a context, and the longest known context after it.

    A context is a node below the highest order, or -1 for the empty one.
    """
    scale = 1.0
    low = 0
    while context >= 0:
        low = table.first_child[context]
        end = table.first_child[context + 1]
        high = end
        while low < high:
            middle = (low + high) >> 1
            if table.words[middle] < word:
                low = middle + 1
            else:
                high = middle
        if low < end and table.words[low] == word:
            break
        scale *= table.backoffs[context]
        context = table.suffixes[context]
    node = low if context >= 0 else word
    probability = scale * table.probabilities[node]
    return probability, (node if node < len(table.backoffs) else table.suffixes[node])


@kernel
def walk(
    table,
    ids,  # int32 (T,)
    offsets,  # int64 (n + 1,): text i is ids[offsets[i]:offsets[i + 1]]
    contexts,  # int32 (n,): the context before each text; overwritten by the one after it
    probabilities,  # float64 (T,): output
):
    """Walk through texts word by word."""
    for i in range(len(contexts)):
        context = contexts[i]
        for j in range(offsets[i], offsets[i + 1]):
            probabilities[j], context = _follow(table, context, ids[j])
        contexts[i] = context


@kernel
def next_probabilities(
    table,
    contexts,  # int32 (n,)
    probabilities,  # float64 (n, V): output
):
    """Write the distribution of the next word after each context."""
    for i in range(len(contexts)):
        n_contexts = 0
        context = contexts[i]
        while context >= 0:
            n_contexts += 1
            context = table.suffixes[context]
        # From the empty context to the longest one: what a longer one knows takes the place of what stood there.
        for n_skipped in range(n_contexts, -1, -1):
            scale = 1.0
            context = contexts[i]
            for _ in range(n_skipped):
                scale *= table.backoffs[context]
                context = table.suffixes[context]
            begin, end = 0, probabilities.shape[1]
            if context >= 0:
                begin, end = table.first_child[context], table.first_child[context + 1]
            for node in range(begin, end):
                probabilities[i, table.words[node]] = scale * table.probabilities[node]
