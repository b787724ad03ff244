"""Arguments of the kernels of `fastrnn.cuda.attention`."""

from fastrnn.cuda import attention
from tests.cuda.compiling import array


def arguments(number):
    """Return the arguments of each kernel."""
    vector, matrix = array(number, 1), array(number, 2)
    spans, rows = array("int32", 2), array("int32", 1)
    found = {attention.attend: [], attention.attend_backward: [], attention._add_source_gradients: []}
    for score in (vector, None):
        inputs, slopes = (matrix, matrix, matrix, matrix, score, spans), None if score is None else matrix
        found[attention.attend].append((matrix, *inputs, 0, 0, 0, 0))
        found[attention.attend_backward].append((matrix, matrix, None, matrix, *inputs, 0, 0, 0, 0))
        found[attention._add_source_gradients].append(
            (matrix, matrix, slopes, matrix, matrix, matrix, matrix, matrix, score, spans, rows, rows)
        )
    found[attention.attend_backward].append((matrix, None, matrix, matrix, *inputs, 0, 0, 0, 0))
    return found
