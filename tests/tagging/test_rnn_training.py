"""Training of `RNNTagger`: schemes, weights, validation, further calls, threads."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from fastrnn import RNNTagger
from fastrnn.estimators import recurrent
from fastrnn.metrics import entity_f1, entity_f1_scorer
from fastrnn.text.schemes import allowed, to_scheme

RANDOM = np.random.default_rng(1)
NAMES = {"PER": ("anna", "bob"), "LOC": ("oslo", "rome")}


def sentence():
    """Return words and tags: the first word of an entity tells its type, "and" continues it."""
    words, tags = [], []
    for _ in range(RANDOM.integers(1, 4)):
        n, kind = RANDOM.integers(0, 3), RANDOM.choice(["PER", "LOC"])
        words += ["the"] * n
        tags += ["O"] * n
        n = RANDOM.integers(1, 4)
        words += [str(RANDOM.choice(NAMES[kind])), *["and"] * (n - 1)]
        tags += [f"B-{kind}", *[f"I-{kind}"] * (n - 1)]
    return words, tags


X, Y = map(list, zip(*(sentence() for _ in range(60)), strict=True))
X.append([])
Y.append([])


def tagger(**options):
    defaults = {"cell": "gru", "hidden_size": 8, "embedding_size": 6, "char_encoder": None, "dropout": 0.0,
                "learning_rate_init": 0.03, "max_iter": 6, "batch_size": 8, "random_state": 0}  # fmt: skip
    return RNNTagger(**{**defaults, **options})


@pytest.fixture(scope="module")
def fitted():
    return tagger().fit(X, Y)


@pytest.mark.parametrize("output", ["crf", "softmax"])
@pytest.mark.parametrize(("given", "learned"), [("iob1", "auto"), ("iob2", "bioes"), ("bioes", "iob2")])
def test_labels_are_learned_in_a_scheme_and_predicted_in_that_of_y(given, learned, output, tmp_path):
    y = to_scheme(Y, "iob2", given)
    model = tagger(scheme=learned, output=output, max_iter=10).fit(X, y)
    predicted = model.predict(X)
    assert entity_f1(y, predicted, scheme=given, strict=True) > 0.95
    assert model.scheme_ == ("iob2" if given == "iob1" else learned)
    for p in model.predict_proba(X):
        assert p.shape[1] == len(model.classes_)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-9)
    assert [part.shape for part in model.decision_function(X)] == [part.shape for part in model.predict_proba(X)]
    model.save(tmp_path / "model")
    loaded = RNNTagger.load(tmp_path / "model")
    assert loaded.predict(X) == predicted
    np.testing.assert_array_equal(loaded.predict_proba(X)[0], model.predict_proba(X)[0])


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_what_a_scheme_rules_out_is_not_predicted(output):
    model = tagger(output=output, max_iter=1, learning_rate_init=1e-4).fit(X, Y)
    model.network_.head.layer.parameters["bias"][...] = np.array([0, 0, 1, 1, 0.5], "f4")  # I-LOC and I-PER
    start, transitions, _ = allowed(model.classes_.tolist(), "iob2")
    for tags in model._paths(X[:-1]).parts():
        assert start[tags[0]]
        assert transitions[tags[:-1], tags[1:]].all()
    free = clone(model).set_params(scheme=None).fit(X, Y)
    free.network_.set_arrays(model.network_.get_arrays())
    assert any(tags[0].startswith("I-") for tags in free.predict(X[:-1]))


def test_training_may_be_constrained():
    model = tagger(constrain_training=True, max_iter=2).fit(X, Y)
    begins = [p[0, model.classes_.tolist().index("I-PER")] for p in model.predict_proba(X[:-1])]
    assert not np.any(begins)
    assert tagger(max_iter=2).fit(X, Y).predict_proba(X)[0][0, 3] > 0
    with pytest.raises(ValueError, match=r"y must follow the scheme 'iob2' .* but y\[60\] does not"):
        tagger(constrain_training=True).fit([*X[:-1], ["the"]], [*Y[:-1], ["I-PER"]])


def test_early_stopping_keeps_the_weights_with_the_best_entity_f1():
    test, y = map(list, zip(*(sentence() for _ in range(20)), strict=True))
    model = tagger(max_iter=8, n_iter_no_change=2).fit(X, Y, X_val=test, y_val=y)
    assert entity_f1(y, model.predict(test)) == max(model.validation_scores_)
    assert len(model.validation_scores_) == model.n_iter_
    only_outside = [["the", "the"]], [["O", "O"]]
    assert 0 < tagger(max_iter=1).fit(X, Y, None, *only_outside).validation_scores_[0] <= 1  # an accuracy
    lost = tagger(max_iter=1, learning_rate_init=1e-6).fit(X, Y, None, [["the", "bob"]], [["O", "B-NEW"]])
    assert lost.validation_scores_ == [lost.score([["the", "bob"]], [["O", "B-NEW"]]) - 1]
    assert len(tagger(early_stopping=True, max_iter=2).fit(X, Y).validation_scores_) == 2


def test_patience_follows_the_size_of_the_data(monkeypatch):
    monkeypatch.setattr(recurrent, "_BATCHES_WAITED", 48)
    options = {"max_iter": 20, "learning_rate_init": 0.0}  # nothing improves
    assert tagger(**options).fit(X, Y, None, X, Y).n_iter_ == 1 + 6  # epochs of eight batches
    assert tagger(**options, batch_size=1).fit(X, Y, None, X, Y).n_iter_ == 1 + 5
    assert tagger(**options, n_iter_no_change=2).fit(X, Y, None, X, Y).n_iter_ == 1 + 2
    with pytest.raises(ValueError, match="n_iter_no_change must be an integer of at least 1, got 'never'"):
        tagger(n_iter_no_change="never").fit(X, Y)


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_weights_of_classes_and_sequences(output):
    x, y = [["a"]] * 40, [["yes"]] * 10 + [["no"]] * 30
    options = {"output": output, "max_iter": 25, "scheme": None}
    plain = tagger(**options).fit(x, y).predict_proba([["a"]])[0][0]
    assert plain[1] == pytest.approx(0.25, abs=0.1)
    weighted = tagger(class_weight={"yes": 3.0}, **options).fit(x, y).predict_proba([["a"]])[0][0]
    assert weighted[1] == pytest.approx(0.5, abs=0.1)
    sampled = tagger(**options).fit(x, y, sample_weight=[3.0] * 10 + [1.0] * 30).predict_proba([["a"]])[0][0]
    assert sampled[1] == pytest.approx(0.5, abs=0.1)
    with pytest.raises(ValueError, match="class_weight must have classes as keys: 'maybe'"):
        tagger(class_weight={"maybe": 1.0}).fit(x, y)
    with pytest.raises(ValueError, match=r"class_weight must give some element a weight above 0, got \{'no': 0"):
        tagger(class_weight={"no": 0, "yes": 0}).fit(x, y)
    with pytest.raises(ValueError, match="y holds no elements"):
        tagger().partial_fit(x, y).partial_fit([[]], [[]])


def test_scores_weigh_sequences(fitted):
    x, y = [["oslo"], ["the", "the"]], [["B-PER"], ["O", "O"]]
    assert fitted.score(x, y) == pytest.approx(2 / 3)
    assert fitted.score(x, y, sample_weight=[2, 1]) == pytest.approx(1 / 2)
    for wrong, message in (
        (y[:1], "inconsistent numbers"),
        ([["O"], ["O"]], r"X\[1\] has 2 tokens and y\[1\] 1 labels"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted.score(x, wrong)
    with pytest.raises(ValueError, match="accuracy of no elements"):
        fitted.score([[]], [[]])


def test_further_calls_go_on_learning(fitted):
    model = copy.deepcopy(fitted).set_params(warm_start=True, max_iter=2).fit(X, Y)
    assert model.n_iter_ == fitted.n_iter_ + 2
    model.partial_fit(X[:20], Y[:20])
    assert model.n_iter_ == fitted.n_iter_ + 3
    with pytest.raises(ValueError, match=r"y contains 'B-NEW' as label 0 of y\[0\], which is not among the classes"):
        model.partial_fit([["bob"]], [["B-NEW"]])
    first = tagger().partial_fit(X[:1], Y[:1], classes=[*fitted.classes_, "B-NEW"])
    assert "B-NEW" in first.classes_
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        first.partial_fit(X, Y, classes=["O"])


def test_threads_predict_what_one_call_does(fitted):
    expected = fitted.predict_proba(X)
    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(lambda _: fitted.predict_proba(X), range(8)):
            for part, other in zip(results, expected, strict=True):
                np.testing.assert_array_equal(part, other)
    twin = pickle.loads(pickle.dumps(fitted))
    assert twin.predict(X) == fitted.predict(X)
    one = clone(fitted).set_params(n_jobs=1).fit(X, Y)
    np.testing.assert_array_equal(one.predict_proba(X)[0], expected[0])


def test_in_pipelines_and_searches(fitted):
    lower = FunctionTransformer(lambda X: [[word.lower() for word in words] for words in X])
    pipe = Pipeline([("lower", lower), ("tag", clone(fitted))]).fit(X, Y)
    assert pipe.score(X, Y) > 0.9
    search = GridSearchCV(tagger(max_iter=2), {"hidden_size": [4, 8]}, cv=2, scoring=entity_f1_scorer).fit(X, Y)
    assert set(search.best_params_) == {"hidden_size"}
    assert len(search.predict(X)) == len(X)


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_one_label_and_rare_ones(output):
    one = tagger(output=output, max_iter=1).fit([["a", "b"], ["c"]], [["x", "x"], ["x"]])
    assert one.predict([["d", "e"]]) == [["x", "x"]]
    assert one.predict_proba([["d"]])[0].tolist() == [[1.0]]
    rare = tagger(output=output).fit([*X, ["once"]], [*Y, ["B-ONCE"]])
    assert rare.predict_proba([["once"]])[0].shape == (1, 6)
    assert rare.predict([]) == []


def test_long_sequences_are_cut_in_training_only():
    with pytest.warns(UserWarning, match="longer than max_length"):
        model = tagger(max_length=2, max_iter=1).fit(X, Y)
    assert [len(tags) for tags in model.predict(X)] == [len(words) for words in X]
    assert model.score(X, Y) >= 0
    assert len(model.set_params(max_length=None).predict([["the"] * 3000])[0]) == 3000


@pytest.mark.parametrize(("options", "message"), [
    ({"output": "hmm"}, "output must be one of 'auto', 'crf', 'softmax', got 'hmm'"),
    ({"scheme": "iob"}, "scheme must be one of .*, got 'iob'"),
    ({"constrain_training": 1}, "constrain_training must be False or True, got 1"),
    ({"hidden_size": 0}, "hidden_size must be an integer of at least 1, got 0"),
])  # fmt: skip
def test_bad_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tagger(**options).fit(X, Y)
