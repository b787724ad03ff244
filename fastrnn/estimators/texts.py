"""Texts become sequences of token ids."""

import collections.abc
import numbers

import numpy as np
import scipy.sparse

from fastrnn.estimators.sequences import Sequences, add_ngrams
from fastrnn.text.reading import check_texts, is_file_object, iterate_texts
from fastrnn.text.tokenization import tokenize_texts
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.arrays import to_array
from fastrnn.utils.checks import is_frame, is_missing, shown

_ELEMENTS = {"text": "strings", "tokens": "lists of tokens"}


class TextReader:
    """Reads texts as ids of a vocabulary, which is learned from the training texts only.

    Parameters
    ----------
    vocabulary : Vocabulary
    options : dict
        ``input``, ``tokenizer``, ``lowercase``, ``normalize``, ``encoding``, ``max_length`` and ``truncation`` of the
        estimator.
    """

    n_features = None  # steps are ids, not vectors

    def __init__(self, vocabulary, options):
        self.vocabulary, self.options = vocabulary, options

    @property
    def n_ids(self):
        """Number of ids that `features` may contain."""
        return len(self.vocabulary)

    @classmethod
    def learn(cls, X, options, min_count, max_vocab, extra_words=()):
        """Learn the words of training texts.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike or file object
        options : dict
        min_count, max_vocab
            Limits of the vocabulary.
        extra_words : iterable of str
            Further known words, besides those of X.

        Returns
        -------
        reader : TextReader
        sequences : Sequences
            The ids of X.
        """
        tokens, full_lengths = read_cut(X, options, learning=True)
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
        """Return texts as sequences of ids."""
        tokens, full_lengths = read_cut(X, self.options)
        return Sequences(*self.vocabulary.encode_corpus(tokens), full_lengths)

    def read_tokens(self, X):
        """Return the tokens of texts, cut as `read` cuts them: a list of list of str."""
        return read_cut(X, self.options)[0]

    def features(self, sequences):
        """Return the sequences that the network reads: the ids themselves."""
        return sequences

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return {"tokens": self.vocabulary.tokens}, {}

    @classmethod
    def from_learned(cls, content, arrays, options):
        """Return the reader that had this result of `get_learned`."""
        return cls(Vocabulary.from_tokens(content["tokens"]), options)


class BagReader(TextReader):
    """Reads texts as bags of words and n-grams.

    Parameters
    ----------
    vocabulary : Vocabulary
    options : dict
        Those of `TextReader`, and ``ngram_range`` and ``n_buckets``.
    """

    @property
    def n_ids(self):
        """Number of ids of words and n-grams."""
        return len(self.vocabulary) + (self.options["n_buckets"] if self.options["ngram_range"][1] > 1 else 0)

    def features(self, sequences):
        """Return the ids of the known words and of the n-grams of each text."""
        return add_ngrams(sequences, self.options["ngram_range"], len(self.vocabulary), self.options["n_buckets"])


def read_tokens(X, options, learning=False):
    """Return the tokens of each text; integer ids become strings.

    Parameters
    ----------
    X : iterable of (str, list of str or os.PathLike), os.PathLike or file object
    options : dict
        ``input``, ``tokenizer``, ``lowercase``, ``normalize`` and ``encoding``.
    learning : bool
        Whether a vocabulary is learned from X, see `fastrnn.text.iterate_corpus`.

    Returns
    -------
    list of list of str

    Raises
    ------
    ValueError
        X does not match `input`: the message names the first wrong element.
    """
    input = options["input"]
    if is_frame(X):
        check_texts(X)  # raises for it
    if scipy.sparse.issparse(X) or getattr(X, "ndim", 1) not in ((1,) if input == "text" else (1, 2)):
        raise ValueError(
            f"X must be a list of {_ELEMENTS[input]} with input={input!r}, got shape {X.shape}{_other_input(X, input)}."
        )
    if np.ma.is_masked(X):
        raise ValueError(f"X must not be a masked array with masked values: give a list of {_ELEMENTS[input]}.")
    is_iterator = isinstance(X, collections.abc.Iterator) and not is_file_object(X)
    if is_iterator or getattr(X, "ndim", 1) == 2:  # the latter are rows of ids
        X = list(X)  # so that names of files are recognised
    X = list(iterate_texts(X, options["encoding"], whole_files=True))
    (_check_strings if input == "text" else _check_token_lists)(X)
    if input == "tokens":
        X = [_with_strings(element, place) for place, element in enumerate(X)]
    names = ("tokenizer", "lowercase", "normalize")
    return list(tokenize_texts(X, **{name: options[name] for name in names}, learning=learning))


def _check_strings(X):
    for place, element in enumerate(X):
        if not isinstance(element, str):
            raise ValueError(
                f"X[{place}] must be a string with input='text', got {shown(element)}{_other_input(element, 'text')}."
            )


def _check_token_lists(X):
    for place, element in enumerate(X):
        if isinstance(element, str):
            raise ValueError(f"X[{place}] must be a list of tokens with input='tokens', got {shown(element)}.")


def _kind(element):
    """Return NumPy's kind of the elements of an array or list; None for anything else."""
    if isinstance(element, list | tuple) or hasattr(element, "shape"):
        try:
            element = np.asarray(element)
        except (TypeError, ValueError):
            return None
        return element.dtype.kind if element.size and element.ndim else None
    return None


def _other_input(element, input):
    """Return the end of a message: it proposes the `input` that fits better, or another remedy."""
    kind = _kind(element)
    if input == "text" and kind in ("U", "O", "T") and getattr(element, "shape", ())[1:] == (1,):
        return ": give its one column, X[:, 0]"
    if kind in ("b", "i", "u", "f"):
        return ": set input='series', which RNNClassifier, RNNRegressor and RNNTagger have, for arrays of numbers"
    if kind == "U" and input == "text":
        return ": set input='tokens' for lists of tokens"
    if is_missing(element):
        return ": leave missing texts out, or give '' for them"
    return ": decode it first" if isinstance(element, bytes) else ""


def read_cut(X, options, learning=False):
    """Return the tokens of each text, cut to `max_length`, and their numbers before, int64 (n,)."""
    tokens = read_tokens(X, options, learning)
    full_lengths = np.array([len(part) for part in tokens], np.int64)
    most = options["max_length"]
    if most is not None:
        tokens = [part[:most] if options["truncation"] == "end" else part[-most:] for part in tokens]
    return tokens, full_lengths


def _with_strings(tokens, place):
    """Return a list of tokens in which integer ids are strings."""
    tokens = to_array(tokens) if hasattr(tokens, "detach") else tokens
    try:
        first = tokens[0] if len(tokens) else ""
    except (TypeError, KeyError, IndexError):
        return tokens  # refused by the check of `tokenize_texts`
    if isinstance(first, float | np.floating):
        raise ValueError(
            f"X[{place}] must be a list of tokens, strings or whole numbers, with input='tokens', "
            f"got {shown(tokens)}{_other_input(tokens, 'tokens')}."
        )
    return [str(token) for token in tokens] if isinstance(first, numbers.Integral) else tokens
