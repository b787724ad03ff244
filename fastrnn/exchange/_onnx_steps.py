"""Estimators with a prediction for each step as ONNX files: the network in one graph."""

import json

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.exchange._onnx import Graph, add_recurrent, check_layer
from fastrnn.exchange._onnx_sequences import (
    dense,
    integer,
    standardized,
    step_places,
    sum_of_vectors,
    unstandardized,
    with_axis,
)
from fastrnn.utils.use import GuardedMixin


class OnnxStepsMixin(GuardedMixin):
    """The estimator as an ONNX file."""

    def to_onnx(self, path):
        """Write the fitted model to an ONNX file (needs the package onnx); see `fastrnn.exchange` for its graph.

        The graph of a tagger computes emissions. With a CRF or a scheme, scores of transitions are outputs too, and the
        best path is found outside the graph, by `fastrnn.layers.CRF.decode` for instance.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is replaced whole or not at all.

        Raises
        ------
        ValueError
            ONNX has no such model: zoneout, a projection, a cell with layer normalization or with peepholes that all
            see the previous state.
        ImportError
            The package onnx is not installed.
        """
        check_is_fitted(self, "network_")
        network = self.network_
        check_layer(network.recurrent)
        graph = Graph()
        x, lengths, metadata = _read(graph, self)
        steps = graph.add("Cast", graph.add("Max", lengths, integer(graph, [1])), to=graph.kind(np.int32))
        y, _ = add_recurrent(graph, network.recurrent, graph.add("Transpose", x, perm=[1, 0, 2]), steps)
        outputs = graph.add("Transpose", dense(graph, y, network.layers["output"]), perm=[1, 0, 2])
        graph.write(path, {**_predict(graph, self, outputs), **metadata})


def _predict(graph, model, outputs):
    """Add the outputs of the graph; return metadata."""
    target = model.learned.target
    shape = ("B", "T", target.n_outputs)
    if target.kind == "step_values":
        if target.n_dims == 1:
            shape = shape[:2]
        graph.output(unstandardized(graph, outputs, target, axis=2), "values", np.float32, shape)
        return {}
    if target.kind == "step_labels":
        graph.output(graph.add("Sigmoid", outputs), "probabilities", np.float32, shape)
        return {"classes": json.dumps(target.classes.tolist())}
    graph.output(outputs, "emissions", np.float32, shape)
    for name, scores in model.network_.head.decoding_scores().items():
        graph.output(graph.constant(scores), name, np.float32, scores.shape)
    return {"classes": json.dumps(target.inner), "scheme": json.dumps(target.scheme)}


def _read(graph, model):
    """Add the inputs; return the names of vectors (B, T, D) and of lengths (B,), and metadata."""
    reader, tokens = model.learned.reader, model.network_.tokens
    if tokens is None:
        x = graph.input("series", np.float32, ("B", "T", reader.n_features))
        lengths = graph.input("lengths", np.int64, ("B",))
        alive = with_axis(graph, add_mask(graph, x, lengths), 2)
        x = graph.add("Where", alive, x, graph.constant(np.float32(0)))
        return standardized(graph, x, reader), lengths, {}
    ids = graph.input("tokens", np.int64, ("B", "T"))
    lengths = graph.input("lengths", np.int64, ("B",))
    alive = add_mask(graph, ids, lengths)
    layers, metadata = model.network_.layers, {"vocabulary": json.dumps(reader.vocabulary.tokens)}
    parts = [looked_up(graph, layers["embedding"], masked(graph, ids, alive))]
    if tokens.characters is not None:
        parts.append(_characters(graph, tokens.characters, ids, alive))
        metadata["characters"] = json.dumps([chr(point) for point in reader.characters.tolist()])
    if tokens.shapes is not None:
        numbers = masked(graph, graph.input("shapes", np.int64, ("B", "T")), alive)
        parts.append(looked_up(graph, tokens.shapes, numbers))
        metadata["shapes"] = json.dumps(reader.shapes)
    for k, (layer, column) in enumerate(zip(tokens.columns, reader.columns, strict=True), start=1):
        numbers = masked(graph, graph.input(f"column_{k}", np.int64, ("B", "T")), alive)
        parts.append(looked_up(graph, layer, numbers))
        metadata[f"column_{k}"] = json.dumps(column.tokens)
    return graph.add("Concat", *parts, axis=2) if len(parts) > 1 else parts[0], lengths, metadata


def add_mask(graph, x, lengths):
    """Return the name of whether each step of x (B, T, …) is before the end of its sequence, (B, T)."""
    places = with_axis(graph, step_places(graph, x, axis=1)[1], 0)
    return graph.add("Less", places, with_axis(graph, lengths, 1))


def masked(graph, ids, alive):
    """Return ids with 0 where they are beyond the end."""
    return graph.add("Where", alive, ids, integer(graph, 0))


def looked_up(graph, layer, ids):
    """Return the vectors of ids, one more axis."""
    return graph.add("Gather", graph.constant(layer.state_dict()["weight"]), ids, axis=0)


def _characters(graph, encoder, ids, alive):
    """Add the inputs of characters (B, T, C); return the vectors that the encoder makes of them, (B, T, size)."""
    points = graph.input("characters", np.int64, ("B", "T", "C"))
    counts = masked(graph, graph.input("character_lengths", np.int64, ("B", "T")), alive)
    n_points = graph.add("Gather", graph.add("Shape", points), integer(graph, [2]), axis=0)
    points = graph.add("Reshape", points, graph.add("Concat", integer(graph, [-1]), n_points, axis=0))  # (N, C)
    counts = graph.add("Reshape", counts, integer(graph, [-1]))  # (N,)
    known = add_mask(graph, points, counts)
    points = masked(graph, points, known)
    make = _states if hasattr(encoder, "recurrent") else _means
    vectors = make(graph, encoder, points, counts, known)
    shape = graph.add("Concat", graph.add("Shape", ids), integer(graph, [encoder.output_size]), axis=0)
    return graph.add("Reshape", vectors, shape)


def _states(graph, encoder, points, counts, known):
    """Return the last states of both directions that read characters, (N, 2 H)."""
    rows = looked_up(graph, encoder.embedding, graph.add("Transpose", points, perm=[1, 0]))  # (C, N, E)
    steps = graph.add("Cast", graph.add("Max", counts, integer(graph, [1])), to=graph.kind(np.int32))
    _, finals = add_recurrent(graph, encoder.recurrent, rows, steps)
    states = graph.add("Transpose", finals[0], perm=[1, 0, 2])  # (N, 2, H)
    return graph.add("Reshape", states, integer(graph, [-1, encoder.output_size]))


def _means(graph, encoder, points, counts, known):
    """Return the mean vectors of n-grams, (N, size)."""
    weight = graph.constant(encoder.embedding.state_dict()["weight"])
    total, count = sum_of_vectors(graph, weight, points, known)
    return graph.add("Div", total, graph.add("Max", count, graph.constant(np.float32(1))))
