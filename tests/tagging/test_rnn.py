"""Tests of `fastrnn.tagging.recurrent`."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_validate

from fastrnn import RNNTagger, load

RANDOM = np.random.default_rng(0)
X = [[str(word) for word in RANDOM.integers(10, size=n)] for n in [*RANDOM.integers(1, 7, size=40), 0]]
Y = [["even" if int(word) % 2 == 0 else "odd" for word in words] for words in X]


def tagger(**options):
    defaults = {"cell": "gru", "hidden_size": 8, "embedding_size": 6, "dropout": 0.0, "learning_rate_init": 0.02,
                "max_iter": 12, "batch_size": 8, "random_state": 0}  # fmt: skip
    return RNNTagger(**{**defaults, **options})


@pytest.fixture(scope="module")
def fitted():
    return tagger().fit(X, Y)


def test_a_tagger_learns_and_is_saved(fitted, tmp_path):
    assert fitted.score(X, Y) == 1
    assert fitted.predict([["1", "2"], [], ["4"]]) == [["odd", "even"], [], ["even"]]
    fitted.save(tmp_path / "model")
    assert load(tmp_path / "model").predict(X) == Y


def test_predictions_fit_together_and_do_not_depend_on_the_batch(fitted):
    p, log_p = fitted.predict_proba(X), fitted.predict_log_proba(X)
    assert [part.shape for part in p] == [(len(words), 2) for words in X]
    for words, labels, part, logs in zip(X, Y, p, log_p, strict=True):
        np.testing.assert_allclose(part.sum(axis=1), 1)
        np.testing.assert_allclose(np.exp(logs), part)
        assert fitted.classes_[part.argmax(axis=1)].tolist() == labels
        np.testing.assert_array_equal(fitted.predict_proba([words])[0], part)


def test_series_of_numbers_give_arrays():
    series = [RANDOM.standard_normal((n, 2)) for n in RANDOM.integers(1, 7, size=40)]
    labels = [(part[:, 0] > 0).astype(int) for part in series]
    model = tagger(input="series").fit(series, labels)
    assert model.score(series, labels) > 0.9
    assert model.predict(series[:1])[0].dtype == labels[0].dtype


def test_cross_validation_and_clones(fitted):
    model = clone(fitted).set_params(max_iter=2)
    result = cross_validate(model, X, Y, cv=5)
    assert (result["test_score"] > 0).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([*Y[:2], [*Y[2], "odd"], *Y[3:]], r"a label for each element of X: X\[2\] has .* tokens and y\[2\]"),
        (Y[:-1], r"inconsistent numbers of samples: \[41, 40\]"),
        ([[None, *Y[0][1:]], *Y[1:]], r"y holds None as label 0 of y\[0\]"),
        (["odd"] * 41, r"y must be a list of labels for each sequence.*, got 'odd' as y\[0\]"),
        ([[1, *Y[0][1:]], *Y[1:]], r"y must have labels of one type, got 1 before"),
        ([[0.5 for _ in words] for words in X], "whole numbers as labels, got 0.5"),
        (None, "requires y to be passed"),
    ],
)  # fmt: skip
def test_bad_labels_are_named(y, message):
    with pytest.raises(ValueError, match=message):
        tagger().fit(X, y)


def test_unknown_labels_count_as_wrong(fitted):
    y = [["other" if word == "1" else label for word, label in zip(*pair, strict=True)]
         for pair in zip(X, Y, strict=True)]  # fmt: skip
    share = np.mean([label == "other" for labels in y for label in labels])
    assert fitted.score(X, y) == pytest.approx(1 - share)
    model = clone(fitted).fit(X, Y, X_val=X, y_val=y)
    assert model.validation_scores_[-1] == pytest.approx(1 - share)


SENTENCES = [[("The", "DT"), ("dog", "NN"), ("sees", "VB"), ("Rome", "NN")], [("A", "DT"), ("dog", "NN")], []] * 4
TAGS = [["O", "O", "O", "PLACE"], ["O", "O"], []] * 4


@pytest.mark.parametrize("char_encoder", ["rnn", "ngrams", None])
def test_columns_and_forms_of_tokens_are_read_and_saved(char_encoder, tmp_path):
    model = tagger(char_encoder=char_encoder, embedding={"dog": [1.0, 2.0], "Rome": [3.0, 4.0]}, freeze_embedding=True)
    model.fit(SENTENCES, TAGS)
    assert model.score(SENTENCES, TAGS) == 1
    given = model.vocabulary_.encode(["dog", "Rome"])
    np.testing.assert_array_equal(model.network_.get_arrays()["embedding.weight"][given], [[1, 2], [3, 4]])
    new = [[("Oslo", "NN"), ("paris", "NN")], [("a", "XX")]]
    model.save(tmp_path / "model")
    for expected, part in zip(model.predict_proba(new), load(tmp_path / "model").predict_proba(new), strict=True):
        np.testing.assert_array_equal(part, expected)
    model.partial_fit([[("Oslo", "NN")]], [["PLACE"]])
    assert model.predict(new[1:]) == [["O"]]


def test_unknown_words_are_told_apart_by_their_shapes_alone():
    tokens = [[f"w{i}", f"W{i}"] for i in range(30)]
    model = tagger(char_encoder=None, max_iter=6).fit(tokens, [["lower", "upper"]] * 30)
    assert model.predict([["X99", "x99"]]) == [["upper", "lower"]]


def test_data_that_differ_in_their_forms_only_are_other_data(tmp_path):
    model, path = tagger(max_iter=1, char_encoder="rnn", embedding={"a": [1.0], "b": [1.0]}), tmp_path / "checkpoint"
    model.fit([["a"]] * 3, [["x"]] * 3, None, [["a"]], [["x"]], checkpoint=path)
    with pytest.raises(ValueError, match="X_val"):
        model.set_params(max_iter=2).fit([["a"]] * 3, [["x"]] * 3, None, [["b"]], [["x"]], checkpoint=path)


@pytest.mark.parametrize(("options", "message"), [
    ({"char_encoder": "cnn"}, "char_encoder must be .*, got 'cnn'"),
    ({"char_hidden_size": 0}, "char_hidden_size must be .*, got 0"),
    ({"input_dropout": 1.0}, "input_dropout must be .*, got 1.0"),
    ({"word_dropout": -0.1}, "word_dropout must be .*, got -0.1"),
])  # fmt: skip
def test_bad_parameters_of_tokens_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tagger(**options).fit(X, Y)
