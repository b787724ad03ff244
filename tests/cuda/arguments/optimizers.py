"""Arguments of the kernels of `fastrnn.cuda.optimizers`."""

from fastrnn.cuda import optimizers
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    rows = array("int64", 1)
    scalar = number(0)
    several, one = (vector,) * 16, (vector,)
    return {
        optimizers._adagrad: [(*(several,) * 3, None, 0, (scalar,) * 3), (*(one,) * 3, rows, 0, (scalar,) * 3)],
        optimizers._adam: [(*(several,) * 4, None, 0, (scalar,) * 8), (*(one,) * 4, rows, 0, (scalar,) * 8)],
        optimizers._average: [(several, several, None, 0, (scalar,))],
        optimizers._rmsprop: [
            (*(several,) * 3, None, None, 0, (scalar,) * 6),
            (*(one,) * 3, None, rows, 0, (scalar,) * 6),
            (*(several,) * 4, None, 0, (scalar,) * 6),
            (*(one,) * 4, rows, 0, (scalar,) * 6),
        ],
        optimizers._sgd: [
            (several, several, None, None, 0, (scalar,) * 3, True),
            (one, one, None, rows, 0, (scalar,) * 3, True),
            (several, several, several, None, 0, (scalar,) * 3, True),
            (one, one, one, rows, 0, (scalar,) * 3, True),
        ],
    }
