"""Weights of recurrent layers in Keras' form: transposed, gates in another order, one bias for both products."""

import numpy as np

from fastrnn.cells import CELLS
from fastrnn.layers import Recurrent
from fastrnn.utils.arrays import keras_weights

# Gates in Keras' order by our names; irnn is an RNN with a rectifier.
_GATES = {"rnn": "h", "rnn_relu": "h", "irnn": "h", "gru": "zrn", "gru_reset_before": "zrn", "lstm": "ifgo"}


def to_keras(layer):
    """Return the weights of a recurrent layer in Keras' form.

    Parameters
    ----------
    layer : Recurrent
        An `RNN` (Keras' SimpleRNN), `GRU` (with ``reset_after`` as there) or `LSTM` of any number of layers and
        directions.

    Returns
    -------
    list of ndarray
        Kernel (D, G·H), recurrent kernel (H, G·H) and, if there is one, bias, for each layer and direction (Keras'
        Bidirectional), one after the other, for ``set_weights`` of these layers. The bias is the sum of both biases,
        (G·H,), except for a GRU with ``reset_after``: (2, 3·H).

    Raises
    ------
    ValueError
        Keras has no such layer.

    Examples
    --------
    >>> from fastrnn.exchange import to_keras
    >>> from fastrnn.layers import GRU
    >>> [weight.shape for weight in to_keras(GRU(3, 5, random_state=0))]
    [(3, 15), (5, 15), (2, 15)]
    """
    name, arrays, weights = _keras_name(layer), layer.state_dict(), []
    for suffix in _suffixes(layer):
        rows = _gate_rows(layer, name)
        parameters = {
            key: arrays[f"{key}_{suffix}"][rows] for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            if f"{key}_{suffix}" in arrays
        }  # fmt: skip
        weights += [parameters["weight_ih"].T.copy(), parameters["weight_hh"].T.copy()]
        if layer.bias:
            biases = parameters["bias_ih"], parameters["bias_hh"]
            weights.append(np.stack(biases) if name == "gru" else biases[0] + biases[1])
    return weights


def from_keras(layer, weights):
    """Set the parameters of a recurrent layer to weights in Keras' form.

    Parameters
    ----------
    layer : Recurrent
        As for `to_keras`, of the same sizes.
    weights : list of array-like, or Keras layer
        The weights that ``get_weights`` of the Keras layers returns, as from `to_keras`.

    Raises
    ------
    ValueError
        Keras has no such layer, or the number or the shapes of the weights are wrong; nothing is changed then.
    """
    name, expected = _keras_name(layer), [weight.shape for weight in to_keras(layer)]
    weights = keras_weights(weights)
    given = [weight.shape for weight in weights]
    if given != expected:
        raise ValueError(f"weights must have the shapes {expected}, got {given}.")
    back, state_dict, weights = np.argsort(_gate_rows(layer, name)), {}, iter(weights)
    for suffix in _suffixes(layer):
        state_dict[f"weight_ih_{suffix}"] = next(weights).T[back]
        state_dict[f"weight_hh_{suffix}"] = next(weights).T[back]
        if layer.bias:
            bias = next(weights)
            both = bias if name == "gru" else (bias, np.zeros_like(bias))
            state_dict[f"bias_ih_{suffix}"], state_dict[f"bias_hh_{suffix}"] = (part[back] for part in both)
    layer.load_state_dict({**layer.state_dict(), **state_dict})  # keeps learned initial states


def keras_parts(weights, whole_sequences=False):
    """Return the arrays of a network by our names, and its cell.

    Parameters
    ----------
    weights : list of array-like, or Keras model
        Of an Embedding, of one or more SimpleRNN, GRU or LSTM, and of a Dense layer.
    whole_sequences : bool
        As in `fastrnn.exchange._torch.find_parts`.

    Returns
    -------
    parts : dict of str to ndarray
        As from `fastrnn.exchange._torch.find_parts`.
    cell : str
    """
    weights = [np.asarray(weight, np.float32) for weight in keras_weights(weights)]
    embeds = 1 if not whole_sequences or len(weights) % 3 == 0 else 0
    n_triples, rest = divmod(len(weights) - 2 - embeds, 3)
    if n_triples < 1 or rest:
        embedding, sizes = ("an Embedding (of texts)", "5, 6, 8, 9") if whole_sequences else ("an Embedding", "6, 9")
        raise ValueError(
            f"weights must be those of {embedding}, of one or more recurrent layers with biases and of a Dense layer: "
            f"{sizes}, … arrays, got {len(weights)}."
        )
    *recurrent, kernel, bias = weights[embeds:]
    hidden = len(recurrent[1])
    gates = recurrent[1].shape[1] // hidden
    if gates not in (1, 3, 4):
        columns = recurrent[1].shape[1]
        raise ValueError(f"weights[{1 + embeds}] must have 1, 3 or 4 times {hidden} columns, got {columns}.")
    directions = 2 if whole_sequences and len(kernel) == 2 * hidden else 1
    cell = {1: "rnn", 3: "gru" if recurrent[2].ndim == 2 else "gru_reset_before", 4: "lstm"}[gates]
    layer = Recurrent(cell, len(recurrent[0]), hidden, max(1, n_triples // directions), bidirectional=directions == 2)
    from_keras(layer, recurrent)
    parts = {f"recurrent.{name}": array for name, array in layer.state_dict().items()}
    parts |= {"embedding.weight": weights[0]} if embeds else {}
    return {**parts, "output.weight": kernel.T, "output.bias": bias}, cell


def find_name(layer):
    """Return the name of a layer's cell, or None for a user-defined cell."""
    return next((name for name, cell in CELLS.items() if cell is layer.cell or type(cell) is type(layer.cell)), None)


def _keras_name(layer):
    name = find_name(layer)
    if name not in _GATES:
        raise ValueError(f"Keras has no layer with the cell {name or layer.cell!r}: only with {', '.join(_GATES)}.")
    odd = (("a projection", layer.proj_size), ("residual connections", layer.residual), ("zoneout", any(layer.zoneout)))
    for what, used in odd:
        if used:
            raise ValueError(f"Keras has no recurrent layer with {what}.")
    return name


def _suffixes(layer):
    """Return the names of the layers and directions."""
    ends = ("", "_reverse")[: layer.directions]
    return [f"l{k}{end}" for k in range(layer.num_layers) for end in ends]


def _gate_rows(layer, name):
    """Return the rows of the gates in Keras' order."""
    rows = np.arange(len(layer.cell.gates) * layer.hidden_size).reshape(-1, layer.hidden_size)
    return rows[[layer.cell.gates.index(gate) for gate in _GATES[name]]].reshape(-1)
