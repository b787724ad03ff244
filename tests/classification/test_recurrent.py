"""Tests of `fastrnn.classification.recurrent`."""

import numpy as np
import pytest
from sklearn.base import clone

from fastrnn import RNNRegressor
from tests import reference
from tests.classifiers import X, Y, recurrent, series


def test_recurrent_classifier_equals_the_slow_reference():
    model = recurrent(num_layers=2, bidirectional=False, pooling="last", max_iter=1).fit(X, Y)
    ids = model.vocabulary_.encode(X[1].split())
    layers = model.network_.layers
    x = layers["embedding"].parameters["weight"].astype(float)[ids][:, None]
    h, _ = reference.network("lstm", x, np.zeros((2, 2, 1, 9)), [len(ids)], layers["recurrent"].state_dict(), 2)
    np.testing.assert_allclose(model.transform(X[1:2])[0], h[-1, 0], atol=1e-6)


def test_regressor_predicts_numbers_of_any_scale(tmp_path):
    values, _ = series(60, seed=1)
    y = np.array([1000 + 50 * np.mean(part) for part in values])
    model = RNNRegressor("gru", hidden_size=9, dropout=0.0, pooling="mean", input="series", learning_rate_init=0.02,
                         max_iter=40, random_state=0).fit(values, y)  # fmt: skip
    assert model.score(values, y) > 0.9
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(RNNRegressor.load(tmp_path / "model").predict(values), model.predict(values))
    both = clone(model).fit(values, np.column_stack([y, -y]))
    assert both.predict(values).shape == (60, 2)
    assert both.partial_fit(values, np.column_stack([y, -y])).n_iter_ == 41
    with pytest.raises(ValueError, match="y must have 2 columns"):
        both.partial_fit(values, y)


@pytest.mark.parametrize("option", ["recurrent_dropout", "zoneout", "weight_dropout", "embedding_dropout", "dropout",
                                    "activity_penalty", "temporal_activity_penalty"])  # fmt: skip
def test_regularizers_change_the_training_and_not_the_prediction(option):
    plain, regular = recurrent(max_iter=2).fit(X, Y), recurrent(max_iter=2, **{option: 0.3}).fit(X, Y)
    assert not np.array_equal(plain.predict_proba(X), regular.predict_proba(X))
    np.testing.assert_array_equal(regular.predict_proba(X), regular.predict_proba(X))
