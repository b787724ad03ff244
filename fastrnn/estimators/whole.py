"""The base class of estimators with one target for each sequence: a class, several labels, or numbers."""

import numpy as np
import scipy.sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fastrnn.estimators.base import BaseSequenceEstimator
from fastrnn.exchange._onnx_sequences import OnnxMixin
from fastrnn.networks.sequence import Batch
from fastrnn.utils.brief import BriefHelpMixin
from fastrnn.utils.checks import check_fitted


class WholeSequenceEstimator(
    BriefHelpMixin, OnnxMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseSequenceEstimator
):
    """Estimator whose network encodes each sequence as one vector and predicts the target from it."""

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, *, checkpoint=None, checkpoint_minutes=None):
        """Learn from sequences and their targets.

        Parameters
        ----------
        X : iterable of str, list of (list of str or int), list of array (T_i, D), array (n, T, D) or array (n, T)
            The sequences, as `input` says. A `pathlib.Path` among texts is a file that holds one text. Instead of a
            list of texts, X may be the path of a folder (all its ``.txt`` files, sorted) or of a file (its lines).
        y : array-like (n,), or (n, K)
            For a classifier: labels, all of them strings, integers, booleans, whole floats or dates; or an indicator
            matrix of 0 and 1, for K labels with probabilities of their own. One-hot rows are such a matrix too:
            ``y.argmax(axis=1)`` makes classes of them. With tokens and series, a matrix with a column for each step is
            refused, because labels of steps are not learned: give it as a sparse matrix if it is no such thing. For a
            regressor: numbers.
        sample_weight : array-like (n,), default=None
        X_val, y_val : as X and y, default=None
            Validation data, used after each epoch: the weights that predict it best are kept.
        checkpoint : str or os.PathLike, default=None
            File that is written after each epoch. If it exists when `fit` is called, training resumes from it and ends
            with the same weights, bit for bit, as without the interruption; a finished training gives its result. A
            file of other data or parameters is refused. `max_iter` may be larger than before: further epochs follow,
            unless the training had stopped early. If the file cannot be written, training continues.
        checkpoint_minutes : float or None, default=None
            Minutes after which the file is written within an epoch too.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            A parameter, the data or the checkpoint cannot be used; or losses or outputs became infinite or NaN before
            an epoch was finished. The model is unchanged.

        Warns
        -----
        UserWarning
            Some sequences are longer than `max_length`. All methods that read sequences issue this warning.
        ConvergenceWarning
            The training was interrupted (Ctrl-C) after a finished epoch, or losses, weights or outputs became infinite
            or NaN. The model has the best weights up to then.
        RuntimeWarning
            The checkpoint cannot be written.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, checkpoint, checkpoint_minutes)

    def transform(self, X):
        """Return the encoding of each sequence: the input of the output layer.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n, H)
        """
        check_fitted(self, "network_")
        return self._by_rows(X, self._n_features_out, self.network_.encodings)

    def _outputs(self, X):
        """Return the outputs of the network, float64 (n, K)."""
        check_fitted(self, "network_")
        return self._by_rows(X, self._target.n_outputs, self.network_.outputs)

    def _predictions(self, X):
        """Return the predictions of the network, float64 (n, K)."""
        check_fitted(self, "network_")
        return self._by_rows(X, self._target.n_outputs, self.network_.predict)

    def _by_rows(self, X, width, compute):
        """Return `compute(batch)` for all sequences of X, float64 (n, width)."""
        sequences = self._read(X)
        self.network_.held_weights().keep()
        result = np.empty((len(sequences), width))
        for rows in self._groups(sequences, np.arange(len(sequences))):
            result[rows] = compute(Batch(sequences, rows))
        return result

    def _check_targets(self, target, encoded, sequences, y):
        """Refuse an indicator matrix that may be labels of the steps, (n, T): it is 0 after the end of sequences."""
        if target.kind != "labels" or self.input == "text" or scipy.sparse.issparse(y):
            return
        steps, lengths = np.arange(encoded.shape[1]), sequences.full_lengths
        if len(steps) > 2 and len(steps) == lengths.max(initial=0) and not encoded[steps >= lengths[:, None]].any():
            raise ValueError(
                f"y has shape {encoded.shape}, a column for each step of the longest sequence, but labels of steps are "
                f"not learned: give one label for each sequence, or a scipy.sparse matrix if y says which of "
                f"{encoded.shape[1]} labels a sequence has."
            )

    def _set_fitted(self, learned, optimizer):
        super()._set_fitted(learned, optimizer)
        self._n_features_out = self.network_.layers["output"].in_features
        self.n_outputs_ = self._target.n_outputs
        if hasattr(self._target, "classes"):
            self.classes_ = self._target.classes
