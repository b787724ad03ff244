"""Arguments of the kernels of `fastrnn.cuda.dense`."""

from fastrnn.cuda import dense
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    matrix = array(number, 2)
    return {
        dense._activate: [(vector, 0)],
        dense._activation_gradient: [(vector, vector, vector, 0)],
        dense._by_rows: [(matrix, matrix, matrix, vector), (matrix, matrix, matrix, None)],
        dense._write_to_rows: [(matrix, vector)],
    }
