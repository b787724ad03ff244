"""Attributes that elements name themselves: dictionaries, and lists of names."""

import array
import itertools
import math
import numbers
from collections.abc import Mapping

import numpy as np

from fastrnn.utils.checks import shown
from fastrnn.utils.ragged import offsets_of, place_of

_NO_NAME = "must have names of attributes that are strings, got "


class _Refused(TypeError):
    """An entry that is no attribute: the message says what an element must have."""


class Ids(dict):
    """Strings to numbers in their order of appearance; where it does not grow, a new string has -1."""

    def __init__(self, strings=(), growing=False):
        super().__init__(zip(strings, itertools.count(), strict=False))
        self.growing = growing

    def __missing__(self, string):
        if not isinstance(string, str):
            raise _Refused(_NO_NAME + shown(string))
        if not self.growing:
            return -1
        number = self[string] = len(self)
        return number

    def of(self, strings, count):
        """Return the numbers of an iterable of `count` strings, int32 (count,)."""
        return np.fromiter(map(self.__getitem__, strings), np.int32, count)


class NamedAttributes:
    """A table of names of attributes.

    Parameters
    ----------
    names : list of str
    """

    def __init__(self, names):
        self.names, self._ids = names, Ids(names)

    def __len__(self):
        return len(self.names)

    @classmethod
    def learn(cls, elements, offsets, min_count):
        """Return the table of the names that at least `min_count` elements have, and the elements as `read` does."""
        ids, attributes, values, element_offsets = _encoded(elements, offsets)
        kept = np.bincount(attributes, minlength=len(ids)) >= min_count
        table = cls(list(itertools.compress(ids, kept)))
        new_ids = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        return table, *_known(new_ids[attributes], values, element_offsets)

    def read(self, elements, offsets):
        """Return the known attributes of elements, their weights or None, and the elements' offsets among them."""
        return _known(*_encoded(elements, offsets, self._ids)[1:])

    def keep(self, kept):
        """Return the table of the names for which `kept`, a bool array, is True."""
        return NamedAttributes(list(itertools.compress(self.names, kept)))

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return {"names": self.names}, {}

    @classmethod
    def from_learned(cls, content, arrays):
        """Return the table that had this result of `get_learned`."""
        return cls(content["names"])


def located(place, offsets):
    """Return the name of an element in messages: X[sequence][element]."""
    sequence, element = place_of(place, offsets)
    return f"X[{sequence}][{element}]"


def _known(attributes, values, element_offsets):
    """Return attributes, weights and offsets without unknown attributes, which are -1."""
    known = attributes >= 0
    if not known.all():
        element_offsets = offsets_of(known)[element_offsets]
        attributes, values = attributes[known], None if values is None else values[known]
    return attributes, None if values is None or (values == 1).all() else values, element_offsets


def _encoded(elements, offsets, known=None):
    """Return the table of ids, attributes int32 (M,), weights float64 (M,) or None, and the elements' offsets.

    The table grows unless `known` is one. Most elements need no look at each entry by itself; others are written out
    first.
    """
    are_dicts = bool(elements) and isinstance(elements[0], Mapping)
    entries = [e.items() if are_dicts else sorted(e) if isinstance(e, set | frozenset) else e for e in elements]
    try:
        return _encode_entries(entries, are_dicts, Ids(growing=True) if known is None else known)
    except TypeError:  # one is nested, or wrong
        entries = [_written_out(element, place, offsets) for place, element in enumerate(elements)]
        return _encode_entries(entries, True, Ids(growing=True) if known is None else known)


def _encode_entries(entries, are_pairs, ids):
    element_offsets = offsets_of([len(e) for e in entries])
    joined, count = itertools.chain.from_iterable(entries), int(element_offsets[-1])
    if not are_pairs:
        return ids, ids.of(joined, count), None, element_offsets
    table = _Entries(ids)
    places = np.fromiter(map(table.__getitem__, joined), np.intp, count)
    weights = np.frombuffer(table.weights) if count else np.zeros(0)
    return ids, np.array(table.attributes, np.int32)[places], weights[places], element_offsets


class _Entries(dict):
    """Pairs of a key and a value to their places in lists of attributes and of weights."""

    def __init__(self, ids):
        super().__init__()
        self.ids, self.attributes, self.weights = ids, array.array("i"), array.array("d")

    def __missing__(self, pair):
        name, weight = _attribute(*pair)
        place = len(self.weights)
        self.attributes.append(self.ids[name])
        self.weights.append(weight)
        if weight in (0, 1):  # a table of all numbers would grow with the data
            self[pair] = place
        return place


def _attribute(key, value):
    """Return the name and the weight of one entry of a dictionary."""
    if isinstance(value, str):
        return f"{key}:{value}" if isinstance(key, str) else key, 1.0
    try:
        weight = float(value) if isinstance(value, numbers.Real | np.bool_) else math.nan
    except OverflowError:  # a large integer
        weight = math.inf
    if not math.isfinite(weight):
        raise _Refused(f"must give {shown(key)} a string, a finite number or a boolean, got {shown(value)}")
    return key, weight


def _written_out(element, place, offsets):
    """Return the pairs of a name and a weight of an element that may be nested."""
    try:
        return list(_pairs(element))
    except _Refused as error:
        raise ValueError(f"{located(place, offsets)} {error}.") from None


def _pairs(element):
    """Yield the name and the weight of all entries of an element, those of nested ones with the keys before theirs."""
    is_mapping = isinstance(element, Mapping)
    for key in sorted(element, key=str) if isinstance(element, set | frozenset) else element:
        if not isinstance(key, str):
            raise _Refused(_NO_NAME + shown(key))
        if not is_mapping:
            yield key, 1.0
        elif isinstance(element[key], Mapping | list | tuple | set | frozenset):
            yield from ((f"{key}:{name}", weight) for name, weight in _pairs(element[key]))
        else:
            yield _attribute(key, element[key])
