"""From text to token ids and back: tokenizers and the vocabulary."""

import bisect
import functools
import itertools
import json
import numbers
import pathlib
import re
import unicodedata
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from fastrnn.persistence import replaced_file
from fastrnn.text.reading import check_encoding, check_texts, iterate_texts
from fastrnn.utils.checks import check_choice, check_positive_integer, did_you_mean, is_frame, shown, warn_caller
from fastrnn.utils.optional import optional_module
from fastrnn.utils.progress import Progress

# 2^64 / golden ratio: spreads neighbouring ids in the hashes of n-grams (Knuth 1973).
NGRAM_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")
PAD_ID, UNK_ID, START_ID, END_ID = range(4)

# Letters of scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_UNSPACED = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_SAMPLE = 10_000  # characters, or texts

NORMAL_FORMS = ("NFC", "NFKC", "NFD", "NFKD")

_FORMAT = "fastrnn-vocabulary"
_FORMAT_VERSION = 1

# Without a space to the left, without a space to the right, and quotation marks that open and close with one sign.
_CLOSING = frozenset([*",.;:!?%)]}…»”’、。，！？；：）」』।", "..."])
_OPENING = frozenset("([{«“‘$£€#¿¡（「『")
_STRAIGHT_QUOTES = frozenset("\"'`")


class Tokenizer(NamedTuple):
    """A way to cut a text into tokens, and the way back.

    Attributes
    ----------
    split : callable, str -> list of str
        Cuts a text.
    join : callable, list of str -> str
        Puts tokens together into a text that reads well; what `split` dropped (the spaces) is guessed.
    word_begun : callable, str -> int, or None
        Where the word begins in whose midst a text ends, its length if there is none; None if tokens are pieces of
        words.
    spaces_lead : bool
        Whether a piece holds the space before it.
    """

    split: object
    join: object
    word_begun: object = None
    spaces_lead: bool = False


@functools.cache
def _word_pattern():
    """Compile the pattern of the "words" tokenizer (at first use: it asks Unicode for all combining marks)."""
    # re's \w leaves out the combining marks that vowels of Hindi, Thai, … and decomposed accents are written with.
    # As ranges: a class of 2,400 single characters is ten times slower.
    code_points = [c for c in range(0x300, 0x20000) if unicodedata.category(chr(c)).startswith("M")]
    runs = itertools.groupby(enumerate(code_points), lambda pair: pair[1] - pair[0])
    runs = [[code_point for _, code_point in run] for _, run in runs]
    marks = "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in runs)
    return re.compile(
        r"\w+(?:"
        r"['’\-\u200c\u200d]\w+"  # don't  o’clock  well-known
        r"|(?<=\d)[.,:]\d\w*"  # 3.14  1,000  10:30
        rf"|[{marks}]+\w*"
        r")*"
        r"|\.\.+|--+|<unk>|[^\w\s]"
    )


def _split_words(text):
    return _word_pattern().findall(text)


def _join_words(tokens):
    pieces = []
    glue = True  # no space before the next token
    inside = set()  # the straight quotation marks that are open
    for token in tokens:
        opens = token in _STRAIGHT_QUOTES and token not in inside
        closes = token in inside
        if not (glue or closes or token in _CLOSING or token == "/"):
            pieces.append(" ")
        pieces.append(token)
        if token in _STRAIGHT_QUOTES:
            inside ^= {token}
        glue = opens or token in _OPENING or token == "/"
    return "".join(pieces)


def _last_word(text):
    """Return where the word, number or mark begins that a text ends with, if more of it can follow."""
    place = len(text)
    for match in _word_pattern().finditer(text):
        place = match.start()
    place = place if text[place:] and not text[-1].isspace() else len(text)
    return place if text[place : place + 1].isalnum() else len(text)


def _last_run(text):
    """Return where what stands behind the last white space begins."""
    return len(text) - len(text.split()[-1]) if text and not text[-1].isspace() else len(text)


def _split_whitespace(text):
    if text.isascii() and text.isprintable():  # the common case, in which str.split does the same
        return text.split()
    # str.split would separate at all white space of Unicode too, as within "10\u00a0000"; bytes.split does not.
    words = b" ".join(text.encode("utf-8", errors="surrogatepass").split())
    return words.decode("utf-8", errors="surrogatepass").split(" ") if words else []


def _last_whitespace_run(text):
    words = _split_whitespace(text)
    return len(text) - len(words[-1]) if words and text.endswith(words[-1]) else len(text)


def _split_bytes(text):
    return list(text.encode("utf-8", errors="surrogatepass").decode("latin-1"))


def _join_bytes(tokens):
    return "".join(tokens).encode("latin-1", errors="replace").decode("utf-8", errors="replace")


TOKENIZERS = {
    "words": Tokenizer(_split_words, _join_words, _last_word),
    "whitespace": Tokenizer(_split_whitespace, " ".join, _last_whitespace_run),
    "chars": Tokenizer(list, "".join),
    "bytes": Tokenizer(_split_bytes, _join_bytes),
}


def get_tokenizer(tokenizer):
    """Return the tokenizer that an estimator's `tokenizer` parameter asks for.

    Parameters
    ----------
    tokenizer : {"words", "whitespace", "chars", "bytes"}, callable or tokenizers.Tokenizer
        - "words": words, numbers and punctuation marks. A word keeps its inner apostrophes and hyphens (``don't``,
          ``well-known``), a number its inner points, commas and colons (``1,000.5``); every other sign stands alone,
          but for runs of points or hyphens and the token ``<unk>``.
        - "whitespace": what stands between the white space of ASCII (space, tab, line ends, vertical tab, form feed).
          Nothing else separates, a no-break space for instance, as in KenLM.
        - "chars": every character, spaces included.
        - "bytes": every byte of the text in UTF-8, as the character with its number: 256 tokens for any language.
        - a callable takes a text and returns its tokens as a list of str.
        - an object of the library tokenizers cuts into subwords, see `train_subwords`; special tokens are not added.

    Returns
    -------
    Tokenizer
        With the functions ``split`` and ``join`` among others. The tokens of a callable are joined with spaces.

    Raises
    ------
    ValueError
        If `tokenizer` is none of these.

    Examples
    --------
    >>> words = get_tokenizer("words")
    >>> words.split("Don't panic (yet): it costs 1,000.5 well-spent dollars...")
    ["Don't", 'panic', '(', 'yet', ')', ':', 'it', 'costs', '1,000.5', 'well-spent', 'dollars', '...']
    >>> words.join(["Don't", "panic", "(", "yet", ")", "!"])
    "Don't panic (yet)!"
    """
    if callable(tokenizer):
        return Tokenizer(tokenizer, " ".join, _last_run)
    if _is_of_tokenizers(tokenizer):
        return _wrap(tokenizer)
    if not isinstance(tokenizer, str) or tokenizer not in TOKENIZERS:
        names = ", ".join(map(repr, TOKENIZERS))
        raise ValueError(
            f"tokenizer must be {names}, a callable or a tokenizers.Tokenizer, "
            f"got {shown(tokenizer)}{did_you_mean(tokenizer, TOKENIZERS)}"
        )
    return TOKENIZERS[tokenizer]


def _is_of_tokenizers(tokenizer):
    """Return whether a tokenizer is an object of the library tokenizers."""
    return hasattr(tokenizer, "encode") and hasattr(tokenizer, "to_str")


def _wrap(tokenizer):
    unknown, decoder = getattr(tokenizer.model, "unk_token", None), tokenizer.decoder

    def split(text):
        tokens = tokenizer.encode(without_surrogates(text), add_special_tokens=False).tokens
        return [SPECIAL_TOKENS[UNK_ID] if token == unknown else token for token in tokens]

    return Tokenizer(split, " ".join if decoder is None else decoder.decode, spaces_lead=True)


def without_surrogates(text):
    r"""Return a text with replacement characters in the place of single surrogates, which nothing can show or encode.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> without_surrogates("cut \ud83d")
    'cut �'
    """
    if not _has_surrogates(text):
        return text
    return text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="replace")


def tokenizer_to_plain(tokenizer):
    """Return a tokenizer as a value that JSON can hold, if there is one.

    Parameters
    ----------
    tokenizer : str, callable or tokenizers.Tokenizer

    Returns
    -------
    str, callable or dict
        A callable stays itself.
    """
    return {"tokenizers": tokenizer.to_str()} if _is_of_tokenizers(tokenizer) else tokenizer


def same_tokenizer(first, second):
    """Return whether two parameters `tokenizer` mean the same."""
    if _is_of_tokenizers(first) and _is_of_tokenizers(second):
        # The library reads back the last digit of its own numbers with an error.
        first, second = (
            json.loads(each.to_str(), parse_float=lambda x: round(float(x), 9)) for each in (first, second)
        )
    return first == second


def tokenizer_from_plain(value):
    """Return the tokenizer that a plain value stands for.

    Parameters
    ----------
    value : str, callable or dict
        The value that `tokenizer_to_plain` returned.

    Returns
    -------
    str, callable or tokenizers.Tokenizer
    """
    return _library().Tokenizer.from_str(value["tokenizers"]) if isinstance(value, dict) else value


def _library():
    return optional_module("tokenizers", "Subwords need the library")


def train_subwords(X, vocab_size=8000, method="bpe", lowercase=False, normalize=None, encoding="utf-8", verbose=0):
    """Learn from a text how to cut words into pieces, with the library tokenizers.

    Parameters
    ----------
    X : iterable of str, os.PathLike, or file object
        The text, in lines or documents, or files of it.
    vocab_size : int
        How many pieces there are at most.
    method : {"bpe", "unigram"}
        "bpe" joins the most frequent pairs of pieces, beginning with bytes, so that no text is unknown [1]_; "unigram"
        chooses the pieces with which the text is most probable [2]_.
    lowercase, normalize, encoding
        As those of the model.
    verbose : int
        1 shows on stderr how many texts are read. Where that is no terminal, it writes lines, through `logging`.

    Returns
    -------
    tokenizers.Tokenizer
        To be the parameter `tokenizer` of a language model.

    References
    ----------
    .. [1] Rico Sennrich, Barry Haddow and Alexandra Birch, "Neural machine translation of rare words with subword
       units", 2016.
    .. [2] Taku Kudo, "Subword regularization", 2018.
    """
    check_positive_integer("vocab_size", vocab_size)
    check_choice("method", method, ("bpe", "unigram"))
    check_texts(X)
    library = _library()
    options = {"vocab_size": int(vocab_size), "show_progress": False}
    if method == "bpe":
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        alphabet = library.pre_tokenizers.ByteLevel.alphabet()
        trainer = library.trainers.BpeTrainer(initial_alphabet=alphabet, **options)
    else:
        tokenizer = library.Tokenizer(library.models.Unigram())
        tokenizer.pre_tokenizer, tokenizer.decoder = library.pre_tokenizers.Metaspace(), library.decoders.Metaspace()
        unknown = SPECIAL_TOKENS[UNK_ID]
        trainer = library.trainers.UnigramTrainer(unk_token=unknown, special_tokens=[unknown], **options)

    def texts(progress):
        for index, text in enumerate(iterate_texts(X, encoding)):
            if not isinstance(text, str):
                raise ValueError(f"X[{index}] must be a string, got {shown(text)}.")
            yield without_surrogates(preprocess(text, lowercase, normalize))
            progress.count(1)
        progress.describe("choosing pieces")

    with Progress("subwords", verbose, "texts") as progress:
        try:
            tokenizer.train_from_iterator(texts(progress), trainer)
        except Exception as error:
            if type(error) is not Exception:  # the library raises nothing more precise
                raise
            raise ValueError(f"No {vocab_size} pieces can be learned from X: {error}.") from None
        progress.line(f"{tokenizer.get_vocab_size():,} pieces of {progress.n:,} texts, {progress.seconds:.1f} s")
    return tokenizer


def preprocess(text, lowercase=False, normalize=None):
    """Return a text as tokenizers are given it.

    Parameters
    ----------
    text : str
    lowercase : bool
        Whether it is converted to lower case.
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None
        The normal form of Unicode that it is brought into, so that an accent is the same whether it is a character of
        its own or not. The K also replaces variants: ligatures, full-width letters, superscripts.

    Returns
    -------
    str
        Two surrogates that stand for one character are that character, so that files keep what was learned. A single
        one, half of an emoji that was cut for instance, stays.

    Examples
    --------
    >>> preprocess("ﬁne ＡＢＣ", lowercase=True, normalize="NFKC")
    'fine abc'
    """
    if _has_surrogates(text):
        text = text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="surrogatepass")
    if normalize is not None:
        text = unicodedata.normalize(normalize, text)
    if not lowercase:
        return text
    # Lower case may leave the normal form, and the normal form of a variant may be in upper case.
    return text.lower() if normalize is None else unicodedata.normalize(normalize, text.lower())


def _has_surrogates(text):
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def check_preprocessing(normalize, encoding):
    """Raise ValueError if one of the parameters `normalize` and `encoding` of an estimator is wrong."""
    check_choice("normalize", normalize, (None, *NORMAL_FORMS))
    check_encoding(encoding)


def tokenize(text, tokenizer="words", lowercase=False, normalize=None, name="text"):
    """Return the tokens of one text.

    Parameters
    ----------
    text : str or list of str
        A text, or its tokens.
    tokenizer, lowercase, normalize
        As in `iterate_corpus`.
    name : str
        The argument's name in messages.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If it is neither a string nor a list of strings.

    Examples
    --------
    >>> tokenize("It's done.")
    ["It's", 'done', '.']
    """
    return _tokenizing(tokenizer, lowercase, normalize)(text, name)


def tokenize_corpus(X, tokenizer="words", lowercase=False, normalize=None, encoding="utf-8", learning=False):
    """Turn the text that a language model is given into lists of tokens, all at once.

    Parameters
    ----------
    X, tokenizer, lowercase, normalize, encoding, learning
        As in `iterate_corpus`.

    Returns
    -------
    list of list of str

    Examples
    --------
    >>> tokenize_corpus(["Hello, world", ["already", "cut"]], lowercase=True)
    [['hello', ',', 'world'], ['already', 'cut']]
    """
    return list(iterate_corpus(X, tokenizer, lowercase, normalize, encoding, learning))


def iterate_corpus(X, tokenizer="words", lowercase=False, normalize=None, encoding="utf-8", learning=False):
    """Turn the text that a language model is given into lists of tokens, one after another.

    Parameters
    ----------
    X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
        A sentence, line or document each, as text or already cut into tokens. A generator is read once. A path (a
        `pathlib.Path`) stands for the lines of a text file, or of all text files of a folder; so does an open file.
        They are read as they are needed, see `fastrnn.text.reading.iterate_texts`.
    tokenizer : {"words", "whitespace", "chars", "bytes"}, callable or tokenizers.Tokenizer
        What cuts the texts, see `get_tokenizer`. Lists of tokens are taken as they are.
    lowercase, normalize
        What is done to texts and tokens first, see `preprocess`.
    encoding : str
        The encoding of the files.
    learning : bool
        Whether a vocabulary is learned from the texts: warns where the tokenizer takes whole sentences for words.

    Yields
    ------
    list of str

    Raises
    ------
    ValueError
        If X is a string, bytes, None, a table, a mapping or not iterable, or if an element is neither a text nor a list
        of tokens (the message names its index).

    Warns
    -----
    UserWarning
        With `learning`, if the texts are in a script without spaces between words, and the tokenizer needs them.
    """
    tokens_of = _tokenizing(tokenizer, lowercase, normalize)
    texts = iterate_texts(X, encoding)
    if learning and isinstance(tokenizer, str) and tokenizer in ("words", "whitespace"):
        texts = _warning_of_unspaced(texts, tokenizer)
    for index, element in enumerate(texts):
        yield tokens_of(element, index)


def batches(token_lists, n_tokens):
    """Put sentences together into lists of about so many tokens.

    Parameters
    ----------
    token_lists : iterable of list of str
    n_tokens : int

    Yields
    ------
    list of list of str

    Examples
    --------
    >>> list(batches([["a", "b"], ["c"], ["d"]], n_tokens=3))
    [[['a', 'b'], ['c']], [['d']]]
    """
    batch, size = [], 0
    for tokens in token_lists:
        batch.append(tokens)
        size += len(tokens)
        if size >= n_tokens:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _tokenizing(tokenizer, lowercase, normalize):
    """Return a function of a text or list of tokens, and of its index or name, that returns the tokens."""
    split = get_tokenizer(tokenizer).split
    prepare = functools.partial(preprocess, lowercase=lowercase, normalize=normalize)
    as_they_are = not (lowercase or normalize)

    def tokens_of(element, name):
        if not isinstance(element, str):
            tokens = _check_tokens(element, name)
            return list(tokens if as_they_are and not _has_surrogates("".join(tokens)) else map(prepare, tokens))
        tokens = split(element if as_they_are and not _has_surrogates(element) else prepare(element))
        if not (split is _split_whitespace or (isinstance(tokens, list) and _all_str(tokens))):
            raise ValueError(f"tokenizer must return a list of str, got {shown(tokens)} for {_named(name)}.")
        return tokens

    return tokens_of


def _check_tokens(element, name):
    """Return a list or tuple of tokens; raise ValueError if an element is none."""
    if isinstance(element, np.ndarray) and element.ndim == 1:
        element = element.tolist()
    if not isinstance(element, list | tuple) or hasattr(element, "_fields"):  # the row of a table
        raise ValueError(f"{_named(name)} must be a string or a list of tokens, got {shown(element)}.")
    if not _all_str(element):
        place, token = next((p, t) for p, t in enumerate(element) if not isinstance(t, str))
        raise ValueError(f"{_named(name)}[{place}] must be a token (a string), got {shown(token)}.")
    return element


def _warning_of_unspaced(texts, tokenizer):
    """Yield texts; warn before the first one if a sample of them has words without spaces between."""
    sample, size = [], 0
    for text in texts:
        sample.append(text)
        size += len(text) if isinstance(text, str) else 0
        if size > _SAMPLE or len(sample) > _SAMPLE:
            break
    if _is_unspaced("\n".join(text[:_SAMPLE] for text in sample if isinstance(text, str))):
        warn_caller(
            f"X is in a script without spaces between words, and tokenizer={tokenizer!r} takes all that stands between "
            "two spaces or punctuation marks for a word: set tokenizer='chars', or give lists of words."
        )
    yield from sample
    yield from texts


def _is_unspaced(text):
    """Return whether a text is Chinese, Japanese, Thai, Lao, Khmer or Burmese, and not cut into words by spaces."""
    letters = len(re.findall(_UNSPACED, text))
    others = len(re.findall(r"\S", text)) - letters
    spaces = len(re.findall(f"(?<={_UNSPACED})[ \u200b]+(?={_UNSPACED})", text))
    return letters > others and spaces < letters / 10


def _named(name):
    return name if isinstance(name, str) else f"X[{name}]"


def _all_str(tokens):
    try:
        "".join(tokens)  # the fastest way to look at every type
    except TypeError:
        return False
    return True


class _TokenIds(dict):
    """Token -> id, where any other token has the id of ``<unk>``."""

    def __missing__(self, token):
        return UNK_ID


class Vocabulary:
    """The tokens that a model knows, each with an id.

    The ids 0 to 3 are ``<pad> <unk> <s> </s>``; then come the tokens of the text in their order of appearance, with or
    without `max_size`. A literal ``<unk>`` in a text is what it says: an unknown token, never one of the counted ones.

    Parameters
    ----------
    min_count : int
        Tokens that appear less often than this are unknown.
    max_size : int or None
        The largest size of the vocabulary, the four special tokens included. The most frequent tokens are kept; among
        equally frequent ones those that appeared first.

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
        self._sorted = None
        self._ids = _TokenIds(zip(self.tokens, range(len(self.tokens)), strict=True))

    @classmethod
    def from_tokens(cls, tokens):
        """Make a vocabulary of given tokens.

        Parameters
        ----------
        tokens : iterable of str
            The tokens in the order of their ids; the four special tokens are put in front unless they stand there.

        Returns
        -------
        Vocabulary

        Raises
        ------
        ValueError
            If a token is no string, stands twice, or is a special token in the wrong place.
        """
        if isinstance(tokens, str | set | frozenset) or is_frame(tokens):
            kind = "string" if isinstance(tokens, str) else type(tokens).__name__
            raise ValueError(f"tokens must be an iterable of strings in the order of their ids, got a {kind}.")
        tokens = list(tokens)
        if tuple(tokens[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS:
            tokens[:0] = SPECIAL_TOKENS
        vocabulary = cls()
        if not _all_str(tokens):
            raise ValueError("tokens must be strings.")
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
            The sentences.

        Returns
        -------
        self : Vocabulary
        """
        self.fit_encode_corpus(token_lists)
        return self

    def fit_encode_corpus(self, token_lists):
        """Learn the tokens of a text and encode it, in one pass: faster than `fit`, then `encode_corpus`.

        Parameters
        ----------
        token_lists : iterable of list of str
            The sentences.

        Returns
        -------
        ids, offsets : as from `encode_corpus`
        """
        everything = Vocabulary()
        ids, offsets = everything.extend_encode_corpus(token_lists)
        new_ids = self.fit_counts(everything.tokens, np.bincount(ids, minlength=len(everything)))
        return new_ids[ids], offsets

    def extend_encode_corpus(self, token_lists):
        """Add all tokens of a text that are not there yet, whatever the limits, and encode it.

        Parameters
        ----------
        token_lists : iterable of list of str
            The sentences.

        Returns
        -------
        ids, offsets : as from `encode_corpus`
        """
        ((ids, offsets),) = self.extend_encode_batches([token_lists])
        return ids, offsets

    def extend_encode_batches(self, batches):
        """Add all tokens of a text that comes in batches, as `extend_encode_corpus` does; they are there at the end.

        Parameters
        ----------
        batches : iterable of (iterable of list of str)
            Some sentences each.

        Yields
        ------
        ids, offsets : as from `encode_corpus`
            Of each batch.
        """
        grown = defaultdict(itertools.count(len(self)).__next__, self._ids)
        n_sentences = 0
        for batch in batches:
            ids, offsets = _encode(batch, grown, n_sentences)
            n_sentences += len(offsets) - 1
            yield ids, offsets
        self._set_tokens(grown)

    def fit_counts(self, tokens, counts):
        """Take over those of `tokens` that `min_count` and `max_size` allow.

        Parameters
        ----------
        tokens : list of str
            The special tokens, then others in the order that they are to have.
        counts : int array (n_tokens,)
            How often each appeared.

        Returns
        -------
        int32 array (n_tokens,)
            The new ids of `tokens`: ``unk_id`` for those that were left out.
        """
        n_special = len(SPECIAL_TOKENS)
        kept = counts >= self.min_count
        kept[:n_special] = True
        if self.max_size is not None:
            most_frequent_first = np.argsort(-counts[n_special:], kind="stable") + n_special
            kept[most_frequent_first[self.max_size - n_special :]] = False
        self._set_tokens(itertools.compress(tokens, kept))
        return np.where(kept, np.cumsum(kept, dtype=np.int32) - np.int32(1), np.int32(UNK_ID))

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

    def decode(self, ids):
        """Return the tokens that ids stand for.

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
        if self._sorted is None:  # ids, and tokens behind them in the same order
            ids = sorted(range(len(SPECIAL_TOKENS), len(self)), key=self.tokens.__getitem__)
            self._sorted = np.array(ids, np.intp), [self.tokens[i] for i in ids]
        ids, tokens = self._sorted
        begin = bisect.bisect_left(tokens, prefix)
        end = bisect.bisect_right(tokens, prefix, begin, key=lambda token: token[: len(prefix)])
        return ids[begin:end]

    def encode_corpus(self, token_lists):
        """Encode sentences into one array.

        Parameters
        ----------
        token_lists : iterable of list of str

        Returns
        -------
        ids : int32 array (n_tokens,)
            The ids of all sentences, one after another; neither ``<s>`` nor ``</s>`` is added.
        offsets : int64 array (n_sentences + 1,)
            Sentence i is ``ids[offsets[i]:offsets[i + 1]]``.

        Raises
        ------
        ValueError
            If ``<pad>``, ``<s>`` or ``</s>`` stands in a sentence (``<unk>`` may: an unknown token).
        """
        return _encode(token_lists, self._ids)

    def encode_batches(self, batches):
        """Encode a text that comes in batches.

        Parameters
        ----------
        batches : iterable of (iterable of list of str)
            Some sentences each.

        Yields
        ------
        ids, offsets : as from `encode_corpus`
            Of each batch.
        """
        n_sentences = 0
        for batch in batches:
            ids, offsets = _encode(batch, self._ids, n_sentences)
            n_sentences += len(offsets) - 1
            yield ids, offsets

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
            The file, which is replaced whole or not at all.
        """
        content = {
            "format": _FORMAT,
            "version": _FORMAT_VERSION,
            "min_count": int(self.min_count),
            "max_size": None if self.max_size is None else int(self.max_size),
            "tokens": self.tokens,
        }
        with replaced_file(path) as temporary:
            temporary.write_text(json.dumps(content, indent=0))

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
            If the file is no saved vocabulary.
        """
        try:
            content = json.loads(pathlib.Path(path).read_bytes())
            known = content["format"] == _FORMAT and content["version"] == _FORMAT_VERSION
            limits, tokens = (content["min_count"], content["max_size"]), content["tokens"]
        except (ValueError, LookupError, TypeError):
            known = False
        if not known or not isinstance(tokens, list):
            raise ValueError(f"{path} is no vocabulary saved by this version of fastrnn.")
        vocabulary = cls.from_tokens(tokens)
        vocabulary.min_count, vocabulary.max_size = limits
        return vocabulary


def _encode(token_lists, ids_of, first_index=0):
    """Map all tokens through `ids_of`; return ids (n_tokens,) int32 and offsets (n_sentences + 1,) int64."""
    token_lists = token_lists if isinstance(token_lists, list | tuple) else list(token_lists)
    offsets = np.zeros(len(token_lists) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, token_lists), np.int64, len(token_lists)), out=offsets[1:])
    if any(isinstance(tokens, str) for tokens in token_lists):
        place = next(i for i, tokens in enumerate(token_lists) if isinstance(tokens, str))
        raise ValueError(
            f"X[{first_index + place}] must be a list of tokens, got {shown(token_lists[place])}: see get_tokenizer."
        )
    tokens = itertools.chain.from_iterable(token_lists)
    ids = np.fromiter(map(ids_of.__getitem__, tokens), np.int32, offsets[-1])
    reserved = (ids == PAD_ID) | (ids == START_ID) | (ids == END_ID)
    if reserved.any():
        place = int(np.argmax(reserved))
        sentence = int(np.searchsorted(offsets, place, side="right")) - 1
        raise ValueError(
            f"X[{first_index + sentence}] contains the token {SPECIAL_TOKENS[ids[place]]!r}, which is reserved: "
            "sentences are padded, opened and closed by the model; remove it from the text."
        )
    return ids, offsets


def close_sentences(ids, offsets, start=False):
    """Write ``</s>`` after every sentence, and ``<s>`` before it if that is asked for.

    Parameters
    ----------
    ids : int32 array (n_tokens,)
    offsets : int64 array (n_sentences + 1,)
        As from `Vocabulary.encode_corpus`.
    start : bool
        Whether ``<s>`` is written before every sentence too.

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
    added = 1 + start  # marks a sentence
    sentences = np.arange(len(offsets) - 1)
    closed_offsets = offsets + added * np.arange(len(offsets))
    closed = np.empty(closed_offsets[-1], np.int32)
    closed[np.arange(len(ids)) + np.repeat(added * sentences + start, np.diff(offsets))] = ids
    if start:
        closed[closed_offsets[:-1]] = START_ID
    closed[closed_offsets[1:] - 1] = END_ID
    return closed, closed_offsets
