"""Penalties on activations, and their gradients."""

from numba import cuda
from numba.core.types import float64

from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.reductions import block_sum, total


@kernel
def _penalize(sums, dy, y, factor):
    # sums (blocks,) float64, dy, y (n,)
    shared = cuda.shared.array(0, float64)  # (threads,)
    value = float64(0)
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        slope = y[i] * factor
        dy[i] = slope
        value += float64(y[i]) * float64(slope)
    value = block_sum(value, shared)
    if cuda.threadIdx.x == 0:
        sums[cuda.blockIdx.x] = value


@kernel
def _penalize_changes(sums, dy, y, factor, size):
    # sums (blocks,) float64, dy, y (T · size,)
    shared = cuda.shared.array(0, float64)  # (threads,)
    value = float64(0)
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        slope = y.dtype.type(0)
        if i >= size:
            slope += (y[i] - y[i - size]) * factor
        if i + size < y.size:
            change = y[i + size] - y[i]
            slope -= change * factor
            value += float64(change) * float64(change * factor)
        dy[i] = slope
    value = block_sum(value, shared)
    if cuda.threadIdx.x == 0:
        sums[cuda.blockIdx.x] = value


def activity_penalty(dy, y, alpha):
    """Return alpha · mean(y²) as a float, and write its gradient to dy."""
    # dy, y of any shape
    factor = y.dtype.type(2 * alpha / max(y.size, 1))
    return total(_penalize, [(y.size, (dy.reshaped((-1,)), y.reshaped((-1,)), factor))]) / 2


def temporal_activity_penalty(dy, y, beta):
    """Return beta · mean((y[t + 1] − y[t])²) as a float, and write its gradient to dy."""
    # dy, y (T, B, H)
    size = y.size // max(len(y), 1)
    factor = y.dtype.type(2 * beta / max(y.size - size, 1))
    return total(_penalize_changes, [(y.size, (dy.reshaped((-1,)), y.reshaped((-1,)), factor, size))]) / 2
