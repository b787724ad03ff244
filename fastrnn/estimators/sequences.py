"""Sequences as the estimators read them: as arrays, all one after another, texts as ids."""

import numbers

import numpy as np

from fastrnn.persistence import plain_parameter
from fastrnn.text.batching import sentence_groups
from fastrnn.text.reading import check_texts, iterate_texts
from fastrnn.text.tokenization import tokenize_texts
from fastrnn.text.tokens import NGRAM_MULTIPLIER, UNK_ID
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.arrays import to_array
from fastrnn.utils.checks import is_frame, is_missing, shown

_MOST_STEPS = 1 << 15  # padded steps of a batch: what a batch of long sequences takes of memory is bounded


class Sequences:
    """Sequences of their own lengths, one after another in one array.

    Parameters
    ----------
    values : ndarray (N,) of int32, or (N, D) of float32
        Ids of tokens, or the steps of series.
    offsets : ndarray (n + 1,) of int64
        Sequence i is ``values[offsets[i]:offsets[i + 1]]``.
    full_lengths : ndarray (n,) of int64 or None, default=None
        Their steps before they were cut, if they were.
    """

    def __init__(self, values, offsets, full_lengths=None):
        self.values, self.offsets = values, offsets
        self.full_lengths = np.diff(offsets) if full_lengths is None else full_lengths

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def lengths(self):
        """Steps of each sequence."""
        return np.diff(self.offsets)

    def padded(self, rows):
        """Return the sequences `rows` side by side, (T, B) or (T, B, D) with T of at least 1, and their lengths."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        place = np.arange(max(lengths.max(initial=0), 1))[:, None]
        if not len(self.values):
            return np.zeros((*np.broadcast_shapes(place.shape, lengths.shape), *self.values.shape[1:]),
                            self.values.dtype), lengths  # fmt: skip
        padded = self.values[np.minimum(self.offsets[rows] + place, len(self.values) - 1)]
        padded[place >= lengths] = 0
        return padded, lengths

    def flat(self, rows):
        """Return the sequences `rows` one after another, and their offsets."""
        return self._runs(self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows])

    def _runs(self, first, lengths):
        """Return `lengths` steps each from the places `first` on, one run after another, and their offsets."""
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return self.values[np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths)], offsets

    def groups(self, rows, batch_size, random_state=None):
        """Group the sequences `rows` into batches of similar lengths, in an order that is drawn if one is to be."""
        lengths = self.lengths[rows]
        groups = []
        for group in sentence_groups(np.concatenate([[0], np.cumsum(lengths)]), batch_size, random_state):
            most = max(1, _MOST_STEPS // max(lengths[group].max(initial=0), 1))
            groups += [rows[group[i : i + most]] for i in range(0, len(group), most)]
        return groups

    def truncated(self, max_length, keep):
        """Return at most `max_length` steps of each sequence, its "start" or its "end"."""
        lengths = self.lengths
        if max_length is None or lengths.max(initial=0) <= max_length:
            return self
        kept = np.minimum(lengths, max_length)
        runs = self._runs(self.offsets[:-1] if keep == "start" else self.offsets[1:] - kept, kept)
        return Sequences(*runs, lengths)


class TextReader:
    """From texts to ids; a vocabulary is learned from the training texts only.

    Parameters
    ----------
    vocabulary : Vocabulary
    options : dict
        ``input``, ``tokenizer``, ``lowercase``, ``normalize``, ``encoding``, ``max_length`` and ``truncation`` of the
        estimator.
    """

    n_features = None

    def __init__(self, vocabulary, options):
        self.vocabulary, self.options = vocabulary, options

    @classmethod
    def learn(cls, X, options, min_count, max_vocab, extra_words=()):
        """Return a reader that knows the words of X, and `extra_words`, and the sequences of X."""
        tokens, full_lengths = _read_cut(X, options, learning=True)
        if not tokens:
            raise ValueError("X is empty: found 0 texts while a minimum of 1 is required.")
        vocabulary = Vocabulary(min_count, max_vocab)
        encoded = vocabulary.fit_encode_corpus(tokens)
        more = [word for word in extra_words if word not in vocabulary]
        if more:
            vocabulary = Vocabulary.from_tokens(vocabulary.tokens + more)
            encoded = vocabulary.encode_corpus(tokens)
        return cls(vocabulary, options), Sequences(*encoded, full_lengths)

    def read(self, X):
        """Return the sequences of ids of texts."""
        return self._encode(*_read_cut(X, self.options))

    def _encode(self, tokens, full_lengths):
        return Sequences(*self.vocabulary.encode_corpus(tokens), full_lengths)

    def get_learned(self):
        """Return what a file keeps: plain values and arrays."""
        return {"tokens": self.vocabulary.tokens}, {}

    @classmethod
    def from_learned(cls, content, arrays, options):
        """Return the reader whose `get_learned` was this."""
        return cls(Vocabulary.from_tokens(content["tokens"]), options)


_ELEMENTS = {"text": "strings", "tokens": "lists of tokens"}


def read_tokens(X, input, tokenizer, lowercase, normalize, encoding, max_length, truncation, learning=False):
    """Return the tokens of each text, cut to `max_length`; ids are taken as strings.

    Raises
    ------
    ValueError
        X is not what `input` says: the message names the first element that is not.
    """
    if is_frame(X):
        check_texts(X)  # which refuses it
    if getattr(X, "ndim", 1) not in ((1,) if input == "text" else (1, 2)):
        raise ValueError(
            f"X must be a list of {_ELEMENTS[input]} with input={input!r}, got shape {X.shape}{_other_input(X, input)}."
        )
    if np.ma.is_masked(X):
        raise ValueError(f"X must not be a masked array with masked values: give a list of {_ELEMENTS[input]}.")
    X = list(X) if getattr(X, "ndim", 1) == 2 else X  # ids
    X = list(iterate_texts(X, encoding, whole_files=True))
    is_text = [isinstance(element, str) for element in X]
    if input == "text" and not all(is_text):
        place = is_text.index(False)
        raise ValueError(
            f"X[{place}] must be a string with input='text', got {shown(X[place])}{_other_input(X[place], input)}."
        )
    if input == "tokens":
        if any(is_text):
            place = is_text.index(True)
            raise ValueError(f"X[{place}] must be a list of tokens with input='tokens', got {shown(X[place])}.")
        X = [_with_strings(element, place) for place, element in enumerate(X)]
    tokens = list(tokenize_texts(X, tokenizer, lowercase, normalize, learning))
    return _cut(tokens, max_length, truncation)


def _kind(element):
    """Return the kind of type, as NumPy calls it, of an array or list of strings or numbers; None of anything else."""
    if isinstance(element, list | tuple) or hasattr(element, "shape"):
        try:
            element = np.asarray(element)
        except (TypeError, ValueError):
            return None
        return element.dtype.kind if element.size and element.ndim else None
    return None


def _other_input(element, input):
    """Return the end of a message that proposes the `input` that fits better."""
    kind = _kind(element)
    if input == "text" and kind in ("U", "O", "T") and getattr(element, "shape", ())[1:] == (1,):
        return ": give its one column, X[:, 0]"
    if kind in ("b", "i", "u", "f"):
        return ": set input='series', which RNNClassifier and RNNRegressor have, for arrays of numbers"
    if kind == "U" and input == "text":
        return ": set input='tokens' for lists of tokens"
    if is_missing(element):
        return ": leave missing texts out, or give '' for them"
    return ": decode it first" if isinstance(element, bytes) else ""


def _cut(tokens, max_length, truncation):
    if max_length is None:
        return tokens
    return [part[:max_length] if truncation == "end" else part[-max_length:] for part in tokens]


def _read_cut(X, options, learning=False):
    """Return the tokens of each text, cut to `max_length`, and how many they were before."""
    tokens = read_tokens(X, **{**options, "max_length": None}, learning=learning)
    lengths = np.array([len(part) for part in tokens], np.int64)
    return _cut(tokens, options["max_length"], options["truncation"]), lengths


def _with_strings(tokens, place):
    """Return a list of tokens whose ids, if they are integers, are written as strings."""
    tokens = to_array(tokens) if hasattr(tokens, "detach") else tokens
    try:
        first = tokens[0] if len(tokens) else ""
    except (TypeError, KeyError, IndexError):
        return tokens  # refused by the tokenizer's check
    if isinstance(first, float | np.floating):
        raise ValueError(
            f"X[{place}] must be a list of tokens, strings or whole numbers, with input='tokens', "
            f"got {shown(tokens)}{_other_input(tokens, 'tokens')}."
        )
    return [str(token) for token in tokens] if isinstance(first, numbers.Integral) else tokens


def add_ngrams(sequences, ngram_range, n_words, n_buckets):
    """Return the known words of each text and, behind them, the ids of its n-grams.

    Parameters
    ----------
    sequences : Sequences
        Ids of words; unknown ones are left out, and so are n-grams with them.
    ngram_range : (int, int)
        Fewest and most words of an n-gram.
    n_words : int
        Size of the vocabulary, the first id of an n-gram.
    n_buckets : int
        N-grams that fall into the same bucket share an id (Weinberger et al. 2009; Joulin et al. 2017).

    Returns
    -------
    Sequences
    """
    ids, text = sequences.values, np.repeat(np.arange(len(sequences)), sequences.lengths)
    known = ids != UNK_ID
    parts, owners = ([ids[known]], [text[known]]) if ngram_range[0] == 1 else ([], [])
    hashes, complete = ids.astype(np.uint64), known
    for n in range(2, ngram_range[1] + 1):
        last = slice(n - 1, None)
        hashes = (hashes[:-1] * NGRAM_MULTIPLIER) ^ ids[last].astype(np.uint64)
        complete = complete[:-1] & known[last]
        if n >= ngram_range[0]:
            chosen = np.flatnonzero(complete & (text[last] == text[: len(complete)]))
            mixed = (hashes[chosen] * NGRAM_MULTIPLIER) >> np.uint64(32)
            parts.append((n_words + mixed % np.uint64(n_buckets)).astype(np.int32))
            owners.append(text[last][chosen])
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=len(sequences))
    return Sequences(np.concatenate(parts)[order], np.concatenate([[0], np.cumsum(counts)]))


def stored_classes(classes):
    """Return labels as a file keeps them, and back with `restored_classes`."""
    values = classes.astype(str) if classes.dtype.kind == "M" else classes
    return {"dtype": classes.dtype.str, "values": plain_parameter("classes_", values)}


def restored_classes(stored):
    """Return the labels that `stored_classes` made plain."""
    return np.array(stored["values"], dtype=np.dtype(stored["dtype"]))
