"""Arguments of the kernels of `fastrnn.cuda.stacked_layers`."""

from fastrnn.cells._cell import count_units
from fastrnn.cuda import stacked_layers
from tests.cuda.arguments import is_one_product
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel that takes no cell."""
    vector, matrix, gates = array(number, 1), array(number, 2), array("int32", 2)
    return {
        stacked_layers._begin_vectors: [(matrix, array(number, 3), 0, 0, 0)],
        stacked_layers._stack_weights: [
            (matrix, matrix, matrix, vector, vector, gates, 0, 0),
            (matrix, matrix, None, None, None, gates, 0, 0),
            (matrix, matrix, None, vector, None, gates, 0, 0),
        ],
    }


def cell_arguments(number, cell, precision):
    """Return the arguments of each kernel that takes a cell."""
    if not is_one_product(cell):
        return {}
    matrix, cube = array(number, 2), array(number, 3)
    units = cube if count_units(cell) else None
    return {stacked_layers._step: [(matrix, matrix, matrix, cube, units, cell, 0, 0, 0)]}
