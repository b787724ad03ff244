"""Tests of `fastrnn.classification.base`: predictions for labels of every kind."""

import numpy as np
import pytest

from fastrnn import MeanEmbeddingClassifier
from tests.classifiers import BOTH, X, Y, averaging, recurrent, reviews


@BOTH
def test_learns_which_words_tell_the_class(make):
    model = make().fit(X, Y)
    test, labels = reviews(seed=1)
    assert model.score(test, labels) > 0.9
    assert model.classes_.tolist() == ["neg", "pos"]
    assert model.n_iter_ == len(model.loss_curve_) == model.max_iter
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@BOTH
def test_what_is_predicted_fits_together(make):
    model = make().fit(X, Y)
    p, log_p, decision = model.predict_proba(X), model.predict_log_proba(X), model.decision_function(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(log_p), p)
    np.testing.assert_allclose(log_p[:, 1] - log_p[:, 0], decision)
    np.testing.assert_array_equal(model.predict(X), model.classes_[(decision > 0).astype(int)])
    h, output = model.transform(X), model.network_.layers["output"].parameters
    logits = h @ output["weight"].T.astype(float) + output["bias"]
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], decision, atol=1e-5)
    assert len(model.get_feature_names_out()) == h.shape[1]


@BOTH
def test_results_do_not_depend_on_the_batch(make):
    model = make(pooling="attention") if make is recurrent else make(hidden_layer_sizes=(5,))
    model.fit(X, Y)
    together = model.predict_proba([*X, ""])
    np.testing.assert_array_equal(np.concatenate([model.predict_proba([text]) for text in [*X, ""]]), together)
    np.testing.assert_array_equal(model.predict_proba(X[:3][::-1])[::-1], together[:3])
    assert len(model.predict_proba([])) == 0


@BOTH
def test_the_seed_decides(make):
    first, second, other = (make(random_state=seed, max_iter=2).fit(X, Y).predict_proba(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    threads = make(max_iter=2, n_jobs=1).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(first, threads)


@pytest.mark.parametrize("labels", [[0, 1], [True, False], [2.0, -1.0], ["a", "b"]])
def test_labels_of_any_type_come_back(labels, tmp_path):
    y = np.array(labels)[(Y == "pos").astype(int)]
    model = averaging().fit(X, y)
    predicted = model.predict(X)
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.9
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(MeanEmbeddingClassifier.load(tmp_path / "model").predict(X), predicted)


def test_labels_as_objects(tmp_path):
    model = averaging().fit(X, Y.astype(object))
    model.save(tmp_path / "model")
    assert MeanEmbeddingClassifier.load(tmp_path / "model").classes_.tolist() == ["neg", "pos"]


def test_three_classes():
    texts, labels = X + ["nothing at all"] * 20, [*Y, *["none"] * 20]
    model = averaging().fit(texts, labels)
    assert model.decision_function(texts).shape == (80, 3)
    assert model.predict(["nothing at all"]) == ["none"]


@BOTH
def test_several_labels_at_once(make, tmp_path):
    y = np.array([["good" in text or "great" in text, "film" in text, "was" in text] for text in X]).astype(int)
    model = make(max_iter=60).fit(X, y)
    assert (model.predict(X) == y).mean() > 0.85
    p = model.predict_proba(X)
    np.testing.assert_array_equal(p > 0.5, model.predict(X) == 1)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(type(model).load(tmp_path / "model").predict_proba(X), p)
