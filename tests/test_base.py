"""Tests of `fastrnn.base` and `fastrnn.persistence`, on a model whose distribution is given."""

import copy
import pickle

import numpy as np
import pytest
from safetensors import SafetensorError
from sklearn.exceptions import NotFittedError

from fastrnn.base import Perplexity
from tests.fakes import LATER_ROW, START_ROW, TwoRows


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
    monkeypatch.setattr("fastrnn._generation._BLOCK", 1)  # a block a row
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
