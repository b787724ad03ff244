"""Updates of parameters by each optimizer, as in `fastrnn.kernels.optimizers`: one launch for many parameters.

`numbers` are the hyperparameters in the type of the parameters. A difference to 1 is computed in float64 before, which
keeps its digits. `fastrnn.cuda.parameters` says which lists a kernel takes.
"""

import functools

from numba import cuda

from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.parameters import elements, launches, place_in_rows
from fastrnn.simd import sqrt


def sgd_update(weights, grads, velocities, rows, settings, n_jobs):
    """Update by gradient descent with momentum, see `fastrnn.kernels.optimizers.sgd_update`."""
    numbers = settings.rate, settings.momentum, settings.weight_decay
    _run(_sgd, (weights, grads, velocities), rows, numbers, settings.nesterov)


@kernel
def _sgd(weights, grads, velocities, rows, size, numbers, nesterov):
    # tuples of weights, grads, velocities (n,); velocities is None without momentum
    rate, momentum, weight_decay = numbers
    for p in range(len(weights)):
        weight, grad = weights[p], grads[p]
        velocity = grad if velocities is None else velocities[p]
        for k in range(cuda.grid(1), elements(weight, rows, size), cuda.gridsize(1)):
            i = place_in_rows(rows, size, k)
            w = weight[i]
            step = grad[i] + weight_decay * w
            if velocities is not None:
                v = momentum * velocity[i] + step
                velocity[i] = v
                step = step + momentum * v if nesterov else v
            weight[i] = w - rate * step


def adam_update(weights, grads, means, squares, rows, settings, n_jobs):
    """Update by Adam, see `fastrnn.kernels.optimizers.adam_update`."""
    rate, beta_1, beta_2, epsilon, weight_decay, shrink, root = settings
    numbers = rate, 1 - beta_1, beta_2, 1 - beta_2, epsilon, weight_decay, shrink, root
    _run(_adam, (weights, grads, means, squares), rows, numbers)


@kernel
def _adam(weights, grads, means, squares, rows, size, numbers):
    # tuples of weights, grads, means, squares (n,)
    rate, rest_1, beta_2, rest_2, epsilon, weight_decay, shrink, root = numbers
    for p in range(len(weights)):
        weight, grad, mean, square = weights[p], grads[p], means[p], squares[p]
        for k in range(cuda.grid(1), elements(weight, rows, size), cuda.gridsize(1)):
            i = place_in_rows(rows, size, k)
            w, m = weight[i], mean[i]
            g = grad[i] + weight_decay * w
            m += rest_1 * (g - m)
            s = beta_2 * square[i] + rest_2 * (g * g)
            mean[i], square[i] = m, s
            weight[i] = shrink * w - rate * (m / (root * sqrt(s) + epsilon))


def adagrad_update(weights, grads, squares, rows, settings, n_jobs):
    """Update by Adagrad, see `fastrnn.kernels.optimizers.adagrad_update`."""
    _run(_adagrad, (weights, grads, squares), rows, tuple(settings))


@kernel
def _adagrad(weights, grads, squares, rows, size, numbers):
    # tuples of weights, grads, squares (n,)
    rate, epsilon, weight_decay = numbers
    for p in range(len(weights)):
        weight, grad, square = weights[p], grads[p], squares[p]
        for k in range(cuda.grid(1), elements(weight, rows, size), cuda.gridsize(1)):
            i = place_in_rows(rows, size, k)
            w = weight[i]
            g = grad[i] + weight_decay * w
            s = square[i] + g * g
            square[i] = s
            weight[i] = w - rate * (g / (sqrt(s) + epsilon))


def rmsprop_update(weights, grads, squares, velocities, rows, settings, n_jobs):
    """Update by RMSprop, see `fastrnn.kernels.optimizers.rmsprop_update`."""
    rate, rho, epsilon, momentum, weight_decay = settings
    _run(_rmsprop, (weights, grads, squares, velocities), rows, (rate, rho, 1 - rho, epsilon, momentum, weight_decay))


@kernel
def _rmsprop(weights, grads, squares, velocities, rows, size, numbers):
    # tuples of weights, grads, squares, velocities (n,); velocities is None without momentum
    rate, rho, rest, epsilon, momentum, weight_decay = numbers
    for p in range(len(weights)):
        weight, grad, square = weights[p], grads[p], squares[p]
        velocity = grad if velocities is None else velocities[p]
        for k in range(cuda.grid(1), elements(weight, rows, size), cuda.gridsize(1)):
            i = place_in_rows(rows, size, k)
            w = weight[i]
            g = grad[i] + weight_decay * w
            s = rho * square[i] + rest * (g * g)
            square[i] = s
            step = g / (sqrt(s) + epsilon)
            if velocities is not None:
                step += momentum * velocity[i]
                velocity[i] = step
            weight[i] = w - rate * step


def average_update(averages, weights, share, n_jobs):
    """Move averages towards the weights by `share` of the way."""
    _run(_average, (averages, weights), [None] * len(weights), (share,))


@kernel
def _average(averages, weights, rows, size, numbers):
    # tuples of averages, weights (n,)
    for p in range(len(weights)):
        average, weight, share = averages[p], weights[p], numbers[0]
        for i in range(cuda.grid(1), elements(weight, rows, size), cuda.gridsize(1)):
            mean = average[i]
            average[i] = mean + share * (weight[i] - mean)


def _run(update, lists, rows, numbers, *options):
    """Launch an update, with the hyperparameters in the type of the parameters."""
    for arrays, used, size, count in launches(lists, rows):
        update.over(count, *arrays, used, size, _typed(numbers, arrays[0][0].dtype.type), *options)


@functools.lru_cache(maxsize=8)  # all parameters of a step have the same
def _typed(numbers, number):
    return tuple(map(number, numbers))
