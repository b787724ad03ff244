"""Integrated gradients (Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017)."""

import numpy as np

_MOST_STEPS = 1 << 14  # of copies of the sequence in one batch: bounds the memory


def path_shares(n_steps):
    """Return the middles of `n_steps` equal pieces of the interval from 0 to 1."""
    return (np.arange(n_steps) + 0.5) / n_steps


def mean_gradient(x, lengths, n_steps, gradient):
    """Return the mean gradient along the straight path from zeros to the vectors of one sequence.

    Parameters
    ----------
    x : ndarray (T, 1, D)
    lengths : int array (1,)
    n_steps : int
        Places on the path.
    gradient : callable
        ``gradient(scaled, lengths)`` returns the gradient at vectors (T, B, D), likewise (T, B, D), on the host.

    Returns
    -------
    float64 array (T, D)
    """
    total = np.zeros(x[:, 0].shape)
    for shares in np.array_split(path_shares(n_steps), -(-n_steps * len(x) // _MOST_STEPS)):
        scaled = np.ascontiguousarray(x * shares[None, :, None], x.dtype)  # (T, B, D)
        total += gradient(scaled, np.repeat(lengths, len(shares))).sum(axis=1, dtype=np.float64) / n_steps
    return total
