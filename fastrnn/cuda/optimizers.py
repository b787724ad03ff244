"""Updates of one parameter by each optimizer, as in `fastrnn.kernels.optimizers`: one launch, a thread an element.

`numbers` are the hyperparameters in the type of the parameter. A difference to 1 is computed in float64 before, which
keeps its digits.
"""

import functools

from numba import cuda

from fastrnn.cuda.arrays import asarray
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.simd import sqrt


def sgd_update(weight, grad, velocity, rows, settings, n_jobs):
    """Update by gradient descent with momentum, see `fastrnn.kernels.optimizers.sgd_update`."""
    numbers = settings.rate, settings.momentum, settings.weight_decay
    _run(_sgd, (weight, grad, velocity), rows, numbers, settings.nesterov)


@kernel
def _sgd(weight, grad, velocity, rows, size, count, numbers, nesterov):
    # weight, grad, velocity (n,); velocity is None without momentum
    rate, momentum, weight_decay = numbers
    for k in range(cuda.grid(1), count, cuda.gridsize(1)):
        i = place_in_rows(rows, size, k)
        w = weight[i]
        step = grad[i] + weight_decay * w
        if velocity is not None:
            v = momentum * velocity[i] + step
            velocity[i] = v
            step = step + momentum * v if nesterov else v
        weight[i] = w - rate * step


def adam_update(weight, grad, mean, square, rows, settings, n_jobs):
    """Update by Adam, see `fastrnn.kernels.optimizers.adam_update`."""
    rate, beta_1, beta_2, epsilon, weight_decay, shrink, root = settings
    numbers = rate, 1 - beta_1, beta_2, 1 - beta_2, epsilon, weight_decay, shrink, root
    _run(_adam, (weight, grad, mean, square), rows, numbers)


@kernel
def _adam(weight, grad, mean, square, rows, size, count, numbers):
    # weight, grad, mean, square (n,)
    rate, rest_1, beta_2, rest_2, epsilon, weight_decay, shrink, root = numbers
    for k in range(cuda.grid(1), count, cuda.gridsize(1)):
        i = place_in_rows(rows, size, k)
        w, m = weight[i], mean[i]
        g = grad[i] + weight_decay * w
        m += rest_1 * (g - m)
        s = beta_2 * square[i] + rest_2 * (g * g)
        mean[i], square[i] = m, s
        weight[i] = shrink * w - rate * (m / (root * sqrt(s) + epsilon))


def adagrad_update(weight, grad, square, rows, settings, n_jobs):
    """Update by Adagrad, see `fastrnn.kernels.optimizers.adagrad_update`."""
    _run(_adagrad, (weight, grad, square), rows, tuple(settings))


@kernel
def _adagrad(weight, grad, square, rows, size, count, numbers):
    # weight, grad, square (n,)
    rate, epsilon, weight_decay = numbers
    for k in range(cuda.grid(1), count, cuda.gridsize(1)):
        i = place_in_rows(rows, size, k)
        w = weight[i]
        g = grad[i] + weight_decay * w
        s = square[i] + g * g
        square[i] = s
        weight[i] = w - rate * (g / (sqrt(s) + epsilon))


def rmsprop_update(weight, grad, square, velocity, rows, settings, n_jobs):
    """Update by RMSprop, see `fastrnn.kernels.optimizers.rmsprop_update`."""
    rate, rho, epsilon, momentum, weight_decay = settings
    _run(_rmsprop, (weight, grad, square, velocity), rows, (rate, rho, 1 - rho, epsilon, momentum, weight_decay))


@kernel
def _rmsprop(weight, grad, square, velocity, rows, size, count, numbers):
    # weight, grad, square, velocity (n,); velocity is None without momentum
    rate, rho, rest, epsilon, momentum, weight_decay = numbers
    for k in range(cuda.grid(1), count, cuda.gridsize(1)):
        i = place_in_rows(rows, size, k)
        w = weight[i]
        g = grad[i] + weight_decay * w
        s = rho * square[i] + rest * (g * g)
        square[i] = s
        step = g / (sqrt(s) + epsilon)
        if velocity is not None:
            step += momentum * velocity[i]
            velocity[i] = step
        weight[i] = w - rate * step


def average_update(average, weight, share, n_jobs):
    """Move an average towards the weights by `share` of the way."""
    share = weight.dtype.type(share)
    _average.over(weight.size, average.line, weight.line, share)


@kernel
def _average(average, weight, share):
    # average, weight (n,)
    for i in range(cuda.grid(1), weight.size, cuda.gridsize(1)):
        mean = average[i]
        average[i] = mean + share * (weight[i] - mean)


# ------------------------------------------------------------------------------------------------------- some rows


def row_elements(array, rows):
    """Return what `place_in_rows` takes for an array of any shape and its `rows`, and the number of elements in them.

    Returns
    -------
    rows : Array of int64 (R,) or None
        None means all elements.
    size : int
        Elements of a row.
    count : int
    """
    if rows is None:
        return None, 1, array.size
    size = array.size // max(array.shape[0], 1)
    return asarray(rows, "int64"), size, len(rows) * size


@device_function
def place_in_rows(rows, size, k):
    """Return the place of element `k` of some rows in the whole array."""
    return k if rows is None else rows[k // size] * size + k % size


def _run(update, arrays, rows, numbers, *options):
    """Launch an update: arrays as one dimension, hyperparameters in their type."""
    rows, size, count = row_elements(arrays[0], rows)
    flat = [None if array is None else array.line for array in arrays]
    update.over(count, *flat, rows, size, count, _typed(numbers, arrays[0].dtype.type), *options)


@functools.lru_cache(maxsize=8)  # all parameters of a step have the same
def _typed(numbers, number):
    return tuple(map(number, numbers))
