"""A cell of one's own: its equations in this file, trained at compiled speed, with no change to the package.

The cell is the update gate recurrent unit (Collins et al. 2017): h' = z·h + (1 − z)·tanh(zn). Its gradients are checked
against differences; then it is trained to remember the first symbol of a sequence.

    python examples/custom_cell.py [--steps 300]
"""

import argparse
from typing import NamedTuple

import numpy as np

from fastrnn.layers import Dense, Recurrent, Softmax, gradcheck
from fastrnn.simd import sigmoid, sigmoid_slope, tanh, tanh_slope
from fastrnn.training.optimizers import Adam


class UGRNN(NamedTuple):
    """Update gate recurrent unit: h' = z·h + (1 − z)·tanh(zn)."""

    states = ("h",)
    gates = ("z", "n")
    slots = ("z", "n")
    input_slots = (0, 1)
    recurrent_slots = (0, 1)

    @staticmethod
    def forward(pre, state):
        """Return the new state and what backward needs."""
        z, n = sigmoid(pre[0]), tanh(pre[1])
        return (n + z * (state[0] - n),), (z, n)

    @staticmethod
    def backward(saved, state, d_new_state):
        """Return the gradients of both pre-activations, and of h past the recurrent product."""
        z, n = saved
        dh = d_new_state[0]
        return (dh * (state[0] - n) * sigmoid_slope(z), (dh - dh * z) * tanh_slope(n)), (dh * z,)


def train(cell, steps, length=10, symbols=4, batch=32, seed=0):
    """Return the share of sequences whose first symbol the trained network names at the end."""
    random = np.random.default_rng(seed)
    embedding = Dense(symbols, 16, random_state=seed)
    recurrent = Recurrent(cell, 16, 32, random_state=seed)
    output = Softmax(32, symbols, random_state=seed)
    optimizers = [Adam(0.01) for _ in range(3)]

    def draw():
        ids = random.integers(0, symbols, (length, batch))
        return ids[0], np.eye(symbols, dtype="float32")[ids]

    for _ in range(steps):
        targets, x = draw()
        y, _ = recurrent.forward(embedding.forward(x, training=True), training=True)
        dy = np.zeros_like(y)
        _, dy[-1] = output.loss_and_gradient(y[-1], targets, 1 / batch)
        embedding.backward(recurrent.backward(dy)[0])
        for layer, optimizer in zip((embedding, recurrent, output), optimizers, strict=True):
            optimizer.step(layer.parameters, layer.grads)
            layer.zero_grad()
    targets, x = draw()
    y, _ = recurrent.forward(embedding.forward(x))
    return (output.probabilities(y[-1]).argmax(1) == targets).mean()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    steps = parser.parse_args().steps
    errors = gradcheck(Recurrent(UGRNN(), 3, 5, dtype="float64"), np.random.default_rng(0).standard_normal((6, 2, 3)))
    print(f"largest error of a gradient: {max(errors.values()):.1e}")
    print(f"the first of 10 symbols is remembered in {train(UGRNN(), steps):.0%} of the sequences")
