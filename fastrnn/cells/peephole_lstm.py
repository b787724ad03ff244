"""LSTM cells whose gates see the cell state."""

from typing import NamedTuple

from fastrnn.simd import sigmoid, sigmoid_slope, sigmoids, tanh, tanh_slope, zero


class PeepholeLSTM(NamedTuple):
    """LSTM with peephole connections (Gers & Schmidhuber 2000): i and f see c, o sees the new c'.

    i = σ(zi + p_i·c), f = σ(zf + p_f·c), g = tanh(zg), c' = f·c + i·g, o = σ(zo + p_o·c'), h' = o·tanh(c')
    """

    states = ("h", "c")
    gates = ("i", "f", "g", "o")
    slots = ("i", "f", "g", "o")
    input_slots = (0, 1, 2, 3)
    recurrent_slots = (0, 1, 2, 3)
    parameters = (("weight_peephole", 3),)

    @staticmethod
    def forward(z, state, units):
        """Return the new state and what backward needs."""
        zi, zf, zg, zo = z
        _, c = state
        p_i, p_f, p_o = units
        (i, f), g = sigmoids((zi + p_i * c, zf + p_f * c)), tanh(zg)
        c = f * c + i * g
        o = sigmoid(zo + p_o * c)
        return (o * tanh(c), c), (i, f, g, o)

    @staticmethod
    def backward(saved, state, units, d_new_state):
        """Return the gradients of the pre-activations, of the state before, and of the peephole weights."""
        i, f, g, o = saved
        _, c = state
        p_i, p_f, p_o = units
        dh, dc = d_new_state
        c_new = f * c + i * g
        t = tanh(c_new)
        dzo = dh * t * sigmoid_slope(o)
        dc = dc + dh * o * tanh_slope(t) + dzo * p_o
        dzi = dc * g * sigmoid_slope(i)
        dzf = dc * c * sigmoid_slope(f)
        dzg = dc * i * tanh_slope(g)
        return (dzi, dzf, dzg, dzo), (zero(dh), dc * f + dzi * p_i + dzf * p_f), (dzi * c, dzf * c, dzo * c_new)


class PeepholeBeforeLSTM(NamedTuple):
    """LSTM with peephole connections that all see the state of the step before: o = σ(zo + p_o·c)."""

    states = ("h", "c")
    gates = ("i", "f", "g", "o")
    slots = ("i", "f", "g", "o")
    input_slots = (0, 1, 2, 3)
    recurrent_slots = (0, 1, 2, 3)
    parameters = (("weight_peephole", 3),)

    @staticmethod
    def forward(z, state, units):
        """Return the new state and what backward needs."""
        zi, zf, zg, zo = z
        _, c = state
        p_i, p_f, p_o = units
        (i, f, o), g = sigmoids((zi + p_i * c, zf + p_f * c, zo + p_o * c)), tanh(zg)
        c = f * c + i * g
        return (o * tanh(c), c), (i, f, g, o)

    @staticmethod
    def backward(saved, state, units, d_new_state):
        """Return the gradients of the pre-activations, of the state before, and of the peephole weights."""
        i, f, g, o = saved
        _, c = state
        p_i, p_f, p_o = units
        dh, dc = d_new_state
        t = tanh(f * c + i * g)
        dzo = dh * t * sigmoid_slope(o)
        dc = dc + dh * o * tanh_slope(t)
        dzi = dc * g * sigmoid_slope(i)
        dzf = dc * c * sigmoid_slope(f)
        dzg = dc * i * tanh_slope(g)
        d_before = dc * f + dzi * p_i + dzf * p_f + dzo * p_o
        return (dzi, dzf, dzg, dzo), (zero(dh), d_before), (dzi * c, dzf * c, dzo * c)
