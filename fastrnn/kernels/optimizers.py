"""The update of one parameter by each optimizer, in one pass over its array, its gradient and its state.

Every kernel takes flat arrays of the same length and works on the rows `rows` of `size` elements each; the whole array
is its one row 0. Numbers of elements that are no whole vectors end in a vector of which only a part is used.
"""

from fastrnn._jit import kernel
from fastrnn.kernels.threads import enter, leave
from fastrnn.simd import lanes, load_first, sqrt, store_first


@kernel
def sgd_update(board, party, weight, grad, velocity, rows, size, rate, momentum, nesterov, weight_decay):
    """Update by gradient descent, with heavy-ball or Nesterov momentum; `velocity` is not touched without momentum."""
    enter(board, party)
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
    leave(board, party)


@kernel
def adam_update(board, party, weight, grad, mean, square, rows, size, rate, beta_1, beta_2, epsilon, weight_decay,
                shrink, root):  # fmt: skip
    """Update by Adam: `rate` and `root` hold the corrections of the bias, `shrink` AdamW's decay of the weight."""
    enter(board, party)
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
    leave(board, party)


@kernel
def adagrad_update(board, party, weight, grad, square, rows, size, rate, epsilon, weight_decay):
    """Update by Adagrad: `square` is the sum of all squared gradients."""
    enter(board, party)
    for row in rows:
        for i in range(row * size, (row + 1) * size, lanes(weight)):
            count = (row + 1) * size - i
            w = load_first(weight, i, count)
            g = load_first(grad, i, count) + weight_decay * w
            s = load_first(square, i, count) + g * g
            store_first(square, i, s, count)
            store_first(weight, i, w - rate * (g / (sqrt(s) + epsilon)), count)
    leave(board, party)


@kernel
def rmsprop_update(board, party, weight, grad, square, velocity, rows, size, rate, rho, epsilon, momentum,
                   weight_decay):  # fmt: skip
    """Update by RMSprop: `square` is a running mean; `velocity` is not touched without momentum."""
    enter(board, party)
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
    leave(board, party)


@kernel
def average_update(board, party, average, weight, share):
    """Move an average towards the weights by `share` of the way."""
    enter(board, party)
    for i in range(0, weight.size, lanes(weight)):
        mean = load_first(average, i, weight.size - i)
        step = load_first(weight, i, weight.size - i) - mean
        store_first(average, i, mean + share * step, weight.size - i)
    leave(board, party)
