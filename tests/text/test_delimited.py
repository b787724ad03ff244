"""Rows between delimiters: what pandas and the module `csv` write is read as it was, mistakes are named."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.text.delimited import DelimitedReader, Misquoted

FIELDS = st.text(alphabet='ab ,\t"\n\x0b\x0c\x1c\x85\u2028\ufeff', max_size=8)


def read(text, delimiter=",", **options):
    return [fields for _, fields in DelimitedReader(text.split("\n"), delimiter, **options)]


@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), min_size=1, max_size=6),
    delimiter=st.sampled_from(",\t;"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_csv_writes_is_read(rows, delimiter, quoting):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows(rows)
    assert read(file.getvalue(), delimiter) == list(map(list, rows))


def test_a_carriage_return_alone_ends_no_row():
    assert read("a\rb,c\n1,\r\n") == [["a\rb", "c"], ["1", "\r"]]


def test_rows_are_numbered_by_their_first_line():
    lines = ["a,b", "", '"1', '1",2', "3,4"]
    assert [number for number, _ in DelimitedReader(lines, ",")] == [1, 3, 5]


def test_an_empty_line_is_a_field_where_there_is_one_column():
    assert read("text\none\n\ntwo\n\n") == [["text"], ["one"], [""], ["two"]]
    assert read("\ntext,label\n\none,1\n\n") == [["text", "label"], ["one", "1"]]


def test_a_quotation_mark_inside_a_field_is_text():
    assert read('a 5" disk,b"c"\n') == [['a 5" disk', 'b"c"']]


def test_another_quotation_mark_or_none():
    assert read("'a,''b',c", quote="'") == [["a,'b", "c"]]
    assert read('"a,b"', quote="") == [['"a', 'b"']]


ROWS = "".join(f"row {i},pos\n" for i in range(30))


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('text,label\ngood,pos\n"bad,neg\n' + ROWS, 3, "never closed"),
        ('text,label\n"bad,neg\n"good",pos\n', 2, "in line 3 'good\",pos' follows the one that closes it"),
        ('text,label\n"two\nlines",pos\n"bad" film,neg\n', 4, "in line 4 ' film,neg' follows"),
        ('text,label\n"bad,neg\n' + ROWS + 'row",pos\n', 2, "closed in line 33 only, and the lines between"),
    ],
)
def test_a_quotation_mark_left_open_is_named(text, line, says):
    with pytest.raises(Misquoted, match=says) as caught:
        read(text)
    assert caught.value.line == line


def test_a_field_may_run_over_many_lines():
    poem = "\n".join(f"a line with a comma, or none: {i % 2 * ','}" for i in range(40))
    assert read(f'text,label\n"{poem}",pos') == [["text", "label"], [poem, "pos"]]
    assert read(f'text,label\n"{ROWS}",pos', suspicious=False)[1] == [ROWS, "pos"]
