"""Lists of tokens become sequences of forms, whose words, characters and shapes are known."""

import collections
import itertools
from typing import NamedTuple

import numpy as np

from fastrnn.estimators.sequences import Sequences, add_ngrams
from fastrnn.estimators.texts import TextReader, read_cut
from fastrnn.text.forms import CodePoints, shapes, with_zeros, word_ids
from fastrnn.text.reading import is_file_object
from fastrnn.text.tokens import SPECIAL_TOKENS, UNK_ID
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.arrays import rows_of
from fastrnn.utils.checks import shown
from fastrnn.utils.ragged import offsets_of

N_BUCKETS = 20_000  # of n-grams of characters
_NGRAM_RANGE = (2, 4)
_MOST_CHARACTERS = 32  # of a form that are read: its first and its last ones
_FEWEST = 2  # tokens with a known character, shape or value of a column: the vectors of unknown ones are trained too
_FIRST_CHARACTER = 2  # the id of the first known one; 1 is an unknown one, and 0 is padding


class Forms(NamedTuple):
    """The distinct tokens of some sequences, of which the first one is padding.

    Attributes
    ----------
    words, shapes : int32 array (F,)
        Id of the word and of the shape of each form.
    characters : Sequences or None
        Ids of the characters of each form, or of its n-grams; None where none are read.
    """

    words: np.ndarray
    shapes: np.ndarray
    characters: Sequences | None


class TokenSequences(Sequences):
    """Sequences of tokens.

    Parameters
    ----------
    values : int32 array (N, 1 + C)
        The form of each token, a row of `forms`, and the ids of its further columns.
    offsets, full_lengths : as in `Sequences`
    forms : Forms
    """

    def __init__(self, values, offsets, full_lengths, forms):
        super().__init__(values, offsets, full_lengths)
        self.forms = forms

    @property
    def arrays(self):
        """All content as flat arrays."""
        words, shapes, characters = self.forms
        return (*super().arrays, words, shapes, *(() if characters is None else characters.arrays))


class TokenReader(TextReader):
    """Reads tokens as forms: each distinct one has a word, characters and a shape.

    Parameters
    ----------
    vocabulary : Vocabulary
        Words that have a vector: those learned from the training data first, then the given ones. Learned words that
        occur once have 0 for every digit.
    options : dict
        Those of `TextReader`, and ``char_encoder``. With ``lowercase`` the words of forms are in lower case; characters
        and shapes always see the forms as they are.
    counts : int32 array (V,)
        How often each word occurs in the training data.
    n_own : int
        Number of words that were learned, the special ones included.
    characters : uint32 array (n,)
        The known characters in rising order.
    shapes : list of str
        The known shapes.
    columns : list of Vocabulary
        The known values of each further column.
    """

    def __init__(self, vocabulary, options, counts, n_own, characters, shapes, columns):
        super().__init__(vocabulary, options)
        self.counts, self.n_own, self.characters, self.shapes = counts, n_own, characters, shapes
        self.columns = columns
        self._shape_ids = {shape: i for i, shape in enumerate(shapes, start=1)}  # 0 is an unknown one

    @property
    def n_characters(self):
        """Number of ids of characters or n-grams."""
        return N_BUCKETS if self.options["char_encoder"] == "ngrams" else _FIRST_CHARACTER + len(self.characters)

    @property
    def n_shapes(self):
        """Number of ids of shapes."""
        return 1 + len(self.shapes)

    @classmethod
    def learn(cls, X, options, min_count, max_vocab, extra_words=()):
        """Learn the words, characters, shapes and columns of training data.

        Parameters
        ----------
        X : iterable of list of (str, or tuple of str)
        options : dict
        min_count, max_vocab
            Limits of the learned words.
        extra_words : iterable of str
            Words with given vectors.

        Returns
        -------
        reader : TokenReader
        sequences : TokenSequences
        """
        tokens, columns, full_lengths = _read(X, options, learning=True)
        if not tokens:
            raise ValueError("X is empty: found 0 sequences while a minimum of 1 is required.")
        names, ids, offsets = _distinct(tokens)
        frequencies = np.bincount(ids, minlength=len(names))
        vocabulary, n_own = _learn_words(names, frequencies, options["lowercase"], min_count, max_vocab, extra_words)
        points = CodePoints.of(names)
        characters = _frequent_values(points.values, np.repeat(frequencies, np.diff(points.offsets)))
        shape, places = np.unique(shapes(points), return_inverse=True)
        known = shape[_frequent_values(places, frequencies)].tolist()
        columns_read = [Vocabulary(_FEWEST).fit(values) for values in columns]
        reader = cls(vocabulary, options, None, n_own, characters, known, columns_read)
        sequences = reader._sequences(names, ids, offsets, full_lengths, columns)
        words = np.repeat(sequences.forms.words, frequencies)
        reader.counts = np.bincount(words, minlength=len(vocabulary)).astype(np.int32)
        return reader, sequences

    def read(self, X):
        """Return sequences of tokens as `TokenSequences`."""
        tokens, columns, full_lengths = _read(X, self.options)
        if any(tokens) and len(columns) != len(self.columns):
            raise ValueError(
                f"X must have tokens with {len(self.columns)} further columns, as in fit, got {len(columns)}."
            )
        return self._sequences(*_distinct(tokens), full_lengths, columns)

    def read_tokens(self, X):
        """Return the tokens of texts, cut as `read` cuts them: a list of list of str."""
        return _read(X, self.options)[0]

    def _sequences(self, names, ids, offsets, full_lengths, columns):
        """Return sequences of forms that are called `names`."""
        values = np.empty((len(ids), 1 + len(self.columns)), np.int32)
        values[:, 0] = ids
        for k, (column, vocabulary) in enumerate(zip(columns, self.columns, strict=False), start=1):
            values[:, k] = vocabulary.encode_corpus(column)[0]
        return TokenSequences(values, offsets, full_lengths, self._forms(names))

    def _forms(self, names):
        """Return what is known about distinct forms."""
        points = CodePoints.of(names)
        words = word_ids(names, self.vocabulary)
        words[0] = self.vocabulary.pad_id
        numbers = map(self._shape_ids.get, shapes(points), itertools.repeat(0))
        return Forms(words, np.fromiter(numbers, np.int32, len(names)), self._characters(points))

    def _characters(self, points):
        """Return the ids of the characters of forms, or of their n-grams."""
        kind = self.options["char_encoder"]
        if kind is None:
            return None
        if kind == "ngrams":
            return add_ngrams(_marked(points.cut(_MOST_CHARACTERS)), _NGRAM_RANGE, 0, N_BUCKETS)
        values, offsets = points.cut(_MOST_CHARACTERS)
        if not len(self.characters):
            return Sequences(np.ones(len(values), np.int32), offsets)
        places = np.minimum(np.searchsorted(self.characters, values), len(self.characters) - 1)
        ids = np.where(self.characters[places] == values, places + _FIRST_CHARACTER, UNK_ID)
        return Sequences(ids.astype(np.int32), offsets)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        content = {"tokens": self.vocabulary.tokens, "n_own": self.n_own, "shapes": self.shapes,
                   "columns": [column.tokens for column in self.columns]}  # fmt: skip
        return content, {"reader.counts": self.counts, "reader.characters": self.characters.astype(np.int64)}

    @classmethod
    def from_learned(cls, content, arrays, options):
        """Return the reader that had this result of `get_learned`."""
        vocabulary, *columns = map(Vocabulary.from_tokens, [content["tokens"], *content["columns"]])
        characters = np.asarray(arrays["reader.characters"]).astype(np.uint32)
        counts = np.asarray(arrays["reader.counts"])
        return cls(vocabulary, options, counts, content["n_own"], characters, content["shapes"], columns)


def split_columns(X):
    """Split tokens that are tuples into tokens and further columns.

    Parameters
    ----------
    X : list of list of (str, or tuple of str)

    Returns
    -------
    tokens : list of list of str
        X itself where its tokens are no tuples.
    columns : list of list of list of str
        The values of each further column, in sentences as the tokens.

    Raises
    ------
    ValueError
        Tokens have different numbers of columns: the message names the sentence.

    Examples
    --------
    >>> split_columns([[("a", "DET"), ("dog", "NOUN")], [("runs", "VERB")]])
    ([['a', 'dog'], ['runs']], [[['DET', 'NOUN'], ['VERB']]])
    """
    first = next((sentence[0] for sentence in X if _has_tokens(sentence)), "")
    if not isinstance(first, tuple | list):
        return X, []
    columns = [[] for _ in first or ("",)]  # an empty one raises an error
    for place, sentence in enumerate(X):
        for token in sentence:
            if not isinstance(token, tuple | list) or len(token) != len(columns):
                raise ValueError(
                    f"X[{place}] must have tokens with {len(columns)} columns, as the first token of X, "
                    f"got {shown(token)}."
                )
        for k, column in enumerate(columns):
            column.append([str(token[k]) if k else token[k] for token in sentence])
    return columns[0], columns[1:]


def _has_tokens(sentence):
    return isinstance(sentence, list | tuple) and len(sentence) > 0


def _read(X, options, learning=False):
    """Return tokens, further columns and lengths before anything was cut."""
    columns = []
    if options["input"] == "tokens":
        is_list = isinstance(X, collections.abc.Iterator | tuple) and not is_file_object(X)
        if is_list or getattr(getattr(X, "dtype", None), "kind", None) == "O":
            X = list(X)
        if isinstance(X, list) and not all(type(sentence) is list for sentence in X):
            X = list(map(rows_of, X))
        X, columns = split_columns(X) if isinstance(X, list) else (X, [])
    tokens, full_lengths = read_cut(X, {**options, "lowercase": False}, learning)
    most = options["max_length"]
    if most is not None:
        part = slice(most) if options["truncation"] == "end" else slice(-most, None)
        columns = [[values[part] for values in column] for column in columns]
    return tokens, columns, full_lengths


def _distinct(tokens):
    """Return the distinct forms, "" for padding first; the form of each token int32 (N,), and offsets int64 (n + 1,).

    An empty token is a form of its own, with a space as its name.
    """
    numbers = collections.defaultdict(itertools.count().__next__, {})
    numbers[""]
    flat = itertools.chain.from_iterable(tokens)
    offsets = offsets_of(np.fromiter(map(len, tokens), np.int64, len(tokens)))
    ids = np.fromiter((numbers[token or " "] for token in flat), np.int32, offsets[-1])
    return list(numbers), ids, offsets


def _learn_words(names, frequencies, lowercase, min_count, max_vocab, extra_words):
    """Return the vocabulary, learned words before given ones, and the number of the former."""
    given = Vocabulary.from_tokens(word for word in dict.fromkeys(extra_words) if word not in SPECIAL_TOKENS)
    is_new = word_ids(names, given) == UNK_ID
    counts = collections.Counter()
    for i in np.flatnonzero(is_new[1:]) + 1:
        counts[names[i].lower() if lowercase else names[i]] += int(frequencies[i])
    for word, count in list(counts.items()):
        if count < max(min_count, _FEWEST) and with_zeros(word) != word:
            del counts[word]
            counts[with_zeros(word)] += count
    for token in SPECIAL_TOKENS:
        counts.pop(token, None)
    vocabulary = Vocabulary(min_count, max_vocab)
    vocabulary.fit_counts([*SPECIAL_TOKENS, *counts], np.array([0] * len(SPECIAL_TOKENS) + list(counts.values())))
    n_own = len(vocabulary)
    more = [word for word in given.tokens if word not in vocabulary]
    return (Vocabulary.from_tokens(vocabulary.tokens + more) if more else vocabulary), n_own


def _frequent_values(values, counts):
    """Return in rising order the values of an array whose sums of `counts` are large enough."""
    distinct, places = np.unique(values, return_inverse=True)
    return distinct[np.bincount(places, counts, len(distinct)) >= _FEWEST]


def _marked(points):
    """Return characters as ids for n-grams, with a mark at the beginning and the end of each form."""
    lengths = np.diff(points.offsets)
    offsets = points.offsets + 2 * np.arange(len(points.offsets))
    ids = np.zeros(offsets[-1], np.int32)
    ids[offsets[:-1]] = UNK_ID + 1
    ids[offsets[1:] - 1] = UNK_ID + 2
    places = np.arange(len(points.values)) + np.repeat(2 * np.arange(len(lengths)) + 1, lengths)
    ids[places] = points.values.astype(np.int32) + UNK_ID + 3
    return Sequences(ids, offsets)
