"""Collections of texts become lists of tokens."""

import functools
import re

import numpy as np

from fastrnn.text.normalization import has_surrogates, preprocess
from fastrnn.text.reading import iterate_texts
from fastrnn.text.tokenizers import get_tokenizer, split_whitespace
from fastrnn.text.tokens import all_strings
from fastrnn.utils.checks import shown, warn_caller

# Letters of scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_UNSPACED = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_SAMPLE = 10_000  # characters, or texts, that the script is judged by


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
        If `text` is neither a string nor a list of strings.

    Examples
    --------
    >>> tokenize("It's done.")
    ["It's", 'done', '.']
    """
    return _token_function(tokenizer, lowercase, normalize, name)(text)


def tokenize_corpus(X, tokenizer="words", lowercase=False, normalize=None, encoding="utf-8", learning=False):
    """Return the token lists of the text that a language model is given.

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
    """Yield the token lists of the text that a language model is given, one after another.

    Parameters
    ----------
    X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
        A sentence, line or document each, as text or as tokens. A generator is read once. A path (a `pathlib.Path`)
        means the lines of a text file, or of all text files of a folder; an open file means its lines. Files are read
        as they are needed, see `fastrnn.text.reading.iterate_texts`.
    tokenizer : {"words", "whitespace", "chars", "bytes"}, callable or tokenizers.Tokenizer
        Cuts the texts, see `get_tokenizer`. Lists of tokens are taken as they are.
    lowercase, normalize
        Applied to texts and tokens first, see `preprocess`.
    encoding : str
        The encoding of the files.
    learning : bool
        Whether a vocabulary is learned from the texts. If so, a warning names texts that the tokenizer cannot cut.

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
        With `learning`, if the texts are in a script without spaces between words and the tokenizer needs spaces.
    """
    return tokenize_texts(iterate_texts(X, encoding), tokenizer, lowercase, normalize, learning)


def tokenize_texts(texts, tokenizer="words", lowercase=False, normalize=None, learning=False, name="X"):
    """Yield the token lists of texts that have been read already.

    Parameters
    ----------
    texts : iterable of (str or list of str)
        As from `fastrnn.text.reading.iterate_texts`.
    tokenizer, lowercase, normalize, learning
        As in `iterate_corpus`.
    name : str
        The argument's name in messages.

    Yields
    ------
    list of str

    Raises
    ------
    ValueError
        If an element is neither a text nor a list of tokens.

    Warns
    -----
    UserWarning
        As `iterate_corpus` does.
    """
    tokens_of = _token_function(tokenizer, lowercase, normalize, name)
    if learning and isinstance(tokenizer, str) and tokenizer in ("words", "whitespace"):
        texts = _with_warning_of_unspaced(iter(texts), tokenizer, name)
    for index, element in enumerate(texts):
        yield tokens_of(element, index)


def batches(token_lists, n_tokens):
    """Group sentences into lists of at least `n_tokens` tokens each; the last list may have fewer.

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


def _token_function(tokenizer, lowercase, normalize, name):
    """Return a function (element, index) -> tokens; the element is a text or a list of tokens.

    In messages, the element has the name and the index, or the name alone.
    """
    split = get_tokenizer(tokenizer).split
    prepare = functools.partial(preprocess, lowercase=lowercase, normalize=normalize)
    as_they_are = not (lowercase or normalize)

    def tokens_of(element, index=None):
        if not isinstance(element, str):
            tokens = _check_tokens(element, name, index)
            return list(tokens if as_they_are and not has_surrogates("".join(tokens)) else map(prepare, tokens))
        tokens = split(element if as_they_are and not has_surrogates(element) else prepare(element))
        if not (split is split_whitespace or (isinstance(tokens, list) and all_strings(tokens))):
            raise ValueError(f"tokenizer must return a list of str, got {shown(tokens)} for {_place(name, index)}.")
        return tokens

    return tokens_of


def _check_tokens(element, name, index):
    """Return an element that is a list or tuple of tokens; raise ValueError if it is not."""
    if isinstance(element, np.ndarray) and element.ndim == 1:
        element = element.tolist()
    if not isinstance(element, list | tuple) or hasattr(element, "_fields"):  # a named tuple is the row of a table
        raise ValueError(f"{_place(name, index)} must be a string or a list of tokens, got {shown(element)}.")
    if not all_strings(element):
        place, token = next((p, t) for p, t in enumerate(element) if not isinstance(t, str))
        raise ValueError(f"{_place(name, index)}[{place}] must be a token (a string), got {shown(token)}.")
    return element


def _place(name, index):
    return name if index is None else f"{name}[{index}]"


def _with_warning_of_unspaced(texts, tokenizer, name):
    """Yield all texts; warn before the first one if a sample of them has no spaces between words."""
    sample, size = [], 0
    for text in texts:
        sample.append(text)
        size += len(text) if isinstance(text, str) else 0
        if size > _SAMPLE or len(sample) > _SAMPLE:
            break
    if _is_unspaced("\n".join(text[:_SAMPLE] for text in sample if isinstance(text, str))):
        warn_caller(
            f"{name} is in a script without spaces between words, and tokenizer={tokenizer!r} takes everything between "
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
