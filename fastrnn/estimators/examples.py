"""Examples: sequences with their targets and weights, checked, split and put into batches."""

import json
from typing import NamedTuple

import numpy as np

from fastrnn.estimators.sequences import Sequences
from fastrnn.networks.sequence import Batch, StepBatch
from fastrnn.text.corpus import digest
from fastrnn.utils.checks import shown, warn_caller


class Examples(NamedTuple):
    """Sequences, their targets and weights; only the examples `rows` count.

    Attributes
    ----------
    sequences : Sequences
        n of them.
    targets : ndarray (n,) or (n, K), or StepTargets
        As a target's `encode` returns them.
    weights : float32 array (n,)
    rows : int array (m,)
        The examples that are trained or validated on.
    step_weights : StepTargets or None
        Factors of the weights, float32, for each step; None is 1.
    """

    sequences: Sequences
    targets: object
    weights: np.ndarray
    rows: np.ndarray
    step_weights: object = None

    def batch(self, rows):
        """Return some examples for one pass of a network."""
        weights = self.weights[rows]
        if self.step_weights is not None:
            weights = weights[:, None] * self.step_weights[rows]  # (B, T)
        kind = Batch if isinstance(self.targets, np.ndarray) else StepBatch
        return kind(self.sequences, rows, self.targets[rows], weights)

    def groups(self, rows, batch_size, random_state=None):
        """Group some examples into batches, see `Sequences.groups`."""
        return self.sequences.groups(rows, batch_size, random_state)


class Epoch:
    """The batches of an epoch; each is made when it is needed.

    Parameters
    ----------
    examples : Examples
    groups : list of int array
        The rows of each batch.
    """

    def __init__(self, examples, groups):
        self.examples, self.groups = examples, groups

    def __len__(self):
        return len(self.groups)

    def __iter__(self):
        return map(self.examples.batch, self.groups)


def split_examples(examples, strata, fraction, random_state):
    """Set a part of the examples aside for validation.

    Parameters
    ----------
    examples : Examples
    strata : int array (n,)
        The group of each example; each group gives the same share. A group of few examples stays whole.
    fraction : float
        The share that is set aside.
    random_state : RandomState instance

    Returns
    -------
    training, held_out : Examples

    Raises
    ------
    ValueError
        Nothing would be set aside.
    """
    rows = random_state.permutation(examples.rows)
    groups = strata[rows]
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    counts = (sizes * fraction).astype(int)
    begins = sizes.cumsum() - sizes
    chosen = np.concatenate([order[begin : begin + n] for begin, n in zip(begins, counts, strict=True)])
    if not len(chosen):
        raise ValueError(
            f"X has too few samples, n_samples = {len(rows)}, to set validation_fraction={fraction} of each class "
            "aside: give fit an X_val, or set early_stopping=False."
        )
    return examples._replace(rows=np.delete(rows, chosen)), examples._replace(rows=rows[chosen])


def check_sample_weight(sample_weight, n):
    """Return the parameter `sample_weight` as float64 (n,); None is 1 for each example.

    Raises
    ------
    ValueError
        It is not n finite numbers of at least 0, or all are 0.
    """
    if np.ma.is_masked(sample_weight):
        raise ValueError("sample_weight has masked values: give 0 to examples that must not count.")
    try:
        weights = np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"sample_weight must be numbers, got {shown(sample_weight)}.") from None
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got an array of shape {weights.shape}.")
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {weights.shape}.")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError("sample_weight must be finite and not negative, and some weight must not be zero.")
    return weights


def check_lengths(names, X, sequences, targets):
    """Raise ValueError unless there are as many targets as sequences, at least one; `names` are those of X and y."""
    if len(sequences) != len(targets) or not len(targets):
        shape = getattr(X, "shape", ())
        turned = len(shape) > 1 and shape[1] == len(targets)
        advice = f" X has shape {shape}: swap its first two axes if the steps come first." if turned else ""
        raise ValueError(
            f"{names} must have the same number of samples, at least one: found input variables with inconsistent "
            f"numbers of samples: [{len(sequences)}, {len(targets)}].{advice}"
        )


def warn_of_cut(sequences, options, name):
    """Warn if sequences of X, which is called `name`, are longer than the `max_length` of a reader's options."""
    n = int(np.count_nonzero(sequences.full_lengths > sequences.lengths))
    if n:
        warn_caller(
            f"{n:,} of {len(sequences):,} sequences of {name} are longer than max_length, {options['max_length']:,} "
            f"steps: the {options['truncation']} of each is cut off (see max_length and truncation)."
        )


def data_digests(learned, examples, validation, has_embedding):
    """Return digests of all data that a new training learns from, for a checkpoint to recognise it.

    Parameters
    ----------
    learned : fastrnn.estimators.base.Learned
        Before the training.
    examples : Examples
    validation : Examples or None
        The examples of `X_val` and `y_val`.
    has_embedding : bool
        Whether the initial vectors were given.

    Returns
    -------
    dict of str to str
        By the names of the arguments of `fit`.
    """
    (read, arrays), (target, target_arrays) = learned.reader.get_learned(), learned.target.get_learned()
    sequences, targets, weights = examples[:3]
    digests = {}
    if has_embedding:
        digests["embedding"] = digest(learned.network.get_arrays()["embedding.weight"].reshape(-1))
    digests["X"] = digest([json.dumps(read)], *arrays.values(), *sequences.arrays)
    digests["y"] = digest([json.dumps(target)], *target_arrays.values(), *_flat(targets))
    digests["sample_weight"] = digest(weights)
    if validation is not None:
        sequences, targets, weights = validation[:3]
        digests["X_val"] = digest(*sequences.arrays)
        digests["y_val"] = digest(*_flat(targets), weights)
    return digests


def _flat(targets):
    """Return the content of targets as flat arrays."""
    return (targets.reshape(-1),) if isinstance(targets, np.ndarray) else targets.arrays
