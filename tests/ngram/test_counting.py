"""Tests of `fastrnn.ngram.counting`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.ngram import counting
from fastrnn.ngram.counting import count_ngrams, count_text
from fastrnn.ngram.workspace import Workspace
from fastrnn.text import START_ID, close_sentences
from tests.reference_ngram import ReferenceNGrams

SENTENCES = st.lists(st.lists(st.integers(4, 7), max_size=8), min_size=1, max_size=8)


def ngrams_of(counts):
    """Return the n-gram of every node as a tuple of words."""
    ngrams = [(int(word),) for word in counts.words[: counts.level_starts[1]]]
    for context in range(len(counts.lefts)):
        for node in range(counts.first_child[context], counts.first_child[context + 1]):
            assert node == len(ngrams)
            ngrams.append((*ngrams[context], int(counts.words[node])))
    assert len(ngrams) == len(counts.words)
    return ngrams


@given(sentences=SENTENCES, order=st.integers(1, 6))
def test_counts_against_reference(sentences, order):
    offsets = np.cumsum([0, *map(len, sentences)])
    ids = np.array([word for sentence in sentences for word in sentence], dtype=np.int32)
    text, _ = close_sentences(ids, offsets, start=True)
    counts = count_ngrams(text, order, n_words=9)

    names = ["<pad>", "<unk>", "<s>", "</s>", *"abcde"]
    reference = ReferenceNGrams([[names[word] for word in sentence] for sentence in sentences], names[4:], order)
    ngrams = ngrams_of(counts)
    assert len(set(ngrams)) == len(ngrams)
    for k in range(1, order + 1):
        level = range(counts.level_starts[k - 1], counts.level_starts[k])
        expected = reference.raw[k]
        actual = {tuple(names[word] for word in ngrams[node]): counts.raw[node] for node in level}
        assert {ngram: count for ngram, count in actual.items() if count} == expected
        assert [ngrams[node] for node in level] == sorted(ngrams[node] for node in level)
    for node, ngram in enumerate(ngrams):
        assert counts.suffixes[node] == (ngrams.index(ngram[1:]) if len(ngram) > 1 else -1)
    for node, n_lefts in enumerate(counts.lefts):
        assert n_lefts == len({longer[0] for longer in ngrams if longer[1:] == ngrams[node]})
        assert n_lefts == 0 or ngrams[node][0] != START_ID


@given(sentences=SENTENCES, order=st.integers(1, 6), size=st.integers(1, 20), n_jobs=st.integers(1, 3))
def test_runs_are_merged(sentences, order, size, n_jobs):
    offsets = np.cumsum([0, *map(len, sentences)])
    ids = np.array([word for sentence in sentences for word in sentence], dtype=np.int32)
    text, _ = close_sentences(ids, offsets, start=True)
    expected = count_ngrams(text, order, n_words=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_TOKENS_PER_CHUNK", size)
        patch.setattr(counting, "_MERGED_AT_ONCE", size)
        actual = count_text(text, np.arange(9, dtype=np.int32), order, 9, Workspace(n_jobs=n_jobs))
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)
