"""How messages show values and what they propose."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from fastrnn import MeanEmbeddingClassifier, NGramLanguageModel, RNNClassifier
from fastrnn.layers import LSTM, Recurrent
from fastrnn.text import get_tokenizer
from fastrnn.utils.checks import check_choice, check_positive_integer, did_you_mean, shown


class Table:
    shape = (3, 2)

    def __repr__(self):
        return "many\nlines"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.str_("a"), "'a'"),
        (np.float32(0.5), "0.5"),
        (np.bool_(True), "True"),
        (np.datetime64("2020-01-02"), "'2020-01-02'"),
        ([np.int64(1), (np.str_("b"),)], "[1, ('b',)]"),
        ({"a": np.zeros((2, 3))}, "{'a': an array of shape (2, 3)}"),
        (np.zeros(1000), "an array of shape (1000,)"),
        (np.array(1.5), "an array of shape ()"),
        (Table(), "a Table of shape (3, 2)"),
        (None, "None"),
        (dict, "<class 'dict'>"),
    ],
)
def test_values_are_shown_in_a_few_words(value, text):
    assert shown(value) == text


def test_long_values_are_cut():
    assert len(shown("x" * 10**6)) <= 200
    assert len(shown([["x" * 50] * 50] * 50)) <= 200
    assert len(shown(object)) <= 200


def test_errors_show_numbers_of_numpy_as_plain_ones():
    with pytest.raises(ValueError, match=r"n must be an integer of at least 1, got -1\."):
        check_positive_integer("n", np.int64(-1))
    with pytest.raises(ValueError, match=r"order must be an integer from 1 to \d+, got 2\.5\."):
        NGramLanguageModel(order=np.float64(2.5)).fit(["a"])


@pytest.mark.parametrize(
    ("given", "meant"),
    [("LSTM", "lstm"), ("Lstm ", "lstm"), ("lstmm", "lstm"), ("rnn-relu", "rnn_relu"), ("rnn relu", "rnn_relu"),
     ("rr", "rnn_relu"), ("transformer", None), ("", None), (3, None), (None, None)],
)  # fmt: skip
def test_the_name_that_was_meant_is_proposed(given, meant):
    names = ["gru", "lstm", "rnn_relu"]
    assert did_you_mean(given, names) == ("." if meant is None else f": did you mean '{meant}'?")


def test_a_choice_is_a_name_or_one_of_the_constants():
    check_choice("x", np.str_("a"), ("a", None, False))
    for value in (None, False):
        check_choice("x", value, ("a", None, False))
    for value in (0, np.zeros(2), ["a"], "A", True):
        with pytest.raises(ValueError, match="x must be one of 'a', None, False, got"):
            check_choice("x", value, ("a", None, False))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recurrent("LSTM", 2, 3), "cell must be one of .*, got 'LSTM': did you mean 'lstm'"),
        (lambda: LSTM(2, 3, merge="Sum"), "did you mean 'sum'"),
        (lambda: LSTM(2, 3, initializers={"weight_hh": "Orthogonal"}), "initializer must .* did you mean 'orthogonal'"),
        (lambda: get_tokenizer("Word"), "got 'Word': did you mean 'words'"),
        (lambda: NGramLanguageModel(smoothing="kneser-ney").fit(["a"]), "did you mean 'kneser_ney'"),
        (lambda: RNNClassifier(pooling="Max").fit(["a", "b"], [0, 1]), "did you mean 'max'"),
        (lambda: RNNClassifier(optimizer="Adam").fit(["a", "b"], [0, 1]), "did you mean 'adam'"),
        (lambda: RNNClassifier(input="texts").fit(["a", "b"], [0, 1]), "did you mean 'text'"),
        (lambda: MeanEmbeddingClassifier(truncation="ends").fit(["a", "b"], [0, 1]), "did you mean 'end'"),
    ],
)
def test_every_parameter_with_names_proposes_one(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_warnings_are_about_the_line_of_the_user():
    texts = ["the cat sat on the mat"] * 3
    pipeline = make_pipeline(NGramLanguageModel(order=2, smoothing="kneser_ney"))
    calls = {
        "cannot be estimated": lambda: pipeline.fit(texts),
        "longer than max_length": lambda: RNNClassifier(max_length=2, hidden_size=3, max_iter=1).fit(texts, [0, 1, 0]),
    }
    for message, call in calls.items():
        with pytest.warns(UserWarning, match=message) as warned:
            call()
        assert {warning.filename for warning in warned} == {__file__}
