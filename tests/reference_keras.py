"""Recurrent layers by the formulas of Keras' documentation, slowly: float64 NumPy, one sequence, one step at a time."""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def simple_rnn(x, kernel, recurrent_kernel, bias, activation=np.tanh):
    """Return the outputs (T, H) of a SimpleRNN for a sequence (T, D)."""
    h, outputs = np.zeros(len(recurrent_kernel)), []
    for x_t in x:
        h = activation(x_t @ kernel + bias + h @ recurrent_kernel)
        outputs.append(h)
    return np.array(outputs)


def lstm(x, kernel, recurrent_kernel, bias):
    """Return the outputs (T, H) of an LSTM: columns input gate, forget gate, candidate, output gate."""
    h = c = np.zeros(len(recurrent_kernel))
    outputs = []
    for x_t in x:
        z_i, z_f, z_c, z_o = np.split(x_t @ kernel + h @ recurrent_kernel + bias, 4)
        c = sigmoid(z_f) * c + sigmoid(z_i) * np.tanh(z_c)
        h = sigmoid(z_o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs)


def gru(x, kernel, recurrent_kernel, bias):
    """Return the outputs (T, H) of a GRU: columns update gate, reset gate, candidate.

    A bias of two lines is that of ``reset_after=True``: one for the input, one inside of the recurrent product.
    """
    h, outputs = np.zeros(len(recurrent_kernel)), []
    reset_after = bias.ndim == 2
    input_bias, recurrent_bias = bias if reset_after else (bias, np.zeros_like(bias))
    for x_t in x:
        x_z, x_r, x_h = np.split(x_t @ kernel + input_bias, 3)
        u_z, u_r, u_h = np.split(recurrent_kernel, 3, axis=1)
        b_z, b_r, b_h = np.split(recurrent_bias, 3)
        z, r = sigmoid(x_z + h @ u_z + b_z), sigmoid(x_r + h @ u_r + b_r)
        candidate = np.tanh(x_h + r * (h @ u_h + b_h)) if reset_after else np.tanh(x_h + (r * h) @ u_h)
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.array(outputs)


def bidirectional(layer, x, forward, backward):
    """Return the outputs (T, 2 H) of Bidirectional with merge_mode="concat"."""
    return np.concatenate([layer(x, *forward), layer(x[::-1], *backward)[::-1]], axis=1)
