r"""ARPA files: n-gram models as text, in the format that every toolkit reads and writes.

::

    \data\
    ngram 1=3
    ngram 2=1

    \1-grams:
    -0.5	<s>	-0.2
    ...

    \2-grams:
    -0.1	<s> the

    \end\

A line of an n-gram has log10 of its probability, its words and log10 of its backoff, which may be missing. By
convention -99 is log10 of 0. Words are in UTF-8, and so is half of a pair of surrogates, if a word has one in it.
"""

import bz2
import codecs
import contextlib
import gzip
import itertools
import lzma
import pathlib
import re
import zlib
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.text.reading import decompressed
from fastrnn.text.tokens import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNK_ID
from fastrnn.text.word_table import WordTable, find_word
from fastrnn.utils.files import replaced_file

_BLOCK_BYTES = 1 << 23  # of the file, read at once
_BLOCK_ROWS = 1 << 16  # n-grams written at once
_NUMBER_BYTES = 24  # more than a float32 takes
_LOG_ZERO = -99
_SHOWN = 60  # characters of a line in a message

_TAB, _LF, _CR, _SPACE = b"\t\n\r "
_PLUS, _MINUS, _POINT, _ZERO, _NINE, _E, _I, _N, _F = b"+-.09einf"
_SEPARATORS = frozenset("\0\t\n\r ")

_SPECIAL_WORDS = [token.encode() for token in SPECIAL_TOKENS]
_UPPER_UNK = b"<UNK>"  # how some toolkits write <unk>


class ArpaFile(NamedTuple):
    """Content of an ARPA file.

    Attributes
    ----------
    tokens : list of str
        The tokens as a `Vocabulary` has them: the special ones, then the others in the order of the file.
    levels : list of (ids, log_probs, log_backoffs)
        For each order k: int32 array (n, k), the n-grams; float32 arrays (n,), log10 of probabilities and of backoffs.
    lines : list of int
        For each order the number of the line of its first n-gram.
    """

    tokens: list
    levels: list
    lines: list


# ----- reading ------------------------------------------------------------------------------------------------------


def read_arpa(path):
    """Read an ARPA file.

    Parameters
    ----------
    path : str or os.PathLike
        The file: plain text or compressed with gzip, bzip2 or xz, whatever its name.

    Returns
    -------
    ArpaFile

    Raises
    ------
    ValueError
        If it is no ARPA file, or a damaged one. The message names the line.
    """
    with open(path, "rb") as raw:
        lines = _Lines(path, decompressed(raw))
        counts, line = _read_counts(lines)
        tokens, words, levels, starts = [], None, [], []
        for k, count in enumerate(counts, start=1):
            lines.require(line, rf"\{k}-grams:".encode())
            starts.append(lines.number)
            if k == 1:
                tokens, words, level = _read_unigrams(lines)
            else:
                level = _read_level(lines, k, words)
            if len(level[0]) != count:
                lines.fail(f"there are {len(level[0])} {k}-grams, \\data\\ says {count}")
            levels.append(level)
            line = lines.next()
        lines.require(line, rb"\end" + b"\\")
    return ArpaFile(tokens, levels, starts)


class _Lines:
    """The lines of a file, read in large blocks."""

    def __init__(self, path, file):
        self.path = path
        self.data = b""  # whole lines, and
        self.position = 0  # the first of them that is not done,
        self.number = 1  # with its number
        self._file = file
        self._rest = b""  # the beginning of the line after them

    def more(self):
        """Return whether there are more lines; have at least one in `data` if so."""
        if self.position == len(self.data):
            self.data = self._read_block()
            self.position = 0
        return len(self.data) > 0

    def _read_block(self):
        try:
            data = self._rest + self._file.read(_BLOCK_BYTES)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise ValueError(f"{self.path} is a damaged or truncated compressed file: {error}.") from None
        if len(data) < len(self._rest) + _BLOCK_BYTES and not data.endswith(b"\n") and data:  # the end of the file
            data += b"\n"
        end = data.rfind(b"\n") + 1
        if data and not end:
            self.fail(f"the line is longer than {_BLOCK_BYTES} bytes")
        self._rest = data[end:]
        return data[:end]

    def peek(self):
        """Return the line at the position without white space around it."""
        return self.data[self.position : self.data.find(b"\n", self.position)].strip(b" \t\r")

    def next(self):
        """Return the next line that is not empty, b"" at the end of the file."""
        while self.more():
            line = self.peek()
            self.position = self.data.find(b"\n", self.position) + 1
            self.number += 1
            if line:
                return line
        return b""

    def require(self, line, wanted):
        """Raise ValueError unless `line`, the one before the position, is the one that is wanted."""
        if line != wanted:
            got = f"got {_show(line)}" if line else "the file ends before it: it is truncated"
            self.fail(f"expected {wanted.decode()}, {got}", self.number - 1)

    def fail(self, message, number=None):
        """Raise ValueError about a line, the one at the position if none is given."""
        raise ValueError(f"{self.path}, line {self.number if number is None else number}: {message}.")


def _show(text):
    """Return bytes of a file as they can stand in a message."""
    text = text.decode(errors="backslashreplace")
    return repr(text[:_SHOWN] + "…" if len(text) > _SHOWN else text).replace(r"\\", "\\")


def _read_counts(lines):
    r"""Read up to the first section; return how many n-grams of each order \data\ says there are, and the next line."""
    while (line := lines.next().removeprefix(codecs.BOM_UTF8)) != rb"\data" + b"\\":
        if not line:
            raise ValueError(f"{lines.path} is no ARPA file: it has no line \\data\\.")
    counts = []
    while match := re.fullmatch(rb"ngram[ \t\r]+(\d{1,4})[ \t\r]*=[ \t\r]*(\d{1,18})", line := lines.next()):
        if int(match[1]) != len(counts) + 1:
            lines.fail(f"expected ngram {len(counts) + 1}=…, got {_show(line)}", lines.number - 1)
        counts.append(int(match[2]))
    if not counts:
        lines.fail(f"expected ngram 1=…, got {_show(line)}", lines.number - 1)
    return counts, line


def _read_rows(lines, k):
    """Read the n-grams of a section.

    Yields
    ------
    spans : int64 array (n, k, 2)
        Where the words begin and end in ``lines.data``.
    values : float32 array (n, 2)
        log10 of probabilities and of backoffs.
    """
    while lines.more():
        block = np.frombuffer(lines.data, np.uint8)[lines.position :]
        n_lines = np.count_nonzero(block == _LF)
        spans, values = np.empty((n_lines, k, 2), np.int64), np.empty((n_lines, 2), np.float32)
        n, end = _split_rows(block, spans, values)
        spans += lines.position
        yield spans[:n], values[:n]
        lines.position += end
        lines.number += n
        if lines.position < len(lines.data):
            line = lines.peek()
            if line and not line.startswith(b"\\"):
                lines.fail(f"expected log10 of a probability, {k} words, perhaps log10 of a backoff, got {_show(line)}")
            return


def _read_unigrams(lines):
    """Read the unigrams; return all tokens, the `WordTable` that longer n-grams are looked up in, and the level."""
    start = lines.number
    words, values = [], [np.empty((0, 2), np.float32)]
    for spans, part in _read_rows(lines, 1):
        words += [lines.data[begin:end] for begin, end in spans[:, 0].tolist()]
        values.append(part)
    known = dict(zip(_SPECIAL_WORDS, range(len(_SPECIAL_WORDS)), strict=True))
    if _UPPER_UNK in words and _SPECIAL_WORDS[UNK_ID] not in words:
        known = {_UPPER_UNK if word == _SPECIAL_WORDS[UNK_ID] else word: number for word, number in known.items()}
    ids = np.fromiter((known.setdefault(word, len(known)) for word in words), np.int32, len(words))
    _check_words(lines, words, ids, start)
    tokens = [*SPECIAL_TOKENS, *map(_decode, itertools.islice(known, len(SPECIAL_TOKENS), None))]
    return tokens, WordTable.of(known), _level(ids[:, np.newaxis], values)


def _decode(word):
    """Return a word as a str, None if it is no text in UTF-8."""
    try:
        return word.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return None


def _check_words(lines, words, ids, start):
    """Raise ValueError about a unigram that cannot be one; `start` is the number of the first one's line."""
    once = np.zeros(len(ids), bool)
    once[np.unique(ids, return_index=True)[1]] = True
    if not once.all():
        row = int(np.argmin(once))
        lines.fail(f"{_show(words[row])} stands twice among the 1-grams", start + row)
    for number in (START_ID, END_ID):
        if number not in ids:
            lines.fail(f"the 1-grams have no {SPECIAL_TOKENS[number]}")
    for row, word in enumerate(words):
        if b"\0" in word or _decode(word) is None:
            lines.fail(f"{_show(word)} is no text in UTF-8", start + row)
        if word == _SPECIAL_WORDS[PAD_ID]:
            lines.fail(f"the word {SPECIAL_TOKENS[PAD_ID]} is reserved", start + row)


def _read_level(lines, k, words):
    """Read the n-grams of order k > 1; return the level."""
    ids, values = [np.empty((0, k), np.int32)], [np.empty((0, 2), np.float32)]
    for spans, part in _read_rows(lines, k):
        ids.append(np.empty((len(part), k), np.int32))
        row, column = _find_words(np.frombuffer(lines.data, np.uint8), spans, words, ids[-1])
        if row < len(part):
            begin, end = spans[row, column].tolist()
            lines.fail(f"{_show(lines.data[begin:end])} is not among the 1-grams", lines.number + row)
        values.append(part)
    return _level(np.concatenate(ids), values)


def _level(ids, values):
    values = np.concatenate(values)
    return ids, values[:, 0].copy(), values[:, 1].copy()


def find_twice(file):
    """Return where an n-gram stands for the second time.

    Parameters
    ----------
    file : ArpaFile

    Returns
    -------
    line : int or None
        The number of the line; None if all n-grams are different.
    """
    for (ids, *_), start in zip(file.levels, file.lines, strict=True):
        once = np.zeros(len(ids), bool)
        once[np.unique(ids, axis=0, return_index=True)[1]] = True
        if not once.all():
            return start + int(np.argmin(once))
    return None


@kernel
def _find_words(
    text,  # uint8
    spans,  # int64 (n, k, 2): where words begin and end in the text
    words,
    ids,  # int32 (n, k): output
):
    """Find the numbers of words; return the row and column of the first one that is unknown, or (n, 0)."""
    for row in range(len(spans)):
        for column in range(spans.shape[1]):
            ids[row, column] = find_word(words, text, spans[row, column, 0], spans[row, column, 1])
            if ids[row, column] < 0:
                return row, column
    return len(spans), 0


@kernel(cache=False)
def _is_space(byte):
    return byte in (_SPACE, _TAB, _CR)


@kernel(cache=False)
def _skip_spaces(text, at):
    while _is_space(text[at]):
        at += 1
    return at


@kernel(cache=False)
def _skip_word(text, at):
    while text[at] != _LF and not _is_space(text[at]):
        at += 1
    return at


@kernel
def _split_rows(
    text,  # uint8: lines, the last one ends too
    spans,  # int64 (n_lines, k, 2): output, where words begin and end
    values,  # float32 (n_lines, 2): output, log10 of probabilities and backoffs
):
    """Cut lines of n-grams into fields, up to the end or a line that is none; return how many, and the end."""
    row = at = 0
    while at < len(text):
        line = at
        log_prob, at = _read_number(text, _skip_spaces(text, at))
        if at < 0 or log_prob > 0:
            return row, line
        for column in range(spans.shape[1]):
            begin = _skip_spaces(text, at)
            at = _skip_word(text, begin)
            if at == begin:
                return row, line
            spans[row, column, 0], spans[row, column, 1] = begin, at
        at = _skip_spaces(text, at)
        backoff = 0.0
        if text[at] != _LF:
            backoff, at = _read_number(text, at)
            if at < 0 or backoff == np.inf or text[_skip_spaces(text, at)] != _LF:
                return row, line
            at = _skip_spaces(text, at)
        values[row, 0] = log_prob if log_prob != _LOG_ZERO else -np.inf
        values[row, 1] = backoff if backoff != _LOG_ZERO else -np.inf
        row += 1
        at += 1
    return row, at


@kernel(cache=False)
def _read_digits(text, at):
    """Return the digits at a place as a number, how many of them stand behind a point, and the end, -1 if none."""
    digits = places = n = 0
    behind_point = False
    while _ZERO <= text[at] <= _NINE or (text[at] == _POINT and not behind_point):
        if text[at] == _POINT:
            behind_point = True
        else:
            n += 1
            if digits < 10**17:
                digits = 10 * digits + np.int64(text[at]) - _ZERO
                places += behind_point
            else:  # too far behind to make a difference
                places -= not behind_point
        at += 1
    return digits, places, at if n else -1


@kernel(cache=False)
def _read_number(text, at):
    """Return the number that stands as a field at a place and its end; -1 if it is no number, or NaN."""
    sign = -1.0 if text[at] == _MINUS else 1.0
    if text[at] == _MINUS or text[at] == _PLUS:
        at += 1
    if text[at] | 32 == _I and text[at + 1] | 32 == _N and text[at + 2] | 32 == _F:  # in upper or lower case
        return sign * np.inf, at + 3 if text[at + 3] == _LF or _is_space(text[at + 3]) else -1
    digits, places, at = _read_digits(text, at)
    if at >= 0 and text[at] | 32 == _E:
        negative = text[at + 1] == _MINUS
        power, more, at = _read_digits(text, at + 2 if negative or text[at + 1] == _PLUS else at + 1)
        if more or text[at - 1] == _POINT:
            return 0.0, -1
        places += min(power, 9999) if negative else -min(power, 9999)
    if at < 0 or not (text[at] == _LF or _is_space(text[at])):
        return 0.0, -1
    # Up to 10 ** 22 powers of ten are exact, so that the quotient is rounded once.
    size = digits / 10.0**places if places >= 0 else digits * 10.0**-places
    return sign * size if digits else 0.0, at


# ----- writing ------------------------------------------------------------------------------------------------------


def write_arpa(path, tokens, levels):
    """Write an ARPA file, whole or not at all.

    Parameters
    ----------
    path : str or os.PathLike
        The file, which is replaced if it exists. It is compressed if its name ends in ``.gz``, ``.bz2`` or ``.xz``.
    tokens : list of str
        The tokens in the order of their ids.
    levels : list of (ids, log_probs, log_backoffs)
        For each order k: int32 array (n, k), the n-grams; float32 array (n,), log10 of their probabilities; float32
        array (n,), log10 of their backoffs, or None. Numbers are written with as few digits as tell them apart from
        all other float32 numbers.

    Raises
    ------
    ValueError
        If a token cannot stand in such a file, because it is empty or has white space in it.
    """
    for token in tokens:
        if not token or _SEPARATORS.intersection(token):
            raise ValueError(
                f"The token {token!r} cannot stand in an ARPA file, where white space separates words: "
                "replace it in the text, by '_' for instance."
            )
    words = WordTable.of(token.encode(errors="surrogatepass") for token in tokens)
    with replaced_file(path) as temporary, _compressed(temporary, pathlib.Path(path).suffix) as file:
        counts = "".join(f"ngram {k}={len(ids)}\n" for k, (ids, *_) in enumerate(levels, start=1))
        file.write(f"\\data\\\n{counts}".encode())
        for k, (ids, log_probs, log_backoffs) in enumerate(levels, start=1):
            file.write(f"\n\\{k}-grams:\n".encode())
            log_backoffs = np.empty(0, np.float32) if log_backoffs is None else log_backoffs
            for begin in range(0, len(ids), _BLOCK_ROWS):
                rows = slice(begin, begin + _BLOCK_ROWS)
                file.write(_format_rows(ids[rows], log_probs[rows], log_backoffs[rows], words))
        file.write(b"\n\\end\\\n")


@contextlib.contextmanager
def _compressed(path, suffix):
    """Open a file to write to it, through what the suffix asks for."""
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(open(path, "wb"))
        if suffix == ".gz":
            yield stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0))  # the same bytes each time
        elif suffix == ".bz2":
            yield stack.enter_context(bz2.BZ2File(raw, "wb"))
        elif suffix == ".xz":
            yield stack.enter_context(lzma.LZMAFile(raw, "wb", preset=1))  # the default takes ten times as long
        else:
            yield raw


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
    """Write the lines of some n-grams; return how many bytes they take."""
    at = 0
    for row in range(len(ids)):
        at = _put_number(min(log_probs[row], np.float32(0)), text, at)  # some round to just above it
        for column in range(ids.shape[1]):
            text[at] = _SPACE if column else _TAB
            at += 1
            word = ids[row, column]
            for i in range(words.starts[word], words.starts[word + 1]):
                text[at] = words.text[i]
                at += 1
        if len(log_backoffs):
            text[at] = _TAB
            at = _put_number(log_backoffs[row], text, at + 1)
        text[at] = _LF
        at += 1
    return at


@kernel(cache=False)
def _shortest_decimal(size):
    """Return integers, digits and places, so that of all float32 numbers `size` is the one at digits / 10**places.

    As few digits as that takes; `size` is above 0.
    """
    size = np.float64(size)
    exponent = np.int64(np.floor(np.log10(size)))
    digits = places = 0
    for n_digits in range(6, 11):  # 9 are always enough, but the exponent may be one too high
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
        text[at] = _MINUS
        at += 1
    if value == 0:
        text[at] = _ZERO
        return at + 1
    if np.isinf(value):
        return _put_decimal(-_LOG_ZERO, 0, text, at)
    digits, places = _shortest_decimal(abs(value))
    exponent = _count_digits(digits) - 1 - places
    if -7 < exponent < 15:
        return _put_decimal(digits, places, text, at)
    at = _put_decimal(digits, exponent + places, text, at)
    text[at], text[at + 1] = _E, _MINUS
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
            text[place] = _POINT
        place -= 1
        text[place] = _ZERO + digits % 10
        digits //= 10
    return end
