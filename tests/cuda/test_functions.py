"""Elementary functions of scalars in kernels: their errors, infinite arguments, and NaN."""

import numpy as np
import pytest
from numba import cuda

from fastrnn.cuda.arrays import asarray, empty, to_numpy
from fastrnn.cuda.compiler import kernel
from fastrnn.simd import exp, positive, relu, sigmoid, sigmoid_slope, sigmoids, sqrt, tanh, tanh_slope, zero
from tests.cuda.emulator import emulated

EXACT = {
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "first of three sigmoids": lambda x: 1 / (1 + np.exp(-x)),
    "second of two sigmoids": lambda x: 1 / (1 + np.exp(-x)),
    "sqrt": np.sqrt,
    "relu": lambda x: np.where(x < 0, 0, x),
    "positive": lambda x: np.where(x > 0, 1.0, 0.0),
    "sigmoid_slope": lambda x: x * (1 - x),
    "tanh_slope": lambda x: 1 - x * x,
    "zero": np.zeros_like,
}
ABSOLUTE = {np.float32: 3e-7, np.float64: 2e-15}  # of gates
RELATIVE = {np.float32: 3e-7, np.float64: 1e-15}  # of everything else


@kernel
def _apply(out, x):
    # out (functions, n), x (n,)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        v = x[i]
        first, _, _ = sigmoids((v, v + v, zero(v)))
        _, second = sigmoids((zero(v), v))
        out[0, i], out[1, i], out[2, i], out[3, i], out[4, i] = exp(v), tanh(v), sigmoid(v), first, second
        out[5, i], out[6, i], out[7, i] = sqrt(v), relu(v), positive(v)
        out[8, i], out[9, i], out[10, i] = sigmoid_slope(v), tanh_slope(v), zero(v)


def check(dtype):
    """Compare all functions with NumPy's in float64."""
    x = np.concatenate([np.linspace(-25, 25, 301), np.geomspace(1e-30, 85, 50), [0, 1, -1, 500, -500, np.inf, -np.inf]])
    x = np.append(x, np.nan).astype(dtype)
    out = empty((len(EXACT), x.size), dtype)
    _apply.over(x.size, out, asarray(x))
    with np.errstate(all="ignore"):
        expected = np.stack([function(x.astype(np.float64)) for function in EXACT.values()])
        found = to_numpy(out).astype(np.float64)
        in_range = np.abs(expected) <= np.finfo(dtype).max
    for name, values, wanted, inside in zip(EXACT, found, expected, in_range, strict=True):
        is_gate = "sigmoid" in name or name == "tanh"
        tolerance = {"rtol": 0, "atol": ABSOLUTE[dtype]} if is_gate else {"rtol": RELATIVE[dtype], "atol": 1e-37}
        if name.endswith("slope"):
            inside = inside & (np.abs(x) < 2)
            tolerance = {"rtol": RELATIVE[dtype], "atol": ABSOLUTE[dtype]}
        np.testing.assert_allclose(values[inside], wanted[inside], **tolerance, err_msg=name)
        if name not in ("positive", "zero"):
            assert np.isnan(values[-1]), name
    names = list(EXACT)
    infinite = found[:, -3:-1]
    for name, limits in {"exp": (np.inf, 0), "tanh": (1, -1), "sigmoid": (1, 0), "sqrt": (np.inf, np.nan)}.items():
        np.testing.assert_array_equal(infinite[names.index(name)], limits)


@pytest.mark.cpu
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_as_they_are_compiled(dtype):
    with emulated():
        check(dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_a_gpu(dtype):
    check(dtype)
