"""Writing of ARPA files."""

import pathlib

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.arpa.characters import LETTER_E, LF, LOG_ZERO, MINUS, POINT, SPACE, TAB, ZERO
from fastrnn.text.word_table import WordTable
from fastrnn.utils.files import open_compressed, replaced_file

_BLOCK_ROWS = 1 << 16  # n-grams written at once
_NUMBER_BYTES = 24  # more than a float32 takes
_SEPARATORS = frozenset("\0\t\n\r ")


def write_arpa(path, tokens, levels):
    """Write an ARPA file, whole or not at all.

    Parameters
    ----------
    path : str or os.PathLike
        The file, which is replaced if it exists. It is compressed if its name ends in ``.gz``, ``.bz2`` or ``.xz``.
    tokens : list of str
        The tokens in the order of their ids.
    levels : list of (ids, log_probs, log_backoffs)
        For each order k: the n-grams, int32 (n, k); log10 of their probabilities, float32 (n,); log10 of their
        backoffs, float32 (n,) or None. Numbers get the fewest digits that tell them apart from all other float32
        numbers.

    Raises
    ------
    ValueError
        An ARPA file cannot hold a token: it is empty or contains white space.
    """
    for token in tokens:
        if not token or _SEPARATORS.intersection(token):
            raise ValueError(
                f"The token {token!r} cannot be written to an ARPA file, where white space separates words: "
                "replace it in the text, by '_' for instance."
            )
    words = WordTable.of(token.encode(errors="surrogatepass") for token in tokens)
    with replaced_file(path) as temporary, open_compressed(temporary, pathlib.Path(path).suffix) as file:
        counts = "".join(f"ngram {k}={len(ids)}\n" for k, (ids, *_) in enumerate(levels, start=1))
        file.write(f"\\data\\\n{counts}".encode())
        for k, (ids, log_probs, log_backoffs) in enumerate(levels, start=1):
            file.write(f"\n\\{k}-grams:\n".encode())
            log_backoffs = np.empty(0, np.float32) if log_backoffs is None else log_backoffs
            for begin in range(0, len(ids), _BLOCK_ROWS):
                rows = slice(begin, begin + _BLOCK_ROWS)
                file.write(_format_rows(ids[rows], log_probs[rows], log_backoffs[rows], words))
        file.write(b"\n\\end\\\n")


def _format_rows(ids, log_probs, log_backoffs, words):
    """Return the lines of some n-grams, uint8 (n_bytes,)."""
    n_bytes = np.diff(words.starts)[ids].sum() + len(ids) * (ids.shape[1] + 2 * _NUMBER_BYTES)
    text = np.empty(n_bytes, np.uint8)
    return text[: _put_rows(ids, log_probs, log_backoffs, words, text)]


@kernel
def _put_rows(
    ids,  # int32 (n, k)
    log_probs,  # float32 (n,)
    log_backoffs,  # float32 (n,), or (0,) for none
    words,
    text,  # uint8: output
):
    """Write the lines of some n-grams; return their bytes."""
    at = 0
    for row in range(len(ids)):
        at = _put_number(min(log_probs[row], np.float32(0)), text, at)  # rounding may have made it positive
        for column in range(ids.shape[1]):
            text[at] = SPACE if column else TAB
            at += 1
            word = ids[row, column]
            for i in range(words.starts[word], words.starts[word + 1]):
                text[at] = words.text[i]
                at += 1
        if len(log_backoffs):
            text[at] = TAB
            at = _put_number(log_backoffs[row], text, at + 1)
        text[at] = LF
        at += 1
    return at


@kernel(cache=False)
def _shortest_decimal(size):
    """Return the integers `digits` and `places` with the fewest digits for which float32(digits / 10**places) = size.

    `size` is above 0.
    """
    size = np.float64(size)
    exponent = np.int64(np.floor(np.log10(size)))
    digits = places = 0
    for n_digits in range(6, 11):  # 9 are enough, but the exponent may be one too high
        places = n_digits - 1 - exponent
        scale = 10.0 ** abs(places)
        digits = np.int64(np.rint(size * scale if places >= 0 else size / scale))
        if np.float32(digits / scale if places >= 0 else digits * scale) == np.float32(size):
            break
    while digits % 10 == 0:
        digits //= 10
        places -= 1
    return digits, places


@kernel(cache=False)
def _put_number(value, text, at):
    """Write a float32 at a place of `text`; return the end."""
    if value < 0:
        text[at] = MINUS
        at += 1
    if value == 0:
        text[at] = ZERO
        return at + 1
    if np.isinf(value):
        return _put_decimal(-LOG_ZERO, 0, text, at)
    digits, places = _shortest_decimal(abs(value))
    exponent = _count_digits(digits) - 1 - places
    if -7 < exponent < 15:
        return _put_decimal(digits, places, text, at)
    at = _put_decimal(digits, exponent + places, text, at)
    text[at], text[at + 1] = LETTER_E, MINUS
    return _put_decimal(abs(exponent), 0, text, at + 2 if exponent < 0 else at + 1)


@kernel(cache=False)
def _count_digits(number):
    n = 1
    while number >= 10:
        number //= 10
        n += 1
    return n


@kernel(cache=False)
def _put_decimal(digits, places, text, at):
    """Write digits / 10**places without an exponent; return the end."""
    while places < 0:
        digits *= 10
        places += 1
    n_digits = max(_count_digits(digits), places + 1)
    end = place = at + n_digits + (places > 0)
    for i in range(n_digits):  # from the last one to the first
        if i == places and i > 0:
            place -= 1
            text[place] = POINT
        place -= 1
        text[place] = ZERO + digits % 10
        digits //= 10
    return end
