"""Checks of parameters that many classes have, and values as error messages show them."""

import difflib
import numbers
import reprlib
import sys
import warnings

import numpy as np


class _Shown(reprlib.Repr):
    """A short `repr`: NumPy's scalars as plain numbers, arrays and tables by their shapes."""

    def __init__(self):
        super().__init__()
        self.maxlevel, self.maxdict, self.maxstring, self.maxother = 3, 6, 80, 80
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 20

    def repr1(self, x, level):
        if isinstance(x, np.generic):
            x = str(x) if x.dtype.kind in "mM" else x.item()
        shape = getattr(x, "shape", None)
        if isinstance(shape, tuple) and not isinstance(x, type):
            kind = "array" if isinstance(x, np.ndarray) else type(x).__name__
            return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind} of shape {tuple(shape)}"
        return super().repr1(x, level)


_SHOWN = _Shown()
_INSIDE = ("fastrnn", "sklearn", "joblib")  # packages whose lines are skipped: a warning is about the caller's line


def shown(value):
    """Return a value as an error message shows it.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
        At most 200 characters.

    Examples
    --------
    >>> shown([np.str_("a"), np.zeros((2, 3))])
    "['a', an array of shape (2, 3)]"
    """
    text = _SHOWN.repr(value)
    return text if len(text) <= 200 else text[:199] + "…"


def is_missing(value):
    """Return whether a value is missing: None, NaN, NaT, pandas.NA.

    Examples
    --------
    >>> [is_missing(value) for value in (None, float("nan"), 0, "")]
    [True, True, False, False]
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and value != value


def is_frame(value):
    """Return whether a value is a table with named columns: a DataFrame of pandas or polars, for instance."""
    return hasattr(type(value), "columns")


def did_you_mean(value, choices):
    """Return the end of a message: a proposal of the name that was probably meant.

    Parameters
    ----------
    value : object
        The given value.
    choices : iterable of str

    Returns
    -------
    str
        A full stop alone if no name is similar.

    Examples
    --------
    >>> did_you_mean("LSTM", ["gru", "lstm", "peephole_lstm"])
    ": did you mean 'lstm'?"
    """
    names = {_folded(name): name for name in choices}
    for name in choices:
        names.setdefault("".join(part[0] for part in name.split("_")), name)  # "kn" is Kneser–Ney
    given = _folded(value) if isinstance(value, str) else ""
    near = [given] if given in names else difflib.get_close_matches(given, names, n=1)
    return f": did you mean {names[near[0]]!r}?" if near else "."


def _folded(name):
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def check_choice(name, value, choices):
    """Raise ValueError unless a parameter is one of several values.

    Parameters
    ----------
    name : str
        The parameter.
    value : object
        The given value.
    choices : iterable
        Names, or None, True and False.
    """
    choices = list(choices)
    if any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        return
    proposal = did_you_mean(value, [choice for choice in choices if isinstance(choice, str)])
    raise ValueError(f"{name} must be {listed(choices)}, got {shown(value)}{proposal}")


def listed(choices):
    """Return choices as a message lists them.

    Examples
    --------
    >>> listed([None, "relu"]), listed(["a", "b", "c"])
    ("None or 'relu'", "one of 'a', 'b', 'c'")
    """
    names = [repr(choice) for choice in choices]
    return "one of " + ", ".join(names) if len(names) > 2 else " or ".join(names)


def warn_caller(message, category=UserWarning):
    """Warn about the user's line: the nearest one outside this package, scikit-learn and joblib.

    Parameters
    ----------
    message : str
    category : type, default=UserWarning
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def check_fitted(estimator, attribute):
    """Raise NotFittedError unless an estimator has the attribute that `fit` sets, or reports itself as fitted.

    Scikit-learn's check takes longer than a short prediction, so it runs only where the attribute is missing.

    Parameters
    ----------
    estimator : BaseEstimator
    attribute : str
    """
    says = getattr(estimator, "__sklearn_is_fitted__", None)
    if not (attribute in vars(estimator) if says is None else says()):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator)


def check_positive_integer(name, value):
    """Raise ValueError unless a parameter is an integer of at least 1 (and no boolean)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {shown(value)}.")


def check_not_negative(name, value):
    """Raise ValueError unless a parameter is a finite number of at least 0 (and no boolean)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < np.inf:
        raise ValueError(f"{name} must be a number of at least 0, got {shown(value)}.")


def check_count(name, value):
    """Raise ValueError unless a parameter is an integer of at least 0 (and no boolean)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
        raise ValueError(f"{name} must be an integer of at least 0, got {shown(value)}.")


def check_fraction(name, value):
    """Raise ValueError unless a parameter is a number from 0 on and below 1."""
    if not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {shown(value)}.")


def check_training(settings):
    """Raise ValueError if a parameter that all estimators with a network share is wrong.

    Parameters
    ----------
    settings : object
        Has the attributes ``learning_rate_init``, ``alpha``, ``clip_norm`` and ``validation_fraction``.
    """
    for name in ("learning_rate_init", "alpha"):
        check_not_negative(name, getattr(settings, name))
    if settings.clip_norm is not None and not (isinstance(settings.clip_norm, numbers.Real) and settings.clip_norm > 0):
        raise ValueError(f"clip_norm must be None or a number above 0, got {shown(settings.clip_norm)}.")
    fraction = settings.validation_fraction
    if not (isinstance(fraction, numbers.Real) and 0 < fraction < 1):
        raise ValueError(f"validation_fraction must be between 0 and 1, got {shown(fraction)}.")
