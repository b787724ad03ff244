"""Layers: objects that hold parameters and gradients and call kernels, with torch's names, shapes and gate order."""

from fastrnn.layers.dense import Dense
from fastrnn.layers.dropout import Dropout
from fastrnn.layers.embedding import Embedding
from fastrnn.layers.recurrent import GRU, LSTM, RNN, Recurrent
from fastrnn.layers.softmax import Softmax

__all__ = ["GRU", "LSTM", "RNN", "Dense", "Dropout", "Embedding", "Recurrent", "Softmax"]
