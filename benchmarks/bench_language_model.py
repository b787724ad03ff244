"""The recurrent language model: time and peak memory of training, and time of sampling."""

import numpy as np

from fastrnn import RNNLanguageModel
from fastrnn.text import SPECIAL_TOKENS, Vocabulary

_STEPS, _BATCH = 35, 20


def make_model(vocabulary_size, hidden_size):
    """Return a two-layer LSTM that has read a random text of one batch, and this text."""
    tokens = [chr(0x4E00 + n) for n in range(vocabulary_size - len(SPECIAL_TOKENS))]
    text = ["".join(np.random.default_rng(0).choice(tokens, _STEPS * _BATCH))]
    model = RNNLanguageModel(
        embedding_size=hidden_size, hidden_size=hidden_size, num_layers=2, tokenizer="chars", bptt_length=_STEPS,
        batch_size=_BATCH, vocabulary=Vocabulary.from_tokens(tokens), random_state=0,
    )  # fmt: skip
    return model.partial_fit(text), text


class Training:
    def setup(self):
        self.model, self.text = make_model(10_000, 200)

    def time_partial_fit(self):
        self.model.partial_fit(self.text)

    def peakmem_partial_fit(self):
        self.model.partial_fit(self.text)


class Sampling:
    params = (1, 64)
    param_names = ("texts",)

    def setup(self, texts):
        self.model, _ = make_model(65, 128)
        self.model.network_.output.parameters["bias"][: len(SPECIAL_TOKENS)] = -1e9  # all texts get their full length
        self.model.sample(texts, 2)  # compiles

    def time_sample_100_tokens(self, texts):
        self.model.sample(texts, 100, random_state=0)


class Filling:
    """A blank with 3 tokens behind it, compared over the whole vocabulary; memory does not grow with that."""

    params = (2_500, 10_000)
    param_names = ("vocabulary",)

    def setup(self, vocabulary):
        self.model, (text,) = make_model(vocabulary, 200)
        self.tokens = [*text[:5], "___", *text[5:8]]
        self.model.fill(self.tokens)  # compiles

    def time_fill(self, vocabulary):
        self.model.fill(self.tokens)

    def peakmem_fill(self, vocabulary):
        self.model.fill(self.tokens)
