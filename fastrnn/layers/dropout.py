"""Dropout."""

import numpy as np

from fastrnn.layers._layer import Layer


class Dropout(Layer):
    """Zero each element with probability `p` in training, and scale the others by 1 / (1 − p) (Srivastava et al. 2014).

    Parameters
    ----------
    p : float, default=0.5
        Probability of an element to be zeroed, at least 0 and below 1.
    dtype, random_state, n_jobs
        As in every layer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import Dropout
    >>> Dropout(0.5, random_state=0).forward(np.ones(6, "float32"), training=True)
    array([0., 0., 0., 0., 0., 2.], dtype=float32)
    """

    def __init__(self, p=0.5, *, dtype="float32", random_state=None, n_jobs=None):
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs)
        if not 0 <= p < 1:
            raise ValueError(f"p, the probability of dropout, must be at least 0 and below 1, got {p!r}.")
        self.p = p
        self._random = np.random.default_rng(self.random_state.randint(2**31))
        self._mask = None

    def forward(self, x, training=False):
        """Return x (any shape) with elements dropped in training, x itself otherwise."""
        self._mask = None
        if not training or self.p == 0:
            return x
        kept = self._random.random(x.shape, dtype=np.float32) >= self.p
        self._mask = kept * self.dtype.type(1 / (1 - self.p))
        return x * self._mask

    def backward(self, dy):
        """Return the gradient of x for the mask of the last `forward`."""
        return dy if self._mask is None else dy * self._mask
