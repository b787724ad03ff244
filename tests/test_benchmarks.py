"""Benchmarks that need no other program, on small sizes; what they measure of memory holds on every machine."""

import numpy as np

from benchmarks import first_use, growth, large_vocabulary


def test_memory_at_prediction_does_not_grow_with_the_steps():
    """But for the numbers of rows in the order of a batch, of 4 bytes each, which are kept for the next such batch."""
    growth.kept_megabytes(200, 4, 1, False, size=32)  # compiles
    kept = {steps: growth.kept_megabytes(steps, 4, 1, False, size=32) for steps in (200, 800)}
    assert growth.kept_megabytes(800, 4, 1, True, size=32) > 4 * kept[800]
    assert 0 <= 1e6 * (kept[800] - kept[200]) < 16 * 600 * 4


def test_memory_of_training_is_bounded_by_the_truncation():
    peaks = {sizes: growth.peak_megabytes(*sizes, batch=8, size=32) for sizes in ((350, 35), (1400, 35), (1400, 140))}
    assert peaks[1400, 35] < 1.3 * peaks[350, 35]
    assert peaks[1400, 140] > 2 * peaks[1400, 35]


def test_growth_is_printed_and_drawn(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(growth, "SERIES", {"T": (1, 2), "B": (1, 2), "layers": (1, 2)})
    monkeypatch.setattr(growth, "interleaved", lambda calls, repeats: ([[call() or 0.5 for call in calls]], None))
    series = growth.growth(threads=1, repeats=1)
    assert series["T"]["time"] == [500.0, 500.0]
    growth.plot(series, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(growth, "BATCHES", ((2, 3, 4, 5),))
    growth.two_threads(repeats=1)
    growth.fixed_cost(threads=1, repeats=1)
    out = capsys.readouterr().out
    assert "LSTM 2x3x4x5" in out
    assert "GRU training: 500000 of 500000 microseconds" in out


def test_the_work_is_not_part_of_the_first_use():
    assert first_use.beyond_the_work({"seconds": {"first fit": 20.0, "fit again": 0.5}}) == 19.5


def test_large_vocabularies_are_measured():
    found = {kind: large_vocabulary.measure(kind, 300, 9, 2, "sgd") for kind in ("full", "adaptive")}
    assert found["adaptive"]["parameters"] < found["full"]["parameters"]
    assert found["full"]["seconds"] > 0
    ids, counts = large_vocabulary.make_text(300, 5000)
    assert counts.argmax() == np.bincount(ids).argmax()
