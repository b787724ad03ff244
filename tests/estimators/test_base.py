"""Training, files and parameters of estimators, and their use with scikit-learn."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline

from fastrnn import MeanEmbeddingClassifier, RNNClassifier
from fastrnn.estimators.base import BaseSequenceEstimator
from tests.classifiers import BOTH, X, Y, averaging, recurrent, reviews, series


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a", "b"], ["x", "x"]), "y has one class only, .*'x'.*: a classifier needs at least two classes"),
        ((["a", "b"], ["x", "y", "x"]), r"same number of samples.*\[2, 3\]"),
        ((["a", "b"], None), "requires y to be passed, but the target y is None"),
        ((["a", "b"], [0.5, 1.7]), "Unknown label type: continuous"),
        ((["a", "b"], [0, 1], [1, -1]), "sample_weight must be finite and not negative"),
        ((["a", "b"], [0, 1], [1]), r"sample_weight must have shape \(2,\), got \(1,\)"),
        ((["a", "b"], [0, 1], None, ["a"]), "X_val and y_val must be given both or not at all"),
        ((["a", "b"], [0, 1], None, ["a"], [0, 1]), "X_val and y_val must have the same number of samples"),
        ((["a", "b"], [0, 1], None, ["a"], [2]), "y contains .*2.*, which is not among the classes"),
        (([], []), "y is empty: found 0 labels"),
    ],
)
@BOTH
def test_wrong_targets_are_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make().fit(*arguments)


@pytest.mark.parametrize(
    ("option", "value"),
    [("pooling", "sum"), ("max_length", 0), ("truncation", "middle"), ("hidden_size", 0), ("batch_size", 1.5),
     ("alpha", -1), ("clip_norm", 0), ("validation_fraction", 1.0), ("device", "tpu"), ("optimizer", "lbfgs"),
     ("precision", "low"), ("cell", "lstn"), ("activity_penalty", -1), ("tol", "small"), ("tokenizer", "letters"),
     ("dropout", 1.0), ("max_iter", "many"), ("learning_rate_init", None), ("learning_rate_init", "fast")],
)  # fmt: skip
def test_wrong_parameters_are_named(option, value):
    with pytest.raises(ValueError, match=f"^{option} must be"):
        recurrent(**{option: value}).fit(X, Y)


@BOTH
def test_weights_of_examples_count(make):
    texts, labels = ["good film", "good film"] * 20, ["neg", "pos"] * 20
    weight = np.tile([1.0, 9.0], 20)
    p = make(max_iter=30).fit(texts, labels, sample_weight=weight).predict_proba(["good film"])[0, 1]
    assert 0.8 < p < 0.97
    p = make(max_iter=30, class_weight={"pos": 9}).fit(texts, labels).predict_proba(["good film"])[0, 1]
    assert 0.8 < p < 0.97


def test_examples_without_weight_are_as_if_they_were_not_there():
    weight = np.r_[np.ones(40), np.zeros(20)]
    labels = np.r_[Y[:40], np.roll(Y[40:], 1)]  # those at the end are wrong
    wrong, right = (averaging().fit(X, labels, sample_weight=w).score(X, Y) for w in (None, weight))
    assert right > 0.9 > wrong


def test_balanced_classes_have_the_same_weight():
    texts, labels = ["film"] * 40, ["neg"] * 30 + ["pos"] * 10
    plain, balanced = (averaging(class_weight=c, max_iter=30).fit(texts, labels) for c in (None, "balanced"))
    assert abs(plain.predict_proba(["film"])[0, 1] - 0.25) < 0.05
    assert abs(balanced.predict_proba(["film"])[0, 1] - 0.5) < 0.1


@pytest.mark.parametrize(("n", "batch_size", "epochs"), [(60, 8, 5), (60, 60, 40), (40, 1, 4)])
def test_the_number_of_epochs_follows_the_size_of_the_data(n, batch_size, epochs, monkeypatch):
    monkeypatch.setattr(BaseSequenceEstimator, "_fewest_batches", 40)  # batches, instead of 1,200
    assert averaging(max_iter="auto", batch_size=batch_size).fit(X[:n], Y[:n]).n_iter_ == epochs


@BOTH
def test_early_stopping_keeps_the_weights_that_validate_best(make):
    test, labels = reviews(seed=1)
    wrong = np.where(labels == "pos", "neg", "pos")
    model = make(n_iter_no_change=3).fit(X, Y, X_val=test, y_val=wrong)  # the more it learns, the worse
    assert model.n_iter_ < make().max_iter
    log_p = model.predict_log_proba(test)[np.arange(60), np.searchsorted(model.classes_, wrong)]
    np.testing.assert_allclose(log_p.mean(), max(model.validation_scores_), rtol=1e-6)


@BOTH
def test_warm_start_and_partial_fit_go_on(make):
    model = make(warm_start=True, max_iter=2).fit(X, Y)
    vocabulary = model.vocabulary_
    model.fit([*X, "a new word"], [*Y, "pos"])
    assert model.vocabulary_ is vocabulary
    assert model.n_iter_ == 4
    step = make().partial_fit(X[:20], Y[:20], classes=["neg", "pos", "none"])
    assert step.classes_.tolist() == ["neg", "none", "pos"]
    for _ in range(20):
        step.partial_fit(X, Y)
    assert step.n_iter_ == 21
    assert step.score(X, Y) > 0.9
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        step.partial_fit(X, Y, classes=["neg", "pos"])


@BOTH
def test_an_error_changes_nothing(make):
    model = make(warm_start=True, max_iter=1).fit(X, Y)
    before = model.predict_proba(X)
    for call in (lambda: model.fit(X, np.r_[Y[:-1], "other"]), lambda: model.partial_fit(X, Y[:3]),
                 lambda: model.fit([1], ["pos"]), lambda: model.set_params(alpha=-1).fit(X, Y)):  # fmt: skip
        with pytest.raises(ValueError):
            call()
        np.testing.assert_array_equal(model.predict_proba(X), before)
        assert model.n_iter_ == 1


def test_a_loss_that_is_not_finite_ends_the_training():
    values, y = series()
    with pytest.warns(ConvergenceWarning, match="infinite or NaN"):
        recurrent(input="series", optimizer="sgd", learning_rate_init=1e38, clip_norm=None).fit(values, y)


@pytest.mark.parametrize(
    ("make", "changed"),
    [(recurrent, {"hidden_size": 4}), (recurrent, {"cell": "gru"}), (recurrent, {"pooling": "mean"}),
     (recurrent, {"input": "tokens"}), (recurrent, {"max_length": 1}), (recurrent, {"lowercase": False}),
     (averaging, {"n_buckets": 10**6}), (averaging, {"ngram_range": (1, 3)}),
     (averaging, {"hidden_layer_sizes": (3,)})],
)  # fmt: skip
def test_parameters_set_after_fit_change_nothing_until_the_next_fit(make, changed, tmp_path):
    model = make(max_iter=1, warm_start=True).fit(X, Y)
    texts = ["GOOD film", "a good bad film"]
    expected = model.predict_proba(texts)
    model.set_params(**changed)
    np.testing.assert_array_equal(model.predict_proba(texts), expected)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(type(model).load(tmp_path / "model").predict_proba(texts), expected)
    if "n_buckets" in changed or "ngram_range" in changed:
        assert model.fit(X, Y).predict_proba(texts).shape == expected.shape


@BOTH
def test_copies_predict_the_same(make, tmp_path):
    model = make(max_iter=2, class_weight={"pos": 2.0, "neg": 1}).fit(X, Y)
    expected = model.predict_proba(X)
    stream = io.BytesIO()
    joblib.dump(model, stream)
    stream.seek(0)
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), joblib.load(stream), loaded):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        assert other.get_params() == model.get_params()
        assert other.loss_curve_ == model.loss_curve_
    assert clone(model).get_params() == model.get_params()
    other = (RNNClassifier, MeanEmbeddingClassifier)[make is recurrent]
    with pytest.raises(ValueError, match=f"holds a {type(model).__name__}, not a {other.__name__}"):
        other.load(tmp_path / "model")


@BOTH
def test_in_pipelines_searches_and_cross_validation(make):
    pipeline = Pipeline([("classifier", make(max_iter=2))]).set_output(transform="default")
    search = GridSearchCV(pipeline, {"classifier__max_iter": [1, 6]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"classifier__max_iter": 6}
    assert pipeline._repr_html_().startswith("<style>")
    scores = cross_validate(make(max_iter=20), X, Y, cv=2, n_jobs=2)["test_score"]
    assert (scores > 0.7).all()


def test_sample_weight_is_routed():
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        model = averaging().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        weight = np.ones(60)
        cross_validate(model, X, Y, cv=2, params={"sample_weight": weight}, error_score="raise")


@BOTH
def test_not_fitted(make):
    for call in ("predict", "predict_proba", "transform", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(make(), call)(X)
    with pytest.raises(NotFittedError):
        make().save("nowhere")
