import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import cross_validate

from fastrnn import metrics

RATES = ("character_error_rate", "token_error_rate", "word_error_rate")
FIGURES = ("bleu", "chrf", "exact_match")


class Echo(BaseEstimator):
    """Predicts its input."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return list(X)


@pytest.mark.parametrize("name", [*RATES, *FIGURES])
def test_scorers_of_written_sequences(name):
    y = np.array(["the cat sat on the mat", "a dog ran far away", "it was a very late hour", "she left"])
    X = np.array([text.replace("a", "e", 1) for text in y])
    sign, prefix = (-1, "neg_") if name in RATES else (1, "")
    found = cross_validate(Echo(), X, y, cv=2, scoring=getattr(metrics, f"{prefix}{name}_scorer"))["test_score"]
    measure = getattr(metrics, name)
    np.testing.assert_allclose(found, [sign * measure(y[:2], X[:2]), sign * measure(y[2:], X[2:])])
