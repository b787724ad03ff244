"""Updates of parameters by each optimizer: one pass over each parameter, its gradient and its state.

A function takes a list of arrays for each kind: the arrays of a parameter have the same shape (any) and are
C-contiguous. `rows` are the sorted rows of each parameter that are updated, None for all. λ is `weight_decay`, η is
`rate`; g is the gradient with the L2 penalty, ∇ + λ·w.
"""

from typing import NamedTuple

from fastrnn._jit import kernel
from fastrnn.kernels.rows import row_blocks
from fastrnn.kernels.threads import enter, leave, run_kernel, split, worth
from fastrnn.simd import lanes, load_first, sqrt, store_first

_COST = 40  # cost of an element's update in floating-point operations; it mostly waits for memory
_LINE = 64  # arrays are cut for threads at multiples of this: no two write to one cache line


class SGDSettings(NamedTuple):
    """Hyperparameters of `sgd_update`."""

    rate: float
    momentum: float  # 0 keeps no velocity
    nesterov: bool
    weight_decay: float


class AdamSettings(NamedTuple):
    """Hyperparameters of `adam_update`, with the corrections of the bias at step t."""

    rate: float  # learning rate / (1 − β₁ᵗ)
    beta_1: float
    beta_2: float
    epsilon: float
    weight_decay: float
    shrink: float  # factor of the parameter: AdamW's decay, 1 for Adam
    root: float  # 1 / √(1 − β₂ᵗ)


class AdagradSettings(NamedTuple):
    """Hyperparameters of `adagrad_update`."""

    rate: float
    epsilon: float
    weight_decay: float


class RMSpropSettings(NamedTuple):
    """Hyperparameters of `rmsprop_update`."""

    rate: float
    rho: float
    epsilon: float
    momentum: float  # 0 keeps no velocity
    weight_decay: float


def sgd_update(weights, grads, velocities, rows, settings, n_jobs):
    """Update by gradient descent with momentum: v ← μ·v + g, w ← w − η·v, or w ← w − η·(g + μ·v) after Nesterov.

    Parameters
    ----------
    weights, grads : list of array
    velocities : list of array, or None
        None without momentum.
    rows : list of (int array or None)
    settings : SGDSettings
    n_jobs : int or None

    References
    ----------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.
    """
    _run(_sgd, (weights, grads, grads if velocities is None else velocities), rows, settings, n_jobs)


@kernel
def _sgd(board, thread, weight, grad, velocity, rows, size, settings):
    # weight, grad, velocity (n,), which is not touched without momentum; rows (R,) of `size` elements each
    enter(board, thread)
    rate, momentum, nesterov, weight_decay = settings
    for row in rows:
        for i in range(row * size, (row + 1) * size, lanes(weight)):
            count = (row + 1) * size - i
            w = load_first(weight, i, count)
            step = load_first(grad, i, count) + weight_decay * w
            if momentum != 0:
                v = momentum * load_first(velocity, i, count) + step
                store_first(velocity, i, v, count)
                step = step + momentum * v if nesterov else v
            store_first(weight, i, w - rate * step, count)
    leave(board, thread)


def adam_update(weights, grads, means, squares, rows, settings, n_jobs):
    """Update by Adam: m ← m + (1 − β₁)·(g − m), s ← β₂·s + (1 − β₂)·g², w ← shrink·w − η·m / (root·√s + ε).

    Parameters
    ----------
    weights, grads : list of array
    means, squares : list of array
        m and s, the running means of the gradients and of their squares.
    rows : list of (int array or None)
    settings : AdamSettings
    n_jobs : int or None

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015. Loshchilov and Hutter, "Decoupled weight
    decay regularization", ICLR 2019.
    """
    _run(_adam, (weights, grads, means, squares), rows, settings, n_jobs)


@kernel
def _adam(board, thread, weight, grad, mean, square, rows, size, settings):
    # weight, grad, mean, square (n,), rows (R,) of `size` elements each
    enter(board, thread)
    rate, beta_1, beta_2, epsilon, weight_decay, shrink, root = settings
    for row in rows:
        for i in range(row * size, (row + 1) * size, lanes(weight)):
            count = (row + 1) * size - i
            w = load_first(weight, i, count)
            g = load_first(grad, i, count) + weight_decay * w
            m = load_first(mean, i, count)
            m += (1 - beta_1) * (g - m)
            s = beta_2 * load_first(square, i, count) + (1 - beta_2) * (g * g)
            store_first(mean, i, m, count)
            store_first(square, i, s, count)
            store_first(weight, i, shrink * w - rate * (m / (root * sqrt(s) + epsilon)), count)
    leave(board, thread)


def adagrad_update(weights, grads, squares, rows, settings, n_jobs):
    """Update by Adagrad: s ← s + g², w ← w − η·g / (√s + ε).

    Parameters
    ----------
    weights, grads : list of array
    squares : list of array
        s, the sums of the squared gradients.
    rows : list of (int array or None)
    settings : AdagradSettings
    n_jobs : int or None

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 12,
    2011.
    """
    _run(_adagrad, (weights, grads, squares), rows, settings, n_jobs)


@kernel
def _adagrad(board, thread, weight, grad, square, rows, size, settings):
    # weight, grad, square (n,), rows (R,) of `size` elements each
    enter(board, thread)
    rate, epsilon, weight_decay = settings
    for row in rows:
        for i in range(row * size, (row + 1) * size, lanes(weight)):
            count = (row + 1) * size - i
            w = load_first(weight, i, count)
            g = load_first(grad, i, count) + weight_decay * w
            s = load_first(square, i, count) + g * g
            store_first(square, i, s, count)
            store_first(weight, i, w - rate * (g / (sqrt(s) + epsilon)), count)
    leave(board, thread)


def rmsprop_update(weights, grads, squares, velocities, rows, settings, n_jobs):
    """Update by RMSprop: s ← ρ·s + (1 − ρ)·g², v ← μ·v + g / (√s + ε), w ← w − η·v.

    Parameters
    ----------
    weights, grads : list of array
    squares : list of array
        s, the running means of the squared gradients.
    velocities : list of array, or None
        None without momentum.
    rows : list of (int array or None)
    settings : RMSpropSettings
    n_jobs : int or None

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning, 2012.
    """
    _run(_rmsprop, (weights, grads, squares, grads if velocities is None else velocities), rows, settings, n_jobs)


@kernel
def _rmsprop(board, thread, weight, grad, square, velocity, rows, size, settings):
    # weight, grad, square, velocity (n,), which is not touched without momentum; rows (R,) of `size` elements each
    enter(board, thread)
    rate, rho, epsilon, momentum, weight_decay = settings
    for row in rows:
        for i in range(row * size, (row + 1) * size, lanes(weight)):
            count = (row + 1) * size - i
            w = load_first(weight, i, count)
            g = load_first(grad, i, count) + weight_decay * w
            s = rho * load_first(square, i, count) + (1 - rho) * (g * g)
            store_first(square, i, s, count)
            step = g / (sqrt(s) + epsilon)
            if momentum != 0:
                step += momentum * load_first(velocity, i, count)
                store_first(velocity, i, step, count)
            store_first(weight, i, w - rate * step, count)
    leave(board, thread)


def average_update(averages, weights, share, n_jobs):
    """Move averages towards the weights by `share` of the way.

    Parameters
    ----------
    averages, weights : list of array
    share : float
    n_jobs : int or None
    """
    for average, weight in zip(averages, weights, strict=True):
        average, weight = average.reshape(-1), weight.reshape(-1)
        pieces = split(weight.size, worth(n_jobs, _COST * weight.size), _LINE)
        run_kernel(_average, [(average[begin:end], weight[begin:end], share) for begin, end in pieces])


@kernel
def _average(board, thread, average, weight, share):
    # average, weight (n,)
    enter(board, thread)
    for i in range(0, weight.size, lanes(weight)):
        mean = load_first(average, i, weight.size - i)
        step = load_first(weight, i, weight.size - i) - mean
        store_first(average, i, mean + share * step, weight.size - i)
    leave(board, thread)


def _run(update, lists, rows, settings, n_jobs):
    """Run a kernel on one parameter after the other."""
    for *arrays, used in zip(*lists, rows, strict=True):
        _run_one(update, arrays, used, settings, n_jobs)


def _run_one(update, arrays, rows, settings, n_jobs):
    """Run a kernel on several threads: each takes a part of the rows, or of the whole array as its one row."""
    weight, used, size = row_blocks(arrays[0], rows)
    arrays = [weight, *(array.reshape(-1) for array in arrays[1:])]
    threads = worth(n_jobs, _COST * used.size * size)
    if threads == 1:
        calls = [(*arrays, used, size, settings)]
    elif rows is None:
        pieces = split(size, threads, _LINE)
        calls = [(*(array[begin:end] for array in arrays), used, end - begin, settings) for begin, end in pieces]
    else:
        calls = [(*arrays, used[begin:end], size, settings) for begin, end in split(used.size, threads)]
    run_kernel(update, calls)
