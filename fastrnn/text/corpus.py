"""Texts as ids, in memory or in a file: a text may be larger than memory."""

import hashlib
import os
import pathlib
import tempfile
from typing import NamedTuple

import numpy as np

from fastrnn.text.tokenization import batches, iterate_corpus
from fastrnn.text.tokens import END_ID, PAD_ID, START_ID, close_sentences
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.checks import shown
from fastrnn.utils.files import replaced_file, writing_temporary_file

_IN_MEMORY = 1 << 27  # bytes of ids that are kept in memory; more go to a temporary file
_AT_ONCE = 1 << 18  # tokens of a piece


class Corpus(NamedTuple):
    """Sentences as ids, each closed by ``</s>``.

    Attributes
    ----------
    ids : int array (n_tokens,)
        In memory, or mapped from a file.
    offsets : int64 array (n_sentences + 1,)
        Sentence i is ``ids[offsets[i]:offsets[i + 1]]``.
    """

    ids: np.ndarray
    offsets: np.ndarray


def read_corpus(X, vocabulary, tokenizer="words", lowercase=False, normalize=None, encoding="utf-8"):
    """Read a text as ids.

    Parameters
    ----------
    X : iterable of (str, list of str or os.PathLike), os.PathLike, file object, or ids
        Ids are a one-dimensional array of integers, which may be mapped, or the path of one in a ``.npy`` file; every
        sentence in it ends with ``</s>``, see `write_token_file`.
    vocabulary : Vocabulary or None
        None makes a new one of all tokens of the text.
    tokenizer, lowercase, normalize, encoding
        As in `fastrnn.text.iterate_corpus`.

    Returns
    -------
    Corpus
    vocabulary : Vocabulary

    Raises
    ------
    ValueError
        X is none of these, or has ids beyond the vocabulary.
    """
    corpus = read_ids(X, vocabulary)
    if corpus is not None:
        return corpus, vocabulary
    token_lists = iterate_corpus(X, tokenizer, lowercase, normalize, encoding, learning=vocabulary is None)
    parts = batches(token_lists, _AT_ONCE)
    if vocabulary is None:
        vocabulary = Vocabulary()
        return _collect(vocabulary.extend_encode_batches(parts)), vocabulary
    return _collect(vocabulary.encode_batches(parts)), vocabulary


def read_ids(X, vocabulary):
    """Return a text that is given as ids.

    Parameters
    ----------
    X : object
        Ids as in `read_corpus`, or something else.
    vocabulary : Vocabulary or None

    Returns
    -------
    Corpus or None
        None if X is something else.

    Raises
    ------
    ValueError
        An id is not in the vocabulary, or a ``.npy`` file holds no ids.
    """
    if isinstance(X, os.PathLike) and pathlib.Path(X).suffix == ".npy":
        X = _load_ids(X)
    return _check_ids(X, vocabulary) if isinstance(X, np.ndarray) and X.dtype.kind in "iu" else None


def _load_ids(path):
    """Map the array of ids in a ``.npy`` file into memory."""
    try:
        ids = np.load(path, mmap_mode="r")
    except (EOFError, ValueError) as error:
        raise ValueError(f"{path} is no .npy file of ids: {error}") from None
    if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu":
        kind = ids.dtype if isinstance(ids, np.ndarray) else type(ids).__name__
        raise ValueError(f"{path} must hold ids, an array of integers, got {kind}.")
    return ids


def write_token_file(path, X, vocabulary, tokenizer="words", lowercase=False, normalize=None, encoding="utf-8"):
    """Write a text as ids to a ``.npy`` file; training reads such a file piece by piece.

    Parameters
    ----------
    path : str or os.PathLike
        The file. It is replaced whole or not at all, and its name ends in ``.npy``.
    X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
    vocabulary : Vocabulary
    tokenizer, lowercase, normalize, encoding
        As for the model.

    Returns
    -------
    int
        The number of tokens, ``</s>`` included. Ids are uint16 if the vocabulary allows it, else uint32.
    """
    if pathlib.Path(path).suffix != ".npy":
        raise ValueError(f"path must end in .npy, got {shown(str(path))}.")
    ids = read_corpus(X, vocabulary, tokenizer, lowercase, normalize, encoding)[0].ids
    dtype = np.uint16 if len(vocabulary) <= 1 << 16 else np.uint32
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": ids.shape}
    with replaced_file(path) as temporary, open(temporary, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in _pieces(ids):  # a full disk would end the process if it were mapped
            file.write(piece.astype(dtype))
    return len(ids)


def split_end(corpus, fraction):
    """Split the last `fraction` off a text: whole sentences, or tokens if there is one sentence; return both parts."""
    ids, offsets = corpus
    sentences = len(offsets) - 1
    if sentences > 1:
        place = min(max(1, round(sentences * (1 - fraction))), sentences - 1)
        cut = offsets[place]
        return Corpus(ids[:cut], offsets[: place + 1]), Corpus(ids[cut:], offsets[place:] - cut)
    tokens = len(ids) - 1  # without </s>
    cut = round(tokens * (1 - fraction))
    if not 0 < cut < tokens:
        raise ValueError(
            "X is too short to set a part aside for validation: give fit an X_val or set early_stopping=False."
        )
    return Corpus(ids[:cut], np.array([0, cut])), Corpus(ids[cut:], np.array([0, len(ids) - cut]))


def count_tokens(ids, n_tokens, release=None):
    """Count the ids of a text, which is read once.

    Parameters
    ----------
    ids : int array (n,)
        The text; it may be mapped from a file.
    n_tokens : int
        The size of the vocabulary.
    release : callable or None
        Called after each piece of the text, to give back the memory of mapped pages.

    Returns
    -------
    int64 array (n_tokens,)
        How often each id from 0 to `n_tokens` − 1 appears.
    """
    counts = np.zeros(n_tokens, np.int64)
    for piece in _pieces(ids):
        counts += np.bincount(piece, minlength=n_tokens)
        if release is not None:
            release()
    return counts


class LearnedVocabulary(NamedTuple):
    """Result of `learn_vocabulary`.

    Attributes
    ----------
    vocabulary : Vocabulary
    new_ids : int32 array (n_seen,)
        The new id of each token that was seen, see `replace_ids`; that of ``<unk>`` for tokens left out.
    counts : int64 array (V,)
        How often each token of the vocabulary appears in the text.
    """

    vocabulary: Vocabulary
    new_ids: np.ndarray
    counts: np.ndarray


def learn_vocabulary(ids, seen, min_count=1, max_size=None, release=None):
    """Choose the vocabulary of a text that is encoded with all its tokens; the text is read once.

    Parameters
    ----------
    ids : int array (n,)
        The text. It may contain special tokens.
    seen : Vocabulary
        All tokens of the text.
    min_count, max_size
        As in `Vocabulary`.
    release : callable or None
        As in `count_tokens`.

    Returns
    -------
    LearnedVocabulary

    Examples
    --------
    >>> seen = Vocabulary()
    >>> ids, _ = seen.extend_encode_corpus([["to", "be", "or", "not", "to", "be"]])
    >>> learned = learn_vocabulary(ids, seen, min_count=2)
    >>> learned.vocabulary.tokens[4:], learned.new_ids[ids].tolist(), learned.counts.tolist()
    (['to', 'be'], [4, 5, 1, 1, 4, 5], [0, 2, 0, 0, 2, 2])
    """
    vocabulary = Vocabulary(min_count, max_size)
    seen_counts = count_tokens(ids, len(seen), release)
    new_ids = vocabulary.fit_counts(seen.tokens, seen_counts)
    counts = np.zeros(len(vocabulary), np.int64)
    np.add.at(counts, new_ids, seen_counts)
    return LearnedVocabulary(vocabulary, new_ids, counts)


def replace_ids(corpus, new_ids):
    """Return the corpus with every id i replaced by ``new_ids[i]``."""
    return Corpus(_store(new_ids[part] for part in _pieces(corpus.ids)), corpus.offsets)


def digest(*parts):
    """Return a hash of arrays of numbers and lists of str, as a string of 32 hexadecimal digits."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, list):
            state.update("\n".join(part).encode(errors="surrogatepass"))
        else:
            for piece in _pieces(part):
                state.update(np.ascontiguousarray(piece, "<f8" if piece.dtype.kind == "f" else "<i8"))
    return state.hexdigest()


def _store(parts):
    """Concatenate pieces of ids, int32 (n,), in memory or, if they are many, in a temporary file."""
    size = 0
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, prefix="fastrnn-") as file:
        for part in parts:
            with writing_temporary_file():
                file.write(np.ascontiguousarray(part, np.int32))
            size += 4 * len(part)
        with writing_temporary_file():
            file.seek(0)
        return np.memmap(file, np.int32, "r") if size > _IN_MEMORY else np.frombuffer(file.read(), np.int32)


def _collect(parts):
    """Close the sentences of pairs (ids, offsets), and concatenate them."""
    ends = [np.zeros(1, np.int64)]

    def closed():
        for part in parts:
            ids, offsets = close_sentences(*part)
            ends.append(offsets[1:] + ends[-1][-1])
            yield ids

    ids = _store(closed())
    return Corpus(ids, np.concatenate([end for end in ends if len(end)]))


def _check_ids(ids, vocabulary):
    """Return an array of ids as a corpus; raise ValueError for an id that is not in the vocabulary."""
    if ids.ndim != 1:
        raise ValueError(f"X must be a one-dimensional array if it holds ids, got shape {ids.shape}.")
    if vocabulary is None:
        raise ValueError("X holds ids: give the model the vocabulary that they are of, vocabulary=….")
    ends, begin = [np.zeros(1, np.int64)], 0
    for part in _pieces(ids):
        wrong = (part < 0) | (part >= len(vocabulary)) | (part == PAD_ID) | (part == START_ID)
        if wrong.any():
            place = int(np.argmax(wrong))
            raise ValueError(f"X holds the id {part[place]} at {begin + place}, which is no token of the vocabulary.")
        ends.append(np.flatnonzero(part == END_ID) + begin + 1)
        begin += len(part)
    offsets = np.concatenate(ends)
    if offsets[-1] != len(ids):
        offsets = np.append(offsets, len(ids))  # the last sentence is not closed
    return Corpus(ids, offsets)


def _pieces(array):
    return (array[begin : begin + _AT_ONCE] for begin in range(0, len(array), _AT_ONCE))
