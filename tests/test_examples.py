"""The examples run, and show what they promise."""

import os
import pathlib
import re
import runpy
import sys

import numpy as np
import pytest
from matplotlib.image import imread

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def test_hello(capsys):
    runpy.run_path(EXAMPLES / "hello.py")
    assert capsys.readouterr().out.endswith("-> hello\n")


def test_compare_language_models(capsys):
    content = runpy.run_path(EXAMPLES / "compare_language_models.py")
    out = capsys.readouterr().out
    assert {result.kind for result in content["results"]} == {"ngram", "rnn"}
    for result in content["results"]:
        # Better than chance, worse than the text would be to someone who knows it.
        assert 5 < result.test_perplexity < len(content["vocabulary"]) / 3
        assert f"\n{result.model}: {result.sample}\n" in out


def figures(name, monkeypatch, capsys, *arguments):
    """Run an example as a script; return the numbers that it prints."""
    monkeypatch.setattr("sys.argv", [name, *arguments])
    runpy.run_path(EXAMPLES / name, run_name="__main__")
    return [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?", capsys.readouterr().out)]


def test_custom_cell(monkeypatch, capsys):
    error, _, remembered = figures("custom_cell.py", monkeypatch, capsys)
    assert error < 1e-6
    assert remembered > 90


def test_four_shapes(monkeypatch, capsys):
    points, wave_error, _, majorities, parities = figures("four_shapes.py", monkeypatch, capsys)
    assert points > 85
    assert wave_error < 0.05
    assert majorities > 90
    assert parities > 90


def test_scan_rnn(capsys):
    content = runpy.run_path(EXAMPLES / "scan_rnn.py")
    assert content["scanned"].shape == content["y"].shape
    assert capsys.readouterr().out.startswith("50 steps, largest difference")


def test_which_sentence(capsys, monkeypatch):
    monkeypatch.delenv("FASTRNN_DATA", raising=False)
    content = runpy.run_path(EXAMPLES / "which_sentence.py")
    assert capsys.readouterr().out.count("100% of the pairs right") == 2
    good, bad = content["ngrams"].score_samples(content["PAIRS"][0])
    assert good > bad + 1


def test_which_sentence_of_real_text(capsys, data_dir):
    runpy.run_path(EXAMPLES / "which_sentence.py")
    share = re.search(r"    simple_agrmt: (\d+)% of (\d+)", capsys.readouterr().out)
    assert int(share[1]) > 60


def test_vanishing_gradients(capsys, monkeypatch, tmp_path):
    picture = tmp_path / "vanishing.png"
    monkeypatch.setattr(sys, "argv", ["vanishing_gradients.py", "--steps", "20", "--plot", str(picture)])
    content = runpy.run_path(EXAMPLES / "vanishing_gradients.py", run_name="__main__")
    rows = [line for line in capsys.readouterr().out.splitlines() if ", before" in line or ", after" in line]
    names = [configuration.name for configuration in content["CONFIGURATIONS"]]
    assert [row.partition(", ")[0] for row in rows] == [name for name in names for _ in range(2)]
    furthest = {row[:19].strip(): float(row[19:].split()[4]) for row in rows}  # the gradient at the last of the lags
    assert furthest["tanh RNN, before"] < 1e-30
    assert furthest["chrono LSTM, before"] > 1e-6
    assert [steps for steps, _ in content["adding"].values()] == [20] * len(names)
    assert all(0.1 < error < 1 for _, error in content["adding"].values())  # so soon, nobody does better than guessing
    assert all(len(shares) == content["MOST_NOUNS"] for shares in content["agreement"].values())
    assert imread(picture).std() > 0


def test_the_tasks_of_vanishing_gradients():
    content = runpy.run_path(EXAMPLES / "vanishing_gradients.py")
    rng = np.random.default_rng(0)
    x, target = content["adding_problem"](2000, rng)
    np.testing.assert_array_equal(x[:, :, 1].sum(0), 2)
    np.testing.assert_array_equal(x[:100, :, 1].sum(0), 1)
    assert np.mean((target - 1) ** 2) == pytest.approx(1 / 6, abs=0.02)
    for n in range(4):
        words = content["agreement_sentence"](n, rng)
        assert len(words) == 3 * n + 4
        assert words[-2] == ("are" if words[1].endswith("s") else "is")


def test_steps():
    content = runpy.run_path(EXAMPLES / "steps.py")
    assert content["whole"].score(content["X_test"], content["y_test"]) > 0.9
    assert content["right"](content["y_test"][:1], [content["labels"]]) > 0.7
    assert content["following"].score(content["X_next"], content["y_next"]) > 0.4


def test_scenes(monkeypatch, capsys, tmp_path):
    picture = tmp_path / "scenes.png"
    options = ["--pictures", "800", "--max-iter", "12", "--plot", str(picture)]
    n, n_test, windows, _, attending, one_vector = figures("scenes.py", monkeypatch, capsys, *options)[:6]
    assert (n, n_test, windows) == (800, 100, 16)
    assert attending > 20  # of hundreds of captions that the training does not have
    assert attending > one_vector
    assert imread(picture).std() > 0


def test_the_scenes():
    content, random = runpy.run_path(EXAMPLES / "scenes.py"), np.random.default_rng(0)
    square, circle = ("small", "red", "square"), ("large", "blue", "circle")
    assert content["caption"]([square, circle], True) == "a small red square above a large blue circle"
    assert content["caption"]([circle], False) == "a large blue circle"
    for is_above in (True, False):
        picture = content["draw"]([square, circle], is_above, random) - 0.5
        first, second = (np.argwhere(picture[:, :, channel] > 0.2).mean(axis=0) for channel in (0, 2))
        assert (second - first)[0 if is_above else 1] > 10
    (_, seen), (_, held_out) = (content["scenes"](200, is_held_out, random) for is_held_out in (False, True))
    assert not set(seen) & set(held_out)


def test_chorales(monkeypatch, capsys):
    """Its chorales are made up here: music21 need not be installed."""
    random = np.random.default_rng(0)
    content = runpy.run_path(EXAMPLES / "chorales.py")
    scale = [48, 52, 55, 60]
    pieces = [[(0.5 * t, 1.0, scale[(t + k) % 4]) for t in range(20)] for k in random.integers(4, size=10)]
    monkeypatch.setitem(content["main"].__globals__, "read_chorales", lambda most: pieces[:most])
    monkeypatch.setattr(sys, "argv", ["chorales.py", "--chorales", "10", "--max-iter", "30", "--quarters", "3"])
    content["main"]()
    out = capsys.readouterr().out
    assert "10 chorales, 2 of them to test on" in out
    f1_learned, f1_stayed = (float(number) for number in re.findall(r"F1 .* (0\.\d+|1\.0+)", out))
    assert f1_learned > f1_stayed
    assert out.count("\ngiven  ") == 8
    assert out.count("\ndrawn  ") == 3


def test_the_notes_of_chorales(monkeypatch):
    content = runpy.run_path(EXAMPLES / "chorales.py")
    roll = content["piano_roll"]([(0.0, 1.5, 60), (0.5, 1.0, 64), (1.0, 2.0, 70)])
    assert [content["spelled"](chord) for chord in roll] == ["C4", "C4 E4 Bb4", "Bb4"]
    assert content["spelled"](roll[0] * 0) == "rest"
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(SystemExit, match="pip install music21"):
        content["read_chorales"](1)


def test_chorales_of_music21():
    pytest.importorskip("music21")
    pieces = runpy.run_path(EXAMPLES / "chorales.py")["read_chorales"](2)
    assert len(pieces) == 2
    assert {number % 12 for _, _, number in pieces[0]} >= {0, 4, 7}  # C major, whatever its key was


def test_numbers_in_words(monkeypatch, capsys, tmp_path):
    picture = tmp_path / "why.png"
    five, six, *_ = figures("numbers_in_words.py", monkeypatch, capsys, "--numbers", "1000", "--words", "6",
                            "--hidden-size", "32", "--max-iter", "24", "--plot", str(picture))[1::2]  # fmt: skip
    assert imread(picture).std() > 0
    assert min(five, six) > 30  # as few numbers as these teach little without attention


def test_the_words_of_numbers():
    content = runpy.run_path(EXAMPLES / "numbers_in_words.py")
    assert " ".join(content["in_words"]("2000040")) == "two million forty"
    assert " ".join(content["in_words"]("119305")) == "one hundred nineteen thousand three hundred five"
    X, y = content["draw"](50, 3, 7, np.random.default_rng(0))
    assert {len(words.split()) for words in X} == set(range(3, 8))
    assert [content["in_words"](digits) for digits in y] == [words.split() for words in X]


def test_every_example_is_tested():
    tested = {
        "pronunciation.py",
        "numbers_in_words.py",
        "english_french.py",
        "dates.py",
        "chorales.py",
        "dna.py",
        "steps.py",
        "hello.py",
        "compare_language_models.py",
        "custom_cell.py",
        "entities.py",
        "four_shapes.py",
        "names.py",
        "scenes.py",
        "parts_of_speech.py",
        "scan_rnn.py",
        "sentiment.py",
        "speakers.py",
        "vanishing_gradients.py",
        "which_sentence.py",
    }
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


needs_data = pytest.mark.skipif("FASTRNN_DATA" not in os.environ, reason="needs the real data")


@needs_data
def test_sentiment(monkeypatch, capsys):
    *networks, tf_idf = figures("sentiment.py", monkeypatch, capsys, "--small")[:3]
    assert tf_idf > 60
    assert min(networks) > 55


@needs_data
def test_speakers(monkeypatch, capsys):
    right, of = figures("speakers.py", monkeypatch, capsys)
    assert right > 90
    assert of == 370


@needs_data
def test_names(monkeypatch, capsys):
    right, *_ = figures("names.py", monkeypatch, capsys, "--max-iter", "1")
    assert right > 55


@needs_data
def test_entities(monkeypatch, capsys):
    crf, network, both = figures("entities.py", monkeypatch, capsys, "--small")[:3]
    assert min(crf, network, both) > 55


@needs_data
def test_parts_of_speech(monkeypatch, capsys, tmp_path):
    picture = tmp_path / "errors.png"
    crf, *_ = figures("parts_of_speech.py", monkeypatch, capsys, "--small", "--plot", str(picture))
    assert crf > 88
    assert imread(picture).std() > 0


@needs_data
def test_dna(monkeypatch, capsys):
    bases, borders, *_ = figures("dna.py", monkeypatch, capsys, "--max-iter", "8")
    assert bases > 80
    assert borders > 40


@needs_data
def test_dates(monkeypatch, capsys):
    right, *_ = figures("dates.py", monkeypatch, capsys, "--small")
    assert right > 95


@needs_data
def test_pronunciation(monkeypatch, capsys):
    wrong, of, *_ = figures("pronunciation.py", monkeypatch, capsys, "--language", "greek", "--max-iter", "16")
    assert wrong < 40
    assert of == 100


@needs_data
def test_english_french(monkeypatch, capsys):
    _, likeness, *_ = figures("english_french.py", monkeypatch, capsys, "--max-iter", "2")
    assert likeness > 5
