"""Models of the next step of series: their examples, and series that are drawn from them."""

import itertools

import numpy as np
from scipy.special import expit
from sklearn.utils import check_random_state

from fastrnn.utils.arrays import to_array
from fastrnn.utils.checks import check_fitted, check_not_negative, check_positive_integer, shown
from fastrnn.utils.use import GuardedMixin


def next_step_examples(X):
    """Return the examples from which a model learns the next step of series.

    Parameters
    ----------
    X : list of array (T_i, D) or (T_i,), array (n, T, D), or array (n, T)

    Returns
    -------
    X : list of array (T_i - 1, D) or (T_i - 1,)
        All steps but the last one. Padding of nothing but NaN at the end is left out, and so are series of less than
        two steps.
    y : list of array (T_i - 1, D) or (T_i - 1,)
        All steps but the first one.

    Examples
    --------
    >>> from fastrnn.tagging import next_step_examples
    >>> X, y = next_step_examples([[1.0, 2.0, 4.0]])
    >>> X[0].tolist(), y[0].tolist()
    ([1.0, 2.0], [2.0, 4.0])
    """
    series = [part for part in itertools.starmap(_without_padding, enumerate(X)) if len(part) > 1]
    return [part[:-1] for part in series], [part[1:] for part in series]


def _without_padding(i, series):
    """Return series i as an array, without the steps of nothing but NaN at its end."""
    given, series = series, to_array(series)
    if series.ndim not in (1, 2) or series.dtype.kind not in "biuf":
        raise ValueError(f"X[{i}] must be an array (T, D) or (T,) of numbers, got {shown(given)}.")
    if series.dtype.kind != "f":
        return series
    used = np.flatnonzero(~np.isnan(series).all(axis=tuple(range(1, series.ndim))))
    return series[: used.max(initial=-1) + 1]


class NextStepMixin(GuardedMixin):
    """Series from a model of the next step, a `CausalMixin`: each step is read and the next one follows from it."""

    def _generate(self, start, n_steps, choose):
        """Return the steps that follow a series, (n_steps, K); `choose(scores)` makes a step of outputs (K,)."""
        check_fitted(self, "network_")
        check_positive_integer("n_steps", n_steps)
        self._check_causal("generate")
        if self.input != "series" or self._target.n_outputs != self._reader.n_features:
            inputs = f"vectors of {self._reader.n_features} numbers" if self.input == "series" else "tokens"
            raise ValueError(
                f"generate needs a model whose outputs are its next inputs, got {self._target.n_outputs} outputs and "
                f"{inputs} as inputs."
            )
        steps, state = to_array(start), self.initial_state()
        if steps.ndim not in (1, 2) or not len(steps):
            raise ValueError(f"start must be an array (T, D) of numbers with at least one step, got {shown(start)}.")
        for step in steps:
            _, state = self.advance(state, step)
        drawn = np.empty((n_steps, self._target.n_outputs))
        for step in drawn:
            step[:] = choose(state.scores)
            _, state = self.advance(state, step)
        return drawn


class LabelGenerationMixin(NextStepMixin):
    """Drawing of series whose steps are sets of labels, for taggers."""

    def generate(self, start, n_steps, random_state=None, temperature=1.0):
        """Continue a series of sets of labels, each drawn from its probability and read before the next one is drawn.

        The model has learned the next step of such series, see `fastrnn.tagging.next_step_examples`.

        Parameters
        ----------
        start : array-like (T, K) of 0 and 1
            The first steps, at least one: the opening notes of a piece of music, for instance.
        n_steps : int
            Number of steps that follow.
        random_state : int, RandomState instance or None, default=None
        temperature : float, default=1.0
            Divisor of the logits: below 1, likely labels become likelier. 0 takes those that are more probable than
            not.

        Returns
        -------
        int64 array (n_steps, K) of 0 and 1

        Raises
        ------
        ValueError
            The model reads in both directions, has one label for each step, or its labels are not as many as its
            inputs.
        """
        check_fitted(self, "network_")
        check_not_negative("temperature", temperature)
        random = check_random_state(random_state)
        if self._target.kind != "step_labels":
            raise ValueError("generate needs a model of several labels for each step: fit one with arrays (T, K) as y.")

        def choose(scores):
            return scores > 0 if temperature == 0 else random.random_sample(len(scores)) < expit(scores / temperature)

        return self._generate(start, n_steps, choose).astype(np.int64)
