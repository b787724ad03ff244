"""Arguments of the kernels of `fastrnn.cuda.recurrent_attention`."""

from fastrnn.cuda import recurrent_attention
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    return {recurrent_attention._repeat: [(array(number, 2), array(number, 1))]}
