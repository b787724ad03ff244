"""Penalties on the activations of a recurrent layer (Merity et al. 2017)."""

from fastrnn.backends import backend


def activity_penalty(y, alpha, device="cpu"):
    """Penalize large activations: alpha · mean(y²).

    Parameters
    ----------
    y : array-like (T, B, H)
        Outputs of a layer, after dropout.
    alpha : float
    device : str, default="cpu"
        Where y is, see `fastrnn.backends`.

    Returns
    -------
    penalty : float
    dy : array of the device (T, B, H)
        Its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> penalty, dy = activity_penalty(np.full((2, 1, 2), 3.0), 0.5)
    >>> penalty, dy[0, 0, 0]
    (4.5, np.float64(0.75))
    """
    return _penalty("activity_penalty", y, alpha, backend(device))


def temporal_activity_penalty(y, beta, device="cpu"):
    """Penalize changes from step to step: beta · mean((y[t + 1] − y[t])²).

    Parameters
    ----------
    y : array-like (T, B, H)
        Outputs of a layer, before dropout.
    beta : float
    device : str, default="cpu"
        Where y is, see `fastrnn.backends`.

    Returns
    -------
    penalty : float
    dy : array of the device (T, B, H)
        Its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> penalty, dy = temporal_activity_penalty(np.array([[[1.0]], [[3.0]]]), 0.5)
    >>> penalty, dy.ravel()
    (2.0, array([-2.,  2.]))
    """
    return _penalty("temporal_activity_penalty", y, beta, backend(device))


def _penalty(name, y, factor, ops):
    """Return a penalty and its gradient."""
    y = ops.asarray(y)
    dy = ops.empty_like(y)
    getattr(ops, f"{name}_gradient")(dy, y, factor)
    return getattr(ops, name)(y, factor), dy
