"""Arguments of the kernels of `fastrnn.cuda.embedding`."""

from fastrnn.cuda import embedding
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    matrix = array(number, 2)
    ids = array("int32", 1)
    return {
        embedding._add_partial: [(matrix, matrix, ids, ids)],
        embedding._look_up: [(matrix, matrix, ids, vector)],
        embedding._sum_pieces: [
            (matrix, matrix, matrix, ids, ids, ids, None, None),
            (matrix, matrix, matrix, ids, ids, ids, vector, ids),
        ],
    }
