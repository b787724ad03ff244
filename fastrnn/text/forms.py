"""Written forms of words: what they are called in a table of vectors, their characters, and their shapes."""

import itertools
import re
from typing import NamedTuple

import numpy as np

from fastrnn.text.tokens import SPECIAL_TOKENS, UNK_ID
from fastrnn.utils.ragged import offsets_of

_DIGIT = re.compile(r"\d")
_KINDS = (  # words of GloVe's vectors for tweets, and the forms that they stand for
    ("<user>", re.compile(r"@\w+")),
    ("<url>", re.compile(r"(https?:|www\.).+", re.IGNORECASE)),
    ("<hashtag>", re.compile(r"#\w+")),
    ("<number>", re.compile(r"[-+]?[.,:/\d]*\d[.,:/\d]*")),
)
_LONGEST_SHAPE = 8
_UPPER, _LOWER, _DIGITS = ord("X"), ord("x"), ord("d")


class CodePoints(NamedTuple):
    """The characters of several forms, one form after another.

    Attributes
    ----------
    values : uint32 array (N,)
    offsets : int64 array (n + 1,)
        Form i is ``values[offsets[i]:offsets[i + 1]]``.
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, forms):
        """Return the characters of a list of strings."""
        lengths = np.fromiter(map(len, forms), np.int64, len(forms))
        values = np.frombuffer("".join(forms).encode("utf-32-le", errors="surrogatepass"), np.uint32)
        return cls(values, offsets_of(lengths))

    def cut(self, most):
        """Return the first and the last characters of each form, `most` (even) in all at most.

        Examples
        --------
        >>> import numpy as np
        >>> cut = CodePoints.of(["abc", "abcdefg"]).cut(4)
        >>> "".join(map(chr, cut.values)), cut.offsets
        ('abcabfg', array([0, 3, 7]))
        """
        lengths = np.diff(self.offsets)
        if lengths.max(initial=0) <= most:
            return self
        place = np.arange(len(self.values)) - np.repeat(self.offsets[:-1], lengths)
        is_kept = (place < most // 2) | (place >= np.repeat(lengths, lengths) - most // 2)
        is_kept |= np.repeat(lengths <= most, lengths)
        return CodePoints(self.values[is_kept], offsets_of(np.minimum(lengths, most)))


def word_ids(forms, vocabulary):
    """Return the words by which forms are found in a vocabulary.

    The first of these that is known counts: the form; the form in lower case; both with 0 for every digit, or # as in
    word2vec's vectors of news; ``<user>``, ``<url>``, ``<hashtag>`` and ``<number>`` of GloVe's vectors of tweets.

    Parameters
    ----------
    forms : list of str
    vocabulary : Vocabulary

    Returns
    -------
    int32 array (n,)
        ``unk_id`` where nothing is known.

    Examples
    --------
    >>> from fastrnn.text import Vocabulary
    >>> vocabulary = Vocabulary.from_tokens(["US", "us", "rome", "00th", "<url>"])
    >>> vocabulary.decode(word_ids(["US", "Us", "ROME", "19th", "www.rome.it", "Paris"], vocabulary))
    ['US', 'us', 'rome', '00th', '<url>', '<unk>']
    """
    ids, places = np.full(len(forms), UNK_ID, np.int32), np.arange(len(forms))

    def look_up(chosen, words):
        found = vocabulary.encode(words)
        ids[chosen] = np.where(found < len(SPECIAL_TOKENS), UNK_ID, found)
        return chosen[ids[chosen] == UNK_ID].tolist()

    rest = look_up(places, forms)
    rest = look_up(np.array(rest, np.intp), [forms[i].lower() for i in rest])
    numeric = [i for i in rest if _DIGIT.search(forms[i])]
    for form_of in (str, str.lower):
        for digit in "0#":
            words = [_DIGIT.sub(digit, form_of(forms[i])) for i in numeric]
            numeric = look_up(np.array(numeric, np.intp), words)
    for word, pattern in _KINDS:
        if word in vocabulary:
            chosen = [i for i in rest if ids[i] == UNK_ID and pattern.fullmatch(forms[i])]
            look_up(np.array(chosen, np.intp), [word] * len(chosen))
    return ids


def with_zeros(form):
    """Return a form with 0 for every digit.

    Examples
    --------
    >>> with_zeros("Boeing-747s")
    'Boeing-000s'
    """
    return _DIGIT.sub("0", form)


def shapes(forms):
    """Return the shapes of forms: X, x and d for runs of capitals, other letters and digits; other characters stay.

    Parameters
    ----------
    forms : CodePoints

    Returns
    -------
    list of str
        The first 8 characters of each shape.

    Examples
    --------
    >>> shapes(CodePoints.of(["McDonald", "F-16s", "http://t.co", "!!!", ""]))
    ['XxXx', 'X-dx', 'x:/x.x', '!', '']
    """
    values, offsets = forms
    kinds = _kinds(values)
    begins = np.ones(len(values), bool)  # whether a character begins a run
    begins[1:] = kinds[1:] != kinds[:-1]
    begins[offsets[:-1][offsets[:-1] < len(values)]] = True
    ends = offsets_of(begins)[offsets].tolist()
    runs = kinds[begins].tobytes().decode("utf-32-le", errors="surrogatepass")
    return [runs[first : min(last, first + _LONGEST_SHAPE)] for first, last in itertools.pairwise(ends)]


def _kinds(values):
    """Return X, x or d for each character that is a letter or a digit, as uint32; others stay."""
    distinct, places = np.unique(values, return_inverse=True)
    kinds = distinct.copy()
    for i, character in enumerate(map(chr, distinct.tolist())):
        if character.isdigit():
            kinds[i] = _DIGITS
        elif character.isalpha():
            kinds[i] = _UPPER if character.isupper() or character.istitle() else _LOWER
    return kinds[places]
