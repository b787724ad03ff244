"""Updates of dynamic evaluation, and the statistics of gradients that they use.

The arrays of a call have the same shape (any) and are C-contiguous.
"""

import numpy as np

from fastrnn._jit import kernel


def adapt_weights(weight, grad, origin, rms, mean_rms, rate, decay, epsilon):
    """Step down the gradient and back towards the weights that were learned.

    Without `rms`, w ← w + λ·(w₀ − w) − η·∇. With it, w ← w + min(λ·r / r̄, 1)·(w₀ − w) − η·∇ / (r + ε).

    Parameters
    ----------
    weight, grad : array
    origin : array
        w₀, the learned weights.
    rms : array or None
        r, the root mean square of each gradient in training.
    mean_rms : float
        r̄, the mean of `rms`.
    rate, decay, epsilon : float
        η, λ and ε.

    References
    ----------
    Krause, Kahembwe, Murray and Renals, "Dynamic evaluation of neural sequence models", ICML 2018.
    """
    rms = np.empty(0, weight.dtype) if rms is None else rms.reshape(-1)
    _adapt(weight.reshape(-1), grad.reshape(-1), origin.reshape(-1), rms, rate, decay, mean_rms, epsilon)


@kernel
def _adapt(weight, grad, origin, rms, rate, decay, mean_rms, epsilon):
    # weight, grad, origin (n,), rms (n,) or (0,)
    if len(rms):
        for i in range(len(weight)):
            pull = min(decay * rms[i] / mean_rms, 1.0)
            weight[i] += pull * (origin[i] - weight[i]) - rate * grad[i] / (rms[i] + epsilon)
    else:
        for i in range(len(weight)):
            weight[i] += decay * (origin[i] - weight[i]) - rate * grad[i]


def add_squares(sums, values):
    """Add the squares of values to sums, both of one type.

    Parameters
    ----------
    sums, values : array
    """
    sums += values * values
