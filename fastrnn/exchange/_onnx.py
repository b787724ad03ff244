"""Networks as ONNX files, which run in onnxruntime and elsewhere."""

import functools

import numpy as np

from fastrnn.exchange._keras import find_name
from fastrnn.persistence import replaced_file

_OPSET, _IR_VERSION = 17, 8  # what runtimes from 2022 on read
# ONNX' operator, its order of the gates and its attributes, for each cell that it has.
_OPERATORS = {
    "rnn": ("RNN", "h", {"activations": ["Tanh"]}),
    "rnn_relu": ("RNN", "h", {"activations": ["Relu"]}),
    "irnn": ("RNN", "h", {"activations": ["Relu"]}),
    "gru": ("GRU", "zrn", {"linear_before_reset": 1}),
    "gru_reset_before": ("GRU", "zrn", {"linear_before_reset": 0}),
    "lstm": ("LSTM", "iofg", {}),
}


def to_onnx(layer, path):
    """Write a recurrent layer to an ONNX file (needs the extra ``onnx``).

    The inputs of its graph are ``x``, as in `forward`, ``lengths`` (B,) of int32, and the initial states, ``h0`` and
    for an LSTM ``c0``; its outputs ``y`` and the final states ``hn`` and ``cn``. T and B are open. Behind the end of a
    sequence y is zeros.

    Parameters
    ----------
    layer : Recurrent
        An `RNN`, `GRU` or `LSTM` of any number of layers and directions.
    path : str or os.PathLike
        The file, which is replaced whole or not at all.

    Raises
    ------
    ValueError
        ONNX has no such layer.
    ImportError
        The package onnx is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pytest
    >>> _ = pytest.importorskip("onnx")
    >>> from fastrnn.exchange import to_onnx
    >>> from fastrnn.layers import LSTM
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "layer.onnx")
    ...     to_onnx(LSTM(3, 5, bidirectional=True, random_state=0), path)
    ...     path.stat().st_size > 4 * 2 * 20 * (3 + 5 + 2)
    True
    """
    find_operator(layer)  # before anything else is needed
    graph = Graph(layer.dtype)
    shape = ("B", "T") if layer.batch_first else ("T", "B")
    x = graph.input("x", layer.dtype, (*shape, layer.input_size))
    y, states = add_recurrent(graph, layer, x)
    graph.output(y, "y", layer.dtype, (*shape, layer.output_size))
    graph.finish(layer, states, path)


def add_recurrent(graph, layer, x):
    """Add a recurrent layer to a graph; return the names of its output, and of its final states."""
    operator, gates, attributes = find_operator(layer)
    lengths = graph.input("lengths", np.int32, ("B",))
    size = layer.num_layers * layer.directions
    states = [graph.input(f"{name}0", layer.dtype, (size, "B", layer.hidden_size)) for name in layer.cell.states]
    sizes = graph.constant(np.full(layer.num_layers, layer.directions))
    parts = [graph.add("Split", state, sizes, outputs=layer.num_layers, axis=0) for state in states]
    rows = graph.add("Transpose", x, perm=[1, 0, 2]) if layer.batch_first else x
    direction = "bidirectional" if layer.bidirectional else ("reverse" if layer.reverse else "forward")
    attributes = {**attributes, "hidden_size": layer.hidden_size, "direction": direction}
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * layer.directions
    finals = []
    for k in range(layer.num_layers):
        weights = [graph.constant(array) for array in _weights(layer, k, gates)]
        weights += [""] * (3 - len(weights))  # no biases
        inputs = (rows, *weights, lengths, *(part[k] for part in parts))
        y, *final = graph.add(operator, *inputs, outputs=1 + len(states), **attributes)
        finals.append(final)
        y = _merge(graph, layer, y)
        rows = graph.add("Add", y, rows) if layer.residual and k > 0 else y
    rows = graph.add("Transpose", rows, perm=[1, 0, 2]) if layer.batch_first else rows
    return rows, [graph.add("Concat", *final, axis=0) for final in zip(*finals, strict=True)]


def _merge(graph, layer, y):
    """Put the outputs (T, directions, B, H) of the directions together."""
    if layer.directions == 1 or layer.merge == "concat":
        y = graph.add("Transpose", y, perm=[0, 2, 1, 3])
        return graph.add("Reshape", y, graph.constant(np.array([0, 0, -1])))
    y = graph.add("ReduceSum", y, graph.constant(np.array([1])), keepdims=0)
    return y if layer.merge == "sum" else graph.add("Mul", y, graph.constant(np.array(0.5, layer.dtype)))


def find_operator(layer):
    """Return ONNX' operator, order of gates and attributes; raise ValueError if it has none."""
    name = find_name(layer)
    if name not in _OPERATORS:
        cells = ", ".join(_OPERATORS)
        raise ValueError(f"ONNX has no operator for the cell {name or layer.cell!r}: only for {cells}.")
    for what, used in (("a projection", layer.proj_size), ("zoneout", any(layer.zoneout))):
        if used:
            raise ValueError(f"ONNX has no recurrent operator with {what}.")
    return _OPERATORS[name]


def _weights(layer, k, gates):
    """Return W (directions, G·H, D), R (directions, G·H, H) and, if there are biases, B (directions, 2·G·H)."""
    rows = np.arange(len(gates) * layer.hidden_size).reshape(-1, layer.hidden_size)
    rows = rows[[layer.cell.gates.index(gate) for gate in gates]].reshape(-1)
    suffixes = [f"l{k}{end}" for end in ("", "_reverse")[: layer.directions]]
    names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if layer.bias else ()))
    arrays = [np.stack([layer.parameters[f"{name}_{suffix}"][rows] for suffix in suffixes]) for name in names]
    return [*arrays[:2], np.concatenate(arrays[2:], axis=1)] if layer.bias else arrays


class Graph:
    """An ONNX graph that grows node by node."""

    def __init__(self, dtype):
        self.onnx = _library()
        self.dtype = dtype
        self.nodes, self.inputs, self.outputs, self.initializers = [], [], [], []

    def _value(self, name, dtype, shape):
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def input(self, name, dtype, shape):
        """Add an input; return its name."""
        self.inputs.append(self._value(name, dtype, shape))
        return name

    def constant(self, array):
        """Add an array; return its name."""
        name = f"constant{len(self.initializers)}"
        self.initializers.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator, *inputs, outputs=1, **attributes):
        """Add a node; return the name of its output, or the list of them."""
        names = [f"{operator.lower()}{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, names, **attributes))
        return names if outputs > 1 or operator == "Split" else names[0]

    def output(self, value, name, dtype, shape):
        """Make a value an output of the graph."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name]))
        self.outputs.append(self._value(name, dtype, shape))

    def finish(self, layer, states, path):
        """Make the final states outputs, check the graph and write it."""
        size = layer.num_layers * layer.directions
        for value, name in zip(states, layer.cell.states, strict=True):
            self.output(value, f"{name}n", layer.dtype, (size, "B", layer.hidden_size))
        helper = self.onnx.helper
        graph = helper.make_graph(self.nodes, "fastrnn", self.inputs, self.outputs, self.initializers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION, producer_name="fastrnn"
        )
        self.onnx.checker.check_model(model)
        with replaced_file(path) as temporary:
            self.onnx.save_model(model, temporary)


@functools.cache
def _library():
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError("ONNX files need the package onnx: pip install 'fastrnn[onnx]'.") from error
    return onnx
