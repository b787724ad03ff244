"""Arguments of the kernels of `fastrnn.cuda.persistent_gated`."""

from fastrnn.cells._cell import declared
from fastrnn.cuda.persistent_gated import gated_backward_steps, gated_forward_steps
from tests.cuda.arguments.persistent_kernels import both_directions

SPILLS = {"gated_forward_steps": 64, "gated_backward_steps": 64}  # as in `persistent_kernels`


def cell_arguments(number, cell, precision):
    """Return the arguments for a cell with a gated product."""
    if not declared(cell, "gated_slots"):
        return {}
    forward, backward, _ = both_directions(number, cell, precision)
    return {gated_forward_steps: forward, gated_backward_steps: backward}
