"""scikit-learn's own checks of estimators, on series, whose labels stand for each of their steps."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastrnn import RNNTagger


class StepLabels(RNNTagger):
    """A tagger that takes one label for each series, and learns it for each step."""

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(X, _of_steps(X, y), sample_weight)

    def partial_fit(self, X, y=None, classes=None, sample_weight=None):
        return super().partial_fit(X, _of_steps(X, y), classes, sample_weight)

    def score(self, X, y, sample_weight=None):
        return super().score(X, _of_steps(X, y), sample_weight)


def _of_steps(X, y):
    """Return labels (n, T) for labels (n,) of series (n, T)."""
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    if y is None or len(shape) < 2:
        return y
    y = np.asarray(y).reshape(-1)
    y = np.round(y.real).astype(int) if y.dtype.kind in "fc" else y
    return np.repeat(y[:, None], max(shape[1], 1), axis=1)


_LENGTHS = "a series may have any number of steps: columns of (n, T) are steps, and n_features_in_ is the D of a step"
EXEMPT = {
    "check_n_features_in": _LENGTHS,
    "check_n_features_in_after_fitting": _LENGTHS,
    "check_estimators_partial_fit_n_features": _LENGTHS,
    "check_sample_weight_equivalence_on_dense_data": "training takes random batches: equivalent data is other batches",
}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([StepLabels("gru", hidden_size=8, input="series", max_iter=2, random_state=0)],
                         expected_failed_checks=lambda estimator: EXEMPT)  # fmt: skip
def test_check_estimator(estimator, check):
    check(estimator)
