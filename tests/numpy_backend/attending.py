"""Attention inside the time loop, from the equations: the query of a step is made of h before it."""

import numpy as np

from tests.numpy_backend.attention import attention_backward, attention_forward
from tests.numpy_backend.opaque import opened
from tests.numpy_backend.products import outer, times


class Attending:
    """What the sequences of a pass attend to, an `Attended`; all sequences are in packed order here."""

    def __init__(self, attended, packing):
        self.given = opened(attended)
        self.given.contexts[...] = self.given.weights[...] = 0
        self.order, sources = packing.order, self.given.sources
        self.sources = self.order if sources is None else np.asarray(sources)[self.order]
        self.size = self.given.values.shape[1]

    def step(self, t, h):
        """Return contexts (n, M), weights (n, S), queries (n, A) and h (n, output) of step `t`."""
        given, n, h = self.given, len(h), h.copy()
        queries = h if given.weight_query is None else times(h, given.weight_query) + given.bias
        contexts, weights = (np.zeros((1, n, part.shape[2]), h.dtype) for part in given[:2])
        attention_forward(contexts, weights, queries[np.newaxis], *self.sources_of(n))
        given.contexts[t, self.order[:n]], given.weights[t, self.order[:n]] = contexts[0], weights[0]
        return contexts[0], weights[0], queries, h

    def sources_of(self, n):
        """Return the last arguments of the functions of a step's first `n` sequences."""
        given = self.given
        return given.keys, given.values, given.score, given.offsets, self.sources[:n], None

    def begin_backward(self, gradients):
        """Take the `Attended` of gradients."""
        self.gradients = opened(gradients)

    def step_backward(self, t, kept, d_contexts):
        """Return the gradient of h before step `t` from that of its contexts (n, M) through the gates."""
        (_, weights, queries, h), grads, n = kept, self.gradients, len(d_contexts)
        total, d_queries = d_contexts + grads.contexts[t, self.order[:n]], np.zeros_like(queries)
        attention_backward(d_queries[np.newaxis], grads.keys, grads.values, grads.score, total[np.newaxis],
                           weights[np.newaxis], queries[np.newaxis], *self.sources_of(n))  # fmt: skip
        if grads.weight_query is None:
            return d_queries
        grads.weight_query[...] += outer(d_queries, h)
        grads.bias[...] += d_queries.sum(axis=0)
        return times(d_queries, self.given.weight_query.T)
