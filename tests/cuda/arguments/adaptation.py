"""Arguments of the kernels of `fastrnn.cuda.adaptation`."""

from fastrnn.cuda import adaptation
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    scalar = number(0)
    return {
        adaptation._adapt: [
            (vector, vector, vector, None, (scalar,) * 4),
            (vector, vector, vector, vector, (scalar,) * 4),
        ],
    }
