"""Targets of estimators: classes, several labels at once, or numbers."""

import collections.abc
import numbers

import numpy as np
import scipy.sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from fastrnn.estimators.sequences import restored_classes, stored_classes
from fastrnn.estimators.series import mean_and_deviation
from fastrnn.utils.checks import check_not_negative, did_you_mean, is_missing, shown, warn_caller

_ONE_EACH = "one label (a string or a number) for each sequence, or an indicator matrix (n, K) of 0 and 1"


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
        """K."""
        return len(self.classes)

    def encode(self, y):
        """Return the index of each label, int64 (n,); ValueError for one that is no class."""
        y = label_array(y)
        if y.ndim == 2 and y.shape[1] == 1:
            warn_caller(
                "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
                "(n_samples,), for example using ravel().",
                DataConversionWarning,
            )
        y = _column(y)
        places = {label: i for i, label in enumerate(_plain(self.classes))}
        encoded = np.array([places.get(label, -1) for label in _plain(y)], np.int64)
        if (encoded < 0).any():
            row = int(np.argmin(encoded))
            raise ValueError(
                f"y contains {shown(y[row])} at row {row}, which is not among the classes "
                f"{shown(self.classes.tolist())}."
            )
        return encoded

    def weights(self, encoded, class_weight):
        """Return the weight that its class gives each example."""
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
        """Return the weights of the classes, as scikit-learn takes them from a dict: 1 for a class that is left out."""
        labels = _plain(self.classes)
        unknown = [label for label in class_weight if label not in labels]
        if unknown and any(label not in class_weight for label in labels):  # else a superset, as folds of data have it
            raise ValueError(
                f"class_weight must have classes as keys: {shown(unknown[0])} is not among {shown(labels)}."
            )
        for label, weight in class_weight.items():
            check_not_negative(f"class_weight[{shown(label)}]", weight)
        return np.array([class_weight.get(label, 1.0) for label in labels], np.float64)

    def get_learned(self):
        """Return what a file keeps."""
        return {"kind": self.kind, "classes": stored_classes(self.classes)}, {}


class LabelsTarget:
    """Any number of K labels."""

    kind = "labels"

    def __init__(self, n_outputs):
        self.n_outputs = n_outputs
        self.classes = np.arange(n_outputs)

    def encode(self, y):
        """Return an indicator matrix as float32 (n, K)."""
        y = label_array(y)
        y = y.toarray() if scipy.sparse.issparse(y) else y
        if y.ndim != 2 or y.shape[1] != self.n_outputs:
            raise ValueError(f"y must have shape (n, {self.n_outputs}), a column each label, got {y.shape}.")
        _check_indicators(y)
        return y.astype(np.float32)

    def weights(self, encoded, class_weight):
        """Return ones: weights of classes are for one class of several."""
        if class_weight is not None:
            raise ValueError("class_weight must be None for an indicator matrix y: weight the examples instead.")
        return np.ones(len(encoded))

    def get_learned(self):
        """Return what a file keeps."""
        return {"kind": self.kind, "n_outputs": self.n_outputs}, {}


class ValuesTarget:
    """K numbers, standardised.

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
        y = y[:, None] if y.ndim == 1 else y
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

    def get_learned(self):
        """Return what a file keeps."""
        return {"kind": self.kind, "n_dims": self.n_dims}, {"target.mean": self.mean, "target.scale": self.scale}


def learn_classes(y, given=None):
    """Return the target that the labels y are of; the classes that are given are all that may come."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    y = label_array(y)
    if not scipy.sparse.issparse(y) and not y.size:
        raise ValueError("y is empty: found 0 labels while a minimum of 2 classes is required.")
    if scipy.sparse.issparse(y) or type_of_target(y, input_name="y") == "multilabel-indicator":
        _check_indicators(y)
        return LabelsTarget(y.shape[1])
    labels = _column(y)
    check_classification_targets(labels)
    classes = np.unique(labels if given is None else _column(label_array(given, "classes")))
    if len(classes) < 2:
        name = "y has one class" if given is None else "classes holds one"
        raise ValueError(f"{name} only, {shown(classes[0])}: a classifier needs at least two classes to tell apart.")
    return ClassTarget(classes)


def learn_values(y):
    """Return the target that the numbers y are of."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    values = _numbers(y)
    n_dims = values.ndim
    values = values[:, None] if n_dims == 1 else values
    mean, scale = mean_and_deviation("y", values)
    return ValuesTarget(mean, np.where(scale > 0, scale, 1.0), n_dims)


def restored_target(content, arrays):
    """Return the target whose `get_learned` was this."""
    if content["kind"] == "classes":
        return ClassTarget(restored_classes(content["classes"]))
    if content["kind"] == "labels":
        return LabelsTarget(content["n_outputs"])
    return ValuesTarget(arrays["target.mean"], arrays["target.scale"], content["n_dims"])


def _numbers(y):
    """Return y as float64 (n, K) or (n,)."""
    if not scipy.sparse.issparse(y):  # which the check below refuses
        y = _as_array(y, "y", "numbers")
    if y.dtype.kind in "OSTU":
        _refuse_missing(y, _is_each(is_missing, y), "y")
        other = np.argwhere(~_is_each(lambda value: isinstance(value, numbers.Real), y))
        if len(other):
            value = shown(y[tuple(other[0])])
            raise ValueError(f"y must be numbers, as many for each sequence, got {value} at row {other[0][0]}.")
        y = y.astype(np.float64)
    if y.dtype.kind == "f" and not scipy.sparse.issparse(y):
        _refuse_missing(y, ~np.isfinite(y), "y")
    return check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")


def _is_each(condition, array):
    """Return whether a condition holds for each element, in the shape of the array."""
    return np.array([condition(value) for value in array.flat], bool).reshape(array.shape)


def label_array(y, name="y"):
    """Return labels as an array whose elements are of one type; a sparse matrix as it is.

    Strings of NumPy's variable width become those of fixed width, which scikit-learn's scores know.

    Parameters
    ----------
    y : array-like (n,) or (n, K)
    name : str
        What messages call it.

    Returns
    -------
    ndarray or sparse matrix

    Raises
    ------
    ValueError
        A label is missing (None, NaN, NaT), is no label at all, or strings stand beside numbers: the message names the
        first row.
    """
    if scipy.sparse.issparse(y):
        return y.tocsr()
    is_list = not hasattr(y, "__array__")
    y = _as_array(y, name, "labels")
    if y.ndim > 2:
        raise ValueError(f"{name} must be {_ONE_EACH}, got an array of shape {y.shape}.")
    if y.dtype.kind not in "fMOST":
        return y
    if y.dtype.kind == "f":
        _refuse_missing(y, ~np.isfinite(y), name)
    elif y.dtype.kind == "M":
        _refuse_missing(y, np.isnat(y), name)
    elif not _are_strings(y, name) or is_list or y.dtype.kind == "T":
        return label_array(_of_one_type(y, name), name)
    return y


def _of_one_type(y, name):
    """Return an array of objects as one of strings or numbers that are equal to them."""
    plain = np.array(y.tolist())
    differs = np.argwhere(plain.astype(object) != y) if plain.dtype != object else np.zeros((1, y.ndim), int)
    if len(differs):  # more than 64 bits, a fraction, a string that ends in NUL
        first = tuple(differs[0])
        raise ValueError(f"{name} holds {shown(y[first])} at row {first[0]}, which no array holds: give other labels.")
    return plain


def _as_array(y, name, what):
    """Return an array; one of objects for a list, in which "a" beside NaN or 1 must not become strings."""
    if isinstance(y, str | bytes) or not (isinstance(y, collections.abc.Sequence) or hasattr(y, "__array__")):
        raise ValueError(f"{name} must be a list or an array of {what}, got {shown(y)}.")
    if np.ma.is_masked(y):
        raise ValueError(f"{name} has masked values: leave out the sequences that have none.")
    if hasattr(y, "__array__"):
        return np.asarray(y)
    is_scalar = (getattr(value, "shape", None) == () and not isinstance(value, np.generic) for value in y)
    return np.asarray([value.item() if scalar else value for value, scalar in zip(y, is_scalar, strict=True)], object)


def _are_strings(y, name):
    """Whether an array of objects holds strings, not booleans and numbers; ValueError if it holds anything else."""
    is_text = _is_each(lambda label: isinstance(label, str), y)
    is_number = _is_each(lambda label: isinstance(label, bool | np.bool_ | numbers.Real), y)
    _refuse_missing(y, _is_each(is_missing, y), name)
    other = np.argwhere(~is_text & ~is_number)
    if len(other):
        label = y[tuple(other[0])]
        is_nested = hasattr(label, "__len__") and not isinstance(label, bytes)
        steps = "; labels of the steps of a sequence are not learned" if is_nested else ""
        raise ValueError(f"{name} must be {_ONE_EACH}, got {shown(label)} at row {other[0][0]}{steps}.")
    if is_text.any() and is_number.any():
        text, number = (tuple(np.argwhere(where)[0]) for where in (is_text, is_number))
        raise ValueError(
            f"{name} must have labels of one type, got {shown(y[text])} at row {text[0]} and {shown(y[number])} at row "
            f"{number[0]}."
        )
    return bool(is_text.any())


def _refuse_missing(y, missing, name):
    places = np.argwhere(missing)
    if len(places):
        value = y[tuple(places[0])]
        text = "NaN" if isinstance(value, float | np.floating) and np.isnan(value) else shown(value).strip("'")
        raise ValueError(f"{name} holds {text} at row {places[0][0]}: leave out the sequences that have none.")


def _plain(labels):
    """Return labels as a list of Python's own values, in which "1" is not 1; dates as strings."""
    return (labels.astype("M8[ns]").astype(str) if labels.dtype.kind == "M" else labels).tolist()


def _check_indicators(y):
    values = y.data if scipy.sparse.issparse(y) else y
    wrong = values[(values != 0) & (values != 1)]
    if wrong.size:
        raise ValueError(f"y must be {_ONE_EACH}, got a matrix with {shown(wrong.flat[0])}.")


def _column(y):
    """Return labels (n,) or (n, 1) as a one-dimensional array."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or scipy.sparse.issparse(y):
        raise ValueError(f"y must be {_ONE_EACH}, got an array of shape {y.shape}.")
    return y
