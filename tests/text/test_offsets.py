import itertools
import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.text import get_tokenizer
from fastrnn.text.offsets import CutTexts

TEXT = "Ann Lee-Roy met naïve EU-men in  New York (N.Y.)…"


@pytest.mark.parametrize("tokenizer", ["words", "whitespace", "chars"])
@given(text=st.text(max_size=30))
def test_tokens_stand_at_their_places(tokenizer, text):
    cut = CutTexts.of([text], tokenizer)
    tokens, offsets = cut[0], cut.offsets[0]
    assert [text[begin:end] for begin, end in offsets] == tokens
    assert re.sub(r"\s", "", text) == re.sub(r"\s", "", "".join(tokens))
    assert offsets == sorted(offsets)


def test_bytes_stand_at_their_characters():
    assert get_tokenizer("bytes").offsets("aé€", get_tokenizer("bytes").split("aé€")) == [
        (0, 1),
        *[(1, 2)] * 2,
        *[(2, 3)] * 3,
    ]
    cut = CutTexts.of(["aé€"], "bytes")
    assert cut.spans(cut.tags([[(1, 3, "X")]])) == [[(1, 3, "X")]]


def test_subwords_stand_at_their_places():
    from fastrnn.text import train_subwords

    tokenizer = train_subwords([TEXT] * 3, vocab_size=300)
    cut = CutTexts.of([TEXT], tokenizer)
    assert "".join(TEXT[begin:end] for begin, end in cut.offsets[0]).replace(" ", "").count("naïve") >= 1
    assert len(cut.offsets[0]) == len(cut[0])


@pytest.mark.parametrize("tokenizer", ["words", "whitespace", "chars"])
@given(places=st.lists(st.integers(0, 9), max_size=8, unique=True).map(sorted))
def test_spans_of_whole_tokens_come_back(tokenizer, places):
    cut = CutTexts.of([TEXT], tokenizer)
    begins, ends = zip(*cut.offsets[0], strict=True)
    pairs = [pair for pair in itertools.pairwise(places) if pair[1] <= len(begins)]
    spans = [(begins[first], ends[behind - 1], f"X-{first % 2}") for first, behind in pairs]
    assert cut.spans(cut.tags([spans[::-1]])) == [spans]


@pytest.mark.parametrize(
    ("span", "moved"),
    [
        ((5, 7, "PER"), (4, 11, "PER")),  # a part of "Lee-Roy"
        ((0, 6, "PER"), (0, 11, "PER")),
        ((33, 41, "LOC"), (33, 41, "LOC")),
        ((32, 42, "LOC"), (33, 41, "LOC")),  # with the spaces around
        ((32, 33, "LOC"), None),  # a space alone
    ],
)
def test_spans_are_moved_to_tokens(span, moved):
    cut = CutTexts.of([TEXT])
    if span == moved:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert cut.spans(cut.tags([[span]])) == [[span]]
        return
    with pytest.warns(UserWarning, match=r"1 of 1 spans do not begin and end with tokens, .* of y\[0\]"):
        tags = cut.tags([[span]])
    assert cut.spans(tags) == [[moved] if moved else []]


def test_a_token_belongs_to_the_first_of_two_spans():
    cut = CutTexts.of(["New-York"])
    with pytest.warns(UserWarning, match="2 of 2 spans"):
        assert cut.tags([[(4, 8, "B"), (0, 3, "A")]]) == [["B-A"]]


def test_spans_that_touch():
    cut = CutTexts.of(["ab"], "chars")
    assert cut.tags([[[1, 2, "X"], (0, 1, "X")]]) == [["B-X", "B-X"]]
    assert cut.spans([["B-X", "B-X"]]) == [[(0, 1, "X"), (1, 2, "X")]]


def test_empty_texts():
    cut = CutTexts.of(["", " \n"])
    assert (list(cut), cut.tags([[], []]), cut.spans([[], []])) == ([[], []], [[], []], [[], []])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([], "X and y must have the same number of texts, got 1 and 0"),
        ("ab", "y must be a list of spans for each text, got 'ab'"),
        ([["B-X"]], r"y\[0\]\[0\] must be a span \(begin, end, label\), got 'B-X'"),
        ([3], r"y\[0\] must be a list of spans \(begin, end, label\), got 3"),
        ([[(0, 4, "X")]], r"y\[0\]\[0\] must be a span within 3 characters, got \(0, 4, 'X'\)"),
        ([[(1, 1, "X")]], r"y\[0\]\[0\] must be a span within"),
        ([[(0.0, 1, "X")]], r"y\[0\]\[0\] must be a span within"),
        ([[(0, 1, "")]], r"y\[0\]\[0\] must be a span \(begin"),
        ([[(0, 2, "X"), (1, 3, "Y")]], r"y\[0\] has spans that overlap, .*: \(0, 2, 'X'\) and \(1, 3, 'Y'\)"),
    ],
)
def test_messages(y, message):
    with pytest.raises(ValueError, match=message):
        CutTexts.of(["abc"]).tags(y)


def test_what_is_no_text():
    with pytest.raises(ValueError, match=r"X\[1\] must be a string with input='text', got \['a'\]"):
        CutTexts.of(["a", ["a"]])
    with pytest.raises(ValueError, match=r"tokenizer must return parts .*: 'b' is not in the rest of X\[0\]"):
        CutTexts.of(["A b"], lambda text: ["b", "b"])


def test_a_tokenizer_of_the_user():
    cut = CutTexts.of(["one;two"], lambda text: text.split(";"))
    assert cut.offsets == [[(0, 3), (4, 7)]]
