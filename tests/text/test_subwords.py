"""Tests of `fastrnn.text.subwords`."""

import json

import pytest

from fastrnn.text.subwords import same_tokenizer, tokenizer_from_plain, tokenizer_to_plain, train_subwords
from fastrnn.text.tokenizers import get_tokenizer

HALF, PAIR = "\ud83d", "\ud83d\ude00"  # the first half of an emoji; both halves


SUBWORD_LINES = ["the cats sat, and the cat's mat's here!", "les élèves étaient là", "catty mats"] * 5


@pytest.mark.parametrize("method", ["bpe", "unigram"])
def test_subwords_come_back(method):
    pytest.importorskip("tokenizers")
    library_object = train_subwords(iter(SUBWORD_LINES), 300, method)
    pieces = get_tokenizer(library_object)
    for line in SUBWORD_LINES:
        tokens = pieces.split(line)
        assert 1 < len(tokens) < len(line)
        assert pieces.join(tokens) == line
    plain = tokenizer_to_plain(library_object)
    again = tokenizer_from_plain(json.loads(json.dumps(plain)))
    assert same_tokenizer(again, library_object)
    assert again.encode("catty").tokens == library_object.encode("catty").tokens
    assert not same_tokenizer(library_object, train_subwords(["another text"], 270, method))
    assert not same_tokenizer(library_object, "words")
    assert tokenizer_to_plain(str.split) is tokenizer_from_plain(str.split)


def test_unknown_pieces():
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    assert get_tokenizer(words).split("a b") == ["a", "<unk>"]
    assert get_tokenizer(words).join(["a", "b"]) == "a b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a text",), "Iterable over raw text documents expected"),
        ((["a"], 0), "vocab_size must be an integer of at least 1, got 0"),
        ((["a"], 300, "wordpiece"), "method must be 'bpe' or 'unigram', got 'wordpiece'"),
    ],
)
def test_train_subwords_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        train_subwords(*arguments)


def test_subwords_of_files_as_the_model_reads_them(tmp_path):
    pytest.importorskip("tokenizers")
    path = tmp_path / "text.txt"
    path.write_text("ÄHNLICH ähnlich\n" * 9, encoding="latin-1")
    pieces = get_tokenizer(train_subwords(path, 270, lowercase=True, normalize="NFC", encoding="latin-1"))
    assert len(pieces.split("ähnlich")) < len(pieces.split("ÄHNLICH"))
    with pytest.raises(ValueError, match=r"text\.txt, line 1: the text is not in utf-8"):
        train_subwords(path, 270)
    with pytest.raises(ValueError, match=r"X\[1\] must be a string, got 3"):
        train_subwords(["a", 3], 270)


def test_subwords_of_text_that_cannot_be_encoded():
    pytest.importorskip("tokenizers")
    pieces = get_tokenizer(train_subwords([f"a text{HALF}", f"a {PAIR}"], 300))
    assert pieces.join(pieces.split(f"a text{HALF}")) == "a text\ufffd"
    assert pieces.join(pieces.split("a 😀")) == "a 😀"
