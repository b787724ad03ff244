"""Words in compiled code: a hash table of their bytes; texts are cut at white space and encoded in one pass."""

from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.text.normalization import preprocess
from fastrnn.text.reading import check_texts
from fastrnn.text.tokens import SPECIAL_TOKENS, UNK_ID


class WordTable(NamedTuple):
    """Words as bytes, and a hash table with open addressing from words to their numbers."""

    text: np.ndarray  # uint8: all words, one after another
    starts: np.ndarray  # int64 (V + 1,): word i is text[starts[i]:starts[i + 1]]
    slots: np.ndarray  # int32 (a power of two,): word numbers, -1 for an empty slot

    @classmethod
    def of(cls, words):
        """Return the table of `words`, an iterable of bytes."""
        words = list(words)
        starts = np.cumsum([0, *map(len, words)])
        slots = np.full(1 << (2 * len(words)).bit_length(), -1, np.int32)
        table = cls(np.frombuffer(b"".join(words), np.uint8), starts, slots)
        _fill_slots(table)
        return table


_EMPTY_CODE = 0x11C9DC5


@kernel(cache=False)
def _extend_code(code, byte):
    """Return the hash of a string extended by one byte (FNV-1a, cut to 31 bits)."""
    return ((code ^ np.int64(byte)) * 0x1000193) & 0x7FFFFFFF


@kernel(cache=False)
def _first_slot(words, code):
    return (code ^ (code >> 15)) & (len(words.slots) - 1)


@kernel(cache=False)
def _hash(text, begin, end):
    code = np.int64(_EMPTY_CODE)
    for i in range(begin, end):
        code = _extend_code(code, text[i])
    return code


@kernel
def _fill_slots(words):
    """Write the number of every word into a free slot."""
    for number in range(len(words.starts) - 1):
        slot = _first_slot(words, _hash(words.text, words.starts[number], words.starts[number + 1]))
        while words.slots[slot] >= 0:
            slot = (slot + 1) & (len(words.slots) - 1)
        words.slots[slot] = number


@kernel(cache=False)
def find_word(words, text, begin, end):
    """Return the number of the word text[begin:end], -1 if it is not in the table."""
    return _find(words, text, begin, end, _hash(text, begin, end))


@kernel(cache=False)
def _find(words, text, begin, end, code):
    slot = _first_slot(words, code)
    while words.slots[slot] >= 0:
        number = words.slots[slot]
        first = words.starts[number]
        same = words.starts[number + 1] - first == end - begin
        i = 0
        while same and i < end - begin:
            same = words.text[first + i] == text[begin + i]
            i += 1
        if same:
            return number
        slot = (slot + 1) & (len(words.slots) - 1)
    return np.int32(-1)


def encode_texts(texts, vocabulary, lowercase=False, normalize=None):
    """Tokenize and encode texts as the tokenizer "whitespace" does, in compiled code.

    Parameters
    ----------
    texts : object
    vocabulary : Vocabulary
    lowercase, normalize
        Applied to the texts first, see `fastrnn.text.preprocess`.

    Returns
    -------
    (ids, offsets) as from `Vocabulary.encode_corpus`, or None
        None if other code must tokenize: `texts` is not a list of str, is too short to pay for the table, or contains a
        NUL or a reserved token.
    """
    if not isinstance(texts, list | tuple):
        return None
    check_texts(texts)
    try:
        text = "\0".join([*texts, ""])  # ends with "\0" too
    except TypeError:  # not all are str
        return None
    if len(text) < len(vocabulary) or text.count("\0") != len(texts):
        return None
    text = np.frombuffer(preprocess(text, lowercase, normalize).encode(errors="surrogatepass"), np.uint8)
    ids, offsets = np.empty(len(text) // 2 + 1, np.int32), np.zeros(len(texts) + 1, np.int64)
    n = _encode(text, vocabulary.word_table(), ids, offsets)
    reserved = [i for i in range(len(SPECIAL_TOKENS)) if i != UNK_ID]
    return None if np.isin(ids[:n], reserved).any() else (ids[:n], offsets)


@kernel
def _encode(
    text,  # uint8: texts in UTF-8, each followed by 0
    words,
    ids,  # int32 (at least n_words,): output
    offsets,  # int64 (n_texts + 1,): output, 0 on entry
):
    """Write the ids of all words and the end of each text among them; return the number of words."""
    n = i = at = 0
    while at < len(text):
        if text[at] == 0:
            i += 1
            offsets[i] = n
            at += 1
            continue
        if _is_space(text[at]):
            at += 1
            continue
        begin = at
        code = np.int64(_EMPTY_CODE)
        while text[at] != 0 and not _is_space(text[at]):
            code = _extend_code(code, text[at])
            at += 1
        number = _find(words, text, begin, at, code)
        ids[n] = number if number >= 0 else UNK_ID
        n += 1
    return n


@kernel(cache=False)
def _is_space(byte):
    return byte == 0x20 or 0x09 <= byte <= 0x0D
