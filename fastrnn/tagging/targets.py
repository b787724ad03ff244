"""Targets of estimators with a target for each element of a sequence; see also `fastrnn.estimators.targets`.

They have a target's methods, and ``encode`` returns `StepTargets`.
"""

import itertools

import numpy as np

from fastrnn.estimators.labels import restored_classes, stored_classes
from fastrnn.estimators.targets import ClassTarget
from fastrnn.tagging.labels import label_classes, label_sequences, learn_labels
from fastrnn.utils.checks import shown


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
        """Return the values of the sequences `rows` (B,), (B, T) or (B, T, K); -1 or 0.0 behind the ends.

        T is the length of the longest of these sequences, and at least 1.
        """
        begins, ends = self.offsets[rows][:, None], self.offsets[rows + 1][:, None]
        places = begins + np.arange(max((ends - begins).max(initial=0), 1))  # (B, T)
        is_behind = places >= ends
        values = self.values if len(self.values) else np.zeros((1, *self.values.shape[1:]), self.values.dtype)
        padded = values[np.minimum(places, len(values) - 1)]
        padded[is_behind] = -1 if self.values.dtype.kind in "iu" else 0
        return padded

    def parts(self):
        """Return the values of each sequence, a list of (T_i,) or (T_i, K)."""
        return [self.values[begin:end] for begin, end in itertools.pairwise(self.offsets.tolist())]

    def cut(self, lengths, truncation):
        """Return the targets of sequences of which the `truncation` ("end" or "start") is cut off, up to `lengths`."""
        return self._slices(self.offsets[:-1] if truncation == "end" else self.offsets[1:] - lengths, lengths)

    def take(self, rows):
        """Return the targets of the sequences `rows` (B,)."""
        return self._slices(self.offsets[rows], self.lengths[rows])

    def _slices(self, begins, lengths):
        """Return targets with lengths[i] values, from begins[i] on, for sequence i."""
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        chosen = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)
        return StepTargets(self.values[chosen], offsets, self.unknown)


class TagsTarget:
    """One label of several for each element.

    Parameters
    ----------
    classes : ndarray (K,)
        Sorted labels: strings or numbers.
    """

    kind = "tags"

    def __init__(self, classes):
        self.classes = classes
        self._plain = classes.tolist()
        self._places = {label: k for k, label in enumerate(self._plain)}

    @property
    def n_outputs(self):
        """Number of classes that a network tells apart, K."""
        return len(self.classes)

    def encode(self, y, name="y", allow_unknown=False):
        """Return the class of each label as `StepTargets`, int64.

        A label that is no class raises ValueError, or becomes one of the `unknown` ones.
        """
        labels, unknown = label_sequences(y, name), []
        get = self._places.get
        values = np.fromiter((get(label, -1) for label in labels.flat), np.int64, len(labels.flat))
        wrong = np.flatnonzero(values < 0)
        if len(wrong) and not allow_unknown:
            i, step = labels.place(int(wrong[0]))
            raise ValueError(
                f"{name} contains {shown(labels.flat[wrong[0]])} as label {step} of {name}[{i}], which is not among "
                f"the classes {shown(self._plain)}."
            )
        if len(wrong):
            unknown = list(dict.fromkeys(labels.flat[n] for n in wrong))
            places = {label: self.n_outputs + k for k, label in enumerate(unknown)}
            values[wrong] = [places[labels.flat[n]] for n in wrong]
        return StepTargets(values, labels.offsets, unknown)

    def decode(self, paths):
        """Return the labels of classes, a list for each sequence.

        Parameters
        ----------
        paths : StepTargets
            As from `encode`.

        Returns
        -------
        list of list
        """
        names = [*self._plain, *paths.unknown]
        labels = [names[k] for k in paths.values.tolist()]
        return [labels[begin:end] for begin, end in itertools.pairwise(paths.offsets.tolist())]

    def weights(self, encoded, class_weight):
        """Return the weight of each element's class, float64 (N,)."""
        return ClassTarget(self.classes).weights(encoded.values, class_weight)

    def strata(self, encoded):
        """Return zeros: all sequences are one group."""
        return np.zeros(len(encoded), np.int64)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return {"kind": self.kind, "classes": stored_classes(self.classes)}, {}

    @classmethod
    def from_learned(cls, content, arrays):
        """Return the target that had this result of `get_learned`."""
        return cls(restored_classes(content["classes"]))


def learn_tags(y, given=None):
    """Return the target of labels y; `given` are all labels that may occur, None takes those of y."""
    labels = label_sequences(y)
    classes = learn_labels(labels)
    if given is not None:
        classes = label_classes(np.asarray(given).tolist())
    return TagsTarget(classes)


# By the kind that a file names; targets of several labels, or of numbers, for each element have their place here.
STEP_TARGETS = {target.kind: target for target in (TagsTarget,)}
