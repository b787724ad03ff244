"""Tests of `fastrnn.ngram.workspace`, and of fits with a limit of memory."""

import errno
import os
import tempfile

import numpy as np
import pytest

from fastrnn.ngram import NGramLanguageModel, counting, estimator, workspace
from fastrnn.ngram.smoothing import SMOOTHINGS
from fastrnn.ngram.workspace import Workspace, parse_bytes
from fastrnn.text import close_sentences, tokenization
from fastrnn.text.reading import open_lines
from tests.ngram_texts import fit, zipf_text


@pytest.fixture
def small_pieces(monkeypatch):
    """Cut the work on disk into many pieces."""
    monkeypatch.setattr(counting, "_SMALLEST_CHUNK", 500)
    monkeypatch.setattr(counting, "_MERGED_AT_ONCE", 300)
    monkeypatch.setattr(workspace, "_DISK_PIECE", 200)


@pytest.fixture
def temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def assert_same_model(model, other):
    for one, two in zip(model._table, other._table, strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    assert model.vocabulary_ == other.vocabulary_
    np.testing.assert_array_equal(model.discounts_, other.discounts_)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_limit_of_memory_changes_nothing(smoothing, small_pieces, temporary_folder):
    train = zipf_text(0, 2000, 300)
    for parameters in ({}, {"min_count": 3, "order": 1}, {"quantize": True, "order": 2, "n_jobs": 1}):
        expected = fit(NGramLanguageModel(**{"order": 4, "smoothing": smoothing, **parameters}), train)
        limited = NGramLanguageModel(**{"order": 4, "smoothing": smoothing, "memory_limit": 1, **parameters})
        assert_same_model(fit(limited, iter(train)), expected)
        assert list(temporary_folder.iterdir()) == []


@pytest.mark.parametrize("parameters", [{"prune": (0, 0, 1)}, {"prune_entropy": 1e-5}, {"vocab_pad": 5000}])
def test_limit_of_memory_and_pruning(parameters, small_pieces):
    train = zipf_text(0, 2000, 300)
    expected = fit(NGramLanguageModel(4, **parameters), train)
    assert_same_model(fit(NGramLanguageModel(4, memory_limit="1KB", **parameters), train), expected)


def test_limit_of_memory_and_more_text(small_pieces, tmp_path):
    pieces = [zipf_text(seed, 500, 300) for seed in range(3)]
    expected = fit(NGramLanguageModel(3), [sentence for piece in pieces for sentence in piece])
    model = fit(NGramLanguageModel(3, memory_limit="1KB"), pieces[0])
    model.partial_fit(pieces[1])
    model.save(tmp_path / "model.safetensors")
    for one in (model, NGramLanguageModel.load(tmp_path / "model.safetensors")):
        assert_same_model(one.partial_fit(pieces[2]), expected)


def test_a_file_is_read_in_pieces_as_small_as_the_limit_asks_for(tmp_path, monkeypatch):
    path, read, encoded = tmp_path / "text.txt", [], []
    path.write_text("a b c d\n" * 1000)

    def lines():
        for line in open_lines(path):
            read.append(4)
            yield line

    def recorded(ids, offsets, **options):
        encoded.append(len(ids))
        assert sum(read) - sum(encoded) <= 4
        return close_sentences(ids, offsets, **options)

    monkeypatch.setattr(estimator, "close_sentences", recorded)
    monkeypatch.setattr(tokenization, "_SAMPLE", 2)  # texts that tell the script
    model = NGramLanguageModel(2, "add_k", memory_limit="20KB").fit(lines())
    assert sum(encoded) == 4000
    assert max(encoded) <= 104  # tokens of 200 bytes
    encoded.clear()
    read.clear()
    assert_same_model(NGramLanguageModel(2, "add_k", memory_limit="20KB").fit(path), model)
    assert max(encoded) <= 104


def test_full_disk(small_pieces, temporary_folder, monkeypatch):
    model = fit(NGramLanguageModel(3, memory_limit="1KB"), zipf_text(0, 200, 300))
    before = model.score_samples(zipf_text(1, 5, 300))
    reserve, calls = workspace._reserve, []

    def fail_later(file, nbytes):
        calls.append(nbytes)
        if len(calls) == 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        reserve(file, nbytes)

    monkeypatch.setattr(workspace, "_reserve", fail_later)
    with pytest.raises(OSError, match=f"No space left on device for a temporary file .*TMPDIR.*: '{temporary_folder}'"):
        model.fit(zipf_text(2, 2000, 300))
    np.testing.assert_array_equal(model.score_samples(zipf_text(1, 5, 300)), before)
    assert list(temporary_folder.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_space_is_reserved():
    with open("/dev/full", "r+b", buffering=0) as file, pytest.raises(OSError):
        workspace._reserve(file, 1 << 20)


def test_arrays_in_files(temporary_folder):
    for limit in (None, 1):
        place = Workspace(limit)
        ones = place.full(100_000, 1, np.int32)
        place.release()
        assert ones.sum() == 100_000
        assert place.concatenate([ones[:5], np.arange(3)], np.int32).tolist() == [1, 1, 1, 1, 1, 0, 1, 2]
        assert place.concatenate([], np.int32).tolist() == []
        assert place.keep(ones).tolist() == ones.tolist()
    assert list(temporary_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), (5, 5), ("500MB", 500_000_000), ("1.5 gb", 1_500_000_000), ("2K", 2000)]
)
def test_parse_bytes(value, expected):
    assert parse_bytes("memory_limit", value) == expected


@pytest.mark.parametrize("value", ["", "MB", "0", 0, True, -1, "5 XB", [1]])
def test_wrong_bytes(value):
    with pytest.raises(ValueError, match="memory_limit must be None, a number of bytes, or a string such as '500MB'"):
        NGramLanguageModel(memory_limit=value).fit(["a"])
