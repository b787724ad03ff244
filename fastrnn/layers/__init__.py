"""Layers: objects that hold parameters and gradients and call kernels, with torch's names, shapes and gate order."""

from fastrnn.cells import CELLS
from fastrnn.layers.attention import Attention, AttentionMemory
from fastrnn.layers.crf import CRF
from fastrnn.layers.decoder import Decoder
from fastrnn.layers.dense import Dense
from fastrnn.layers.dropout import Dropout
from fastrnn.layers.embedding import Embedding
from fastrnn.layers.gradcheck import gradcheck
from fastrnn.layers.penalties import activity_penalty, temporal_activity_penalty
from fastrnn.layers.pooling import EmbeddingBag, Pooling
from fastrnn.layers.recurrent import Recurrent
from fastrnn.layers.rnn import GRU, LSTM, RNN
from fastrnn.layers.softmax import Softmax
from fastrnn.utils.recurrent import Inputs as Embedded

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "AttentionMemory",
    "Decoder",
    "Dense",
    "Dropout",
    "Embedded",
    "Embedding",
    "EmbeddingBag",
    "Pooling",
    "Recurrent",
    "Softmax",
    "activity_penalty",
    "cells",
    "gradcheck",
    "temporal_activity_penalty",
]


def cells():
    """Return the names of all cells, with a line about each.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> from fastrnn.layers import cells
    >>> sorted(cells())[:4]
    ['gru', 'gru_layer_norm', 'gru_reset_before', 'gru_simple']
    """
    return {name: type(cell).__doc__.split("\n")[0].rstrip(".:") for name, cell in CELLS.items()}
