"""Updates of dynamic evaluation, and the statistics of gradients that they use, as in `fastrnn.kernels.adaptation`."""

from numba import cuda

from fastrnn.cuda.arrays import add_product
from fastrnn.cuda.compiler import kernel


def adapt_weights(weight, grad, origin, rms, mean_rms, rate, decay, epsilon):
    """Step down the gradient and back towards the weights, see `fastrnn.kernels.adaptation.adapt_weights`."""
    numbers = decay if rms is None else decay / mean_rms, rate, epsilon, 1.0
    flat = [None if array is None else array.line for array in (weight, grad, origin, rms)]
    _adapt.over(weight.size, *flat, tuple(map(weight.dtype.type, numbers)))


@kernel
def _adapt(weight, grad, origin, rms, numbers):
    # weight, grad, origin, rms (n,); rms may be None
    decay, rate, epsilon, one = numbers
    for i in range(cuda.grid(1), weight.size, cuda.gridsize(1)):
        pull, step = decay, rate * grad[i]
        if rms is not None:
            pull = min(decay * rms[i], one)
            step /= rms[i] + epsilon
        weight[i] += pull * (origin[i] - weight[i]) - step


def add_squares(sums, values):
    """Add the squares of values to sums, both of one type."""
    add_product(sums, values, values)
