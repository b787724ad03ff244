"""Tests of `fastrnn.base` and `fastrnn.persistence`, on a model whose distribution is given."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from sklearn.exceptions import NotFittedError

from fastrnn.base import BaseLanguageModel, Perplexity, choose_tokens
from fastrnn.text import Vocabulary

#            <pad> <unk> <s>  </s>  a    b    c
START_ROW = [0.0, 0.1, 0.0, 0.05, 0.5, 0.3, 0.05]
LATER_ROW = [0.0, 0.1, 0.0, 0.30, 0.1, 0.1, 0.40]


class TwoRows(BaseLanguageModel):
    """One distribution for the first token, another one for all later tokens."""

    def __init__(self, tokenizer="whitespace", lowercase=False, vocabulary=None, option=1):
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.vocabulary = vocabulary
        self.option = option

    def fit(self, X, y=None):
        self._read_training_text(X)
        self.vocabulary_ = self.vocabulary or Vocabulary.from_tokens(["a", "b", "c"])
        self._rows = np.array([START_ROW, LATER_ROW])
        return self

    def _token_log_probs(self, ids, offsets):
        later = np.ones(len(ids), np.intp)
        later[offsets[:-1]] = 0
        return np.log(self._rows[later, ids])

    def _read_contexts(self, ids, offsets):
        return (np.diff(offsets) > 0).astype(np.intp)

    def _next_probabilities(self, state):
        return self._rows[state]

    def _advance(self, state, ids):
        return np.ones_like(state)

    def _take(self, state, rows):
        return state[rows]

    def _get_learned(self):
        return {"note": "ä"}, {"rows": self._rows, "nothing": np.zeros((0, 3), np.int32)}

    def _set_learned(self, content, arrays):
        assert content == {"note": "ä"}
        assert arrays["nothing"].shape == (0, 3)
        self._rows = arrays["rows"]


class OtherRows(TwoRows):
    """The same, in another class."""


@pytest.fixture
def model():
    return TwoRows().fit(["a"])


def test_scores(model):
    X = ["a c", "", "z"]
    expected = [np.log([0.5, 0.4, 0.3]), np.log([0.05]), np.log([0.1, 0.3])]
    log_probs = model.token_log_probs(X)
    assert len(log_probs) == 3
    for actual, values in zip(log_probs, expected, strict=True):
        np.testing.assert_allclose(actual, values)
    np.testing.assert_allclose(model.score_samples(X), [values.sum() for values in expected])
    assert model.score(X) == pytest.approx(np.concatenate(expected).mean())
    perplexity = model.perplexity(X)
    assert isinstance(perplexity, float)
    assert perplexity == pytest.approx(np.exp(-np.concatenate(expected).mean()))
    assert (perplexity.n_tokens, perplexity.n_oov) == (6, 1)
    assert perplexity.without_oov == pytest.approx(np.exp(-np.log([0.5, 0.4, 0.3, 0.05, 0.3]).mean()))
    without = model.perplexity(X, oov="exclude")
    assert without == without.without_oov == perplexity.without_oov
    assert (without.n_tokens, without.n_oov) == (6, 1)
    with pytest.raises(ValueError, match="oov must be 'include' or 'exclude', got 'drop'"):
        model.perplexity(X, oov="drop")


def test_generators_and_token_lists_score_as_texts(model):
    X = ["a c", "b"]
    expected = model.score_samples(X)
    np.testing.assert_array_equal(model.score_samples(iter(X)), expected)
    np.testing.assert_array_equal(model.score_samples([["a", "c"], ["b"]]), expected)
    np.testing.assert_array_equal(TwoRows(lowercase=True).fit(["a"]).score_samples(["A c", ["B"]]), expected)


def test_no_sentences(model):
    assert model.token_log_probs([]) == []
    assert model.score_samples([]).shape == (0,)
    assert model.predict_proba([]).shape == (0, 7)
    assert model.predict([]).shape == (0,)
    for method in (model.score, model.perplexity):
        with pytest.raises(ValueError, match="X is empty: there is no token to average over"):
            method([])


def test_prediction(model, monkeypatch):
    np.testing.assert_array_equal(model.predict_proba(["", [], "a b"]), [START_ROW, START_ROW, LATER_ROW])
    assert model.predict(["", "a"]).tolist() == ["a", "c"]
    monkeypatch.setattr("fastrnn.base._BLOCK", 1)  # a block a row
    assert model.predict(["", "a", ""]).tolist() == ["a", "c", "a"]


@pytest.mark.parametrize(
    "method", ["score", "score_samples", "token_log_probs", "perplexity", "predict", "predict_proba"]
)
def test_wrong_X(model, method):
    with pytest.raises(ValueError, match="Iterable over raw text documents expected, string object received"):
        getattr(model, method)("a b")
    with pytest.raises(ValueError, match=r"X\[1\] must be a string or a list of tokens, got None"):
        getattr(model, method)(["a", None])
    with pytest.raises(ValueError, match=r"X\[0\] contains the token '<s>', which is reserved"):
        getattr(model, method)(["a <s>"])
    with pytest.raises(NotFittedError):
        getattr(TwoRows(), method)(["a"])


def test_perplexity_is_copied_whole():
    perplexity = Perplexity(2.5, n_tokens=10, n_oov=1, without_oov=2.0)
    assert repr(perplexity) == "2.5"
    for other in (copy.deepcopy(perplexity), pickle.loads(pickle.dumps(perplexity))):
        assert other == 2.5
        assert (other.n_tokens, other.n_oov, other.without_oov) == (10, 1, 2.0)


# ----- drawing ------------------------------------------------------------------------------------------------------


def drawn_shares(row, n=20000, temperature=1.0, top_k=None, top_p=None):
    probabilities = np.tile(np.array(row, dtype=float), (n, 1))
    ids = choose_tokens(probabilities, temperature, top_k, top_p, np.random.RandomState(0))
    assert ids.dtype == np.int32
    return np.bincount(ids, minlength=len(row)) / n


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.05, 0.5, 0.3, 0.05]),
        ({"temperature": 0.5}, [0.0025, 0.25, 0.09, 0.0025]),
        ({"temperature": 1e-3}, [0, 1, 0, 0]),
        ({"temperature": 1e9}, [1, 1, 1, 1]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 0.5, 0.3, 0]),
        ({"top_k": 100}, [0.05, 0.5, 0.3, 0.05]),
        ({"top_p": 0.5}, [0, 1, 0, 0]),  # 0.5 of 0.9 can be drawn
        ({"top_p": 0.56}, [0, 0.5, 0.3, 0]),
        ({"top_p": 1.0}, [0.05, 0.5, 0.3, 0.05]),
        ({"top_p": 1e-9}, [0, 1, 0, 0]),
        ({"top_k": 2, "top_p": 0.6}, [0, 1, 0, 0]),  # 0.5 of the 0.8 that top_k leaves
        ({"temperature": 2, "top_k": 2}, [0, 0.5**0.5, 0.3**0.5, 0]),
    ],
)
def test_choice(options, expected):
    shares = drawn_shares(START_ROW, **options)
    assert not shares[:3].any()
    expected = np.array(expected) / np.sum(expected)
    np.testing.assert_allclose(shares[3:], expected, atol=0.015)
    assert not shares[3:][expected == 0].any()


def test_choice_where_nothing_can_be_drawn():
    assert drawn_shares([0, 0, 0, 0, 0, 0, 0], 10)[3] == 1
    assert drawn_shares([0.2, 0.5, 0.3, 0, 0, 0, 0], 10, temperature=0.1, top_k=1, top_p=0.5)[3] == 1


@given(
    rows=st.lists(st.lists(st.floats(0, 1), min_size=6, max_size=6), min_size=1, max_size=5),
    temperature=st.sampled_from([0.01, 0.7, 1.0, 3.0]),
    top_k=st.none() | st.integers(1, 7),
    top_p=st.none() | st.floats(0.01, 1),
)
def test_only_tokens_with_a_probability_are_drawn(rows, temperature, top_k, top_p):
    probabilities = np.array(rows)
    ids = choose_tokens(probabilities.copy(), temperature, top_k, top_p, np.random.RandomState(0))
    for row, chosen in zip(probabilities, ids, strict=True):
        assert chosen >= 3
        assert row[chosen] > 0 or not row[3:].any()


def test_the_largest_random_number_is_harmless():
    class Largest:
        def random_sample(self, n):
            return np.full(n, 1 - 2**-53)

    rows = np.array([[0, 0, 0, 1.0, 0, 0], [0, 0, 0, 0.1, 0.2, 0], [0, 0, 0, 1e-320, 0, 0]])
    assert choose_tokens(rows, 1.0, None, None, Largest()).tolist() == [3, 4, 3]


def test_sample(model, monkeypatch):
    texts = model.sample(4000, max_length=2, random_state=0)
    assert len(texts) == 4000
    assert {token for text in texts for token in text.split()} == {"a", "b", "c"}
    assert max(len(text.split()) for text in texts) == 2
    later = [text.split()[1:] for text in texts if text]
    assert later.count([]) / len(later) == pytest.approx(0.3 / 0.9, abs=0.03)
    assert later.count(["c"]) / len(later) == pytest.approx(0.4 / 0.9, abs=0.03)
    assert texts == model.sample(4000, max_length=2, random_state=0)
    assert texts != model.sample(4000, max_length=2, random_state=1)
    monkeypatch.setattr("fastrnn.base._BLOCK", 70)  # ten texts at a time
    assert len(model.sample(25, random_state=0)) == 25


def test_sample_with_a_prompt(model):
    assert model.sample(prompt="Z b", top_k=1, max_length=3) == ["Z b c c c"]
    assert model.sample(prompt=["b"], top_k=1, max_length=1) == ["b c"]
    assert model.sample(prompt="", top_k=1, max_length=1) == ["a"]
    assert TwoRows(lowercase=True).fit(["a"]).sample(prompt="B", top_k=1, max_length=1) == ["b c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be an integer of at least 1, got 0"),
        ({"max_length": 2.5}, "max_length must be an integer of at least 1, got 2.5"),
        ({"temperature": 0}, "temperature must be a number above 0, got 0"),
        ({"temperature": float("inf")}, "temperature must be a number above 0, got inf"),
        ({"temperature": "hot"}, "temperature must be a number above 0, got 'hot'"),
        ({"top_k": 0}, "top_k must be an integer of at least 1, got 0"),
        ({"top_p": 0.0}, "top_p must be a number above 0 and at most 1, got 0.0"),
        ({"top_p": 1.5}, "top_p must be a number above 0 and at most 1, got 1.5"),
        ({"prompt": 3}, "prompt must be None, a string or a list of tokens, got 3"),
        ({"prompt": ["a", 3]}, "must be a token"),
        ({"prompt": "a </s>"}, "which is reserved"),
    ],
)
def test_sample_refuses(model, options, message):
    with pytest.raises(ValueError, match=message):
        model.sample(**options)


# ----- files --------------------------------------------------------------------------------------------------------


def test_save_and_load(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.set_params(option=np.float64(0.5)).save(path)
    loaded = TwoRows.load(path)
    assert loaded.get_params() == model.get_params()
    assert loaded.vocabulary_ == model.vocabulary_
    np.testing.assert_array_equal(loaded.score_samples(["a c", "z"]), model.score_samples(["a c", "z"]))
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_load_refuses_another_class(model, tmp_path):
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"model holds a TwoRows, not a OtherRows: use TwoRows\.load"):
        OtherRows.load(tmp_path / "model")


def test_save_refuses_what_is_no_plain_value(model, tmp_path):
    message = r'tokenizer=<.*> cannot be stored.*: call set_params\(tokenizer="whitespace"\) before saving and give'
    with pytest.raises(ValueError, match=message):
        model.set_params(tokenizer=str.split).save(tmp_path / "model")
    model.set_params(tokenizer="whitespace", option=np.random.RandomState(0))
    with pytest.raises(ValueError, match=r"option=RandomState.* cannot be stored.*: call set_params\(option=None\)"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_every_flipped_byte_is_noticed(model, tmp_path):
    path = tmp_path / "model"
    model.save(path)
    content = path.read_bytes()
    # Spaces that pad the header carry nothing.
    start = 8 + len(content[8 : 8 + int.from_bytes(content[:8], "little")].rstrip())
    carries = [*range(start), *range(8 + int.from_bytes(content[:8], "little"), len(content))]
    for place in carries:
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(ValueError, match=r"model is (no saved model|no model saved by fastrnn|damaged)"):
            TwoRows.load(path)


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_truncated_files_are_refused(model, tmp_path, length):
    path = tmp_path / "model"
    model.save(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="model is no saved model, or it is damaged"):
        TwoRows.load(path)


def test_missing_files(model, tmp_path):
    with pytest.raises(FileNotFoundError):
        TwoRows.load(tmp_path / "model")
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*folder.model'"):
        model.save(tmp_path / "folder" / "model")
    with pytest.raises(NotFittedError):
        TwoRows().save(tmp_path / "model")


def test_failed_save_keeps_the_old_model(model, tmp_path, monkeypatch):
    path = tmp_path / "model"
    model.save(path)
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        model.set_params(option=3).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_errors_of_the_file_library_are_errors_of_the_system(model, tmp_path, monkeypatch):
    def full_disk(*args):
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("fastrnn.persistence.save_file", full_disk)
    with pytest.raises(OSError, match="model cannot be written: I/O error: No space left on device"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
