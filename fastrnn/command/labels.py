"""Labels of tables and classes of classifiers, compared by meaning: as text, number or truth value."""

import collections
import json
import math
import operator


def take_label(value):
    """Return the label that a field holds, or None.

    Parameters
    ----------
    value : object

    Returns
    -------
    str, bool, int, float or None
        Text of white space, null, NaN, lists and objects are not labels.
    """
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int) else None


def labels_of_one_kind(labels):
    """Return labels in a form in which a classifier distinguishes the same ones as the table.

    Parameters
    ----------
    labels : list of (str, bool, int or float)

    Returns
    -------
    list
        The labels themselves if all are text, all truth values or all integers of 64 bits; else their text, the same
        for 1 and 1.0.
    """
    kinds = {type(label) for label in labels}
    if len(kinds) == 1 and float not in kinds and not any(_is_large(label) for label in labels):
        return labels
    if kinds == {int, float}:
        labels = [int(label) if label == int(label) else label for label in labels]
    return [label_text(label) for label in labels]


def _is_large(label):
    return isinstance(label, int) and not -(2**63) <= label < 2**63


def label_text(label):
    """Return a label as it is shown, on one line.

    Parameters
    ----------
    label : object
        A class of a classifier, or a label of a table.

    Returns
    -------
    str
        As in JSON, without quotation marks around text.
    """
    if hasattr(label, "item") and label.dtype.kind != "M":  # a scalar of NumPy that is not a date
        label = label.item()
    text = json.dumps(label) if isinstance(label, bool | int | float) else str(label)
    return on_one_line(text)


def on_one_line(text):
    """Return a text as one field of a table, with line ends and tabs escaped."""
    return text.replace("\n", "\\n").replace("\t", "\\t")


def match_labels(labels, classes):
    """Find the classes of labels, which may be written as text, number or truth value.

    Parameters
    ----------
    labels : list of (str, bool, int or float)
    classes : ndarray (K,)
        The classes of a classifier.

    Returns
    -------
    list of (int or None)
        The index of each label's class: the one that is equal, or else the one that is the same number or truth value
        (1.0 is "1", and true is "True"); None if there is none.

    Raises
    ------
    ValueError
        A label matches several classes.

    Examples
    --------
    >>> import numpy as np
    >>> match_labels(["true", "False", "maybe"], np.array([False, True]))
    [1, 0, None]
    >>> match_labels([1.0, "2"], np.array(["1", "2"]))
    [0, 1]
    """
    exact, by_meaning = {}, collections.defaultdict(list)
    classes = (classes.astype(str) if classes.dtype.kind == "M" else classes).tolist()
    for index, value in enumerate(classes):
        exact[type(value), value] = index
        by_meaning[_meaning(value)].append(index)
    found = {}
    for label in dict.fromkeys((type(label), label) for label in labels):
        same = [exact[label]] if label in exact else by_meaning.get(_meaning(label[1]), [])
        if len(same) > 1:
            names = " and ".join(repr(classes[index]) for index in same)
            raise ValueError(f"The label {label[1]!r} may mean several classes of the model: {names}.")
        found[label] = same[0] if same else None
    return [found[type(label), label] for label in labels]


def _meaning(value):
    """Return the meaning of a label: a truth value, a number or a text, with its kind."""
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, str):
        text = value.strip().lower()
        if text in ("true", "false"):
            return bool, text == "true"
        if not text.isascii() or "_" in text:
            return str, value
    for number_of in (_integer, float):  # a float may be the same for several large integers
        try:
            number = number_of(value)
        except (TypeError, ValueError, OverflowError):
            continue
        return (float, number) if isinstance(number, int) or math.isfinite(number) else (str, value)
    return str, value


def _integer(value):
    """Return a text or number as an integer; raise ValueError for a number with a fraction."""
    return int(value) if isinstance(value, int | str) else operator.index(value)
