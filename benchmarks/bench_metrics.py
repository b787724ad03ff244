"""Metrics of written sequences."""

import numpy as np

from fastrnn.metrics import character_error_rate, edit_distance, exact_match


class Edits:
    """4,000 pairs of texts with a few errors, of 10 or 100 characters."""

    params = (10, 100)
    param_names = ("length",)

    def setup(self, length):
        rng = np.random.default_rng(0)
        letters = rng.integers(97, 123, (4000, length))
        others = np.where(rng.random(letters.shape) < 0.2, rng.integers(97, 123, letters.shape), letters)
        self.y_true, self.y_pred = (["".join(map(chr, row)) for row in texts.tolist()] for texts in (letters, others))
        self.tokens = [list(map(list, texts)) for texts in (self.y_true, self.y_pred)]
        edit_distance(["a"], ["b"])  # compiles

    def time_edit_distance(self, length):
        edit_distance(self.y_true, self.y_pred)

    def time_edit_distance_of_tokens(self, length):
        edit_distance(*self.tokens)

    def time_character_error_rate(self, length):
        character_error_rate(self.y_true, self.y_pred)

    def time_exact_match(self, length):
        exact_match(self.y_true, self.y_pred)
