"""Attention, and translators: training, search and probabilities."""

import numpy as np

from fastrnn import RNNTranslator
from fastrnn.layers import Attention, Decoder
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


class DecoderSpeed:
    """A GRU decoder of 256 units over 14 steps of 64 sequences, which attend to 14 vectors each."""

    params = (("additive", "dot", None), (False, True))
    param_names = ("attention", "input_feeding")

    def setup(self, attention, input_feeding):
        if input_feeding and attention is None:
            raise NotImplementedError  # nothing is fed
        rng = np.random.default_rng(0)
        self.x, self.vectors = rng.standard_normal((2, 14, 64, 256), "f4")
        self.attention = None if attention is None else Attention(256, 256, attention, random_state=0)
        self.decoder = Decoder("gru", 256, 256, 1, self.attention, input_feeding, random_state=0)
        self.dy = np.ones((14, 64, self.decoder.output_size), "f4")
        self.sources = np.repeat(np.arange(64), 5)
        self.row = rng.standard_normal((len(self.sources), 256), "f4")
        self.time_training(attention, input_feeding)  # compiles
        self.time_14_steps(attention, input_feeding)

    def _read(self, training=False):
        return None if self.attention is None else self.attention.read(self.vectors, training=training)

    def time_training(self, attention, input_feeding):
        self.decoder.forward(self.x, None, self._read(training=True), training=True)
        self.decoder.backward(self.dy)

    def time_14_steps(self, attention, input_feeding):
        """`Decoder.step` of five hypotheses a sequence, the weights held."""
        memory, state = self._read(), None
        with self.decoder.held_weights():
            for _ in range(14):
                _, state, _ = self.decoder.step(self.row, state, memory, self.sources)


class Translators:
    """1,024 pairs of 5 to 15 words of 2,000, reversed; 128 units."""

    params = ("additive", None)
    param_names = ("attention",)

    def setup(self, attention):
        rng = np.random.default_rng(0)
        words = [f"w{n}" for n in range(2000)]
        self.X = [[words[n] for n in rng.integers(2000, size=rng.integers(5, 16))] for _ in range(1024)]
        self.y = [tokens[::-1] for tokens in self.X]
        self.model = RNNTranslator(embedding_size=64, hidden_size=128, attention=attention, tokenizer=None,
                                   random_state=0)  # fmt: skip
        self.model.partial_fit(self.X, self.y).predict(self.X[:8])  # compiles
        self.model.score(self.X[:8], self.y[:8])

    def time_partial_fit(self, attention):
        self.model.partial_fit(self.X, self.y)

    def time_predict(self, attention):
        self.model.predict(self.X[:256], max_length=15)

    def time_score(self, attention):
        self.model.score(self.X, self.y)


class Search:
    """Targets of 256 sentences by a model that was trained for a moment; 128 units, a vocabulary of 2,000 words."""

    params = (0.0, 1.0)
    param_names = ("length_penalty",)

    def setup(self, length_penalty):
        parent = Translators()
        parent.setup("additive")
        self.X, self.model = parent.X[:256], parent.model
        self.options = {"length_penalty": length_penalty, "max_length": 15}
        self.model.beam_search(self.X[:8], 5, **self.options)  # compiles
        self.model.sample(self.X[:8], 2, max_length=15, random_state=0)

    def time_best(self, length_penalty):
        self.model.predict(self.X, **self.options)

    def time_several(self, length_penalty):
        self.model.beam_search(self.X, 5, **self.options)

    def time_prefix(self, length_penalty):
        self.model.predict(self.X, prefix=[["w1", "w2"]] * len(self.X), **self.options)

    def time_sample(self, length_penalty):
        self.model.sample(self.X, 2, max_length=15, random_state=0)
