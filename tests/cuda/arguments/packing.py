"""Arguments of the kernels of `fastrnn.cuda.packing`."""

from fastrnn.cuda import packing
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    matrix = array(number, 2)
    ids = array("int32", 1)
    return {
        packing._gather: [(matrix, matrix, None, 0, 0, 0, 0), (matrix, matrix, ids, 0, 0, 0, 0)],
    }
