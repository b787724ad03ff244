"""The special tokens, their ids, and the marks around sentences."""

import numpy as np

SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")
PAD_ID, UNK_ID, START_ID, END_ID = range(4)
NEVER_WRITTEN = (PAD_ID, UNK_ID, START_ID)  # no text that a model writes has one of these

# 2^64 / golden ratio (Knuth 1973): spreads neighbouring ids in the hashes of n-grams.
NGRAM_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def close_sentences(ids, offsets, start=False):
    """Write ``</s>`` after every sentence, and optionally ``<s>`` before it.

    Parameters
    ----------
    ids : int32 array (n_tokens,)
    offsets : int64 array (n_sentences + 1,)
        As from `Vocabulary.encode_corpus`.
    start : bool
        Whether to write ``<s>`` before every sentence too.

    Returns
    -------
    ids : int32 array (n_tokens + n_sentences,), or (n_tokens + 2 * n_sentences,) with `start`
    offsets : int64 array (n_sentences + 1,)

    Examples
    --------
    >>> import numpy as np
    >>> close_sentences(np.array([7, 8, 9], dtype=np.int32), np.array([0, 2, 3]))
    (array([7, 8, 3, 9, 3], dtype=int32), array([0, 3, 5]))
    """
    added = 1 + start  # marks per sentence
    sentences = np.arange(len(offsets) - 1)
    closed_offsets = offsets + added * np.arange(len(offsets))
    closed = np.empty(closed_offsets[-1], np.int32)
    closed[np.arange(len(ids)) + np.repeat(added * sentences + start, np.diff(offsets))] = ids
    if start:
        closed[closed_offsets[:-1]] = START_ID
    closed[closed_offsets[1:] - 1] = END_ID
    return closed, closed_offsets


def all_strings(tokens):
    """Return whether all elements of a list are strings.

    Examples
    --------
    >>> all_strings(["a", "b"]), all_strings(["a", 1])
    (True, False)
    """
    try:
        "".join(tokens)  # the fastest way to look at every type
    except TypeError:
        return False
    return True
