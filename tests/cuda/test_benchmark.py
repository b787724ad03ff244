"""The benchmark against torch runs at toy sizes without torch, so that it is not broken on the day a GPU is there."""

import json

import pytest

from benchmarks import bench_cuda, cuda, cuda_host


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    sizes = {"training": (3, 7, 2, 1), "sampling": (3, 7), "length": 2, "streams": (1, 9)}
    monkeypatch.setitem(cuda.SIZES, True, {**cuda.SIZES[True], **sizes})


def test_all_parts_run_and_leave_a_table(tmp_path, capsys):
    parts = "compile,rates,layers,training,sampling,crf,attention,translator"
    arguments = ["--smoke", "--parts", parts, "--cells", "LSTM", "--precisions", "high", "--out", str(tmp_path)]
    assert cuda.main([*arguments, "--patience", "10"])
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    counts = {"rates": 2, "layers": 2, "training": 1, "sampling": 2, "crf": 2, "attention": 4, "translator": 1}
    assert [row["part"] for row in rows] == [part for part, count in counts.items() for _ in range(count)]
    assert all(row["ratio"] > 0 for row in rows)
    table, out = (tmp_path / "table.md").read_text(), capsys.readouterr().out
    for name in ("LSTM 3x2x4 high training", "LSTM 2x3, V = 7, 2x1, high", "LSTM 2x3, V = 7, 9 streams"):
        assert name in table
        assert name in out


def test_wrong_results_and_errors_are_rows_without_a_ratio(monkeypatch, capsys):
    monkeypatch.setitem(cuda.TOLERANCES, "high", 0.0)
    monkeypatch.setattr(cuda, "OurSampling", None)
    arguments = ["--smoke", "--parts", "layers,sampling", "--cells", "RNN", "--precisions", "high"]
    assert not cuda.main(arguments)
    out = capsys.readouterr().out
    assert out.count("wrong: error") == 2
    assert out.count("TypeError") == 2


def test_a_part_ends_when_its_time_is_over(monkeypatch, capsys):
    monkeypatch.setitem(cuda.LIMITS, "layers", -1)
    assert not cuda.main(["--smoke", "--parts", "layers", "--cells", "RNN", "--precisions", "high,medium"])
    assert capsys.readouterr().out.count("no time left") == 4


def test_the_history_of_speed_has_a_row_for_each_layer(monkeypatch):
    monkeypatch.setitem(bench_cuda.SHAPES, "35x20x650", (2, 1, 3))
    benchmark = bench_cuda.LayerOnGPU()
    benchmark.setup("RNN", "35x20x650", "high")
    benchmark.time_forward("RNN", "35x20x650", "high")
    benchmark.time_training("RNN", "35x20x650", "high")


def test_the_cost_of_passes_is_told_in_parts(monkeypatch, capsys):
    monkeypatch.setattr(cuda_host, "SHAPES", ((3, 2, 4),))
    cuda_host.main(["--cells", "RNN", "--calls", "1"])
    out = capsys.readouterr().out
    assert "a prepared launch" in out
    assert "RNN 3x2x4 training" in out


@pytest.mark.cpu
def test_without_a_gpu_it_is_skipped(monkeypatch):
    monkeypatch.setattr(bench_cuda, "has_gpu", lambda: False)
    for case in (bench_cuda.LayerOnGPU, bench_cuda.LanguageModelOnGPU, bench_cuda.SamplingOnGPU, bench_cuda.CRFOnGPU):
        with pytest.raises(NotImplementedError):  # which asv takes as a skip
            case().setup(*[None] * len(case.param_names))
