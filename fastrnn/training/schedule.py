"""The learning rate in the course of a training."""

import math

from fastrnn.utils.checks import check_choice

PLATEAU_FACTOR = 0.25  # of the learning rate after an epoch without improvement
SCHEDULES = ("plateau", "cosine", "constant")


class Schedule:
    """The learning rate in the course of a training.

    Parameters
    ----------
    kind : {"plateau", "cosine", "constant"}
        "plateau": the rate is multiplied by `PLATEAU_FACTOR` after each epoch without improvement. "cosine": it falls
        to 0 along half a cosine wave. "constant": it stays.
    rate : float
        The learning rate at the beginning, or after the warm-up.
    warmup : int, default=0
        Steps in which the rate rises to `rate` in a straight line.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> schedule = Schedule("cosine", 0.1, warmup=4)
    >>> [round(schedule.at(step, step / 16), 3) for step in (0, 3, 8, 16)]
    [0.025, 0.092, 0.05, 0.0]
    """

    def __init__(self, kind, rate, warmup=0):
        check_choice("schedule", kind, SCHEDULES)
        self.kind, self.rate, self.warmup = kind, rate, warmup

    def at(self, step, share):
        """Return the learning rate at `step` (from 0), after the fraction `share` of training."""
        factor = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.kind == "cosine":
            factor *= (1 + math.cos(math.pi * share)) / 2
        return self.rate * factor

    def stalled(self):
        """Register an epoch without improvement."""
        if self.kind == "plateau":
            self.rate *= PLATEAU_FACTOR
