"""The benchmark against torch, on small shapes: it compares the same things, and notices when they are not."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import versus_torch  # noqa: E402
from benchmarks.versus_torch import Pair, Row  # noqa: E402

SHAPE = (6, 3, 5, 7)


@pytest.mark.parametrize("cell", versus_torch.CELLS)
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("options", [{}, {"layers": 2, "bidirectional": True}])
def test_layers_do_the_same(cell, train, options):
    pair = versus_torch.layer_pair(cell, SHAPE, 1, train, **options)
    assert len(pair.ours()) == len(pair.reference()) > 5 * train


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_ragged_batches_do_the_same(train, packed):
    pair = versus_torch.ragged_pair(1, train, packed, batch=5, inputs=4, hidden=3)
    padded = versus_torch.layer_gflop(4, 5 * len(pair.ours()[0]), 4, 3, 1, 1, train)
    assert 0 < pair.our_work < padded  # padding is no work


@pytest.mark.parametrize(("cell", "optimizer"), [("LSTM", "sgd"), ("GRU", "adam")])
def test_training_steps_do_the_same(cell, optimizer):
    pair = versus_torch.training_pair(cell, 8, 20, 5, 30, optimizer, 1e-2, 1)
    first = pair.ours(), pair.reference()
    for _ in range(12):
        ours, theirs = pair.ours(), pair.reference()
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert ours < first[0]  # it learns: this was the same batch again


def test_sampling_does_the_same():
    assert len(versus_torch.sampling_pair("LSTM", 8, 12, 1, length=9).reference()) == 9
    assert versus_torch.streams_pair("GRU", 8, 12, 1, length=9, streams=4).our_work == 36


def test_other_weights_are_noticed(monkeypatch):
    make = versus_torch.make_layers

    def spoil(*arguments):
        layer, module = make(*arguments)
        layer.parameters["weight_hh_l0"][0, 0] += 0.1
        return layer, module

    monkeypatch.setattr(versus_torch, "make_layers", spoil)
    with pytest.raises(AssertionError, match="result 0"):
        versus_torch.layer_pair("LSTM", SHAPE, 1, train=False)


def test_the_quietest_rounds_are_kept(monkeypatch):
    counter = itertools.count()

    def timing(function, calls):
        n = next(counter)
        return function(), 0.5 if n % 4 == 0 else 0.01

    monkeypatch.setattr(versus_torch, "timing", timing)
    seconds, shares = versus_torch.interleaved([lambda: 1.0, lambda: 2.0], 5)
    assert (seconds == [[1.0, 2.0]] * 5).all()
    assert (shares == 0.01).all()


def test_ratios_and_verdicts(monkeypatch, capsys):
    seconds = np.tile([4.0, 2.0, 0.5], (3, 1))  # torch, ours, the yardstick
    monkeypatch.setattr(versus_torch, "interleaved", lambda functions, repeats: (seconds, np.zeros((3, 3))))
    makes = [lambda: Pair(print, print, 8, 8), lambda: Pair(print, print, 1, 4)]
    rows = [Row("group", f"row {k}", 3.0, make, 4.0) for k, make in enumerate(makes)]
    monkeypatch.setattr(versus_torch, "table_rows", lambda threads: rows)
    first, second = results = versus_torch.compare("ROW", 1, 3)
    assert (first["ratio"], first["met"], second["ratio"], second["met"]) == (2.0, False, 8.0, True)
    assert first["our_speed"] == 4.0
    assert versus_torch.geometric_means(results) == {"group": (pytest.approx(4.0), 4.0, 2)}
    assert "1 of 2 rows" in capsys.readouterr().out
    assert versus_torch.compare("row 1", 1, 3) == [second]
