"""Dropout."""

import numbers

import numpy as np

from fastrnn._memory import empty
from fastrnn.layers._layer import Layer
from fastrnn.utils.checks import shown


class Dropout(Layer):
    """Zero each element with probability `p` in training, and scale the others by 1 / (1 − p) (Srivastava et al. 2014).

    Parameters
    ----------
    p : float, default=0.5
        Probability of an element to be zeroed, at least 0 and below 1.
    locked : bool, default=False
        Whether an element is zeroed at every step of a sequence or at none (Gal and Ghahramani 2016).
    dtype, random_state, n_jobs
        As in every layer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import Dropout
    >>> Dropout(0.5, random_state=0).forward(np.ones(6, "float32"), training=True)
    array([0., 0., 0., 0., 0., 2.], dtype=float32)
    """

    _dropout_rates = ("p",)

    def __init__(self, p=0.5, locked=False, *, dtype="float32", random_state=None, n_jobs=None):
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs)
        self.p = check_probability("p, the probability of dropout,", p)
        self.locked = locked
        self._random = np.random.default_rng(self.random_state.randint(2**31))

    def forward(self, x, training=False, sequences=None):
        """Return x with elements dropped in training, x itself otherwise.

        Parameters
        ----------
        x : ndarray
            Any shape; (T, B, …) for locked dropout.
        training : bool, default=False
        sequences : int array (R,), default=None
            For locked dropout of packed rows x (R, …): the sequence of each row.

        Returns
        -------
        ndarray of the shape of x
        """
        if not training:
            return x
        if self.p == 0:
            self._keep(None)
            return x
        shape, places = x.shape, None
        if self.locked:
            shape = x.shape[1:]
            if sequences is not None:
                shape, places = (int(sequences.max(initial=-1)) + 1, *x.shape[1:]), sequences
        uniform = self._random.random(out=empty(shape, np.float32), dtype=np.float32)
        mask = np.greater_equal(uniform, self.p, out=empty(shape, self.dtype), casting="unsafe")
        mask *= self.dtype.type(1 / (1 - self.p))
        mask = mask if places is None else mask[places]
        self._keep(mask)
        return _times(x, mask)

    def backward(self, dy):
        """Return the gradient of x for the mask of the last `forward` in training."""
        (mask,) = self._recall()
        return dy if mask is None else _times(dy, mask)


def _times(x, mask):
    return np.multiply(x, mask, out=empty(x.shape, np.result_type(x, mask)))


def check_probability(name, value):
    """Return a probability of dropping something, or raise ValueError naming it."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {shown(value)}.")
    return float(value)
