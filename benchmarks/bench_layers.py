"""Recurrent layers: time of their passes, and the memory that passes over a long sequence take at their peak."""

import numpy as np

from fastrnn.layers import Recurrent

# name: cell, (T, B, D, H), whether gradients follow, whether the sequences have different lengths
CASES = {
    "lstm forward": ("lstm", (35, 20, 200, 200), False, False),
    "lstm training": ("lstm", (35, 20, 200, 200), True, False),
    "gru training": ("gru", (35, 20, 200, 200), True, False),
    "lstm training, one short sequence": ("lstm", (20, 1, 64, 64), True, False),
    "lstm training, ragged": ("lstm", (64, 64, 100, 128), True, True),
}


def make_pass(cell, shape, training, ragged=False):
    """Return a function that takes a layer forward, and backward too."""
    steps, batch, inputs, hidden = shape
    rng = np.random.default_rng(0)
    layer = Recurrent(cell, inputs, hidden, random_state=0)
    x, dy = (rng.standard_normal((steps, batch, size), "f4") for size in (inputs, hidden))
    lengths = rng.integers(1, steps + 1, batch) if ragged else None

    def run():
        layer.forward(x, lengths=lengths, training=training)
        if training:
            layer.backward(dy)

    return run


class LayerSpeed:
    params = (list(CASES),)
    param_names = ("case",)

    def setup(self, case):
        self.run = make_pass(*CASES[case])
        self.run()  # compiles

    def time_pass(self, case):
        self.run()


class SingleSteps:
    params = (["lstm", "gru"], [1, 64])
    param_names = ("cell", "batch")

    def setup(self, cell, batch):
        self.layer = Recurrent(cell, 128, 128, num_layers=2, random_state=0)
        self.x = np.ones((batch, 128), "f4")
        self.time_100_steps(cell, batch)  # compiles

    def time_100_steps(self, cell, batch):
        """`Recurrent.step`, the weights held."""
        state = None
        with self.layer.held_weights():
            for _ in range(100):
                _, state = self.layer.step(self.x, state)


class LongSequence:
    params = (False, True)
    param_names = ("training",)

    def setup(self, training):
        self.run = make_pass("lstm", (2000, 16, 64, 128), training)

    def peakmem_pass(self, training):
        """At prediction, little more than input and output."""
        self.run()
