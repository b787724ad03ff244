"""Tests of `fastrnn.ngram.scoring`: pieces and threads change nothing (what it computes: tests of table and model)."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.ngram import NGramLanguageModel
from fastrnn.ngram.scoring import make_slots, score_texts

WORDS = ["a", "b", "c"]
TRAIN = [list(words) for n in range(4) for words in itertools.product(WORDS, repeat=n)][::3]
MODELS = {order: NGramLanguageModel(order, smoothing="witten_bell").fit(TRAIN) for order in (1, 2, 4)}
TEXTS = st.lists(st.lists(st.sampled_from([1, 3, 4, 5, 6]), max_size=9), min_size=1, max_size=6)


def score(model, texts, n_slots):
    """Return log probabilities, orders and the contexts at the end, of texts of ids that are not closed."""
    ids, offsets = np.array(list(itertools.chain.from_iterable(texts)), np.int32), np.cumsum([0, *map(len, texts)])
    contexts, slots = model._start_contexts(len(texts)), make_slots(len(ids), len(texts))[:, :n_slots].copy()
    log_probs, orders = np.empty(len(ids)), np.empty(len(ids), np.uint8)
    score_texts(model._table, ids, offsets, 0, len(texts), contexts, slots, log_probs, orders)
    return log_probs, orders, contexts


@pytest.mark.parametrize("order", MODELS)
@given(texts=TEXTS, n_slots=st.integers(2, 20))
def test_pieces(order, texts, n_slots):
    for whole, actual in zip(score(MODELS[order], texts, None), score(MODELS[order], texts, n_slots), strict=True):
        np.testing.assert_array_equal(actual, whole)


@pytest.mark.parametrize("order", MODELS)
@given(texts=TEXTS)
def test_text_by_text(order, texts):
    parts = [score(MODELS[order], [text], None) for text in texts]
    for whole, actual in zip(score(MODELS[order], texts, None), zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(actual), whole)


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
def test_threads(monkeypatch, n_jobs):
    monkeypatch.setattr("fastrnn.ngram.inference._TOKENS_PER_THREAD", 1)
    texts = [["a", "b"] * n for n in (0, 30, 1, 2, 0, 5)]
    expected = np.concatenate([MODELS[4].score_samples([text]) for text in texts])
    model = NGramLanguageModel(4, smoothing="witten_bell", n_jobs=n_jobs).fit(TRAIN)
    np.testing.assert_array_equal(model.score_samples(texts), expected)
    assert model.predict(texts).shape == (6,)
