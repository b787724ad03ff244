"""The four shapes of sequence problems, each on exact synthetic data and in a few lines.

- one to one: a plain dense network tells whether a point lies in a circle;
- one to many: a vector (phase and frequency of a wave) in, the wave out;
- many to one: bits in, their majority out;
- many to many, in step: bits in, the running parity out.

    python examples/four_shapes.py [--steps 400]
"""

import argparse

import numpy as np

from fastrnn.layers import GRU, LSTM, Dense, Softmax
from fastrnn.training.loop import Options, train
from fastrnn.training.optimizers import Adam


class Network:
    """Layers that are trained together; `step` runs them on a batch and returns the loss, the gradients set."""

    def __init__(self, layers, step):
        self.layers, self.step = layers, step

    def _named(self, attribute):
        pairs = [(f"{name}.{key}", array) for name, layer in self.layers.items()
                 for key, array in getattr(layer, attribute).items()]  # fmt: skip
        return dict(pairs)

    backend = property(lambda self: self.layers["output"].backend)
    parameters = property(lambda self: self._named("parameters"))
    grads = property(lambda self: self._named("grads"))

    def make_writable(self):
        """Copy the arrays that cannot be written to."""
        for layer in self.layers.values():
            layer.make_writable()

    def sparse_rows(self):
        """Return nothing: all gradients are dense."""
        return {}

    def train_step(self, batch):
        """Set the gradients of a batch; return its mean loss and its size."""
        for layer in self.layers.values():
            layer.zero_grad()
        return self.step(*batch), len(batch[1])

    def fit(self, draw, steps):
        """Train on `steps` batches from `draw`."""
        train(self, Adam(0.01), lambda: [draw() for _ in range(steps)], Options(max_iter=1, clip_norm=1.0))
        return self


def one_to_one(steps, random):
    """Return the accuracy of a dense network on points in or out of a circle."""
    hidden, output = Dense(2, 16, activation="relu", random_state=0), Softmax(16, 2, random_state=0)

    def draw():
        points = random.uniform(-1, 1, (64, 2)).astype("float32")
        return points, (np.hypot(*points.T) < 0.8).astype(int)

    def step(x, targets):
        loss, d = output.loss_and_gradient(hidden.forward(x, training=True), targets, 1 / len(x))
        hidden.backward(d)
        return loss

    Network({"hidden": hidden, "output": output}, step).fit(draw, steps)
    x, targets = draw()
    return (output.probabilities(hidden.forward(x)).argmax(1) == targets).mean()


def one_to_many(steps, random, length=30):
    """Return the mean squared error of waves that a GRU draws from a vector, its initial state."""
    start, recurrent, output = Dense(2, 32, random_state=0), GRU(1, 32, random_state=0), Dense(32, 1, random_state=0)

    def draw():
        vector = random.uniform(0, 1, (64, 2)).astype("float32")
        time = np.arange(length)[:, None]
        return vector, np.sin(2 * np.pi * (vector[:, 0] + (0.05 + 0.05 * vector[:, 1]) * time)).astype("float32")

    def run(vector, training=False):
        h = start.forward(vector, training=training)[None]
        silence = np.zeros((length, len(vector), 1), "float32")
        return output.forward(recurrent.forward(silence, h, training=training)[0], training=training)[..., 0]

    def step(vector, wave):
        error = run(vector, training=True) - wave
        _, dh = recurrent.backward(output.backward(2 * error[..., None] / error.size))
        start.backward(dh[0])
        return float((error**2).mean())

    Network({"start": start, "recurrent": recurrent, "output": output}, step).fit(draw, 3 * steps)
    vector, wave = draw()
    return ((run(vector) - wave) ** 2).mean()


def bits(steps, random, every_step, length=9):
    """Return the accuracy of an LSTM on the majority of bits, or on their parity after every step."""
    recurrent, output = LSTM(1, 32, random_state=0), Softmax(32, 2, random_state=0)

    def draw():
        bits = random.integers(0, 2, (length, 64))
        targets = bits.cumsum(axis=0) % 2 if every_step else bits.sum(axis=0) > length / 2
        return bits[..., None].astype("float32"), targets.astype(int)

    def step(x, targets):
        y, _ = recurrent.forward(2 * x - 1, training=True)
        dy = np.zeros_like(y)
        loss, d = output.loss_and_gradient(y if every_step else y[-1], targets, 1 / targets.size)
        dy[slice(None) if every_step else -1] = d
        recurrent.backward(dy)
        return loss

    Network({"recurrent": recurrent, "output": output}, step).fit(draw, steps)
    x, targets = draw()
    y, _ = recurrent.forward(2 * x - 1)
    return (output.probabilities(y if every_step else y[-1]).argmax(-1) == targets).mean()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    steps, random = parser.parse_args().steps, np.random.default_rng(0)
    print(f"one to one: {one_to_one(steps, random):.0%} of the points are told right")
    print(f"one to many: mean squared error of the waves {one_to_many(steps, random):.4f} (of silence: 0.5)")
    print(f"many to one: {bits(steps, random, every_step=False):.0%} of the majorities are right")
    print(f"many to many: {bits(steps, random, every_step=True):.0%} of the running parities are right")
