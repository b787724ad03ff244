"""What cannot be written as ONNX; `tests/parity/test_exchange.py` runs what can."""

import sys

import pytest

from fastrnn.exchange import to_onnx
from fastrnn.exchange._onnx import _library
from fastrnn.layers import GRU, LSTM, Recurrent


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Recurrent("lstm_layer_norm", 3, 4), "ONNX has no operator for the cell 'lstm_layer_norm': only for rnn"),
        (LSTM(3, 4, proj_size=2), "ONNX has no recurrent operator with a projection"),
        (GRU(3, 4, zoneout=0.1), "ONNX has no recurrent operator with zoneout"),
    ],
)
def test_layers_that_onnx_has_not(layer, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        to_onnx(layer, tmp_path / "layer.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_package(monkeypatch, tmp_path):
    _library.cache_clear()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"ONNX files need the package onnx: pip install 'fastrnn\[onnx\]'"):
        to_onnx(GRU(3, 4), tmp_path / "layer.onnx")
    _library.cache_clear()
