"""Estimators of whole sequences as ONNX files: reading, network and prediction in one graph."""

import json

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.exchange._onnx import Graph, add_recurrent, check_layer
from fastrnn.text.tokens import NGRAM_MULTIPLIER, UNK_ID
from fastrnn.utils.use import GuardedMixin

_OPSET_OF_XOR = 18


class OnnxMixin(GuardedMixin):
    """The estimator as an ONNX file."""

    def to_onnx(self, path):
        """Write the fitted model to an ONNX file (needs the package onnx); see `fastrnn.exchange` for its graph.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is replaced whole or not at all.

        Raises
        ------
        ValueError
            ONNX has no such model: zoneout, a cell with layer normalization or with peepholes that all see the
            previous state.
        ImportError
            The package onnx is not installed.
        """
        check_is_fitted(self, "network_")
        (_write_recurrent if "recurrent" in self.network_.layers else _write_averaging)(self, path)


def _write_recurrent(model, path):
    """Write a fitted `RNNClassifier` or `RNNRegressor` to an ONNX file."""
    layers = model.network_.layers
    check_layer(layers["recurrent"])
    graph = Graph()
    x, lengths, alive = _read(graph, model)
    if "embedding" in layers:
        x = graph.add("Gather", graph.constant(layers["embedding"].state_dict()["weight"]), x, axis=0)
    else:
        x = standardized(graph, x, model.learned.reader)
    rows = graph.add("Transpose", x, perm=[1, 0, 2])  # (T, B, D)
    # The runtime refuses sequences without steps: they get one here, which pooling leaves out.
    steps = graph.add("Cast", graph.add("Max", lengths, integer(graph, [1])), to=graph.kind(np.int32))
    y, _ = add_recurrent(graph, layers["recurrent"], rows, steps)
    _predict(graph, model, _pooled(graph, layers["pooling"], y, lengths, alive), path)


def _write_averaging(model, path):
    """Write a fitted `MeanEmbeddingClassifier` to an ONNX file."""
    network, (fewest, most) = model.network_, model.learned.reader.options["ngram_range"]
    graph = Graph(opset=17 if most == 1 else _OPSET_OF_XOR)
    ids, _, alive = _read(graph, model)
    known = graph.add("And", alive, graph.add("Not", graph.add("Equal", ids, integer(graph, UNK_ID))))
    bags = [(ids, known)] if fewest == 1 else []
    bags += [bag for n, bag in _ngrams(graph, model, ids, known, most) if n >= fewest]
    weight = graph.constant(network.get_arrays()["embedding.weight"])
    sums, counts = zip(*(sum_of_vectors(graph, weight, *bag) for bag in bags), strict=True)
    count = graph.add("Max", graph.add("Sum", *counts), graph.constant(np.float32(1)))
    h = graph.add("Div", graph.add("Sum", *sums), count)
    for layer, _ in network.hidden:
        h = graph.add("Relu", dense(graph, h, layer))
    _predict(graph, model, h, path)


def _ngrams(graph, model, ids, known, most):
    """Yield, for each n from 2 on, n and the names of the ids (B, T - n + 1) of n-grams, and whether they count.

    The ids are those of `fastrnn.estimators.sequences.add_ngrams`.
    """
    words = hashes = graph.add("Cast", ids, to=graph.kind(np.uint64))
    complete, multiplier = known, graph.constant(NGRAM_MULTIPLIER)
    for n in range(2, most + 1):
        before, last = (0, -1), (n - 1, np.iinfo(np.int64).max)
        hashes = graph.add("Mul", _columns(graph, hashes, *before), multiplier)
        hashes = graph.add("BitwiseXor", hashes, _columns(graph, words, *last))
        complete = graph.add("And", _columns(graph, complete, *before), _columns(graph, known, *last))
        mixed = graph.add("BitShift", graph.add("Mul", hashes, multiplier), graph.constant(np.uint64(32)),
                          direction="RIGHT")  # fmt: skip
        bucket = graph.add("Mod", mixed, graph.constant(np.uint64(model.learned.reader.options["n_buckets"])))
        bucket = graph.add("Cast", bucket, to=graph.kind(np.int64))
        yield n, (graph.add("Add", bucket, integer(graph, len(model.vocabulary_))), complete)


def _columns(graph, x, begin, end):
    return graph.add("Slice", x, *(integer(graph, [value]) for value in (begin, end, 1)))


def sum_of_vectors(graph, weight, ids, counts):
    """Return the names of the sum (B, D) of the vectors of the ids (B, T) that count, and of their number."""
    vectors = graph.add("Gather", weight, ids, axis=0)
    masked = graph.add("Where", with_axis(graph, counts, 2), vectors, graph.constant(np.float32(0)))
    number = graph.add("ReduceSum", graph.add("Cast", counts, to=graph.kind(np.float32)), integer(graph, [1]))
    return graph.add("ReduceSum", masked, integer(graph, [1]), keepdims=0), number  # (B, D), (B, 1)


def _read(graph, model):
    """Add the inputs; return the names of the sequences that they hold.

    Returns
    -------
    x : str
        Ids (B, T), or steps (B, T, D); zeros after the end of a sequence.
    lengths : str
        (B,) of int64, of at most `max_length`.
    alive : str
        Whether each step (B, T) is before the end of its sequence.
    """
    is_series = model.learned.reader.vocabulary is None
    if is_series:
        x = graph.input("series", np.float32, ("B", "T", model.n_features_in_))
    else:
        x = graph.input("tokens", np.int64, ("B", "T"))
    lengths = graph.input("lengths", np.int64, ("B",))
    n_steps, places = step_places(graph, x, axis=1)
    most = model.learned.reader.options["max_length"]
    if most is not None:
        whole, lengths = lengths, graph.add("Min", lengths, integer(graph, [most]))
        if model.learned.reader.options["truncation"] == "start":
            x = _shifted(graph, x, places, n_steps, graph.add("Sub", whole, lengths), model)
    alive = graph.add("Less", with_axis(graph, places, 0), with_axis(graph, lengths, 1))
    mask, zero = (with_axis(graph, alive, 2), np.float32(0)) if is_series else (alive, np.int64(0))
    return graph.add("Where", mask, x, graph.constant(zero)), lengths, alive


def step_places(graph, x, axis):
    """Return the names of the number of steps of x, and of their indices from 0 on."""
    n_steps = graph.add("Gather", graph.add("Shape", x), integer(graph, axis), axis=0)
    return n_steps, graph.add("Range", integer(graph, 0), n_steps, integer(graph, 1))


def _shifted(graph, x, places, n_steps, starts, model):
    """Move each sequence of x so that it begins at its step of `starts` (B,)."""
    moved = graph.add("Add", with_axis(graph, places, 0), with_axis(graph, starts, 1))
    moved = graph.add("Min", moved, graph.add("Sub", n_steps, integer(graph, [1])))  # (B, T)
    if model.learned.reader.vocabulary is None:
        moved = graph.add("Expand", with_axis(graph, moved, 2), graph.add("Shape", x))
    return graph.add("GatherElements", x, moved, axis=1)


def standardized(graph, x, reader):
    """Standardize series in float64, as the reader does."""
    x = graph.add("Cast", x, to=graph.kind(np.float64))
    x = graph.add("Div", graph.add("Sub", x, graph.constant(reader.mean)), graph.constant(reader.scale))
    return graph.add("Cast", x, to=graph.kind(np.float32))


def _pooled(graph, pooling, y, lengths, alive):
    """Pool the steps of y (T, B, H); return the name of (B, H)."""
    alive = with_axis(graph, graph.add("Transpose", alive, perm=[1, 0]), 2)  # (T, B, 1)
    zero, over_steps = graph.constant(np.float32(0)), integer(graph, [0])
    if pooling.pooling == "max":
        most = graph.add("ReduceMax", graph.add("Where", alive, y, graph.constant(np.float32(-np.inf))), axes=[0],
                         keepdims=0)  # fmt: skip
        is_empty = graph.add("Equal", lengths, integer(graph, [0]))
        return graph.add("Where", with_axis(graph, is_empty, 1), zero, most)
    if pooling.pooling == "last":
        return graph.add("ReduceSum", _last_steps(graph, pooling, y, lengths, alive), over_steps, keepdims=0)
    y = graph.add("Where", alive, y, zero)
    if pooling.pooling == "mean":
        counts = graph.add("Cast", graph.add("Max", lengths, integer(graph, [1])), to=graph.kind(np.float32))
        return graph.add("Div", graph.add("ReduceSum", y, over_steps, keepdims=0), with_axis(graph, counts, 1))
    hidden = graph.add("Tanh", dense(graph, y, pooling))
    scores = graph.add("MatMul", hidden, graph.constant(pooling.state_dict()["context"].T))  # (T, B, 1)
    scores = graph.add("Where", alive, scores, graph.constant(np.float32(-1e30)))
    return graph.add("ReduceSum", graph.add("Mul", y, graph.add("Softmax", scores, axis=0)), over_steps, keepdims=0)


def _last_steps(graph, pooling, y, lengths, alive):
    """Return the outputs (T, B, H) with zeros at all steps but the last that each direction reads."""
    places = with_axis(graph, step_places(graph, y, axis=0)[1], 1)  # (T, 1)
    ends = [graph.add("Sub", lengths, integer(graph, [1])), integer(graph, [0])][: 1 + pooling.bidirectional]
    sizes = graph.constant(np.full(len(ends), pooling.size // len(ends)))
    parts = graph.add("Split", y, sizes, outputs=len(ends), axis=2)
    chosen = [
        graph.add("Where", graph.add("And", with_axis(graph, graph.add("Equal", places, end), 2), alive), part,
                  graph.constant(np.float32(0)))
        for end, part in zip(ends, parts, strict=True)
    ]  # fmt: skip
    return graph.add("Concat", *chosen, axis=2)


def _predict(graph, model, h, path):
    """Add the output layer and the predictions, and write the graph."""
    target, size, metadata = model.learned.target, model.learned.target.n_outputs, {}
    outputs = dense(graph, h, model.network_.layers["output"])
    if target.kind == "values":
        shape = ("B",) if target.n_dims == 1 else ("B", size)
        graph.output(unstandardized(graph, outputs, target, axis=1), "values", np.float32, shape)
    else:
        is_one = target.kind == "classes"
        probabilities = graph.add("Softmax", outputs, axis=1) if is_one else graph.add("Sigmoid", outputs)
        graph.output(probabilities, "probabilities", np.float32, ("B", size))
        metadata["classes"] = json.dumps(target.get_learned()[0]["classes"]["values"] if is_one else list(range(size)))
    if hasattr(model, "vocabulary_"):
        metadata["vocabulary"] = json.dumps(model.vocabulary_.tokens)
    graph.write(path, metadata)


def unstandardized(graph, outputs, target, axis):
    """Return the values that outputs stand for; those of one dimension lose the axis."""
    outputs = graph.add("Cast", outputs, to=graph.kind(np.float64))
    outputs = graph.add("Mul", outputs, graph.constant(target.scale))
    outputs = graph.add("Cast", graph.add("Add", outputs, graph.constant(target.mean)), to=graph.kind(np.float32))
    return graph.add("Squeeze", outputs, integer(graph, [axis])) if target.n_dims == 1 else outputs


def dense(graph, x, layer):
    arrays = layer.state_dict()
    return graph.dense(x, arrays["weight"], arrays["bias"])


def integer(graph, value):
    return graph.constant(np.array(value, np.int64))


def with_axis(graph, x, axis):
    return graph.add("Unsqueeze", x, integer(graph, [axis]))
