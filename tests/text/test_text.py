"""Tests of `fastrnn.text`."""

import copy
import json
import re
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.text import (
    NORMAL_FORMS,
    SPECIAL_TOKENS,
    Vocabulary,
    batches,
    check_preprocessing,
    get_tokenizer,
    iterate_corpus,
    preprocess,
    same_tokenizer,
    tokenize_corpus,
    tokenizer_from_plain,
    tokenizer_to_plain,
    train_subwords,
)
from tests.fakes import Frame

ORDINARY_TOKENS = st.text(min_size=1, max_size=3).filter(lambda token: token not in SPECIAL_TOKENS)
TOKEN_LISTS = st.lists(st.lists(ORDINARY_TOKENS, max_size=8), max_size=6)


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


def test_vocabulary_is_in_order_of_appearance():
    vocabulary = Vocabulary().fit([["b", "a"], [], ["c", "a", "b"]])
    assert vocabulary.tokens == ["<pad>", "<unk>", "<s>", "</s>", "b", "a", "c"]
    assert len(vocabulary) == 7
    assert "a" in vocabulary
    assert "z" not in vocabulary
    assert "<unk>" in vocabulary
    assert (vocabulary.pad_id, vocabulary.unk_id, vocabulary.start_id, vocabulary.end_id) == (0, 1, 2, 3)


def test_vocabulary_limits():
    corpus = [["rare", "a", "b", "b", "c", "c", "d", "d", "d"]]
    assert Vocabulary(min_count=2).fit(corpus).tokens[4:] == ["b", "c", "d"]
    assert Vocabulary(max_size=6).fit(corpus).tokens[4:] == ["b", "d"]
    assert Vocabulary(min_count=3, max_size=6).fit(corpus).tokens[4:] == ["d"]
    assert Vocabulary(max_size=100).fit(corpus).tokens[4:] == ["rare", "a", "b", "c", "d"]


@given(TOKEN_LISTS, st.integers(1, 3), st.none() | st.integers(5, 8))
def test_vocabulary_keeps_the_most_frequent(token_lists, min_count, max_size):
    tokens = [token for sentence in token_lists for token in sentence]
    first = {token: tokens.index(token) for token in set(tokens)}
    frequent = [token for token in first if tokens.count(token) >= min_count]
    frequent.sort(key=lambda token: (-tokens.count(token), first[token]))
    kept = frequent if max_size is None else frequent[: max_size - 4]
    vocabulary = Vocabulary(min_count, max_size)
    ids, offsets = vocabulary.fit_encode_corpus(token_lists)
    assert vocabulary.tokens == [*SPECIAL_TOKENS, *sorted(kept, key=first.get)]
    expected_ids, expected_offsets = vocabulary.encode_corpus(token_lists)
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_array_equal(offsets, expected_offsets)
    assert ids.dtype == expected_ids.dtype == np.int32


@given(TOKEN_LISTS, TOKEN_LISTS)
def test_corpus_is_encoded_as_its_sentences(train, test):
    vocabulary = Vocabulary().fit(train)
    ids, offsets = vocabulary.encode_corpus(iter(test))
    assert ids.dtype == np.int32
    assert offsets.dtype == np.int64
    assert offsets.shape == (len(test) + 1,)
    for i, tokens in enumerate(test):
        sentence = ids[offsets[i] : offsets[i + 1]]
        np.testing.assert_array_equal(sentence, vocabulary.encode(tokens))
        assert vocabulary.decode(sentence) == [t if t in vocabulary else "<unk>" for t in tokens]


def test_literal_unk_is_unknown():
    vocabulary = Vocabulary()
    ids, _ = vocabulary.fit_encode_corpus([["a", "<unk>", "a"]])
    assert vocabulary.tokens[4:] == ["a"]
    assert ids.tolist() == [4, 1, 4]


@pytest.mark.parametrize("token", ["<s>", "</s>", "<pad>"])
def test_reserved_tokens_are_refused(token):
    vocabulary = Vocabulary().fit([["a"]])
    for encode in (vocabulary.encode_corpus, vocabulary.fit, Vocabulary().fit):
        with pytest.raises(ValueError, match=rf"X\[2\] contains the token '{token}', which is reserved"):
            encode([["a"], [], ["a", token], ["a"]])
    assert vocabulary.tokens[4:] == ["a"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"min_count": 0}, "min_count must be an integer of at least 1, got 0"),
        ({"min_count": 1.5}, "min_count must be an integer of at least 1, got 1.5"),
        ({"max_size": 4}, "max_size must be None or an integer of at least 5, got 4"),
        ({"max_size": "all"}, "max_size must be None or an integer of at least 5, got 'all'"),
    ],
)
def test_vocabulary_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(**parameters)


def test_from_tokens():
    vocabulary = Vocabulary.from_tokens(["x", "y"])
    assert vocabulary.tokens == [*SPECIAL_TOKENS, "x", "y"]
    assert Vocabulary.from_tokens(vocabulary.tokens) == vocabulary
    assert copy.deepcopy(vocabulary) == vocabulary
    assert copy.deepcopy(vocabulary).encode(["y", "z"]).tolist() == [5, 1]
    with pytest.raises(ValueError, match="tokens holds 'x' twice"):
        Vocabulary.from_tokens(["x", "y", "x"])
    with pytest.raises(ValueError, match="tokens holds '<s>' twice"):
        Vocabulary.from_tokens(["x", "<s>"])
    with pytest.raises(ValueError, match="tokens must be strings"):
        Vocabulary.from_tokens(["x", 1])
    for tokens, kind in (({"a", "b"}, "set"), (Frame(text=["a"]), "Frame")):
        with pytest.raises(ValueError, match=f"tokens must be an iterable of strings in the order .*, got a {kind}"):
            Vocabulary.from_tokens(tokens)
    with pytest.raises(
        ValueError, match="tokens must be an iterable of strings in the order of their ids, got a string"
    ):
        Vocabulary.from_tokens("xyz")


@given(token_lists=TOKEN_LISTS)
def test_save_and_load(tmp_path_factory, token_lists):
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.json"
    vocabulary = Vocabulary(min_count=2, max_size=7).fit([*token_lists, ["\n", "é", "\ud800"] * 2])
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert loaded == vocabulary
    assert (loaded.min_count, loaded.max_size) == (2, 7)
    assert [entry.name for entry in path.parent.iterdir()] == ["vocabulary.json"]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"format": "fastrnn-vocabulary", "version": 99}'])
def test_load_refuses_other_files(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.json is no vocabulary saved by this version of fastrnn"):
        Vocabulary.load(path)


def test_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "vocabulary.json"
    Vocabulary().fit([["old"]]).save(path)

    def full_disk(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        Vocabulary().fit([["new"]]).save(path)
    assert Vocabulary.load(path).tokens[4:] == ["old"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["vocabulary.json"]


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=5)), st.integers(1, 10))
def test_text_in_batches_is_encoded_as_a_whole(token_lists, n_tokens):
    parts = list(batches(iter(token_lists), n_tokens))
    assert [tokens for part in parts for tokens in part] == token_lists
    assert all(sum(map(len, part[:-1])) < n_tokens <= sum(map(len, part)) for part in parts[:-1])
    whole, vocabulary = Vocabulary.from_tokens(["b"]), Vocabulary.from_tokens(["b"])
    expected = whole.extend_encode_corpus(token_lists)[0]
    ids = [ids for ids, _ in vocabulary.extend_encode_batches(parts)]
    np.testing.assert_array_equal(np.concatenate([[], *ids]), expected)
    assert vocabulary == whole


def test_errors_count_from_the_first_batch():
    with pytest.raises(ValueError, match=r"X\[2\] contains the token '</s>'"):
        list(Vocabulary().extend_encode_batches([[["a"], ["b"]], [["</s>"]]]))
    lists = iterate_corpus(["a", "b", 3])
    assert [next(lists), next(lists)] == [["a"], ["b"]]
    with pytest.raises(ValueError, match=r"X\[2\] must be a string"):
        next(lists)


# ----- bytes and subwords -------------------------------------------------------------------------------------------


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


HALF, PAIR = "\ud83d", "\ud83d\ude00"  # the first half of an emoji; both halves


def test_two_surrogates_are_a_character_and_one_stays():
    assert preprocess(PAIR) == "😀"
    assert preprocess(f"A{HALF}", lowercase=True, normalize="NFC") == f"a{HALF}"
    assert tokenize_corpus([f"a {PAIR}{HALF}", ["a", PAIR, HALF]], "whitespace") == [
        ["a", f"😀{HALF}"], ["a", "😀", HALF]
    ]  # fmt: skip
    assert tokenize_corpus([f"{HALF}a"]) == [[HALF, "a"]]


def test_subwords_of_text_that_cannot_be_encoded():
    pytest.importorskip("tokenizers")
    pieces = get_tokenizer(train_subwords([f"a text{HALF}", f"a {PAIR}"], 300))
    assert pieces.join(pieces.split(f"a text{HALF}")) == "a text\ufffd"
    assert pieces.join(pieces.split("a 😀")) == "a 😀"


def test_vocabulary_with_tokens_that_cannot_be_encoded(tmp_path):
    vocabulary = Vocabulary().fit([["a", HALF, f"b{HALF}"]])
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary


def test_a_vocabulary_is_of_lists_of_tokens():
    with pytest.raises(ValueError, match=r"X\[1\] must be a list of tokens, got 'to be'"):
        Vocabulary().fit([["or"], "to be"])
    with pytest.raises(ValueError, match=r"X\[0\] must be a list of tokens, got 'text'"):
        Vocabulary().fit(Frame(text=["a"]))
    with pytest.raises(ValueError, match="tokens must be a list of tokens, got 'to be'"):
        Vocabulary().encode("to be")


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
    monkeypatch.setattr("fastrnn.text._SAMPLE", 2)
    X = ["a b", ["c"], "d", "e", "f"]
    assert tokenize_corpus(iter(X), learning=True) == tokenize_corpus(X)


def test_a_path_stands_for_the_lines_of_a_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ein Fuß\n\nzwei", encoding="utf-8")
    assert list(iterate_corpus(path)) == [["ein", "Fuß"], [], ["zwei"]]
