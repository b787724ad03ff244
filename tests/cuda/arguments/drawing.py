"""Arguments of the kernels of `fastrnn.cuda.drawing`."""

import numpy as np

from fastrnn.cuda import drawing
from tests.cuda.compiling import array

DOUBLE = {"_draw": "sums of probabilities"}


def a_drawing(number):
    """Return a `Drawing`."""
    matrix, keys = array(number, 2), array(f"int{8 * np.dtype(number).itemsize}", 2)
    return drawing.Drawing(matrix, keys, matrix, array("int32", 1), 0, number(1), 0, 0.5, 0)


def arguments(number):
    """Return the arguments of each kernel."""
    ids, tokens, uniforms = array("int32", 1), array("int32", 2), array("float64", 2)
    vector, matrix = array(number, 1), array(number, 2)
    return {
        drawing._draw: [(tokens, ids, matrix, a_drawing(number), bias, matrix, uniforms) for bias in (None, vector)],
    }
