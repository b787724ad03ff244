"""Arguments of the kernels of `fastrnn.cuda.cross_entropy`."""

from fastrnn.cuda import cross_entropy
from tests.cuda.compiling import array

DOUBLE = {"_log_probs": "the probability of a target is float64 for users"}


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    matrix = array(number, 2)
    rows = array("int64", 1)
    sums = array("float64", 1)
    return {
        cross_entropy._log_probs: [
            (sums, matrix, vector, rows, weights, smoothing, 0)
            for weights, smoothing in ((None, None), (vector, None), (vector, number(0.1)))
        ],
        cross_entropy._scatter_columns: [(matrix, matrix, None, rows, 0), (matrix, matrix, matrix, rows, 0)],
        cross_entropy._softmax: [(matrix, 0)],
    }
