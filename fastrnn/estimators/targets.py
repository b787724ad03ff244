"""Targets of estimators: classes, several labels at once, or numbers.

A target describes the values of y. Estimators use

- ``encode(y)``: y as an array with an entry for each sequence, or ValueError;
- ``weights(encoded, class_weight)``: the weight of each sequence, float64 (n,);
- ``strata(encoded)``: the group of each sequence, int (n,); a split takes an equal share of each group;
- ``kind``: the kind of the network's head, see `fastrnn.networks.heads`;
- ``n_outputs``: the outputs that the network needs, K;
- ``get_learned()`` and ``from_learned(content, arrays)``: conversion to a file's content and back.

`TARGETS` has the classes of targets by their kind.
"""

import collections.abc

import numpy as np
import scipy.sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from fastrnn.estimators.labels import (
    check_indicators,
    label_array,
    label_column,
    number_array,
    plain_labels,
    restored_classes,
    stored_classes,
)
from fastrnn.estimators.series import mean_and_deviation
from fastrnn.utils.checks import check_not_negative, did_you_mean, shown, warn_caller


class ClassTarget:
    """One class of several.

    Parameters
    ----------
    classes : ndarray (K,)
        Sorted, of any type.
    """

    kind = "classes"

    def __init__(self, classes):
        self.classes = classes

    @property
    def n_outputs(self):
        """Number of outputs, K."""
        return len(self.classes)

    def encode(self, y):
        """Return the index of each label's class, int64 (n,); raise ValueError for a label that is not a class."""
        y = label_array(y)
        if y.ndim == 2 and y.shape[1] == 1:
            warn_caller(
                "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
                "(n_samples,), for example using ravel().",
                DataConversionWarning,
            )
        y = label_column(y)
        places = {label: i for i, label in enumerate(plain_labels(self.classes))}
        encoded = np.array([places.get(label, -1) for label in plain_labels(y)], np.int64)
        if (encoded < 0).any():
            row = int(np.argmin(encoded))
            raise ValueError(
                f"y contains {shown(y[row])} at row {row}, which is not among the classes "
                f"{shown(self.classes.tolist())}."
            )
        return encoded

    def weights(self, encoded, class_weight):
        """Return the weight of each example's class, float64 (n,)."""
        if class_weight is None:
            return np.ones(len(encoded))
        if isinstance(class_weight, collections.abc.Mapping):
            return self._given_weights(class_weight)[encoded]
        if not isinstance(class_weight, str) or class_weight != "balanced":
            raise ValueError(
                f"class_weight must be None, 'balanced' or a dict of classes to weights, "
                f"got {shown(class_weight)}{did_you_mean(class_weight, ['balanced'])}"
            )
        present = np.unique(encoded)
        factors = np.ones(self.n_outputs)
        factors[present] = compute_class_weight("balanced", classes=present, y=encoded)
        return factors[encoded]

    def _given_weights(self, class_weight):
        """Return the weights of the classes (K,) from a dict; as in scikit-learn, a class that is left out has 1."""
        labels = plain_labels(self.classes)
        unknown = [label for label in class_weight if label not in labels]
        if unknown and any(label not in class_weight for label in labels):  # else a superset, as of a fold
            raise ValueError(
                f"class_weight must have classes as keys: {shown(unknown[0])} is not among {shown(labels)}."
            )
        for label, weight in class_weight.items():
            check_not_negative(f"class_weight[{shown(label)}]", weight)
        return np.array([class_weight.get(label, 1.0) for label in labels], np.float64)

    def strata(self, encoded):
        """Return the classes themselves."""
        return encoded

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return {"kind": self.kind, "classes": stored_classes(self.classes)}, {}

    @classmethod
    def from_learned(cls, content, arrays):
        """Return the target that had this result of `get_learned`."""
        return cls(restored_classes(content["classes"]))


class LabelsTarget:
    """Any number of K labels.

    Parameters
    ----------
    n_outputs : int
        Number of labels, K.
    """

    kind = "labels"

    def __init__(self, n_outputs):
        self.n_outputs = n_outputs
        self.classes = np.arange(n_outputs)

    def encode(self, y):
        """Return the indicator matrix y as float32 (n, K)."""
        y = label_array(y)
        y = y.toarray() if scipy.sparse.issparse(y) else y
        if y.ndim != 2 or y.shape[1] != self.n_outputs:
            raise ValueError(f"y must have shape (n, {self.n_outputs}), a column each label, got {y.shape}.")
        check_indicators(y)
        return y.astype(np.float32)

    def weights(self, encoded, class_weight):
        """Return ones (n,); raise ValueError for weights of classes, which need one class a sequence."""
        if class_weight is not None:
            raise ValueError("class_weight must be None for an indicator matrix y: weight the examples instead.")
        return np.ones(len(encoded))

    def strata(self, encoded):
        """Return zeros: all sequences are one group."""
        return np.zeros(len(encoded), np.int64)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return {"kind": self.kind, "n_outputs": self.n_outputs}, {}

    @classmethod
    def from_learned(cls, content, arrays):
        """Return the target that had this result of `get_learned`."""
        return cls(content["n_outputs"])


class ValuesTarget:
    """K numbers, standardised.

    Parameters
    ----------
    mean, scale : ndarray (K,)
        Of the training targets.
    n_dims : {1, 2}
        Dimensions of y.
    """

    kind = "values"

    def __init__(self, mean, scale, n_dims):
        self.mean, self.scale, self.n_dims = mean, scale, n_dims

    @property
    def n_outputs(self):
        """Number of outputs, K."""
        return len(self.mean)

    def encode(self, y):
        """Return y standardised, float64 (n, K)."""
        y = number_array(y)
        y = y[:, None] if y.ndim == 1 else y
        if y.shape[1:] != self.mean.shape:
            raise ValueError(f"y must have {self.n_outputs} columns, got shape {y.shape}.")
        return (y - self.mean) / self.scale

    def decode(self, outputs):
        """Return the numbers that outputs (n, K) predict, in the shape of y: (n,) or (n, K)."""
        values = outputs * self.scale + self.mean
        return values[:, 0] if self.n_dims == 1 else values

    def weights(self, encoded, class_weight):
        """Return ones (n,)."""
        return np.ones(len(encoded))

    def strata(self, encoded):
        """Return zeros: all sequences are one group."""
        return np.zeros(len(encoded), np.int64)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return {"kind": self.kind, "n_dims": self.n_dims}, {"target.mean": self.mean, "target.scale": self.scale}

    @classmethod
    def from_learned(cls, content, arrays):
        """Return the target that had this result of `get_learned`."""
        return cls(arrays["target.mean"], arrays["target.scale"], content["n_dims"])


TARGETS = {target.kind: target for target in (ClassTarget, LabelsTarget, ValuesTarget)}


def learn_classes(y, given=None):
    """Return the target of labels y; `given` are all labels that may occur, None takes those of y."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    y = label_array(y)
    if not scipy.sparse.issparse(y) and not y.size:
        raise ValueError("y is empty: found 0 labels while a minimum of 2 classes is required.")
    if scipy.sparse.issparse(y) or type_of_target(y, input_name="y") == "multilabel-indicator":
        check_indicators(y)
        return LabelsTarget(y.shape[1])
    labels = label_column(y)
    check_classification_targets(labels)
    classes = np.unique(labels if given is None else label_column(label_array(given, "classes")))
    if len(classes) < 2:
        name = "y has one class" if given is None else "classes holds one"
        raise ValueError(f"{name} only, {shown(classes[0])}: a classifier needs at least two classes to tell apart.")
    return ClassTarget(classes)


def learn_values(y):
    """Return the target of numbers y."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    values = number_array(y)
    n_dims = values.ndim
    values = values[:, None] if n_dims == 1 else values
    mean, scale = mean_and_deviation("y", values)
    return ValuesTarget(mean, np.where(scale > 0, scale, 1.0), n_dims)


def check_same_classes(known, classes):
    """Raise ValueError unless `classes`, a parameter, are the `known` ones."""
    if not np.array_equal(np.unique(label_array(classes, "classes")), known):
        raise ValueError(f"classes must be those of the first call, {shown(known.tolist())}, got {shown(classes)}.")
