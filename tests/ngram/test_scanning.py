"""Tests of `fastrnn.ngram.scanning`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.ngram import NGramLanguageModel
from fastrnn.ngram.scanning import WordScanner
from fastrnn.text import Vocabulary, tokenize_corpus

WORDS = ["a", "b", "ab", "ba", "ä", "日本", "😀", "<unk>", "long" * 20]
VOCABULARY = Vocabulary.from_tokens([word for word in WORDS if word not in ("b", "<unk>")])
SPACES = [" ", "  ", "\t", "\r", "\x1c", "\x1f", "\x0b"]
WIDE_SPACES = [*"\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000", *map(chr, range(0x2000, 0x200B))]
NO_SPACES = [*"\x00\x1b!é\xad\u180e\u200b\u2060\ufeff\u3001\u2027\u2030"]


def expected(texts):
    return VOCABULARY.encode_corpus(tokenize_corpus(texts, "whitespace"))


@given(st.lists(st.lists(st.sampled_from(WORDS + SPACES + NO_SPACES)).map("".join), min_size=1))
def test_as_split_and_a_dictionary(texts):
    for actual, wanted in zip(WordScanner(VOCABULARY.tokens).encode(texts), expected(texts), strict=True):
        np.testing.assert_array_equal(actual, wanted)
        assert actual.dtype == wanted.dtype


@given(st.lists(st.text(), min_size=1))
def test_any_text(texts):
    encoded = WordScanner(VOCABULARY.tokens).encode(texts)
    if encoded is not None:
        for actual, wanted in zip(encoded, expected(texts), strict=True):
            np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize("text", [*WIDE_SPACES, "a\nb", "\n", "a </s> b", "<s>", "<pad>", "\ud800", ["a"], 5, None])
def test_what_is_left_to_python(text):
    scanner = WordScanner(VOCABULARY.tokens)
    assert scanner.encode(["a", text, "b"]) is None


def test_every_space_is_known():
    spaces = {chr(c) for c in range(0x110000) if chr(c).isspace()}
    assert spaces == {*SPACES, *WIDE_SPACES, *"\n\x0c\x1d\x1e"} - {"  "}


def test_models_read_the_same():
    model = NGramLanguageModel(2, "witten_bell", tokenizer="whitespace").fit(["a b", "c\u3000d a"])
    for X in (["a b", "", "a\xa0b c"], ["a b", "z"], ["c\nd"], [["a", "b"], "b"], ["ü a"]):
        token_lists = [text if isinstance(text, list) else text.split() for text in X]
        np.testing.assert_array_equal(model.score_samples(X), model.score_samples(token_lists))
    with pytest.raises(ValueError, match=r"X\[1\] contains the token '</s>'"):
        model.score_samples(["a", "b </s>"])
    with pytest.raises(ValueError, match=r"X\[1\] must be a string"):
        model.score_samples(["a", 5])
    again = model.fit(["b"])
    assert again.perplexity(["a b"]).n_oov == 1
