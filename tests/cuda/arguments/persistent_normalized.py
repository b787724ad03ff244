"""Arguments of the kernels of `fastrnn.cuda.persistent_normalized`."""

from fastrnn.cells._cell import declared
from fastrnn.cuda.persistent_normalized import normalized_backward_steps, normalized_forward_steps
from tests.cuda.arguments.persistent_kernels import both_directions

# The GRU has none. The LSTM has most with 14 parameters of a unit: forward in "medium", backward in "high".
SPILLS = {"normalized_forward_steps": 128, "normalized_backward_steps": 320}


def cell_arguments(number, cell, precision):
    """Return the arguments for a normalized cell."""
    if not declared(cell, "normalized"):
        return {}
    forward, backward, _ = both_directions(number, cell, precision)
    return {normalized_forward_steps: forward, normalized_backward_steps: backward}
