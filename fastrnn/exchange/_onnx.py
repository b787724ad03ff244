"""Networks as ONNX files, which run in onnxruntime and elsewhere."""

import functools

import numpy as np

from fastrnn.exchange._keras import find_name
from fastrnn.utils.checks import shown
from fastrnn.utils.files import replaced_file
from fastrnn.utils.optional import optional_module

_IR_VERSION = 8  # for version 17 of the operators, which runtimes from 2022 on read
# For each cell that ONNX can express: the operator, its gates in its order, and its attributes. A gate with a minus has
# negated weights: σ(−z) = 1 − σ(z). The gate "open" is always 1.
_OPERATORS = {
    "rnn": ("RNN", ("h",), {"activations": ["Tanh"]}),
    "rnn_relu": ("RNN", ("h",), {"activations": ["Relu"]}),
    "irnn": ("RNN", ("h",), {"activations": ["Relu"]}),
    "indrnn": ("RNN", ("h",), {"activations": ["Relu"]}),
    "gru": ("GRU", ("z", "r", "n"), {"linear_before_reset": 1}),
    "gru_reset_before": ("GRU", ("z", "r", "n"), {"linear_before_reset": 0}),
    "gru_simple": ("GRU", ("z", "open", "n"), {"linear_before_reset": 1}),
    "mgu": ("GRU", ("-f", "f", "n"), {"linear_before_reset": 0}),
    "lstm": ("LSTM", ("i", "o", "f", "g"), {}),
    "lstm_peephole": ("LSTM", ("i", "o", "f", "g"), {}),
    "lstm_coupled": ("LSTM", ("-f", "o", "f", "g"), {}),
}
_OPEN = 40.0  # the sigmoid of this is 1 in float32


def to_onnx(layer, path):
    """Write a recurrent layer to an ONNX file (needs the package onnx).

    The inputs of the graph are ``x``, as in `forward`, ``lengths`` (B,) of int32, and the initial states, ``h0`` and
    for an LSTM ``c0``; its outputs are ``y`` and the final states ``hn`` and ``cn``. T and B are open. After the end of
    a sequence y is zeros.

    Parameters
    ----------
    layer : Recurrent
        An `RNN`, `GRU` or `LSTM` of any number of layers and directions.
    path : str or os.PathLike
        The file, which is replaced whole or not at all.

    Raises
    ------
    ValueError
        ONNX has no such layer: one with layer normalization, a projection or zoneout, or with peepholes that all see
        the state before.
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
    check_layer(layer)  # before anything else is needed
    graph = Graph()
    shape = ("B", "T") if layer.batch_first else ("T", "B")
    x = graph.input("x", layer.dtype, (*shape, layer.input_size))
    lengths, initial = graph.input("lengths", np.int32, ("B",)), state_inputs(graph, layer)
    rows = graph.add("Transpose", x, perm=[1, 0, 2]) if layer.batch_first else x
    y, finals = add_recurrent(graph, layer, rows, lengths, initial)
    y = graph.add("Transpose", y, perm=[1, 0, 2]) if layer.batch_first else y
    graph.output(y, "y", layer.dtype, (*shape, layer.output_size))
    state_outputs(graph, layer, finals)
    graph.write(path)


def check_layer(layer):
    """Raise ValueError unless ONNX has an operator for a recurrent layer."""
    name = find_name(layer)
    if name not in _OPERATORS:
        raise ValueError(f"cell must be one of {tuple(_OPERATORS)} for ONNX, got {shown(name or layer.cell)}.")
    for name, used in (("proj_size", layer.proj_size), ("zoneout", max(layer.zoneout))):
        if used:
            raise ValueError(f"{name} must be 0 for ONNX, whose recurrent operators have no such thing, got {used}.")


def state_inputs(graph, layer):
    """Add inputs for the initial states of a recurrent layer; return their names."""
    size = layer.num_layers * layer.directions
    return [graph.input(f"{name}0", layer.dtype, (size, "B", layer.hidden_size)) for name in layer.cell.states]


def state_outputs(graph, layer, finals):
    """Make the final states of a recurrent layer outputs of the graph."""
    size = layer.num_layers * layer.directions
    for value, name in zip(finals, layer.cell.states, strict=True):
        graph.output(value, f"{name}n", layer.dtype, (size, "B", layer.hidden_size))


def add_recurrent(graph, layer, rows, lengths, initial=None):
    """Add a recurrent layer to a graph.

    Parameters
    ----------
    graph : Graph
    layer : Recurrent
        A layer that `check_layer` accepts.
    rows, lengths : str
        The names of the input (T, B, D) and of the lengths (B,) of int32.
    initial : list of str or None
        The names of the initial states, see `state_inputs`; None means zeros.

    Returns
    -------
    y : str
        The name of the output (T, B, output_size).
    finals : list of str
        The names of the final states.
    """
    operator, gates, attributes = _OPERATORS[find_name(layer)]
    direction = "bidirectional" if layer.bidirectional else ("reverse" if layer.reverse else "forward")
    attributes = {**attributes, "hidden_size": layer.hidden_size, "direction": direction}
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * layer.directions
    states, finals = _split_states(graph, layer, initial), []
    for k in range(layer.num_layers):
        w, r, b, p = [array if array is None else graph.constant(array) for array in _weights(layer, k, gates)]
        inputs = [rows, w, r, b, lengths, *states[k], *([p] if p else [])]
        y, *final = graph.add(operator, *(name or "" for name in inputs), outputs=1 + len(layer.cell.states),
                              **attributes)  # fmt: skip
        finals.append(final)
        y = _merge(graph, layer, y)
        rows = graph.add("Add", y, rows) if layer.residual and k > 0 else y
    return rows, [graph.add("Concat", *final, axis=0) for final in zip(*finals, strict=True)]


def _split_states(graph, layer, initial):
    """Return the names of the initial states of each layer, "" for zeros."""
    if initial is None:
        return [[""] * len(layer.cell.states)] * layer.num_layers
    sizes = graph.constant(np.full(layer.num_layers, layer.directions))
    parts = [graph.add("Split", state, sizes, outputs=layer.num_layers, axis=0) for state in initial]
    return list(zip(*parts, strict=True))


def _merge(graph, layer, y):
    """Merge the outputs (T, directions, B, H) of the directions."""
    if layer.directions == 1 or layer.merge == "concat":
        y = graph.add("Transpose", y, perm=[0, 2, 1, 3])
        return graph.add("Reshape", y, graph.constant(np.array([0, 0, -1])))
    y = graph.add("ReduceSum", y, graph.constant(np.array([1])), keepdims=0)
    return y if layer.merge == "sum" else graph.add("Mul", y, graph.constant(np.array(0.5, layer.dtype)))


def _weights(layer, k, gates):
    """Return ONNX' weights of a layer: W, R, B and, for peepholes, P, None where there are none.

    Their shapes are (directions, G·H, D), (directions, G·H, H), (directions, 2·G·H) and (directions, 3·H).
    """
    suffixes = [f"l{k}{end}" for end in ("", "_reverse")[: layer.directions]]
    parts = [_direction_weights(layer, suffix, gates) for suffix in suffixes]
    return [None if arrays[0] is None else np.stack(arrays) for arrays in zip(*parts, strict=True)]


def _direction_weights(layer, suffix, gates):
    """Return W, R, B and P of one direction."""
    hidden, weights = layer.hidden_size, layer.state_dict()
    arrays = {name: weights.get(f"{name}_{suffix}")
              for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole")}  # fmt: skip
    if arrays["weight_hh"].ndim == 1:  # every unit acts on itself alone
        arrays["weight_hh"] = np.diag(arrays["weight_hh"])
    zeros = np.zeros(len(layer.cell.gates) * hidden, layer.dtype)
    biases = [zeros if arrays[name] is None else arrays[name] for name in ("bias_ih", "bias_hh")]

    def by_gate(array, opened=0.0):
        blocks = dict(zip(layer.cell.gates, array.reshape(-1, hidden, *array.shape[1:]), strict=True))
        blocks["open"] = np.full_like(array[:hidden], opened)
        return np.concatenate([-blocks[gate[1:]] if gate[0] == "-" else blocks[gate] for gate in gates])

    bias = np.concatenate([by_gate(biases[0], _OPEN), by_gate(biases[1])])
    peepholes = arrays["weight_peephole"]
    if peepholes is not None:
        peepholes = peepholes.reshape(3, hidden)[[0, 2, 1]].reshape(-1)  # of i, o, f
    return by_gate(arrays["weight_ih"]), by_gate(arrays["weight_hh"]), bias, peepholes


class Graph:
    """An ONNX graph that grows node by node."""

    def __init__(self, opset=17):
        self.onnx, self.opset = _library(), opset
        self.nodes, self.inputs, self.outputs, self.initializers = [], [], [], []

    def kind(self, dtype):
        """Return ONNX' number of a type."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def _value(self, name, dtype, shape):
        return self.onnx.helper.make_tensor_value_info(name, self.kind(dtype), shape)

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

    def dense(self, x, weight, bias=None):
        """Add x·Wᵀ + b; return the name of the result."""
        y = self.add("MatMul", x, self.constant(weight.T))
        return y if bias is None else self.add("Add", y, self.constant(bias))

    def output(self, value, name, dtype, shape):
        """Make a value an output of the graph."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name]))
        self.outputs.append(self._value(name, dtype, shape))

    def write(self, path, metadata=None):
        """Check the graph and write it, with metadata: a dict of str to str."""
        helper, read = self.onnx.helper, {name for node in self.nodes for name in node.input}
        arrays = [array for array in self.initializers if array.name in read]  # runtimes warn about unused ones
        graph = helper.make_graph(self.nodes, "fastrnn", self.inputs, self.outputs, arrays)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=_IR_VERSION, producer_name="fastrnn"
        )
        helper.set_model_props(model, metadata or {})
        self.onnx.checker.check_model(model)
        with replaced_file(path) as temporary:
            self.onnx.save_model(model, temporary)


@functools.cache
def _library():
    for module in ("onnx.checker", "onnx.helper", "onnx.numpy_helper", "onnx"):
        library = optional_module(module, "ONNX files need the package")
    return library
