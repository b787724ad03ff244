import numpy as np
import pytest

from fastrnn import InterpolatedLanguageModel, NeuralCacheLanguageModel, NGramLanguageModel
from fastrnn.inspection import MinimalPairsDisplay, minimal_pairs
from tests.fakes import TwoRows

GOOD = ["the key to the cabinets is here", "the keys to the cabinet are there", "a key is lost", "a lock is here", ""]
BAD = ["the key to the cabinets are here", "the keys to the cabinet is there", "is a key lost", "a bolt is here", ""]
GROUPS = ["number", "number", "order", "unknown", "nothing"]


def test_by_hand():
    model = TwoRows().fit(["a"])  # first a .5 b .3 c .05, then a .1 b .1 c .4 and the end .3
    good, bad = ["a", "a b", "b", "a z", "c"], ["b", "a a", "a c", "z a", "a"]
    result = minimal_pairs(model, good, bad, [1, 1, 2, 2, 2])
    first = np.log([0.5 * 0.3, 0.5 * 0.1 * 0.3, 0.3 * 0.3, 0.5 * 0.1 * 0.3, 0.05 * 0.3])
    second = np.log([0.3 * 0.3, 0.5 * 0.1 * 0.3, 0.5 * 0.4 * 0.3, 0.1 * 0.1 * 0.3, 0.5 * 0.3])
    np.testing.assert_allclose(result.good_scores, first)
    np.testing.assert_allclose(result.bad_scores, second)
    assert (result.accuracy, result.n_pairs, result.n_ties, result.n_excluded) == (3 / 5, 5, 1, 0)
    assert result.groups == ("1", "2")
    assert result.group_accuracies.tolist() == [1 / 2, 2 / 3]
    assert result.group_counts.tolist() == [2, 3]
    assert result.group_ties.tolist() == [1, 0]
    known = minimal_pairs(model, good, bad, [1, 1, 2, 2, 2], oov="exclude")
    assert (known.accuracy, known.n_pairs, known.n_ties, known.n_excluded) == (2 / 4, 4, 1, 1)
    assert known.group_accuracies.tolist() == [1 / 2, 1 / 2]


RNN = pytest.mark.parametrize("model", ["rnn"], indirect=True)


@RNN
def test_every_sentence_stands_alone(model):
    """Also for models that go on from one sentence to the next."""
    ngrams = NGramLanguageModel(2, smoothing="add_k", vocabulary=model.vocabulary_).fit(GOOD)
    cached = NeuralCacheLanguageModel(model, 20, 1.0, 0.5)
    for judge in (model, cached, InterpolatedLanguageModel([ngrams, model, cached], [0.2, 0.5, 0.3]).fit()):
        result = minimal_pairs(judge, GOOD, BAD, GROUPS)
        expected = [judge.score_samples([sentence])[0] for sentence in GOOD]
        np.testing.assert_allclose(result.good_scores, expected, atol=1e-4)
        back = minimal_pairs(judge, GOOD[::-1], BAD[::-1])
        np.testing.assert_allclose(back.good_scores[::-1], result.good_scores, atol=1e-4)
    assert not np.allclose(model.score_samples(GOOD), expected, atol=1e-2)
    assert result.group_ties.tolist() == [0, 0, 1, 1]
    assert result.groups == ("number", "order", "unknown", "nothing")


@RNN
def test_no_pair_is_left(model):
    result = minimal_pairs(model, ["qqq"], ["zzz"], ["x"], oov="exclude")
    assert np.isnan(result.accuracy)
    assert np.isnan(result.group_accuracies).all()
    assert np.isnan(minimal_pairs(model, [], []).accuracy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], []), "good and bad must be as many sentences, got 1 and 0"),
        ((["a"], ["b"], ["x", "y"]), "groups must be 1, one a pair, got 2"),
        ((["a"], ["b"], None, "ignore"), "oov must be 'include' or 'exclude', got 'ignore'"),
        (("a", "b"), "Iterable over raw text documents expected"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        minimal_pairs(TwoRows().fit(["a"]), *arguments)


def test_chart(pyplot):
    model = TwoRows().fit(["a"])
    display = MinimalPairsDisplay.from_estimator(model, ["a", "b"], ["b", "a"], ["x", "$y"], name="two rows")
    assert display.line_.get_xydata().tolist() == [[1, 0], [0, 1]]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["x", "$y"]
    again = MinimalPairsDisplay.from_estimator(model, ["a"], ["b"], ["x"], ax=display.ax_, color="red")
    assert again.ax_ is display.ax_
    assert again.line_.get_color() == "red"
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["two rows: 50.0% of 2", "TwoRows: 100.0% of 1"]
