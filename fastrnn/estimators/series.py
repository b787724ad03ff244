"""Series become sequences of standardised vectors."""

import collections.abc

import numpy as np
import scipy.sparse
from sklearn.utils import check_array

from fastrnn.estimators.sequences import Sequences
from fastrnn.utils.arrays import to_array
from fastrnn.utils.checks import is_frame, is_missing, shown
from fastrnn.utils.ragged import offsets_of, place_of

_EXPECTED = "X must be a list of arrays (T, D) of numbers with input='series'"
_FARTHEST = 1e30  # deviations from the mean, so that products with weights stay finite in float32
_OTHER_END = {"end": "start", "start": "end"}  # the end that is kept when the other one is cut off


class SeriesReader:
    """Reads series, standardised by the mean and the standard deviation of all steps of the training series.

    Parameters
    ----------
    mean, scale : ndarray (D,) of float64
    options : dict
        ``max_length``, ``truncation`` and ``missing`` of the estimator.
    columns : list of str or None, default=None
        Names of the columns, if the training series were tables with names.
    """

    vocabulary = None  # steps are vectors, not ids

    def __init__(self, mean, scale, options, columns=None):
        self.mean, self.scale, self.options, self.columns = mean, scale, options, columns

    @property
    def n_features(self):
        """Length of the vector of a step, D."""
        return len(self.mean)

    @classmethod
    def learn(cls, X, options):
        """Learn mean and deviation of training series; return a reader and the sequences of X."""
        X = _listed(X)
        columns = next((_columns(part) for part in X if _columns(part)), None) if isinstance(X, list) else None
        parts = read_series(X, options["missing"], columns=columns)
        steps = np.concatenate(parts)
        if not len(steps):
            raise ValueError("X holds 0 steps: at least one series with a step is required.")
        mean, scale = mean_and_deviation("X", steps)
        scale[scale <= 1e-10 * (abs(steps).max(axis=0) + 1e-300)] = 1
        reader = cls(mean, scale, options, columns)
        return reader, reader._encode(parts)

    def read(self, X):
        """Return series as sequences of standardised vectors."""
        return self._encode(read_series(X, self.options["missing"], self.n_features, self.columns))

    def read_step(self, x):
        """Return a step, array-like (D,), or a number if D is 1, as a standardised vector, float32 (1, D)."""
        try:
            row = np.asarray(x, np.float64)
        except (TypeError, ValueError):
            row = None
        if row is None or row.shape not in ((self.n_features,), () if self.n_features == 1 else None):
            raise ValueError(f"x must be a step of {self.n_features} numbers, got {shown(x)}.")
        with np.errstate(over="ignore"):
            row = (row - self.mean) / self.scale
        if not (abs(row) <= _FARTHEST).all():
            raise ValueError(f"x must be finite, and near the numbers of the training, got {shown(x)}.")
        return row.astype(np.float32)[np.newaxis]

    def _encode(self, parts):
        steps = np.concatenate([np.empty((0, self.n_features)), *parts])
        offsets = offsets_of([len(part) for part in parts])
        with np.errstate(over="ignore"):
            rows = (steps - self.mean) / self.scale
        far = (abs(rows) > _FARTHEST).any(axis=1)
        if far.any():
            n = int(far.argmax())
            i, step = place_of(n, offsets)
            raise ValueError(
                f"X[{i}] must have numbers near those of the training, got {shown(abs(steps[n]).max())} at step "
                f"{step}, which is no finite number in float32 when it is standardised."
            )
        sequences = Sequences(rows.astype(np.float32), offsets)
        return sequences.truncated(self.options["max_length"], _OTHER_END[self.options["truncation"]])

    def features(self, sequences):
        """Return the sequences that the network reads: the vectors themselves."""
        return sequences

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        return {"columns": self.columns}, {"input.mean": self.mean, "input.scale": self.scale}

    @classmethod
    def from_learned(cls, content, arrays, options):
        """Return the reader that had this result of `get_learned`."""
        return cls(arrays["input.mean"], arrays["input.scale"], options, content.get("columns"))


def mean_and_deviation(name, values):
    """Return mean and standard deviation (D,) of numbers (n, D); raise ValueError if the numbers are too large."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = values.mean(axis=0), values.std(axis=0)
    if not (np.isfinite(mean).all() and np.isfinite(deviation).all()):
        raise ValueError(f"{name} must have numbers whose squares are finite, got {shown(abs(values).max())}.")
    return mean, deviation


def read_series(X, missing="error", n_features=None, columns=None):
    """Return series as arrays, without padding.

    Parameters
    ----------
    X : list of array (T_i, D) or (T_i,), array (n, T, D), or array (n, T)
    missing : {"error", "pad"}, default="error"
        Whether steps of nothing but NaN at the end of a series are refused or left out as padding.
    n_features : int or None, default=None
        Expected D; None takes that of the first series.
    columns : list of str or None, default=None
        Names that the columns of tables must have, in this order.

    Returns
    -------
    list of float64 array (T_i, D)

    Raises
    ------
    ValueError
        X is none of these, or not finite: the message names the first such series, and its step.
    """
    X = _listed(X)
    if isinstance(X, list) and (_are_separate(X) or (not X and n_features)):
        parts = [_read_one(part, i, columns) for i, part in enumerate(X)]
    else:
        X = check_array(X, dtype=np.float64, allow_nd=True, ensure_all_finite=False, input_name="X")
        if X.ndim > 3:
            raise ValueError(f"X must have shape (n, T, D) or (n, T) with input='series', got {X.shape}.")
        parts = list(X[:, :, None] if X.ndim == 2 else X)
    if n_features is None:
        n_features = next((part.shape[1] for part in parts if len(part)), 1)
    for i, part in enumerate(parts):
        if len(part) and part.shape[1] != n_features:
            is_one = isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == n_features
            advice = ": put a single series into a list, [X]" if is_one else ""
            raise ValueError(f"X[{i}] must have shape (T, {n_features}) like the others, got {part.shape}{advice}.")
    parts = [part if len(part) else np.empty((0, n_features)) for part in parts]
    return [_without_padding(part, i, missing) for i, part in enumerate(parts)]


def _listed(X):
    """Return X as a list of series or as one array; raise ValueError if it is text, masked, or not ordered."""
    if scipy.sparse.issparse(X):  # some are mappings
        return X  # scikit-learn's check refuses it
    if isinstance(X, str | bytes | collections.abc.Mapping | set | frozenset):
        raise ValueError(f"{_EXPECTED}, got {shown(X) if isinstance(X, str | bytes) else 'a ' + type(X).__name__}.")
    if isinstance(X, collections.abc.Iterator | collections.abc.Sequence):
        X = list(X)
    if not isinstance(X, list):
        if np.ma.is_masked(X):
            raise ValueError(_no_mask("X"))
        if not hasattr(X, "__array__"):
            raise ValueError(f"{_EXPECTED}, got a {type(X).__name__}.")
        X = to_array(X)
    if isinstance(X, np.ndarray) and (X.dtype.kind in "US" or (X.dtype == object and X.ndim == 1)):
        X = list(X)
    if isinstance(X, list):
        for i, part in enumerate(X):
            if isinstance(part, str | bytes):
                raise ValueError(f"{_EXPECTED}, got the text {shown(part)} as X[{i}].")
            if np.ma.is_masked(part):
                raise ValueError(_no_mask(f"X[{i}]"))
    return X


def _no_mask(name):
    return (
        f"{name} must not be a masked array with masked values: give series of their own lengths as a list of arrays, "
        f"or fill the padding at their ends with NaN and set missing='pad'."
    )


def _are_separate(X):
    """Return whether a list holds several arrays, rather than being one array in the form of nested lists."""
    if any(len(getattr(part, "shape", ())) == 2 for part in X):
        return True
    if len({len(part) if hasattr(part, "__len__") else None for part in X}) > 1:
        return True
    try:
        return np.asarray(X).dtype.kind not in "biufcO"
    except ValueError:  # steps of different lengths
        return True


def _columns(part):
    """Return the names of a table's columns, or None if it has none."""
    names = list(part.columns) if is_frame(part) else []
    return names if names and all(isinstance(name, str) for name in names) else None


def _read_one(part, i, columns):
    """Return one series as float64 (T, D)."""
    names = _columns(part)
    if columns and names and names != columns:
        raise ValueError(f"X[{i}] must have the columns {shown(columns)} in this order, got {shown(names)}.")
    given = part
    try:
        part = to_array(given)
        if part.dtype.kind not in "biufO":
            raise TypeError
        if part.dtype.kind == "O" and part.size:  # of nullable columns
            filled = [np.nan if is_missing(value) else value for value in part.flat]
            part = np.array(filled, object).reshape(part.shape)
        part = part.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"X[{i}] must be an array (T, D) of numbers with input='series', got {shown(given)}."
        ) from None
    part = part[:, None] if part.ndim == 1 else part
    if part.ndim != 2:
        raise ValueError(f"X[{i}] must have shape (T, D) with input='series', got {part.shape}.")
    return part


def _without_padding(part, i, missing):
    """Return a series (T, D) without padding, if `missing` allows it; raise ValueError if the rest is not finite."""
    if np.isfinite(part).all():
        return part
    length = int(np.flatnonzero(~np.isnan(part).all(axis=1)).max(initial=-1)) + 1  # steps up to the padding
    if missing == "pad":
        part = part[:length]
    wrong = ~np.isfinite(part).all(axis=1)
    if not wrong.any():
        return part
    step = int(wrong.argmax())
    what = "NaN" if np.isnan(part[step]).any() else "infinity"
    if missing == "pad":
        advice = "only steps of nothing but NaN at the end of a series are padding"
    elif step == length:
        advice = "set missing='pad' if the steps from there on are padding"
    else:
        advice = "fill or drop missing values before"
    raise ValueError(f"X[{i}] must be finite, got {what} at step {step}: {advice}.")
