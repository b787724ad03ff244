"""Cells with layer normalization (Ba et al. 2016).

The driver standardizes the pre-activations from the input and those from the state before, each over all gates of a row
(mean 0, variance 1). Gains and biases are part of the equations.
"""

from types import MappingProxyType
from typing import NamedTuple

from fastrnn.simd import sigmoid, sigmoid_slope, tanh, tanh_slope, zero


class LayerNormLSTM(NamedTuple):
    """LSTM with layer normalization of both products and of the new cell state.

    zi = a_i·LN(W_ih x)_i + b_i·LN(W_hh h)_i + c_i and so on, c' = f·c + i·g, h' = o·tanh(gain·LN(c') + bias)
    """

    states = ("h", "c")
    gates = ("i", "f", "g", "o")
    slots = ("xi", "xf", "xg", "xo", "hi", "hf", "hg", "ho")
    input_slots = (0, 1, 2, 3)
    recurrent_slots = (4, 5, 6, 7)
    normalized = True
    standardized_state = 1
    parameters = (("weight_norm_ih", 4), ("weight_norm_hh", 4), ("bias_norm", 4), ("weight_norm_c", 1),
                  ("bias_norm_c", 1))  # fmt: skip
    initializers = MappingProxyType(
        {
            "weight_norm_ih": "ones",
            "weight_norm_hh": "ones",
            "bias_norm": "zeros",
            "weight_norm_c": "ones",
            "bias_norm_c": "zeros",
        }
    )

    @staticmethod
    def forward(z, state, units):
        """Return the new state without h, and what backward needs."""
        xi, xf, xg, _, hi, hf, hg, _ = z
        ai, af, ag, _, bi, bf, bg, _, ci, cf, cg, _, _, _ = units
        _, c = state
        i, f, g = sigmoid(ai * xi + bi * hi + ci), sigmoid(af * xf + bf * hf + cf), tanh(ag * xg + bg * hg + cg)
        c = f * c + i * g
        return (zero(c), c), z

    @staticmethod
    def activations(z, units):
        """Return the values of the gates, which forward does not keep."""
        sums = [units[k] * z[k] + units[4 + k] * z[4 + k] + units[8 + k] for k in range(4)]
        return sigmoid(sums[0]), sigmoid(sums[1]), tanh(sums[2]), sigmoid(sums[3])

    @staticmethod
    def output(z, c_hat, units):
        """Return h from the standardized cell state."""
        _, _, _, xo, _, _, _, ho = z
        _, _, _, ao, _, _, _, bo, _, _, _, co, gain, bias = units
        return sigmoid(ao * xo + bo * ho + co) * tanh(gain * c_hat + bias)

    @staticmethod
    def output_backward(z, c_hat, units, dh):
        """Return the gradient of the standardized cell state."""
        _, _, _, xo, _, _, _, ho = z
        _, _, _, ao, _, _, _, bo, _, _, _, co, gain, bias = units
        return dh * sigmoid(ao * xo + bo * ho + co) * tanh_slope(tanh(gain * c_hat + bias)) * gain

    @staticmethod
    def backward(saved, state, units, d_new_state, c_hat):
        """Return the gradients of the standardized pre-activations, of the state before, and of gains and biases."""
        xi, xf, xg, xo, hi, hf, hg, ho = saved
        ai, af, ag, ao, bi, bf, bg, bo, ci, cf, cg, co, gain, bias = units
        _, c = state
        dh, dc = d_new_state
        i, f, g = sigmoid(ai * xi + bi * hi + ci), sigmoid(af * xf + bf * hf + cf), tanh(ag * xg + bg * hg + cg)
        o, t = sigmoid(ao * xo + bo * ho + co), tanh(gain * c_hat + bias)
        dt = dh * o * tanh_slope(t)
        di, df, dg = dc * g * sigmoid_slope(i), dc * c * sigmoid_slope(f), dc * i * tanh_slope(g)
        do = dh * t * sigmoid_slope(o)
        dz = (di * ai, df * af, dg * ag, do * ao, di * bi, df * bf, dg * bg, do * bo)
        d_units = (di * xi, df * xf, dg * xg, do * xo, di * hi, df * hf, dg * hg, do * ho, di, df, dg, do, dt * c_hat,
                   dt)  # fmt: skip
        return dz, (zero(dh), dc * f), d_units


class LayerNormGRU(NamedTuple):
    """GRU with layer normalization of both products, and the reset gate after the recurrent one.

    zr = a_r·LN(W_ih x)_r + b_r·LN(W_hh h)_r + c_r, likewise zz; n = tanh(a_n·LN(W_ih x)_n + c_n + r·(b_n·LN(W_hh h)_n
    + d_n)), h' = n + z·(h − n)
    """

    states = ("h",)
    gates = ("r", "z", "n")
    slots = ("xr", "xz", "xn", "hr", "hz", "hn")
    input_slots = (0, 1, 2)
    recurrent_slots = (3, 4, 5)
    normalized = True
    parameters = (("weight_norm_ih", 3), ("weight_norm_hh", 3), ("bias_norm", 3), ("bias_norm_hn", 1))
    initializers = MappingProxyType(
        {"weight_norm_ih": "ones", "weight_norm_hh": "ones", "bias_norm": "zeros", "bias_norm_hn": "zeros"}
    )

    @staticmethod
    def forward(z, state, units):
        """Return the new state and what backward needs."""
        xr, xz, xn, hr, hz, hn = z
        ar, az, an, br, bz, bn, cr, cz, cn, dn = units
        (h,) = state
        r, u = sigmoid(ar * xr + br * hr + cr), sigmoid(az * xz + bz * hz + cz)
        n = tanh(an * xn + cn + r * (bn * hn + dn))
        return (n + u * (h - n),), z

    @staticmethod
    def activations(z, units):
        """Return the values of the gates, which forward does not keep."""
        xr, xz, xn, hr, hz, hn = z
        ar, az, an, br, bz, bn, cr, cz, cn, dn = units
        r, u = sigmoid(ar * xr + br * hr + cr), sigmoid(az * xz + bz * hz + cz)
        return r, u, tanh(an * xn + cn + r * (bn * hn + dn))

    @staticmethod
    def backward(saved, state, units, d_new_state):
        """Return the gradients of the standardized pre-activations, of the state before, and of gains and biases."""
        xr, xz, xn, hr, hz, hn = saved
        ar, az, an, br, bz, bn, cr, cz, cn, dn = units
        (h,) = state
        (dh,) = d_new_state
        r, u = sigmoid(ar * xr + br * hr + cr), sigmoid(az * xz + bz * hz + cz)
        q = bn * hn + dn
        n = tanh(an * xn + cn + r * q)
        d_n = (dh - dh * u) * tanh_slope(n)
        d_r = d_n * q * sigmoid_slope(r)
        d_z = dh * (h - n) * sigmoid_slope(u)
        d_q = d_n * r
        dz = (d_r * ar, d_z * az, d_n * an, d_r * br, d_z * bz, d_q * bn)
        return dz, (dh * u,), (d_r * xr, d_z * xz, d_n * xn, d_r * hr, d_z * hz, d_q * hn, d_r, d_z, d_n, d_q)
