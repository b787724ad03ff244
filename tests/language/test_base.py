"""Tests of `fastrnn.language.base` and `fastrnn.persistence`, on a model whose distribution is given."""

import copy
import errno
import os
import pickle
import stat
import sys
import threading

import numpy as np
import pytest
from safetensors import safe_open
from sklearn.exceptions import NotFittedError

import fastrnn
from fastrnn import NGramLanguageModel
from fastrnn.language.scoring import Perplexity
from fastrnn.persistence import load_model, save_model
from fastrnn.text.corpus import write_token_file
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


TEXTS = ["the cat is on the mat", "", "a dog is here . the car", "the", "the cat sat on a red mat . the can is here"]


@pytest.mark.parametrize("bos", [True, False])
def test_other_sentences_change_no_bit_of_an_independent_one(any_language_model, bos):
    def scores(texts):
        return any_language_model.score_samples(texts, independent=True, bos=bos)

    expected = scores(TEXTS)
    np.testing.assert_array_equal(scores(TEXTS[::-1])[::-1], expected)
    np.testing.assert_array_equal([scores([text])[0] for text in TEXTS], expected)
    np.testing.assert_array_equal(scores(TEXTS * 9), np.tile(expected, 9))
    if bos:  # as in a call of its own, where nothing comes before it
        np.testing.assert_allclose([any_language_model.score_samples([text])[0] for text in TEXTS], expected)
        joined = np.concatenate(any_language_model.token_log_probs(TEXTS, independent=True))
        assert any_language_model.score(TEXTS, independent=True) == joined.mean()
        assert any_language_model.perplexity(TEXTS, independent=True) == np.exp(-joined.mean())


@pytest.mark.parametrize("kind", ["network", "neural cache", "dynamic", "mixture"])
def test_models_go_on_between_sentences_unless_they_are_independent(language_models, kind):
    model = language_models[kind]
    assert not np.allclose(model.score_samples(TEXTS)[1:], model.score_samples(TEXTS, independent=True)[1:])


@pytest.mark.parametrize("options", [{}, {"independent": True}, {"bos": False}])
def test_the_end_of_a_sentence_need_not_count(any_language_model, options):
    every = any_language_model.token_log_probs(TEXTS, **options)
    without = any_language_model.token_log_probs(TEXTS, eos=False, **options)
    assert [len(part) for part in without] == [len(part) - 1 for part in every]
    for part, whole in zip(without, every, strict=True):
        np.testing.assert_array_equal(part, whole[:-1])
    scores = any_language_model.score_samples(TEXTS, eos=False, **options)
    np.testing.assert_allclose(scores, [part.sum() for part in without])
    assert scores[1] == 0
    perplexity = any_language_model.perplexity(TEXTS, eos=False, **options)
    assert (perplexity.n_tokens, perplexity.n_oov) == (sum(map(len, without)), 1)
    assert any_language_model.score_samples([], eos=False, **options).shape == (0,)


@pytest.mark.parametrize("kind", ["ngrams", "network", "projected", "adaptive", "neural cache", "dynamic", "mixture"])
def test_what_follows_nothing_is_a_distribution(language_models, kind):
    model = language_models[kind]
    V = len(model.vocabulary_)
    ids = np.concatenate([np.arange(V), np.stack([np.full(V, 5), np.arange(V)], axis=1).reshape(-1)]).astype(np.int32)
    offsets = np.concatenate([np.arange(V), np.arange(V, 3 * V + 1, 2)])
    log_probs = model._sentence_log_probs(ids, offsets, bos=False)
    atol = 0.01 if kind == "mixture" else 1e-5  # its cache spreads equal shares over <pad> and <s> too
    assert np.exp(log_probs[:V]).sum() == pytest.approx(1, abs=10 * atol)
    assert np.exp(log_probs[V + 1 :: 2]).sum() == pytest.approx(1, abs=atol)
    assert np.ptp(log_probs[V::2]) == 0  # of the token 5


def test_scores_without_a_beginning_or_a_known_token(model, language_models):
    with pytest.raises(NotImplementedError, match="TwoRows has no probabilities without <s>: bos must be True"):
        model.score(["a"], bos=False)
    perplexity = language_models["ngrams"].perplexity(["qqq zzz"], eos=False)
    assert (perplexity.n_tokens, perplexity.n_oov) == (2, 2)
    assert perplexity > 1
    assert np.isnan(perplexity.without_oov)
    with pytest.raises(ValueError, match="X has no known token: there is nothing to average over with oov='exclude'"):
        language_models["ngrams"].perplexity(["qqq zzz"], "exclude", eos=False)
    with pytest.raises(ValueError, match="X is empty: there is no token to average over"):
        language_models["ngrams"].score([""], eos=False)


@pytest.mark.parametrize("kind", ["ngrams", "network", "mixture"])
def test_a_text_may_be_given_as_ids(language_models, kind, tmp_path):
    model = language_models[kind]
    write_token_file(tmp_path / "ids.npy", TEXTS, model.vocabulary_)
    for X in (np.load(tmp_path / "ids.npy"), tmp_path / "ids.npy"):
        for options in ({}, {"independent": True}, {"bos": False, "eos": False}):
            np.testing.assert_array_equal(model.score_samples(X, **options), model.score_samples(TEXTS, **options))
        assert model.perplexity(X).n_oov == 1
    ids = np.load(tmp_path / "ids.npy")[:-1]  # the text breaks off
    expected = np.concatenate(model.token_log_probs(TEXTS))[:-1]
    np.testing.assert_array_equal(np.concatenate(model.token_log_probs(ids)), expected)
    without = model.token_log_probs(ids, eos=False)
    assert [len(part) for part in without] == [len(part) for part in model.token_log_probs(TEXTS, eos=False)]
    np.testing.assert_array_equal(np.concatenate(without), expected[ids != 3])
    with pytest.raises(ValueError, match="X holds the id 999 at 1, which is no token of the vocabulary"):
        model.score(np.array([5, 999, 3]))
    with pytest.raises(ValueError, match="X must be a one-dimensional array if it holds ids"):
        model.score(np.array([[5, 3]]))


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
    monkeypatch.setattr("fastrnn.language.contexts._BLOCK", 1)  # a block a row
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


def test_a_full_disk_is_named(model, tmp_path, monkeypatch):
    def full_disk(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match=r"0.model cannot be written: no space left on device$") as caught:
        model.save(tmp_path / "model")
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
def test_files_have_the_rights_that_the_umask_leaves(model, tmp_path):
    before = os.umask(0o027)
    try:
        model.save(tmp_path / "model")
        model.vocabulary_.save(tmp_path / "vocabulary")
        write_token_file(tmp_path / "ids.npy", ["a c"], model.vocabulary_)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}


@pytest.mark.skipif(sys.platform == "win32", reason="rights and links of POSIX")
def test_a_file_that_replaces_another_keeps_its_rights_and_links_to_it(model, tmp_path):
    path, link = tmp_path / "model", tmp_path / "link"
    path.write_text("before")
    path.chmod(0o600)
    link.symlink_to("model")
    model.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert type(model).load(path).vocabulary_ == model.vocabulary_
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_pipe_is_written_to_and_stays(model, tmp_path):
    pipe, contents = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: contents.append(pipe.read_bytes()))
    reader.start()
    model.save(pipe)
    reader.join()
    model.save(tmp_path / "model")
    assert contents == [(tmp_path / "model").read_bytes()]
    assert pipe.is_fifo()


def test_files_are_those_of_the_package_safetensors(tmp_path):
    arrays = {
        f"{k}{dtype}{shape}": np.arange(np.prod(shape), dtype=float).reshape(shape).astype(dtype)
        for dtype in ("?", "u1", "i2", "f2", "<f4", ">f4", "i8", "f8")
        for k, shape in enumerate([(), (0,), (3,), (2, 3)])
    }
    save_model(tmp_path / "model", "Model", {"ü": 1}, {}, arrays)
    with safe_open(tmp_path / "model", "numpy") as file:
        assert file.metadata().keys() == {"fastrnn", "checksum", "header_checksum"}
        for name, array in arrays.items():
            found = file.get_tensor(name)
            assert found.dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found, array)
    params, _, found = load_model(tmp_path / "model", "Model")
    assert params == {"ü": 1}
    assert found.keys() == arrays.keys()


@pytest.mark.parametrize("tokenizer", ["words", "chars"])
def test_files_folders_and_open_files_score_as_their_lines(tmp_path, tokenizer):
    lines = ["a c\u2028b", "", "b a", ""]
    path = tmp_path / "text.txt"
    path.write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n").encode("utf-16-le"))
    model = TwoRows(tokenizer, encoding="utf-16-le").fit(lines)
    expected = model.score_samples(lines)
    for X in (path, tmp_path, [path], (line for line in [path])):
        np.testing.assert_array_equal(model.score_samples(X), expected)
    for mode in ({"mode": "rb"}, {"encoding": "utf-16-le"}):
        with open(path, **mode) as file:
            np.testing.assert_array_equal(model.score_samples(file), expected)
    with pytest.raises(ValueError, match="got a dict, which iterates over its keys"):
        model.score_samples({"text": lines})


def test_texts_of_a_model_are_brought_into_its_normal_form(tmp_path):
    composed, decomposed = "\u00e9", "e\u0301"
    model = NGramLanguageModel(1, "add_k", "whitespace", normalize="NFC").fit([f"{decomposed} b", "b"])
    assert model.vocabulary_.tokens[4:] == [composed, "b"]
    model.save(tmp_path / "model")
    model = NGramLanguageModel.load(tmp_path / "model")
    assert model.normalize == "NFC"
    n_long = 100  # texts, for the compiled way
    for X in ([decomposed], [[decomposed]], [f"{decomposed} {decomposed}"] * n_long):
        assert model.perplexity(X).n_oov == 0
    start = model.initial_state()
    assert model.advance(start, decomposed)[0] == model.advance(start, composed)[0] > model.advance(start, "z")[0]
    assert model.sample(prompt=decomposed, max_length=1)[0].startswith(composed)
    assert model.complete(decomposed)[0].word == composed
    assert model.sample(prompt="b", stop=decomposed, random_state=0) == model.sample(
        prompt="b", stop=composed, random_state=0
    )


def test_a_prompt_may_be_the_name_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("a text")
    (text,) = TwoRows().fit(["a"]).sample(prompt="a.txt", stop=["a.txt"], max_length=1)
    assert text.startswith("a.txt")


@pytest.mark.parametrize(("options", "message"), [({"normalize": "C"}, "normalize must be one of"),
                                                 ({"encoding": 8}, "encoding must be the name of")])  # fmt: skip
def test_wrong_text_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        TwoRows(**options).fit(["a"])


def test_the_package_offers_its_models_by_name():
    for name in fastrnn.language.__all__:
        offered = getattr(fastrnn.language, name)
        assert offered.__name__ == name
        assert name not in fastrnn.__all__ or offered is getattr(fastrnn, name)
    assert set(fastrnn.language.__all__) <= set(dir(fastrnn.language))
    with pytest.raises(AttributeError, match=r"module .fastrnn\.language. has no attribute 'LanguageModel'"):
        fastrnn.language.LanguageModel  # noqa: B018
