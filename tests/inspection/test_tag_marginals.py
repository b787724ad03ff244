"""Probabilities of the labels of one sequence."""

import functools
import re

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastrnn import CRFTagger, RNNClassifier, RNNTagger
from fastrnn.inspection import TagMarginals, TagMarginalsDisplay, explain, tag_marginals

X = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["dogs", "bark"]] * 5
Y = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN", "VERB"]] * 5


@pytest.fixture(scope="module")
def tagger():
    """Return a small fitted tagger."""
    return RNNTagger(hidden_size=8, embedding_size=8, max_iter=5, random_state=0).fit(X, Y)


def test_it_says_what_the_tagger_says(tagger):
    sentence = ["the", "cat", "barks", "unknown"]
    result = tag_marginals(tagger, sentence)
    assert result.tokens == sentence
    assert result.labels == tagger.predict([sentence])[0]
    np.testing.assert_array_equal(result.probabilities, tagger.predict_proba([sentence])[0])
    places = [tagger.classes_.tolist().index(label) for label in result.labels]
    np.testing.assert_array_equal(result.confidence, result.probabilities[range(4), places])
    lower = make_pipeline(FunctionTransformer(lambda X: [[word.lower() for word in words] for words in X]), tagger)
    again = tag_marginals(lower, ["The", "CAT", "barks", "unknown"])
    np.testing.assert_array_equal(again.probabilities, result.probabilities)
    empty = tag_marginals(tagger, [])
    assert (str(empty), empty.labels, empty.probabilities.shape) == ("", [], (0, 3))
    assert "no elements" in empty._repr_html_()


RESULT = TagMarginals(["<b>", "in", "Rome"], ["O", "O", "B-LOC"], np.array(["B-LOC", "I-LOC", "O"]),
                      np.array([[0.0, 0, 1], [0.1, 0.009, 0.891], [0.45, 0.008, 0.542]]))  # fmt: skip


def test_it_is_shown():
    assert str(RESULT).splitlines()[1:] == [
        "in    O      O 0.891, B-LOC 0.100, I-LOC 0.009",
        "Rome  B-LOC  O 0.542, B-LOC 0.450, I-LOC 0.008",
    ]
    page = RESULT._repr_html_()
    assert "<b>3 elements, the least sure label has 0.450</b>" in page
    spans = re.findall(r'<span style="[^"]*,([0-9.]+)\)" title="([^"]*)">([^<]*)</span>', page)
    assert [(share, text) for share, _, text in spans] == [
        ("0.00", "&lt;b&gt;"),
        ("0.09", "in"),
        ("0.44", "Rome/B-LOC"),
    ]
    assert spans[2][1] == "O 0.542, B-LOC 0.450, I-LOC 0.008"


def test_display(pyplot, tagger):
    display = RESULT.plot()
    assert display.image_.get_array().shape == (2, 3)  # I-LOC is left out
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["B-LOC", "O"]
    assert display.line_.get_ydata().tolist() == [1, 1, 0]
    assert RESULT.plot(threshold=0.001).image_.get_array().shape == (3, 3)
    display = TagMarginalsDisplay.from_estimator(tagger, ["the", "cat"], ax=display.ax_, cmap="Greens")
    assert display.ax_.get_title(loc="left") == "RNNTagger"
    with pytest.raises(ValueError, match="There is nothing to draw"):
        TagMarginalsDisplay.from_estimator(tagger, [])
    with pytest.raises(ValueError, match="threshold must be at least 0 and below 1, got 2"):
        RESULT.plot(threshold=2)


def test_series(pyplot):
    series = np.random.default_rng(0).standard_normal((4, 6, 2))
    model = RNNTagger(input="series", hidden_size=4, max_iter=1, random_state=0).fit(series, series[:, :, 0] > 0)
    result = tag_marginals(model, series[0])
    assert result.tokens is None
    assert str(result).splitlines()[5].startswith("5  ")
    assert result.plot().ax_.get_xlabel() == "step"
    with pytest.raises(ValueError, match="text must be one series"):
        tag_marginals(model, series)


def test_attributes_and_texts():
    elements = [[{"word": word} for word in words] for words in X]
    result = tag_marginals(CRFTagger().fit(elements, Y), elements[0])
    assert (result.tokens, result.labels) == (None, Y[0])
    columns = [[(word, "x") for word in words] for words in X]
    assert tag_marginals(CRFTagger().fit(columns, Y), columns[0]).tokens == X[0]
    texts, spans = ["Rome fell.", "in Rome"] * 5, [[(0, 4, "LOC")], [(3, 7, "LOC")]] * 5
    model = RNNTagger(input="text", hidden_size=8, max_iter=20, learning_rate_init=0.02, random_state=0)
    result = tag_marginals(model.fit(texts, spans), "Rome fell.")
    assert result.tokens == ["Rome", "fell", "."]
    assert result.labels == ["B-LOC", "O", "O"]
    assert result.probabilities.shape == (3, len(model.classes_))


def test_what_is_refused():
    with pytest.raises(TypeError, match="model must be a CRFTagger or an RNNTagger, got RNNClassifier"):
        tag_marginals(RNNClassifier(), ["a"])
    series = np.random.default_rng(0).standard_normal((4, 6, 2))
    several = RNNTagger(input="series", hidden_size=4, max_iter=1, random_state=0).fit(series, (series > 0).astype(int))
    for inspect in (tag_marginals, functools.partial(explain, place=0)):
        with pytest.raises(ValueError, match="model must predict one label for each element"):
            inspect(several, series[0])
