"""Arguments of the kernels of `fastrnn.cuda.arrays`."""

from fastrnn.cuda import arrays
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector, matrix = array(number, 1), array(number, 2)
    return {
        arrays._add: [(vector, vector, vector)],
        arrays._add_product: [(vector, vector, vector)],
        arrays._add_sums: [(matrix, array(number, 3))],
        arrays._copy_columns: [(matrix, matrix, 0, 0, 0)],
        arrays._fill: [(vector, number(0))],
        arrays._find_non_finite: [(array("int32", 1), vector)],
        arrays._multiply: [(matrix, matrix, matrix)],
        arrays._repeat: [(matrix, matrix, 0)],
        arrays._scale: [(vector, vector, number(0))],
    }
