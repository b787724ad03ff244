"""Layers: objects that hold parameters and gradients and call kernels, with torch's names, shapes and gate order."""

from fastrnn.layers.dropout import Dropout
from fastrnn.layers.recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Dropout"]
