"""Text is brought into one form before it is tokenized: surrogates, normal forms of Unicode, lower case."""

import unicodedata

from fastrnn.text.reading import check_encoding
from fastrnn.utils.checks import check_choice

NORMAL_FORMS = ("NFC", "NFKC", "NFD", "NFKD")


def preprocess(text, lowercase=False, normalize=None):
    """Return a text in the form that tokenizers receive.

    Parameters
    ----------
    text : str
    lowercase : bool
        Whether to convert the text to lower case.
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None
        Normal form of Unicode. It makes an accented letter the same whether the accent is a character of its own or
        not. The forms with K also replace variants: ligatures, full-width letters, superscripts.

    Returns
    -------
    str
        A pair of surrogates becomes the character that it encodes, so that files preserve what was learned. A single
        surrogate stays: half of an emoji that was cut, for instance.

    Examples
    --------
    >>> preprocess("ﬁne ＡＢＣ", lowercase=True, normalize="NFKC")
    'fine abc'
    """
    if has_surrogates(text):
        text = text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="surrogatepass")
    if normalize is not None:
        text = unicodedata.normalize(normalize, text)
    if not lowercase:
        return text
    # Lower case may leave the normal form, and the normal form of a variant may be in upper case.
    return text.lower() if normalize is None else unicodedata.normalize(normalize, text.lower())


def without_surrogates(text):
    r"""Return a text with a replacement character for each single surrogate, which cannot be shown or encoded.

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
    if not has_surrogates(text):
        return text
    return text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="replace")


def has_surrogates(text):
    r"""Return whether a text contains surrogates, in pairs or alone.

    Examples
    --------
    >>> has_surrogates("naïve"), has_surrogates("cut \ud83d")
    (False, True)
    """
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def check_preprocessing(normalize, encoding):
    """Raise ValueError if an estimator's parameter `normalize` or `encoding` is wrong."""
    check_choice("normalize", normalize, (None, *NORMAL_FORMS))
    check_encoding(encoding)
