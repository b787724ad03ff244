"""Vectors of words: pretrained ones (mappings, pairs of words and an array, text files) and those before training."""

import functools
import numbers
import os
import pathlib
import re

import numpy as np

from fastrnn.text.normalization import preprocess
from fastrnn.text.reading import open_lines
from fastrnn.text.tokens import PAD_ID, SPECIAL_TOKENS, UNK_ID
from fastrnn.utils.arrays import to_array, weights_of
from fastrnn.utils.checks import is_frame, shown

_SPACE = " \t\v\f\r"  # of ASCII: other spaces, no-break ones for instance, are part of a word
_SPACES = re.compile(f"[{_SPACE}]+")


def read_vectors(embedding, normalize=None):
    """Return the words and vectors of an estimator's parameter `embedding`.

    If a word has several vectors, the first one counts.

    Parameters
    ----------
    embedding : mapping of str to array, (words, array (n, D)), or path of a text file as of GloVe or word2vec
    normalize : str or None, default=None
        Normal form of Unicode that the words are converted to, as the words of texts are.

    Returns
    -------
    words : list of str
    vectors : ndarray (n, D) of float32

    Raises
    ------
    ValueError
        `embedding` is none of these, or the vectors are not finite or not of one length.
    """
    words, vectors = _read(embedding)
    if normalize is None:
        return words, vectors
    return _first_ones([preprocess(word, normalize=normalize) for word in words], vectors)


def initial_vectors(vocabulary, n_ids, size, scale, pretrained, random_state):
    """Return the vectors with which the training of an embedding begins.

    Parameters
    ----------
    vocabulary : Vocabulary
        V tokens.
    n_ids : int
        Number of vectors, at least V. Those beyond the vocabulary are zero.
    size : int
        Length of a vector, D, without pretrained ones.
    scale : float
        Standard deviation of random vectors, without pretrained ones.
    pretrained : (list of str, float32 array (n, D)) or None
        As from `read_vectors`. Words without such a vector get a random one of half their deviation.
    random_state : RandomState instance

    Returns
    -------
    float32 array (n_ids, D)
        The vectors of ``<pad>`` and ``<unk>`` are zero.
    """
    if pretrained is not None:
        size, scale = pretrained[1].shape[1], float(pretrained[1].std()) / 2
    vectors = np.zeros((n_ids, size), np.float32)
    vectors[: len(vocabulary)] = random_state.standard_normal((len(vocabulary), size)) * scale
    if pretrained is not None:
        ids = vocabulary.encode(pretrained[0])
        known = ids >= len(SPECIAL_TOKENS)
        vectors[ids[known]] = pretrained[1][known]
    vectors[[PAD_ID, UNK_ID]] = 0
    return vectors


def _read(embedding):
    """Return the words and vectors in their given form."""
    if isinstance(embedding, str | os.PathLike):
        path = pathlib.Path(embedding)
        return _read_file(str(path), path.stat().st_mtime_ns)
    if is_frame(embedding):
        raise ValueError(
            f"embedding must be a mapping of words to vectors or a pair (words, array), got a "
            f"{type(embedding).__name__}: give (frame.index, frame.to_numpy()) for instance."
        )
    if hasattr(embedding, "keys"):
        words = list(embedding.keys())
        vectors = [embedding[word] for word in words]
    elif isinstance(embedding, tuple | list) and len(embedding) == 2:
        words, vectors = list(embedding[0]), embedding[1]
    else:
        raise ValueError(
            f"embedding must be a mapping of words to vectors, a pair (words, array) or the path of a text file, "
            f"got {shown(embedding)}."
        )
    for word in words:
        if not isinstance(word, str | numbers.Integral):
            raise ValueError(f"embedding must have strings as words, got {shown(word)}.")
    vectors = _as_array(vectors)
    if vectors.ndim != 2 or len(vectors) != len(words) or not len(words):
        raise ValueError(
            f"embedding must have a vector for each word, got {len(words)} words and vectors of shape {vectors.shape}."
        )
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise ValueError(f"embedding must be finite, got NaN or infinity for {shown(words[int(finite.argmin())])}.")
    return _first_ones([str(word) for word in words], vectors)


def _as_array(vectors):
    """Return vectors, or the weights of an embedding layer, as float32 (n, D)."""
    if hasattr(vectors, "state_dict"):
        vectors = weights_of(vectors)["weight"]
    try:
        vectors = [to_array(vector) for vector in vectors] if isinstance(vectors, list | tuple) else to_array(vectors)
        with np.errstate(over="ignore"):  # the caller names infinite vectors
            return np.asarray(vectors, np.float32)
    except (TypeError, ValueError):
        sizes = sorted({np.size(vector) for vector in vectors})
    problem = (
        f"vectors of one length, got {sizes[0]} numbers and {sizes[1]}" if len(sizes) > 1 else "vectors of numbers"
    )
    raise ValueError(f"embedding must have {problem}.")


def _first_ones(words, vectors):
    """Return words and vectors without repeated words; the first vector of each stays."""
    places = {}
    for place, word in enumerate(words):
        places.setdefault(word, place)
    if len(places) == len(words):
        return words, vectors
    return list(places), vectors[list(places.values())]


@functools.lru_cache(maxsize=1)
def _read_file(path, changed):
    """Read a text file with a word and its numbers on each line; the result for the last file stays in memory."""
    rows, size = {}, None
    for number, line in enumerate(open_lines(path, errors="replace"), start=1):
        line = line.rstrip(_SPACE)
        if not line:
            continue
        if size is None:
            fields = _SPACES.split(line)
            if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():  # a header: words, size
                size = int(fields[1])
                continue
            size = len(fields) - 1
        word, row = _parse_line(line, size)
        if row is None:
            expected = f"expected a word and {size or 'its'} numbers"
            raise ValueError(f"{path}, line {number}: {expected}, got {shown(line[:60])}.")
        rows.setdefault(word, row)
    if not rows:
        raise ValueError(f"{path} holds no word vectors.")
    return list(rows), np.array(list(rows.values()))


def _parse_line(line, size):
    """Return a line's word and its vector (size,), or None if that is not finite; some words of GloVe hold spaces."""
    for fields in (line.rsplit(" ", size), _SPACES.split(line)):  # one space is usual, and faster
        if len(fields) > size > 0:
            try:
                row = np.array(fields[len(fields) - size :], np.float32)
            except ValueError:
                continue
            return " ".join(fields[: len(fields) - size]), row if np.isfinite(row).all() else None
    return "", None
