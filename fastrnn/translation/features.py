"""Vectors, and sets of vectors, become sequences of standardised vectors."""

import collections.abc

import numpy as np
from sklearn.utils import check_array

from fastrnn.estimators.sequences import Sequences
from fastrnn.estimators.series import mean_and_deviation
from fastrnn.utils.arrays import to_array
from fastrnn.utils.checks import is_frame, shown
from fastrnn.utils.ragged import offsets_of, place_of

_EXPECTED = "X must be an array (n, D) of numbers, or region vectors: an array (n, R, D) or a list of arrays (R_i, D)"
_FARTHEST = 1e30  # deviations from the mean, so that products with weights stay finite in float32


class FeatureReader:
    """Reads a vector or a set of region vectors for each example, standardised as the vectors of the training are.

    Parameters
    ----------
    mean, scale : ndarray (D,) of float64
        Mean and standard deviation of the vectors of the training.
    has_regions : bool
        Whether an example is a set of vectors.
    columns : list of str or None, default=None
        Names of the columns, if the training's X was a table with names.
    """

    def __init__(self, mean, scale, has_regions, columns=None):
        self.mean, self.scale, self.has_regions, self.columns = mean, scale, has_regions, columns
        self.options = {}  # nothing of X is cut off

    @property
    def n_features(self):
        """Length of a vector, D."""
        return len(self.mean)

    @classmethod
    def learn(cls, X):
        """Learn mean and deviation of the training's vectors; return a reader and the sequences of X."""
        parts, has_regions = _parts(X)
        vectors = np.concatenate(parts) if parts else np.empty((0, 1))
        if not vectors.size:
            raise ValueError("X holds no numbers: at least one example with a vector is required.")
        mean, scale = mean_and_deviation("X", vectors)
        scale[scale <= 1e-10 * (abs(vectors).max(axis=0) + 1e-300)] = 1
        reader = cls(mean, scale, has_regions, _columns(X))
        return reader, reader._encode(parts)

    def read(self, X):
        """Return the vectors of each example as a sequence of standardised vectors; one without regions has one."""
        columns = _columns(X)
        if self.columns and columns and columns != self.columns:
            raise ValueError(f"X must have the columns {shown(self.columns)} in this order, got {shown(columns)}.")
        parts, has_regions = _parts(X, self.n_features)
        if parts and has_regions != self.has_regions:
            expected = "region vectors, (n, R, D) or a list of (R_i, D)," if self.has_regions else "an array (n, D)"
            advice = ": put the regions of a single example into a list, [X]" if self.has_regions else ""
            raise ValueError(f"X must be {expected} as in the training, got {shown(X)}{advice}.")
        return self._encode(parts)

    def _encode(self, parts):
        vectors = np.concatenate([np.empty((0, self.n_features)), *parts])
        offsets = offsets_of([len(part) for part in parts])
        with np.errstate(over="ignore"):
            rows = (vectors - self.mean) / self.scale
        far = (abs(rows) > _FARTHEST).any(axis=1)
        if far.any():
            n = int(far.argmax())
            raise ValueError(
                f"X[{place_of(n, offsets)[0]}] must have numbers near those of the training, got "
                f"{shown(abs(vectors[n]).max())}, which is no finite number in float32 when it is standardised."
            )
        return Sequences(rows.astype(np.float32), offsets)

    def get_learned(self):
        """Return the plain values and the arrays that a file keeps."""
        content = {"has_regions": self.has_regions, "columns": self.columns}
        return content, {"input.mean": self.mean, "input.scale": self.scale}

    @classmethod
    def from_learned(cls, content, arrays):
        """Return the reader that had this result of `get_learned`."""
        return cls(arrays["input.mean"], arrays["input.scale"], content["has_regions"], content["columns"])


def _columns(X):
    """Return the names of a table's columns, or None if it has none."""
    names = list(X.columns) if is_frame(X) else []
    return names if names and all(isinstance(name, str) for name in names) else None


def _parts(X, n_features=None):
    """Return the vectors of each example, a list of float64 (R_i, D), and whether examples are sets of regions.

    Raises
    ------
    ValueError
        X is no such thing, or not finite, or its vectors have not `n_features` numbers (None: that of the first).
    """
    if X is None or isinstance(X, str | bytes | collections.abc.Mapping | set | frozenset):
        raise ValueError(f"{_EXPECTED}, got {shown(X)}.")
    X = list(X) if isinstance(X, collections.abc.Iterator | collections.abc.Sequence) else X
    if isinstance(X, list) and not X:
        return [], False
    if isinstance(X, list) and any(isinstance(part, str | bytes) for part in X):
        raise ValueError(f"{_EXPECTED}, got {shown(X)}.")
    if not isinstance(X, list) or not _are_separate(X):
        return _parts_of_array(X, n_features)
    parts = [_region_set(part, i) for i, part in enumerate(X)]
    if n_features is None:
        n_features = next((part.shape[1] for part in parts if part.size), 1)
    for i, part in enumerate(parts):
        if len(part) and part.shape[1] != n_features:
            raise ValueError(f"X[{i}] must have shape (R, {n_features}) as the others have, got {part.shape}.")
    return [part if len(part) else np.empty((0, n_features)) for part in parts], True


def _parts_of_array(X, n_features):
    """Return the parts of one array (n, D) or (n, R, D); see `_parts`."""
    X = to_array(X) if hasattr(X, "detach") else X
    if isinstance(X, list):
        try:
            X = np.array(X, np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{_EXPECTED}, got {shown(X)}.") from None
    X = check_array(X, dtype=np.float64, allow_nd=True, ensure_min_samples=0, ensure_min_features=0, input_name="X")
    if X.ndim > 3:
        raise ValueError(f"{_EXPECTED}, got an array of shape {X.shape}.")
    if n_features is not None and len(X) and X.shape[-1] != n_features:
        raise ValueError(f"X must have {n_features} features as in the training, got {X.shape[-1]}.")
    return list(X[:, None] if X.ndim == 2 else X), X.ndim == 3


def _are_separate(X):
    """Return whether a list holds an array (R_i, D) for each example, rather than being an array as nested lists."""
    return any(len(getattr(part, "shape", ())) == 2 for part in X) or any(
        isinstance(part, list | tuple) and (not part or isinstance(part[0], list | tuple | np.ndarray)) for part in X
    )


def _region_set(part, i):
    """Return the regions of one example as float64 (R, D)."""
    given = part
    try:
        part = to_array(part).astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"X[{i}] must be an array (R, D) of numbers, got {shown(given)}.") from None
    if part.ndim != 2 and part.size:
        raise ValueError(f"X[{i}] must be an array (R, D) of numbers, got an array of shape {part.shape}.")
    if not np.isfinite(part).all():
        region = int((~np.isfinite(part)).any(axis=1).argmax())
        what = "NaN" if np.isnan(part[region]).any() else "infinity"
        raise ValueError(f"X[{i}] must be finite, got {what} in region {region}: fill or drop missing values before.")
    return part if part.size else np.empty((0, 1))
