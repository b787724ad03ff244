"""Tests of `fastrnn.language.neural_cache`."""

import math

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastrnn import (
    CacheLanguageModel,
    InterpolatedLanguageModel,
    NeuralCacheLanguageModel,
    NGramLanguageModel,
    RNNLanguageModel,
)

LINES = ["she sells sea shells", "we sell red apples by the sea", "he buys green pears", "red shells"] * 5
TEST = ["red pears", "", "she sells sea shells by unknown sea", "red"]


@pytest.fixture(scope="module", params=[True, False], ids=["running text", "sentences"])
def network(request):
    options = {"carry_state": request.param, "max_iter": 3, "early_stopping": False, "random_state": 0}
    return RNNLanguageModel("rnn", 6, 7, learning_rate_init=0.02, **options).fit(LINES)


def slow_log_probs(network, sentences, size, theta, weight, carry_state):
    """Return the log probabilities of the tokens of sentences, one after the other, by the definition."""
    vocabulary, result, cache = network.vocabulary_, [], []
    state = network.initial_state()
    for sentence in sentences:
        if not carry_state:
            cache = []
        for token in [*vocabulary.encode(sentence.split()).tolist(), 3]:
            h = state[0][0].astype(float)
            p = network._next_probabilities(state)[0][token]
            if cache:
                factors = [math.exp(theta * (h @ key)) for key, _ in cache]
                recalled = sum(f for f, (_, value) in zip(factors, cache, strict=True) if value == token) / sum(factors)
                p = (1 - weight) * p + weight * recalled
            result.append(math.log(p))
            cache = [*cache, (h, token)][-size:]
            state = network._advance(state, np.array([token], np.int32))
        state = network._next_sentence(state)
    return result


@pytest.mark.parametrize("carry_state", [True, False])
@pytest.mark.parametrize(("size", "theta", "weight"), [(4, 0.8, 0.3), (1000, 2.0, 0.9), (1, 0.0, 0.5)])
def test_log_probabilities_by_the_definition(network, carry_state, size, theta, weight, monkeypatch):
    monkeypatch.setattr("fastrnn.language.neural_cache._STEPS", 5)
    monkeypatch.setattr("fastrnn.language.neural_cache._SENTENCES", 3)
    model = NeuralCacheLanguageModel(network, size, theta, weight, carry_state)
    expected = slow_log_probs(network, TEST, size, theta, weight, carry_state)
    np.testing.assert_allclose(np.concatenate(model.token_log_probs(TEST)), expected, atol=1e-5)
    assert model.perplexity(TEST) == pytest.approx(math.exp(-np.mean(expected)), rel=1e-5)
    state, log_probs = model.initial_state(), []
    for token in [token for sentence in TEST for token in [*sentence.split(), "</s>"]]:
        log_prob, state = model.advance(state, token)
        log_probs.append(log_prob)
    np.testing.assert_allclose(log_probs, expected, atol=1e-5)


def test_contexts(network, monkeypatch):
    monkeypatch.setattr("fastrnn.language.neural_cache._STEPS", 2)
    model = NeuralCacheLanguageModel(network, 3, 1.0, 0.4)
    proba = model.predict_proba(["", "red pears red pears red", "sea"])
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(proba[0], network.predict_proba([""])[0], atol=1e-7)
    state = model.initial_state()
    for token in "red pears red pears red".split():
        _, state = model.advance(state, token)
    np.testing.assert_allclose(proba[1], model._next_probabilities(state)[0], atol=1e-6)
    assert len(model.sample(3, max_length=5, random_state=0)) == 3


def test_a_sentence_by_itself_begins_with_an_empty_cache(network):
    model = NeuralCacheLanguageModel(network, 50, 1.0, 0.4)
    ids = model.vocabulary_.encode("red pears </s> red pears red </s>".split())
    alone = model._sentence_log_probs(ids, np.array([0, 3, 7]))
    np.testing.assert_allclose(alone[:3], network._sentence_log_probs(ids[:3], np.array([0, 3])), atol=0.6)
    first = NeuralCacheLanguageModel(network, 50, 1.0, 0.4).token_log_probs(["red pears"])[0]
    np.testing.assert_allclose(alone[:3], first, atol=1e-5)
    second = NeuralCacheLanguageModel(network, 50, 1.0, 0.4).token_log_probs(["red pears red"])[0]
    np.testing.assert_allclose(alone[3:], second, atol=1e-5)


@pytest.mark.parametrize("bos", [True, False])
def test_long_sentences_are_read_one_by_one(network, bos, monkeypatch):
    model = NeuralCacheLanguageModel(network, 9, 1.0, 0.4)
    texts = [*TEST, " ".join(LINES[:4])]
    expected = model.score_samples(texts, independent=True, bos=bos)
    monkeypatch.setattr("fastrnn.language.neural_cache._STEPS", 4)
    monkeypatch.setattr("fastrnn.language.neural_cache._SENTENCES", 3)
    actual = model.score_samples(texts, independent=True, bos=bos)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    alone = [model.score_samples([text], independent=True, bos=bos)[0] for text in texts]
    np.testing.assert_array_equal(actual, alone)
    assert model.score_samples([], independent=True, bos=bos).shape == model.score_samples([]).shape == (0,)


def test_mixtures_with_ngrams_and_caches(network, tmp_path):
    shared = {"vocabulary": network.vocabulary_}
    parts = [
        NGramLanguageModel(2, smoothing="add_k", k=0.1, **shared).fit(LINES),
        network,
        CacheLanguageModel(20, **shared).fit(),
        NeuralCacheLanguageModel(network, 20, theta=1.0, weight=1.0),
    ]
    model = InterpolatedLanguageModel(parts).fit(TEST)
    assert model.weights_.sum() == pytest.approx(1)
    assert model.score(TEST) >= max(part.score(TEST) for part in parts[:2]) - 1e-9
    model.save(tmp_path / "mixture")
    loaded = InterpolatedLanguageModel.load(tmp_path / "mixture")
    np.testing.assert_array_equal(loaded.score_samples(TEST), model.score_samples(TEST))
    assert len(model.sample(2, random_state=0)) == 2


def test_files_and_clones(network, tmp_path):
    model = NeuralCacheLanguageModel(network, 20, 0.7, 0.2)
    model.save(tmp_path / "model")
    loaded = NeuralCacheLanguageModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score_samples(TEST), model.score_samples(TEST))
    assert (loaded.size, loaded.theta, loaded.weight) == (20, 0.7, 0.2)
    assert loaded.nbytes_ == network.nbytes_
    assert clone(model).model is network
    assert model.fit(LINES) is model.partial_fit(LINES) is model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "lstm"}, "model must be a fitted RNNLanguageModel, got 'lstm'"),
        ({"size": 0}, "size must be an integer of at least 1, got 0"),
        ({"theta": -1}, "theta must be a number of at least 0, got -1"),
        ({"weight": 1.5}, "weight must be a number from 0 to 1, got 1.5"),
    ],
)
def test_bad_parameters(network, options, message):
    with pytest.raises(ValueError, match=message):
        NeuralCacheLanguageModel(**{"model": network, **options}).score(TEST)
    with pytest.raises(NotFittedError, match="model is not fitted: fit this RNNLanguageModel first"):
        NeuralCacheLanguageModel(RNNLanguageModel()).score(TEST)
