"""The minimal gated unit."""

from typing import NamedTuple

from fastrnn.simd import sigmoid, sigmoid_slope, tanh, tanh_slope, zero


class MGU(NamedTuple):
    """Minimal gated unit (Zhou et al. 2016): f = σ(zf), n = tanh(W_in x + b_in + W_hn (f·h) + b_hn).

    h' = h + f·(n − h). The slot "df" keeps the gate's gradient from h' until that from the late product is known.
    """

    states = ("h",)
    gates = ("f", "n")
    slots = ("f", "n", "df")
    input_slots = (0, 1)
    recurrent_slots = (0,)
    late_slots = (1,)

    @staticmethod
    def early(z, state):
        """Return the slots with the gate, and what the late product is taken of."""
        zf, zn, unused = z
        (h,) = state
        f = sigmoid(zf)
        return (f, zn, unused), f * h

    @staticmethod
    def forward(z, state):
        """Return the new state and what backward needs."""
        f, zn, unused = z
        (h,) = state
        n = tanh(zn)
        return (h + f * (n - h),), (f, n, unused)

    @staticmethod
    def backward(saved, state, d_new_state):
        """Return the gradients of the pre-activations (for f: f itself) and of the state before."""
        f, n, _ = saved
        (h,) = state
        (dh,) = d_new_state
        return (f, dh * f * tanh_slope(n), dh * (n - h)), (dh - dh * f,)

    @staticmethod
    def early_backward(dz, state, d_operand):
        """Return the gradients of the pre-activations, and of the state through f·h."""
        f, dzn, df = dz
        (h,) = state
        return ((df + d_operand * h) * sigmoid_slope(f), dzn, zero(df)), (d_operand * f,)
