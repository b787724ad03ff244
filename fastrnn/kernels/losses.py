"""Losses of a batch of outputs, computed in float64.

Each function writes the gradient of the outputs and returns the weighted sum of the examples' losses.
"""

import numpy as np
from scipy.special import expit, log_expit, log_softmax

from fastrnn.kernels.arrays import assign


def categorical_cross_entropy(d_outputs, outputs, targets, weights):
    """Compute Σ weights · −log p(target), where p is the softmax of an example's outputs.

    Parameters
    ----------
    d_outputs : array (B, K) or None
        Its gradient is written here; None computes the loss only.
    outputs : array (B, K)
    targets : int64 array (B,)
        Classes.
    weights : array (B,)

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> outputs = np.log([[0.5, 0.25, 0.25]])
    >>> d_outputs = np.empty_like(outputs)
    >>> round(categorical_cross_entropy(d_outputs, outputs, np.array([0]), np.ones(1)), 4)  # log 2
    0.6931
    >>> d_outputs
    array([[-0.5 ,  0.25,  0.25]])
    """
    log_p = log_softmax(outputs.astype(np.float64), axis=1)
    rows = np.arange(len(targets))
    if d_outputs is not None:
        gradient = np.exp(log_p)
        gradient[rows, targets] -= 1
        assign(d_outputs, gradient * weights[:, None])
    return -float(log_p[rows, targets] @ weights)


def binary_cross_entropy(d_outputs, outputs, targets, weights):
    """Compute Σ weights · Σ cross-entropies of K labels, where the sigmoid of an output is its label's probability.

    Parameters
    ----------
    d_outputs : array (B, K) or None
        Its gradient is written here; None computes the loss only.
    outputs : array (B, K)
    targets : array (B, K)
        1 for labels that hold, 0 for others.
    weights : array (B,)

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> d_outputs = np.empty((1, 2))
    >>> targets = np.array([[1.0, 0.0]])
    >>> round(binary_cross_entropy(d_outputs, np.zeros((1, 2)), targets, np.ones(1)), 4)  # 2 log 2
    1.3863
    >>> d_outputs
    array([[-0.5,  0.5]])
    """
    outputs = outputs.astype(np.float64)
    losses = -(targets * log_expit(outputs) + (1 - targets) * log_expit(-outputs)).sum(axis=1)
    if d_outputs is not None:
        assign(d_outputs, (expit(outputs) - targets) * weights[:, None])
    return float(losses @ weights)


def half_squared_error(d_outputs, outputs, targets, weights):
    """Compute Σ weights · ½ Σ (output − target)².

    Parameters
    ----------
    d_outputs : array (B, K) or None
        Its gradient is written here; None computes the loss only.
    outputs : array (B, K)
    targets : array (B, K)
    weights : array (B,)

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> d_outputs = np.empty((1, 2))
    >>> half_squared_error(d_outputs, np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]), np.ones(1))
    2.5
    >>> d_outputs
    array([[ 1., -2.]])
    """
    error = outputs.astype(np.float64) - targets
    if d_outputs is not None:
        assign(d_outputs, error * weights[:, None])
    return 0.5 * float((error * error).sum(axis=1) @ weights)
