"""Arguments of the kernels of `fastrnn.cuda.penalties`."""

from fastrnn.cuda import penalties
from tests.cuda.compiling import array

DOUBLE = {"_add_changes": "sums over a whole batch"}


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    sums = array("float64", 1)
    scalar = number(0)
    return {
        penalties._add_changes: [(sums, vector, 0)],
        penalties._write_slopes: [(vector, vector, scalar, 0)],
    }
