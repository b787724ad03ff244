"""The values of the gates of a recurrent network at each token."""

from typing import NamedTuple

import numpy as np

from fastrnn.cells._cell import declared
from fastrnn.inspection._cell_gates import cell_gates
from fastrnn.inspection._coloured_text import printable
from fastrnn.inspection._display import Display, default_name, new_axes
from fastrnn.inspection._inputs import read_one
from fastrnn.inspection._unrolled import direction_index, direction_names, unroll
from fastrnn.utils.use import reads

_LABELLED_TOKENS = 80  # more would not be legible


class GateActivations(NamedTuple):
    """Result of `gate_activations`.

    Attributes
    ----------
    values : ndarray (layers · directions, G, T, H)
        The value of each gate at each token or step, for each hidden unit.
    gates : tuple of str
        The names of the G gates, in the order of the weights: ``("i", "f", "g", "o")`` for an LSTM.
    names : tuple of str
        The layers and directions as in the names of parameters: ``"l0"``, ``"l0_reverse"``, ``"l1"``, ...
    tokens : list of str or None
        The T tokens of the text; None for a series or an array.
    """

    values: np.ndarray
    gates: tuple
    names: tuple
    tokens: list | None


@reads
def gate_activations(model, text):
    """Return the values of all gates at every token of a text, or step of a series.

    They are computed in float64, with the cell's own equations from the states before each step. They are values after
    the nonlinearity: from 0 to 1 for a gate proper, from -1 to 1 for a candidate (``g`` of an LSTM, ``n`` of a GRU,
    ``h`` of a vanilla network). The symbol that a language model reads before a text is not in
    the result.

    Parameters
    ----------
    model : RNNLanguageModel, RNNClassifier, RNNRegressor, RNNTranslator or Recurrent
        A fitted model, perhaps in a pipeline, or a recurrent layer.
    text : str or list of str, or ndarray (T, D)
        One text or series, as a model reads it; one sequence for a layer.

    Returns
    -------
    GateActivations

    Examples
    --------
    >>> from fastrnn import RNNLanguageModel
    >>> from fastrnn.inspection import gate_activations
    >>> model = RNNLanguageModel("gru", 8, 8, max_iter=1, random_state=0).fit(["the cat sat", "a dog sat"] * 9)
    >>> gates = gate_activations(model, "the dog sat")
    >>> gates.tokens, gates.gates, gates.values.shape
    (['the', 'dog', 'sat'], ('r', 'z', 'n'), (1, 3, 3, 8))
    """
    inputs = read_one(model, text)
    unrolled = unroll(inputs.layer, inputs.sequences)
    values = np.stack([_gates_of(trace)[:, inputs.n_before :] for trace in unrolled.traces])
    tokens = None if inputs.tokens is None else inputs.tokens[0]
    return GateActivations(values, inputs.layer.cell.gates, direction_names(inputs.layer), tokens)


def _gates_of(trace):
    """Return the gates (G, T, H) of one direction that has read one sequence."""
    cell, parameters = trace.single.cell, trace.single.state_dict()
    units = [parameters[f"{name}_l0"].reshape(count, -1) for name, count in declared(cell, "parameters")]

    def by_gate(product, bias):
        """Return (G, T, H) of rows (T, G · H)."""
        rows = product + parameters.get(bias, 0)
        return rows.reshape(len(rows), len(cell.gates), rows.shape[1] // len(cell.gates)).swapaxes(0, 1)

    return cell_gates(
        cell,
        by_gate(trace.x[:, 0] @ parameters["weight_ih_l0"].T, "bias_ih_l0"),
        tuple(values[:, 0] for values in trace.before),
        tuple(np.concatenate(units)) if units else (),
        lambda operand: by_gate(operand @ parameters["weight_hh_l0"].T, "bias_hh_l0"),
    )


class GateActivationsDisplay(Display):
    """Chart of the gates of one layer: a panel for each gate, a row for each unit, a column for each token.

    Parameters
    ----------
    result : GateActivations
    name : str
        The model's name in the title.
    layer : str, default="l0"
        Layer and direction, one of ``result.names``.

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        One for each gate.
    axes_ : ndarray of matplotlib Axes (G,)
    figure_ : matplotlib Figure
    """

    def __init__(self, result, name, layer="l0"):
        self._index = direction_index(layer, result.names)
        super().__init__(result, name)
        self.layer = layer

    @classmethod
    def from_estimator(cls, estimator, text, *, layer="l0", name=None, **kwargs):
        """Compute the gates of a model for a text and draw them.

        Parameters
        ----------
        estimator, text
            As `model` and `text` of `gate_activations`.
        layer : str, default="l0"
            Layer and direction as in the names of parameters, ``"l1"`` or ``"l0_reverse"`` for instance.
        name : str or None, default=None
            The model's name in the title; None takes its cell's.
        **kwargs
            Options of matplotlib's ``imshow``.

        Returns
        -------
        GateActivationsDisplay
        """
        name = default_name(estimator) if name is None else name
        return cls(gate_activations(estimator, text), name, layer).plot(**kwargs)

    def plot(self, **kwargs):
        """Draw one panel for each gate, in a new figure.

        Parameters
        ----------
        **kwargs
            Options of matplotlib's ``imshow``.

        Returns
        -------
        GateActivationsDisplay
        """
        values = self.result.values[self._index]  # (G, T, H)
        gates, steps, _ = values.shape
        size = (float(np.clip(2.5 + 0.25 * steps, 5, 14)), 1 + 1.7 * gates)
        self.axes_ = new_axes(nrows=gates, sharex=True, squeeze=False, figsize=size)[:, 0]
        self.figure_ = self.axes_[0].figure
        self.figure_.suptitle(f"{self.name}, {self.layer}", parse_math=False)
        self.images_ = [
            _show_gate(ax, gate, kind, **kwargs)
            for ax, gate, kind in zip(self.axes_, values, self.result.gates, strict=True)
        ]
        if self.result.tokens is not None and steps <= _LABELLED_TOKENS:
            _label_tokens(self.axes_[-1], self.result.tokens)
        return self


def _show_gate(ax, values, kind, **kwargs):
    """Draw the values of a gate (T, H) as an image with a column for each token, and return the image.

    Values that are never negative are drawn from 0 on in one hue, others symmetrically around a neutral 0.
    """
    largest = max(1.0, abs(values).max(initial=0))
    colors = {"vmin": 0, "vmax": largest, "cmap": "viridis"}
    if values.min(initial=0) < 0:
        colors = {"vmin": -largest, "vmax": largest, "cmap": "RdBu_r"}
    image = ax.imshow(values.T, **{"aspect": "auto", "interpolation": "nearest", **colors, **kwargs})
    ax.figure.colorbar(image, ax=ax, pad=0.01)
    ax.set_ylabel(f"{kind}: units")
    return image


def _label_tokens(ax, tokens):
    """Write a token below each column of an image."""
    labels = [printable(token).replace(" ", "␣") for token in tokens]
    rotation = 90 if max(map(len, labels)) > 1 else 0
    ax.set_xticks(range(len(tokens)), labels, rotation=rotation, parse_math=False)
