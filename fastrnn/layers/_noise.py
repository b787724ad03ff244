"""The source of a layer's masks: a seed, and the number of passes in training so far."""

from typing import NamedTuple


class NoisePass(NamedTuple):
    """Names the masks of one pass in training, for `dropout` and `keep_mask` of a backend."""

    seed: int
    number: int

    def kind(self, k):
        """Return the name of further masks of the same pass: `k` distinguishes them, from 1 to 2³⁰.

        Examples
        --------
        >>> NoisePass(3, 1).kind(1)
        NoisePass(seed=4294967299, number=1)
        """
        return self._replace(seed=self.seed + (k << 32))


class Noise:
    """Counts the passes in training of a layer that draws masks, see `fastrnn.kernels.counters`.

    Parameters
    ----------
    random_state : RandomState instance
        Draws the seed.

    Examples
    --------
    >>> import numpy as np
    >>> noise = Noise(np.random.RandomState(0))
    >>> noise.next_pass(), noise.next_pass()
    (NoisePass(seed=209652396, number=1), NoisePass(seed=209652396, number=2))
    """

    def __init__(self, random_state):
        self.seed = int(random_state.randint(2**31))
        self.passes = 0

    def next_pass(self):
        """Begin a pass; return the name of its masks, a `NoisePass`."""
        self.passes += 1
        return NoisePass(self.seed, self.passes)

    def state(self):
        """Return the seed and the number of passes as plain values."""
        return {"seed": self.seed, "passes": self.passes}

    def set_state(self, state):
        """Restore the state that `state` returned."""
        self.seed, self.passes = state["seed"], state["passes"]
