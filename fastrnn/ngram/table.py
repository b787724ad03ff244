"""The compact table of the n-grams of a model, for looking up probabilities.

The n-grams of a context are side by side, as in a `Trie`. Instead of its last word, an n-gram keeps the word's rank:
its place among the words that follow the context without its first word. (A word that follows "on the" also follows
"the".) The rank of a bigram is its last word; ranks of longer n-grams are small numbers, which fit into 16 bits even if
words do not. The suffix of an n-gram follows from its rank and is not stored. The first child of a context takes 16
bits too: it is counted from the first child of a block of contexts.

An n-gram takes 12 bytes, or 6 in the highest order; with quantized values it takes 6 and 3.

References
----------
Giulio Ermanno Pibiri and Rossano Venturini, "Efficient data structures for massive n-gram datasets", SIGIR 2017.
"""

from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.quantization import N_CODES, quantize
from fastrnn.ngram.trie import Trie, link_suffixes
from fastrnn.ngram.workspace import Workspace
from fastrnn.text.tokens import END_ID, PAD_ID, START_ID

MAX_ORDER = 16
BLOCK_BITS = 6  # contexts whose children are counted from a common start: 2 ** 6


class NGramTable(NamedTuple):
    """n n-grams, m of them below the highest order, V unigrams, one for each word.

    Nodes are numbered as in a `Trie`. Values are log10 of probabilities and backoffs: with h' the context h without its
    first word,

        log p(w | h) = log_probs[node of hw]                       if hw is an n-gram of the table,
                       log_backoffs[node of h] + log p(w | h')     otherwise; without the backoff if h is none.

    They are float32, or 8-bit codes of a codebook for each order.
    """

    level_starts: np.ndarray  # int64 (order + 1,): the nodes of order k are level_starts[k - 1]:level_starts[k]
    ranks: np.ndarray  # uint16 or uint32 (n - V,): of the bigrams and longer n-grams
    bigram_starts: np.ndarray  # int32 (V + 1,): the children of unigram c are bigram_starts[c]:bigram_starts[c + 1]
    block_starts: np.ndarray  # int32: the first child of every 64th longer context
    child_offsets: np.ndarray  # uint16 or uint32 (m - V + 1,): first child of each longer context, from there
    log_probs: np.ndarray  # float32 (n,), or (0,) if quantized
    log_backoffs: np.ndarray  # float32 (m,), or (0,) if quantized
    prob_codes: np.ndarray  # uint8 (n,) if quantized, or (0,)
    backoff_codes: np.ndarray  # uint8 (m,) if quantized, or (0,)
    codebooks: np.ndarray  # float32 (order, 2, 256): the values of both kinds of codes; (0, 2, 256) if not quantized

    @property
    def order(self):
        """Return the largest length of an n-gram."""
        return len(self.level_starts) - 1

    @property
    def nbytes(self):
        """Return the bytes of all arrays."""
        return sum(array.nbytes for array in self)

    @classmethod
    def from_trie(cls, trie, log_probs, log_backoffs, workspace):
        """Make the table of a trie's n-grams.

        Parameters
        ----------
        trie : Trie
        log_probs : float32 array (n,)
            Of all nodes, log10.
        log_backoffs : float32 array (m,)
            Of the nodes below the highest order.
        workspace : Workspace

        Returns
        -------
        NGramTable
        """
        first_child = trie.first_child
        n_words = int(trie.level_starts[1])
        ranks = np.empty(len(trie.words) - n_words, np.uint16 if n_words <= 1 << 16 else np.uint32)
        n_contexts = len(first_child) - 1
        workspace.over_contexts(_rank, first_child, 0, n_contexts, first_child, trie.suffixes, n_words, ranks)
        longer = first_child[n_words:]  # (m - V + 1,), none if the highest order is 1
        offsets = np.empty(len(longer), np.uint16)
        if _offset(longer, offsets) > np.iinfo(np.uint16).max:
            offsets = np.empty(len(longer), np.uint32)
            _offset(longer, offsets)
        workspace.release()
        return cls(
            np.asarray(trie.level_starts, np.int64),
            ranks if ranks.dtype == np.uint16 or np.any(ranks >> 16) else ranks.astype(np.uint16),
            first_child[: n_words + 1].copy(),
            longer[:: 1 << BLOCK_BITS].copy(),
            offsets,
            log_probs,
            log_backoffs,
            np.empty(0, np.uint8),
            np.empty(0, np.uint8),
            np.empty((0, 2, N_CODES), np.float32),
        )

    @classmethod
    def from_ngrams(cls, levels, n_words):
        """Make a table of given n-grams, in any order.

        A missing context or suffix of an n-gram is added with the probability that backing off gives it, which leaves
        the model as it is.

        Parameters
        ----------
        levels : list of (ids, log_probs, log_backoffs)
            For each order k from 1: the n-grams as ids of words, int array (n_k, k); log10 of their probabilities,
            float array (n_k,); log10 of their backoffs, float array (n_k,), or None if all are 0.
        n_words : int
            The size of the vocabulary, V. Words without a unigram, ``<pad>`` and ``<s>`` have probability 0.

        Returns
        -------
        NGramTable

        Raises
        ------
        ValueError
            If an n-gram occurs twice, or a value is NaN.
        """
        levels = [_as_level(*level) for level in levels]
        if any(np.isnan(values).any() for _, *both in levels for values in both):
            raise ValueError("A log probability or backoff is NaN.")
        trie, rows = _build_trie(levels, n_words)
        while (missing := _find_missing(levels, trie, rows)) is not None:
            levels = [_append(level, ids) for level, ids in zip(levels, missing, strict=True)]
            trie, rows = _build_trie(levels, n_words)
        log_probs = np.full(len(trie.words), -np.inf, np.float32)
        log_backoffs = np.zeros(trie.level_starts[-2], np.float32)
        for k, (level, nodes) in enumerate(zip(levels, rows, strict=True), start=1):
            log_probs[nodes] = level[1]
            if k < len(levels):
                log_backoffs[nodes] = level[2]
        log_probs[[PAD_ID, START_ID]] = -np.inf
        _back_off(trie.level_starts, trie.first_child, trie.suffixes, log_probs, log_backoffs)
        return cls.from_trie(trie, log_probs, log_backoffs, Workspace())

    def quantize(self):
        """Return a table whose values take 8 bits each."""
        codes, codebooks = ([], []), np.empty((self.order, 2, N_CODES), np.float32)
        for k, use in enumerate(self._use(), start=1):
            for kind in range(2 if k < self.order else 1):
                level_codes, codebooks[k - 1, kind] = quantize(self._decode(kind, k), use)
                codes[kind].append(level_codes)
        codebooks[-1, 1] = 0
        return self._replace(
            log_probs=np.empty(0, np.float32),
            log_backoffs=np.empty(0, np.float32),
            prob_codes=np.concatenate(codes[0]),
            backoff_codes=np.concatenate([np.empty(0, np.uint8), *codes[1]]),
            codebooks=codebooks,
        )

    def _use(self):
        """Yield for each order the probabilities of whole n-grams, not of their last words alone: float64 (n_k,)."""
        blocks = np.repeat(self.block_starts, 1 << BLOCK_BITS)[: len(self.child_offsets)]
        n_children = np.diff(np.concatenate([self.bigram_starts[:-1], blocks + self.child_offsets.astype(np.int64)]))
        use = 10.0 ** self._decode(0, 1)
        use[START_ID] = use[END_ID]  # a sentence begins as often as one ends
        yield use
        for k in range(2, self.order + 1):
            contexts = slice(*self.level_starts[k - 2 : k].tolist())
            use = np.repeat(use, n_children[contexts]) * 10.0 ** self._decode(0, k)
            yield use

    def levels(self):
        """Iterate over the n-grams, order by order.

        Yields
        ------
        ids : int32 array (n_k, k)
            The n-grams of order k, sorted; ``<pad>`` is none.
        log_probs : float32 array (n_k,)
            log10 of their probabilities.
        log_backoffs : float32 array (n_k,) or None
            log10 of their backoffs; None in the highest order.
        """
        n_words = int(self.level_starts[1])
        ids = np.arange(n_words, dtype=np.int32).reshape(-1, 1)
        suffixes = np.full(n_words, -1, np.int32)
        for k in range(1, self.order + 1):
            first = 1 if k == 1 else 0  # <pad> is not an n-gram
            begin, end = self.level_starts[k - 1 : k + 1].tolist()
            backoffs = self._decode(1, k)[first:] if k < self.order else None
            yield ids[first:], self._decode(0, k)[first:], backoffs
            if k < self.order:
                n_children = int(self.level_starts[k + 1]) - end
                longer = np.empty((n_children, k + 1), np.int32)
                child_suffixes = np.empty(n_children, np.int32)
                last_words = np.ascontiguousarray(ids[:, -1])
                _expand(self, begin, ids, last_words, suffixes, longer, child_suffixes)
                ids, suffixes = longer, child_suffixes

    def unigram_log_probs(self):
        """Return log10 of the probabilities of the unigrams, float32 (V,)."""
        return self._decode(0, 1)

    def _decode(self, kind, k):
        """Return the log probabilities (kind 0) or log backoffs (kind 1) of order k, float32 (n_k,)."""
        nodes = slice(*self.level_starts[k - 1 : k + 1].tolist())
        if len(self.codebooks):
            return self.codebooks[k - 1, kind, (self.prob_codes, self.backoff_codes)[kind][nodes]]
        return (self.log_probs, self.log_backoffs)[kind][nodes]


@kernel(cache=False, forceinline=True)
def first_child(bigram_starts, block_starts, child_offsets, context):
    """Return the first child of a context; the arrays are those of an `NGramTable`."""
    n_words = len(bigram_starts) - 1
    if context < n_words:
        return np.int64(bigram_starts[context])
    context -= n_words
    return np.int64(block_starts[context >> BLOCK_BITS]) + np.int64(child_offsets[context])


@kernel(cache=False, forceinline=True)
def children(bigram_starts, block_starts, child_offsets, context):
    """Return begin and end of the children of a context."""
    return (
        first_child(bigram_starts, block_starts, child_offsets, context),
        first_child(bigram_starts, block_starts, child_offsets, context + 1),
    )


@kernel
def _rank(
    first_child,  # int32 (m + 1,)
    suffixes,  # int32 (n,)
    n_words,  # V
    ranks,  # uint16 or uint32 (n - V,): output
    begin,  # contexts begin:end
    end,
):
    """Find the ranks of the children of some contexts."""
    for context in range(begin, end):
        shorter = suffixes[context]
        first = first_child[shorter] if shorter >= 0 else 0
        for node in range(first_child[context], first_child[context + 1]):
            ranks[node - n_words] = suffixes[node] - first


@kernel
def _offset(
    starts,  # int32 (n,): the first child of each context
    offsets,  # uint16 or uint32 (n,): output
):
    """Count first children from that of the block of contexts; return the largest offset."""
    largest = 0
    for context in range(len(starts)):
        offset = starts[context] - starts[context >> BLOCK_BITS << BLOCK_BITS]
        offsets[context] = offset
        largest = max(largest, offset)
    return largest


@kernel
def _expand(
    table,
    begin,  # the node of the first context
    ids,  # int32 (n_contexts, k): the contexts
    words,  # int32 (n_suffixes,): the last words of the nodes of order k
    suffixes,  # int32 (n_contexts,): the suffix of each context, -1 for none
    longer,  # int32 (n_children, k + 1): output, the n-grams of these contexts
    child_suffixes,  # int32 (n_children,): output
):
    """Write out the n-grams of all contexts of one order."""
    starts = table.bigram_starts, table.block_starts, table.child_offsets
    ranks = table.ranks
    n_words = len(table.bigram_starts) - 1
    k = ids.shape[1]
    first, _ = children(*starts, begin)
    for c in range(len(ids)):
        low, high = children(*starts, begin + c)
        shorter = np.int64(0)
        if suffixes[c] >= 0:
            shorter, _ = children(*starts, np.int64(suffixes[c]))
        for node in range(low, high):
            suffix = shorter + np.int64(ranks[node - n_words])
            child_suffixes[node - first] = suffix
            longer[node - first, :k] = ids[c]
            longer[node - first, k] = words[suffix - begin]


# ----- from n-grams in any order ------------------------------------------------------------------------------------


def _as_level(ids, log_probs, log_backoffs):
    """Return the arrays of one order; a NaN probability is not known yet."""
    ids = np.asarray(ids, np.int32)
    backoffs = np.zeros(len(ids), np.float32) if log_backoffs is None else np.asarray(log_backoffs, np.float32)
    return ids, np.asarray(log_probs, np.float32), backoffs


def _append(level, ids):
    """Add n-grams whose values are not known yet."""
    return (
        np.concatenate([level[0], ids]),
        np.concatenate([level[1], np.full(len(ids), np.nan, np.float32)]),
        np.concatenate([level[2], np.zeros(len(ids), np.float32)]),
    )


def _build_trie(levels, n_words):
    """Return the trie of n-grams, and for each order the node of each row, -1 where its context is missing."""
    starts, words, first_child = [0, n_words], [np.arange(n_words, dtype=np.int32)], []
    rows, keys = [levels[0][0][:, 0].astype(np.int64)], [np.arange(n_words)]
    _refuse_twice(np.sort(rows[0]), rows[0], levels[0][0])
    for k in range(2, len(levels) + 1):
        ids = levels[k - 1][0]
        contexts = _find(ids[:, :-1], keys, starts)
        own = contexts << 32 | ids[:, -1]  # sorted by context, then by word
        own[contexts < 0] = -1
        keys.append(np.sort(own[contexts >= 0]))
        _refuse_twice(keys[-1], own, ids)
        rows.append(np.where(contexts < 0, -1, starts[-1] + np.searchsorted(keys[-1], own)))
        words.append((keys[-1] & 0xFFFFFFFF).astype(np.int32))
        first_child.append(starts[-1] + np.searchsorted(keys[-1] >> 32, np.arange(starts[-2], starts[-1])))
        starts.append(starts[-1] + len(keys[-1]))
    words = np.concatenate(words)
    first_child = np.concatenate([*first_child, starts[-1:]]).astype(np.int32)
    starts = np.array(starts)
    return Trie(starts, words, first_child, link_suffixes(starts, words, first_child, Workspace())), rows


def _find(ids, keys, starts):
    """Return the nodes of n-grams, int64 (n,), -1 for missing ones."""
    nodes = ids[:, 0].astype(np.int64)
    for k in range(1, ids.shape[1]):
        own = nodes << 32 | ids[:, k]
        places = np.minimum(np.searchsorted(keys[k], own), max(0, len(keys[k]) - 1))
        found = (nodes >= 0) & (keys[k][places] == own if len(keys[k]) else False)
        nodes = np.where(found, starts[k] + places, -1)
    return nodes


def _refuse_twice(sorted_keys, keys, ids):
    twice = sorted_keys[1:] == sorted_keys[:-1]
    if twice.any():
        row = np.argmax(keys == sorted_keys[np.argmax(twice)])
        raise ValueError(f"The n-gram of the ids {ids[row].tolist()} occurs twice.")


def _find_missing(levels, trie, rows):
    """Return for each order the missing n-grams that others need, int32 (n, k), or None if none is missing."""
    missing = [[np.empty((0, k), np.int32)] for k in range(1, len(levels) + 1)]
    for k in range(2, len(levels) + 1):
        ids, nodes = levels[k - 1][0], rows[k - 1]
        without_context = nodes < 0
        without_suffix = ~without_context
        without_suffix[without_suffix] = trie.suffixes[nodes[without_suffix]] < 0
        missing[k - 2] += [ids[without_context, :-1], ids[without_suffix, 1:]]
    found_none = all(len(ids) == 0 for level in missing for ids in level)
    if found_none:
        return None
    return [_drop_known(np.concatenate(new), level[0]) for new, level in zip(missing, levels, strict=True)]


def _drop_known(ids, known):
    """Return the different rows of `ids` that are not in `known`."""
    if not len(ids):
        return ids
    ids = np.unique(ids, axis=0)
    both, inverse = np.unique(np.concatenate([known, ids]), axis=0, return_inverse=True)
    is_known = np.zeros(len(both), bool)
    is_known[inverse.ravel()[: len(known)]] = True
    return ids[~is_known[inverse.ravel()[len(known) :]]]


@kernel
def _back_off(
    level_starts,  # int64 (order + 1,)
    first_child,  # int32 (m + 1,)
    suffixes,  # int32 (n,)
    log_probs,  # float32 (n,): NaN is replaced
    log_backoffs,  # float32 (m,)
):
    """Give added n-grams the probabilities of backing off."""
    for context in range(len(first_child) - 1):
        for node in range(first_child[context], first_child[context + 1]):
            if np.isnan(log_probs[node]):
                log_probs[node] = log_backoffs[context] + log_probs[suffixes[node]]
