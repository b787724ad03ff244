"""The parameters of a direction of a recurrent layer: names, shapes and initial values."""

import numbers

from fastrnn.cells import CELLS
from fastrnn.cells._cell import declared
from fastrnn.layers.dropout import check_probability
from fastrnn.layers.initializers import initialize
from fastrnn.utils.checks import check_choice, shown


def find_cell(cell):
    """Return a cell by its name, or the cell itself: an instance of your own cell class."""
    if not isinstance(cell, str):
        if hasattr(cell, "forward") and hasattr(cell, "slots"):
            return cell
        raise ValueError(f"cell must be a name or an instance of a cell class, got {shown(cell)}.")
    check_choice("cell", cell, sorted(CELLS))
    return CELLS[cell]


def check_projection(cell, given, proj_size, hidden_size):
    """Raise ValueError unless a cell, which was `given`, may have a projection of its hidden units to this size."""
    if not isinstance(proj_size, numbers.Integral) or not 0 <= proj_size < hidden_size:
        raise ValueError(f"proj_size must be an integer from 0 to hidden_size - 1, got {shown(proj_size)}.")
    if proj_size and (len(cell.states) < 2 or declared(cell, "gated_slots")):
        raise ValueError(f"proj_size needs a cell that has a state besides h, got {shown(given)}.")


def zoneout_rates(cell, zoneout):
    """Return the probability of zoneout for each state of a cell, from one or from one for each."""
    rates = tuple(zoneout) if isinstance(zoneout, tuple | list) else (zoneout,) * len(cell.states)
    if len(rates) != len(cell.states):
        raise ValueError(f"zoneout must be a number or one for each of {cell.states}, got {shown(zoneout)}.")
    return tuple(check_probability("zoneout", rate) for rate in rates)


def initial_parameters(layer, columns):
    """Return the initial parameters of a direction of a `Recurrent` layer.

    Parameters
    ----------
    layer : Recurrent
    columns : int
        Columns of the direction's input.

    Returns
    -------
    dict of str to float64 array
        Torch's names without the layer and the direction.
    """
    shapes = _shapes(layer, columns)
    unknown = layer.initializers.keys() - shapes.keys() - {"bias_ih", "bias_hh"}
    if unknown:
        raise ValueError(f"initializers must name parameters of the cell, {sorted(shapes)}, got {sorted(unknown)}.")
    values = {
        name: initialize(layer.initializers.get(name, "uniform"), shape, layer.hidden_size, layer.random_state)
        for name, shape in shapes.items()
    }
    if layer.forget_bias is not None:
        _open_forget_gate(values, layer)
    return values


def _shapes(layer, columns):
    cell, hidden, output = layer.cell, layer.hidden_size, layer.proj_size or layer.hidden_size
    recurrent = len(cell.recurrent_slots) + len(declared(cell, "gated_slots"))
    shapes = {"weight_ih": (len(cell.gates) * hidden, columns)}
    if recurrent:
        shapes["weight_hh"] = (recurrent * hidden, output)
    if layer.bias and not declared(cell, "normalized"):
        shapes["bias_ih"] = (len(cell.gates) * hidden,)
        if recurrent:
            shapes["bias_hh"] = (recurrent * hidden,)
    for name, vectors in declared(cell, "parameters"):
        shapes[name] = (vectors * hidden,)
    if layer.proj_size:
        shapes["weight_hr"] = (output, hidden)
    return shapes


def _open_forget_gate(values, layer):
    """Start the forget gate open: its two biases sum to `forget_bias`."""
    if "f" not in layer.cell.gates or "bias_ih" not in values:
        raise ValueError("forget_bias needs a cell with a gate 'f' and biases.")
    first = layer.cell.gates.index("f") * layer.hidden_size
    values["bias_ih"][first : first + layer.hidden_size] = layer.forget_bias
    values["bias_hh"][first : first + layer.hidden_size] = 0
