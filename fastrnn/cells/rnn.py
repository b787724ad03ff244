"""The vanilla recurrent cells."""

from types import MappingProxyType
from typing import NamedTuple

from fastrnn.simd import positive, relu, tanh, tanh_slope, zero


class RNNTanh(NamedTuple):
    """Vanilla recurrent cell (Elman 1990): h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""

    states = ("h",)
    gates = ("h",)
    slots = ("h",)
    input_slots = (0,)
    recurrent_slots = (0,)

    @staticmethod
    def forward(z, state):
        """Return the new state and what backward needs."""
        h = tanh(z[0])
        return (h,), (h,)

    @staticmethod
    def backward(saved, state, d_new_state):
        """Return the gradients of the pre-activation and, past the recurrent product, of the state before."""
        dh = d_new_state[0]
        return (dh * tanh_slope(saved[0]),), (zero(dh),)


class RNNReLU(NamedTuple):
    """Vanilla recurrent cell with a rectifier: h' = max(0, W_ih x + b_ih + W_hh h + b_hh)."""

    states = ("h",)
    gates = ("h",)
    slots = ("h",)
    input_slots = (0,)
    recurrent_slots = (0,)

    @staticmethod
    def forward(z, state):
        """Return the new state and what backward needs."""
        h = relu(z[0])
        return (h,), (h,)

    @staticmethod
    def backward(saved, state, d_new_state):
        """Return the gradients of the pre-activation and, past the recurrent product, of the state before."""
        dh = d_new_state[0]
        return (dh * positive(saved[0]),), (zero(dh),)


class IRNN(NamedTuple):
    """Vanilla recurrent cell with a rectifier and an identity as its first W_hh (Le et al. 2015), see `RNNReLU`."""

    states = ("h",)
    gates = ("h",)
    slots = ("h",)
    input_slots = (0,)
    recurrent_slots = (0,)
    initializers = MappingProxyType({"weight_hh": "identity", "bias_ih": "zeros", "bias_hh": "zeros"})
    forward = staticmethod(RNNReLU.forward)
    backward = staticmethod(RNNReLU.backward)


class IndRNN(NamedTuple):
    """Independently recurrent cell (Li et al. 2018): each unit sees only itself, h' = max(0, W_ih x + b_ih + u·h)."""

    states = ("h",)
    gates = ("h",)
    slots = ("h",)
    input_slots = (0,)
    recurrent_slots = ()
    parameters = (("weight_hh", 1),)
    initializers = MappingProxyType({"weight_hh": "unit_interval"})

    @staticmethod
    def forward(z, state, units):
        """Return the new state and what backward needs."""
        h = relu(z[0] + units[0] * state[0])
        return (h,), (h,)

    @staticmethod
    def backward(saved, state, units, d_new_state):
        """Return the gradients of the pre-activation, of the state before, and of u."""
        dz = d_new_state[0] * positive(saved[0])
        return (dz,), (dz * units[0],), (dz * state[0],)
