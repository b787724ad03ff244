"""The vocabulary: tokens to ids and back."""

import bisect
import itertools
import json
import numbers
import pathlib
from collections import defaultdict

import numpy as np

from fastrnn.text.tokens import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNK_ID, all_strings
from fastrnn.utils.checks import check_positive_integer, is_frame, shown
from fastrnn.utils.files import replaced_file

_FORMAT = "fastrnn-vocabulary"
_FORMAT_VERSION = 1


class _TokenIds(dict):
    """Token -> id; every token that is not a key has the id of ``<unk>``."""

    def __missing__(self, token):
        return UNK_ID


class Vocabulary:
    """The tokens that a model knows, each with an id.

    Ids 0 to 3 are ``<pad> <unk> <s> </s>``. The tokens of the text follow in their order of appearance, with or without
    `max_size`. A literal ``<unk>`` in a text is an unknown token and is never counted.

    Parameters
    ----------
    min_count : int
        Tokens that appear less often than this are unknown.
    max_size : int or None
        Largest size of the vocabulary, the four special tokens included. It keeps the most frequent tokens; among
        equally frequent ones, those that appeared first.

    Attributes
    ----------
    tokens : list of str
        All tokens; a token's place is its id.
    pad_id, unk_id, start_id, end_id : int
        The ids of ``<pad>``, ``<unk>``, ``<s>`` and ``</s>``.

    Examples
    --------
    >>> vocabulary = Vocabulary().fit([["to", "be", "or", "not", "to", "be"]])
    >>> vocabulary.tokens
    ['<pad>', '<unk>', '<s>', '</s>', 'to', 'be', 'or', 'not']
    >>> vocabulary.encode(["not", "today"])
    array([7, 1], dtype=int32)
    >>> vocabulary.decode([7, 1])
    ['not', '<unk>']
    """

    pad_id, unk_id, start_id, end_id = PAD_ID, UNK_ID, START_ID, END_ID

    def __init__(self, min_count=1, max_size=None):
        check_positive_integer("min_count", min_count)
        if max_size is not None and (not isinstance(max_size, numbers.Integral) or max_size <= len(SPECIAL_TOKENS)):
            raise ValueError(f"max_size must be None or an integer of at least 5, got {shown(max_size)}.")
        self.min_count = min_count
        self.max_size = max_size
        self._set_tokens(SPECIAL_TOKENS)

    def _set_tokens(self, tokens):
        self.tokens = list(tokens)
        self._ids = _TokenIds(zip(self.tokens, range(len(self.tokens)), strict=True))
        self._sorted = self._table = None  # made at first use

    @classmethod
    def from_tokens(cls, tokens):
        """Make a vocabulary of given tokens.

        Parameters
        ----------
        tokens : iterable of str
            The tokens in the order of their ids. The four special tokens are put in front if they are not there.

        Returns
        -------
        Vocabulary

        Raises
        ------
        ValueError
            If a token is not a string, occurs twice, or is a special token in the wrong place.
        """
        tokens = _with_special_tokens(tokens)
        vocabulary = cls()
        vocabulary._set_tokens(tokens)
        if len(vocabulary._ids) != len(tokens):
            twice = next(token for place, token in enumerate(tokens) if vocabulary._ids[token] != place)
            raise ValueError(f"tokens holds {twice!r} twice.")
        return vocabulary

    def fit(self, token_lists):
        """Learn the tokens of a text.

        Parameters
        ----------
        token_lists : iterable of list of str

        Returns
        -------
        self : Vocabulary
        """
        self.fit_encode_corpus(token_lists)
        return self

    def fit_encode_corpus(self, token_lists, name="X"):
        """Learn the tokens of a text and encode it, in one pass: faster than `fit`, then `encode_corpus`.

        Parameters
        ----------
        token_lists, name : as in `encode_corpus`

        Returns
        -------
        ids, offsets : as from `encode_corpus`
        """
        everything = Vocabulary()
        ids, offsets = everything.extend_encode_corpus(token_lists, name)
        new_ids = self.fit_counts(everything.tokens, np.bincount(ids, minlength=len(everything)))
        return new_ids[ids], offsets

    def fit_counts(self, tokens, counts):
        """Learn the `tokens` that `min_count` and `max_size` allow.

        Parameters
        ----------
        tokens : list of str
            The special tokens, then the others in the order of their future ids.
        counts : int array (n_tokens,)
            How often each appeared.

        Returns
        -------
        int32 array (n_tokens,)
            The new ids of `tokens`: ``unk_id`` for tokens left out.
        """
        n_special = len(SPECIAL_TOKENS)
        kept = counts >= self.min_count
        kept[:n_special] = True
        if self.max_size is not None:
            most_frequent_first = np.argsort(-counts[n_special:], kind="stable") + n_special
            kept[most_frequent_first[self.max_size - n_special :]] = False
        self._set_tokens(itertools.compress(tokens, kept))
        return np.where(kept, np.cumsum(kept, dtype=np.int32) - np.int32(1), np.int32(UNK_ID))

    def extend_encode_corpus(self, token_lists, name="X"):
        """Add all new tokens of a text, whatever the limits, and encode the text.

        Parameters
        ----------
        token_lists, name : as in `encode_corpus`

        Returns
        -------
        ids, offsets : as from `encode_corpus`
        """
        ((ids, offsets),) = self.extend_encode_batches([token_lists], name)
        return ids, offsets

    def extend_encode_batches(self, batches, name="X"):
        """Add all new tokens of a text that comes in batches, and encode it; the tokens are added at the end.

        Parameters
        ----------
        batches : iterable of (iterable of list of str)
        name : as in `encode_corpus`

        Yields
        ------
        ids, offsets : as from `encode_corpus`, for each batch
        """
        grown = defaultdict(itertools.count(len(self)).__next__, self._ids)
        yield from _encode_batches(batches, grown, name)
        self._set_tokens(grown)

    def encode(self, tokens):
        """Return the ids of tokens.

        Parameters
        ----------
        tokens : list of str

        Returns
        -------
        int32 array (n_tokens,)
            Unknown tokens have ``unk_id``.

        Raises
        ------
        ValueError
            If `tokens` is a string.
        """
        if isinstance(tokens, str):
            raise ValueError(f"tokens must be a list of tokens, got {shown(tokens)}: see get_tokenizer.")
        return np.fromiter(map(self._ids.__getitem__, tokens), np.int32, len(tokens))

    def encode_corpus(self, token_lists, name="X"):
        """Encode sentences into one array.

        Parameters
        ----------
        token_lists : iterable of list of str
        name : str
            The argument's name in messages.

        Returns
        -------
        ids : int32 array (n_tokens,)
            The ids of all sentences, one after another; neither ``<s>`` nor ``</s>`` is added.
        offsets : int64 array (n_sentences + 1,)
            Sentence i is ``ids[offsets[i]:offsets[i + 1]]``.

        Raises
        ------
        ValueError
            If a sentence contains ``<pad>``, ``<s>`` or ``</s>`` (``<unk>`` is allowed: an unknown token).
        """
        return _encode_sentences(token_lists, self._ids, name=name)

    def encode_batches(self, batches):
        """Encode a text that comes in batches.

        Parameters
        ----------
        batches : iterable of (iterable of list of str)

        Yields
        ------
        ids, offsets : as from `encode_corpus`, for each batch
        """
        return _encode_batches(batches, self._ids)

    def decode(self, ids):
        """Return the tokens of ids.

        Parameters
        ----------
        ids : array-like (n_tokens,) of int

        Returns
        -------
        list of str
        """
        return [self.tokens[i] for i in np.asarray(ids, dtype=np.intp).tolist()]

    def beginning_with(self, prefix):
        """Return the ids of all tokens that begin with a string, special tokens aside.

        Parameters
        ----------
        prefix : str

        Returns
        -------
        int array (n,)
        """
        if self._sorted is None:  # ids, and their tokens in the same order
            ids = sorted(range(len(SPECIAL_TOKENS), len(self)), key=self.tokens.__getitem__)
            self._sorted = np.array(ids, np.intp), [self.tokens[i] for i in ids]
        ids, tokens = self._sorted
        begin = bisect.bisect_left(tokens, prefix)
        end = bisect.bisect_right(tokens, prefix, begin, key=lambda token: token[: len(prefix)])
        return ids[begin:end]

    def word_table(self):
        """Return the tokens as a `fastrnn.text.word_table.WordTable` for compiled code, made at first use."""
        if self._table is None:
            from fastrnn.text.word_table import WordTable  # loads the compiler

            self._table = WordTable.of(token.encode(errors="surrogatepass") for token in self.tokens)
        return self._table

    def __len__(self):
        return len(self.tokens)

    def __contains__(self, token):
        return token in self._ids

    def __eq__(self, other):
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    __hash__ = None

    def __repr__(self):
        return f"<Vocabulary of {len(self)} tokens>"

    def save(self, path):
        """Write the vocabulary to a JSON file.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is replaced whole or not at all.
        """
        with replaced_file(path) as temporary:
            temporary.write_text(_to_json(self))

    @classmethod
    def load(cls, path):
        """Read a vocabulary that `save` wrote.

        Parameters
        ----------
        path : str or os.PathLike

        Returns
        -------
        Vocabulary

        Raises
        ------
        ValueError
            If the file is not a saved vocabulary.
        """
        tokens, limits = _read_json(path)
        vocabulary = cls.from_tokens(tokens)
        vocabulary.min_count, vocabulary.max_size = limits
        return vocabulary


def _with_special_tokens(tokens):
    """Return given tokens as a list that begins with the special ones; raise ValueError if they are not strings."""
    if isinstance(tokens, str | set | frozenset) or is_frame(tokens):
        kind = "string" if isinstance(tokens, str) else type(tokens).__name__
        raise ValueError(f"tokens must be an iterable of strings in the order of their ids, got a {kind}.")
    tokens = list(tokens)
    if tuple(tokens[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS:
        tokens[:0] = SPECIAL_TOKENS
    if not all_strings(tokens):
        raise ValueError("tokens must be strings.")
    return tokens


def _to_json(vocabulary):
    content = {
        "format": _FORMAT,
        "version": _FORMAT_VERSION,
        "min_count": int(vocabulary.min_count),
        "max_size": None if vocabulary.max_size is None else int(vocabulary.max_size),
        "tokens": vocabulary.tokens,
    }
    return json.dumps(content, indent=0)


def _read_json(path):
    """Return the tokens of a file, and its (min_count, max_size)."""
    try:
        content = json.loads(pathlib.Path(path).read_bytes())
        known = content["format"] == _FORMAT and content["version"] == _FORMAT_VERSION
        limits, tokens = (content["min_count"], content["max_size"]), content["tokens"]
    except (ValueError, LookupError, TypeError):
        known = False
    if not known or not isinstance(tokens, list):
        raise ValueError(f"{path} is no vocabulary saved by this version of fastrnn.")
    return tokens, limits


def _encode_batches(batches, ids_of, name="X"):
    """Yield ids and offsets of each batch; messages number the sentences through all batches."""
    n_sentences = 0
    for batch in batches:
        ids, offsets = _encode_sentences(batch, ids_of, n_sentences, name)
        n_sentences += len(offsets) - 1
        yield ids, offsets


def _encode_sentences(token_lists, ids_of, first_index=0, name="X"):
    """Map all tokens through `ids_of`; return ids (n_tokens,) int32 and offsets (n_sentences + 1,) int64."""
    token_lists = token_lists if isinstance(token_lists, list | tuple) else list(token_lists)
    offsets = np.zeros(len(token_lists) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, token_lists), np.int64, len(token_lists)), out=offsets[1:])
    if any(isinstance(tokens, str) for tokens in token_lists):
        place = next(i for i, tokens in enumerate(token_lists) if isinstance(tokens, str))
        raise ValueError(
            f"{name}[{first_index + place}] must be a list of tokens, got {shown(token_lists[place])}: "
            "see get_tokenizer."
        )
    tokens = itertools.chain.from_iterable(token_lists)
    ids = np.fromiter(map(ids_of.__getitem__, tokens), np.int32, offsets[-1])
    reserved = (ids == PAD_ID) | (ids == START_ID) | (ids == END_ID)
    if reserved.any():
        place = int(np.argmax(reserved))
        sentence = int(np.searchsorted(offsets, place, side="right")) - 1
        raise ValueError(
            f"{name}[{first_index + sentence}] contains the token {SPECIAL_TOKENS[ids[place]]!r}, which is reserved: "
            "sentences are padded, opened and closed by the model; remove it from the text."
        )
    return ids, offsets
