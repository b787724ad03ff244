"""Gradients of layers on the GPU against differences, in float64."""

import numpy as np
import pytest

from fastrnn.layers import GRU, LSTM, RNN, Recurrent, gradcheck


@pytest.mark.parametrize("kind", [LSTM, GRU, RNN])
def test_gradients_of_small_layers(kind):
    layer = kind(2, 3, dtype="float64", random_state=0, device="cuda")
    gradcheck(layer, np.random.default_rng(0).standard_normal((3, 2, 2)), lengths=[3, 2], n_directions=1)


@pytest.mark.gpu
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "lstm_layer_norm", "gru_reset_before"])
def test_gradients_of_deep_layers(cell):
    layer = Recurrent(cell, 17, 33, 2, bidirectional=True, dropout=0.2, recurrent_dropout=0.2, zoneout=0.1,
                      dtype="float64", random_state=0, device="cuda")  # fmt: skip
    lengths = [12] * 5 + [7, 3, 0, 1]
    gradcheck(layer, np.random.default_rng(0).standard_normal((12, len(lengths), 17)), lengths=lengths)
