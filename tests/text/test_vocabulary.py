"""Tests of `fastrnn.text.vocabulary`."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.text.tokenization import batches, iterate_corpus
from fastrnn.text.tokens import SPECIAL_TOKENS
from fastrnn.text.vocabulary import Vocabulary
from tests.fakes import Frame

HALF, PAIR = "\ud83d", "\ud83d\ude00"  # the first half of an emoji; both halves


ORDINARY_TOKENS = st.text(min_size=1, max_size=3).filter(lambda token: token not in SPECIAL_TOKENS)
TOKEN_LISTS = st.lists(st.lists(ORDINARY_TOKENS, max_size=8), max_size=6)


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
