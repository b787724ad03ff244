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
    several, one = (vector,) * 16, (vector,)
    return {
        clipping._clip: [(several, None, 0, scalar), (one, rows, 0, scalar)],
        clipping._scale: [(several, None, 0, scalar), (one, rows, 0, scalar)],
        clipping._squares: [(sums, several, None, 0), (sums, one, rows, 0)],
    }
