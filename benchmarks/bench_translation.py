"""Attention: forward and backward, of one query of each sequence and of all at once."""

import numpy as np

from fastrnn.layers import Attention
from fastrnn.layers.attention import SCORES


class AttentionSpeed:
    """64 sequences of 30 vectors of 256 numbers; their keys are given."""

    params = (SCORES, (1, 14))
    param_names = ("score", "queries")

    def setup(self, score, queries):
        rng = np.random.default_rng(0)
        self.layer = Attention(256, 256, score, random_state=0)
        self.memory = self.layer.read(rng.standard_normal((30, 64, 256), "f4"), training=True)
        self.queries, self.d_contexts = rng.standard_normal((2, queries, 64, 256), "f4")
        self.time_training(score, queries)  # compiles

    def time_forward(self, score, queries):
        self.layer.forward(self.queries, self.memory)

    def time_training(self, score, queries):
        self.layer.forward(self.queries, self.memory, training=True)
        self.layer.backward(self.d_contexts)
