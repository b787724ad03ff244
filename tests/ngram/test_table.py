"""Tests of `fastrnn.ngram.table`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.ngram.scoring import make_slots, score_texts
from fastrnn.ngram.table import NGramTable

NGRAMS = st.sets(st.lists(st.integers(3, 9), min_size=1, max_size=5).map(tuple), min_size=1, max_size=30)


class ReferenceTable:
    """A backoff model in dictionaries: values of n-grams of words."""

    def __init__(self, probs, backoffs):
        self.probs, self.backoffs = probs, backoffs

    def log_prob(self, word, history):
        if (*history, word) in self.probs or not history:
            return self.probs.get((*history, word), -math.inf)
        return self.backoffs.get(history, 0.0) + self.log_prob(word, history[1:])


def random_model(ngrams, rng):
    """Return levels of n-grams in random order with random values, and the same as a `ReferenceTable`."""
    order = max(map(len, ngrams), default=1)
    probs, backoffs, levels = {}, {}, []
    for k in range(1, order + 1):
        rows = [ngram for ngram in ngrams if len(ngram) == k]
        rng.shuffle(rows)
        log_probs = rng.uniform(-6, 0, len(rows)).astype(np.float32)
        log_backoffs = rng.uniform(-1, 0.5, len(rows)).astype(np.float32)
        probs.update(zip(rows, log_probs.astype(float), strict=True))
        if k < order:
            backoffs.update(zip(rows, log_backoffs.astype(float), strict=True))
        ids = np.array(rows, np.int32).reshape(-1, k)
        levels.append((ids, log_probs, log_backoffs if k < order else None))
    return levels, ReferenceTable(probs, backoffs)


def log_probs_of(table, text):
    """Return log10 of the probabilities of all words of a text, read from an empty context."""
    log_probs, orders = np.empty(len(text)), np.empty(len(text), np.uint8)
    contexts = np.full((1, table.order - 1), -1, np.int32)
    slots = make_slots(len(text), 1)
    score_texts(table, np.array(text, np.int32), np.array([0, len(text)]), 0, 1, contexts, slots, log_probs, orders)
    return log_probs / math.log(10)


@given(ngrams=NGRAMS, text=st.lists(st.integers(3, 9), max_size=20), seed=st.integers(0))
def test_any_ngrams_against_reference(ngrams, text, seed):
    levels, reference = random_model(ngrams, np.random.default_rng(seed))
    table = NGramTable.from_ngrams(levels, n_words=10)
    expected = [
        reference.log_prob(word, tuple(text[max(0, end + 1 - table.order) : end])) for end, word in enumerate(text)
    ]
    np.testing.assert_allclose(log_probs_of(table, text), expected, rtol=0, atol=1e-5)


@given(ngrams=NGRAMS, seed=st.integers(0))
def test_ngrams_come_out_as_they_went_in(ngrams, seed):
    levels, reference = random_model(ngrams, np.random.default_rng(seed))
    table = NGramTable.from_ngrams(levels, n_words=10)
    seen = {}
    for k, (ids, log_probs, log_backoffs) in enumerate(table.levels(), start=1):
        assert ids.shape == (len(log_probs), k)
        assert ids.tolist() == sorted(ids.tolist())
        assert (log_backoffs is None) == (k == table.order)
        backoffs = [None] * len(ids) if log_backoffs is None else log_backoffs.tolist()
        seen.update(zip(map(tuple, ids.tolist()), zip(log_probs.tolist(), backoffs, strict=True), strict=True))
    for ngram, log_prob in reference.probs.items():
        assert seen[ngram] == (log_prob, reference.backoffs.get(ngram))
    added = {ngram for ngram in seen if ngram not in ngrams and len(ngram) > 1}
    for ngram in added:  # only what others need
        assert any(ngram in (longer[:-1], longer[1:]) for longer in seen)
    again = NGramTable.from_ngrams(list(table.levels()), n_words=10)
    for one, other in zip(table, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_wrong_ngrams():
    one = np.zeros(1)
    with pytest.raises(ValueError, match=r"The n-gram of the ids \[5, 6\] occurs twice"):
        NGramTable.from_ngrams([([[5], [6]], [-1, -1], [0, 0]), ([[5, 6], [6, 5], [5, 6]], [-1, -2, -3], None)], 8)
    with pytest.raises(ValueError, match=r"The n-gram of the ids \[5\] occurs twice"):
        NGramTable.from_ngrams([([[5], [5]], [-1, -1], None)], 8)
    with pytest.raises(ValueError, match="is NaN"):
        NGramTable.from_ngrams([([[5]], one * np.nan, None)], 8)


def test_many_words_and_many_children():
    """Ranks and places of children that do not fit into 16 bits."""
    n_words = 70_000
    words = np.arange(4, n_words)
    unigrams = words[:, np.newaxis], np.full(len(words), -5.0), None
    bigrams = np.stack([np.full(len(words), 5), words], axis=1)
    trigrams = np.concatenate([np.full((len(words), 1), 7), bigrams], axis=1)
    levels = [unigrams, (bigrams, -words / n_words, None), (trigrams, words / n_words - 1, None)]
    table = NGramTable.from_ngrams(levels, n_words)
    assert (table.ranks.dtype, table.child_offsets.dtype) == (np.uint32, np.uint32)
    text = [7, 5, 69_999, 5, 40_000, 12]
    expected = [-5, -5, 69_999 / n_words - 1, -5, -40_000 / n_words, -5]
    np.testing.assert_allclose(log_probs_of(table, text), expected, rtol=1e-6)
    assert sum(len(ids) for ids, *_ in table.levels()) == n_words - 1 + len(bigrams) + len(trigrams) + 1
