"""The two sides of pairs, sources and targets, as ids of a vocabulary; targets are written as they were given."""

import collections.abc
import numbers

import numpy as np

from fastrnn.estimators.sequences import Sequences
from fastrnn.text.normalization import check_preprocessing
from fastrnn.text.reading import is_file_object, iterate_texts
from fastrnn.text.subwords import tokenizer_from_plain, tokenizer_to_plain, train_subwords
from fastrnn.text.tokenization import tokenize_texts
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.text.tokens import SPECIAL_TOKENS, UNK_ID, close_sentences
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.checks import check_choice, check_positive_integer, is_missing, shown

READING = ("tokenizer", "vocab_size", "lowercase", "normalize", "encoding", "min_count", "max_vocab", "max_length",
           "truncation")  # fmt: skip


def side_options(estimator, place):
    """Return the options of reading of one side of the pairs.

    Parameters
    ----------
    estimator : estimator
        Has the parameters named in `READING`; each may be a pair (source, target).
    place : {0, 1}
        0 for sources, 1 for targets.

    Returns
    -------
    dict
    """
    options = {name: getattr(estimator, name) for name in READING}
    return {name: value[place] if isinstance(value, tuple | list) else value for name, value in options.items()}


def check_reading(estimator):
    """Raise ValueError if a parameter of `READING` is wrong."""
    for name in READING:
        value = getattr(estimator, name)
        if isinstance(value, tuple | list) and len(value) != 2:
            raise ValueError(f"{name} must be one value, or a pair (source, target), got {shown(value)}.")
    for place in (0, 1):
        options = side_options(estimator, place)
        if options["tokenizer"] is not None and options["tokenizer"] != "subwords":
            get_tokenizer(options["tokenizer"])
        check_choice("lowercase", options["lowercase"], (False, True))
        check_choice("truncation", options["truncation"], ("start", "end"))
        check_preprocessing(options["normalize"], options["encoding"])
        check_positive_integer("vocab_size", options["vocab_size"])
        Vocabulary(options["min_count"], options["max_vocab"])  # raises
        if options["max_length"] is not None:
            check_positive_integer("max_length", options["max_length"])


def read_once(X, encoding):
    """Return X, a list in place of an iterator or an open file; `encoding` is that of files."""
    if is_file_object(X):
        return list(iterate_texts(X, encoding))
    return list(X) if isinstance(X, collections.abc.Iterator) else X


def read_texts(X, encoding, name):
    """Return texts or lists of tokens as a list, and their kind.

    Parameters
    ----------
    X : iterable of (str, list of str or list of int), os.PathLike or file object
        A path or a file has a text in each line.
    encoding : str
        The encoding of files.
    name : str
        Of the argument, for messages.

    Returns
    -------
    texts : list of str or list of list of str
        Whole numbers become strings.
    kind : {"strings", "tokens", "numbers"}

    Raises
    ------
    ValueError
        X is not a collection of texts, or mixes texts and lists of tokens.
    """
    texts = list(iterate_texts(X, encoding, name=name))
    kinds = {isinstance(text, str) for text in texts}
    if len(kinds) == 2:
        place = next(i for i, text in enumerate(texts) if isinstance(text, str) is not isinstance(texts[0], str))
        advice = ": leave missing texts out, or give '' for them" if is_missing(texts[place]) else ""
        first = "a string" if isinstance(texts[0], str) else "a list of tokens"
        raise ValueError(f"{name}[{place}] must be {first}, as {name}[0] is, got {shown(texts[place])}{advice}.")
    if kinds != {False}:
        return texts, "strings"
    first = next((text[0] for text in texts if isinstance(text, list | tuple | np.ndarray) and len(text)), "")
    if not isinstance(first, numbers.Integral) or isinstance(first, bool):
        return texts, "tokens"
    return [_number_strings(text, f"{name}[{i}]") for i, text in enumerate(texts)], "numbers"


def _number_strings(values, name):
    """Return a list of whole numbers as strings."""
    is_list = isinstance(values, list | tuple | np.ndarray)
    if not (is_list and all(isinstance(value, numbers.Integral) for value in values)):
        raise ValueError(f"{name} must be a list of whole numbers, as those before, got {shown(values)}.")
    return [str(int(value)) for value in values]


class TextSide:
    """One side of the pairs: a vocabulary, and how texts become its ids.

    Parameters
    ----------
    vocabulary : Vocabulary or None
        None until `learn` sets it.
    options : dict
        As from `side_options`; the tokenizer is one that `fastrnn.text.get_tokenizer` takes, or None for tokens.
    kind : {"strings", "tokens", "numbers"}
        Of the texts that it learned from.
    """

    def __init__(self, vocabulary, options, kind):
        self.vocabulary, self.options, self.kind = vocabulary, options, kind

    @property
    def n_ids(self):
        """Size of the vocabulary."""
        return len(self.vocabulary)

    def tokenize(self, texts, name, learning=False):
        """Return the tokens of texts or lists of tokens, a list of list of str; `name` is that of the argument."""
        tokenizer = self.options["tokenizer"]
        if tokenizer is None:
            place = next((i for i, text in enumerate(texts) if isinstance(text, str)), None)
            if place is not None:
                raise ValueError(
                    f"{name}[{place}] must be a list of tokens with tokenizer=None, got {shown(texts[place])}."
                )
            tokenizer = "whitespace"  # is not used
        names = ("lowercase", "normalize")
        options = {key: self.options[key] for key in names}
        return list(tokenize_texts(texts, tokenizer, **options, learning=learning, name=name))

    def encode(self, tokens, name):
        """Return the ids of lists of tokens, and offsets, see `Vocabulary.encode_corpus`."""
        return self.vocabulary.encode_corpus(tokens, name=name)

    def learn(self, tokens, name):
        """Learn the vocabulary of lists of tokens; return their ids and offsets."""
        self.vocabulary = Vocabulary(self.options["min_count"], self.options["max_vocab"])
        return self.vocabulary.fit_encode_corpus(tokens, name)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return {
            "tokens": self.vocabulary.tokens,
            "tokenizer": tokenizer_to_plain(self.options["tokenizer"]) if self.options.get("learned") else None,
            "kind": self.kind,
        }, {}

    @classmethod
    def from_learned(cls, content, options):
        """Return the side that had this result of `get_learned`; `options` are those of `side_options`."""
        if content["tokenizer"] is not None:
            options = {**options, "tokenizer": tokenizer_from_plain(content["tokenizer"]), "learned": True}
        return cls(Vocabulary.from_tokens(content["tokens"]), options, content["kind"])


class SourceReader:
    """Reads sources as sequences of ids.

    Parameters
    ----------
    side : TextSide
    """

    def __init__(self, side):
        self.side = side

    @property
    def options(self):
        """The options of reading."""
        return self.side.options

    def read(self, X):
        """Return texts or lists of tokens as `Sequences`, cut to `max_length`."""
        return self.sequences(*self.side.encode(self.read_tokens(X), "X"))

    def read_tokens(self, X):
        """Return the tokens of texts or lists of tokens, not cut."""
        texts, _ = read_texts(X, self.options["encoding"], "X")
        return self.side.tokenize(texts, "X")

    def read_cut(self, X):
        """Return the tokens of texts or lists of tokens, cut to `max_length`."""
        most, cuts_end = self.options["max_length"], self.options["truncation"] == "end"
        tokens = self.read_tokens(X)
        return tokens if most is None else [part[:most] if cuts_end else part[-most:] for part in tokens]

    def sequences(self, ids, offsets):
        """Return ids as `Sequences`, cut to `max_length`."""
        keep = "start" if self.options["truncation"] == "end" else "end"
        return Sequences(ids, offsets).truncated(self.options["max_length"], keep)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return self.side.get_learned()

    @classmethod
    def from_learned(cls, content, options):
        """Return the reader that had this result of `get_learned`."""
        return cls(TextSide.from_learned(content, options))


class TextTarget:
    """Target sequences: texts, or lists of tokens.

    Parameters
    ----------
    side : TextSide
    longest : int
        Tokens of the longest target of the training, the end included.
    """

    def __init__(self, side, longest):
        self.side, self.longest = side, longest

    @property
    def vocabulary(self):
        """The vocabulary."""
        return self.side.vocabulary

    @property
    def options(self):
        """The options of reading."""
        return self.side.options

    @property
    def n_outputs(self):
        """Size of the vocabulary."""
        return len(self.vocabulary)

    def encode(self, y, name="y"):
        """Return targets as `Sequences` of ids, each closed by ``</s>``; `name` is that of the argument."""
        texts, _ = read_texts(y, self.options["encoding"], name)
        return Sequences(*close_sentences(*self.side.encode(self.side.tokenize(texts, name), name)))

    def cut(self, sequences):
        """Return sequences of at most `max_length` tokens, for training; those that are cut have no end."""
        return sequences.truncated(self.options["max_length"], "start")

    def decode(self, tokens):
        """Return lists of tokens as the targets of the training were given: as strings or as lists."""
        if self.side.kind == "strings":
            return list(map(get_tokenizer(self.options["tokenizer"]).join, tokens))
        if self.side.kind == "numbers":
            return [[int(token) for token in part if token != SPECIAL_TOKENS[UNK_ID]] for part in tokens]
        return tokens

    def strata(self, encoded):
        """Return zeros: all pairs are one group."""
        return np.zeros(len(encoded), np.int64)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        content, arrays = self.side.get_learned()
        return {**content, "longest": self.longest}, arrays

    @classmethod
    def from_learned(cls, content, options):
        """Return the target that had this result of `get_learned`."""
        return cls(TextSide.from_learned(content, options), content["longest"])


def learn_target(y, options):
    """Learn the vocabulary of targets.

    Parameters
    ----------
    y : iterable of (str, list of str or list of int)
    options : dict
        See `side_options`.

    Returns
    -------
    target : TextTarget
    targets : Sequences
        As ``target.encode(y)``.
    """
    texts, kind = read_texts(y, options["encoding"], "y")
    side = TextSide(None, _with_tokenizer(options, texts, kind, "y"), kind)
    return _target(side, *side.learn(side.tokenize(texts, "y", learning=True), "y"))


def learn_sides(X, y, options, share):
    """Learn the vocabularies of pairs.

    Parameters
    ----------
    X, y : iterable of (str, list of str or list of int)
    options : pair of dict
        Of both sides, see `side_options`.
    share : bool
        Whether both sides have one vocabulary, of the texts of both.

    Returns
    -------
    reader : SourceReader
    sources : Sequences
        As ``reader.read(X)``.
    target : TextTarget
    targets : Sequences
        As ``target.encode(y)``.
    """
    names = ("X", "y")
    data = [read_texts(texts, options[k]["encoding"], names[k]) for k, texts in enumerate((X, y))]
    if share and options[0] == options[1] and data[0][1] == data[1][1]:
        options = [_with_tokenizer(options[0], data[0][0] + data[1][0], data[0][1], "X")] * 2
    else:
        options = [_with_tokenizer(options[k], *data[k], names[k]) for k in (0, 1)]
    sides = [TextSide(None, options[k], data[k][1]) for k in (0, 1)]
    tokens = [side.tokenize(data[k][0], names[k], learning=True) for k, side in enumerate(sides)]
    encoded = [side.learn(tokens[k], names[k]) for k, side in enumerate(sides)]
    if share:
        sides[0].learn(tokens[0] + tokens[1], "X")
        sides[1].vocabulary = sides[0].vocabulary
        encoded = [side.encode(tokens[k], names[k]) for k, side in enumerate(sides)]
    reader = SourceReader(sides[0])
    return reader, reader.sequences(*encoded[0]), *_target(sides[1], *encoded[1])


def _target(side, ids, offsets):
    """Return the target of a side whose vocabulary is learned, and the closed targets."""
    if len(offsets) > 1 and len(side.vocabulary) == len(SPECIAL_TOKENS):
        least = side.options["min_count"]
        raise ValueError(f"y has no token that appears min_count={least} times: there is nothing to learn.")
    targets = Sequences(*close_sentences(ids, offsets))
    return TextTarget(side, int(targets.lengths.max(initial=1))), targets


def _with_tokenizer(options, texts, kind, name):
    """Return the options with a tokenizer in place of the word "subwords", which is learned from texts."""
    if options["tokenizer"] != "subwords":
        return options
    if kind != "strings":
        raise ValueError(f"{name} must be texts with tokenizer='subwords', got lists of tokens.")
    names = ("vocab_size", "lowercase", "normalize")
    return {**options, "tokenizer": train_subwords(texts, **{name: options[name] for name in names}), "learned": True}
