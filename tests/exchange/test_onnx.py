"""What cannot be written as ONNX; `tests/parity/test_exchange.py` runs what can."""

import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fastrnn import RNNClassifier, RNNRegressor
from fastrnn.exchange import to_onnx
from fastrnn.exchange._onnx import _library
from fastrnn.layers import GRU, LSTM, Recurrent


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Recurrent("lstm_layer_norm", 3, 4), r"cell must be one of \(.*\) for ONNX, got 'lstm_layer_norm'"),
        (LSTM(3, 4, proj_size=2), "proj_size must be 0 for ONNX, .* got 2"),
        (GRU(3, 4, zoneout=0.1), r"zoneout must be 0 for ONNX, .* got 0\.1"),
    ],
)
def test_layers_that_onnx_has_not(layer, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        to_onnx(layer, tmp_path / "layer.onnx")
    assert not list(tmp_path.iterdir())


def test_classifiers_that_onnx_has_not(tmp_path):
    with pytest.raises(NotFittedError):
        RNNRegressor().to_onnx(tmp_path / "model.onnx")
    weights = {"rnn.weight_ih_l0": np.ones((4, 3)), "rnn.weight_hh_l0": np.ones((4, 4)), "head.weight": np.ones((2, 4)),
               "head.bias": np.ones(2)}  # fmt: skip
    recurrent = RNNClassifier.from_torch(weights, [0, 1], zoneout=0.25)
    with pytest.raises(ValueError, match=r"zoneout must be 0 for ONNX, .* got 0\.25"):
        recurrent.to_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_package(monkeypatch, tmp_path):
    _library.cache_clear()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"ONNX files need the package onnx: pip install onnx$"):
        to_onnx(GRU(3, 4), tmp_path / "layer.onnx")
    _library.cache_clear()
