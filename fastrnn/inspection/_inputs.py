"""The sequences that the recurrent layer of a model reads: a layer with arrays, or a model with texts or series."""

from typing import NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fastrnn.classification import RNNClassifier, RNNRegressor
from fastrnn.language.recurrent import RNNLanguageModel
from fastrnn.layers import Recurrent
from fastrnn.text.batching import shift_right
from fastrnn.text.tokenization import tokenize_corpus
from fastrnn.text.tokens import close_sentences
from fastrnn.translation import RNNTranslator
from fastrnn.utils.checks import shown


class Inputs(NamedTuple):
    """The sequences that a recurrent layer reads.

    Attributes
    ----------
    model : RNNLanguageModel, RNNClassifier, RNNRegressor, RNNTranslator or Recurrent
        The last step of a pipeline.
    layer : Recurrent
    sequences : list of ndarray (T_i, D)
        Those of a language model begin with the symbol that it reads before a text.
    tokens : list of (list of str), or None
        The tokens of each text, None for arrays and series.
    ids : list of ndarray, or None
        Their ids.
    n_before : int
        Steps before the first token: the symbol that begins a text of a language model.
    """

    model: object
    layer: Recurrent
    sequences: list
    tokens: list | None = None
    ids: list | None = None
    n_before: int = 0


def last_step(model, X=None):
    """Return the model at the end of a pipeline or search, and X as the steps before it transform it."""
    model = getattr(model, "best_estimator_", model)
    if not isinstance(model, Pipeline):
        return model, X
    if X is not None and len(model.steps) > 1:
        X = model[:-1].transform(X)
    return last_step(model.steps[-1][1], X)


def recurrent_layer(model):
    """Return the recurrent layer of a model, which may be that layer, or be the last step of a pipeline."""
    model, _ = last_step(model)
    if isinstance(model, Recurrent):
        return model
    if isinstance(model, RNNLanguageModel):
        check_is_fitted(model, "network_")
        return model.network_.recurrent
    if isinstance(model, RNNClassifier | RNNRegressor):
        check_is_fitted(model, "network_")
        return model.network_.layers["recurrent"]
    if isinstance(model, RNNTranslator):
        check_is_fitted(model, "network_")
        return model.network_.recurrent
    raise TypeError(
        "model must be an RNNLanguageModel, an RNNClassifier, an RNNRegressor, an RNNTranslator or a recurrent layer, "
        f"got {type(model).__name__}."
    )


def read_inputs(model, X):
    """Return the `Inputs` of many sequences; X is as in `hidden_states`."""
    model, X = last_step(model, X)
    layer = recurrent_layer(model)
    if layer is model:
        return Inputs(model, layer, _read_arrays(layer, X))
    if isinstance(model, RNNLanguageModel):
        tokens = tokenize_corpus(X, **model._text_options())
        encoded = model.vocabulary_.encode_corpus(tokens)
        inputs = [shift_right(text, model._start_id) for text in _split(*close_sentences(*encoded))]
        vectors = _vectors(model.network_)
        return Inputs(model, layer, [vectors[text] for text in inputs], tokens, _split(*encoded), n_before=1)
    reader = model.learned.reader
    if isinstance(model, RNNTranslator):
        tokens = reader.read_cut(X)
        ids, vectors = _split(*reader.side.encode(tokens, "X")), _vectors(model.network_)
        return Inputs(model, layer, [vectors[text] for text in ids], tokens, ids)
    if reader.vocabulary is None:
        series = reader.read(X)
        return Inputs(model, layer, [part.astype(np.float64) for part in _split(series.values, series.offsets)])
    tokens = reader.read_tokens(X)
    ids = _split(*model.vocabulary_.encode_corpus(tokens))
    vectors = _vectors(model.network_)
    return Inputs(model, layer, [vectors[text] for text in ids], tokens, ids)


def read_one(model, X):
    """Return the `Inputs` of one text, series or array (T, D)."""
    if isinstance(model, Recurrent):
        X = np.asarray(X)
        if X.ndim != 2:
            raise ValueError(f"X must be one sequence (T, {model.input_size}), got an array of shape {X.shape}.")
    check_one(model, X)
    return read_inputs(model, [X])


def check_one(model, text):
    """Raise ValueError if an estimator of series is given several series in place of one."""
    parts = text if isinstance(text, list | tuple) else ()
    is_several = getattr(text, "ndim", 0) > 2 or any(getattr(part, "ndim", 0) > 1 for part in parts)
    if is_several and getattr(model, "input", None) == "series":
        raise ValueError(f"text must be one series, an array (T, D) or (T,), got {shown(text)}.")


def _split(values, offsets):
    return np.split(values, offsets[1:-1]) if len(offsets) > 1 else []


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


def _vectors(network):
    """Return the vectors of all tokens, float64 (V, D)."""
    return network.get_arrays()["embedding.weight"].astype(np.float64)
