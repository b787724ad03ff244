"""What the functions of this package take: a recurrent layer with arrays, or a language model with texts."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.language_model import RNNLanguageModel
from fastrnn.layers import Recurrent
from fastrnn.text import tokenize_corpus


class Inputs(NamedTuple):
    """What a recurrent layer reads.

    Attributes
    ----------
    layer : Recurrent
    sequences : list of ndarray (T_i, D)
        A language model's begin with the symbol that it reads before a text.
    tokens : list of (list of str), or None
        The tokens of each text, None for arrays.
    ids : list of ndarray, or None
        Their ids.
    """

    layer: Recurrent
    sequences: list
    tokens: list | None
    ids: list | None

    @property
    def n_before(self):
        """Steps before the first token: the symbol that begins a text."""
        return 0 if self.tokens is None else 1


def recurrent_layer(model):
    """Return the recurrent layer of a model, which may be that layer."""
    if isinstance(model, Recurrent):
        return model
    if isinstance(model, RNNLanguageModel):
        check_is_fitted(model, "network_")
        return model.network_.recurrent
    raise TypeError(f"model must be a recurrent layer or an RNNLanguageModel, got {type(model).__name__}.")


def read_inputs(model, X):
    """Return the `Inputs` of many sequences, see `hidden_states` for what X may be."""
    layer = recurrent_layer(model)
    if layer is model:
        return Inputs(layer, _read_arrays(layer, X), None, None)
    tokens = tokenize_corpus(X, **model._text_options())
    ids, offsets = model.vocabulary_.encode_corpus(tokens)
    ids = np.split(ids, offsets[1:-1]) if tokens else []
    vectors = model.network_.embedding.parameters["weight"].astype(np.float64)
    return Inputs(layer, [vectors[[model._start(), *text]] for text in ids], tokens, ids)


def read_one(model, X):
    """Return the `Inputs` of one text or of one array (T, D)."""
    if isinstance(model, Recurrent):
        X = np.asarray(X)
        if X.ndim != 2:
            raise ValueError(f"X must be one sequence (T, {model.input_size}), got an array of shape {X.shape}.")
    return read_inputs(model, [X])


def _read_arrays(layer, X):
    """Return a list of arrays (T_i, D) from such a list, or from a batch in the layer's layout."""
    if isinstance(X, np.ndarray) and X.ndim == 3 and not layer.batch_first:
        X = X.swapaxes(0, 1)
    sequences = [np.asarray(sequence, np.float64) for sequence in X]
    for b, sequence in enumerate(sequences):
        if sequence.ndim != 2 or sequence.shape[1] != layer.input_size:
            raise ValueError(f"X[{b}] must have the shape (T, {layer.input_size}), got {sequence.shape}.")
        if not np.isfinite(sequence).all():
            raise ValueError(f"X[{b}] must be finite, got NaN or infinity.")
    return sequences
