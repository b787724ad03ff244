"""The long short-term memory cell."""

from typing import NamedTuple

from fastrnn.simd import sigmoid, sigmoid_slope, tanh, tanh_slope, zero


class LSTM(NamedTuple):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    i = σ(zi), f = σ(zf), g = tanh(zg), o = σ(zo), c' = f·c + i·g, h' = o·tanh(c')
    with z = W_ih x + b_ih + W_hh h + b_hh.
    """

    states = ("h", "c")
    gates = ("i", "f", "g", "o")
    slots = ("i", "f", "g", "o")
    input_slots = (0, 1, 2, 3)
    recurrent_slots = (0, 1, 2, 3)

    @staticmethod
    def forward(z, state):
        """Return the new state and what backward needs."""
        zi, zf, zg, zo = z
        _, c = state
        i, f, g, o = sigmoid(zi), sigmoid(zf), tanh(zg), sigmoid(zo)
        c = f * c + i * g
        h = o * tanh(c)
        return (h, c), (i, f, g, o)

    @staticmethod
    def backward(saved, state, new_state, d_new_state):
        """Return the gradients of the pre-activations and, past the recurrent product, of the state before."""
        i, f, g, o = saved
        _, c = state
        _, c_new = new_state
        dh, dc = d_new_state
        t = tanh(c_new)
        dc = dc + dh * o * tanh_slope(t)
        dzi = dc * g * sigmoid_slope(i)
        dzf = dc * c * sigmoid_slope(f)
        dzg = dc * i * tanh_slope(g)
        dzo = dh * t * sigmoid_slope(o)
        return (dzi, dzf, dzg, dzo), (zero(dh), dc * f)
