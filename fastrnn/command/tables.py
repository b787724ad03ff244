"""Tables of texts and labels: JSON Lines, JSON arrays, and text with delimiters."""

import itertools
import json
import os
import pathlib
from typing import NamedTuple

from fastrnn.text.delimited import QUOTE, DelimitedReader, Misquoted
from fastrnn.text.reading import suffix_of
from fastrnn.utils.checks import warn_caller

_JSON = (".json", ".jsonl", ".ndjson")
_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_OTHER_DELIMITERS = ";\t|"  # possible delimiters in a header without the expected one


class Format(NamedTuple):
    """The format of a table.

    Attributes
    ----------
    delimiter : str or None
        The character between two fields; None decides by the file's name, or else by its first line.
    quote : str or None
        The quotation mark around fields, "" for none. None is the usual mark: an unclosed one is an error, or an
        ordinary character in a file with tabs whose rows have equal lengths without it.
    header : bool
        Whether the first row names the columns; else their names are "1", "2", and so on.
    """

    delimiter: str | None = None
    quote: str | None = None
    header: bool = True


class Row(NamedTuple):
    """A row of a table.

    Attributes
    ----------
    place : str
        Its beginning, for messages.
    fields : dict of str -> object
        Its values by column: str, or what JSON holds.
    wrong : str or None
        The reason if it cannot be used.
    """

    place: str
    fields: dict
    wrong: str | None = None


class Table(NamedTuple):
    """A table from a file.

    Attributes
    ----------
    name : str
        The file, for messages.
    columns : list of str
        The names of its columns, in their order.
    rows : list of Row
    """

    name: str
    columns: list
    rows: list


def is_table(file):
    """Return whether a file has the name of a table.

    Parameters
    ----------
    file : str
        For instance ``reviews.TSV.gz``.

    Returns
    -------
    bool
    """
    return _ending(file) in (*_JSON, *_DELIMITERS)


def read_table(file, lines, layout=None):
    """Read a table.

    Parameters
    ----------
    file : str
        Its path, for the format and for messages; "-" is standard input.
    lines : iterable of str
        Its lines, without their ends.
    layout : Format or None
        None is the usual one.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        The table is empty, is no JSON, or has a quotation mark that is not closed; the message names the line.
    """
    layout, lines = layout or Format(), list(lines)
    name = "standard input" if file == "-" else str(file)
    first = next((line.lstrip() for line in lines if line.strip()), None)
    if first is None:
        raise ValueError(f"{name}: the table is empty.")
    ending = _ending(file)
    if ending in _JSON or (ending not in _DELIMITERS and not layout.delimiter and first[0] in "{["):
        if layout != Format():
            raise ValueError(f"{name}: delimiters, quotation marks and headers are for tables that are not JSON.")
        return _read_objects(name, lines, is_array=first[0] == "[")
    delimiter = layout.delimiter or _DELIMITERS.get(ending) or ("\t" if "\t" in first else ",")
    return _read_fields(name, lines, delimiter, layout)


def pick(table, columns):
    """Return the values of columns, row by row.

    Parameters
    ----------
    table : Table
    columns : dict of str -> callable
        For each column, a function that converts the value of a field (None if the row has none) and returns None if
        there is nothing to use.

    Returns
    -------
    values : list of list
        For each column the values of the good rows.
    bad : list of (str, str)
        The place of each other row, and its fault.

    Raises
    ------
    ValueError
        The table has no such column, or two of that name.
    """
    for column in columns:
        if table.columns.count(column) != 1:
            fault = "has several columns" if column in table.columns else "has no column"
            raise ValueError(f"{table.name} {fault} {column!r}; {_columns_are(table)}.")
    values, bad = [[] for _ in columns], []
    for row in table.rows:
        found = [take(row.fields.get(column)) for column, take in columns.items()]
        missing = [column for column, value in zip(columns, found, strict=True) if value is None]
        if row.wrong or missing:
            bad.append((row.place, row.wrong or f"nothing to use in column {missing[0]!r}"))
        else:
            for column, value in zip(values, found, strict=True):
                column.append(value)
    return values, bad


def text_column(table, column):
    """Return the name of the column that holds the texts.

    Parameters
    ----------
    table : Table
    column : str or None
        The requested name; None takes the only column, or the column "text".

    Returns
    -------
    str

    Raises
    ------
    ValueError
        Several columns could be meant.
    """
    if column is not None:
        return column
    if len(table.columns) == 1:
        (name,) = table.columns
        other = next((sign for sign in _OTHER_DELIMITERS if sign in name), None)
        if other is not None:
            raise ValueError(
                f"{table.name}: the only column is {name!r}: say --delimiter {other!r} if these are several, or "
                "--text-column if it holds the texts."
            )
        return name
    if "text" in table.columns:
        return "text"
    raise ValueError(f"{table.name}: say with --text-column which column holds the texts; {_columns_are(table)}.")


def take_text(value):
    """Return the text that a field holds, or None.

    Parameters
    ----------
    value : object

    Returns
    -------
    str or None
        A number becomes its text; null, NaN, lists and objects are not texts.
    """
    if isinstance(value, str) or value is None:
        return value
    return None if isinstance(value, list | dict) or value != value else json.dumps(value)


def _ending(file):
    return suffix_of(pathlib.PurePath(os.fspath(file).lower()))


def _columns_are(table):
    return f"its columns are {', '.join(map(repr, table.columns))}" if table.columns else "it has no columns"


def _read_objects(name, lines, is_array):
    """Return the table of JSON objects, one a line or in one array."""
    if is_array:
        rows = _rows_of_array(name, "\n".join(lines))
    else:
        rows = [_object(f"line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
        if all(row.wrong for row in rows):
            raise ValueError(f"{name}: no line holds a JSON object, and the file is no JSON array of objects.")
    return Table(name, list(dict.fromkeys(itertools.chain.from_iterable(row.fields for row in rows))), rows)


def _rows_of_array(name, text):
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON: {error}.") from None
    return [_as_row(f"element {number}", value) for number, value in enumerate(values, start=1)]


def _object(place, line):
    try:
        return _as_row(place, json.loads(line))
    except (ValueError, RecursionError):
        return Row(place, {}, "no JSON")


def _as_row(place, value):
    return Row(place, value) if isinstance(value, dict) else Row(place, {}, "no JSON object")


def _read_fields(name, lines, delimiter, layout):
    """Return the table of fields between delimiters."""
    try:
        quote = QUOTE if layout.quote is None else layout.quote
        rows = list(DelimitedReader(lines, delimiter, quote, suspicious=layout.quote is None))
    except Misquoted as error:
        rows = list(DelimitedReader(lines, delimiter, quote=""))
        is_plain = delimiter == "\t" and len({len(fields) for _, fields in rows}) == 1
        if not is_plain or layout.quote is not None:
            advice = "close it, or say --quote none if quotation marks are nothing but text"
            raise ValueError(f"{name}, line {error.line}: {error}: {advice}.") from None
        warn_caller(
            f"{name}: quotation marks are taken as text, for the one that opens in line {error.line} is not closed."
        )
    width = len(rows[0][1])
    columns = rows.pop(0)[1] if layout.header else [str(number) for number in range(1, width + 1)]
    return Table(name, columns, [_row(columns, number, fields) for number, fields in rows])


def _row(columns, number, fields):
    place = f"line {number}"
    if len(fields) > len(columns):
        return Row(place, {}, f"{len(fields)} fields in a table of {len(columns)} columns")
    return Row(place, dict(zip(columns, fields, strict=False)))
