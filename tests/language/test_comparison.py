"""Language models side by side."""

import dataclasses
import math

import numba
import numpy as np
import pytest
from matplotlib.image import imread
from numba.core import event

from fastrnn import CacheLanguageModel, InterpolatedLanguageModel
from fastrnn.language.comparison import LanguageModelResult, compare_language_models, format_results, plot_results
from fastrnn.text import Vocabulary
from tests.fakes import NetworkModel, UnigramModel

TRAIN = ["a b a", "a c"]
VALID = ["a", "b"]
TEST = ["a b", "d a a"]
VOCABULARY = Vocabulary().fit([["a", "b", "c"]])


def test_results_are_measured_and_ordered():
    models = {
        "flat": UnigramModel(vocabulary=VOCABULARY, k=1e9),
        "counts": NetworkModel(vocabulary=VOCABULARY),
    }
    results = compare_language_models(models, TRAIN, VALID, TEST, sample_length=5, random_state=0)
    best, worst = results
    assert (best.model, best.kind, worst.model, worst.kind) == ("counts", "rnn", "flat", "ngram")
    assert (best.parameters, best.bytes) == (7, results.models["counts"].nbytes_)
    # Of 12 counts: a 3 + 1, b 1 + 1, c 1 + 1, </s> 2 + 1, <unk> 1. TEST is a b </s> <unk> a a </s>.
    probabilities = np.array([4, 2, 3, 1, 4, 4, 3]) / 12
    assert best.test_perplexity == pytest.approx(np.exp(-np.log(probabilities).mean()))
    assert best.valid_perplexity == pytest.approx(np.exp(-np.log(np.array([4, 3, 2, 3]) / 12).mean()))
    assert worst.test_perplexity == pytest.approx(5)
    assert best.fit_seconds > 0
    assert best.tokens_per_second > 0
    assert best.sample == results.models["counts"].sample(max_length=5, random_state=0)[0]


def test_only_models_that_take_it_see_the_validation_text():
    models = {"network": NetworkModel(vocabulary=VOCABULARY), "ngrams": UnigramModel(vocabulary=VOCABULARY)}
    results = compare_language_models(models, TRAIN, VALID, TEST)
    assert results.models["network"].validation_text_ == VALID


def test_the_models_that_are_given_stay_as_they_are():
    fitted = UnigramModel(vocabulary=VOCABULARY).fit(["c c c"])
    models = {"fitted": fitted, "new": UnigramModel(k=2.0, vocabulary=VOCABULARY)}
    before = fitted.predict_proba([""])
    results = compare_language_models(models, TRAIN, VALID, TEST)
    np.testing.assert_array_equal(fitted.predict_proba([""]), before)
    assert not hasattr(models["new"], "vocabulary_")
    assert list(results.models) == ["fitted", "new"]
    assert (results.models["new"].k, results.models["new"].vocabulary_) == (2.0, VOCABULARY)
    expected = UnigramModel(vocabulary=VOCABULARY).fit(TRAIN).predict_proba([""])
    np.testing.assert_array_equal(results.models["fitted"].predict_proba([""]), expected)


def test_texts_may_be_generators():
    models = {name: UnigramModel(vocabulary=VOCABULARY) for name in ("one", "two")}
    results = compare_language_models(models, *(iter(text) for text in (TRAIN, VALID, TEST)))
    expected = compare_language_models(models, TRAIN, VALID, TEST)
    assert [result.test_perplexity for result in results] == [result.test_perplexity for result in expected]


def test_models_that_are_made_of_others():
    ngrams = UnigramModel(vocabulary=VOCABULARY).fit(TRAIN)
    cache = CacheLanguageModel(window=3, vocabulary=VOCABULARY).fit()
    models = {"mixture": InterpolatedLanguageModel([ngrams, cache]), "cache": CacheLanguageModel(vocabulary=VOCABULARY)}
    results = {result.model: result for result in compare_language_models(models, TRAIN, VALID, TEST)}
    assert {name: result.kind for name, result in results.items()} == {"cache": "other", "mixture": "other"}
    assert (results["cache"].parameters, results["mixture"].parameters) == (0, sum(ngrams.n_ngrams_))


def test_models_must_have_names():
    with pytest.raises(ValueError, match=r"models must be a dict of names and language models, got \[UnigramModel"):
        compare_language_models([UnigramModel()], TRAIN, VALID, TEST)


def test_a_notebook_shows_a_table():
    results = compare_language_models({"<b>&": UnigramModel(vocabulary=VOCABULARY)}, TRAIN, VALID, TEST)
    shown = results._repr_html_()
    assert shown.count("<tr>") == 2
    assert "&lt;b&gt;&amp;</td>" in shown
    assert f"{results[0].test_perplexity:,.2f}</td>" in shown


@pytest.mark.parametrize("place", range(3))
def test_a_bare_string_is_refused(place):
    texts = [TRAIN, VALID, TEST]
    texts[place] = "a b"
    with pytest.raises(ValueError, match=f"{('train', 'valid', 'test')[place]} must be a list of strings"):
        compare_language_models({"model": UnigramModel()}, *texts)


def test_different_vocabularies_are_warned_of():
    models = {"one": UnigramModel(vocabulary=VOCABULARY), "other": UnigramModel(vocabulary=Vocabulary().fit([["a"]]))}
    with pytest.warns(UserWarning, match="different vocabularies"):
        compare_language_models(models, TRAIN, VALID, TEST)


def test_compilation_does_not_count_as_fitting():
    class CompilingModel(UnigramModel):
        def fit(self, X, y=None):
            numba.njit(slow_to_compile)(np.ones(3))
            return super().fit(X)

    def slow_to_compile(x):
        y = x + 1
        for _ in range(3):
            y = np.sqrt(y * y + x) / (y + 2) + np.sort(x)
        return y.sum()

    with event.install_timer("numba:compile", lambda seconds: None) as compiling:
        (result,) = compare_language_models({"model": CompilingModel(vocabulary=VOCABULARY)}, TRAIN, VALID, TEST)
    assert 0 <= result.fit_seconds < compiling.duration


RESULTS = [
    LanguageModelResult("LSTM", "rnn", 1_234_567, 4_938_268, 12.34, 9.0, 8.0, 98765.4, "x"),
    LanguageModelResult("3-gram", "ngram", 999, 999, 0.04, 1234.5, math.inf, 2e6, "y"),
]


def test_the_table_is_aligned():
    heading, *rows = format_results(RESULTS).split("\n")
    assert heading.split("  ")[0].strip() == "model"
    assert [len(row) for row in rows] == [len(heading)] * 2
    assert rows[0].split() == ["LSTM", "1,234,567", "4.94", "MB", "12.34", "9.00", "8.00", "98,765"]
    assert rows[1].split() == ["3-gram", "999", "999", "B", "0.04", "1,234.50", "inf", "2,000,000"]


def test_characters_have_bits_too():
    heading, row, _ = format_results(RESULTS, characters=True).split("\n")
    assert "valid bits/char  test bits/char" in heading
    assert row.split()[-3:] == ["3.170", "3.000", "98,765"]


@pytest.mark.parametrize("characters", [False, True])
def test_the_plot_shows_something(tmp_path, characters):
    results = [RESULTS[0], dataclasses.replace(RESULTS[0], model="$a_{$")]  # no formula
    plot_results(results, tmp_path / "plot.png", characters)
    picture = imread(tmp_path / "plot.png")
    assert min(picture.shape[:2]) > 300
    assert picture.std() > 0.01
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]
