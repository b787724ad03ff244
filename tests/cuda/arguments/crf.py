"""Arguments of the kernels of `fastrnn.cuda.crf`."""

from fastrnn.cuda import crf
from tests.cuda.compiling import array

DOUBLE = dict.fromkeys(["_add_counts", "_factors", "_paths", "_sequences"], "sums over paths are float64")


def arguments(number):
    """Return the arguments of each kernel."""
    vector, matrix = array(number, 1), array(number, 2)
    numbers, rows = array("float64", 1), array("float64", 2)
    tags, lengths = array("int32", 2), array("int32", 1)
    model = (matrix, vector, vector)
    rest = rows, numbers, tags, lengths, numbers, 0
    return {
        crf._add_counts: [(matrix, vector, vector, rows)],
        crf._factors: [(rows, numbers, matrix)],
        crf._paths: [(tags, numbers, tags, matrix, *model, lengths)],
        crf._sequences: [
            (numbers, matrix, rows, rows, rows, rows, numbers, matrix, *model, *rest),  # the gradient
            (numbers, None, None, None, None, None, None, matrix, *model, *rest),  # the loss alone
            (numbers, rows, None, rows, None, None, numbers, matrix, *model, rows, numbers, None, lengths, numbers, 0),
        ],
    }
