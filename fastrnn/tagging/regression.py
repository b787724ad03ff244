"""Recurrent networks that predict numbers for each step of series."""

import numpy as np
from sklearn.metrics import r2_score

from fastrnn.estimators.examples import check_lengths, check_sample_weight
from fastrnn.networks.tagging import TaggerNetwork
from fastrnn.tagging.causal import CausalMixin
from fastrnn.tagging.labels import check_same_lengths
from fastrnn.tagging.next_step import NextStepMixin
from fastrnn.tagging.numeric_targets import learn_step_values, read_step_numbers
from fastrnn.tagging.recurrent_base import RecurrentStepEstimator
from fastrnn.tagging.targets import StepTargets
from fastrnn.utils.checks import check_fitted


class RNNStepRegressor(CausalMixin, NextStepMixin, RecurrentStepEstimator):
    """Recurrent regressor of series: one or several numbers for each step.

    Recurrent layers → dense. The loss is half the squared error of the standardised targets, a mean over all steps.

    Parameters
    ----------
    cell, hidden_size, num_layers, bidirectional, dropout, locked_dropout, recurrent_dropout, zoneout, weight_dropout, \
    proj_size, residual, activity_penalty, temporal_activity_penalty, max_length, truncation, missing, optimizer, \
    learning_rate_init, batch_size, max_iter, alpha, clip_norm, early_stopping, validation_fraction, n_iter_no_change, \
    tol, warm_start, random_state, n_jobs, device, precision, verbose
        As in `RNNTagger`. The dropout is 0 by default.

    Attributes
    ----------
    n_features_in_ : int
        Length of the vector of a step, D.
    n_outputs_ : int
        Numbers for each step, K.
    n_iter_, loss_curve_, n_parameters_, nbytes_
        As in `RNNTagger`.
    validation_scores_ : list of float
        Minus the mean loss of the validation data after each epoch.

    See Also
    --------
    RNNRegressor : Numbers for a whole sequence.
    fastrnn.tagging.next_step_examples : Examples for a model of the next step.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn import RNNStepRegressor
    >>> X = [np.random.RandomState(n).randn(20) for n in range(100)]
    >>> y = [np.cumsum(series) / np.arange(1, 21) for series in X]
    >>> model = RNNStepRegressor("gru", hidden_size=16, bidirectional=False, learning_rate_init=0.01, random_state=0)
    >>> model.set_params(max_iter=50).fit(X[:80], y[:80]).score(X[80:], y[80:]) > 0.9
    True
    """

    input, embedding, freeze_embedding = "series", None, False
    embedding_size, embedding_dropout = 1, 0.0
    _fixed = tuple(name for name in RecurrentStepEstimator._fixed if name not in ("input", "lowercase", "normalize"))
    _fewest_batches, _fewest_epochs = 1500, 10

    def __init__(
        self,
        cell="lstm",
        hidden_size=128,
        num_layers=1,
        bidirectional=True,
        dropout=0.0,
        locked_dropout=False,
        recurrent_dropout=0.0,
        zoneout=0.0,
        weight_dropout=0.0,
        proj_size=0,
        residual=False,
        activity_penalty=0.0,
        temporal_activity_penalty=0.0,
        max_length=None,
        truncation="end",
        missing="error",
        optimizer="adam",
        learning_rate_init=2e-3,
        batch_size=16,
        max_iter="auto",
        alpha=0.0,
        clip_norm=1.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change="auto",
        tol=1e-4,
        warm_start=False,
        random_state=None,
        n_jobs=None,
        device="cpu",
        precision="highest",
        verbose=0,
    ):
        self._store(locals())

    def _fit(self, X, y, sample_weight, X_val, y_val, *checkpoint):
        if X_val is not None and y_val is not None:
            X_val, y_val = self._read_once(X_val, y_val)
        return super()._fit(*self._read_once(X, y), sample_weight, X_val, y_val, *checkpoint)

    def _learn_target(self, y, classes):
        return learn_step_values(y)

    def _make_network(self, reader, target, vectors, random_state):
        return TaggerNetwork(reader.n_features, None, target.n_outputs, "values", random_state=random_state,
                             **self._network_options())  # fmt: skip

    def partial_fit(self, X, y, sample_weight=None):
        """Train one epoch on further examples.

        Parameters
        ----------
        X, y : as in `fit`
            The first call fixes mean and deviation of X and y.
        sample_weight : array-like (n,), default=None

        Returns
        -------
        self : object
        """
        return self._partial_fit(*self._read_once(X, y), None, sample_weight)

    def predict(self, X):
        """Return the predicted numbers.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        list of float64 array (T_i,) or (T_i, K), as y was
        """
        check_fitted(self, "network_")
        found = self._steps(X, self.network_.predict, np.float64, self._target.n_outputs)
        return [self._target.decode(part) for part in found.parts()]

    def score(self, X, y, sample_weight=None):
        """Return R² over all steps, as `sklearn.metrics.r2_score` has it: the mean over the K numbers.

        Parameters
        ----------
        X, y : as in `fit`
        sample_weight : array-like (n,), default=None
            Weight of each series: of each of its steps.

        Returns
        -------
        float
        """
        X, y = self._read_once(X, y)
        predicted = self.predict(X)
        values, offsets, _ = read_step_numbers(y, "y", self._target.n_outputs)
        lengths = np.diff(offsets)
        check_lengths("X and y", X, predicted, lengths)
        check_same_lengths(StepTargets(values, offsets), [len(part) for part in predicted], ("X", "y"), self._elements)
        if not len(values):
            raise ValueError("y holds no numbers: R² of no steps is not defined.")
        if sample_weight is not None:
            sample_weight = np.repeat(check_sample_weight(sample_weight, len(lengths)), lengths)
        return r2_score(values, np.concatenate(predicted).reshape(values.shape), sample_weight=sample_weight)

    def generate(self, start, n_steps):
        """Continue a series with the numbers that the model predicts, each step read as soon as it is predicted.

        The model has learned the next step of series, see `fastrnn.tagging.next_step_examples`.

        Parameters
        ----------
        start : array-like (T, D) or (T,)
            The first steps, at least one.
        n_steps : int
            Number of steps that follow.

        Returns
        -------
        float64 array (n_steps, D), or (n_steps,) if the numbers of a step had no axis of their own

        Raises
        ------
        ValueError
            The model reads in both directions, or its outputs are not as wide as its inputs.
        """
        drawn = self._generate(start, n_steps, self._target.step_prediction)
        return drawn[:, 0] if self._target.n_dims == 1 else drawn
