"""Labels and numbers as arrays of one type; errors about anything else."""

import collections.abc
import numbers

import numpy as np
import scipy.sparse
from sklearn.utils import check_array

from fastrnn.persistence import plain_parameter
from fastrnn.utils.checks import is_missing, shown

ONE_EACH = "one label (a string or a number) for each sequence, or an indicator matrix (n, K) of 0 and 1"


def label_array(y, name="y"):
    """Return labels as an array of elements of one type; a sparse matrix stays sparse.

    NumPy's strings of variable width become strings of fixed width, which scikit-learn's scores know.

    Parameters
    ----------
    y : array-like (n,) or (n, K)
    name : str
        The argument's name in messages.

    Returns
    -------
    ndarray or sparse matrix

    Raises
    ------
    ValueError
        A label is missing (None, NaN, NaT), an element is not a label, or strings and numbers are mixed: the message
        names the first row.

    Examples
    --------
    >>> label_array(["b", "a"])
    array(['b', 'a'], dtype='<U1')
    """
    if scipy.sparse.issparse(y):
        return y.tocsr()
    is_list = not hasattr(y, "__array__")
    y = _as_array(y, name, "labels")
    if y.ndim > 2:
        raise ValueError(f"{name} must be {ONE_EACH}, got an array of shape {y.shape}.")
    if y.dtype.kind not in "fMOST":
        return y
    if y.dtype.kind == "f":
        _refuse_missing(y, ~np.isfinite(y), name)
    elif y.dtype.kind == "M":
        _refuse_missing(y, np.isnat(y), name)
    elif not _are_strings(y, name) or is_list or y.dtype.kind == "T":
        return label_array(_of_one_type(y, name), name)
    return y


def number_array(y):
    """Return y as finite numbers, float64 (n, K) or (n,).

    Raises
    ------
    ValueError
        A number is missing, or an element is not a number: the message names the first row.
    """
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


def plain_labels(labels):
    """Return labels as a list of Python's built-in values, where "1" is not 1; dates become strings."""
    return (labels.astype("M8[ns]").astype(str) if labels.dtype.kind == "M" else labels).tolist()


def check_indicators(y):
    """Raise ValueError if a matrix holds anything but 0 and 1."""
    values = y.data if scipy.sparse.issparse(y) else y
    wrong = values[(values != 0) & (values != 1)]
    if wrong.size:
        raise ValueError(f"y must be {ONE_EACH}, got a matrix with {shown(wrong.flat[0])}.")


def label_column(y):
    """Return labels (n,) or (n, 1) as an array (n,); raise ValueError for other shapes."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or scipy.sparse.issparse(y):
        raise ValueError(f"y must be {ONE_EACH}, got an array of shape {y.shape}.")
    return y


def stored_classes(classes):
    """Return labels (K,) as plain values for a file; `restored_classes` reads them."""
    values = classes.astype(str) if classes.dtype.kind == "M" else classes
    return {"dtype": classes.dtype.str, "values": plain_parameter("classes_", values)}


def restored_classes(stored):
    """Return the labels (K,) that `stored_classes` wrote."""
    return np.array(stored["values"], dtype=np.dtype(stored["dtype"]))


def _of_one_type(y, name):
    """Return an array of objects as an array of equal strings or numbers."""
    plain = np.array(y.tolist())
    differs = np.argwhere(plain.astype(object) != y) if plain.dtype != object else np.zeros((1, y.ndim), int)
    if len(differs):  # more than 64 bits, a fraction, a string that ends in NUL
        first = tuple(differs[0])
        raise ValueError(f"{name} holds {shown(y[first])} at row {first[0]}, which no array holds: give other labels.")
    return plain


def _as_array(y, name, what):
    """Return y as an array. A list becomes an array of objects, so that NaN and 1 beside "a" do not become strings."""
    if isinstance(y, str | bytes) or not (isinstance(y, collections.abc.Sequence) or hasattr(y, "__array__")):
        raise ValueError(f"{name} must be a list or an array of {what}, got {shown(y)}.")
    if np.ma.is_masked(y):
        raise ValueError(f"{name} has masked values: leave out the sequences that have none.")
    if hasattr(y, "__array__"):
        return np.asarray(y)
    is_scalar = (getattr(value, "shape", None) == () and not isinstance(value, np.generic) for value in y)
    return np.asarray([value.item() if scalar else value for value, scalar in zip(y, is_scalar, strict=True)], object)


def _are_strings(y, name):
    """Return whether all objects are strings rather than numbers; raise ValueError if they are neither or mixed."""
    is_text = _is_each(lambda label: isinstance(label, str), y)
    is_number = _is_each(lambda label: isinstance(label, bool | np.bool_ | numbers.Real), y)
    _refuse_missing(y, _is_each(is_missing, y), name)
    other = np.argwhere(~is_text & ~is_number)
    if len(other):
        label = y[tuple(other[0])]
        is_nested = hasattr(label, "__len__") and not isinstance(label, bytes)
        steps = "; labels of the steps of a sequence are not learned" if is_nested else ""
        raise ValueError(f"{name} must be {ONE_EACH}, got {shown(label)} at row {other[0][0]}{steps}.")
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


def _is_each(condition, array):
    """Return for each element whether the condition holds, a bool array of the same shape."""
    return np.array([condition(value) for value in array.flat], bool).reshape(array.shape)
