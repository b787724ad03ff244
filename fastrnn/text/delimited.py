r"""Rows of fields between delimiters, as pandas and the module `csv` write them.

A row ends at ``\n`` or ``\r\n`` and nowhere else, and a line end between quotation marks belongs to its field. The
module `csv` also ends rows at a lone ``\r``, and cannot say where a quotation mark opened that is never closed.
"""

QUOTE = '"'
_LINES_LIKE_ROWS = 10  # so many lines of one field that all look like rows: its quotation mark was left open


class Misquoted(ValueError):
    """A quotation mark opens a field and is not closed as it should be.

    Attributes
    ----------
    line : int
        The number of the line in which it opens.
    """

    def __init__(self, line, message):
        super().__init__(message)
        self.line = line


class DelimitedReader:
    r"""Cuts lines into rows of fields.

    Parameters
    ----------
    lines : iterable of str
        Without their ends.
    delimiter : str
        The character between two fields.
    quote : str
        The quotation mark that may stand around a field, and is doubled inside it; "" for none.
    suspicious : bool
        Whether to refuse a field that runs over many lines if all of these look like rows.

    Examples
    --------
    >>> list(DelimitedReader(['text,label', '"good, ""really""', 'good",pos'], ","))
    [(1, ['text', 'label']), (2, ['good, "really"\ngood', 'pos'])]
    """

    def __init__(self, lines, delimiter, quote=QUOTE, suspicious=True):
        self._numbered = enumerate(lines, start=1)
        self._delimiter, self._quote, self._suspicious = delimiter, quote, suspicious
        self._number, self._line = 0, ""
        self._width = None  # fields of the first row

    def __iter__(self):
        """Yield the number of the line in which a row begins, and its fields; raise Misquoted."""
        blank = []
        while self._next_line():
            if not self._line:
                blank.append(self._number)
                continue
            if self._width == 1:  # in a table of one column an empty line between others is an empty field
                yield from ((number, [""]) for number in blank)
            blank, first = [], self._number
            is_quoted = self._quote and self._quote in self._line
            fields = self._fields() if is_quoted else self._line.split(self._delimiter)
            self._width = self._width or len(fields)
            yield first, fields

    def _next_line(self):
        """Go to the next line; return whether there is one."""
        self._number, self._line = next(self._numbered, (self._number, None))
        return self._line is not None

    def _fields(self):
        """Return the fields of a row, which may stand between quotation marks."""
        fields, place = [], 0
        while True:
            if self._line.startswith(self._quote, place):
                field, end = self._quoted_field(place + 1)
            else:
                end = self._line.find(self._delimiter, place)
                end = len(self._line) if end < 0 else end
                field = self._line[place:end]
            fields.append(field)
            if end == len(self._line):
                return fields
            place = end + 1

    def _quoted_field(self, place):
        """Return the field that begins behind a quotation mark, and the place behind the one that closes it."""
        first, pieces, inner = self._number, [], []
        while True:
            end = self._line.find(self._quote, place)
            behind = end + 1
            if end < 0:
                pieces += [self._line[place:], "\n"]
                inner += [self._line] if self._number > first else []
                place = 0
                if not self._next_line():
                    raise Misquoted(first, "the quotation mark that opens here is never closed")
            elif self._line.startswith(self._quote, behind):  # a doubled one stands for itself
                pieces.append(self._line[place:behind])
                place = behind + 1
            elif behind < len(self._line) and not self._line.startswith(self._delimiter, behind):
                what = f"{self._line[behind : behind + 10]!r} stands behind the one that closes it, not a delimiter"
                raise Misquoted(first, f"a quotation mark opens here, but in line {self._number} {what}")
            else:
                if self._suspicious and self._look_like_rows(inner):
                    what = f"is closed in line {self._number} only, and what stands between looks like rows"
                    raise Misquoted(first, f"the quotation mark that opens here {what}")
                return "".join([*pieces, self._line[place:end]]), behind

    def _look_like_rows(self, lines):
        """Return whether lines inside a field are many, and each has as many fields as the first row has."""
        if len(lines) < _LINES_LIKE_ROWS or (self._width or 1) == 1:
            return False
        return all(line.count(self._delimiter) == self._width - 1 for line in lines)
