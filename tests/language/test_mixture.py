"""Tests of `fastrnn.language.mixture` and `fastrnn.language.cache`."""

import collections
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastrnn import CacheLanguageModel, InterpolatedLanguageModel, NGramLanguageModel, RNNLanguageModel
from fastrnn.language.mixture import _maximize
from fastrnn.text import Vocabulary

TRAIN = ["a b c a b", "b c a", "c c a b", "a b a b"] * 5
HELD_OUT = ["a b c", "c b z a", ""]
TEST = ["a a c b", "", "z b c"]
SENTENCES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "z"]), max_size=9), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def parts():
    """Return an n-gram model, a cache and a network, fitted, with one vocabulary."""
    bigrams = NGramLanguageModel(2, smoothing="add_k", k=0.1).fit(TRAIN)
    shared = {"vocabulary": bigrams.vocabulary_}
    network = RNNLanguageModel(
        cell="gru", embedding_size=4, hidden_size=5, max_iter=2, early_stopping=False, random_state=0, **shared
    )
    return [bigrams, CacheLanguageModel(5, **shared).fit(), network.fit(TRAIN)]


@pytest.fixture(scope="module")
def model(parts):
    return InterpolatedLanguageModel(parts, weights=[0.5, 0.2, 0.3]).fit()


# ----- the cache ----------------------------------------------------------------------------------------------------


@given(sentences=SENTENCES, window=st.integers(1, 8), carry_state=st.booleans())
def test_cache_by_counting(sentences, window, carry_state):
    cache = CacheLanguageModel(window, carry_state, vocabulary=Vocabulary.from_tokens(["a", "b", "c"])).fit()
    history = []
    for sentence, log_probs in zip(sentences, cache.token_log_probs(sentences), strict=True):
        if not carry_state:
            history = []
        for token, log_prob in zip([*sentence, "</s>"], log_probs, strict=True):
            token = token if token in {"a", "b", "c", "</s>"} else "<unk>"
            recent = collections.Counter(history[-window:])
            expected = recent[token] / recent.total() if recent else 1 / 5
            assert math.exp(log_prob) == pytest.approx(expected, abs=1e-12)
            history.append(token)


def test_cache_distributions():
    cache = CacheLanguageModel(3).fit(["a b c"])
    #                             <pad> <unk> <s> </s> a b c
    uniform = [0, 1 / 5, 0, 1 / 5, 1 / 5, 1 / 5, 1 / 5]
    after = [0, 1 / 3, 0, 0, 0, 2 / 3, 0]
    np.testing.assert_allclose(cache.predict_proba(["", "a a b z b"]), [uniform, after])
    assert cache.nbytes_ == 0
    assert cache.sample(prompt="b", max_length=4, random_state=0) == ["b b b b b"]


def test_the_vocabulary_of_a_cache():
    assert CacheLanguageModel().fit(["a"]).partial_fit(["b", "a c"]).vocabulary_.tokens[4:] == ["a", "b", "c"]
    vocabulary = Vocabulary.from_tokens(["a", "b"])
    assert CacheLanguageModel(vocabulary=vocabulary).partial_fit(["c"]).vocabulary_ == vocabulary
    with pytest.raises(ValueError, match="window must be an integer of at least 1, got 0"):
        CacheLanguageModel(window=0).fit(["a"])
    with pytest.raises(ValueError, match=r"X must be an iterable of strings .* got None"):
        CacheLanguageModel().fit()


# ----- interpolation ------------------------------------------------------------------------------------------------


def test_probabilities_are_weighted_means(model, parts):
    expected = sum(w * part.predict_proba(TEST) for w, part in zip([0.5, 0.2, 0.3], parts, strict=True))
    np.testing.assert_allclose(model.predict_proba(TEST), expected, rtol=1e-12)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)
    by_part = [np.exp(np.concatenate(part.token_log_probs(TEST))) for part in parts]
    log_probs = np.log(0.5 * by_part[0] + 0.2 * by_part[1] + 0.3 * by_part[2])
    np.testing.assert_allclose(np.concatenate(model.token_log_probs(TEST)), log_probs, rtol=1e-12)
    assert model.score_samples(TEST).sum() == pytest.approx(log_probs.sum())
    assert model.score(TEST) == pytest.approx(log_probs.mean())
    perplexity = model.perplexity(TEST)
    assert perplexity == pytest.approx(math.exp(-log_probs.mean()))
    assert (perplexity.n_tokens, perplexity.n_oov) == (10, 1)
    best = model.predict_proba(TEST).argmax(axis=1)
    assert model.predict(TEST).tolist() == [model.vocabulary_.tokens[i] for i in best]


def test_a_single_model_is_left_as_it_is(parts):
    for part in parts:
        alone = InterpolatedLanguageModel([part]).fit(HELD_OUT)
        assert alone.weights_.tolist() == [1]
        np.testing.assert_allclose(alone.score_samples(TEST), part.score_samples(TEST), rtol=1e-9)


def test_em_finds_the_best_weights():
    probabilities = np.random.default_rng(0).dirichlet([1, 2, 3], 50)
    weights, n_iter = _maximize(probabilities, 10000, 1e-13)
    assert n_iter < 10000
    assert weights.sum() == pytest.approx(1)
    # Where a mixture is most probable, the gradient is 1 for every component in it (Karush, Kuhn, Tucker), at most 1
    # for the others.
    gradient = (probabilities / (probabilities @ weights)[:, None]).mean(axis=0)
    np.testing.assert_allclose(gradient[weights > 1e-3], 1, atol=1e-4)
    assert (gradient < 1 + 1e-4).all()


def test_fitted_weights(parts):
    model = InterpolatedLanguageModel(parts).fit(HELD_OUT)
    assert model.weights_.sum() == pytest.approx(1)
    assert 1 <= model.n_iter_ <= 100
    best = model.score(HELD_OUT)
    assert best >= max(part.score(HELD_OUT) for part in parts)
    for change in np.random.default_rng(0).dirichlet([1, 1, 1], 20):
        other = InterpolatedLanguageModel(parts, weights=0.9 * model.weights_ + 0.1 * change).fit()
        assert other.score(HELD_OUT) <= best + 1e-6


def test_tokens_that_no_model_knows_say_nothing(parts):
    letters = NGramLanguageModel(1, smoothing="mle", vocabulary=parts[0].vocabulary_)
    models = [letters.fit(["a"]), clone(letters).fit(["b"])]
    model = InterpolatedLanguageModel(models).fit(["a a a b c"])
    # 3 tokens for the first, 1 for the second, </s> for both alike.
    np.testing.assert_allclose(model.weights_, [0.75, 0.25], atol=1e-3)
    letters = NGramLanguageModel(2, smoothing="mle", vocabulary=parts[0].vocabulary_).fit(["c"])
    with pytest.raises(ValueError, match="X says nothing about the weights"):
        InterpolatedLanguageModel([letters]).fit(["a"])


def test_partial_fit_adds_what_a_text_says(parts):
    model = InterpolatedLanguageModel(parts).fit(HELD_OUT)
    before, n_tokens = model.weights_, 10
    joint = np.exp([np.concatenate(part.token_log_probs(TEST)) for part in parts]).T * before
    expected = before * n_tokens + (joint / joint.sum(axis=1, keepdims=True)).sum(axis=0)
    model.partial_fit(TEST)
    np.testing.assert_allclose(model.weights_, expected / expected.sum())
    first = InterpolatedLanguageModel(parts).partial_fit(HELD_OUT)
    np.testing.assert_array_equal(first.weights_, before)
    given_weights = InterpolatedLanguageModel(parts, weights=[1, 0, 0]).fit().partial_fit(TEST)
    assert given_weights.weights_.tolist() == [1, 0, 0]


def test_sampling(model):
    texts = model.sample(5, max_length=6, random_state=0)
    assert texts == model.sample(5, max_length=6, random_state=0)
    assert set(" ".join(texts).split()) <= set("abc")
    assert model.sample(prompt="a b", top_k=1, max_length=1)[0].startswith("a b")


def test_incremental_state_gives_the_same_scores(model, parts):
    for one in (*parts, model, InterpolatedLanguageModel([model, parts[0]], weights=[0.5, 0.5]).fit()):
        expected = one.token_log_probs(TEST)
        state = one.initial_state()
        for sentence, log_probs in zip(TEST, expected, strict=True):
            for token, log_prob in zip([*sentence.split(), "</s>"], log_probs, strict=True):
                before = state
                actual, state = one.advance(before, token)
                assert actual == pytest.approx(log_prob, rel=1e-5, abs=1e-6)
                assert one.advance(before, token)[0] == actual  # `before` was not changed
        for token in ("<s>", "<pad>", 3):
            with pytest.raises(ValueError, match="token must be a string other than '<pad>' and '<s>', got"):
                one.advance(state, token)


def test_incremental_state_starts_anew_where_none_is_carried(parts):
    network = clone(parts[2]).set_params(carry_state=False).fit(TRAIN)
    cache = CacheLanguageModel(5, carry_state=False, vocabulary=network.vocabulary_).fit()
    for one in (network, cache):
        first, state = one.advance(one.initial_state(), "a")
        _, state = one.advance(state, "</s>")
        assert one.advance(state, "a")[0] == first


def test_unfitted(parts):
    model = InterpolatedLanguageModel(parts)
    for method in (model.score, model.predict_proba, model.sample, model.save):
        with pytest.raises(NotFittedError):
            method(["a"])
    with pytest.raises(NotFittedError):
        model.initial_state()
    with pytest.raises(NotFittedError, match=r"models\[1\] is not fitted: fit this NGramLanguageModel first"):
        InterpolatedLanguageModel([parts[0], NGramLanguageModel()]).fit(HELD_OUT)


def test_clones_share_the_fitted_models(model):
    copy = clone(model)
    assert not hasattr(copy, "weights_")
    np.testing.assert_array_equal(copy.fit().score_samples(TEST), model.score_samples(TEST))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"models": []}, r"models must be a list of fitted language models, got \[\]"),
        ({"models": [3]}, r"models\[0\] must be a language model, got 3"),
        ({"weights": "uniform"}, "weights must be 'em' or 3 numbers, one a model, .* got 'uniform'"),
        ({"weights": [0.5, 0.5]}, r"weights must be 'em' or 3 numbers, .* got \[0.5, 0.5\]"),
        ({"weights": [0.5, 0.6, -0.1]}, "of at least 0 and together 1, got"),
        ({"weights": [0.5, 0.6, 0.1]}, r"got \[0.5, 0.6, 0.1\], together 1.2"),
        ({"weights": [0.5, math.nan, 0.5]}, "of at least 0 and together 1, got"),
        ({"max_iter": 0}, "max_iter must be an integer of at least 1, got 0"),
    ],
)
def test_parameters(parts, parameters, message):
    model = InterpolatedLanguageModel(parts).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(HELD_OUT)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("ab", r"models\[1\] has another vocabulary than models\[0\]: 'c' is only in models\[0\]\. Fit all"),
        ("abcde", r"'d', 'e' are only in models\[1\]"),
        ("abvwxyz", r"'c' is only in models\[0\] and 'v', 'w', 'x' and 2 more are only in models\[1\]"),
        ("acb", r"the same tokens in another order, first 'c' where 'b' has the id 5"),
    ],
)
def test_vocabularies_must_be_the_same(parts, tokens, message):
    other = CacheLanguageModel(vocabulary=Vocabulary.from_tokens(list(tokens))).fit()
    with pytest.raises(ValueError, match=message):
        InterpolatedLanguageModel([parts[0], other]).fit(HELD_OUT)


def test_parts_that_were_fitted_anew_are_refused():
    bigrams = NGramLanguageModel(2, smoothing="add_k").fit(TRAIN)
    model = InterpolatedLanguageModel([bigrams], weights=[1.0]).fit()
    bigrams.fit(["z"])  # with fewer tokens
    for use in (model.predict, model.score_samples, lambda X: model.sample(prompt=X[0])):
        with pytest.raises(ValueError, match=r"models\[0\] has another vocabulary than at fit: fit all"):
            use(["a b c"])
    assert model.fit().predict(["z"]).tolist() == bigrams.predict(["z"]).tolist()
    model.models = [bigrams, bigrams]
    with pytest.raises(ValueError, match="models are 2, but there were 1 at fit"):
        model.predict(["z"])


def test_text_must_be_read_alike(parts):
    other = CacheLanguageModel(normalize="NFC", vocabulary=parts[0].vocabulary_).fit()
    with pytest.raises(ValueError, match=r"models\[1\] has normalize='NFC', but models\[0\] has normalize=None"):
        InterpolatedLanguageModel([parts[0], other]).fit(HELD_OUT)
    other = CacheLanguageModel(tokenizer="chars", vocabulary=parts[0].vocabulary_).fit()
    with pytest.raises(ValueError, match=r"models\[1\] has tokenizer='chars', but models\[0\] has tokenizer='words'"):
        InterpolatedLanguageModel([parts[0], other]).fit(HELD_OUT)


def test_a_text_is_needed_for_em(parts):
    with pytest.raises(ValueError, match="X is None: to find the weights takes a held-out text"):
        InterpolatedLanguageModel(parts).fit()
    with pytest.raises(ValueError, match="X is empty"):
        InterpolatedLanguageModel(parts).fit([])


@pytest.mark.parametrize("weights", ["em", np.array([0.5, 0.25, 0.25])])
def test_save_and_load(parts, weights, tmp_path):
    model = InterpolatedLanguageModel(parts, weights=weights).fit(HELD_OUT)
    nested = InterpolatedLanguageModel([model, parts[0]]).fit(HELD_OUT)
    for saved in (model, nested):
        saved.save(tmp_path / "model")
        loaded = InterpolatedLanguageModel.load(tmp_path / "model")
        assert [type(part) for part in loaded.models] == [type(part) for part in saved.models]
        assert loaded.vocabulary_ == saved.vocabulary_
        assert loaded.nbytes_ == saved.nbytes_
        assert loaded.n_iter_ == saved.n_iter_
        np.testing.assert_array_equal(loaded.score_samples(TEST), saved.score_samples(TEST))
        np.testing.assert_array_equal(loaded.predict_proba(TEST), saved.predict_proba(TEST))
        np.testing.assert_array_equal(
            loaded.partial_fit(TEST).weights_, clone(saved).fit(HELD_OUT).partial_fit(TEST).weights_
        )
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_save_refuses_a_part_that_is_no_plain_value(parts, tmp_path):
    cache = CacheLanguageModel(tokenizer=str.split, vocabulary=parts[0].vocabulary_).fit()
    with pytest.raises(ValueError, match=r"tokenizer=.* cannot be stored in a file"):
        InterpolatedLanguageModel([cache], weights=[1]).fit().save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
