"""Tests of `fastrnn.text.word_table`."""

import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.ngram import NGramLanguageModel
from fastrnn.text.tokenization import tokenize_corpus
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.text.word_table import WordTable, encode_texts, find_word

WORDS = ["a", "b", "ab", "ß", "日本", "é", "e\u0301", "\U0001f600", "\ud800", "Σ", "ς"]
PIECES = [*WORDS, "A", "Ab", "z", "<unk>", " ", "\n", "\x1c", "\x85", "\xa0", "\u2003", "\u3000", "\u200b"]


def both_ways(texts, vocabulary, lowercase):
    expected = vocabulary.encode_corpus(tokenize_corpus(texts, "whitespace", lowercase))
    return zip(encode_texts(texts, vocabulary, lowercase), expected, strict=True)


@given(texts=st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), max_size=6), lowercase=st.booleans())
def test_texts_are_encoded_as_by_the_tokenizer(texts, lowercase):
    vocabulary = Vocabulary.from_tokens(WORDS)
    for actual, expected in both_ways([*texts, "long enough to be worth it"], vocabulary, lowercase):
        np.testing.assert_array_equal(actual, expected)
        assert actual.dtype == expected.dtype


def test_only_white_space_of_ascii_separates():
    texts = [f"a{chr(code)}b" for code in range(1, sys.maxunicode + 1)]
    vocabulary = Vocabulary.from_tokens(["a", "b"])
    for actual, expected in both_ways(texts, vocabulary, False):
        np.testing.assert_array_equal(actual, expected)
    _, offsets = encode_texts(texts, vocabulary)
    assert [chr(code + 1) for code in np.flatnonzero(np.diff(offsets) == 2)] == list("\t\n\v\f\r ")


LEFT = ["a b", ["a"] * 9 + [["b"]], iter(["a"] * 9), ["a\0b"] * 9, ["a </s>"] * 9, ["<pad>"] * 9, ["a"], []]


@pytest.mark.parametrize("texts", LEFT)
def test_what_is_left_to_the_tokenizer(texts):
    assert encode_texts(texts, Vocabulary.from_tokens(["a", "b"])) is None


def test_the_table_follows_the_vocabulary():
    vocabulary, texts = Vocabulary.from_tokens(["a"]), ["a b a b a b"]
    assert encode_texts(texts, vocabulary)[0].tolist() == [4, 1] * 3
    assert vocabulary.word_table() is vocabulary.word_table()
    vocabulary.fit([["b"]])
    assert encode_texts(texts, vocabulary)[0].tolist() == [1, 4] * 3


@given(st.lists(st.binary(max_size=3), unique=True, max_size=300))
def test_every_word_is_found(words):
    table = WordTable.of(words)
    text = np.frombuffer(b"".join(words) + b"never", np.uint8)
    ends = np.cumsum([len(word) for word in words])
    found = [find_word(table, text, end - len(word), end) for word, end in zip(words, ends, strict=True)]
    assert found == list(range(len(words)))
    assert find_word(table, text, len(text) - 5, len(text)) == -1


def test_models_read_the_same_either_way():
    model = NGramLanguageModel(2, "witten_bell", tokenizer="whitespace").fit(["a b", "c\u3000d a"])
    for X in (["a b", "", "a\xa0b c"], ["a b", "z z z z"], ["c\nd e f g"], [["a", "b"], "b a b a b"], ["ü a a a a"]):
        token_lists = [text if isinstance(text, list) else re.findall(r"\S+", text, re.ASCII) for text in X]
        np.testing.assert_array_equal(model.score_samples(X), model.score_samples(token_lists))
    with pytest.raises(ValueError, match=r"X\[1\] contains the token '</s>'"):
        model.score_samples(["a a a a", "b </s>"])
    with pytest.raises(ValueError, match=r"X\[1\] must be a string"):
        model.score_samples(["a a a a", 5])
    assert model.fit(["b"]).perplexity(["a b a b a b"]).n_oov == 3
