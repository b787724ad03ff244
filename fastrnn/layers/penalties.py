"""Penalties on the activations of a recurrent layer (Merity et al. 2017)."""

import numpy as np


def activity_penalty(y, alpha):
    """Penalize large activations: alpha · mean(y²).

    Parameters
    ----------
    y : ndarray (T, B, H)
        Outputs of a layer, after dropout.
    alpha : float

    Returns
    -------
    penalty : float
    dy : ndarray (T, B, H)
        Its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> penalty, dy = activity_penalty(np.full((2, 1, 2), 3.0), 0.5)
    >>> penalty, dy[0, 0, 0]
    (4.5, np.float64(0.75))
    """
    dy = y * y.dtype.type(2 * alpha / max(y.size, 1))
    return float(np.vdot(y, dy)) / 2, dy


def temporal_activity_penalty(y, beta):
    """Penalize changes from step to step: beta · mean((y[t + 1] − y[t])²).

    Parameters
    ----------
    y : ndarray (T, B, H)
        Outputs of a layer, before dropout.
    beta : float

    Returns
    -------
    penalty : float
    dy : ndarray (T, B, H)
        Its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> penalty, dy = temporal_activity_penalty(np.array([[[1.0]], [[3.0]]]), 0.5)
    >>> penalty, dy.ravel()
    (2.0, array([-2.,  2.]))
    """
    change = np.diff(y, axis=0)
    slope = change * y.dtype.type(2 * beta / max(change.size, 1))
    dy = np.zeros_like(y)
    dy[1:] += slope
    dy[:-1] -= slope
    return float(np.vdot(change, slope)) / 2, dy
