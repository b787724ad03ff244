"""Penalties on activations, and their gradients."""

import numpy as np


def activity_penalty(dy, y, alpha):
    """Return alpha · mean(y²) as a float, and write its gradient to dy."""
    # dy, y of any shape
    np.multiply(y, y.dtype.type(2 * alpha / max(y.size, 1)), out=dy)
    return float(np.vdot(y, dy)) / 2


def temporal_activity_penalty(dy, y, beta):
    """Return beta · mean((y[t + 1] − y[t])²) as a float, and write its gradient to dy."""
    # dy, y (T, B, H)
    change = np.diff(y, axis=0)
    slope = change * y.dtype.type(2 * beta / max(change.size, 1))
    dy[...] = 0
    dy[1:] += slope
    dy[:-1] -= slope
    return float(np.vdot(change, slope)) / 2
