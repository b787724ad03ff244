"""Slow float64 recurrent networks, written from the equations with NumPy, one sequence and one step at a time."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(cell, x, state, weight_ih, weight_hh, bias_ih, bias_hh):
    """Return the new state of one step; x (D,), states (H,), weights as in torch."""
    xs, hs = weight_ih @ x + bias_ih, weight_hh @ state[0] + bias_hh
    if cell == "rnn":
        return (np.tanh(xs + hs),)
    if cell == "rnn_relu":
        return (np.maximum(xs + hs, 0),)
    if cell == "gru":
        (xr, xz, xn), (hr, hz, hn) = np.split(xs, 3), np.split(hs, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        n = np.tanh(xn + r * hn)
        return ((1 - z) * n + z * state[0],)
    if cell == "lstm":
        i, f, g, o = np.split(xs + hs, 4)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return (sigmoid(o) * np.tanh(c), c)
    raise AssertionError(f"The reference does not know the cell {cell!r}.")


def network(cell, x, state, lengths, parameters, num_layers=1, bidirectional=False):
    """Return outputs (T, B, directions · H) and final states (N, layers · directions, B, H) of a padded batch.

    x (T, B, D), state (N, layers · directions, B, H), parameters as a state dict of float64 arrays.
    """
    steps, batch, _ = x.shape
    final = np.array(state, float)
    directions = 2 if bidirectional else 1
    for k in range(num_layers):
        outputs = []
        for d in range(directions):
            suffix = f"l{k}" + ("_reverse" if d else "")
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = [np.asarray(parameters.get(f"{name}_{suffix}", 0.0), float) for name in names]
            y = np.zeros((steps, batch, weights[1].shape[1]))
            for b in range(batch):
                times = range(lengths[b])
                current = tuple(final[:, k * directions + d, b])
                for t in reversed(times) if d else times:
                    current = step(cell, x[t, b], current, *weights)
                    y[t, b] = current[0]
                final[:, k * directions + d, b] = current
            outputs.append(y)
        x = np.concatenate(outputs, axis=2)
    return x, final


def central_difference(function, array, direction, epsilon=1e-6):
    """Return the slope of a scalar function of `array` along `direction`, changing the array and putting it back."""
    original = array.copy()
    array[...] = original + epsilon * direction
    above = function()
    array[...] = original - epsilon * direction
    below = function()
    array[...] = original
    return (above - below) / (2 * epsilon)
