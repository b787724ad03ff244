"""The two sides of pairs, sources and targets, as ids of a vocabulary; targets are written as they were given."""

import collections.abc

import numpy as np

from fastrnn.estimators.sequences import Sequences
from fastrnn.text.reading import is_file_object, iterate_texts
from fastrnn.text.subwords import tokenizer_from_plain, tokenizer_to_plain, train_subwords
from fastrnn.text.tokenization import tokenize_texts
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.text.tokens import SPECIAL_TOKENS, close_sentences
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.checks import is_missing, shown

READING = ("tokenizer", "lowercase", "normalize", "encoding", "max_length", "truncation")


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
    return {name: of_side(getattr(estimator, name), place) for name in READING}


def of_side(value, place):
    """Return the value of a parameter for one side; it may be a pair (source, target).

    Examples
    --------
    >>> of_side("words", 1), of_side(("words", "chars"), 1)
    ('words', 'chars')
    """
    return value[place] if isinstance(value, tuple | list) else value


def read_once(X):
    """Return X, a list in place of an iterator."""
    return list(X) if isinstance(X, collections.abc.Iterator) and not is_file_object(X) else X


def read_texts(X, encoding, name):
    """Return texts or lists of tokens as a list, and whether they are texts.

    Parameters
    ----------
    X : iterable of (str or list of str), os.PathLike or file object
        A path or a file has a text in each line.
    encoding : str
        The encoding of files.
    name : str
        Of the argument, for messages.

    Returns
    -------
    texts : list
    are_strings : bool
        True for an empty collection.

    Raises
    ------
    ValueError
        X is not a collection of texts, or mixes texts and lists of tokens.
    """
    texts = list(iterate_texts(read_once(X), encoding, name=name))
    kinds = {isinstance(text, str) for text in texts}
    if len(kinds) == 2:
        place = next(i for i, text in enumerate(texts) if isinstance(text, str) is not isinstance(texts[0], str))
        advice = ": leave missing texts out, or give '' for them" if is_missing(texts[place]) else ""
        first = "a string" if isinstance(texts[0], str) else "a list of tokens"
        raise ValueError(f"{name}[{place}] must be {first}, as {name}[0] is, got {shown(texts[place])}{advice}.")
    return texts, kinds != {False}


class TextSide:
    """One side of the pairs: a vocabulary, and how texts become its ids.

    Parameters
    ----------
    vocabulary : Vocabulary
    options : dict
        As from `side_options`; the tokenizer is one that `fastrnn.text.get_tokenizer` takes, or None for tokens.
    are_strings : bool
        Whether it learned from strings rather than lists of tokens.
    """

    def __init__(self, vocabulary, options, are_strings):
        self.vocabulary, self.options, self.are_strings = vocabulary, options, are_strings

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

    def learn(self, tokens, limits):
        """Learn the vocabulary of lists of tokens; `limits` are its `min_count` and `max_size`."""
        self.vocabulary = Vocabulary(*limits).fit(tokens)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return {
            "tokens": self.vocabulary.tokens,
            "tokenizer": tokenizer_to_plain(self.options["tokenizer"]) if self.has_learned_tokenizer else None,
            "strings": self.are_strings,
        }, {}

    @property
    def has_learned_tokenizer(self):
        """Whether the tokenizer was learned, and is not a parameter of the estimator."""
        return self.options.get("learned", False)

    @classmethod
    def from_learned(cls, content, options):
        """Return the side that had this result of `get_learned`; `options` are those of `side_options`."""
        if content["tokenizer"] is not None:
            options = {**options, "tokenizer": tokenizer_from_plain(content["tokenizer"]), "learned": True}
        return cls(Vocabulary.from_tokens(content["tokens"]), options, content["strings"])


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
        return self.sequences(self.read_tokens(X))

    def read_tokens(self, X):
        """Return the tokens of texts or lists of tokens, not cut."""
        texts, _ = read_texts(X, self.options["encoding"], "X")
        return self.side.tokenize(texts, "X")

    def read_cut(self, X):
        """Return the tokens of texts or lists of tokens, cut to `max_length`."""
        most, cuts_end = self.options["max_length"], self.options["truncation"] == "end"
        tokens = self.read_tokens(X)
        return tokens if most is None else [part[:most] if cuts_end else part[-most:] for part in tokens]

    def sequences(self, tokens):
        """Return lists of tokens as `Sequences`."""
        keep = "start" if self.options["truncation"] == "end" else "end"
        return Sequences(*self.side.encode(tokens, "X")).truncated(self.options["max_length"], keep)

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

    kind = "text"

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
        return self.sequences(self.side.tokenize(texts, name), name)

    def sequences(self, tokens, name="y"):
        """Return lists of tokens as closed `Sequences`."""
        return Sequences(*close_sentences(*self.side.encode(tokens, name)))

    def cut(self, sequences):
        """Return sequences of at most `max_length` tokens, for training; those that are cut have no end."""
        return sequences.truncated(self.options["max_length"], "start")

    def decode(self, tokens):
        """Return lists of tokens as the targets of the training were given: as strings or as lists."""
        if not self.side.are_strings:
            return tokens
        return list(map(get_tokenizer(self.options["tokenizer"]).join, tokens))

    def strata(self, encoded):
        """Return zeros: all pairs are one group."""
        return np.zeros(len(encoded), np.int64)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        content, arrays = self.side.get_learned()
        return {**content, "kind": self.kind, "longest": self.longest}, arrays

    @classmethod
    def from_learned(cls, content, options):
        """Return the target that had this result of `get_learned`."""
        return cls(TextSide.from_learned(content, options), content["longest"])


def learn_target(y, options, limits):
    """Return the `TextTarget` that learns its vocabulary from targets.

    Parameters
    ----------
    y : iterable of (str or list of str)
    options : dict
        See `side_options`.
    limits : tuple
        `min_count` and `max_size` of the vocabulary.
    """
    texts, are_strings = read_texts(y, options["encoding"], "y")
    side, tokens = _new_side(texts, are_strings, with_tokenizer(options, texts if are_strings else []), "y")
    side.learn(tokens, limits)
    return _target(side, tokens, limits)


def learn_sides(X, y, options, limits, share):
    """Return the reader of sources and the target that learn their vocabularies from pairs.

    Parameters
    ----------
    X, y : iterable of (str or list of str)
    options, limits : pairs of dict, pairs of tuple
        Of both sides, see `learn_target`.
    share : bool
        Whether both sides have one vocabulary, of the texts of both.

    Returns
    -------
    reader : SourceReader
    target : TextTarget
    """
    data = [read_texts(texts, options[k]["encoding"], name) for k, (texts, name) in enumerate(((X, "X"), (y, "y")))]
    strings = [texts if are_strings else [] for texts, are_strings in data]
    if share and options[0] == options[1]:
        options = (with_tokenizer(options[0], strings[0] + strings[1]),) * 2
    else:
        options = tuple(map(with_tokenizer, options, strings))
    (reader, sources), (side, targets) = (_new_side(*data[k], options[k], name) for k, name in enumerate(("X", "y")))
    reader.learn(sources + targets if share else sources, limits[0])
    if share:
        side.vocabulary = reader.vocabulary
    else:
        side.learn(targets, limits[1])
    return SourceReader(reader), _target(side, targets, limits[1])


def _new_side(texts, are_strings, options, name):
    """Return a side without a vocabulary, and the tokens of its texts."""
    side = TextSide(Vocabulary(), options, are_strings)
    tokens = side.tokenize(texts, name, learning=True)
    side.encode(tokens, name)  # raises for reserved tokens
    return side, tokens


def _target(side, tokens, limits):
    """Return the target of a side whose vocabulary is learned."""
    if tokens and len(side.vocabulary) == len(SPECIAL_TOKENS):
        raise ValueError(f"y has no token that appears min_count={limits[0]} times: there is nothing to learn.")
    return TextTarget(side, 1 + max(map(len, tokens), default=0))


def with_tokenizer(options, texts):
    """Return the options with a tokenizer in place of the word "subwords", which is learned from texts."""
    if options["tokenizer"] != "subwords":
        return options
    names = ("vocab_size", "lowercase", "normalize")
    return {**options, "tokenizer": train_subwords(texts, **{name: options[name] for name in names}), "learned": True}
