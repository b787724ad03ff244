"""Arguments of the kernels of `fastrnn.cuda.optimizers`."""

from fastrnn.cuda import optimizers
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    rows = array("int64", 1)
    scalar = number(0)
    return {
        optimizers._adagrad: [
            (vector, vector, vector, None, 0, 0, (scalar,) * 3),
            (vector, vector, vector, rows, 0, 0, (scalar,) * 3),
        ],
        optimizers._adam: [
            (vector, vector, vector, vector, None, 0, 0, (scalar,) * 8),
            (vector, vector, vector, vector, rows, 0, 0, (scalar,) * 8),
        ],
        optimizers._average: [(vector, vector, scalar)],
        optimizers._rmsprop: [
            (vector, vector, vector, None, None, 0, 0, (scalar,) * 6),
            (vector, vector, vector, None, rows, 0, 0, (scalar,) * 6),
            (vector, vector, vector, vector, None, 0, 0, (scalar,) * 6),
            (vector, vector, vector, vector, rows, 0, 0, (scalar,) * 6),
        ],
        optimizers._sgd: [
            (vector, vector, None, None, 0, 0, (scalar,) * 3, True),
            (vector, vector, None, rows, 0, 0, (scalar,) * 3, True),
            (vector, vector, vector, None, 0, 0, (scalar,) * 3, True),
            (vector, vector, vector, rows, 0, 0, (scalar,) * 3, True),
        ],
    }
