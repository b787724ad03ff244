import os

import pytest

from fastrnn.datasets import load_dates, load_eng_fra, load_g2p

PARTS = ("train", "dev", "test")
needs_data = pytest.mark.skipif("FASTRNN_DATA" not in os.environ, reason="needs the real data")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder that FASTRNN_DATA names."""
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    for name in ("dates", "sigmorphon2021_g2p", "eng_fra"):
        (tmp_path / name).mkdir()
    return tmp_path


@needs_data
def test_dates_have_their_published_sizes():
    bunch = load_dates()
    assert [len(bunch[part].data) for part in ("train", "test")] == [45_000, 5_000]
    assert {len(date) for part in ("train", "test") for date in bunch[part].target} == {10}
    assert bunch.train.data[0] == "september 27, 1994"


@needs_data
@pytest.mark.parametrize(
    ("language", "sizes"),
    [("english", (33_344, 4_168, 4_168)), ("french", (8_000, 1_000, 1_000)), ("greek", (800, 100, 100)),
     ("hungarian", (8_000, 1_000, 1_000)), ("italian", (800, 100, 100)), ("japanese", (8_000, 1_000, 1_000))],
)  # fmt: skip
def test_pronunciations_have_their_published_sizes(language, sizes):
    bunch = load_g2p(language)
    assert tuple(len(bunch[part].data) for part in PARTS) == sizes
    for part in PARTS:
        assert all(bunch[part].data)
        assert all(bunch[part].target)


@needs_data
def test_an_english_sentence_is_in_one_part_only():
    bunch = load_eng_fra()
    sentences = [{text.lower().rstrip(".!?") for text in bunch[part].sentences} for part in PARTS]
    assert sum(len(bunch[part].data) for part in PARTS) == 5_000
    assert sum(map(len, sentences)) == len(set().union(*sentences))
    assert 0.08 < len(sentences[2]) / sum(map(len, sentences)) < 0.12
    assert all("tatoeba.org" in text for text in bunch.train.attribution)


def test_dates_lose_their_padding(folder):
    lines = ["6/1/09      _2009-06-01", "may 3, 1990 _1990-05-03"] * 22_500 + ["9 JUN 2001  _2001-06-09"]
    (folder / "dates/dates.txt").write_text("\n".join(lines) + "\n")
    bunch = load_dates()
    assert bunch.train.data[:2] == ["6/1/09", "may 3, 1990"]
    assert bunch.train.target[:2] == ["2009-06-01", "1990-05-03"]
    assert (bunch.test.data, bunch.test.target) == (["9 JUN 2001"], ["2001-06-09"])
    assert bunch.DESCR.startswith("Load 50,000 dates")


def test_phones_are_separated_by_spaces(folder):
    for part in PARTS:
        (folder / f"sigmorphon2021_g2p/jpn_hira_{part}.tsv").write_text(f"あ{part}\ta̠ i\n", encoding="utf-8")
    bunch = load_g2p("japanese")
    assert (bunch.dev.data, bunch.dev.target) == (["あdev"], [["a̠", "i"]])


def test_translations_of_a_sentence(folder):
    rows = [(f"Sentence {n}.", f"Phrase {n}, {k}.", f"by {n}{k}") for n in range(60) for k in range(1 + n % 3)]
    (folder / "eng_fra/eng-fra.txt").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    bunch = load_eng_fra()
    found = []
    for part in (bunch[name] for name in PARTS):
        assert part.sentences
        expected = [[french for english, french, _ in rows if english == sentence] for sentence in part.sentences]
        assert part.references == expected
        found += zip(part.data, part.target, part.attribution, strict=True)
    assert sorted(found) == sorted(rows)


def test_unknown_language():
    with pytest.raises(ValueError, match=r"^language must be one of 'english', .*, got 'englsh': did you mean"):
        load_g2p("englsh")


@pytest.mark.parametrize(
    ("load", "file"), [(load_dates, r"dates\.txt"), (load_g2p, r"eng_us_train\.tsv"), (load_eng_fra, r"eng-fra\.txt")]
)
def test_missing_files_are_named(load, file, folder):
    with pytest.raises(OSError, match=rf"{file} is missing: put it there"):
        load()
