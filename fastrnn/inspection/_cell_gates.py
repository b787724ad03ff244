"""The gates of a cell, from its own equations on arrays."""

import numpy as np

from fastrnn.cells._cell import declared, early, forward


def has_gate_values(cell):
    """Return whether a cell keeps the values of its gates: one with layer normalization keeps what is before them."""
    return not declared(cell, "normalized")


def cell_gates(cell, z, state, units, recurrent):
    """Return the values of the gates of one step, for any number of rows.

    Parameters
    ----------
    cell : NamedTuple
    z : ndarray (slots, rows, H)
        The input's part of the pre-activations; overwritten.
    state : tuple of ndarray (rows, size of the state)
        The states before the step.
    units : tuple of ndarray (H,)
        The cell's parameters of each unit.
    recurrent : callable
        Returns the recurrent products (G, rows, H) of what it is given, an array like h.

    Returns
    -------
    ndarray (G, rows, H)
    """
    if not has_gate_values(cell):
        raise NotImplementedError(f"{type(cell).__name__}: a cell with layer normalization does not tell its gates.")
    late = declared(cell, "late_slots")
    if cell.recurrent_slots:
        z[list(cell.recurrent_slots)] += recurrent(state[0])[: len(cell.recurrent_slots)]
    if late:
        slots, operand = early(cell, tuple(z), state)
        z = np.array(slots)
        z[list(late)] += recurrent(operand)[len(cell.recurrent_slots) :]
    _, kept = forward(cell, tuple(z), state, units)
    return np.array([kept[slot] for slot in cell.input_slots])
