"""Arguments of the kernels of `fastrnn.cuda.rows`."""

from fastrnn.cuda import rows
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    matrix, ids = array(number, 2), array("int32", 1)
    words = [array("int32", 2), array("int64", 2)]
    return {
        rows._add: [(matrix, ids, matrix)],
        rows._assign: [(word, ids, word) for word in words],
        rows._gather: [(matrix, matrix, None, 0, 0, 0, 0), (matrix, matrix, ids, 0, 0, 0, 0)],
        rows._fill: [(matrix, ids, number(0))],
        rows._take: [(word, word, ids) for word in words],
    }
