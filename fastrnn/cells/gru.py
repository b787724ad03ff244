"""The gated recurrent unit and its variants."""

from typing import NamedTuple

from fastrnn.simd import sigmoid, sigmoid_slope, sigmoids, tanh, tanh_slope


class GRU(NamedTuple):
    """Gated recurrent unit (Cho et al. 2014) with the reset gate after the recurrent product, as in torch and cuDNN.

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
        r, u = sigmoids((zr, zz))
        n = tanh(xn + r * hn)
        return (n + u * (h - n),), (n, r, u, hn)

    @staticmethod
    def backward(saved, state, d_new_state):
        """Return the gradients of the pre-activations and, past the recurrent product, of the state before."""
        n, r, u, hn = saved
        (h,) = state
        (dh,) = d_new_state
        dxn = (dh - dh * u) * tanh_slope(n)
        dzr = dxn * hn * sigmoid_slope(r)
        dzz = dh * (h - n) * sigmoid_slope(u)
        return (dxn, dzr, dzz, dxn * r), (dh * u,)


class GRUResetBefore(NamedTuple):
    """Gated recurrent unit with the reset gate before the recurrent product (Cho et al. 2014; Keras' default).

    r = σ(zr), z = σ(zz), n = tanh(W_in x + b_in + W_hn (r·h) + b_hn), h' = n + z·(h − n)
    """

    states = ("h",)
    gates = ("r", "z", "n")
    slots = ("r", "z", "n")
    input_slots = (0, 1, 2)
    recurrent_slots = (0, 1)
    gated_slots = (2,)

    @staticmethod
    def gate_state(z, state):
        """Return the slots with both gates applied, and the gated state r·h."""
        zr, zz, zn = z
        (h,) = state
        r, u = sigmoids((zr, zz))
        return (r, u, zn), r * h

    @staticmethod
    def forward(z, state):
        """Return the new state and what backward needs."""
        r, u, zn = z
        (h,) = state
        n = tanh(zn)
        return (n + u * (h - n),), (r, u, n)

    @staticmethod
    def backward(saved, state, d_new_state):
        """Return the gradients of the pre-activations (r itself in the place of its own) and of the state before."""
        r, u, n = saved
        (h,) = state
        (dh,) = d_new_state
        return (r, dh * (h - n) * sigmoid_slope(u), (dh - dh * u) * tanh_slope(n)), (dh * u,)

    @staticmethod
    def gate_state_backward(dz, state, d_gated):
        """Return the gradients of the pre-activations, and of the state through r·h."""
        r, dzz, dzn = dz
        (h,) = state
        return (d_gated * h * sigmoid_slope(r), dzz, dzn), (d_gated * r,)


class GRUSimple(NamedTuple):
    """Simplified gated recurrent unit without a reset gate: h' = n + z·(h − n), n = tanh(zn), z = σ(zz).

    In the notation c̃ = tanh(W [c, x] + b), c' = Γu·c̃ + (1 − Γu)·c, the gate z here is 1 − Γu, as in the full GRU.
    """

    states = ("h",)
    gates = ("z", "n")
    slots = ("z", "n")
    input_slots = (0, 1)
    recurrent_slots = (0, 1)

    @staticmethod
    def forward(z, state):
        """Return the new state and what backward needs."""
        zz, zn = z
        (h,) = state
        u, n = sigmoid(zz), tanh(zn)
        return (n + u * (h - n),), (u, n)

    @staticmethod
    def backward(saved, state, d_new_state):
        """Return the gradients of the pre-activations and, past the recurrent product, of the state before."""
        u, n = saved
        (h,) = state
        (dh,) = d_new_state
        return (dh * (h - n) * sigmoid_slope(u), (dh - dh * u) * tanh_slope(n)), (dh * u,)
