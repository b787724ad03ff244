"""Arguments of the kernels of `fastrnn.cuda.clipping`."""

from fastrnn.cuda import clipping
from tests.cuda.compiling import array

DOUBLE = {"_squares": "a norm is a sum over all parameters"}


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    rows = array("int64", 1)
    sums = array("float64", 1)
    scalar = number(0)
    return {
        clipping._clip: [(vector, None, 0, 0, scalar), (vector, rows, 0, 0, scalar)],
        clipping._scale: [(vector, None, 0, 0, scalar), (vector, rows, 0, 0, scalar)],
        clipping._squares: [(sums, vector, None, 0, 0), (sums, vector, rows, 0, 0)],
    }
