"""Weights to and from torch and Keras, and networks as ONNX files.

A layer's `state_dict` and `load_state_dict` are torch's already. Recurrent language models, classifiers and regressors
have ``to_torch``, ``from_torch``, ``to_keras``, ``from_keras`` and ``to_onnx`` as methods, taggers and
`RNNStepRegressor` ``to_onnx``, `RNNTranslator` ``to_torch``, ``from_torch`` and ``to_onnx``, `RNNCaptioner`
``to_onnx``. Only ONNX files need another library (package onnx).

The ONNX graph of a classifier or regressor has the inputs

- ``series`` (B, T, D) of float32, which the graph standardizes; or for texts and tokens ``tokens`` (B, T) of int64, ids
  in the order of ``vocabulary_.tokens``;
- ``lengths`` (B,) of int64, the steps of each sequence, which may be 0. The graph reads as many as `max_length` allows.

B and T are open, and T is at least 1. Steps beyond the end of a sequence may hold anything. The output is
``probabilities`` (B, K) as from `predict_proba`, or for a regressor ``values``, (B,) or (B, K), as from `predict`; both
are float32. The metadata holds JSON: ``classes``, a list in the order of the outputs, and ``vocabulary``, the list of
tokens.

The graph of an `RNNTagger` or `RNNStepRegressor` has the same inputs; it reads all steps. For tokens, further inputs
of int64 belong to the model's parts: ``characters`` (B, T, C), the ids of each token's characters, 2 for the first of
``characters`` in the metadata, 1 for others (or of its n-grams), with their numbers ``character_lengths`` (B, T);
``shapes`` (B, T), 1 for the first of ``shapes`` in the metadata, 0 for others; and ``column_1`` (B, T) and so on,
places in the list of that name. The output is

- ``emissions`` (B, T, K), in the order of ``classes`` in the metadata, which are labels of the ``scheme`` there; and
  with a CRF or a scheme ``transitions`` (K, K), ``start_transitions`` and ``end_transitions`` (K,), minus infinity
  where the scheme allows none. A `fastrnn.layers.CRF` that has loaded these three finds the best paths:
  ``layer.decode(emissions.swapaxes(0, 1), lengths)``;
- ``probabilities`` (B, T, K) for several labels at each step;
- ``values``, (B, T) or (B, T, K), of an `RNNStepRegressor`.

An `RNNTranslator` and an `RNNCaptioner` have two graphs, in float32. That of the encoder reads sources: ``tokens``
(B, S) of int64, or the captioner's ``vectors`` (B, S, D) of float32, as `fit` took them, and ``lengths`` (B,) of int64,
1 for a single vector. Its outputs are the decoder's initial states, ``h0`` and for an LSTM ``c0`` (layers, B, H), and
with attention ``values`` (B, S, M) and, unless it is "dot", ``keys`` (B, S, A). These are inputs of the graph of a
step, beside ``lengths`` and ``tokens`` (B,), the last token of each target. Its outputs are ``log_probs`` (B, V);
``hn`` and ``cn``, which are ``h0`` and ``c0`` of the next step; and with attention its ``weights`` (B, S). The
metadata has ``vocabulary``, the tokens in the order of their ids, and for a step the ids of the first token, ``start``,
and of the last, ``end``. The other ids below 4 are special tokens, which a search must not write;
`RNNTranslator.predict` finds ``<unk>`` too, where attention replaces it.

>>> import json, pathlib, tempfile
>>> import pytest
>>> onnx = pytest.importorskip("onnx")
>>> from fastrnn import MeanEmbeddingClassifier
>>> model = MeanEmbeddingClassifier(n_buckets=100, max_iter=1).fit(["a fine film", "so dull"], ["+", "-"])
>>> with tempfile.TemporaryDirectory() as folder:
...     model.to_onnx(pathlib.Path(folder, "model.onnx"))
...     written = onnx.load(pathlib.Path(folder, "model.onnx"))
>>> {entry.key: json.loads(entry.value) for entry in written.metadata_props}["classes"]
['+', '-']
>>> [value.name for value in written.graph.input], [value.name for value in written.graph.output]
(['tokens', 'lengths'], ['probabilities'])
"""

from fastrnn.exchange._keras import from_keras, to_keras
from fastrnn.exchange._onnx import to_onnx

__all__ = ["from_keras", "to_keras", "to_onnx"]
