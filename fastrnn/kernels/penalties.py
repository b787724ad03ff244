"""Penalties on activations, and their gradients."""

import numpy as np


def activity_penalty(y, alpha):
    """Return alpha · mean(y²) as a float."""
    # y of any shape
    return float(np.vdot(y, y * _slope(y, alpha))) / 2


def activity_penalty_gradient(dy, y, alpha):
    """Write the gradient of `activity_penalty` to dy."""
    # dy, y of any shape
    np.multiply(y, _slope(y, alpha), out=dy)


def temporal_activity_penalty(y, beta):
    """Return beta · mean((y[t + 1] − y[t])²) as a float."""
    # y (T, B, H)
    change = np.diff(y, axis=0)
    return float(np.vdot(change, change * _slope(change, beta))) / 2


def temporal_activity_penalty_gradient(dy, y, beta):
    """Write the gradient of `temporal_activity_penalty` to dy."""
    # dy, y (T, B, H)
    slope = np.diff(y, axis=0)
    slope *= _slope(slope, beta)
    dy[...] = 0
    dy[1:] += slope
    dy[:-1] -= slope


def _slope(values, factor):
    """Return the number whose product with the values is the gradient of factor · mean(values²)."""
    return values.dtype.type(2 * factor / max(values.size, 1))
