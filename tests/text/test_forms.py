"""Forms of words: words of a table of vectors, characters and shapes."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.text import Vocabulary
from fastrnn.text.forms import CodePoints, shapes, with_zeros, word_ids
from tests.reference_forms import reference_shape


def words(forms, known):
    vocabulary = Vocabulary.from_tokens(known)
    return vocabulary.decode(word_ids(forms, vocabulary))


def test_the_form_itself_is_preferred_to_its_lower_case():
    assert words(["US", "us", "Us"], ["us", "US"]) == ["US", "us", "us"]


@pytest.mark.parametrize(("known", "expected"), [
    ("19:30", "19:30"), ("00:00", "00:00"), ("##:##", "##:##"), ("<number>", "<number>"), ("other", "<unk>"),
])  # fmt: skip
def test_numbers_are_found_as_the_vectors_have_them(known, expected):
    assert words(["19:30"], [known]) == [expected]


def test_the_words_of_vectors_of_tweets_stand_for_forms():
    forms = ["@Someone", "#Tag", "HTTP://t.co/x", "www.x.org", "-1,000.5", "@", "#", ".", "4th", "-"]
    expected = ["<user>", "<hashtag>", "<url>", "<url>", "<number>", *["<unk>"] * 5]
    assert words(forms, ["<user>", "<hashtag>", "<url>", "<number>"]) == expected
    assert words(["@someone"], ["@someone", "<user>"]) == ["@someone"]


def test_special_tokens_are_unknown_words():
    assert words(["<s>", "</S>", "<pad>", "<unk>"], []) == ["<unk>"] * 4


def test_rare_learned_words_have_one_digit():
    assert with_zeros("X-24") == "X-00"
    assert words(["X-57", "x-57"], ["X-00", "x-00"]) == ["X-00", "x-00"]


@given(st.lists(st.text(max_size=12), max_size=6))
def test_shapes_are_those_of_each_form_alone(forms):
    assert shapes(CodePoints.of(forms)) == [reference_shape(form) for form in forms]


@given(st.lists(st.text(max_size=9), max_size=5))
def test_characters_are_cut_in_the_middle(forms):
    values, offsets = CodePoints.of(forms).cut(4)
    cut = ["".join(map(chr, values[a:b])) for a, b in itertools.pairwise(offsets)]
    assert cut == [form if len(form) <= 4 else form[:2] + form[-2:] for form in forms]
    assert values.dtype == np.uint32
