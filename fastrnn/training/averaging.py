"""Averages of weights over the steps of a training."""

from fastrnn.backends import backend
from fastrnn.training.arrays import copied, distinct, on_host
from fastrnn.utils.checks import check_choice, check_fraction, check_positive_integer


class WeightAverage:
    """Mean of the weights of many steps, which often predicts better than the last ones.

    Parameters
    ----------
    kind : {"ema", "asgd"}
        "ema": an exponential moving average from the first step on (at first the plain mean). "asgd": the plain mean
        (averaged SGD, Polyak and Juditsky 1992). It begins when the validation has stalled: when a score is below the
        best one of those more than `patience` epochs before (NT-ASGD, Merity et al. 2017).
    decay : float, default=0.999
        Factor of the old average in each step, for "ema".
    patience : int, default=5
        For "asgd".
    n_jobs : int or None, default=None
    device : str, default="cpu"
        Where the weights are, see `fastrnn.backends`.

    Attributes
    ----------
    running : bool
        Whether steps are being averaged.

    References
    ----------
    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on Control and
    Optimization 30, 1992. Merity, Keskar and Socher, "Regularizing and optimizing LSTM language models", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.training.averaging import WeightAverage
    >>> average, weights = WeightAverage("ema", decay=0.9), {"w": np.zeros(2)}
    >>> for step in range(4):
    ...     weights["w"] += 1
    ...     average.update(weights)
    >>> average.arrays["w"]
    array([2.5, 2.5])
    """

    def __init__(self, kind, decay=0.999, patience=5, n_jobs=None, device="cpu"):
        check_choice("averaging", kind, (None, "ema", "asgd"))
        check_positive_integer("averaging_patience", patience)
        check_fraction("averaging_decay", decay)
        self.kind, self.decay, self.patience, self.n_jobs, self.device = kind, decay, patience, n_jobs, device
        self.running, self.count, self.arrays = kind == "ema", 0, {}

    @property
    def backend(self):
        """The module with the array operations of the weights' device."""
        return backend(self.device)

    def begin_if_stalled(self, scores, score):
        """Begin if a score (higher is better) has stalled, given those of the epochs before; return whether."""
        before = scores[: -self.patience]
        self.running = bool(before) and score < max(before)
        return self.running

    def update(self, parameters):
        """Include the weights after a step in the average."""
        if not self.running:
            return
        self.count += 1
        share = max(1 / self.count, 1 - self.decay if self.kind == "ema" else 0.0)
        items = distinct(parameters)
        for name, weight in items:
            if name not in self.arrays:
                self.arrays[name] = self.backend.copy(weight)
        averages = [self.arrays[name] for name, _ in items]
        self.backend.average_update(averages, [weight for _, weight in items], share, self.n_jobs)

    def exchange(self, parameters):
        """Exchange the values of the weights and of their average, if it has begun."""
        for name, mean in self.arrays.items():
            weight = self.backend.copy(parameters[name])
            self.backend.assign(parameters[name], mean)
            self.backend.assign(mean, weight)

    def state(self):
        """Return plain values and NumPy arrays for `set_state`."""
        return {"running": self.running, "count": self.count}, on_host(self.arrays, self.backend)

    def set_state(self, content, arrays):
        """Restore the state that `state` returned."""
        self.running, self.count = content["running"], content["count"]
        self.arrays = copied({name: self.backend.asarray(array) for name, array in arrays.items()}, self.backend)
