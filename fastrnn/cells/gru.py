"""The gated recurrent unit."""

from typing import NamedTuple

from fastrnn.simd import sigmoid, sigmoid_slope, tanh, tanh_slope


class GRU(NamedTuple):
    """Gated recurrent unit (Cho et al. 2014), the reset gate behind the recurrent product as torch and cuDNN have it.

    r = σ(zr), z = σ(zz), n = tanh(xn + r·hn), h' = n + z·(h − n)
    with zr and zz as in the other cells, xn = W_in x + b_in and hn = W_hn h + b_hn.
    """

    states = ("h",)
    gates = ("r", "z", "n")
    slots = ("xn", "r", "z", "hn")
    input_slots = (1, 2, 0)
    recurrent_slots = (1, 2, 3)

    @staticmethod
    def forward(z, state):
        """Return the new state and what backward needs."""
        xn, zr, zz, hn = z
        (h,) = state
        r, u = sigmoid(zr), sigmoid(zz)
        n = tanh(xn + r * hn)
        return (n + u * (h - n),), (n, r, u, hn)

    @staticmethod
    def backward(saved, state, new_state, d_new_state):
        """Return the gradients of the pre-activations and, past the recurrent product, of the state before."""
        n, r, u, hn = saved
        (h,) = state
        (dh,) = d_new_state
        dxn = (dh - dh * u) * tanh_slope(n)
        dzr = dxn * hn * sigmoid_slope(r)
        dzz = dh * (h - n) * sigmoid_slope(u)
        return (dxn, dzr, dzz, dxn * r), (dh * u,)
