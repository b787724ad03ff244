"""Numbers for each step of sequences: indicators of several labels, or values."""

import numpy as np
from scipy.special import expit

from fastrnn.estimators.series import mean_and_deviation, read_series
from fastrnn.estimators.targets import LabelsTarget, ValuesTarget
from fastrnn.tagging.labels import sequences_of
from fastrnn.tagging.targets import StepTargets, TagsTarget
from fastrnn.utils.arrays import to_array
from fastrnn.utils.checks import is_missing, shown
from fastrnn.utils.ragged import offsets_of, place_of

_EXPECTED = "an array (T,) or (T, K) of numbers for each sequence"


def read_step_numbers(y, name="y", n_columns=None):
    """Return the numbers of all steps, one after another.

    Parameters
    ----------
    y : list of array (T_i,) or (T_i, K), or array (n, T) or (n, T, K)
    name : str
        The argument's name in messages.
    n_columns : int or None, default=None
        Expected K; None takes that of the first sequence with a step.

    Returns
    -------
    values : float64 array (N, K)
    offsets : int64 array (n + 1,)
        Sequence i has ``values[offsets[i]:offsets[i + 1]]``.
    n_dims : {1, 2}
        Dimensions of a sequence's numbers.

    Raises
    ------
    ValueError
        A number is missing, or an element is no number, or sequences differ in K: the message names the sequence.

    Examples
    --------
    >>> read_step_numbers([[1, 2], [3]])
    (array([[1.], [2.], [3.]]), array([0, 2, 3]), 1)
    """
    parts = [_read_one(part, f"{name}[{i}]") for i, part in enumerate(sequences_of(y, name))]
    n_dims = next((part.ndim for part in parts if len(part)), 1)
    for i, part in enumerate(parts):
        if len(part) and part.ndim != n_dims:
            raise ValueError(
                f"{name}[{i}] must have {n_dims} dimension{'s' * (n_dims > 1)} like the others, got shape {part.shape}."
            )
    parts = [part[:, None] if part.ndim == 1 else part for part in parts]
    if n_columns is None:
        n_columns = next((part.shape[1] for part in parts if len(part)), 1)
    for i, part in enumerate(parts):
        if len(part) and part.shape[1] != n_columns:
            raise ValueError(f"{name}[{i}] must have {n_columns} columns, got {part.shape[1]}.")
    offsets = offsets_of([len(part) for part in parts])
    return np.concatenate([np.empty((0, n_columns)), *(part for part in parts if len(part))]), offsets, n_dims


def without_padding(X, y):
    """Return y of series X, a list, without its entries for the padding at the end of the series.

    Examples
    --------
    >>> without_padding([[0.5, 0.1, np.nan], [0.2, 0.3, 0.4]], [["a", "b", ""], ["a", "a", "b"]])
    [['a', 'b'], ['a', 'a', 'b']]
    """
    X, y = list(X), sequences_of(y)
    lengths = [len(part) for part in read_series(X, "pad")]
    return (
        [
            part[:n] if hasattr(part, "__len__") and len(part) == len(series) else part
            for part, series, n in zip(y, X, lengths, strict=True)
        ]
        if len(X) == len(y)
        else y
    )


def _read_one(part, name):
    """Return the numbers of a sequence, finite, as float64 (T,) or (T, K)."""
    if isinstance(part, str | bytes):
        raise ValueError(f"{name} must be {_EXPECTED}, got {shown(part)}.")
    try:
        array = to_array(part)
        if array.dtype.kind == "O":
            filled = [np.nan if is_missing(value) else value for value in array.flat]
            array = np.array(filled, object).reshape(array.shape)
        elif array.dtype.kind not in "biuf":
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be {_EXPECTED}, got {shown(part)}.") from None
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} must be {_EXPECTED}, got shape {array.shape}.")
    finite = np.isfinite(array) if array.ndim == 1 else np.isfinite(array).all(axis=1)
    if not finite.all():
        step = int(finite.argmin())
        what = "NaN" if np.isnan(array[step]).any() else "infinity"
        raise ValueError(f"{name} must be finite, got {what} at step {step}.")
    return array


class StepLabelsTarget(LabelsTarget):
    """Any number of K labels for each step.

    Parameters
    ----------
    n_outputs : int
        Number of labels, K.
    rates : ndarray (K,) or None, default=None
        How often each label holds in the training data, for a new network.
    """

    kind, scheme = "step_labels", None

    def __init__(self, n_outputs, rates=None):
        super().__init__(n_outputs)
        self.rates = rates

    def encode(self, y, name="y", allow_unknown=False):
        """Return indicators as `StepTargets`, float32 (N, K); raise ValueError for anything but 0 and 1."""
        values, offsets, _ = read_step_numbers(y, name, self.n_outputs)
        wrong = np.argwhere((values != 0) & (values != 1))
        if len(wrong):
            i, step = place_of(wrong[0, 0], offsets)
            raise ValueError(
                f"{name} must have 0 and 1 for each of several labels, got {shown(values[tuple(wrong[0])])} at step "
                f"{step} of {name}[{i}]."
            )
        return StepTargets(values.astype(np.float32), offsets)

    read = encode

    def right(self, labels, predicted):
        """Return whether all labels of each step that `read` returned are predicted, bool (N,)."""
        return (np.concatenate(predicted) == labels.values).all(axis=1)

    def decode(self, paths, as_arrays=True):
        """Return predicted indicators, a list of int64 (T_i, K)."""
        return [part.astype(np.int64) for part in paths.parts()]

    def merge(self, scores, add):
        """Return scores (N, K) as they are: each label stands for itself."""
        return scores

    def step_prediction(self, scores):
        """Return the indicators that the outputs of a step, (K,), predict."""
        return (scores > 0).astype(np.int64)

    def step_probabilities(self, scores):
        """Return the probabilities of the labels for the outputs of a step, (K,)."""
        return expit(scores)

    def weights(self, encoded, class_weight):
        """Raise ValueError: weights of classes need one class for each step."""
        raise ValueError("class_weight must be None if y has several labels for each step.")


class StepValuesTarget(ValuesTarget):
    """K numbers for each step, standardised.

    Parameters
    ----------
    mean, scale : ndarray (K,)
        Of all steps of the training targets.
    n_dims : {1, 2}
        Dimensions of the numbers of a sequence: (T,) or (T, K).
    """

    kind = "step_values"

    def encode(self, y, name="y", allow_unknown=False):
        """Return standardised numbers as `StepTargets`, float32 (N, K)."""
        values, offsets, _ = read_step_numbers(y, name, self.n_outputs)
        return StepTargets(((values - self.mean) / self.scale).astype(np.float32), offsets)

    def step_prediction(self, scores):
        """Return the numbers that the outputs of a step, (K,), predict: a float or an array (K,)."""
        values = self.decode(scores[None])[0]
        return float(values) if self.n_dims == 1 else values


def learn_step_labels(y):
    """Return the target of several labels for each step: y has indicators (T, K) for each sequence."""
    values, _, _ = read_step_numbers(y)
    if not len(values):
        raise ValueError("y holds no labels: at least one sequence with a step is required.")
    rates = (values.sum(axis=0) + 0.5) / (len(values) + 1)  # neither 0 nor 1
    return StepLabelsTarget(values.shape[1], rates)


def learn_step_values(y):
    """Return the target of numbers y for each step."""
    values, _, n_dims = read_step_numbers(y)
    if not len(values):
        raise ValueError("y holds no numbers: at least one sequence with a step is required.")
    mean, scale = mean_and_deviation("y", values)
    return StepValuesTarget(mean, np.where(scale > 0, scale, 1.0), n_dims)


# By the kind that a file names.
STEP_TARGETS = {target.kind: target for target in (TagsTarget, StepLabelsTarget, StepValuesTarget)}
