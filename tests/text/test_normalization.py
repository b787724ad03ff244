"""Tests of `fastrnn.text.normalization`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.text.normalization import NORMAL_FORMS, check_preprocessing, preprocess
from fastrnn.text.tokenization import tokenize_corpus

HALF, PAIR = "\ud83d", "\ud83d\ude00"  # the first half of an emoji; both halves


def test_two_surrogates_are_a_character_and_one_stays():
    assert preprocess(PAIR) == "😀"
    assert preprocess(f"A{HALF}", lowercase=True, normalize="NFC") == f"a{HALF}"
    assert tokenize_corpus([f"a {PAIR}{HALF}", ["a", PAIR, HALF]], "whitespace") == [
        ["a", f"😀{HALF}"], ["a", "😀", HALF]
    ]  # fmt: skip
    assert tokenize_corpus([f"{HALF}a"]) == [[HALF, "a"]]


def test_normal_forms():
    composed, decomposed = "\u00e9t\u00e9", "e\u0301te\u0301"
    assert preprocess(decomposed, normalize="NFC") == composed
    assert preprocess(composed, normalize="NFD") == decomposed
    assert preprocess("ﬁ\u2102", lowercase=True, normalize="NFKC") == "fic"
    assert tokenize_corpus([f"{decomposed} ...", [decomposed]], normalize="NFC") == [[composed, "..."], [composed]]
    for normalize in (None, *NORMAL_FORMS):
        check_preprocessing(normalize, "utf-8")
    with pytest.raises(ValueError, match=r"normalize must be one of None, 'NFC', .*, got 'nfc': did you mean 'NFC'\?"):
        check_preprocessing("nfc", "utf-8")
    with pytest.raises(ValueError, match="encoding must be the name of a text encoding, got 'latin-0'"):
        check_preprocessing(None, "latin-0")


@given(st.text(), st.sampled_from(NORMAL_FORMS), st.booleans())
def test_preprocessing_twice_changes_nothing(text, normalize, lowercase):
    once = preprocess(text, lowercase, normalize)
    assert preprocess(once, lowercase, normalize) == once
