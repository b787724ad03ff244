"""Arguments of the kernels of `fastrnn.cuda.reductions`."""

from fastrnn.cuda import reductions
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    matrix = array(number, 2)
    return {
        reductions._add_columns: [(vector, matrix, 0)],
    }
