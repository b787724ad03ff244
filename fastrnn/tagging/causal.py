"""Predictions step by step: the state that an estimator with one direction keeps between the steps of a sequence."""

from typing import NamedTuple

import numpy as np

from fastrnn.utils.checks import check_fitted, shown
from fastrnn.utils.use import GuardedMixin

_MOST_TOKENS = 4096  # whose vectors are kept


class StepState(NamedTuple):
    """The state of an estimator after some steps of a sequence. It is never changed.

    Attributes
    ----------
    recurrent : array or tuple of array
        State of the recurrent layers; None before the first step.
    scores : float64 array (K,)
        Outputs of the last step; None before the first one. With a CRF: the logarithms of its forward messages, the
        largest 0. Their softmax are the probabilities of the labels given the steps so far.
    target : target
        Kind and values of y.
    """

    recurrent: object
    scores: np.ndarray | None
    target: object

    @property
    def probabilities(self):
        """Probabilities of the labels of the last step, float64 (K,), in the order of ``classes_``."""
        if self.scores is None:
            raise ValueError("state has no probabilities before the first step: call advance first.")
        return self.target.step_probabilities(self.scores)


class CausalMixin(GuardedMixin):
    """Methods of recurrent estimators with a target for each step, for models that read forwards only."""

    def initial_state(self):
        """Return the state before the first step of a sequence, for `advance`.

        Returns
        -------
        state : StepState
            It is never changed: one state can be advanced with many steps.

        Raises
        ------
        ValueError
            The model reads sequences in both directions.
        """
        check_fitted(self, "network_")
        self._check_causal("initial_state")
        return StepState(None, None, self._target)

    def advance(self, state, x):
        """Read one more step of a sequence, and predict for it.

        Parameters
        ----------
        state : StepState
            From `initial_state`, or from this method.
        x : array-like (D,), number or token
            The step: the vector of a series, a number if D is 1; or the token as it stands in X, one of a text for
            ``input="text"``, whose labels are then tags.

        Returns
        -------
        prediction : label, int array (K,), float or float64 array (K,)
            What `predict` returns for this step of the whole sequence, to the bit. Where labels depend on one another,
            in a CRF or a scheme, it is the most probable label given the steps so far, by the forward algorithm
            (Rabiner 1989). `predict` finds the best path through all steps: it has seen those that follow, and may
            decide otherwise.
        state : StepState
            The state after the step. For a tagger, ``state.probabilities`` are those of the labels.

        Raises
        ------
        ValueError
            The state is not one of this model, x is no step, or the model reads sequences in both directions.

        Examples
        --------
        >>> import numpy as np
        >>> from fastrnn import RNNTagger
        >>> X = [np.random.RandomState(n).randn(9) for n in range(20)]
        >>> y = [np.where(series > 0, "up", "down") for series in X]
        >>> model = RNNTagger("rnn", hidden_size=8, bidirectional=False, input="series", max_iter=50, random_state=0)
        >>> state = model.fit(X, y).initial_state()
        >>> for x in (1.5, -0.5):
        ...     label, state = model.advance(state, x)
        ...     print(label)
        up
        down
        """
        check_fitted(self, "network_")
        self._check_causal("advance")
        target = self._target
        if not isinstance(state, StepState) or (state.scores is not None and len(state.scores) != target.n_outputs):
            raise ValueError(f"state must be what initial_state or advance of this model returned, got {shown(state)}.")
        network = self.network_
        network.held_weights().keep()
        before = None if state.scores is None else state.scores[np.newaxis]
        scores, recurrent = network.advance(self._vector(x), before, state.recurrent)
        return target.step_prediction(scores[0]), StepState(recurrent, scores[0], target)

    def _check_causal(self, name):
        """Raise ValueError if the network reads backwards too; `name` is the method that cannot."""
        if self.network_.recurrent.bidirectional:
            raise ValueError(f"{name} needs a model that reads forwards only: fit one with bidirectional=False.")

    def _vector(self, x):
        """Return the vector of a step as the recurrent layers read it, (1, D).

        Vectors of tokens are kept as long as the weights are held: a text repeats its words.
        """
        if self.input == "series":
            return self._reader.read_step(x)
        known, key = self.network_.held_weights().value, tuple(map(str, x)) if isinstance(x, tuple) else x
        vector = known.get(key) if isinstance(key, str | tuple) else None
        if vector is None:
            vector = self.network_.vectors(self._read([[x]]))
            if isinstance(key, str | tuple) and len(known) < _MOST_TOKENS:
                known[key] = vector
        return vector
