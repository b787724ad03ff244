"""Penalties on activations, and their gradients, as in `fastrnn.kernels.penalties`."""

from numba import cuda
from numba.core.types import float64

from fastrnn.cuda.arrays import scale_into
from fastrnn.cuda.clipping import sum_of_squares
from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.reductions import block_sum, total


@kernel
def _add_changes(sums, y, size):
    # sums (blocks,) float64, y (T · size,)
    squares = float64(0)
    for i in range(cuda.grid(1), y.size - size, cuda.gridsize(1)):
        change = float64(y[i + size] - y[i])
        squares += change * change
    squares = block_sum(squares, cuda.shared.array(0, float64))
    if cuda.threadIdx.x == 0:
        sums[cuda.blockIdx.x] = squares


@kernel
def _write_slopes(dy, y, factor, size):
    # dy, y (T · size,)
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        slope = y.dtype.type(0)
        if i >= size:
            slope += y[i] - y[i - size]
        if i + size < y.size:
            slope -= y[i + size] - y[i]
        dy[i] = slope * factor


def activity_penalty(y, alpha):
    """Return alpha · mean(y²) as a float."""
    # y of any shape
    return sum_of_squares([y], [None]) * alpha / max(y.size, 1)


def activity_penalty_gradient(dy, y, alpha):
    """Write the gradient of `activity_penalty` to dy."""
    # dy, y of any shape
    scale_into(dy, y, 2 * alpha / max(y.size, 1))


def temporal_activity_penalty(y, beta):
    """Return beta · mean((y[t + 1] − y[t])²) as a float."""
    # y (T, B, H)
    size = y.size // max(len(y), 1)
    return total(_add_changes, [(y.size - size, (y.line, size))]) * beta / max(y.size - size, 1)


def temporal_activity_penalty_gradient(dy, y, beta):
    """Write the gradient of `temporal_activity_penalty` to dy."""
    # dy, y (T, B, H)
    size = y.size // max(len(y), 1)
    factor = y.dtype.type(2 * beta / max(y.size - size, 1))
    _write_slopes.over(y.size, dy.line, y.line, factor, size)
