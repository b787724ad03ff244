"""Initial values of parameters, by name."""

import numpy as np

from fastrnn.utils.checks import check_choice


def uniform(shape, hidden, random_state):
    """Draw uniformly from ±1/√H, as torch does for recurrent layers."""
    return random_state.uniform(-1, 1, shape) / np.sqrt(hidden)


def glorot(shape, hidden, random_state):
    """Draw each gate's block uniformly from ±√(6 / (fan-in + fan-out)) (Glorot and Bengio 2010)."""
    rows, columns = (hidden, shape[-1]) if len(shape) == 2 else (hidden, 1)
    return random_state.uniform(-1, 1, shape) * np.sqrt(6 / (rows + columns))


def orthogonal(shape, hidden, random_state):
    """Draw each gate's block as a random matrix with orthonormal rows or columns (Saxe et al. 2014)."""
    if len(shape) != 2:
        raise ValueError(f"orthogonal is for matrices, got a parameter of shape {shape}.")
    blocks = []
    for begin in range(0, shape[0], hidden):
        rows = min(hidden, shape[0] - begin)
        tall = random_state.standard_normal((max(rows, shape[1]), min(rows, shape[1])))
        q, r = np.linalg.qr(tall)
        q = q * np.sign(np.diag(r))  # uniform over all orthogonal matrices
        blocks.append(q if rows >= shape[1] else q.T)
    return np.concatenate(blocks)


def identity(shape, hidden, random_state):
    """Make each gate's block an identity matrix (Le et al. 2015)."""
    if len(shape) != 2:
        raise ValueError(f"identity is for matrices, got a parameter of shape {shape}.")
    return np.concatenate([np.eye(hidden, shape[1])] * (shape[0] // hidden))


def zeros(shape, hidden, random_state):
    """Start with zeros."""
    return np.zeros(shape)


def ones(shape, hidden, random_state):
    """Start with ones."""
    return np.ones(shape)


def unit_interval(shape, hidden, random_state):
    """Draw uniformly from 0 to 1, for the recurrent weights of IndRNN (Li et al. 2018)."""
    return random_state.uniform(0, 1, shape)


INITIALIZERS = {
    function.__name__: function for function in (uniform, glorot, orthogonal, identity, zeros, ones, unit_interval)
}


def initialize(name, shape, hidden, random_state):
    """Return initial values of a recurrent parameter.

    Parameters
    ----------
    name : {"uniform", "glorot", "orthogonal", "identity", "zeros", "ones", "unit_interval"}
    shape : tuple of int
        (G · H, columns), or (G · H,).
    hidden : int
        H, the rows of a gate's block.
    random_state : RandomState instance

    Returns
    -------
    ndarray of `shape`
    """
    check_choice("initializer", name, INITIALIZERS)
    return INITIALIZERS[name](shape, hidden, random_state)
