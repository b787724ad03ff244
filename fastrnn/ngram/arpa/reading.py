"""Reading of ARPA files."""

import codecs
import itertools
import lzma
import re
import zlib
from typing import NamedTuple

import numpy as np

from fastrnn._jit import kernel
from fastrnn.ngram.arpa.characters import (
    CR,
    LETTER_E,
    LETTER_F,
    LETTER_I,
    LETTER_N,
    LF,
    LOG_ZERO,
    MINUS,
    NINE,
    PLUS,
    POINT,
    SPACE,
    TAB,
    ZERO,
)
from fastrnn.text.reading import decompressed
from fastrnn.text.tokens import END_ID, PAD_ID, SPECIAL_TOKENS, START_ID, UNK_ID
from fastrnn.text.word_table import WordTable, find_word

_BLOCK_BYTES = 1 << 23  # of the file, read at once
_SHOWN = 60  # characters of a line in a message

_SPECIAL_WORDS = [token.encode() for token in SPECIAL_TOKENS]
_UPPER_UNK = b"<UNK>"  # <unk> as some toolkits write it


class ArpaFile(NamedTuple):
    """Content of an ARPA file.

    Attributes
    ----------
    tokens : list of str
        The tokens as a `Vocabulary` has them: the special ones, then the others in the order of the file.
    levels : list of (ids, log_probs, log_backoffs)
        For each order k: the n-grams, int32 (n, k); log10 of their probabilities and of their backoffs, float32 (n,).
    lines : list of int
        For each order, the line number of its first n-gram.
    """

    tokens: list
    levels: list
    lines: list


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
        The file is not an ARPA file, or damaged; the message names the line.
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
        self.data = b""  # whole lines
        self.position = 0  # in `data`: the first line that has not been read
        self.number = 1  # the number of that line
        self._file = file
        self._rest = b""  # the beginning of the line after `data`

    def more(self):
        """Return whether there are more lines; if so, `data` holds at least one."""
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
        """Raise ValueError unless `line`, the last one read, is the wanted one."""
        if line != wanted:
            got = f"got {_show(line)}" if line else "the file ends before it: it is truncated"
            self.fail(f"expected {wanted.decode()}, {got}", self.number - 1)

    def fail(self, message, number=None):
        """Raise ValueError about the line of this number, or about the line at the position."""
        raise ValueError(f"{self.path}, line {self.number if number is None else number}: {message}.")


def _show(text):
    """Return bytes of a file in a form that fits into a message."""
    text = text.decode(errors="backslashreplace")
    return repr(text[:_SHOWN] + "…" if len(text) > _SHOWN else text).replace(r"\\", "\\")


def _read_counts(lines):
    r"""Read the section \data\; return the numbers of n-grams of each order, and the line after it."""
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
        Begin and end of each word in ``lines.data``.
    values : float32 array (n, 2)
        log10 of probabilities and of backoffs.
    """
    while lines.more():
        block = np.frombuffer(lines.data, np.uint8)[lines.position :]
        n_lines = np.count_nonzero(block == LF)
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
    """Return a word as a str, or None if it is no UTF-8."""
    try:
        return word.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return None


def _check_words(lines, words, ids, start):
    """Raise ValueError about a word that cannot be a unigram; `start` is the line number of the first unigram."""
    once = np.zeros(len(ids), bool)
    once[np.unique(ids, return_index=True)[1]] = True
    if not once.all():
        row = int(np.argmin(once))
        lines.fail(f"{_show(words[row])} occurs twice among the 1-grams", start + row)
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
    """Find an n-gram that occurs twice in a file.

    Parameters
    ----------
    file : ArpaFile

    Returns
    -------
    line : int or None
        The line number of its second occurrence; None if all n-grams differ.
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
    """Look words up; return the row and column of the first unknown one, or (n, 0)."""
    for row in range(len(spans)):
        for column in range(spans.shape[1]):
            ids[row, column] = find_word(words, text, spans[row, column, 0], spans[row, column, 1])
            if ids[row, column] < 0:
                return row, column
    return len(spans), 0


@kernel(cache=False)
def _is_space(byte):
    return byte in (SPACE, TAB, CR)


@kernel(cache=False)
def _skip_spaces(text, at):
    while _is_space(text[at]):
        at += 1
    return at


@kernel(cache=False)
def _skip_word(text, at):
    while text[at] != LF and not _is_space(text[at]):
        at += 1
    return at


@kernel
def _split_rows(
    text,  # uint8: whole lines, each with its end
    spans,  # int64 (n_lines, k, 2): output, where words begin and end
    values,  # float32 (n_lines, 2): output, log10 of probabilities and backoffs
):
    """Cut the lines of n-grams into fields, up to the first line of another form.

    Returns the number of these lines, and where they end.
    """
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
        if text[at] != LF:
            backoff, at = _read_number(text, at)
            if at < 0 or backoff == np.inf or text[_skip_spaces(text, at)] != LF:
                return row, line
            at = _skip_spaces(text, at)
        values[row, 0] = log_prob if log_prob != LOG_ZERO else -np.inf
        values[row, 1] = backoff if backoff != LOG_ZERO else -np.inf
        row += 1
        at += 1
    return row, at


@kernel(cache=False)
def _read_digits(text, at):
    """Read digits, perhaps with a point; return their number, the digits after the point, and the end or -1."""
    digits = places = n = 0
    after_point = False
    while ZERO <= text[at] <= NINE or (text[at] == POINT and not after_point):
        if text[at] == POINT:
            after_point = True
        else:
            n += 1
            if digits < 10**17:
                digits = 10 * digits + np.int64(text[at]) - ZERO
                places += after_point
            else:  # beyond the precision of float64
                places -= not after_point
        at += 1
    return digits, places, at if n else -1


@kernel(cache=False)
def _read_number(text, at):
    """Return the number in the field at a place and its end; the end is -1 if the field holds no number, or NaN."""
    sign = -1.0 if text[at] == MINUS else 1.0
    if text[at] == MINUS or text[at] == PLUS:
        at += 1
    # A letter in upper case is that in lower case without the bit 32.
    if text[at] | 32 == LETTER_I and text[at + 1] | 32 == LETTER_N and text[at + 2] | 32 == LETTER_F:
        return sign * np.inf, at + 3 if text[at + 3] == LF or _is_space(text[at + 3]) else -1
    digits, places, at = _read_digits(text, at)
    if at >= 0 and text[at] | 32 == LETTER_E:
        negative = text[at + 1] == MINUS
        power, more, at = _read_digits(text, at + 2 if negative or text[at + 1] == PLUS else at + 1)
        if more or text[at - 1] == POINT:
            return 0.0, -1
        places += min(power, 9999) if negative else -min(power, 9999)
    if at < 0 or not (text[at] == LF or _is_space(text[at])):
        return 0.0, -1
    # Powers of ten are exact up to 10 ** 22: the quotient is rounded once.
    size = digits / 10.0**places if places >= 0 else digits * 10.0**-places
    return sign * size if digits else 0.0, at
