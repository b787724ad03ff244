"""The base class of estimators with recurrent layers: the parameters that all of them share."""

from fastrnn.estimators.base import BaseSequenceEstimator
from fastrnn.utils.checks import check_not_negative, check_positive_integer

_LONG_TEXT = 2000  # tokens of a text that are read with max_length="auto"
_FEWEST_EPOCHS_WAITED, _BATCHES_WAITED = 5, 500  # with n_iter_no_change="auto"


class RecurrentSequenceEstimator(BaseSequenceEstimator):
    """Estimator whose network has recurrent layers, and parameters for them.

    A subclass has a constructor, whose only line calls `_store`.
    """

    _fixed = (*BaseSequenceEstimator._fixed, "cell", "hidden_size", "num_layers", "bidirectional", "zoneout",
              "proj_size", "residual", "missing")  # fmt: skip
    _network_parameters = (
        "cell", "hidden_size", "num_layers", "bidirectional", "dropout", "embedding_dropout", "locked_dropout",
        "recurrent_dropout", "zoneout", "weight_dropout", "proj_size", "residual", "activity_penalty",
        "temporal_activity_penalty", "freeze_embedding", "n_jobs", "device", "precision",
    )  # fmt: skip

    def _store(self, parameters):
        """Store the constructor's parameters, its `locals()`."""
        for name, value in parameters.items():
            if name != "self":
                setattr(self, name, value)

    def _network_options(self):
        """Return the parameters that the network takes under the same names."""
        return {name: getattr(self, name) for name in self._network_parameters}

    def _most_steps(self):
        if self.max_length == "auto":
            return None if self.input == "series" else _LONG_TEXT
        return self.max_length

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("hidden_size", "num_layers"):
            check_positive_integer(name, getattr(self, name))
        for name in ("activity_penalty", "temporal_activity_penalty"):
            check_not_negative(name, getattr(self, name, 0.0))


class PatientMixin:
    """Waiting for an improvement for some epochs, and for more of them where an epoch has few batches."""

    def _patience(self, n_batches):
        if self.n_iter_no_change != "auto":
            return self.n_iter_no_change
        return max(_FEWEST_EPOCHS_WAITED, -(-_BATCHES_WAITED // n_batches))
