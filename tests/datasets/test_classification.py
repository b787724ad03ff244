import functools
import hashlib
import http.server
import os
import sys
import threading
import zipfile

import numpy as np
import pytest

from fastrnn.datasets import (
    _folder,
    load_glove,
    load_japanese_vowels,
    load_movie_review_sentences,
    load_movie_reviews,
    load_names,
    load_promoters,
    load_splice,
    load_subjectivity,
    load_ucr,
)
from fastrnn.datasets.classification import read_ts

TS = "#about\n@problemName toy\n@DATA\n1,2,3:4,5,6:up\n\n7:8:down\n"


@pytest.mark.skipif("FASTRNN_DATA" not in os.environ, reason="needs the real data")
@pytest.mark.parametrize(
    ("load", "size", "classes"),
    [
        (load_movie_review_sentences, 10_662, 2),
        (load_subjectivity, 10_000, 2),
        (load_movie_reviews, 2_000, 2),
        (load_japanese_vowels, 270, 9),
        (functools.partial(load_japanese_vowels, "test"), 370, 9),
        (functools.partial(load_ucr, "BasicMotions"), 40, 4),
        (functools.partial(load_ucr, "GunPoint", "test"), 150, 2),
        (load_splice, 3_190, 3),
        (load_promoters, 106, 2),
        (load_names, 20_050, 18),
    ],
)
def test_sets_have_their_published_sizes(load, size, classes):
    bunch = load()
    assert len(bunch.data) == len(bunch.target) == size
    assert len(np.unique(bunch.target)) == classes
    assert bunch.DESCR


@pytest.mark.skipif("FASTRNN_DATA" not in os.environ, reason="needs the real data")
def test_vectors_have_a_word_each():
    glove = load_glove()
    assert len(glove.words) == len(set(glove.words)) == len(glove.vectors) == 38_394


def test_series_are_read(tmp_path):
    path = tmp_path / "toy.ts"
    path.write_text(TS)
    data, target = read_ts(path)
    np.testing.assert_array_equal(data[0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(data[1], [[7, 8]])
    assert target.tolist() == ["up", "down"]
    path.write_text(TS + "1,2:3:up\n")
    with pytest.raises(ValueError, match=r"toy.ts, line 7: expected numbers, dimensions of one length"):
        read_ts(path)


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"splice.csv is missing: put it there"):
        load_splice()
    monkeypatch.delenv("FASTRNN_DATA")
    with pytest.raises(FileNotFoundError, match="set the environment variable FASTRNN_DATA"):
        load_splice()
    with pytest.raises(ValueError, match="name must be one of"):
        load_ucr("Unknown")
    with pytest.raises(ValueError, match="subset must be"):
        load_japanese_vowels("valid")
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match="needs pooch"):
        load_movie_review_sentences()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a folder on the loopback in place of the origin of the movie reviews."""
    pytest.importorskip("pooch").get_logger().setLevel("ERROR")
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    monkeypatch.delenv("FASTRNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setitem(_folder.SOURCES, "mr", f"http://127.0.0.1:{httpd.server_port}/{{file}}")
    monkeypatch.setitem(_folder.SOURCES, "subjectivity", f"http://127.0.0.1:{httpd.server_port}/subjectivity.zip")
    for label in ("neg", "pos"):
        content = f"a {label} sentence\nanother\n".encode()
        (folder / f"rt-polarity.{label}").write_bytes(content)
        monkeypatch.setitem(_folder.CHECKSUMS, f"mr/rt-polarity.{label}", hashlib.sha256(content).hexdigest())
    yield folder
    httpd.shutdown()
    httpd.server_close()


def test_files_are_downloaded_once(server):
    expected = ["a neg sentence", "another", "a pos sentence", "another"]
    assert load_movie_review_sentences().data == expected
    rights = server.parent.joinpath("rights")
    rights.touch()
    cached = list((server.parent / "cache").rglob("rt-polarity.*"))
    assert [path.stat().st_mode for path in cached] == [rights.stat().st_mode] * 2
    for path in server.iterdir():
        path.unlink()
    assert load_movie_review_sentences().data == expected


def test_files_are_taken_from_an_archive(server, monkeypatch):
    for name in ("plot.tok.gt9.5000", "quote.tok.gt9.5000"):
        checksum = hashlib.sha256(f"a sentence of {name}\n".encode()).hexdigest()
        monkeypatch.setitem(_folder.CHECKSUMS, f"subjectivity/{name}", checksum)
        with zipfile.ZipFile(server / "subjectivity.zip", "a") as archive:
            archive.writestr(f"subjectivity/{name}", f"a sentence of {name}\n")
    expected = ["a sentence of plot.tok.gt9.5000", "a sentence of quote.tok.gt9.5000"]
    assert load_subjectivity().data == expected
    (server / "subjectivity.zip").unlink()
    assert load_subjectivity().data == expected


def test_a_broken_archive_says_what_to_do(server):
    with zipfile.ZipFile(server / "subjectivity.zip", "w") as archive:
        archive.writestr("subjectivity/plot.tok.gt9.5000", "something else")
    with pytest.raises(OSError, match=r"its checksum differs.*set FASTRNN_DATA"):
        load_subjectivity()
    (server / "subjectivity.zip").write_bytes(b"no archive")
    with pytest.raises(OSError, match=r"not a zip file.*set FASTRNN_DATA"):
        load_subjectivity()


def test_a_refused_or_broken_download_says_what_to_do(server):
    (server / "rt-polarity.neg").write_bytes(b"something else")
    with pytest.raises(OSError, match=r"its checksum differs.*set FASTRNN_DATA"):
        load_movie_review_sentences()
    (server / "rt-polarity.neg").unlink()
    with pytest.raises(OSError, match=r"could not be downloaded.*set FASTRNN_DATA"):
        load_movie_review_sentences()
