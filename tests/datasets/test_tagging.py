import os

import pytest

from fastrnn.datasets import load_btc, load_ud_ewt

PARTS = ("train", "dev", "test")


@pytest.mark.skipif("FASTRNN_DATA" not in os.environ, reason="needs the real data")
@pytest.mark.parametrize(
    ("load", "sizes", "classes"), [(load_btc, (6338, 1001, 2001), 7), (load_ud_ewt, (12544, 2001, 2077), 17)]
)
def test_sets_have_their_published_sizes(load, sizes, classes):
    bunch = load()
    assert tuple(len(bunch[part].data) for part in PARTS) == sizes
    for part in PARTS:
        assert list(map(len, bunch[part].data)) == list(map(len, bunch[part].target))
    assert len({tag for tags in bunch.train.target for tag in tags}) == classes


def test_columns_of_files(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    (tmp_path / "btc").mkdir()
    (tmp_path / "ud_ewt").mkdir()
    for part in PARTS:
        (tmp_path / f"btc/btc.{part}").write_text(f"#{part}\tB-LOC\n \nran\tO\n")
        (tmp_path / f"ud_ewt/{part}.pos").write_text(f"{part}\tNOUN\tNN\n")
    btc, ewt = load_btc(), load_ud_ewt()
    assert (btc.dev.data, btc.dev.target) == ([["#dev"], ["ran"]], [["B-LOC"], ["O"]])
    assert (ewt.test.data, ewt.test.target, ewt.test.xpos) == ([["test"]], [["NOUN"]], [["NN"]])
    assert ewt.DESCR.startswith("Load 16,622 sentences")


def test_missing_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    with pytest.raises(OSError, match=r"btc\.train is missing: put it there"):
        load_btc()
