"""Arguments of the kernels of `fastrnn.cuda.pooling`."""

from fastrnn.cuda import pooling
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    matrix = array(number, 2)
    ids = array("int32", 1)
    places = array("int32", 2)
    return {
        pooling._center: [(matrix, matrix)],
        pooling._give_last: [(matrix, matrix, ids, 0)],
        pooling._give_maxima: [(matrix, matrix, places)],
        pooling._give_mean: [(matrix, matrix, ids)],
        pooling._give_shares: [(matrix, vector, matrix, vector, matrix, ids)],
        pooling._maxima: [(matrix, places, matrix, ids)],
        pooling._mean: [(matrix, matrix, ids)],
        pooling._share: [(matrix, matrix, ids)],
        pooling._take_last: [(matrix, matrix, ids, 0)],
        pooling._weigh: [(matrix, matrix, matrix, ids)],
    }
