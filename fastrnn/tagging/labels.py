"""Labels of the elements of sequences: y of a tagger, checked, as one list."""

import collections.abc
import itertools
import math
import numbers

import numpy as np
import scipy.sparse

from fastrnn.utils.arrays import to_array
from fastrnn.utils.checks import is_frame, is_missing, shown
from fastrnn.utils.ragged import offsets_of, parts_of, place_of

_EXPECTED = "a list of labels for each sequence, a label (a string or a whole number) for each of its elements"


class LabelSequences:
    """Labels of sequences, one after another.

    Parameters
    ----------
    flat : list (N,) of str, or of int, float or bool
        Python's built-in values.
    offsets : ndarray (n + 1,) of int64
        Sequence i has ``flat[offsets[i]:offsets[i + 1]]``.
    """

    def __init__(self, flat, offsets):
        self.flat, self.offsets = flat, offsets

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def lengths(self):
        """Labels of each sequence, int64 (n,)."""
        return np.diff(self.offsets)

    def place(self, n):
        """Return sequence and element of the label ``flat[n]``."""
        return place_of(n, self.offsets)

    def lists(self):
        """Return a list of labels for each sequence."""
        return parts_of(self.flat, self.offsets)


def are_indicators(y):
    """Return whether y has several labels for each element: an array (T, K) of numbers for each sequence."""
    if not isinstance(y, list | tuple):
        return getattr(y, "ndim", 0) == 3
    first = next((part for part in y if hasattr(part, "__len__") and len(part)), ())
    if hasattr(first, "ndim"):
        return first.ndim == 2
    lists = [part for part in first if isinstance(part, list)] if isinstance(first, list | tuple) else []
    return 0 < len(lists) == len(first) and all(isinstance(value, numbers.Real) for part in lists for value in part)


def label_sequences(y, name="y"):
    """Return the labels of sequences, checked.

    Parameters
    ----------
    y : list of (list of label, or array (T_i,)), array (n, T), or LabelSequences
        Labels are strings, or numbers: integers, booleans or whole floats.
    name : str
        The argument's name in messages.

    Returns
    -------
    LabelSequences

    Raises
    ------
    ValueError
        A label is missing or no label, or strings and numbers are mixed: the message names the first such place.

    Examples
    --------
    >>> labels = label_sequences([["DET", "NOUN"], [], ["VERB"]])
    >>> labels.flat, labels.lengths
    (['DET', 'NOUN', 'VERB'], array([2, 0, 1]))
    """
    if isinstance(y, LabelSequences):
        return y
    parts = [_one(part, i, name) for i, part in enumerate(sequences_of(y, name))]
    flat = list(itertools.chain.from_iterable(parts))
    labels = LabelSequences(flat, offsets_of([len(part) for part in parts]))
    if any(issubclass(kind, np.generic) for kind in set(map(type, flat))):
        labels.flat = flat = [label.item() if isinstance(label, np.generic) else label for label in flat]
    _check_labels(labels, set(map(type, flat)), name)
    return labels


def sequences_of(y, name="y"):
    """Return y as a list of its sequences; raise ValueError if it is no list or array of sequences."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    is_list = isinstance(y, collections.abc.Iterable) and not isinstance(y, str | bytes | collections.abc.Mapping)
    if not is_list or is_frame(y) or scipy.sparse.issparse(y):
        raise ValueError(f"{name} must be {_EXPECTED}, got {shown(y)}.")
    if np.ma.is_masked(y):
        raise ValueError(f"{name} has masked values: give the labels of each sequence as a list of its own.")
    return list(y)


def learn_labels(labels, name="y"):
    """Return the distinct labels of `LabelSequences`, sorted (K,); raise ValueError if there are none."""
    if not labels.flat:
        raise ValueError(f"{name} holds no labels: at least one sequence with an element is required.")
    return label_classes(set(labels.flat), name)


def label_classes(labels, name="classes"):
    """Return labels as an array without repetitions, sorted (K,)."""
    distinct = sorted(set(labels))
    classes = np.array(distinct)
    if classes.dtype.kind not in "Ubiuf" or classes.tolist() != distinct:  # above 64 bits, a string that ends in NUL
        wrong = next((label for label in distinct if np.array([label]).tolist() != [label]), distinct[-1])
        raise ValueError(f"{name} holds {shown(wrong)}, which no array holds: give other labels.")
    return classes


def check_same_lengths(labels, lengths, names, what):
    """Raise ValueError unless each sequence has as many labels as elements.

    Parameters
    ----------
    labels : LabelSequences or StepTargets
        Of n sequences.
    lengths : int array (n,)
        Elements of each sequence.
    names : (str, str)
        Of X and y in the message.
    what : str
        Name of the elements, in the plural.
    """
    wrong = np.flatnonzero(labels.lengths != lengths)
    if len(wrong):
        i = int(wrong[0])
        raise ValueError(
            f"{names[1]} must have a label for each element of {names[0]}: {names[0]}[{i}] has {lengths[i]} {what} and "
            f"{names[1]}[{i}] {labels.lengths[i]} labels ({len(wrong):,} of {len(labels):,} sequences differ)."
        )


def _one(part, i, name):
    """Return the labels of one sequence as a list."""
    if hasattr(part, "detach"):  # a tensor of torch
        part = to_array(part)
    if hasattr(part, "tolist"):
        part = part.tolist()
    if not isinstance(part, list | tuple):
        if isinstance(part, str | bytes | collections.abc.Mapping) or not isinstance(part, collections.abc.Iterable):
            raise ValueError(f"{name} must be {_EXPECTED}, got {shown(part)} as {name}[{i}].")
        part = list(part)
    return part


def _check_labels(labels, kinds, name):
    """Raise ValueError unless all labels, which have these types, are strings or all are whole numbers."""
    if all(issubclass(kind, str) for kind in kinds):
        return
    if all(issubclass(kind, int) for kind in kinds):
        return
    first = labels.flat[0]
    for n, label in enumerate(labels.flat):
        problem, advice = None, ""
        if is_missing(label):
            problem = f"holds {'NaN' if label is not None else 'None'}"
        elif not isinstance(label, str | int | float):
            problem = f"must have strings or whole numbers as labels, got {shown(label)}"
        elif isinstance(label, str) != isinstance(first, str):
            problem = f"must have labels of one type, got {shown(first)} before and {shown(label)}"
        elif isinstance(label, float) and not (math.isfinite(label) and label.is_integer()):
            problem = f"must have strings or whole numbers as labels, got {shown(label)}"
            advice = ": RNNStepRegressor learns other numbers"
        if problem:
            i, step = labels.place(n)
            raise ValueError(f"{name} {problem} as label {step} of {name}[{i}]{advice}.")
