"""The gates of a cell, from its own equations on arrays."""

import numpy as np

from fastrnn.cells._cell import declared, forward, gate_state
from fastrnn.kernels.stages import EPSILON


def cell_gates(cell, from_input, state, units, recurrent):
    """Return the values of the gates of one step, for any number of rows.

    Parameters
    ----------
    cell : NamedTuple
    from_input : ndarray (G, rows, H)
        The part of the pre-activations that comes from the input.
    state : tuple of ndarray (rows, size of the state)
        The states before the step.
    units : tuple of ndarray (H,)
        The cell's parameters of each unit.
    recurrent : callable
        Returns the recurrent products (G, rows, H) of an array like h.

    Returns
    -------
    ndarray (G, rows, H)
    """
    z = np.zeros((len(cell.slots), *from_input.shape[1:]))
    gated = list(declared(cell, "gated_slots"))
    from_state = recurrent(state[0])[: len(cell.recurrent_slots)] if cell.recurrent_slots else 0
    if declared(cell, "normalized"):
        from_input, from_state = _standardized(from_input), _standardized(from_state)
    z[list(cell.input_slots)] += from_input
    z[list(cell.recurrent_slots)] += from_state
    if declared(cell, "normalized"):
        return np.array(cell.activations(tuple(z), units))
    if gated:
        slots, operand = gate_state(cell, tuple(z), state)
        z = np.array(slots)
        z[gated] += recurrent(operand)[len(cell.recurrent_slots) :]
    _, kept = forward(cell, tuple(z), state, units)
    return np.array([kept[slot] for slot in cell.input_slots])


def _standardized(values):
    """Return values (G, rows, H) with mean 0 and variance 1 in each row, over all gates."""
    deviations = values - values.mean(axis=(0, 2), keepdims=True)
    return deviations / np.sqrt(values.var(axis=(0, 2), keepdims=True) + EPSILON)
