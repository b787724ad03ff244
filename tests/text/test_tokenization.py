"""Tests of `fastrnn.text.tokenization`."""

from collections import namedtuple

import numpy as np
import pytest

from fastrnn.text.tokenization import iterate_corpus, tokenize_corpus


def test_corpus_takes_texts_and_token_lists():
    X = ["One two", ["Three", "four five"], ("six",), np.array(["seven"]), "", []]
    expected = [["one", "two"], ["three", "four five"], ["six"], ["seven"], [], []]
    assert tokenize_corpus(X, lowercase=True) == expected
    assert tokenize_corpus(iter(X), lowercase=True) == expected
    assert tokenize_corpus(np.array(["a b", "c"])) == [["a", "b"], ["c"]]


def test_corpus_copies_token_lists():
    tokens = ["a"]
    assert tokenize_corpus([tokens])[0] is not tokens


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("text", "Iterable over raw text documents expected, string object received"),
        (b"text", "Iterable over raw text documents expected, bytes object received"),
        (None, "X must be an iterable of strings or of lists of tokens, got None"),
        (3, "X must be an iterable of strings or of lists of tokens, got 3"),
        (["a", None], r"X\[1\] must be a string or a list of tokens, got None"),
        ([namedtuple("Row", "text label")("a", "b")], r"X\[0\] must be a string or a list of tokens, got Row\("),
        (["a", b"b"], r"X\[1\] must be a string or a list of tokens, got b'b'"),
        ([["a", 1.5]], r"X\[0\]\[1\] must be a token \(a string\), got 1.5"),
        ([["a"], [["b"]]], r"X\[1\]\[0\] must be a token \(a string\), got \['b'\]"),
    ],
)
def test_corpus_refuses(X, message):
    with pytest.raises(ValueError, match=message):
        tokenize_corpus(X)


@pytest.mark.parametrize("result", ["ab", [1, 2], None])
def test_callable_tokenizer_with_a_wrong_result(result):
    with pytest.raises(ValueError, match=r"tokenizer must return a list of str, got .* for X\[0\]"):
        tokenize_corpus(["a b"], tokenizer=lambda text: result)


UNSPACED = [
    "我爱北京天安门", "今天天气很好，我们去公园。", "吾輩は猫である。名前はまだ無い。", "ฉันรักแมว และสุนัขด้วย",
    "ຂ້ອຍຮັກແມວ", "ខ្ញុំស្រលាញ់ឆ្មា", "ကျွန်တော်ကြောင်ကိုချစ်တယ်",
]  # fmt: skip


@pytest.mark.parametrize("text", UNSPACED)
@pytest.mark.parametrize("tokenizer", ["words", "whitespace"])
def test_scripts_without_spaces_are_warned_of_once(text, tokenizer):
    with pytest.warns(UserWarning, match=f"script without spaces .* tokenizer='{tokenizer}' takes") as warned:
        tokens = tokenize_corpus([text] * 3, tokenizer, learning=True)
    assert len(warned) == 1
    assert tokens == tokenize_corpus([text] * 3, tokenizer)


@pytest.mark.parametrize(
    ("X", "tokenizer"),
    [
        (["我 爱 北京 天安门", "今天 天气 很 好 ， 我们 去 公园 。"], "words"),  # cut into words already
        (["ฉัน รัก แมว และ สุนัข ด้วย"], "whitespace"),
        ([["我爱北京天安门"]], "words"),
        (UNSPACED, "chars"),
        (UNSPACED, list),
        (["The sign 天安门 stands for a gate in Beijing."], "words"),
        (["나는 고양이를 사랑한다"], "words"),
        ([], "words"),
    ],
)
def test_texts_with_spaces_and_other_tokenizers_are_not_warned_of(X, tokenizer):
    assert tokenize_corpus(iter(X), tokenizer, learning=True) == tokenize_corpus(X, tokenizer)


def test_all_texts_follow_the_sample(monkeypatch):
    monkeypatch.setattr("fastrnn.text.tokenization._SAMPLE", 2)
    X = ["a b", ["c"], "d", "e", "f"]
    assert tokenize_corpus(iter(X), learning=True) == tokenize_corpus(X)


def test_a_path_stands_for_the_lines_of_a_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ein Fuß\n\nzwei", encoding="utf-8")
    assert list(iterate_corpus(path)) == [["ein", "Fuß"], [], ["zwei"]]
