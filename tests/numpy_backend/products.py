"""Matrix products whose rows do not depend on what stands beside them, as those of the kernels."""

import numpy as np


def times(a, b):
    """Return a · bᵀ; a (M, K), b (N, K)."""
    return np.einsum("mk,nk->mn", a, b)


def outer(a, b):
    """Return aᵀ · b; a (R, M), b (R, N)."""
    return np.einsum("rm,rn->mn", a, b)
