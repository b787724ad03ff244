"""Texts for tests of n-gram models."""

import warnings

import numpy as np
from hypothesis import strategies as st

SENTENCES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", "<unk>"]), max_size=7), min_size=1, max_size=8)
TEST_SENTENCES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "z", "<unk>"]), max_size=7), min_size=1, max_size=4)
FALLBACK = "The (Kneser-Ney discounts|discount|Good-Turing discounts) of order"


def fit(model, X):
    """Fit without the warning that a small text gives."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", FALLBACK)
        return model.fit(X)


def zipf_text(seed, n_sentences, n_words):
    """Return random sentences whose words are frequent and rare as in real text."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, n_words + 1)
    lengths = rng.integers(0, 12, n_sentences)
    return [[f"w{i}" for i in rng.choice(n_words, length, p=weights / weights.sum())] for length in lengths]


def assert_same_log_probs(model, reference, sentences):
    """Check the log probabilities of all tokens."""
    log_probs = model.token_log_probs(sentences)
    assert len(log_probs) == len(sentences)
    for sentence, actual in zip(sentences, log_probs, strict=True):
        assert actual.dtype == np.float64
        np.testing.assert_allclose(actual, reference.log_probs(sentence), rtol=0, atol=2e-6)
