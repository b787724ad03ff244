"""Optimizers, clipping, averages, dynamic evaluation and losses, from the equations."""

import functools

import numpy as np
from scipy.special import logsumexp


def part(array, rows):
    """Return the rows of an array, in one dimension, all for None."""
    return array.reshape(-1) if rows is None else array[rows]


def write(array, rows, values):
    array[... if rows is None else rows] = values.reshape(array.shape if rows is None else values.shape)


def each(n_lists):
    """Make a function of the arrays of one parameter one of lists of them, the first arguments."""

    def of_lists(function):
        @functools.wraps(function)
        def call(*arguments):
            lists, rest = arguments[:n_lists], arguments[n_lists:]
            for k in range(len(lists[0])):
                function(*(None if arrays is None else arrays[k] for arrays in lists), *rest)

        return call

    return of_lists


def sum_of_squares(arrays, rows):
    parts = [part(array, used) for array, used in zip(arrays, rows, strict=True)]
    return sum(float((values.astype(np.float64) ** 2).sum()) for values in parts)


@each(2)
def scale_rows(array, rows, factor):
    write(array, rows, part(array, rows) * array.dtype.type(factor))


@each(2)
def clip_rows(array, rows, bound):
    write(array, rows, np.clip(part(array, rows), -bound, bound))


@each(4)
def sgd_update(weight, grad, velocity, rows, settings, n_jobs):
    w, g = part(weight, rows), part(grad, rows)
    step = g + settings.weight_decay * w
    if settings.momentum:
        v = settings.momentum * part(velocity, rows) + step
        write(velocity, rows, v)
        step = step + settings.momentum * v if settings.nesterov else v
    write(weight, rows, w - settings.rate * step)


@each(5)
def adam_update(weight, grad, mean, square, rows, settings, n_jobs):
    w, m, s = part(weight, rows), part(mean, rows), part(square, rows)
    g = part(grad, rows) + settings.weight_decay * w
    m = settings.beta_1 * m + (1 - settings.beta_1) * g
    s = settings.beta_2 * s + (1 - settings.beta_2) * g**2
    write(mean, rows, m)
    write(square, rows, s)
    write(weight, rows, settings.shrink * w - settings.rate * m / (settings.root * np.sqrt(s) + settings.epsilon))


@each(4)
def adagrad_update(weight, grad, square, rows, settings, n_jobs):
    w, s = part(weight, rows), part(square, rows)
    g = part(grad, rows) + settings.weight_decay * w
    s = s + g**2
    write(square, rows, s)
    write(weight, rows, w - settings.rate * g / (np.sqrt(s) + settings.epsilon))


@each(5)
def rmsprop_update(weight, grad, square, velocity, rows, settings, n_jobs):
    w, s = part(weight, rows), part(square, rows)
    g = part(grad, rows) + settings.weight_decay * w
    s = settings.rho * s + (1 - settings.rho) * g**2
    write(square, rows, s)
    step = g / (np.sqrt(s) + settings.epsilon)
    if settings.momentum:
        step = settings.momentum * part(velocity, rows) + step
        write(velocity, rows, step)
    write(weight, rows, w - settings.rate * step)


@each(2)
def average_update(average, weight, share, n_jobs):
    average += share * (weight - average)


def add_squares(sums, values):
    sums += values.astype(sums.dtype) ** 2


def categorical_cross_entropy(d_outputs, outputs, targets, weights):
    shifted = outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    one_hot = np.eye(outputs.shape[1])[targets]
    if d_outputs is not None:
        d_outputs[...] = (p - one_hot) * weights[:, None]
    return -float((one_hot * (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))).sum(axis=1) @ weights)


def binary_cross_entropy(d_outputs, outputs, targets, weights):
    z = outputs.astype(np.float64)
    if d_outputs is not None:
        d_outputs[...] = (1 / (1 + np.exp(-z)) - targets) * weights[:, None]
    losses = np.logaddexp(0, -z) * targets + np.logaddexp(0, z) * (1 - targets)
    return float(losses.sum(axis=1) @ weights)


def half_squared_error(d_outputs, outputs, targets, weights):
    error = outputs.astype(np.float64) - targets
    if d_outputs is not None:
        d_outputs[...] = error * weights[:, None]
    return float((error**2).sum(axis=1) @ weights) / 2


def adapt_weights(weight, grad, origin, rms, mean_rms, rate, decay, epsilon):
    pull, step = (decay, grad) if rms is None else (np.minimum(decay * rms / mean_rms, 1), grad / (rms + epsilon))
    weight += pull * (origin - weight) - rate * step


def most_probable(log_probs, classes, x, weight, bias, allowed, n_jobs=None):
    logits = (x @ weight.T + bias).astype(np.float64)
    log_p = logits - logsumexp(logits, axis=1, keepdims=True)
    log_p[:, ~allowed] = -np.inf
    order = np.argsort(-log_p, axis=1, kind="stable")[:, : log_probs.shape[1]]
    log_probs[:], classes[:] = -np.inf, 0
    classes[:, : order.shape[1]] = order
    log_probs[:, : order.shape[1]] = np.take_along_axis(log_p, order, axis=1)
