"""Remembered steps of a decoder: the beam search reuses those that a greedy search before it has taken."""

import numpy as np

from fastrnn.language.hypotheses import MostProbable


class Replay:
    """The steps of a decoder, taken once for a hypothesis that a greedy search and a beam search both follow.

    Parameters
    ----------
    advance, take
        Parts of the decoder, see `fastrnn.language.search`.
    join : callable (states) -> state, or None, default=None
        Returns the state with the rows of several states, one after the other. It needs a decoder that gives
        `MostProbable`. None remembers nothing.
    """

    def __init__(self, advance, take, join=None):
        self._advance, self._take, self._join = advance, take, join
        self._steps = []  # of the greedy search: (inputs, tokens, log_probs, state)

    def record(self, state, rows, hypotheses):
        """Take a step of the greedy search, for the `rows` of its state that become `hypotheses`, and remember it."""
        tokens = np.ascontiguousarray(hypotheses.tokens[:, -1])
        log_probs, state = self._advance(self._take(state, rows), tokens)
        if self._join is not None:
            self._steps.append((hypotheses.inputs, hypotheses.tokens, log_probs, state))
        return log_probs, state

    def follow(self, state, rows, hypotheses):
        """Take a step of the beam search; see `record`."""
        inputs, tokens, length = hypotheses.inputs, hypotheses.tokens, hypotheses.tokens.shape[1]
        known = np.zeros(len(inputs), bool)
        if length <= len(self._steps):
            walked, path, log_probs, states = self._steps[length - 1]
            places = np.minimum(np.searchsorted(walked, inputs), len(walked) - 1)
            known = (walked[places] == inputs) & (path[places] == tokens).all(axis=1)
        new = np.flatnonzero(~known)
        if len(new) == len(known):
            return self._advance(self._take(state, rows), np.ascontiguousarray(tokens[:, -1]))
        places = places[known]
        remembered = MostProbable(log_probs.log_probs[places], log_probs.tokens[places]), self._take(states, places)
        if not len(new):
            return remembered
        found, state = self._advance(self._take(state, rows[new]), np.ascontiguousarray(tokens[new, -1]))
        order = np.argsort(np.append(np.flatnonzero(known), new))
        lists = (np.concatenate(pair)[order] for pair in zip(remembered[0], found, strict=True))
        return MostProbable(*lists), self._take(self._join([remembered[1], state]), order)
