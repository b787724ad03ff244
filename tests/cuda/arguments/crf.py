"""Arguments of the kernels of `fastrnn.cuda.crf`."""

from fastrnn.cuda import crf
from tests.cuda.compiling import array

DOUBLE = dict.fromkeys(["_add_counts", "_paths", "_sequences"], "sums over paths are float64")


def arguments(number):
    """Return the arguments of each kernel."""
    vector, matrix = array(number, 1), array(number, 2)
    numbers, rows = array("float64", 1), array("float64", 2)
    tags, lengths = array("int32", 2), array("int32", 1)
    model = (matrix, vector, vector)
    return {
        crf._add_counts: [(matrix, vector, vector, rows)],
        crf._paths: [(tags, numbers, rows, matrix, *model, lengths)],
        crf._sequences: [
            (numbers, matrix, rows, rows, rows, matrix, *model, tags, lengths, numbers),
            (numbers, rows, rows, rows, rows, matrix, *model, tags, lengths, numbers),
            (numbers, None, None, rows, None, matrix, *model, tags, lengths, numbers),
        ],
    }
