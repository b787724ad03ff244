"""What is predicted: classes, several labels at once, or numbers; each with its loss on the outputs (B, K)."""

import warnings

import numpy as np
from scipy.special import expit, log_expit, log_softmax
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from fastrnn.classification._sequences import restored_classes, stored_classes


class ClassTarget:
    """One class of several: softmax and cross-entropy.

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
        """K."""
        return len(self.classes)

    def encode(self, y):
        """Return the index of each label, int64 (n,); ValueError for one that is no class."""
        y = _column(y)
        known = np.isin(y, self.classes)
        if not known.all():
            unknown = y[~known][0]
            raise ValueError(f"y contains {unknown!r}, which is not among the classes {self.classes!r:.200}.")
        return np.searchsorted(self.classes, y)

    def weights(self, encoded, class_weight):
        """Return the weight that its class gives each example."""
        if class_weight is None:
            return np.ones(len(encoded))
        y = self.classes[encoded]
        present = np.unique(y)
        if isinstance(class_weight, dict):
            return np.array([class_weight.get(label, 1.0) for label in self.classes.tolist()], float)[encoded]
        factors = compute_class_weight(class_weight, classes=present, y=y)
        return factors[np.searchsorted(present, y)]

    @staticmethod
    def loss(outputs, targets, weights):
        """Return Σ weights · -log p(target), and its gradient (B, K)."""
        log_p = log_softmax(outputs, axis=1)
        rows = np.arange(len(targets))
        gradient = np.exp(log_p)
        gradient[rows, targets] -= 1
        return -float(log_p[rows, targets] @ weights), gradient * weights[:, None]

    def get_learned(self):
        """Return what a file keeps."""
        return {"kind": self.kind, "classes": stored_classes(self.classes)}, {}


class LabelsTarget:
    """Any number of K labels: a sigmoid each, and the sum of their cross-entropies."""

    kind = "labels"

    def __init__(self, n_outputs):
        self.n_outputs = n_outputs
        self.classes = np.arange(n_outputs)

    def encode(self, y):
        """Return an indicator matrix as float32 (n, K)."""
        y = check_array(y, dtype=np.float32, input_name="y", accept_sparse=True)
        y = y.toarray() if hasattr(y, "toarray") else y
        if y.shape[1] != self.n_outputs:
            raise ValueError(f"y must have shape (n, {self.n_outputs}), a column each label, got {y.shape}.")
        return y

    def weights(self, encoded, class_weight):
        """Return ones: weights of classes are for one class of several."""
        if class_weight is not None:
            raise ValueError("class_weight must be None for an indicator matrix y: weight the examples instead.")
        return np.ones(len(encoded))

    @staticmethod
    def loss(outputs, targets, weights):
        """Return Σ weights · Σ cross-entropies, and its gradient (B, K)."""
        loss = -(targets * log_expit(outputs) + (1 - targets) * log_expit(-outputs)).sum(axis=1)
        return float(loss @ weights), (expit(outputs) - targets) * weights[:, None]

    def get_learned(self):
        """Return what a file keeps."""
        return {"kind": self.kind, "n_outputs": self.n_outputs}, {}


class ValuesTarget:
    """K numbers, standardised: half the squared error.

    Parameters
    ----------
    mean, scale : ndarray (K,)
    n_dims : {1, 2}
        Dimensions of y.
    """

    kind = "values"

    def __init__(self, mean, scale, n_dims):
        self.mean, self.scale, self.n_dims = mean, scale, n_dims

    @property
    def n_outputs(self):
        """K."""
        return len(self.mean)

    def encode(self, y):
        """Return standardised numbers, float64 (n, K)."""
        y = _numbers(y)
        if y.shape[1:] != self.mean.shape:
            raise ValueError(f"y must have {self.n_outputs} columns, got shape {y.shape}.")
        return (y - self.mean) / self.scale

    def decode(self, outputs):
        """Return the numbers for outputs (n, K), in the shape that y had."""
        values = outputs * self.scale + self.mean
        return values[:, 0] if self.n_dims == 1 else values

    def weights(self, encoded, class_weight):
        """Return ones."""
        return np.ones(len(encoded))

    @staticmethod
    def loss(outputs, targets, weights):
        """Return Σ weights · ½ Σ squared errors, and its gradient (B, K)."""
        error = outputs - targets
        return 0.5 * float((error * error).sum(axis=1) @ weights), error * weights[:, None]

    def get_learned(self):
        """Return what a file keeps."""
        return {"kind": self.kind, "n_dims": self.n_dims}, {"target.mean": self.mean, "target.scale": self.scale}


def learn_classes(y, classes=None):
    """Return the target that the labels y are of; `classes` are all that may come."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    check_classification_targets(y)
    if type_of_target(y, input_name="y") == "multilabel-indicator":
        return LabelsTarget(y.shape[1] if hasattr(y, "shape") else len(y[0]))
    classes = np.unique(_column(y) if classes is None else np.asarray(classes))
    if not len(classes):
        raise ValueError("y is empty: found 0 labels while a minimum of 2 classes is required.")
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only, {classes[0]!r}: a classifier needs at least two classes to tell apart."
        )
    return ClassTarget(classes)


def learn_values(y):
    """Return the target that the numbers y are of."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    values = _numbers(y)
    scale = values.std(axis=0)
    return ValuesTarget(values.mean(axis=0), np.where(scale > 0, scale, 1.0), np.asarray(y).ndim)


def restored_target(content, arrays):
    """Return the target whose `get_learned` was this."""
    if content["kind"] == "classes":
        return ClassTarget(restored_classes(content["classes"]))
    if content["kind"] == "labels":
        return LabelsTarget(content["n_outputs"])
    return ValuesTarget(arrays["target.mean"], arrays["target.scale"], content["n_dims"])


def _numbers(y):
    """Return y as float64 (n, K)."""
    y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
    return y[:, None] if y.ndim == 1 else y


def _column(y):
    """Return labels as a one-dimensional array."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            DataConversionWarning,
            stacklevel=2,
        )
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"y should be a 1d array, got an array of shape {y.shape} instead.")
    return y
