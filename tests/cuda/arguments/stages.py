"""Arguments of the kernels of `fastrnn.cuda.stages`."""

from fastrnn.cells._cell import count_units, declared
from fastrnn.cuda import stages
from tests.cuda.compiling import array

LAYOUT = stages.NormalizedLayout(0, 0, 0, 0, 0)


def arguments(number):
    """Return the arguments of the kernels that take no cell."""
    matrix, cube = array(number, 2), array(number, 3)
    return {
        stages.finish_projection: [
            (cube, mask, mask, update, 0, 0, 0, 0, 0) for mask, update in ((None, cube), (matrix, None), (matrix, cube))
        ],
        stages.mask_gradients: [(cube, matrix, matrix, 0)],
        stages.mask_states: [(matrix, cube, matrix)],
        stages.projection_backward: [
            (matrix, cube, None, None, None, 0, 0, 0, 0),
            (matrix, cube, matrix, matrix, cube, 0, 0, 0, 0),
        ],
        stages.standardize_inputs: [(matrix, matrix, LAYOUT, 0, 0, 0)],
    }


def cell_arguments(number, cell, precision):
    """Return the arguments for a cell: without regularization, and with all of it and a projection."""
    matrix, cube = array(number, 2), array(number, 3)
    units, d_units = (matrix, cube) if count_units(cell) else (None, None)
    table = {}
    if declared(cell, "gated_slots"):
        table[stages.gate_states] = [(matrix, matrix, cube, cell, mask, 0, 0, 0) for mask in (None, matrix)]
        table[stages.gate_states_backward] = [
            (matrix, matrix, cube, cube, cell, mask, 0, 0, 0) for mask in (None, matrix)
        ]
    for raw, mask, update in ((None, None, None), (matrix, matrix, cube)):
        upper = matrix if declared(cell, "standardized_state") is not None else None
        carried = update
        forward, backward = (matrix, cube, mask, raw), (cube, d_units, matrix, raw, mask, carried)
        if declared(cell, "normalized"):
            step = *forward, upper, matrix, cell, units, mask, update, LAYOUT, 0, 0, 0
            step_backward = (
                matrix,
                cube,
                upper,
                matrix,
                *backward,
                matrix,
                cell,
                units,
                mask,
                update,
                LAYOUT,
                0,
                0,
                0,
                0,
            )
            table.setdefault(stages.normalized_step, []).append(step)
            table.setdefault(stages.normalized_step_backward, []).append(step_backward)
        else:
            table.setdefault(stages.cell_step, []).append((*forward, cell, units, mask, update, 0, 0, 0, 0))
            table.setdefault(stages.cell_step_backward, []).append(
                (matrix, cube, *backward, cell, units, mask, update, 0, 0, 0, 0)
            )
    return table
