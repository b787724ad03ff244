"""scikit-learn's own checks of estimators, on series."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastrnn import RNNClassifier, RNNRegressor

_LENGTHS = "a series may have any number of steps: columns of (n, T) are steps, and n_features_in_ is the D of a step"
EXEMPT = {
    "check_n_features_in": _LENGTHS,
    "check_n_features_in_after_fitting": _LENGTHS,
    "check_estimators_partial_fit_n_features": _LENGTHS,
    "check_transformer_general": _LENGTHS,
    "check_classifiers_train": _LENGTHS + "; what this check asks before, it passes",
    "check_sample_weight_equivalence_on_dense_data": "training takes random batches: equivalent data is other batches",
}


def exempt(estimator):
    return EXEMPT


OPTIONS = {"cell": "gru", "hidden_size": 16, "dropout": 0.0, "input": "series", "learning_rate_init": 0.02,
           "max_iter": 15, "random_state": 0}  # fmt: skip
# One check sets alpha = 0.01: added to Adam's gradients, that is more than what the data say.
REGRESSION = {**OPTIONS, "pooling": "last", "max_iter": 60, "optimizer": "adamw"}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([RNNClassifier(**OPTIONS), RNNRegressor(**REGRESSION)], expected_failed_checks=exempt)
def test_check_estimator(estimator, check):
    check(estimator)
