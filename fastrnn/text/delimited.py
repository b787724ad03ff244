r"""Rows of fields between delimiters, as pandas and the module `csv` write them.

A row ends at ``\n`` or ``\r\n`` and nowhere else, and a line end between quotation marks belongs to its field. The
module `csv` also ends rows at a lone ``\r``, and cannot say where a quotation mark opened that is never closed.
"""

QUOTE = '"'
_LINES_LIKE_ROWS = 10  # a field with this many lines that all look like rows was never closed


class Misquoted(ValueError):
    """The quotation mark that opens a field is not closed properly.

    Attributes
    ----------
    line : int
        Number of the line with the opening mark.
    """

    def __init__(self, line, message):
        super().__init__(message)
        self.line = line


class DelimitedReader:
    r"""Iterator over the rows of a table, given as lines.

    Parameters
    ----------
    lines : iterable of str
        The lines without their ends.
    delimiter : str
        Character between two fields.
    quote : str
        Quotation mark that may enclose a field, and is doubled inside it; "" for none.
    suspicious : bool
        Whether to refuse a field of many lines if all of them look like rows.

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
        """Yield the number of the first line and the fields of each row; raise Misquoted for a wrong quotation."""
        blank = []
        while self._next_line():
            if not self._line:
                blank.append(self._number)
                continue
            if self._width == 1:  # in a table of one column, an empty line is a field
                yield from ((number, [""]) for number in blank)
            blank, first = [], self._number
            is_quoted = self._quote and self._quote in self._line
            fields = self._fields() if is_quoted else self._line.split(self._delimiter)
            self._width = self._width or len(fields)
            yield first, fields

    def _next_line(self):
        """Advance to the next line; return whether there is one."""
        self._number, self._line = next(self._numbered, (self._number, None))
        return self._line is not None

    def _fields(self):
        """Return the fields of a row in which some are quoted."""
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
        """Return the field that begins at `place`, after its quotation mark, and the place after the closing mark."""
        first, pieces, inner = self._number, [], []
        while True:
            end = self._line.find(self._quote, place)
            after = end + 1
            if end < 0:
                pieces += [self._line[place:], "\n"]
                inner += [self._line] if self._number > first else []
                place = 0
                if not self._next_line():
                    raise Misquoted(first, "the quotation mark that opens here is never closed")
            elif self._line.startswith(self._quote, after):  # a doubled mark means the mark itself
                pieces.append(self._line[place:after])
                place = after + 1
            elif after < len(self._line) and not self._line.startswith(self._delimiter, after):
                what = f"{self._line[after : after + 10]!r} follows the one that closes it, not a delimiter"
                raise Misquoted(first, f"a quotation mark opens here, but in line {self._number} {what}")
            else:
                if self._suspicious and self._look_like_rows(inner):
                    what = f"is closed in line {self._number} only, and the lines between look like rows"
                    raise Misquoted(first, f"the quotation mark that opens here {what}")
                return "".join([*pieces, self._line[place:end]]), after

    def _look_like_rows(self, lines):
        """Return whether the lines inside a field are many, and each has as many fields as the first row."""
        if len(lines) < _LINES_LIKE_ROWS or (self._width or 1) == 1:
            return False
        return all(line.count(self._delimiter) == self._width - 1 for line in lines)
