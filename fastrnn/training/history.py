"""The course of a training: the returned history and the figures shown meanwhile."""

import time
from typing import NamedTuple


class History(NamedTuple):
    """Course of a training, epoch by epoch.

    Attributes
    ----------
    loss_curve : list of float
        Mean training loss of each finished epoch.
    validation_scores : list of float
        Score of each finished epoch; empty without validation.
    """

    loss_curve: list
    validation_scores: list


class EpochReport:
    """Shows the figures of an epoch: the loss, elements per second, and the last score.

    Parameters
    ----------
    progress : Progress
    unit : str
        The name of the elements that the loss is a mean of.
    shown : dict of str to str
        The figures of the last score.
    """

    def __init__(self, progress, unit, shown):
        self.progress, self.unit, self.shown = progress, unit, shown
        self.count, self.start = 0, time.perf_counter()

    def begin(self, total, done):
        """Begin an epoch of `total` steps, None if unknown, after its first `done` steps."""
        self.progress.begin(total, done)

    def update(self, size, loss):
        """Count a step of `size` elements."""
        self.count += size
        speed = f"{self.unit}/s"
        self.progress.update(1, lambda: {"loss": f"{loss:.3f}", **self.shown, speed: f"{self._speed():,.0f}"})

    def finish(self, epoch, max_iter, loss, shown):
        """Write the line of a finished epoch."""
        seconds = time.perf_counter() - self.start
        parts = [f"loss {loss:.4f}", *(f"{name} {figure}" for name, figure in shown.items())]
        self.progress.line(
            f"epoch {epoch} of {max_iter}, {', '.join(parts)}, {self._speed():,.0f} {self.unit}/s, {seconds:.1f} s"
        )

    def _speed(self):
        return self.count / max(time.perf_counter() - self.start, 1e-9)
