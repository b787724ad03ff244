"""Files of the CoNLL shared tasks: a token a line with its columns, an empty line after each sentence."""

import itertools
import operator
import re
from typing import NamedTuple

from fastrnn.text.reading import name_of, open_lines
from fastrnn.text.tokenizers import split_whitespace
from fastrnn.text.writing import text_writer
from fastrnn.utils.checks import did_you_mean, shown

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_CONLLU_ID = re.compile(r"\d+([-.]\d+)?")  # "3-4" is a token of several words, "3.1" a word that was not written
_COMMENT = re.compile(r"#\s*(new(doc|par)\b|[\w.:-]+ = )")
_DOCUMENT = "-DOCSTART-"
_SPACE = " \t\n\r\f\v"


class Columns(NamedTuple):
    """Content of a file with columns.

    Attributes
    ----------
    name : str
        The file, for messages.
    sentences : list of sentences; a sentence is a list of rows, a row a list of str
        All rows have as many columns.
    width : int
        Number of columns; 0 if there is no row.
    is_conllu : bool
        Whether the columns are those of CoNLL-U.
    """

    name: str
    sentences: list
    width: int
    is_conllu: bool

    def tokens(self, token=None, columns=()):
        """Return the tokens of the sentences as X of `read_conll`."""
        places = [self._place(token, 1 if self.is_conllu else 0, "token")]
        places += [self._place(column, None, f"columns[{number}]") for number, column in enumerate(columns)]
        take = operator.itemgetter(*places)
        return [[take(row) for row in rows] for rows in self.sentences]

    def tags(self, tag=None):
        """Return the tags of the sentences as y of `read_conll`."""
        if self.width == 1 and tag is None:
            raise ValueError(f"{self.name} has one column, and no tags: give tag=False.")
        place = self._place(tag, 3 if self.is_conllu else -1, "tag")
        return [[row[place] for row in rows] for rows in self.sentences]

    def _place(self, column, default, argument):
        """Return the number of a column; raise ValueError, with the argument's name, if there is none.

        Parameters
        ----------
        column : int, str or None
            A number, from 0 on or negative from the end; a name of CoNLL-U.
        default : int
            The number for None.
        argument : str

        Returns
        -------
        int
        """
        column = default if column is None else column
        if isinstance(column, str):
            if not self.is_conllu:
                raise ValueError(
                    f"{argument} must be the number of a column, got {shown(column)}: {self.name} is not in CoNLL-U."
                )
            if column.lower() not in CONLLU:
                raise ValueError(
                    f"{argument} must be a column of CoNLL-U, {', '.join(CONLLU)}, got {shown(column)}"
                    f"{did_you_mean(column, CONLLU)}"
                )
            return CONLLU.index(column.lower())
        try:
            column = operator.index(column)
        except TypeError:
            raise ValueError(f"{argument} must be the number or the name of a column, got {shown(column)}.") from None
        if self.sentences and not -self.width <= column < self.width:
            raise ValueError(f"{argument}={column}: {self.name} has {self.width} column{'s' * (self.width > 1)}.")
        return column


def read_columns(name, lines):
    """Return the sentences of a file with columns; see `read_conll` for the format.

    Parameters
    ----------
    name : str
        The file, for messages.
    lines : iterable of str
        Its lines, without their ends.

    Returns
    -------
    Columns

    Raises
    ------
    ValueError
        A line has another number of columns.
    """
    lines = list(lines)
    tokens = [line for line in lines if line.strip(_SPACE) and not line.startswith(_DOCUMENT)]
    first = next((line for line in tokens if not line.startswith("#")), tokens[0] if tokens else "")
    has_tabs = "\t" in first
    split = (lambda line: line.split("\t")) if has_tabs else split_whitespace
    width = len(split(first)) if first else 0
    is_conllu = has_tabs and width == len(CONLLU) and bool(_CONLLU_ID.fullmatch(split(first)[0]))
    sentences, rows = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip(_SPACE):
            rows = _close(sentences, rows)
            continue
        fields = split(line)
        if fields[0] == _DOCUMENT:
            rows = _close(sentences, rows)
        elif line.startswith("#") and (is_conllu or (not rows and _is_comment(line, len(fields) == width, has_tabs))):
            continue
        elif len(fields) != width:
            raise ValueError(f"{name}, line {number}: {len(fields)} columns, where other lines have {width}.")
        elif not is_conllu or fields[0].isdecimal():
            rows.append(fields)
    _close(sentences, rows)
    return Columns(name, sentences, width, is_conllu)


def _is_comment(line, has_all_columns, has_tabs):
    """Return whether a line before a sentence, which begins with "#", is no token."""
    return not has_all_columns or (not has_tabs and "\t" in line) or bool(_COMMENT.match(line))


def _close(sentences, rows):
    """Append a sentence unless it is empty; return an empty one."""
    if rows:
        sentences.append(rows)
    return []


def read_conll(source, *, token=None, tag=None, columns=(), encoding="utf-8"):
    r"""Read sentences with a tag for each token from a file with columns.

    A line holds the columns of a token, between tabs or, if the first line has none, between spaces. An empty line, or
    one of white space, ends a sentence. Lines that begin with ``-DOCSTART-`` are left out. So are comments: lines
    before a sentence that begin with ``#`` and have another number of columns, or a name and ``=``. In CoNLL-U, which
    is recognized by its ten columns, lines of tokens that are several words (``3-4``) and of words that were not
    written (``3.1``) are left out.

    Parameters
    ----------
    source : str, os.PathLike or file object
        The path of a file, or an open file; plain or compressed with gzip, bzip2 or xz.
    token, tag : int, str or None, default=None
        The columns of tokens and tags: numbers from 0 on, negative ones from the end, or names of CoNLL-U ("form",
        "upos"). None is the first and the last column; in CoNLL-U, "form" and "upos". ``tag=False`` reads no tags.
    columns : sequence of int or str, default=()
        Further columns for X.
    encoding : str, default="utf-8"

    Returns
    -------
    X : list of lists of str, or of lists of tuples
        The tokens; with `columns`, tuples of a token and its columns.
    y : list of lists of str, or None

    Raises
    ------
    ValueError
        A line has another number of columns, or a column does not exist: the message names file and line.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import io
    >>> file = io.StringIO("-DOCSTART- -X- O\n\nEU NNP I-ORG\nrejects VBZ O\n\nLondon NNP I-LOC\n")
    >>> read_conll(file)
    ([['EU', 'rejects'], ['London']], [['I-ORG', 'O'], ['I-LOC']])
    """
    table = read_columns(name_of(source), open_lines(source, encoding))
    return table.tokens(token, columns), None if tag is False else table.tags(tag)


def write_conll(target, X, y=None, *, encoding="utf-8"):
    r"""Write sentences with a tag for each token into a file with columns, between tabs.

    Parameters
    ----------
    target : str, os.PathLike or file object
        The path of a file, which is compressed if its name ends in ``.gz``, ``.bz2`` or ``.xz``, or an open file.
    X : list of lists of str, or of lists of tuples of str
        Tokens, or tuples of a token and further columns. Empty sentences are left out.
    y : list of lists of str or None, default=None
        The tags of each sentence, for the last column.
    encoding : str, default="utf-8"

    Raises
    ------
    ValueError
        A token or a tag holds a tab or the end of a line, or the lengths of X and y differ: the message names the
        sentence.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import io
    >>> file = io.StringIO()
    >>> write_conll(file, [["EU", "rejects"], ["London"]], [["B-ORG", "O"], ["B-LOC"]])
    >>> file.getvalue()
    'EU\tB-ORG\nrejects\tO\n\nLondon\tB-LOC\n\n'
    """
    if y is not None and len(X) != len(y):
        raise ValueError(f"X and y must be as many sentences, got {len(X)} and {len(y)}.")
    with text_writer(target, encoding) as write:
        for index, tokens in enumerate(X):
            tags = itertools.repeat(()) if y is None else [(str(tag),) for tag in y[index]]
            if y is not None and len(tags) != len(tokens):
                raise ValueError(f"X[{index}] has {len(tokens)} tokens, and y[{index}] {len(tags)} tags.")
            rows = [(token,) if isinstance(token, str) else tuple(token) for token in tokens]
            lines = [_line((*row, *tag), f"X[{index}]") for row, tag in zip(rows, tags, strict=False)]
            if lines:
                write("\n".join([*lines, "", ""]))


def _line(row, place):
    """Return the columns of a token as a line; raise ValueError if they could not be read again."""
    line = "\t".join(row)
    if "\n" in line or line.endswith("\r") or line.count("\t") >= len(row) or not line.strip(_SPACE):
        raise ValueError(
            f"{place} has a token or a tag with a tab or a line end, or with nothing in it: {shown(line)}."
        )
    return line
