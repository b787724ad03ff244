"""Arguments of the kernels of `fastrnn.cuda.losses`."""

from fastrnn.cuda import losses
from tests.cuda.compiling import array

DOUBLE = dict.fromkeys(["_binary", "_categorical", "_squared"], "losses are float64 for users")


def arguments(number):
    """Return the arguments of each kernel."""
    matrix = array(number, 2)
    rows = array("int64", 1)
    sums = array("float64", 1)
    targets = array("float64", 2)
    return {
        losses._binary: [(sums, matrix, matrix, targets, sums), (sums, None, matrix, targets, sums)],
        losses._categorical: [(sums, matrix, matrix, rows, sums), (sums, None, matrix, rows, sums)],
        losses._squared: [(sums, matrix, matrix, targets, sums), (sums, None, matrix, targets, sums)],
    }
