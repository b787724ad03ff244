"""Checks of parameters that many classes have."""

import numbers

import numpy as np


def check_positive_integer(name, value):
    """Raise ValueError unless a parameter is an integer of at least 1 (and no boolean)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")


def check_not_negative(name, value):
    """Raise ValueError unless a parameter is a finite number of at least 0 (and no boolean)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < np.inf:
        raise ValueError(f"{name} must be a number of at least 0, got {value!r}.")


def check_training(settings):
    """Raise ValueError if a parameter is wrong that all estimators that train a network have.

    Parameters
    ----------
    settings : object
        Has the attributes ``alpha``, ``clip_norm``, ``validation_fraction`` and ``device``.
    """
    check_not_negative("alpha", settings.alpha)
    if settings.clip_norm is not None and not (isinstance(settings.clip_norm, numbers.Real) and settings.clip_norm > 0):
        raise ValueError(f"clip_norm must be None or a number above 0, got {settings.clip_norm!r}.")
    fraction = settings.validation_fraction
    if not (isinstance(fraction, numbers.Real) and 0 < fraction < 1):
        raise ValueError(f"validation_fraction must be between 0 and 1, got {fraction!r}.")
    if settings.device != "cpu":
        raise ValueError(f"device must be 'cpu', got {settings.device!r}.")
