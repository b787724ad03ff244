"""Elements of sequences become sparse attributes: from dictionaries, lists of names, or tokens and a template."""

from collections.abc import Iterable, Mapping

import numpy as np
import scipy.sparse

from fastrnn.tagging.sparse.named_attributes import NamedAttributes, located
from fastrnn.tagging.sparse.template import TemplateAttributes
from fastrnn.utils.arrays import rows_of
from fastrnn.utils.checks import check_choice, is_frame, shown
from fastrnn.utils.ragged import offsets_of

_TABLES = {"names": NamedAttributes, "tokens": TemplateAttributes}
_KINDS = {"tokens": "a token", "tuples": "a tuple", "dicts": "a dictionary", "lists": "a list of attributes"}


class SparseSequences:
    """Sequences whose elements have some of many attributes, each with a weight.

    Parameters
    ----------
    attributes : int32 array (M,)
        Ids of attributes. Those of element e are ``attributes[element_offsets[e]:element_offsets[e + 1]]``.
    values : float64 array (M,) or None
        Weights of the attributes; None if all are 1. A weight may be 0: the attribute then occurs, and adds nothing.
    element_offsets : int64 array (N + 1,)
    offsets : int64 array (n + 1,)
        Sequence i has the elements ``offsets[i]`` to ``offsets[i + 1] - 1``.
    """

    def __init__(self, attributes, values, element_offsets, offsets):
        self.attributes, self.values = attributes, values
        self.element_offsets, self.offsets = element_offsets, offsets

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def lengths(self):
        """Elements of each sequence, int64 (n,)."""
        return np.diff(self.offsets)


class AttributeReader:
    """Reads sequences as sparse attributes, which are learned from the training data.

    An element of a sequence is one of:

    - a dictionary, as python-crfsuite takes it: ``{"word": "Rome"}`` is the attribute "word:Rome"; a number or a
      boolean is the weight of the attribute named by its key; a dictionary, list or set in it puts its key before
      theirs;
    - a list or a set of names of attributes, each of weight 1;
    - a token, or a tuple of a token and further columns, from which ``features="default"`` makes attributes by
      `fastrnn.tagging.sparse.template`.

    With a function as `features`, elements are anything, and the function makes a dictionary or a list of each. With
    ``features=None``, a tuple is a list of names.

    Attributes
    ----------
    attributes : list of str
        The names of the attributes; a name's place is its id.
    """

    def __init__(self, kind, n_columns, table, options):
        self.kind, self.n_columns, self.table, self.options = kind, n_columns, table, options

    @property
    def attributes(self):
        """The names of all attributes; made at each use for those of a template."""
        return self.table.names

    def __len__(self):
        return len(self.table)

    @classmethod
    def learn(cls, X, options, min_count=1):
        """Learn the attributes of training data.

        Parameters
        ----------
        X : iterable of sequences
        options : dict
            ``features``: "default", None, or a function of a sequence and a place in it.
        min_count : int, default=1
            Attributes of fewer elements are left out.

        Returns
        -------
        reader : AttributeReader
        sequences : SparseSequences

        Raises
        ------
        ValueError
            An element is none of the above, or of another kind than the first one: the message names its place.
        """
        features = options["features"]
        if not callable(features):
            check_choice("features", features, ["default", None])
        elements, offsets = _elements(X, features)
        kind = _kind(elements[0], features) if elements else "tokens" if features == "default" else "lists"
        _check_kinds(elements, offsets, kind, features)
        n_columns = max(1, len(elements[0])) if kind == "tuples" else 1
        table = _TABLES["tokens" if kind in ("tokens", "tuples") else "names"]
        learned = table.learn(_prepared(elements, offsets, kind, n_columns), offsets, min_count)
        return cls(kind, n_columns, learned[0], options), SparseSequences(*learned[1:], offsets)

    def read(self, X):
        """Return sequences as sparse attributes; those that are not known are left out.

        Parameters
        ----------
        X : iterable of sequences

        Returns
        -------
        SparseSequences

        Raises
        ------
        ValueError
            An element is of another kind than those of the training data.
        """
        elements, offsets = _elements(X, self.options["features"])
        _check_kinds(elements, offsets, self.kind, self.options["features"])
        prepared = _prepared(elements, offsets, self.kind, self.n_columns)
        return SparseSequences(*self.table.read(prepared, offsets), offsets)

    def keep(self, kept):
        """Return a reader of the attributes for which `kept`, a bool array, is True; they keep their order."""
        return AttributeReader(self.kind, self.n_columns, self.table.keep(kept), self.options)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        content, arrays = self.table.get_learned()
        return {"kind": self.kind, "n_columns": self.n_columns, **content}, arrays

    @classmethod
    def from_learned(cls, content, arrays, options):
        """Return the reader that had this result of `get_learned`."""
        kind = content["kind"]
        table = _TABLES["tokens" if kind in ("tokens", "tuples") else "names"].from_learned(content, arrays)
        return cls(kind, content["n_columns"], table, options)


def _elements(X, features):
    """Return the elements of all sequences, a list, and the offsets of the sequences, int64 (n + 1,)."""
    is_other = isinstance(X, str | bytes | Mapping) or is_frame(X) or scipy.sparse.issparse(X)
    if is_other or not isinstance(X, Iterable):
        raise ValueError(f"X must be a list of sequences of elements, got {shown(X)}.")
    sequences = [_sequence(sequence, place) for place, sequence in enumerate(X)]
    offsets = offsets_of([len(sequence) for sequence in sequences])
    if callable(features):
        return [features(sequence, i) for sequence in sequences for i in range(len(sequence))], offsets
    return [element for sequence in sequences for element in sequence], offsets


def _sequence(sequence, place):
    """Return one sequence as a list or tuple."""
    rows = sequence if isinstance(sequence, list | tuple) else rows_of(sequence)
    if isinstance(rows, list | tuple):
        return rows
    raise ValueError(
        f"X[{place}] must be a list of elements (tokens, tuples or dictionaries), got {shown(sequence)}"
        + (": cut it into tokens first." if isinstance(sequence, str) else ".")
    )


def _kind(element, features):
    """Return the kind of an element; None if it is none of `_KINDS`."""
    if isinstance(element, Mapping):
        return "dicts"
    if isinstance(element, list | set | frozenset) or (isinstance(element, tuple) and features != "default"):
        return "lists"
    if features == "default" and isinstance(element, str | tuple):
        return "tokens" if isinstance(element, str) else "tuples"
    return None


def _check_kinds(elements, offsets, kind, features):
    """Raise ValueError unless all elements are of one kind."""
    if kind is not None and all(_kind_of_type(type_, features) == kind for type_ in set(map(type, elements))):
        return
    place = next(place for place, element in enumerate(elements) if kind is None or _kind(element, features) != kind)
    where, wrong = located(place, offsets), elements[place]
    if callable(features):
        where = f"features of {where}"
    if _kind(wrong, features) is None:
        expected = "a dictionary or a list of attributes" + ", a token or a tuple" * (features == "default")
        raise ValueError(f"{where} must be {expected} with features={_named(features)}, got {shown(wrong)}.")
    raise ValueError(f"{where} must be {_KINDS[kind]}, as the elements before or in training, got {shown(wrong)}.")


def _kind_of_type(type_, features):
    """Return the kind of the elements of one type."""
    for base in (dict, list, set, frozenset, tuple, str):
        if issubclass(type_, base):
            return _kind(base(), features)
    return "dicts" if issubclass(type_, Mapping) else None


def _named(features):
    return "a function" if callable(features) else repr(features)


def _prepared(elements, offsets, kind, n_columns):
    """Return elements as their table takes them: columns of strings, or as they are."""
    if kind == "tokens":
        return [elements]
    if kind == "tuples":
        return _columns(elements, offsets, n_columns)
    return elements


def _columns(elements, offsets, n_columns):
    """Return the columns of tuples, lists of str."""
    columns = list(zip(*elements, strict=True)) if {*map(len, elements)} <= {n_columns} else None
    if columns is None or not all(isinstance(value, str) for column in columns for value in {*column}):
        place, wrong = next(
            (place, element) for place, element in enumerate(elements)
            if len(element) != n_columns or not all(isinstance(value, str) for value in element)
        )  # fmt: skip
        columns = f"{n_columns} strings" if n_columns > 1 else "one string"
        raise ValueError(f"{located(place, offsets)} must be a tuple of {columns}, got {shown(wrong)}.")
    return columns or [()] * n_columns
