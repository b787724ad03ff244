"""The long short-term memory cell and its variants."""

from typing import NamedTuple

from fastrnn.simd import sigmoid_slope, sigmoids, tanh, tanh_slope, zero


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
        (i, f, o), g = sigmoids((zi, zf, zo)), tanh(zg)
        c = f * c + i * g
        h = o * tanh(c)
        return (h, c), (i, f, g, o)

    @staticmethod
    def backward(saved, state, d_new_state):
        """Return the gradients of the pre-activations and, past the recurrent product, of the state before."""
        i, f, g, o = saved
        _, c = state
        dh, dc = d_new_state
        t = tanh(f * c + i * g)
        dc = dc + dh * o * tanh_slope(t)
        dzi = dc * g * sigmoid_slope(i)
        dzf = dc * c * sigmoid_slope(f)
        dzg = dc * i * tanh_slope(g)
        dzo = dh * t * sigmoid_slope(o)
        return (dzi, dzf, dzg, dzo), (zero(dh), dc * f)


class CoupledLSTM(NamedTuple):
    """LSTM with one gate for forgetting and writing, i = 1 − f (Greff et al. 2017): c' = f·c + (1 − f)·g."""

    states = ("h", "c")
    gates = ("f", "g", "o")
    slots = ("f", "g", "o")
    input_slots = (0, 1, 2)
    recurrent_slots = (0, 1, 2)

    @staticmethod
    def forward(z, state):
        """Return the new state and what backward needs."""
        zf, zg, zo = z
        _, c = state
        (f, o), g = sigmoids((zf, zo)), tanh(zg)
        c = g + f * (c - g)
        h = o * tanh(c)
        return (h, c), (f, g, o)

    @staticmethod
    def backward(saved, state, d_new_state):
        """Return the gradients of the pre-activations and, past the recurrent product, of the state before."""
        f, g, o = saved
        _, c = state
        dh, dc = d_new_state
        t = tanh(g + f * (c - g))
        dc = dc + dh * o * tanh_slope(t)
        dzf = dc * (c - g) * sigmoid_slope(f)
        dzg = (dc - dc * f) * tanh_slope(g)
        dzo = dh * t * sigmoid_slope(o)
        return (dzf, dzg, dzo), (zero(dh), dc * f)
