"""Tests of `fastrnn.estimators.texts`: texts and tokens in every form, and what is neither."""

import numpy as np
import pytest

from fastrnn import MeanEmbeddingClassifier
from tests.classifiers import BOTH, Table, Tensor, X, Y, averaging, recurrent, series
from tests.fakes import Frame


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


def test_names_of_files_are_refused_and_lines_that_are_names_are_not(tmp_path):
    path = tmp_path / "names.txt"
    names = [str(path)] * 4
    path.write_text("\n".join(names))
    for given in (names, iter(names)):
        with pytest.raises(ValueError, match=r"X holds names of files, .*names\.txt"):
            averaging().fit(given, Y[:4])
    assert len(averaging(max_iter=1).fit(path, Y[:4]).predict(path)) == 4


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
