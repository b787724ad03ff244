"""The default template of a tagger with sparse features: windows of words, affixes and shapes.

A view is a function of a word: its lower-case form, its last three letters, its shape. An attribute is the value of a
view at a place near the element, as in "w[-1]=the", or the values of several, as in "w[-1]|w[0]=the|cat". Each word is
viewed once, however often it occurs; all else is arithmetic on arrays of numbers of values.

The views are "w", the word in lower case; "form", the word; "bare", the word in lower case without "#" and "@" before
it and with 0 for each digit; "prefix1" to "suffix6", affixes in lower case; "shape", X for each capital letter, x for
each other letter, d for each digit; "short_shape", the shape without repetitions; "kind", what is special about the
word. They were chosen on tweets with entities and on web texts with parts of speech.
"""

import functools
import itertools
import math
import re

import numpy as np

from fastrnn.tagging.sparse.named_attributes import Ids

_BEGIN, _END = "<s>", "</s>"  # the words before and after a sequence
_REACH = 2  # elements on each side that an attribute may look at
_BLOCK = 1 << 13  # elements that are read at a time: bounds the memory of temporary arrays
_AFFIXES = (1, 2, 3, 4, 5, 6)

VIEWS = (
    "w",
    "form",
    "bare",
    *(f"prefix{n}" for n in _AFFIXES),
    *(f"suffix{n}" for n in _AFFIXES),
    "shape",
    "short_shape",
    "kind",
)
TEMPLATE = (
    (),
    *((("w", place),) for place in (-2, -1, 0, 1, 2)),
    (("form", 0),),
    *((("bare", place),) for place in (-1, 0, 1)),
    *(((f"{affix}{n}", 0),) for affix in ("prefix", "suffix") for n in _AFFIXES),
    *((("suffix3", place),) for place in (-1, 1)),
    *((("shape", place),) for place in (-1, 0, 1)),
    *((("short_shape", place),) for place in (-2, -1, 0, 1, 2)),
    *((("kind", place),) for place in (-1, 0, 1)),
    (("w", -1), ("w", 0)),
    (("w", 0), ("w", 1)),
    (("short_shape", -1), ("short_shape", 0)),
    (("short_shape", 0), ("short_shape", 1)),
)


def template(n_columns):
    """Return the template for tokens and further columns, `n_columns` in all."""
    return [*TEMPLATE, *(part for column in range(1, n_columns) for part in column_template(f"column{column}"))]


def column_template(view):
    """Return the parts of the template for a further column: its window, and neighbours joined."""
    singles = [((view, place),) for place in range(-2, 3)]
    joined = [range(first, first + n) for n in (2, 3) for first in range(-2, 4 - n)]
    return [*singles, *(tuple((view, place) for place in places) for places in joined)]


_DIGIT = re.compile(r"\d")
_ADDRESS = re.compile(r"(https?:|www\.)", re.IGNORECASE)


def _kind(word):
    """Return what is special about a word."""
    if _ADDRESS.match(word):
        return "url"
    if word[0] in "@#" and len(word) > 1:
        return word[0]
    if word.isdigit():
        return f"digits{min(len(word), 5)}"
    if not any(map(str.isalnum, word)):
        return "punctuation"
    if word.isupper():
        return "upper" if len(word) > 1 else "letter"
    return "title" if word.istitle() else "hyphen" if "-" in word else ""


@functools.cache
def _shape_of(letter):
    return "X" if letter.isupper() else "x" if letter.isalpha() else "d" if letter.isdigit() else letter


def _views(word):
    """Return the values of a word's `VIEWS`; an empty one where it has none."""
    if not word:
        return ("",) * len(VIEWS)
    lower, shape = word.lower(), "".join(map(_shape_of, word))
    short = "".join(letter for letter, _ in itertools.groupby(shape))
    lengths = [n if n <= len(word) else 0 for n in _AFFIXES]
    return (
        lower,
        word,
        _DIGIT.sub("0", lower.lstrip("#@")),
        *(lower[:n] for n in lengths),
        *(lower[-n:] if n else "" for n in lengths),
        shape,
        short,
        _kind(word),
    )


def _all_views(words):
    """Return the values of each of `VIEWS` for all words, a dict of tuples."""
    values = zip(*map(_views, words), strict=True) if words else [()] * len(VIEWS)
    return dict(zip(VIEWS, values, strict=True))


class TemplateAttributes:
    """A table of the attributes that the template makes of tokens and of further columns.

    Parameters
    ----------
    values : dict of str to list of str
        The values of each view, the empty one first: it makes no attribute. "column1" is the view of the first further
        column.
    template : list of tuple of (str, int)
        For each part its views and their places.
    keys : list of int64 array
        For each part of the template the numbers of its values, joined to one number, in rising order.
    """

    def __init__(self, values, template, keys):
        self._tables, self._template, self._keys = {view: Ids(part) for view, part in values.items()}, template, keys
        self._first_ids = np.concatenate([[0], np.cumsum([len(part) for part in keys])])

    def __len__(self):
        return int(self._first_ids[-1])

    @property
    def names(self):
        """The names of all attributes, made at each use."""
        return [name for part, keys in zip(self._template, self._keys, strict=True) for name in self._names(part, keys)]

    def _names(self, part, keys):
        """Return the names of the attributes of one part of the template."""
        if not part:
            return ["bias"] * len(keys)
        values = []
        for (view, _), numbers in zip(part, self._numbers(part, keys), strict=True):
            strings = list(self._tables[view])
            values.append([strings[number] for number in numbers.tolist()])
        places = "|".join(f"{view}[{place}]" for view, place in part)
        return [f"{places}={'|'.join(joined)}" for joined in zip(*values, strict=True)]

    def _numbers(self, part, keys):
        """Return the numbers of values that keys were joined from, an array for each view of the part."""
        numbers = []
        for view, _ in reversed(part):
            keys, last = np.divmod(keys, len(self._tables[view]))
            numbers.insert(0, last)
        return numbers

    @classmethod
    def learn(cls, columns, offsets, min_count):
        """Return the table of the attributes of at least `min_count` elements, and the elements as `read` does.

        Parameters
        ----------
        columns : list of sequences of str
            The tokens (N,), and further columns (N,).
        offsets : int64 array (n + 1,)
        min_count : int
        """
        parts = template(len(columns))
        tables = {view: Ids([""], growing=True) for part in parts for view, _ in part}
        texts, keys = _Texts(columns, offsets, tables), []
        for part in parts:
            found, counts = texts.counts(part)
            keys.append(found[counts >= min_count])
        table = cls({view: list(values) for view, values in tables.items()}, parts, keys)
        return table, *table._read(texts)

    def read(self, columns, offsets):
        """Return the known attributes of elements, None (all weights are 1), and the elements' offsets among them."""
        return self._read(_Texts(columns, offsets, self._tables))

    def _read(self, texts):
        of_strings = [self._ids(column, texts.string_keys(*part[0])) if len(part) == 1 else None
                      for column, part in enumerate(self._template)]  # fmt: skip
        blocks, counts = [], []
        for first in range(0, len(texts), _BLOCK):
            elements = np.arange(first, min(first + _BLOCK, len(texts)))
            attributes = np.empty((len(elements), len(self._template)), np.int32)
            for column, part in enumerate(self._template):
                if len(part) == 1:
                    attributes[:, column] = of_strings[column][texts.strings(*part[0], elements)]
                else:
                    attributes[:, column] = self._ids(column, texts.keys(part, elements))
            known = attributes >= 0
            blocks.append(attributes[known])
            counts.append(known.sum(axis=1))
        joined = np.concatenate(blocks) if blocks else np.zeros(0, np.int32)
        return joined, None, np.cumsum(np.concatenate([[0], *counts]))

    def _ids(self, column, keys):
        """Return the attributes of keys of one part of the template, -1 for those that are not known."""
        known = self._keys[column]
        if not len(known):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[places] == keys, places + self._first_ids[column], -1)

    def keep(self, kept):
        """Return the table of the attributes for which `kept`, a bool array, is True, and of their values."""
        used = {view: np.arange(len(table)) == 0 for view, table in self._tables.items()}
        parts = [(part, keys[of_part]) for part, keys, of_part in
                 zip(self._template, self._keys, np.split(kept, self._first_ids[1:-1]), strict=True)]  # fmt: skip
        for part, keys in parts:
            for (view, _), numbers in zip(part, self._numbers(part, keys), strict=True):
                used[view][numbers] = True
        values = {view: list(itertools.compress(table, used[view])) for view, table in self._tables.items()}
        renumbered = {view: np.cumsum(used[view]) - 1 for view in used}  # values keep their order, and so do keys
        kept_keys = []
        for part, keys in parts:
            new_keys = np.zeros(len(keys), np.int64)
            for (view, _), numbers in zip(part, self._numbers(part, keys), strict=True):
                new_keys = new_keys * len(values[view]) + renumbered[view][numbers]
            kept_keys.append(new_keys)
        return TemplateAttributes(values, self._template, kept_keys)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        arrays = {"attribute_keys": np.concatenate(self._keys), "attribute_key_offsets": self._first_ids}
        values = {view: list(table) for view, table in self._tables.items()}
        return {"values": values, "template": self._template}, arrays

    @classmethod
    def from_learned(cls, content, arrays):
        """Return the table that had this result of `get_learned`."""
        unknown = [view for view in content["values"] if view not in VIEWS and not view.startswith("column")]
        if unknown:
            raise ValueError(f"this version of fastrnn does not know {unknown[0]!r}, which the attributes are made of")
        keys = np.split(arrays["attribute_keys"], arrays["attribute_key_offsets"][1:-1])
        return cls(content["values"], [tuple(map(tuple, part)) for part in content["template"]], keys)


class _Texts:
    """The values of all views at every place of some sequences.

    Each column of strings stands in one array, with marks of begin before and of end after each sequence.

    Parameters
    ----------
    columns : list of sequences of str (N,)
    offsets : int64 array (n + 1,)
    tables : dict of str to Ids
        The values of each view. The value 0, an empty string, stands for none.
    """

    def __init__(self, columns, offsets, tables):
        lengths = np.diff(offsets)
        shifts = _REACH * (2 * np.arange(len(lengths)) + 1)
        self._places = np.arange(offsets[-1]) + np.repeat(shifts, lengths)  # (N,) of the elements in such an array
        self._ends = (offsets[1:] + shifts)[:, None] + np.arange(_REACH)
        self._views = {}  # for each, its value for every different string of its column, and the column of strings
        for column, strings in enumerate(columns):
            distinct, standing = self._distinct(strings)
            views = _all_views(distinct) if column == 0 else {f"column{column}": distinct}
            for view, values in views.items():
                marks = ("", "") if column == 0 and view != "w" else (_BEGIN, _END)
                if view in tables:  # those of a model from a file may be fewer
                    self._views[view] = tables[view].of((*values, *marks), len(distinct) + 2), standing
        self._sizes = {view: len(table) for view, table in tables.items()}

    def _distinct(self, strings):
        """Return the F different strings, and an array of their numbers; F is a begin and F + 1 an end."""
        distinct = Ids(growing=True)
        numbers = distinct.of(strings, len(self))
        standing = np.full(len(self) + 2 * self._ends.size, len(distinct))
        standing[self._ends] = len(distinct) + 1
        standing[self._places] = numbers
        return distinct, standing

    def __len__(self):
        return len(self._places)

    def strings(self, view, place, elements):
        """Return the strings at a place near some elements: numbers of different ones."""
        return self._views[view][1][self._places[elements] + place]

    def string_keys(self, view, place):
        """Return the keys of a part of one view for all different strings, as `keys` does for elements."""
        values = self._views[view][0]
        return np.where(values > 0, values, -1)

    def counts(self, part):
        """Return the keys of one part of the template that occur, ascending, and how many elements have them."""
        everywhere = np.arange(len(self))
        if len(part) == 1:  # much quicker than to sort
            counts = np.bincount(self.strings(*part[0], everywhere), minlength=len(self._views[part[0][0]][0]))
            counts = np.bincount(self._views[part[0][0]][0], counts)[1:]
            found = np.flatnonzero(counts)
            return found + 1, counts[found]
        found, counts = np.unique(self.keys(part, everywhere), return_counts=True)
        return found[found >= 0], counts[found >= 0]

    def keys(self, part, elements):
        """Return the keys of one part of the template at some elements, int64; -1 where a value is missing."""
        keys, missing = np.zeros(len(elements), np.int64), np.zeros(len(elements), bool)
        if math.prod(self._sizes[view] for view, _ in part) >= 2**63:  # keys would not fit: no such attributes
            return keys - 1
        for view, place in part:
            numbers = self._views[view][0][self.strings(view, place, elements)]
            missing |= numbers <= 0  # none, or an unknown one
            keys = keys * self._sizes[view] + numbers
        keys[missing] = -1
        return keys
