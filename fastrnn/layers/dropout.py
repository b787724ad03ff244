"""Dropout."""

import functools
import math
import numbers

import numpy as np

from fastrnn.layers._layer import Layer
from fastrnn.layers._noise import Noise
from fastrnn.utils.checks import shown


class Dropout(Layer):
    """Zero each element with probability `p` in training, and scale the others by 1 / (1 − p) (Srivastava et al. 2014).

    A mask depends on the seed, the number of the pass, and the places of its elements in the batch. `backward` computes
    it again.

    Parameters
    ----------
    p : float, default=0.5
        Probability that an element is zeroed, at least 0 and below 1.
    locked : bool, default=False
        Whether an element is zeroed at every step of a sequence or at none (Gal and Ghahramani 2016).
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import Dropout
    >>> Dropout(0.5, random_state=0).forward(np.ones(6, "float32"), training=True)
    array([0., 2., 2., 2., 2., 2.], dtype=float32)
    """

    _dropout_rates = ("p",)

    def __init__(self, p=0.5, locked=False, *, dtype="float32", random_state=None, n_jobs=None, device="cpu",
                 precision="highest"):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        self.p = check_probability("p, the probability of dropout,", p)
        self.locked = locked
        self._noise = Noise(self.random_state)

    def forward(self, x, training=False, sequences=None, steps=None):
        """Return x with elements dropped in training, x itself otherwise.

        Parameters
        ----------
        x : array-like (T, B, …), (B, n) or (n,)
            Steps of sequences, or a row for each sequence; (R, …) with `sequences`.
        training : bool, default=False
        sequences, steps : int array (R,), default=None
            For packed rows: the place of each row's sequence in the batch, and the row's step.

        Returns
        -------
        array of the device, of the shape of x

        Raises
        ------
        ValueError
            `sequences` and `steps` are not one number for each row.
        """
        if not training:
            return x
        if self.p == 0:
            self._keep(None, None)
            return x
        x = self.backend.asarray(x, self.dtype)
        if sequences is None:
            sequences, steps = _numbers(x.shape[:-1][:2])
        elif not np.shape(sequences) == np.shape(steps) == x.shape[:1]:
            raise ValueError(
                f"sequences and steps must have shape {x.shape[:1]}, got {np.shape(sequences)} and {np.shape(steps)}."
            )
        sequences, steps = (np.ascontiguousarray(numbers, np.int32) for numbers in (sequences, steps))
        if self.locked:
            steps = np.zeros_like(steps)
        self._keep(self._noise.next_pass(), (sequences, steps))
        return self._drop(x)

    def backward(self, dy):
        """Return the gradient of x for the mask of the last `forward` in training."""
        noise, _ = self._recall()
        return dy if noise is None else self._drop(self.backend.asarray(dy, self.dtype))

    def _drop(self, x):
        """Return x under the mask that was kept."""
        noise, (sequences, steps) = self._recall()
        backend, shape = self.backend, (len(sequences), x.size // max(len(sequences), 1))
        out = backend.empty(shape, self.dtype)
        backend.dropout(out, backend.reshape(x, shape), self.p, *noise, sequences, steps, self.n_jobs)
        return backend.reshape(out, x.shape)


@functools.lru_cache(maxsize=16)
def _numbers(shape):
    """Return the sequence and the step of each row of a batch (T, B), (B,) or (), int32 (R,) each."""
    numbers = np.arange(math.prod(shape), dtype=np.int32)
    return (numbers % shape[1], numbers // shape[1]) if len(shape) == 2 else (numbers, np.zeros_like(numbers))


def check_probability(name, value):
    """Return a probability of dropping something, or raise ValueError naming it."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {shown(value)}.")
    return float(value)
