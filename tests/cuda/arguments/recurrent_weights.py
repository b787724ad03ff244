"""Arguments of the kernels of `fastrnn.cuda.recurrent_weights`."""

from fastrnn.cuda import recurrent_weights
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector = array(number, 1)
    matrix = array(number, 2)
    places = array("int32", 2)
    return {
        recurrent_weights._add_biases: [
            (matrix, vector, vector, places, 0),
            (matrix, vector, None, places, 0),
            (matrix, None, None, places, 0),
        ],
        recurrent_weights._add_bias_sums: [(vector, vector, vector, places, 0), (vector, None, vector, places, 0)],
    }
