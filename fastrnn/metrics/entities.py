"""Precision, recall and F1 of entities by conlleval's rules: an entity is right if its type and both its ends are."""

from typing import NamedTuple

import numpy as np

from fastrnn.metrics.tags import check_lengths, check_pairs, have_spans
from fastrnn.text.schemes import SCHEMES, find_scheme, read_tags, span_arrays
from fastrnn.utils.checks import check_choice, shown

_AVERAGES = ("micro", "macro", "weighted", None)


class EntityCounts(NamedTuple):
    """Counts of entities by type.

    Attributes
    ----------
    names : list of K types, sorted
    correct, predicted, true : int64 array (K,)
        Entities that are in y_pred as they are in y_true, those of y_pred, and those of y_true.
    """

    names: list
    correct: np.ndarray
    predicted: np.ndarray
    true: np.ndarray

    def total(self):
        """Return the counts of all types together."""
        return EntityCounts([""], *(counts.sum(keepdims=True) for counts in self[1:]))

    def scores(self):
        """Return precision, recall and F1 by type, float64 (3, K); 0 where nothing can be right."""
        whole = np.array([self.predicted, self.true, (self.predicted + self.true) / 2])
        return np.divide(self.correct, whole, out=np.zeros(whole.shape), where=whole > 0)

    def averaged(self, average):
        """Return the averages of precision, recall and F1, float64 (3,), or (3, K) without an average."""
        scores = self.scores()
        if average is None:
            return scores
        if average == "micro":
            return self.total().scores()[:, 0]
        weights = self.true if average == "weighted" else np.ones(len(self.names))
        return scores @ weights / max(weights.sum(), 1)


def count_entities(y_true, y_pred, scheme="auto", strict=False):
    """Count entities; the arguments are those of `entity_f1`.

    Returns
    -------
    EntityCounts
    """
    check_choice("scheme", scheme, ("auto", None, *SCHEMES))
    y_true, y_pred = check_pairs(y_true, y_pred)
    if have_spans(y_true) or have_spans(y_pred):
        return _count_spans(y_true, y_pred)
    check_lengths(y_true, y_pred)
    if scheme == "auto":  # all prefixes are read alike: only strict reading asks for the scheme
        scheme = (strict and (find_scheme(y_true) or find_scheme(y_pred))) or "iob2"
    true, predicted = read_tags(y_true, scheme, "y_true"), read_tags(y_pred, scheme, "y_pred")
    names = sorted({*true.names, *predicted.names}, key=str)
    place = {name: place for place, name in enumerate(names)}
    ends, types, counts = [], [], []
    for tags in (true, predicted):
        found = span_arrays(tags, scheme, strict)
        kinds = np.array([place[name] for name in tags.names], np.intp)[found.types]
        ends.append(np.full(len(tags.types), -1))
        types.append(np.full(len(tags.types), -1))
        ends[-1][found.begins], types[-1][found.begins] = found.ends, kinds  # at most one entity begins at a token
        counts.append(np.bincount(kinds, minlength=len(names)))
    is_right = (ends[0] >= 0) & (ends[0] == ends[1]) & (types[0] == types[1])
    correct = np.bincount(types[0][is_right], minlength=len(names))
    return _of_present_types(EntityCounts(names, correct, counts[1], counts[0]))


def _count_spans(y_true, y_pred):
    """Count entities that are given as (begin, end, type)."""
    true, predicted = (
        {
            (index, *_span(span, f"{name}[{index}][{place}]"))
            for index, spans in enumerate(y)
            for place, span in enumerate(spans)
        }
        for name, y in (("y_true", y_true), ("y_pred", y_pred))
    )
    names = sorted({span[3] for span in true | predicted}, key=str)
    place = {name: place for place, name in enumerate(names)}
    counts = (
        np.bincount([place[span[3]] for span in spans], minlength=len(names)).astype(np.int64)
        for spans in (true & predicted, predicted, true)
    )
    return EntityCounts(names, *counts)


def _span(span, name):
    if not isinstance(span, list | tuple) or len(span) != 3:
        raise ValueError(f"{name} must be a span (begin, end, type), got {shown(span)}.")
    return tuple(span)


def _of_present_types(counts):
    """Leave out the types without an entity, which only strict reading makes."""
    kept = np.flatnonzero(counts.true + counts.predicted)
    return EntityCounts([counts.names[place] for place in kept], *(part[kept] for part in counts[1:]))


def entity_f1(y_true, y_pred, *, scheme="auto", average="micro", strict=False):
    """Return the F1 of entities, the harmonic mean of precision and recall.

    Parameters
    ----------
    y_true, y_pred : list of sequences of str, or list of lists of (begin, end, type)
        The tags of each sequence, or the spans of each text.
    scheme : {"auto", "iob1", "iob2", "bioes", "bilou", "bmes", None}, default="auto"
        See `fastrnn.text.spans`. All prefixes are read alike; "auto" finds out what `strict` has to know, and None
        makes an entity of each run of equal tags.
    average : {"micro", "macro", "weighted", None}, default="micro"
        "micro" counts all entities alike, as ``conlleval`` does. "macro" is the mean over the types that occur,
        "weighted" that mean weighted by their entities in y_true. None returns the figures of the types, sorted.
    strict : bool, default=False
        Whether only entities that are written as the scheme demands count.

    Returns
    -------
    float, or float64 array (K,) if `average` is None
        0 where there are no entities.

    Raises
    ------
    ValueError
        The lengths differ, or a tag is in no scheme: the message names the first sequence.

    References
    ----------
    Erik Tjong Kim Sang and Sabine Buchholz, "Introduction to the CoNLL-2000 shared task: chunking", 2000.

    Examples
    --------
    >>> y_true = [["B-PER", "I-PER", "O", "B-LOC"]]
    >>> y_pred = [["B-PER", "I-PER", "O", "B-ORG"]]
    >>> entity_f1(y_true, y_pred)
    0.5
    >>> entity_f1([[(0, 2, "PER")]], [[(0, 2, "PER"), (3, 4, "LOC")]])
    0.6666666666666666
    """
    return _score(2, y_true, y_pred, scheme, average, strict)


def entity_precision(y_true, y_pred, *, scheme="auto", average="micro", strict=False):
    """Return the share of predicted entities that are right.

    Parameters, errors and the returned values are those of `entity_f1`.

    Examples
    --------
    >>> entity_precision([["B-PER", "I-PER", "O"]], [["B-PER", "I-PER", "B-LOC"]])
    0.5
    """
    return _score(0, y_true, y_pred, scheme, average, strict)


def entity_recall(y_true, y_pred, *, scheme="auto", average="micro", strict=False):
    """Return the share of true entities that are predicted.

    Parameters, errors and the returned values are those of `entity_f1`.

    Examples
    --------
    >>> entity_recall([["B-PER", "I-PER", "O"]], [["B-PER", "I-PER", "B-LOC"]])
    1.0
    """
    return _score(1, y_true, y_pred, scheme, average, strict)


def _score(which, y_true, y_pred, scheme, average, strict):
    check_choice("average", average, _AVERAGES)
    scores = count_entities(y_true, y_pred, scheme, strict).averaged(average)[which]
    return scores if average is None else float(scores)
