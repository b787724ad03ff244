"""The minimal gated unit."""

from typing import NamedTuple

from fastrnn.simd import sigmoid, sigmoid_slope, tanh, tanh_slope, zero


class MGU(NamedTuple):
    """Minimal gated unit (Zhou et al. 2016): f = σ(zf), n = tanh(W_in x + b_in + W_hn (f·h) + b_hn).

    h' = h + f·(n − h). The slot "df" keeps the gate's gradient through h' until the one through f·h is known.
    """

    states = ("h",)
    gates = ("f", "n")
    slots = ("f", "n", "df")
    input_slots = (0, 1)
    recurrent_slots = (0,)
    gated_slots = (1,)

    @staticmethod
    def gate_state(z, state):
        """Return the slots with the gate applied, and the gated state f·h."""
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
        """Return the gradients of the pre-activations (f itself in the place of its own) and of the state before."""
        f, n, _ = saved
        (h,) = state
        (dh,) = d_new_state
        return (f, dh * f * tanh_slope(n), dh * (n - h)), (dh - dh * f,)

    @staticmethod
    def gate_state_backward(dz, state, d_gated):
        """Return the gradients of the pre-activations, and of the state through f·h."""
        f, dzn, df = dz
        (h,) = state
        return ((df + d_gated * h) * sigmoid_slope(f), dzn, zero(df)), (d_gated * f,)
