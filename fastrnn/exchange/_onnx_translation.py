"""Estimators that write sequences as ONNX files: a graph that encodes sources, and one that writes a token of each."""

import json
import os

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.exchange._onnx import Graph, add_recurrent, check_layer
from fastrnn.exchange._onnx_sequences import dense, integer, standardized, with_axis
from fastrnn.exchange._onnx_steps import add_mask, looked_up, masked
from fastrnn.layers import Recurrent
from fastrnn.text.tokens import END_ID, START_ID
from fastrnn.utils.use import GuardedMixin

_FAR = np.float32(-1e30)  # the score of a vector behind the end of a source


class OnnxWriterMixin(GuardedMixin):
    """The estimator as ONNX files."""

    def to_onnx(self, encoder, step):
        """Write the fitted model to two ONNX files (needs the package onnx); see `fastrnn.exchange` for their graphs.

        One graph encodes sources. The other reads a token of each target and gives the distribution of the next: a
        loop outside the graph searches.

        Parameters
        ----------
        encoder, step : str or os.PathLike
            The files of both graphs. Each is replaced whole or not at all.

        Raises
        ------
        ValueError
            Both files are the same one, or ONNX has no such model: zoneout, a cell with layer normalization or with
            peepholes that all see the previous state.
        ImportError
            The package onnx is not installed.
        """
        check_is_fitted(self, "network_")
        if os.path.abspath(encoder) == os.path.abspath(step):
            raise ValueError(f"step must be another file than encoder, got {os.fspath(step)!r} for both.")
        network, metadata = self.network_, {}
        layers = _recurrent_layers(network.decoder)
        if _reads_tokens(network):
            layers.append(network.recurrent)
            metadata = _plain(vocabulary=self.source_vocabulary_.tokens)
        for layer in layers:
            check_layer(layer)
        _encoder_graph(self, network).write(encoder, metadata)
        metadata = _plain(vocabulary=self.target_vocabulary_.tokens, start=START_ID, end=END_ID)
        _step_graph(network).write(step, metadata)


def _plain(**metadata):
    return {name: json.dumps(value) for name, value in metadata.items()}


def _reads_tokens(network):
    """Return whether a network's sources are tokens rather than vectors."""
    return hasattr(network, "recurrent")


def _recurrent_layers(decoder):
    return [part for part in decoder.parts() if isinstance(part, Recurrent)]


def _encoder_graph(model, network):
    """Return the graph of the encoder, and of the bridge to the decoder."""
    graph, attention = Graph(), network.decoder.attention
    values, summary = _read_tokens(graph, network) if _reads_tokens(network) else _read_vectors(graph, model, network)
    for name, layers in zip(network.decoder.cell.states, network.bridge, strict=True):
        rows = [with_axis(graph, graph.add("Tanh", dense(graph, summary, layer)), 0) for layer in layers]
        state = graph.add("Concat", *rows, axis=0)
        graph.output(state, f"{name}0", np.float32, (len(layers), "B", network.decoder.hidden_size))
    if attention is not None:
        graph.output(values, "values", np.float32, ("B", "S", attention.memory_size))
        if attention.score != "dot":
            keys = graph.dense(values, attention.state_dict()["weight_memory"])
            graph.output(keys, "keys", np.float32, ("B", "S", attention.attention_size))
    return graph


def _read_tokens(graph, network):
    """Add the encoder of tokens; return the names of the memory (B, S, M) and of the summary (B, ·)."""
    encoder = network.recurrent
    ids, lengths = graph.input("tokens", np.int64, ("B", "S")), graph.input("lengths", np.int64, ("B",))
    x = looked_up(graph, network.embedding, masked(graph, ids, add_mask(graph, ids, lengths)))
    # The runtime refuses sequences without steps: they get one here, whose results are left out.
    steps = graph.add("Cast", graph.add("Max", lengths, integer(graph, [1])), to=graph.kind(np.int32))
    y, finals = add_recurrent(graph, encoder, graph.add("Transpose", x, perm=[1, 0, 2]), steps)
    has_steps = with_axis(graph, graph.add("Greater", lengths, integer(graph, 0)), 1)
    summary = graph.add("Where", has_steps, _last_layer(graph, encoder, finals[0]), graph.constant(np.float32(0)))
    return graph.add("Transpose", y, perm=[1, 0, 2]), summary


def _read_vectors(graph, model, network):
    """Add the encoder of vectors; return the names of the memory (B, S, M) and of the summary (B, M)."""
    reader, zero = model.learned.reader, graph.constant(np.float32(0))
    x = graph.input("vectors", np.float32, ("B", "S", reader.n_features))
    lengths = graph.input("lengths", np.int64, ("B",))
    alive = with_axis(graph, add_mask(graph, x, lengths), 2)
    x = standardized(graph, graph.add("Where", alive, x, zero), reader)
    for layer, _ in network.hidden:
        x = graph.add("Relu", dense(graph, x, layer))
    total = graph.add("ReduceSum", graph.add("Where", alive, x, zero), integer(graph, [1]), keepdims=0)
    count = graph.add("Cast", graph.add("Max", lengths, integer(graph, [1])), to=graph.kind(np.float32))
    return x, graph.add("Div", total, with_axis(graph, count, 1))


def _last_layer(graph, encoder, h):
    """Return the states (B, ·) of the last layer in all directions side by side; h is those of all layers."""
    n = encoder.directions
    last = graph.add("Slice", h, integer(graph, [-n]), integer(graph, [np.iinfo(np.int64).max]), integer(graph, [0]))
    last = graph.add("Transpose", last, perm=[1, 0, 2])
    return graph.add("Reshape", last, integer(graph, [-1, n * encoder.hidden_size]))


def _step_graph(network):
    """Return the graph of one step of the decoder."""
    graph, decoder = Graph(), network.decoder
    layers = _recurrent_layers(decoder)
    x = looked_up(graph, network.target_embedding, graph.input("tokens", np.int64, ("B",)))
    shape = (len(layers), "B", decoder.hidden_size)
    states = [graph.input(f"{name}0", np.float32, shape) for name in decoder.cell.states]
    states = _split_layers(graph, states, len(layers))
    attend = _attention(graph, decoder.attention)
    context = None
    if attend and decoder.input_feeding:
        context = attend(_without_steps(graph, states[0][0]))
    finals, h = [], x
    for k, layer in enumerate(layers):
        rows = _joined(graph, h, context)
        below, (h, final) = h, _one_step(graph, layer, rows, states[k])
        h = graph.add("Add", h, below) if decoder.residual and k > 0 else h
        finals.append(final)
        if attend and context is None:
            context = attend(h)
    for name, *parts in zip(decoder.cell.states, *finals, strict=True):
        together = graph.add("Concat", *parts, axis=0)
        graph.output(together, f"{name}n", np.float32, shape)
    readout = graph.add("Tanh", dense(graph, _joined(graph, h, context), network.readout))
    log_probs = graph.add("LogSoftmax", dense(graph, readout, network.head.layer), axis=-1)
    graph.output(log_probs, "log_probs", np.float32, ("B", network.head.layer.num_classes))
    return graph


def _split_layers(graph, states, n_layers):
    """Return the names of the states (1, B, H) of each layer."""
    parts = [graph.add("Split", state, integer(graph, [1] * n_layers), outputs=n_layers, axis=0) for state in states]
    return list(zip(*parts, strict=True))


def _one_step(graph, layer, x, states):
    """Return h (B, H) after a step of a layer that reads x (B, D), and its states (1, B, H)."""
    y, finals = add_recurrent(graph, layer, with_axis(graph, x, 0), "", list(states))
    return _without_steps(graph, y), finals


def _joined(graph, h, context):
    return h if context is None else graph.add("Concat", h, context, axis=1)


def _without_steps(graph, x):
    return graph.add("Squeeze", x, integer(graph, [0]))


def _attention(graph, layer):
    """Return a function that adds a read of the memory and returns the context (B, M) of queries (B, Q), or None.

    It also makes the weights (B, S) an output.
    """
    if layer is None:
        return None
    arrays = layer.state_dict()
    values = graph.input("values", np.float32, ("B", "S", layer.memory_size))
    keys = values
    if layer.score != "dot":
        keys = graph.input("keys", np.float32, ("B", "S", layer.attention_size))
    alive = add_mask(graph, values, graph.input("lengths", np.int64, ("B",)))

    def attend(queries):
        if layer.score == "additive":
            queries = graph.dense(queries, arrays["weight_query"], arrays["bias"])
            hidden = graph.add("Tanh", graph.add("Add", keys, with_axis(graph, queries, 1)))
            scores = graph.add("MatMul", hidden, graph.constant(arrays["score"]))
        else:
            scores = graph.add("MatMul", keys, with_axis(graph, queries, 2))
            scores = graph.add("Squeeze", scores, integer(graph, [2]))
        weights = graph.add("Softmax", graph.add("Where", alive, scores, graph.constant(_FAR)), axis=1)
        weights = graph.add("Where", alive, weights, graph.constant(np.float32(0)))  # a source without tokens
        graph.output(weights, "weights", np.float32, ("B", "S"))
        return graph.add("Squeeze", graph.add("MatMul", with_axis(graph, weights, 1), values), integer(graph, [1]))

    return attend
