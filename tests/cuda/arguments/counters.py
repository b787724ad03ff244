"""Arguments of the kernels of `fastrnn.cuda.counters`."""

import numpy as np

from fastrnn.cuda import counters
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    matrix = array(number, 2)
    ids = array("int32", 1)
    scalar = number(0)
    return {
        counters._drop: [(matrix, matrix, scalar, np.uint64(0), 0, ids, ids)],
        counters._write_mask: [(matrix, scalar, np.uint64(0), 0, ids, ids)],
    }
