"""Tests of `fastrnn.text.tokenizers`."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.text.tokenizers import get_tokenizer


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \n\t", []),
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("I don't, O’Hara’s o'clock", ["I", "don't", ",", "O’Hara’s", "o'clock"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("3.14, 1,000.50 and 10:30.", ["3.14", ",", "1,000.50", "and", "10:30", "."]),
        ("end.Next 5.x", ["end", ".", "Next", "5", ".", "x"]),
        ("well-known -- a - b", ["well-known", "--", "a", "-", "b"]),
        ("wait... no!!", ["wait", "...", "no", "!", "!"]),
        ("the <unk> word", ["the", "<unk>", "word"]),
        ("“Où?” naïve Ωμέγα война", ["“", "Où", "?", "”", "naïve", "Ωμέγα", "война"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया", "।"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("snake_case f(x)", ["snake_case", "f", "(", "x", ")"]),
    ],
)
def test_words(text, tokens):
    assert get_tokenizer("words").split(text) == tokens


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world! It's 10:30 (almost)...",
        "“Well,” he said, ‘yes’; and/or no?",
        'He said "yes" and "no".',
        "It costs $5.50 [net] — 50% off.",
        "well-known -- a - b",
    ],
)
def test_words_are_joined_as_they_stood(text):
    words = get_tokenizer("words")
    assert words.join(words.split(text)) == text


@given(st.text())
def test_chars_and_whitespace_come_back(text):
    chars, whitespace = get_tokenizer("chars"), get_tokenizer("whitespace")
    assert chars.join(chars.split(text)) == text
    assert whitespace.split(text) == re.findall(r"\S+", text, re.ASCII)
    assert whitespace.join(whitespace.split(text)) == " ".join(whitespace.split(text))


@pytest.mark.parametrize(
    ("text", "place"), [("", 0), ("a ", 2), ("a b", 2), ("a 10\xa00", 2), ("a\xa0", 0), (" \t", 2), ("a b\f", 4)]
)
def test_where_a_word_begins_among_white_space(text, place):
    assert get_tokenizer("whitespace").word_begun(text) == place


@given(st.text())
def test_words_lose_only_spaces(text):
    assert "".join(get_tokenizer("words").split(text)) == "".join(text.split())


def test_callable_tokenizer():
    tokenizer = get_tokenizer(lambda text: text.split("-"))
    assert tokenizer.split("a-b") == ["a", "b"]
    assert tokenizer.join(["a", "b"]) == "a b"


@pytest.mark.parametrize("tokenizer", ["word", None, 3])
def test_unknown_tokenizer(tokenizer):
    with pytest.raises(
        ValueError, match=r"tokenizer must be 'words', .*'bytes', a callable or a tokenizers\.Tokenizer, got"
    ):
        get_tokenizer(tokenizer)


@given(st.text())
def test_bytes_come_back(text):
    words = get_tokenizer("bytes")
    tokens = words.split(text)
    assert [ord(token) for token in tokens] == list(text.encode())
    assert words.join(tokens) == text


def test_half_a_character_is_marked():
    words = get_tokenizer("bytes")
    assert words.join(words.split("aä")[:-1]) == "a\ufffd"
    assert words.join(["<unk>"]) == "<unk>"
