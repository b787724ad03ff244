"""Arguments of the kernels of `fastrnn.cuda.generation_kernel`."""

import numpy as np

from fastrnn.cells._cell import count_units
from fastrnn.cuda import generation_kernel
from tests.cuda.arguments import is_one_product
from tests.cuda.arguments.drawing import a_drawing
from tests.cuda.compiling import array

DOUBLE = {"_generate": "sums of probabilities are of float64, as on the CPU"}
THREADS = {"_generate": generation_kernel._THREADS}


def cell_arguments(number, cell, precision):
    """Return the arguments of each kernel that takes a cell."""
    # The kernel has no precision: CI, which compiles few cells in each, is spared the others.
    if not is_one_product(cell) or (number == np.float32 and precision != "medium"):
        return {}
    vector, matrix, cube = array(number, 1), array(number, 2), array(number, 3)
    network = generation_kernel.Network(vector, vector, cube, matrix, vector, vector, matrix, 0, 0, 0, 0)
    units = cube if count_units(cell) else None
    return {
        generation_kernel._generate: [
            (array("int32", 2), network, units, cell, a_drawing(number), vector, array("float64", 2), array("int32", 1))
        ]
    }
