"""Updates of parameters by each optimizer, as in `fastrnn.kernels.optimizers`: one launch for many parameters.

A kernel takes a tuple of arrays for each kind, and goes through one parameter after the other. `numbers` are the
hyperparameters in the type of the parameters. A difference to 1 is computed in float64 before, which keeps its digits.
"""

import functools

from numba import cuda

from fastrnn.cuda.arrays import asarray
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.simd import sqrt

_AT_ONCE = 16  # parameters of a launch, whose arguments have 4 KB


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


# ------------------------------------------------------------------------------------------------ several parameters


def launches(lists, rows):
    """Yield the arguments of launches for lists of arrays, such as parameters and gradients.

    Parameters
    ----------
    lists : sequence of (list of Array or None)
    rows : list of (int array or None)
        The sorted rows of each array that count; None means all.

    Yields
    ------
    arrays : list of (tuple of Array or None)
        A tuple for each list, of one-dimensional arrays of one type; with rows, each has one array.
    rows : Array of int64 (R,) or None
    size : int
        Elements of a row.
    count : int
        Elements that count.
    """
    groups = {}
    for k, (array, used) in enumerate(zip(lists[0], rows, strict=True)):
        if used is None:
            groups.setdefault(array.dtype, []).append(k)
        else:
            size = array.size // max(array.shape[0], 1)
            yield _tuples(lists, [k]), asarray(used, "int64"), size, len(used) * size
    for group in groups.values():
        for begin in range(0, len(group), _AT_ONCE):
            part = group[begin : begin + _AT_ONCE]
            yield _tuples(lists, part), None, 1, sum(lists[0][k].size for k in part)


def _tuples(lists, group):
    return [None if arrays is None else tuple([arrays[k].line for k in group]) for arrays in lists]


@device_function
def elements(array, rows, size):
    """Return the number of elements that count of an array: of some rows, or all."""
    return array.size if rows is None else rows.size * size


@device_function
def place_in_rows(rows, size, k):
    """Return the place of element `k` of some rows in the whole array."""
    return k if rows is None else rows[k // size] * size + k % size
