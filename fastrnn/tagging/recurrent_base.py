"""The base class of recurrent estimators with a target for each element of a sequence."""

import collections.abc
import copy

import numpy as np

from fastrnn.estimators.examples import Examples, check_lengths
from fastrnn.estimators.recurrent import PatientMixin, RecurrentSequenceEstimator
from fastrnn.exchange._onnx_steps import OnnxStepsMixin
from fastrnn.networks.sequence import Batch
from fastrnn.tagging.base import BaseTagger
from fastrnn.tagging.causal import CausalMixin
from fastrnn.tagging.labels import check_same_lengths
from fastrnn.tagging.next_step import LabelGenerationMixin
from fastrnn.tagging.numeric_targets import STEP_TARGETS, without_padding
from fastrnn.tagging.targets import StepTargets
from fastrnn.utils.brief import BriefHelpMixin
from fastrnn.utils.checks import check_fitted
from fastrnn.utils.ragged import offsets_of

_LABELS_BATCHES = 700  # of a training with max_iter="auto" and several labels for each step, which soon overfits


class RecurrentStepEstimator(BriefHelpMixin, OnnxStepsMixin, PatientMixin, RecurrentSequenceEstimator):
    """Base class of recurrent estimators with a target for each element.

    Training cuts sequences that are longer than `max_length`, and their targets with them. Predictions are made for
    all elements.
    """

    _targets, _schedule = STEP_TARGETS, "cosine"

    def _most_steps(self):
        return self.max_length

    @property
    def _elements(self):
        """Name of the elements of sequences, in the plural."""
        return "steps" if self.input == "series" else "tokens"

    _unit = _elements

    @property
    def _returns_arrays(self):
        return self.input == "series"

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, *, checkpoint=None, checkpoint_minutes=None):
        """Learn from sequences and the labels of their elements.

        Parameters
        ----------
        X : list of (list of str or int), list of str, list of array (T_i, D), or array (n, T, D) or (n, T)
            The sequences, as `input` says. Empty ones are allowed.
        y : list of (list of label, array (T_i,) or array (T_i, K)), or array (n, T) or (n, T, K)
            For a tagger, a label for each element of X: strings, or numbers (integers, booleans or whole floats); or
            several labels for each, as arrays of 0 and 1 with a column for each label. With ``input="text"``, a list of
            (begin, end, label) for each text: spans of characters that do not overlap. For a regressor, one or several
            numbers for each step. With ``missing="pad"``, y may go on as long as X: what stands there for the padding
            of a series is left out.
        sample_weight : array-like (n,), default=None
            Weight of each sequence: of each of its elements.
        X_val, y_val : as X and y, default=None
            Validation data, used after each epoch: the weights that predict it best are kept. Labels that y does not
            have count as wrong.
        checkpoint : str or os.PathLike, default=None
            File that is written after each epoch, see `RNNClassifier.fit`.
        checkpoint_minutes : float or None, default=None
            Minutes after which the file is written within an epoch too.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            A parameter, the data or the checkpoint cannot be used: lengths of X and y differ, a label is missing, for
            instance; or losses or outputs became infinite or NaN before an epoch was finished. The model is unchanged.

        Warns
        -----
        UserWarning
            Some sequences are longer than `max_length`.
        ConvergenceWarning
            The training was interrupted (Ctrl-C) after a finished epoch, or losses, weights or outputs became infinite
            or NaN. The model has the best weights up to then.
        RuntimeWarning
            The checkpoint cannot be written.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, checkpoint, checkpoint_minutes)

    def _read_once(self, X, y):
        """Return X and y, lists in place of iterators.

        y lacks the entries for padding, steps of nothing but NaN at the end of series in X.
        """
        y = list(y) if isinstance(y, collections.abc.Iterator) else y
        if self.input != "series":
            return X, y
        X = list(X) if isinstance(X, collections.abc.Iterator) else X
        return X, without_padding(X, y) if self.missing == "pad" else y

    def _encode_targets(self, target, y, sequences):
        targets = target.encode(y)
        check_lengths("X and y", None, sequences, targets)
        check_same_lengths(targets, sequences.full_lengths, ("X", "y"), self._elements)
        return targets.cut(sequences.lengths, self.truncation)

    def _target_weights(self, target, encoded):
        """Return 1 for each sequence, and 0 for those without elements."""
        if not encoded.lengths.any():
            raise ValueError("y holds no elements: at least one sequence with an element is required.")
        return (encoded.lengths > 0).astype(np.float64)

    def _validation_examples(self, learned, X, y):
        sequences = _whole(learned.reader).read(X)
        targets = learned.target.encode(y, "y_val", allow_unknown=True)
        check_lengths("X_val and y_val", X, sequences, targets)
        check_same_lengths(targets, sequences.lengths, ("X_val", "y_val"), self._elements)
        rows = np.flatnonzero(targets.lengths)
        if not len(rows):
            raise ValueError("y_val holds no labels: at least one sequence with an element is required.")
        sequences = learned.reader.features(sequences)
        return Examples(sequences, targets, np.ones(len(targets), np.float32), rows)

    def _read(self, X):
        """Return all of the sequences of X in the form that the network reads."""
        return self._reader.features(_whole(self._reader).read(X))

    def _steps(self, X, compute, dtype, *shape):
        """Return `compute(batch)`, arrays (T, B, *shape), for all sequences of X as `StepTargets`."""
        sequences = self._read(X)
        self.network_.held_weights().keep()
        return self._by_steps(sequences, np.arange(len(sequences)), compute, dtype, *shape)

    def _by_steps(self, sequences, rows, compute, dtype, *shape):
        """Return `compute(batch)`, arrays (T, B, *shape), for the sequences `rows` as `StepTargets`."""
        offsets = offsets_of(sequences.lengths[rows])
        values = np.empty((offsets[-1], *shape), dtype)
        for group in self._groups(sequences, rows):
            places = np.searchsorted(rows, group)
            computed = compute(Batch(sequences, group))
            for b, place in enumerate(places.tolist()):
                begin, end = offsets[place : place + 2]
                values[begin:end] = computed[: end - begin, b]
        return StepTargets(values, offsets)

    def _set_fitted(self, learned, optimizer):
        super()._set_fitted(learned, optimizer)
        self.n_outputs_ = self._target.n_outputs


class RecurrentTagger(CausalMixin, LabelGenerationMixin, RecurrentStepEstimator, BaseTagger):
    """Base class of recurrent taggers: predictions and validation."""

    def _cut_with_tags(self, X, y, names=("X", "y"), learning=False):
        return self._read_once(*super()._cut_with_tags(X, y, names, learning))

    def _auto_batches(self, target):
        return self._fewest_batches if target.kind == "tags" else _LABELS_BATCHES

    def _validate(self, learned, examples):
        """Return the score of held-out examples, as ``validation_scores_`` has it."""
        if learned.target.kind == "step_labels":
            return super()._validate(learned, examples)
        network, target, rows = learned.network, learned.target, np.sort(examples.rows)
        found = self._by_steps(examples.sequences, rows, network.decode, np.int32)
        return target.validation_score(examples.targets.take(rows), found)

    def _describe(self, score):
        return {"valid": f"{score:.4f}"}

    def _paths(self, X):
        check_fitted(self, "network_")
        shape = () if self._target.kind == "tags" else (self._target.n_outputs,)
        return self._steps(X, self.network_.decode, np.int32, *shape)

    def _marginals(self, X):
        check_fitted(self, "network_")
        return self._steps(X, self.network_.predict, np.float64, self._target.n_outputs)

    def _emissions(self, X):
        check_fitted(self, "network_")
        return self._steps(X, self.network_.outputs, np.float64, self._target.n_outputs)

    def _set_fitted(self, learned, optimizer):
        super()._set_fitted(learned, optimizer)
        self.classes_, self.scheme_ = self._target.classes, self._target.scheme


def _whole(reader):
    """Return a reader that does not cut sequences."""
    if reader.options["max_length"] is None:
        return reader
    reader = copy.copy(reader)
    reader.options = {**reader.options, "max_length": None}
    return reader
