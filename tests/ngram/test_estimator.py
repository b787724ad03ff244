"""Tests of `fastrnn.ngram`."""

import gzip
import math
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from fastrnn.ngram import NGramLanguageModel
from fastrnn.ngram.smoothing import SMOOTHINGS
from fastrnn.text import Vocabulary
from tests.ngram_texts import FALLBACK, SENTENCES, TEST_SENTENCES, fit
from tests.reference_ngram import ReferenceKneserNey


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@given(train=SENTENCES, contexts=TEST_SENTENCES, order=st.integers(1, 5), min_count=st.integers(1, 2))
def test_distributions(smoothing, train, contexts, order, min_count):
    model = fit(NGramLanguageModel(order, smoothing=smoothing, min_count=min_count), train)
    probabilities = model.predict_proba(contexts)
    assert probabilities.shape == (len(contexts), len(model.vocabulary_))
    assert (probabilities >= 0).all()
    assert not probabilities[:, [model.vocabulary_.pad_id, model.vocabulary_.start_id]].any()
    best = [model.vocabulary_.tokens[row.argmax()] if row.any() else "</s>" for row in probabilities]
    assert model.predict(contexts).tolist() == best
    for context, row in zip(contexts, probabilities, strict=True):
        for token in model.vocabulary_.tokens[4:]:
            log_prob = model.token_log_probs([[*context, token]])[0][-2]
            expected = row[model.vocabulary_.encode([token])[0]]
            assert math.exp(log_prob) == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@given(pieces=st.lists(SENTENCES, min_size=1, max_size=3), test=TEST_SENTENCES, data=st.data())
def test_partial_fit_is_fit_to_all(smoothing, pieces, test, data):
    model = NGramLanguageModel(3, smoothing=smoothing)
    model.set_params(**data.draw(st.sampled_from([{}, {"min_count": 2}, {"max_vocab": 6}])))
    if data.draw(st.booleans()):
        model.set_params(vocabulary=Vocabulary.from_tokens(["a", "c"]))
    whole = fit(clone(model), [sentence for piece in pieces for sentence in piece])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", FALLBACK)
        for piece in pieces:
            assert model.partial_fit(piece) is model
    assert model.vocabulary_ == whole.vocabulary_
    assert model.n_ngrams_ == whole.n_ngrams_
    np.testing.assert_array_equal(model.score_samples(test), whole.score_samples(test))


def test_fit_forgets():
    model = NGramLanguageModel(2, smoothing="add_k").fit(["a b"]).fit(["c"])
    assert model.vocabulary_.tokens[4:] == ["c"]
    assert model.partial_fit(["d"]).vocabulary_.tokens[4:] == ["c", "d"]


@given(train=SENTENCES, test=TEST_SENTENCES, seed=st.integers(0, 100))
def test_order_of_sentences_is_irrelevant(train, test, seed):
    model = fit(NGramLanguageModel(3), train)
    order = np.random.default_rng(seed).permutation(len(test))
    shuffled = [test[i] for i in order]
    np.testing.assert_array_equal(model.score_samples(shuffled), model.score_samples(test)[order])
    np.testing.assert_array_equal(model.predict_proba(shuffled), model.predict_proba(test)[order])


def test_given_vocabulary():
    vocabulary = Vocabulary.from_tokens(["c", "b", "never"])
    model = NGramLanguageModel(2, smoothing="mle", vocabulary=vocabulary).fit(["a b", "b c b"])
    assert model.vocabulary_ == vocabulary
    assert model.n_ngrams_ == [6, 6]
    np.testing.assert_allclose(model.predict_proba([""])[0], [0, 0.5, 0, 0, 0, 0.5, 0])
    vocabulary.fit([["more", "words", "than", "before"]])
    assert model.vocabulary_.tokens[4:] == ["c", "b", "never"]


def test_mle_by_hand():
    model = NGramLanguageModel(2, smoothing="mle").fit(["a b", "a c", "a b b"])
    assert model.vocabulary_.tokens == ["<pad>", "<unk>", "<s>", "</s>", "a", "b", "c"]
    np.testing.assert_allclose(
        model.predict_proba(["", "a", "a b", "zzz"]),
        [[0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 2 / 3, 1 / 3], [0, 0, 0, 2 / 3, 0, 1 / 3, 0], [0] * 7],
        rtol=1e-7,
    )
    np.testing.assert_allclose(model.score_samples(["a b"]), [math.log(4 / 9)], rtol=1e-6)
    assert model.score_samples(["b"]).tolist() == [-math.inf]
    assert model.perplexity(["a b", "c"]) == math.inf


def test_perplexity_counts_unknown_words():
    model = fit(NGramLanguageModel(2), ["a b", "a c", "a b b"])
    perplexity = model.perplexity(["a zzz", ""])
    log_probs = model.token_log_probs(["a zzz", ""])
    assert (perplexity.n_tokens, perplexity.n_oov) == (4, 1)
    assert perplexity == pytest.approx(math.exp(-np.concatenate(log_probs).mean()))
    assert perplexity.without_oov == pytest.approx(math.exp(-np.delete(np.concatenate(log_probs), 1).mean()))
    assert model.score(["a zzz", ""]) == pytest.approx(-math.log(perplexity))


@pytest.mark.parametrize("X", [[""], [[]], ["one"], ["", "", "a"]])
@pytest.mark.parametrize("order", [1, 2, 16])
def test_tiny_texts(X, order):
    model = fit(NGramLanguageModel(order), X)
    np.testing.assert_allclose(model.predict_proba(["", "one", "a a a"]).sum(axis=1), 1, atol=1e-6)
    assert len(model.n_ngrams_) == order
    assert np.isfinite(model.score(["one a", ""]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"order": 0}, "order must be an integer from 1 to 16, got 0"),
        ({"order": 17}, "order must be an integer from 1 to 16, got 17"),
        ({"order": 2.0}, "order must be an integer from 1 to 16, got 2.0"),
        ({"smoothing": ["mle"]}, "smoothing must be one of"),
        (
            {"smoothing": "kn"},
            "smoothing must be one of 'modified_kneser_ney', .*, 'mle', got 'kn': did you mean 'kneser_ney'",
        ),
        ({"k": 0}, "k must be a number above 0, got 0"),
        ({"k": math.nan}, "k must be a number above 0, got nan"),
        ({"min_count": 0}, "min_count must be an integer of at least 1, got 0"),
        ({"max_vocab": 4}, "max_vocab must be None or an integer of at least 5, got 4"),
        ({"tokenizer": "word"}, "tokenizer must be 'words'"),
        ({"vocabulary": ["a"]}, r"vocabulary must be None or a fitted Vocabulary, got \['a'\]"),
        ({"vocabulary": Vocabulary()}, "vocabulary is empty"),
    ],
)
def test_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        NGramLanguageModel(**parameters).fit(["a b"])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("a b", "Iterable over raw text documents expected, string object received"),
        ([], "X is empty: a language model needs at least one sentence"),
        (["a", 3], r"X\[1\] must be a string or a list of tokens, got 3"),
        (["a", ["</s>"]], r"X\[1\] contains the token '</s>', which is reserved"),
    ],
)
def test_failed_fit_changes_nothing(X, message):
    model = NGramLanguageModel(2, smoothing="add_k").fit(["a b", "b"])
    before = model.score_samples(["a b", "c"])
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(X)
    np.testing.assert_array_equal(model.score_samples(["a b", "c"]), before)
    assert model.vocabulary_.tokens[4:] == ["a", "b"]


def test_unfitted():
    model = NGramLanguageModel()
    for method in (model.score, model.predict_proba, model.predict, model.perplexity, model.save):
        with pytest.raises(NotFittedError):
            method(["a"])
    with pytest.raises(NotFittedError):
        model.sample()
    with pytest.raises(NotFittedError):
        _ = model.nbytes_


def test_sample_of_a_deterministic_text():
    model = NGramLanguageModel(3, smoothing="mle").fit(["Hello, world!"])
    assert model.sample(2, random_state=0) == ["Hello, world!"] * 2
    assert model.sample(prompt="Hello,", random_state=0) == ["Hello, world!"]
    assert model.sample(prompt=["Hello", ","], max_length=1, random_state=0) == ["Hello, world"]
    assert model.sample(prompt="Bye", random_state=0) == ["Bye"]


def test_sample_follows_the_model():
    model = fit(NGramLanguageModel(2, tokenizer="chars"), ["ab", "abab", "b", "ba"])
    texts = model.sample(20000, max_length=1, random_state=0)
    expected = model.predict_proba([""])[0]
    expected[model.vocabulary_.unk_id] = 0
    expected /= expected.sum()
    for i, text in [(3, ""), (4, "a"), (5, "b")]:
        assert texts.count(text) / 20000 == pytest.approx(expected[i], abs=0.015)
    assert texts == model.sample(20000, max_length=1, random_state=0)
    # The second token depends on the first.
    after_a = [text[1:] for text in model.sample(20000, max_length=2, prompt="", random_state=1) if text[:1] == "a"]
    expected = model.predict_proba(["a"])[0]
    assert after_a.count("b") / len(after_a) == pytest.approx(expected[5] / (1 - expected[1]), abs=0.02)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"order": 1},
        {"smoothing": "add_k", "k": np.float32(0.5), "order": np.int64(2)},
        {"smoothing": "mle", "min_count": 2},
        {"vocabulary": Vocabulary.from_tokens(["a", "c"])},
        {"max_vocab": 6, "lowercase": True, "tokenizer": "chars"},
    ],
)
def test_save_and_load(tmp_path, parameters):
    train, test = ["a b c", "b c a B", "a"], ["a b", "c c z", ""]
    model = fit(NGramLanguageModel(**parameters), train)
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = NGramLanguageModel.load(path)
    assert loaded.get_params() == model.get_params()
    assert loaded.vocabulary_ == model.vocabulary_
    assert loaded.n_ngrams_ == model.n_ngrams_
    assert loaded.nbytes_ == model.nbytes_
    np.testing.assert_array_equal(loaded.discounts_, model.discounts_)
    np.testing.assert_array_equal(loaded.score_samples(test), model.score_samples(test))
    np.testing.assert_array_equal(loaded.predict_proba(test), model.predict_proba(test))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", FALLBACK)
        model.partial_fit(test)
        loaded.partial_fit(test)
    assert loaded.vocabulary_ == model.vocabulary_
    np.testing.assert_array_equal(loaded.score_samples(test), model.score_samples(test))


def test_unknown_words_of_the_training_text_are_learned():
    model = NGramLanguageModel(2, smoothing="mle", min_count=2).fit(["a b a", "<unk> a"])
    assert model.vocabulary_.tokens[4:] == ["a"]
    np.testing.assert_allclose(model.predict_proba(["", "a"])[:, 1], [1 / 2, 1 / 3], rtol=1e-6)
    assert model.perplexity(["<unk> a new a"]).n_oov == 2


def test_at_home_in_sklearn():
    lines = ["a b c", "b c a", "c b", "a c c b"] * 5
    model = NGramLanguageModel(smoothing="add_k", vocabulary=Vocabulary.from_tokens(["a", "b"]))
    search = GridSearchCV(model, {"k": [0.01, 100.0], "order": [1, 2]}, cv=2).fit(lines)
    assert search.best_params_ == {"k": 0.01, "order": 2}
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.score_samples(lines), search.best_estimator_.score_samples(lines))


def test_nbytes_grows_with_the_order():
    sizes = [fit(NGramLanguageModel(order), ["a b c d e"] * 2).nbytes_ for order in (1, 2, 3)]
    assert 0 < sizes[0] < sizes[1] < sizes[2]


# ----- KenLM's results on real text ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kenlm_dir(reference_dir):
    return reference_dir / "kenlm"


@pytest.fixture(scope="module")
def war_and_peace(data_dir):
    return {
        name: (data_dir / "warandpeace" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        for name in ("train", "valid", "test")
    }


@pytest.fixture(scope="module")
def tinyshakespeare(data_dir):
    """Lines of characters as lmplz was given them: training and validation text."""
    text = (data_dir / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    parts = [text[:1003854].removesuffix("\n"), text[1003854:]]
    return [[["_SP_" if c == " " else c for c in line] for line in part.split("\n")] for part in parts]


def reference_rows(kenlm_dir, model):
    """Yield order, pruning, perplexities and numbers of n-grams of the models in KenLM's summary."""
    lines = (kenlm_dir / "summary.tsv").read_text().splitlines()
    for row in (line.split("\t") for line in lines[1:]):
        if row[0] == model:
            prune = None if row[2] == "none" else tuple(map(int, row[2].split()))
            yield int(row[1]), prune, row[6], row[7], [int(entry.split("=")[1]) for entry in row[8].split()]


def reference_discounts(kenlm_dir, name, order):
    lines = (kenlm_dir / f"{name}-discounts.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line.startswith(f"order{order} ")]
    return [[float(value.split("=")[1]) for value in row[3:]] for row in rows]


def test_war_and_peace_as_kenlm(war_and_peace, kenlm_dir):
    orders = []
    for order, prune, valid, test, n_ngrams in reference_rows(kenlm_dir, "warandpeace"):
        model = NGramLanguageModel(order, tokenizer="whitespace", prune=prune).fit(war_and_peace["train"])
        assert model.n_ngrams_ == n_ngrams
        assert model.perplexity(war_and_peace["valid"]) == pytest.approx(float(valid), rel=1e-6)
        assert model.perplexity(war_and_peace["test"]) == pytest.approx(float(test), rel=1e-6)
        if order > 2:
            expected = reference_discounts(kenlm_dir, "warandpeace", order)
            np.testing.assert_allclose(model.discounts_, expected, rtol=1e-5)
        orders.append((order, prune is not None))
    assert orders == [(2, False)] + [(order, pruned) for order in (3, 4, 5, 6) for pruned in (False, True)]


def test_tinyshakespeare_as_kenlm(tinyshakespeare, kenlm_dir):
    train, valid = tinyshakespeare
    orders = []
    for order, _, valid_perplexity, _, n_ngrams in reference_rows(kenlm_dir, "tinyshakespeare-char"):
        model = NGramLanguageModel(order).fit(train)
        assert model.n_ngrams_ == n_ngrams
        assert model.perplexity(valid) == pytest.approx(float(valid_perplexity), rel=1e-6)
        expected = reference_discounts(kenlm_dir, "tinyshakespeare-char", order)
        np.testing.assert_allclose(model.discounts_, expected, rtol=1e-5)
        orders.append(order)
    assert orders == [3, 5, 6]


def read_arpa(path):
    """Yield the tokens, the log10 probability and the log10 backoff (0 without one) of every n-gram."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            if "\t" in line:  # no heading
                log_prob, tokens, *backoff = line.rstrip("\n").split("\t")
                yield tokens.split(" "), float(log_prob), float(backoff[0]) if backoff else 0.0


def assert_has_ngrams(model, expected):
    """Check that a model has these n-grams with their values, and no others."""
    expected = {tuple(tokens): values for tokens, *values in expected}
    tokens_of = np.array(model.vocabulary_.tokens)
    n_ngrams = 0
    for ids, log_probs, log_backoffs in model._table.levels():
        keys = [tuple(tokens) for tokens in tokens_of[ids].tolist()]
        n_ngrams += len(keys)
        probs, backoffs = np.array([expected[key] for key in keys]).T
        predicted = np.array([key != ("<s>",) for key in keys])
        np.testing.assert_allclose(log_probs[predicted], probs[predicted], rtol=0, atol=2e-6)
        if log_backoffs is not None:
            np.testing.assert_allclose(log_backoffs, backoffs, rtol=0, atol=2e-6)
    assert n_ngrams == len(expected)


@pytest.mark.parametrize(
    ("corpus", "arpa", "order", "prune"),
    [
        ("war_and_peace", "warandpeace-3gram", 3, None),
        ("war_and_peace", "warandpeace-3gram-prune001", 3, (0, 0, 1)),
        ("tinyshakespeare", "tinyshakespeare-char-5gram", 5, None),
    ],
)
def test_every_ngram_as_kenlm(corpus, arpa, order, prune, request, kenlm_dir):
    texts = request.getfixturevalue(corpus)
    train = texts["train"] if corpus == "war_and_peace" else texts[0]
    model = NGramLanguageModel(order, tokenizer="whitespace", prune=prune).fit(train)
    assert_has_ngrams(model, read_arpa(kenlm_dir / f"{arpa}.arpa.gz"))


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@given(train=SENTENCES, test=TEST_SENTENCES, order=st.integers(1, 4))
def test_token_by_token(smoothing, train, test, order):
    model = fit(NGramLanguageModel(order, smoothing=smoothing), train)
    start = model.initial_state()
    for sentence, expected in zip(test, model.token_log_probs(test), strict=True):
        state, log_probs = start, []
        for token in [*sentence, "</s>"]:
            log_prob, state = model.advance(state, token)
            log_probs.append(log_prob)
        np.testing.assert_array_equal(log_probs, expected)


@given(train=SENTENCES, test=TEST_SENTENCES, order=st.integers(1, 5))
def test_matched_order_against_reference(train, test, order):
    model = fit(NGramLanguageModel(order), train)
    reference = ReferenceKneserNey(train, model.vocabulary_.tokens[4:], order)
    for sentence, orders in zip(test, model.matched_order(test), strict=True):
        tokens = [*map(reference.normal, ["<s>", *sentence, "</s>"])]
        for i, matched in enumerate(orders.tolist(), start=1):
            ends_here = [tuple(tokens[i + 1 - k : i + 1]) for k in range(2, min(order, i + 1) + 1)]
            assert matched == max((len(n) for n in ends_here if n in reference.raw[len(n)]), default=1)


def test_advance_refuses_what_nothing_predicts():
    model = fit(NGramLanguageModel(2), ["a b"])
    for token in ("<s>", "<pad>", 5):
        with pytest.raises(ValueError, match="token must be a string other than '<pad>' and '<s>', got"):
            model.advance(model.initial_state(), token)
