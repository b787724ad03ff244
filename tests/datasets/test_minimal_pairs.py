import collections

import pytest

from fastrnn.datasets import load_blimp, load_marvin_linzen


def test_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    header = "UID\tfield\tlinguistics_term\tsentence_good\tsentence_bad\n"
    for folder, name, text in (
        ("blimp", "blimp.tsv", f"{header}x\ty\tz\tGood one.\tBad one.\n"),
        ("marvin_linzen", "pairs.tsv", "template\tcase\tgood\tbad\nt\tc\tg h\tb b\nt\td\té\te\n"),
    ):  # fmt: skip
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text, encoding="utf-8")
    blimp = load_blimp()
    assert (blimp.good, blimp.bad, blimp.paradigm, blimp.term) == (["Good one."], ["Bad one."], ["x"], ["z"])
    assert blimp.DESCR.startswith("Load BLiMP")
    pairs = load_marvin_linzen()
    assert (pairs.good, pairs.bad) == (["g h", "é"], ["b b", "e"])
    assert (pairs.template, pairs.case) == (["t", "t"], ["c", "d"])


def test_files_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"blimp\.tsv is missing: put it there"):
        load_blimp()
    monkeypatch.delenv("FASTRNN_DATA")
    with pytest.raises(FileNotFoundError, match="set the environment variable FASTRNN_DATA"):
        load_marvin_linzen()


def test_real_data(data_dir):
    blimp = load_blimp()
    assert set(collections.Counter(blimp.paradigm).values()) == {1000}
    assert len(set(blimp.paradigm)) == 67
    assert len(set(blimp.term)) == 13
    pairs = load_marvin_linzen()
    assert len(pairs.good) == len(pairs.bad) == 25884
    assert pairs.template.count("simple_agrmt") == 140
    assert len(set(pairs.template)) == 22
    same = [good == bad for good, bad in zip(blimp.good + pairs.good, blimp.bad + pairs.bad, strict=True)]
    assert sum(same) == 7  # so it is published
    assert all(blimp.good + blimp.bad + pairs.good + pairs.bad)
