"""Tokenizers: they cut a text into tokens, and join tokens into a text."""

import functools
import itertools
import re
import unicodedata
from typing import NamedTuple

from fastrnn.text.subwords import is_subword_tokenizer, subword_functions, subword_offsets
from fastrnn.utils.checks import did_you_mean, shown

# Tokens without a space to their left, without one to their right, and quotation marks that open and close alike.
_CLOSING = frozenset([*",.;:!?%)]}…»”’、。，！？；：）」』।", "..."])
_OPENING = frozenset("([{«“‘$£€#¿¡（「『")
_STRAIGHT_QUOTES = frozenset("\"'`")


def find_tokens(text, tokens):
    """Return where tokens are found in a text, one after the other.

    Parameters
    ----------
    text : str
    tokens : list of str

    Returns
    -------
    list of ((begin, end) or None)
        None for a token that is not in the rest of the text.

    Examples
    --------
    >>> find_tokens("No, no.", ["No", ",", "no", "."])
    [(0, 2), (2, 3), (4, 6), (6, 7)]
    """
    found, place = [], 0
    for token in tokens:
        begin = text.find(token, place)
        if begin >= 0:
            place = begin + len(token)
        found.append((begin, place) if begin >= 0 else None)
    return found


class Tokenizer(NamedTuple):
    """Functions that cut a text into tokens and join tokens into a text.

    Attributes
    ----------
    split : callable, str -> list of str
        Cuts a text.
    join : callable, list of str -> str
        Joins tokens into a readable text. It guesses the spaces that `split` dropped.
    word_begun : callable, str -> int, or None
        Returns the start of the unfinished last word of a text, or the length of the text if there is none. None if
        tokens are pieces of words.
    spaces_lead : bool
        Whether a token includes the space before it.
    offsets : callable, (str, list of str) -> list of (int, int)
        Returns where the tokens of a text begin and end in it, in characters. None for a token that is not in it.
    """

    split: object
    join: object
    word_begun: object = None
    spaces_lead: bool = False
    offsets: object = find_tokens


@functools.cache
def _word_pattern():
    """Compile the pattern of the "words" tokenizer; at first use, because it asks Unicode for all combining marks."""
    # re's \w omits combining marks, which write the vowels of Hindi, Thai, … and decomposed accents.
    # They are given as ranges: a class of 2,400 single characters is ten times slower.
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
    inside = set()  # straight quotation marks that are open
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
    """Return the start of the word or number at the end of a text; the text's length if it ends with neither."""
    place = len(text)
    for match in _word_pattern().finditer(text):
        place = match.start()
    place = place if text[place:] and not text[-1].isspace() else len(text)
    return place if text[place : place + 1].isalnum() else len(text)


def _after_last_space(text):
    """Return the place after the last white space of Unicode."""
    return len(text) - len(text.split()[-1]) if text and not text[-1].isspace() else len(text)


def split_whitespace(text):
    r"""Cut a text at the white space of ASCII.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str

    Examples
    --------
    >>> split_whitespace("10\u00a0000 inhabitants")
    ['10\xa0000', 'inhabitants']
    """
    if text.isascii() and text.isprintable():  # the common case, in which str.split does the same
        return text.split()
    # str.split also separates at other white space of Unicode; bytes.split does not.
    words = b" ".join(text.encode("utf-8", errors="surrogatepass").split())
    return words.decode("utf-8", errors="surrogatepass").split(" ") if words else []


def _after_last_ascii_space(text):
    words = split_whitespace(text)
    return len(text) - len(words[-1]) if words and text.endswith(words[-1]) else len(text)


def _split_bytes(text):
    return list(text.encode("utf-8", errors="surrogatepass").decode("latin-1"))


def _join_bytes(tokens):
    return "".join(tokens).encode("latin-1", errors="replace").decode("utf-8", errors="replace")


def _offsets_of_bytes(text, tokens):
    """Return the place of each byte's character."""
    lengths = [len(character.encode("utf-8", errors="surrogatepass")) for character in text]
    return [(place, place + 1) for place, length in enumerate(lengths) for _ in range(length)]


TOKENIZERS = {
    "words": Tokenizer(_split_words, _join_words, _last_word),
    "whitespace": Tokenizer(split_whitespace, " ".join, _after_last_ascii_space),
    "chars": Tokenizer(list, "".join),
    "bytes": Tokenizer(_split_bytes, _join_bytes, offsets=_offsets_of_bytes),
}


def get_tokenizer(tokenizer):
    """Return the tokenizer that an estimator's parameter `tokenizer` names.

    Parameters
    ----------
    tokenizer : {"words", "whitespace", "chars", "bytes"}, callable or tokenizers.Tokenizer
        - "words": words, numbers and punctuation marks. A word keeps its inner apostrophes and hyphens (``don't``,
          ``well-known``), a number its inner points, commas and colons (``1,000.5``). Every other sign is a token, but
          runs of points or hyphens and ``<unk>`` stay together.
        - "whitespace": the text between the white space of ASCII (space, tab, line ends, vertical tab, form feed).
          Nothing else separates, as in KenLM: a no-break space does not.
        - "chars": every character, spaces included.
        - "bytes": every byte of the text in UTF-8, as the character with its number: 256 tokens for any language.
        - a callable takes a text and returns its tokens as a list of str.
        - an object of the library tokenizers cuts into subwords, see `train_subwords`. It adds no special tokens.

    Returns
    -------
    Tokenizer
        A named tuple with the functions ``split`` and ``join`` among others. A callable's tokens are joined with
        spaces.

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
        return Tokenizer(tokenizer, " ".join, _after_last_space)
    if is_subword_tokenizer(tokenizer):
        return Tokenizer(*subword_functions(tokenizer), spaces_lead=True, offsets=subword_offsets(tokenizer))
    if not isinstance(tokenizer, str) or tokenizer not in TOKENIZERS:
        names = ", ".join(map(repr, TOKENIZERS))
        raise ValueError(
            f"tokenizer must be {names}, a callable or a tokenizers.Tokenizer, "
            f"got {shown(tokenizer)}{did_you_mean(tokenizer, TOKENIZERS)}"
        )
    return TOKENIZERS[tokenizer]
