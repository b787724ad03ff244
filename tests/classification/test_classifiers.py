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

from fastrnn import MeanEmbeddingClassifier, RNNClassifier, RNNRegressor
from fastrnn.estimators import base as _base
from tests import reference
from tests.fakes import Frame

GOOD, BAD = "good great fine warm bright".split(), "bad awful dull cold dark".split()


def reviews(n=60, seed=0):
    """Return texts of 1 to 8 words, with one word that tells the class."""
    random = np.random.RandomState(seed)
    texts, labels = [], []
    for i in range(n):
        words = random.choice("the film was a story of people".split(), random.randint(0, 8)).tolist()
        words.insert(random.randint(len(words) + 1), random.choice((GOOD, BAD)[i % 2]))
        texts.append(" ".join(words))
        labels.append(("pos", "neg")[i % 2])
    return texts, np.array(labels)


X, Y = reviews()


def recurrent(**options):
    defaults = {"hidden_size": 9, "embedding_size": 7, "dropout": 0.0, "learning_rate_init": 0.02, "max_iter": 8,
                "random_state": 0}  # fmt: skip
    return RNNClassifier(**{**defaults, **options})


def averaging(**options):
    defaults = {"embedding_size": 7, "n_buckets": 50, "learning_rate_init": 0.05, "batch_size": 8, "max_iter": 10,
                "embedding_dropout": 0.2, "random_state": 0}  # fmt: skip
    return MeanEmbeddingClassifier(**{**defaults, **options})


BOTH = pytest.mark.parametrize("make", [recurrent, averaging], ids=["recurrent", "averaging"])


class Tensor:
    """A tensor as torch has it, whose elements are tensors."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return np.array(self.values)


class Table:
    """A table with named columns, as of pandas."""

    ndim, shape = 2, (2, 1)
    columns = ("text",)

    def __iter__(self):
        return iter(self.columns)


def series(n=20, seed=0, size=2):
    """Return series of 3 to 9 steps that rise or fall."""
    random = np.random.RandomState(seed)
    slopes = np.where(np.arange(n) % 2, 1.0, -1.0)
    X = [100 + slope * np.arange(t)[:, None] + random.randn(t, size) / 5
         for slope, t in zip(slopes, random.randint(3, 10, n), strict=True)]  # fmt: skip
    return X, np.where(slopes > 0, "up", "down")


# ------------------------------------------------------------------------------------------------------- predictions


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


def test_recurrent_classifier_equals_the_slow_reference():
    model = recurrent(num_layers=2, bidirectional=False, pooling="last", max_iter=1).fit(X, Y)
    ids = model.vocabulary_.encode(X[1].split())
    layers = model.network_.layers
    x = layers["embedding"].parameters["weight"].astype(float)[ids][:, None]
    h, _ = reference.network("lstm", x, np.zeros((2, 2, 1, 9)), [len(ids)], layers["recurrent"].state_dict(), 2)
    np.testing.assert_allclose(model.transform(X[1:2])[0], h[-1, 0], atol=1e-6)


def test_mean_embedding_equals_its_definition():
    model = averaging(hidden_layer_sizes=(5,), ngram_range=(1, 1)).fit(X, Y)
    layers = model.network_.layers
    texts = ["good unheard-of film", "unheard-of", ""]
    words = model.vocabulary_.encode(["good", "film"])
    mean = layers["embedding"].parameters["weight"][words].astype(float).mean(axis=0)
    dense = layers["hidden_0"].parameters
    for row, vector in zip(model.transform(texts), [mean, np.zeros(7), np.zeros(7)], strict=True):
        np.testing.assert_allclose(row, np.maximum(dense["weight"] @ vector + dense["bias"], 0), atol=1e-6)


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


# ------------------------------------------------------------------------------------------------------------ inputs


def test_series_in_every_form_are_the_same():
    values = np.random.RandomState(0).randn(20, 6)
    model = recurrent(input="series").fit(values, Y[:20])
    expected = model.predict_proba(values)
    for form in (values[:, :, None], list(values), list(values[:, :, None]), values.tolist()):
        np.testing.assert_array_equal(model.predict_proba(form), expected)
    assert model.n_features_in_ == 1
    assert not hasattr(model, "vocabulary_")


def test_series_are_standardised_by_the_training_data():
    X, y = series()
    first = recurrent(input="series").fit(X, y)
    scaled = recurrent(input="series").fit([1e4 * part - 7 for part in X], y)
    np.testing.assert_allclose(first.predict_proba(X), scaled.predict_proba([1e4 * p - 7 for p in X]), atol=1e-4)
    assert first.score(*series(seed=1)) > 0.9


def test_files_are_texts(tmp_path):
    paths = [tmp_path / f"{i:02}.txt" for i in range(len(X))]
    for path, text in zip(paths, X, strict=True):
        path.write_text(f"{text}\nfilm", encoding="utf-16")
    model = averaging(max_iter=1, encoding="utf-16").fit(paths, Y)
    expected = averaging(max_iter=1).fit([f"{text}\nfilm" for text in X], Y).predict_proba([*X[:2], X[0] + " film"])
    np.testing.assert_array_equal(model.predict_proba([*X[:2], paths[0]]), expected)
    np.testing.assert_array_equal(averaging(max_iter=1, encoding="utf-16").fit(tmp_path, Y).predict(tmp_path),
                                  model.predict(paths))  # fmt: skip
    lines = tmp_path / "lines"
    lines.write_text("\n".join(X), encoding="utf-16")
    np.testing.assert_array_equal(model.predict_proba(lines), model.predict_proba(X))


def test_texts_are_brought_into_the_normal_form_of_the_model(tmp_path):
    texts = [text.replace("e", "e\u0301") for text in X]
    model = averaging(max_iter=1, normalize="NFC").fit(texts, Y)
    model.save(tmp_path / "model")
    model = MeanEmbeddingClassifier.load(tmp_path / "model")
    composed = [text.replace("e", "\u00e9") for text in X]
    np.testing.assert_array_equal(model.predict_proba(composed), model.predict_proba(texts))
    assert "th\u00e9" in model.vocabulary_


def test_a_script_without_spaces_is_warned_of_when_it_is_learned():
    with pytest.warns(UserWarning, match="script without spaces between words"):
        model = averaging(max_iter=1).fit(["我很高兴", "我不高兴"] * 2, Y[:4])
    model.predict(["我很高兴"])


def test_embeddings_are_no_tables():
    with pytest.raises(ValueError, match=r"got a Frame: give \(frame\.index, frame\.to_numpy\(\)\)"):
        averaging(embedding=Frame(x=[0.1, 0.2], y=[0.3, 0.4])).fit(X, Y)


def test_integers_are_tokens():
    ids = [[len(word) for word in text.split()] for text in X]
    model = recurrent(input="tokens", max_iter=1).fit(ids, Y)
    strings = [[str(token) for token in text] for text in ids]
    np.testing.assert_array_equal(model.predict_proba([np.array(text) for text in ids]), model.predict_proba(strings))
    expected = model.predict_proba([["3", "4"], ["4", "3"]])
    np.testing.assert_array_equal(model.predict_proba(np.array([[3, 4], [4, 3]])), expected)
    np.testing.assert_array_equal(model.predict_proba([Tensor([3, 4]), Tensor([4, 3])]), expected)


@pytest.mark.filterwarnings("ignore:.* are longer than")
@pytest.mark.parametrize(("truncation", "same"), [("end", "good film x y"), ("start", "x y good film")])
def test_long_texts_are_cut(truncation, same):
    model = recurrent(max_length=2, truncation=truncation, max_iter=1).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(["good film"]), model.predict_proba([same]))
    values, y = series()
    model = recurrent(input="series", max_length=3, truncation=truncation, max_iter=1).fit(values, y)
    cut = [part[:3] if truncation == "end" else part[-3:] for part in values]
    np.testing.assert_array_equal(model.predict_proba(values), model.predict_proba(cut))


@BOTH
def test_a_warning_says_how_many_texts_are_cut(make):
    texts = ["a b c", "a b c d", "a", "b a"]
    with pytest.warns(UserWarning, match="longer") as warned:
        model = make(max_length=2, max_iter=1).fit(texts, [0, 1, 0, 1], X_val=["a b c"], y_val=[0])
    end = "longer than max_length, 2 steps: the end of each is cut off (see max_length and truncation)."
    messages = [f"2 of 4 sequences of X are {end}", f"1 of 1 sequences of X_val are {end}"]
    assert [str(warning.message) for warning in warned] == messages
    for method in ("predict", "predict_proba", "transform"):
        with pytest.warns(UserWarning, match="2 of 4 sequences of X are longer") as warned:
            getattr(model, method)(texts)
        assert [warning.filename for warning in warned] == [__file__]
    model.predict(["a", "b a"])


def test_a_warning_says_that_the_usual_limit_cuts_a_text():
    model = recurrent(max_iter=1).fit(X, Y)
    with pytest.warns(UserWarning, match="1 of 2 sequences of X are longer than max_length, 2,000 steps"):
        model.predict(["good " * 2001, "good"])


@pytest.mark.filterwarnings("ignore:.* are longer than")
@BOTH
def test_strange_texts_have_an_answer(make):
    model = make(max_iter=1).fit(X, Y)
    texts = ["", " ", "unheard-of", "unheard-of words only", "good", "?!", "good " * 200_000]
    p = model.predict_proba(texts)
    assert np.isfinite(p).all()
    np.testing.assert_array_equal(p[0], p[1])
    make(max_iter=1).fit([*X, *texts], [*Y, *["pos"] * len(texts)])
    empty = make(max_iter=1).fit(["", " "], [0, 1])
    np.testing.assert_allclose(empty.predict_proba(["", "a word"]), 0.5, atol=0.1)


def test_a_class_with_one_example_is_learned_with_early_stopping():
    model = averaging(early_stopping=True).fit([*X, "nothing"], [*Y, "none"])
    assert "none" in model.classes_
    assert len(model.validation_scores_) == model.n_iter_


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        ({}, "a string", "Iterable over raw text documents expected, string object received"),
        ({}, ["good", ["a", "list"]], r"X\[1\] must be a string with input='text', got \['a', 'list'\]"),
        ({}, [[1.0, 2.0]], r"X\[0\] must be a string with input='text'"),
        ({}, np.zeros((2, 3)), r"X must be a list of strings with input='text', got shape \(2, 3\)"),
        ({}, ["good", np.zeros((9, 2))], r"got an array of shape \(9, 2\): set input='series', which RNNClassifier"),
        ({}, [["a", "b"], ["c"]], r"got \['a', 'b'\]: set input='tokens' for lists of tokens"),
        ({}, ["good", None], "got None: leave missing texts out"),
        ({}, ["good", float("nan")], "got nan: leave missing texts out"),
        ({}, ["good", b"bad"], "got b'bad': decode it first"),
        ({}, np.array([["good"], ["bad"]]), r"got shape \(2, 1\): give its one column, X\[:, 0\]"),
        ({"input": "tokens"}, [[0.5, 1.5], [2.0]], r"X\[0\] must be .*, got \[0.5, 1.5\]: set input='series'"),
        ({"input": "tokens"}, np.ma.array([[1, 2]] * 2, mask=[[0, 1]] * 2), "X must not be a masked array"),
        ({}, Table(), r"got a Table, a table: give the column with the texts, X=frame\['text'\]"),
        ({"input": "tokens"}, Table(), "got a Table, a table: give the column with the texts"),
        ({}, 5, "X must be an iterable of strings or of lists of tokens, got 5"),
        ({}, Frame(text=["a", "b"]), r"got a Frame, a table: give the column with the texts, X=frame\['text'\]"),
        ({}, {"a": 0, "b": 1}, "got a dict, which iterates over its keys"),
        ({"input": "tokens"}, Frame(text=["a", "b"]), "got a Frame, a table"),
        ({"input": "tokens"}, [["a"], "text"], r"X\[1\] must be a list of tokens with input='tokens', got 'text'"),
        ({"input": "tokens"}, [["a", 1.5]], r"X\[0\]\[1\] must be a token"),
        ({"input": "tokens"}, np.zeros((2, 3, 4)), r"X must be a list of lists of tokens .*, got shape \(2, 3, 4\)"),
        (
            {"input": "series"},
            ["a text"],
            r"X must be a list of arrays \(T, D\) of numbers .*, got the text 'a text' as X\[0\]",
        ),
        ({"input": "series"}, [np.zeros((3, 2)), np.full((4, 2), np.nan)], r"X\[1\] must be finite, got NaN"),
        ({"input": "series"}, [np.zeros((3, 2)), np.zeros((4, 3))], r"X\[1\] must have shape \(T, 2\) like the others"),
        ({"input": "series"}, {"a": np.zeros((3, 2))}, r"X must be a list of arrays .*, got a dict\."),
        ({"input": "series"}, np.zeros((2, 3, 4, 5)), r"X must have shape \(n, T, D\)"),
        ({"input": "words"}, ["a", "b"], "input must be one of .*, got 'words'"),
    ],
)
def test_wrong_inputs_are_named(options, given, message):
    model = recurrent(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(given, [0, 1])
    assert not hasattr(model, "network_")


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
     ("cell", "lstn"), ("activity_penalty", -1), ("tol", "small"), ("tokenizer", "letters"), ("dropout", 1.0),
     ("max_iter", "many"), ("learning_rate_init", None), ("learning_rate_init", "fast")],
)  # fmt: skip
def test_wrong_parameters_are_named(option, value):
    with pytest.raises(ValueError, match=f"^{option} must be"):
        recurrent(**{option: value}).fit(X, Y)


@pytest.mark.parametrize(("option", "value"), [("ngram_range", (2, 1)), ("ngram_range", (1, 2.5)),
                                               ("max_length", "auto"), ("n_buckets", 0), ("hidden_layer_sizes", (0,)),
                                               ("input", "series")])  # fmt: skip
def test_wrong_parameters_of_the_averaging_network_are_named(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        averaging(**{option: value}).fit(X, Y)


# ---------------------------------------------------------------------------------------------------------- training


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
    monkeypatch.setattr(_base, "_STEPS", 40)  # batches, instead of 1,200
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


@pytest.mark.parametrize("option", ["recurrent_dropout", "zoneout", "weight_dropout", "embedding_dropout", "dropout",
                                    "activity_penalty", "temporal_activity_penalty"])  # fmt: skip
def test_regularizers_change_the_training_and_not_the_prediction(option):
    plain, regular = recurrent(max_iter=2).fit(X, Y), recurrent(max_iter=2, **{option: 0.3}).fit(X, Y)
    assert not np.array_equal(plain.predict_proba(X), regular.predict_proba(X))
    np.testing.assert_array_equal(regular.predict_proba(X), regular.predict_proba(X))


# ------------------------------------------------------------------------------------------------- pretrained vectors

WORDS = ["good", "bad", "unseen"]
VECTORS = np.array([[1.0, 0.0, 0.5], [-1.0, 0.5, 0.0], [1.0, 0.1, 0.5]], np.float32)


def vector_file(tmp_path, header):
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in zip(WORDS, VECTORS.tolist(), strict=True)]
    path = tmp_path / "vectors.txt"
    path.write_text("\n".join(["3 3"] * header + lines) + "\n")
    return path


@pytest.mark.parametrize("form", ["mapping", "pair", "glove", "word2vec"])
@BOTH
def test_pretrained_vectors(make, form, tmp_path):
    embedding = {"mapping": dict(zip(WORDS, VECTORS, strict=True)), "pair": (WORDS, VECTORS)}.get(form)
    if embedding is None:
        embedding = vector_file(tmp_path, form == "word2vec")
    frozen, tuned = (make(embedding=embedding, freeze_embedding=f, max_iter=2).fit(X, Y) for f in (True, False))
    ids = frozen.vocabulary_.encode(WORDS)
    vectors = [model.network_.layers["embedding"].parameters["weight"][ids] for model in (frozen, tuned)]
    np.testing.assert_array_equal(vectors[0], VECTORS)
    assert not np.array_equal(vectors[1][:2], VECTORS[:2])
    frozen.save(tmp_path / "model")
    loaded = type(frozen).load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(["unseen film"]), frozen.predict_proba(["unseen film"]))


@pytest.mark.parametrize(
    ("embedding", "message"),
    [({"a": [1.0], "b": [1.0, 2.0]}, "vectors of one length"), ((["a"], np.zeros((2, 3))), "a vector for each word"),
     (5, "embedding must be a mapping"), ({}, "a vector for each word"), ({"a": [np.inf]}, "finite")],
)  # fmt: skip
def test_wrong_vectors_are_named(embedding, message):
    with pytest.raises(ValueError, match=message):
        recurrent(embedding=embedding).fit(X, Y)


def test_a_broken_file_of_vectors_names_the_line(tmp_path):
    path = vector_file(tmp_path, header=False)
    path.write_text(path.read_text() + "broken 1.0 x 2.0\n")
    with pytest.raises(ValueError, match=r"line 4: expected a word and 3 numbers, got 'broken"):
        recurrent(embedding=str(path)).fit(X, Y)


# ------------------------------------------------------------------------------------------------- with scikit-learn


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
