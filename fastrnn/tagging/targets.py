"""Targets of estimators with a target for each element of a sequence; see also `fastrnn.estimators.targets`.

They have a target's methods, and ``encode`` returns `StepTargets`.
"""

import itertools
import operator

import numpy as np
from scipy.special import softmax

from fastrnn.estimators.labels import restored_classes, stored_classes
from fastrnn.estimators.targets import ClassTarget
from fastrnn.layers.crf import is_allowed
from fastrnn.metrics import entity_f1
from fastrnn.tagging.labels import label_classes, label_sequences, learn_labels
from fastrnn.text import schemes
from fastrnn.text.schemes import find_scheme, read_tags, to_scheme
from fastrnn.utils.checks import shown
from fastrnn.utils.ragged import parts_of, slices


class StepTargets:
    """A value, or several, for each element of sequences of different lengths.

    Parameters
    ----------
    values : ndarray (N,) or (N, K)
        Of all sequences, one after another.
    offsets : ndarray (n + 1,) of int64
        Sequence i has ``values[offsets[i]:offsets[i + 1]]``.
    unknown : list, default=()
        Labels that are no classes: in `values`, K + i stands for ``unknown[i]``.

    Examples
    --------
    >>> import numpy as np
    >>> targets = StepTargets(np.array([3, 1, 2]), np.array([0, 1, 3]))
    >>> targets[np.array([0, 1])]
    array([[ 3, -1],
           [ 1,  2]])
    """

    def __init__(self, values, offsets, unknown=()):
        self.values, self.offsets, self.unknown = values, offsets, unknown

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def lengths(self):
        """Elements of each sequence, int64 (n,)."""
        return np.diff(self.offsets)

    @property
    def arrays(self):
        """All content as flat arrays."""
        return self.values.reshape(-1), self.offsets

    def __getitem__(self, rows):
        """Return the values of the sequences `rows` (B,), (B, T) or (B, T, K); -1 or 0.0 after the ends.

        T is the length of the longest of these sequences, and at least 1.
        """
        begins, ends = self.offsets[rows][:, None], self.offsets[rows + 1][:, None]
        places = begins + np.arange(max((ends - begins).max(initial=0), 1))  # (B, T)
        is_after = places >= ends
        values = self.values if len(self.values) else np.zeros((1, *self.values.shape[1:]), self.values.dtype)
        padded = values[np.minimum(places, len(values) - 1)]
        padded[is_after] = -1 if self.values.dtype.kind in "iu" else 0
        return padded

    def parts(self):
        """Return the values of each sequence, a list of (T_i,) or (T_i, K)."""
        return parts_of(self.values, self.offsets)

    def means(self):
        """Return the mean value of each sequence, float64 (n,); 0 of an empty one."""
        sums = np.diff(np.concatenate([[0.0], np.cumsum(self.values)])[self.offsets])
        return sums / np.maximum(self.lengths, 1)

    def cut(self, lengths, truncation):
        """Return the targets of sequences of which the `truncation` ("end" or "start") is cut off, up to `lengths`."""
        return self._slices(self.offsets[:-1] if truncation == "end" else self.offsets[1:] - lengths, lengths)

    def take(self, rows):
        """Return the targets of the sequences `rows` (B,)."""
        return self._slices(self.offsets[rows], self.lengths[rows])

    def _slices(self, begins, lengths):
        """Return targets with lengths[i] values, from begins[i] on, for sequence i."""
        places, offsets = slices(begins, lengths)
        return StepTargets(self.values[places], offsets, self.unknown)


class TagsTarget:
    """One label of several for each element.

    A network may learn labels of another scheme than that of y. It tells K' inner labels apart, and converts them.

    Parameters
    ----------
    classes : ndarray
        Labels of y: strings or numbers. Labels are added that their conversion back can write.
    scheme_of_y, scheme : str or None, default=None
        Of the labels of y and of the inner labels, see `fastrnn.text.schemes`; None are plain labels.

    Attributes
    ----------
    classes : ndarray (K,)
        Sorted.
    inner : list (K',)
        The inner labels, sorted; those of `classes` unless the schemes differ.
    """

    kind = "tags"

    def __init__(self, classes, scheme_of_y=None, scheme=None):
        self.classes, self.scheme_of_y, self.scheme = classes, scheme_of_y, scheme
        self.inner = classes.tolist()
        if scheme != scheme_of_y:
            pairs = writable_labels(self.inner, scheme_of_y, scheme)
            self.inner = sorted({inner for _, inner in pairs} | ({"O"} & set(self.inner)))
            back = writable_labels(self.inner, scheme, scheme_of_y)
            self.classes = label_classes([*classes.tolist(), *(label for _, label in back)])
        places = {label: k for k, label in enumerate(self.classes.tolist())}
        merged = dict(reversed(back)) if scheme != scheme_of_y else {}
        self._labels = self.classes.tolist()
        self.merged = np.array([places[merged.get(label, label)] for label in self.inner])  # (K',) of 0 … K - 1
        self._places = {label: k for k, label in enumerate(self.inner)}

    @property
    def n_outputs(self):
        """Number of inner labels, K'."""
        return len(self.inner)

    @property
    def _converts(self):
        return self.scheme != self.scheme_of_y

    def allowed(self):
        """Return which inner labels may begin, follow one another, and end, as `layers.CRF` takes it, or None."""
        return None if self.scheme is None else schemes.allowed(self.inner, self.scheme)

    def encode(self, y, name="y", allow_unknown=False):
        """Return the inner label of each element as `StepTargets`, int64.

        A label that is no class raises ValueError, or becomes one of the `unknown` ones if it is of the scheme.
        """
        labels = label_sequences(y, name)
        if not allow_unknown:
            self._check_known(labels, name)
        elif self.scheme is not None:
            read_tags(labels.lists(), self.scheme_of_y, name)  # raises for a label of no scheme
        flat = labels.flat
        if self._converts:
            flat = list(itertools.chain.from_iterable(to_scheme(labels.lists(), self.scheme_of_y, self.scheme)))
        get = self._places.get
        values = np.fromiter((get(label, -1) for label in flat), np.int64, len(flat))
        others = np.flatnonzero(values < 0)
        unknown = list(dict.fromkeys(flat[n] for n in others))
        places = {label: self.n_outputs + k for k, label in enumerate(unknown)}
        values[others] = [places[flat[n]] for n in others]
        return StepTargets(values, labels.offsets, unknown)

    def _check_known(self, labels, name):
        unknown = set(labels.flat).difference(self.classes.tolist())
        if unknown:
            n = next(n for n, label in enumerate(labels.flat) if label in unknown)
            i, step = labels.place(n)
            raise ValueError(
                f"{name} contains {shown(labels.flat[n])} as label {step} of {name}[{i}], which is not among the "
                f"classes {shown(self.classes.tolist())}."
            )

    def inner_labels(self, paths):
        """Return the inner labels of `StepTargets` as from `encode`, a list for each sequence."""
        names = [*self.inner, *paths.unknown]
        return parts_of([names[k] for k in paths.values.tolist()], paths.offsets)

    def decode(self, paths, as_arrays=False):
        """Return the labels of `StepTargets` in the scheme of y, a list or an array for each sequence."""
        labels = self.inner_labels(paths)
        labels = to_scheme(labels, self.scheme, self.scheme_of_y) if self._converts else labels
        return [np.array(part, self.classes.dtype) for part in labels] if as_arrays else labels

    def read(self, y):
        """Return labels as `LabelSequences`, whether they are classes or not."""
        return label_sequences(y)

    def right(self, labels, predicted):
        """Return whether each of the labels that `read` returned is predicted, bool (N,)."""
        flat = itertools.chain.from_iterable(predicted)
        return np.fromiter(map(operator.eq, labels.flat, flat), np.bool_, len(labels.flat))

    def step_prediction(self, scores):
        """Return the best label for the scores of an element, (K',)."""
        return self._labels[self.merged[scores.argmax()]]

    def step_probabilities(self, scores):
        """Return the probabilities of the labels of y, (K,), for the scores of an element, (K',)."""
        return np.bincount(self.merged, softmax(scores), len(self.classes))

    def merge(self, scores, add):
        """Return scores of the labels of y: those of all inner labels that are written alike are added.

        Parameters
        ----------
        scores : StepTargets
            float64 (N, K').
        add : callable
            Adds two arrays: `numpy.add` for probabilities, `numpy.logaddexp` for their logarithms.

        Returns
        -------
        StepTargets
            float64 (N, K).
        """
        if not self._converts:
            return scores
        values = np.full((len(scores.values), len(self.classes)), 0.0 if add is np.add else -np.inf)
        for column, k in zip(scores.values.T, self.merged, strict=True):
            values[:, k] = add(values[:, k], column)
        return StepTargets(values, scores.offsets)

    def validation_score(self, true, found):
        """Return the F1 of entities, where a scheme and the true labels have any, and else the accuracy.

        As long as no entity is found, it is the accuracy minus 1.

        Parameters
        ----------
        true, found : StepTargets
            As from `encode`.
        """
        accuracy = float(np.mean(found.values == true.values))
        y_true = None if self.scheme is None else self.inner_labels(true)
        if y_true is None or not any(label != "O" for labels in y_true for label in labels):
            return accuracy
        return entity_f1(y_true, self.inner_labels(found), scheme=self.scheme) or accuracy - 1

    def first_forbidden(self, encoded):
        """Return the first sequence of `StepTargets` whose labels the scheme rules out, or None."""
        if self.scheme is None:
            return None
        allowed = self.allowed()
        return next((i for i, path in enumerate(encoded.parts()) if not is_allowed(path, allowed)), None)

    def weights(self, encoded, class_weight):
        """Return the weight of each element's label in the scheme of y as `StepTargets`, float64 (N,)."""
        weights = ClassTarget(self.classes).weights(self.merged[encoded.values], class_weight)
        if len(weights) and not weights.any():
            raise ValueError(f"class_weight must give some element a weight above 0, got {shown(class_weight)}.")
        return StepTargets(weights, encoded.offsets)

    def strata(self, encoded):
        """Return zeros: all sequences are one group."""
        return np.zeros(len(encoded), np.int64)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        schemes = {"scheme_of_y": self.scheme_of_y, "scheme": self.scheme}
        return {"kind": self.kind, "classes": stored_classes(self.classes), **schemes}, {}

    @classmethod
    def from_learned(cls, content, arrays):
        """Return the target that had this result of `get_learned`."""
        return cls(restored_classes(content["classes"]), content["scheme_of_y"], content["scheme"])


def learn_tags(y, given=None, scheme=None):
    """Return the target of labels.

    Parameters
    ----------
    y : LabelSequences, or what `label_sequences` reads
    given : array-like (K,) or None, default=None
        All labels that may occur; None takes those of y.
    scheme : str or None, default=None
        The scheme in which a network learns them, one of `fastrnn.text.schemes.SCHEMES`. "auto" takes that of y, and
        "iob2" for "iob1". None takes the labels as they are.

    Returns
    -------
    TagsTarget

    Raises
    ------
    ValueError
        y has no labels, or a label that is not of the scheme.
    """
    labels = label_sequences(y)
    classes = learn_labels(labels)
    if given is not None:
        classes = label_classes(np.asarray(given).tolist())
    if scheme is None:
        return TagsTarget(classes)
    lists, names = labels.lists(), classes.tolist()
    scheme_of_y = find_scheme(lists) or find_scheme([names])
    if scheme == "auto":
        scheme = "iob2" if scheme_of_y == "iob1" else scheme_of_y
    elif scheme_of_y is None:
        read_tags(lists, scheme)  # raises for a label of no scheme; all may be outside
        if not all(label[2:] for label in names if label[1:2] == "-"):
            raise ValueError(f"y must have a type behind each dash with scheme={scheme!r}, got {shown(names)}.")
        scheme_of_y = scheme
    if scheme is not None:
        read_tags([names], scheme, "classes")
    return TagsTarget(classes, scheme_of_y, scheme)


_PATTERNS = ("S", "BIE", "BE", "SS", "BIEBIE")  # spans, alone first, by which all prefixes are written


def writable_labels(labels, scheme_from, scheme_to):
    """Return how labels of a scheme are written in another one.

    Parameters
    ----------
    labels : list of str
        Of `scheme_from`. Spans that these labels can write are converted.
    scheme_from, scheme_to : str

    Returns
    -------
    list of (str, str)
        Labels of both schemes that stand at the same element; those of a span by itself come first.

    Examples
    --------
    >>> writable_labels(["B-X", "I-X"], "iob2", "bioes")[:4]
    [('B-X', 'S-X'), ('B-X', 'B-X'), ('I-X', 'I-X'), ('I-X', 'E-X')]
    """
    types = dict.fromkeys(label.partition("-")[1:] for label in labels if label != "O")
    spans = [[prefix + "".join(type_) for prefix in pattern] for pattern in _PATTERNS for type_ in types]
    known = set(labels)
    written = [tags for tags in to_scheme(spans, "bioes", scheme_from) if known.issuperset(tags)]
    converted = to_scheme(written, scheme_from, scheme_to)
    flat = itertools.chain.from_iterable
    return list(dict.fromkeys(zip(flat(written), flat(converted), strict=True)))
