"""Tests of `fastrnn.ngram.smoothing` and of pruning: models against slow references."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from fastrnn.ngram import NGramLanguageModel
from fastrnn.ngram.smoothing import SMOOTHINGS
from tests.ngram_texts import SENTENCES, TEST_SENTENCES, assert_same_log_probs, fit, zipf_text
from tests.reference_ngram import (
    ReferenceAbsolute,
    ReferenceAdditive,
    ReferenceJelinekMercer,
    ReferenceKatz,
    ReferenceKneserNey,
    ReferenceOneDiscount,
    ReferencePrunedByEntropy,
    ReferenceStupidBackoff,
    ReferenceWittenBell,
)

REFERENCES = {
    "modified_kneser_ney": ReferenceKneserNey,
    "kneser_ney": ReferenceOneDiscount,
    "absolute_discount": ReferenceAbsolute,
    "witten_bell": ReferenceWittenBell,
    "jelinek_mercer": ReferenceJelinekMercer,
    "katz": ReferenceKatz,
}
PRUNE = st.lists(st.integers(0, 2), max_size=3).map(lambda thresholds: (0, *sorted(thresholds)))


def words_of(model):
    return model.vocabulary_.tokens[4:]


@pytest.mark.parametrize("smoothing", REFERENCES)
@given(train=SENTENCES, test=TEST_SENTENCES, order=st.integers(1, 5), prune=PRUNE, vocab_pad=st.integers(0, 12))
def test_against_reference(smoothing, train, test, order, prune, vocab_pad):
    prune = prune[:order]
    model = fit(NGramLanguageModel(order, smoothing, prune=prune, vocab_pad=vocab_pad), train)
    reference = REFERENCES[smoothing](train, words_of(model), order, prune=prune, vocab_pad=vocab_pad)
    assert_same_log_probs(model, reference, test)
    kept = [sum(map(reference.is_kept, ngrams)) for ngrams in reference.raw[2:]]
    assert model.n_ngrams_ == [len(model.vocabulary_) - 1, *kept]


@pytest.mark.parametrize("smoothing", REFERENCES)
@pytest.mark.parametrize(
    ("order", "min_count", "prune"), [(1, 1, None), (2, 1, None), (3, 1, (0, 0, 1)), (4, 1, None), (2, 2, (0, 1))]
)
def test_against_reference_on_text_like_real_one(smoothing, order, min_count, prune):
    train, test = zipf_text(0, 250, 300), zipf_text(1, 10, 400)
    model = fit(NGramLanguageModel(order, smoothing, min_count=min_count, prune=prune), train)
    reference = REFERENCES[smoothing](train, words_of(model), order, prune=prune or (0,))
    assert_same_log_probs(model, reference, test)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_discounts_against_reference(order):
    train = zipf_text(0, 2000, 1000)
    model = fit(NGramLanguageModel(order), train)
    reference = ReferenceKneserNey(train, words_of(model), order)
    assert any(discounts != [0.5, 1.0, 1.5] for discounts in reference.discounts[1:])
    np.testing.assert_allclose(model.discounts_, reference.discounts[1:], rtol=1e-12)


@pytest.mark.parametrize("order", [2, 3])
def test_good_turing_against_reference(order):
    train = zipf_text(0, 2000, 1000)
    model = fit(NGramLanguageModel(order, "katz"), train)
    reference = ReferenceKatz(train, words_of(model), order)
    assert reference.factors[order][0] != 0.5
    np.testing.assert_allclose(model.discounts_, reference.factors[1:], rtol=1e-12)


def test_weights_against_reference():
    train = zipf_text(0, 250, 300)
    model = NGramLanguageModel(3, "jelinek_mercer").fit(train)
    reference = ReferenceJelinekMercer(train, words_of(model), 3)
    expected = [[reference.weights[k, bucket] for bucket in range(16)] for k in (1, 2, 3)]
    np.testing.assert_allclose(model.weights_, expected, rtol=0, atol=1e-6)
    assert 0 < model.weights_.min() < 0.4 < 0.6 < model.weights_.max() < 1


@given(train=SENTENCES, test=TEST_SENTENCES, order=st.integers(1, 5), k=st.floats(0.01, 3))
def test_add_k_against_reference(train, test, order, k):
    model = NGramLanguageModel(order, smoothing="add_k", k=k).fit(train)
    assert_same_log_probs(model, ReferenceAdditive(train, words_of(model), order, k), test)
    laplace = NGramLanguageModel(order, smoothing="laplace", k=k).fit(train)
    assert_same_log_probs(laplace, ReferenceAdditive(train, words_of(model), order, 1), test)


@given(train=SENTENCES, test=TEST_SENTENCES, order=st.integers(1, 5), min_count=st.integers(1, 2))
def test_mle_against_reference(train, test, order, min_count):
    model = NGramLanguageModel(order, smoothing="mle", min_count=min_count).fit(train)
    assert_same_log_probs(model, ReferenceAdditive(train, words_of(model), order, 0), test)


@given(train=SENTENCES, test=TEST_SENTENCES, order=st.integers(1, 5), min_count=st.integers(1, 2))
def test_stupid_backoff_against_reference(train, test, order, min_count):
    model = NGramLanguageModel(order, smoothing="stupid_backoff", min_count=min_count).fit(train)
    assert_same_log_probs(model, ReferenceStupidBackoff(train, words_of(model), order), test)


@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "witten_bell", "katz"])
@given(train=SENTENCES, test=TEST_SENTENCES, order=st.integers(1, 4), threshold=st.sampled_from([1e-4, 1e-2, 0.1, 1.0]))
def test_entropy_pruning_against_reference(smoothing, train, test, order, threshold):
    model = fit(NGramLanguageModel(order, smoothing, prune_entropy=threshold), train)
    full = REFERENCES[smoothing](train, words_of(model), order)
    reference = ReferencePrunedByEntropy(full, threshold)
    assert model.n_ngrams_[1:] == [len(ngrams) for ngrams in reference.kept[2:]]
    assert_same_log_probs(model, reference, test)
    np.testing.assert_allclose(model.predict_proba(test).sum(axis=1), 1, rtol=0, atol=1e-6)


def test_entropy_pruning_of_text_like_real_one():
    train, test = zipf_text(0, 250, 100), zipf_text(1, 10, 120)
    models = [fit(NGramLanguageModel(3, prune_entropy=threshold), train) for threshold in (0.0, 1e-7, 1e-5, 1e-4, 1e-3)]
    sizes = [sum(model.n_ngrams_) for model in models]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 2
    for model in models:
        np.testing.assert_allclose(model.predict_proba(test).sum(axis=1), 1, rtol=0, atol=1e-6)
    assert models[1].perplexity(train) == pytest.approx(models[0].perplexity(train), rel=1e-3)
    perplexities = [model.perplexity(train) for model in models]
    assert perplexities[-1] > 1.05 * perplexities[0]


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@given(train=SENTENCES, contexts=TEST_SENTENCES, order=st.sampled_from([1, 2, 3, 6, 16]), min_count=st.integers(1, 2))
def test_distributions_sum_to_one(smoothing, train, contexts, order, min_count):
    model = fit(NGramLanguageModel(order, smoothing, min_count=min_count), train)
    total = model.predict_proba(contexts).sum(axis=1)
    if smoothing == "mle":  # nothing is known after a context that was never seen
        total = total[total > 0]
    if smoothing == "stupid_backoff":
        assert (total >= 1 - 1e-6).all()
    else:
        np.testing.assert_allclose(total, 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("smoothing", [name for name in SMOOTHINGS if name not in ("mle", "stupid_backoff")])
@pytest.mark.parametrize("order", [2, 5])
def test_distributions_sum_to_one_on_text_like_real_one(smoothing, order):
    model = fit(NGramLanguageModel(order, smoothing), zipf_text(0, 2000, 500))
    total = model.predict_proba(zipf_text(1, 100, 600)).sum(axis=1)
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("smoothing", "message"),
    [
        ("modified_kneser_ney", "The Kneser-Ney discounts of order 1, 2, 3 .*; 0.5, 1 and 1.5 are used"),
        ("absolute_discount", "The discount of order 1, 2, 3 .*; 0.75 is used"),
        ("katz", "The Good-Turing discounts of order 1, 2, 3 .*; 0.5 is taken from each count up to 5"),
    ],
)
def test_fallback_names_the_orders(smoothing, message):
    train = ["a b c d"] * 3
    with pytest.warns(UserWarning, match=message):
        NGramLanguageModel(3, smoothing).fit(train)
    model = NGramLanguageModel(3, smoothing, discount_fallback=False)
    with pytest.raises(ValueError, match=r"of order 1, 2, 3 cannot be estimated.*; allow discount_fallback"):
        model.fit(train)
    with pytest.raises(NotFittedError):
        model.score(train)


def test_fallback_of_unigrams_alone_is_logged(caplog):
    rng = np.random.default_rng(0)
    train = ["".join(rng.choice(list("abcdefghij"), 30)) for _ in range(4)]  # as much as 4 bigrams of each kind
    with caplog.at_level(logging.INFO, "fastrnn"):
        model = NGramLanguageModel(2, tokenizer="chars").fit(train)
    assert model.discounts_[0].tolist() == [0.5, 1, 1.5]
    assert model.discounts_[1].tolist() != [0.5, 1, 1.5]
    assert "order 1 cannot be estimated" in caplog.text


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"prune": 1}, "prune must be None or at most 3 integers"),
        ({"prune": (1,)}, r"begin with 0 and do not descend, got \(1,\)"),
        ({"prune": (0, 2, 1)}, r"begin with 0 and do not descend, got \(0, 2, 1\)"),
        ({"prune": (0, 0, 0, 0)}, "prune must be None or at most 3 integers"),
        ({"prune": (0, 0.5)}, "prune must be None or at most 3 integers"),
        ({"prune": (0, 1), "smoothing": "mle"}, "prune is not defined for smoothing='mle'"),
        ({"prune_entropy": -1}, "prune_entropy must be a number of at least 0, got -1"),
        ({"prune_entropy": 1e-8, "smoothing": "stupid_backoff"}, "prune_entropy is not defined for smoothing='stupid"),
        ({"vocab_pad": -1}, "vocab_pad must be an integer of at least 0, got -1"),
    ],
)
def test_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        NGramLanguageModel(**{"order": 3, **parameters}).fit(["a b"])
