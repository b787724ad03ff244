"""Vectors of lanes: every function over its whole range, on vectors, on scalars and in plain Python."""

import itertools

import numpy as np
import pytest
from numba import types

from fastrnn import simd
from fastrnn._jit import kernel
from fastrnn.simd import lanes, lanes_of, load_first, store_first

DTYPES = ["float32", "float64"]
FUNCTIONS = {
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x))),
    "sqrt": np.sqrt,
    "relu": lambda x: np.where(x < 0, 0, x),
    "positive": lambda x: np.where(x > 0, 1.0, 0.0),
    "sigmoid_slope": lambda x: x * (1 - x),
    "tanh_slope": lambda x: 1 - x * x,
    "zero": np.zeros_like,
}


@kernel
def on_vectors(out, x):
    """Write every function of x (N,) to its line of out (9, N), vector by vector."""
    for i in range(0, x.size, lanes(x)):
        v, count = load_first(x, i, x.size - i), x.size - i
        store_first(out, i, simd.exp(v), count)
        store_first(out, x.size + i, simd.tanh(v), count)
        store_first(out, 2 * x.size + i, simd.sigmoid(v), count)
        store_first(out, 3 * x.size + i, simd.sqrt(v), count)
        store_first(out, 4 * x.size + i, simd.relu(v), count)
        store_first(out, 5 * x.size + i, simd.positive(v), count)
        store_first(out, 6 * x.size + i, simd.sigmoid_slope(v), count)
        store_first(out, 7 * x.size + i, simd.tanh_slope(v), count)
        store_first(out, 8 * x.size + i, simd.zero(v), count)


@kernel
def on_scalars(out, x):
    """Write every function of x (N,) to its line of out (9, N), number by number."""
    for i in range(x.size):
        out[0, i] = simd.exp(x[i])
        out[1, i] = simd.tanh(x[i])
        out[2, i] = simd.sigmoid(x[i])
        out[3, i] = simd.sqrt(x[i])
        out[4, i] = simd.relu(x[i])
        out[5, i] = simd.positive(x[i])
        out[6, i] = simd.sigmoid_slope(x[i])
        out[7, i] = simd.tanh_slope(x[i])
        out[8, i] = simd.zero(x[i])


def in_python(out, x):
    """Write every function of x (N,) to its line of out (9, N), as plain Python."""
    for line, name in zip(out, FUNCTIONS, strict=True):
        line[...] = getattr(simd, name)(x)


def whole_range(dtype):
    """Return numbers of every sign and exponent, NaN, infinities and denormal numbers, and a fine grid around zero."""
    bits = np.dtype(dtype).itemsize * 8
    integers = np.arange(20_011, dtype=f"uint{bits}") * (2**bits // 20_011)
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-40, -1e-40, 5e-324, 88.7, 709.7, -87.3, -708.3], dtype)
    return np.concatenate([integers.view(dtype), special, np.linspace(-110, 110, 4001).astype(dtype)])


def assert_close(got, expected, dtype, name):
    """Compare with float64: 4 units in the last place or 2e-7 absolute in float32, 1e-14 in float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = expected.astype(dtype)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded), err_msg=name)
        finite = np.isfinite(rounded) & np.isfinite(got)
        near_overflow = np.abs(rounded) > np.finfo(dtype).max * 0.999
        np.testing.assert_array_equal(got[~finite & ~near_overflow], rounded[~finite & ~near_overflow], err_msg=name)
        error = np.abs(got[finite].astype(np.longdouble) - expected[finite])
        size = np.abs(expected[finite])
    if dtype == "float32":
        allowed = np.maximum(4 * np.spacing(np.abs(rounded[finite])).astype(float), 2e-7)
    else:
        allowed = 1e-14 * np.maximum(size, 1)
    worst = np.argmax(error - allowed)
    assert error[worst] <= allowed[worst], (name, got[finite][worst], expected[finite][worst])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compute", [on_vectors, on_scalars, in_python])
def test_functions_over_the_whole_range(compute, dtype):
    x = whole_range(dtype)
    out = np.full((len(FUNCTIONS), x.size), 7, dtype)
    with np.errstate(all="ignore"):
        compute(out, x)
        for got, (name, function) in zip(out, FUNCTIONS.items(), strict=True):
            assert_close(got, function(x.astype(np.longdouble)), dtype, name)


# The errors of a result that are allowed: units in its last place, or an absolute error, whichever is more. Where exp
# is below √2 times the smallest normal number, it may be 0.
LARGEST_ERRORS = {
    "float32": {"exp": (4, 0.0), "tanh": (4, 2e-7), "sigmoid": (4, 2e-7)},
    "float64": {"exp": (4, 0.0), "tanh": (4, 4e-16), "sigmoid": (4, 4e-16)},
}


def dense_sample(dtype, count):
    """Return blocks of numbers: `count` over all bit patterns, NaN and denormals included, and over [-100, 100]."""
    unsigned = np.dtype(f"uint{8 * np.dtype(dtype).itemsize}")
    step = int(np.iinfo(unsigned).max) // count | 1  # odd, so that the last bits vary too
    patterns = (np.arange(count, dtype=unsigned) * unsigned.type(step)).view(dtype)
    edges = np.array([0.0, -0.0, np.nan, np.inf, -np.inf], dtype)
    return np.array_split(np.concatenate([edges, patterns, np.linspace(-100, 100, count, dtype=dtype)]), 16)


def assert_accurate(got, expected, dtype, name):
    """Compare with results of a wider type; infinity is as good as the largest number where that is as near."""
    units, absolute = LARGEST_ERRORS[dtype][name]
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected), err_msg=name)
    largest = np.finfo(dtype).max
    number = ~np.isnan(expected)
    got, expected = (np.clip(values[number], -largest, largest) for values in (got, expected))
    size = np.abs(expected).astype(dtype)
    allowed = np.maximum(units * (size - np.nextafter(size, 0, dtype=dtype)), absolute)
    smallest = 1.4143 * np.finfo(dtype).tiny
    allowed = np.where(size < smallest, np.maximum(allowed, smallest), allowed)
    worst = np.argmax(np.abs(got - expected) - allowed)
    assert abs(got[worst] - expected[worst]) <= allowed[worst], (name, got[worst], expected[worst])


@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy_over_all_numbers(dtype):
    wide = {"float32": np.float64, "float64": np.longdouble}[dtype]
    for x in dense_sample(dtype, 2_000_000):
        out = np.empty((len(FUNCTIONS), x.size), dtype)
        on_vectors(out, x)
        for got, name in zip(out, FUNCTIONS, strict=True):
            if name in LARGEST_ERRORS[dtype]:
                with np.errstate(all="ignore"):
                    expected = FUNCTIONS[name](x.astype(wide))
                assert_accurate(got, expected, dtype, name)


@kernel
def shared_on_vectors(out, x):
    """Write the sigmoids of x (3, N) to out[:3], and those of its first two lines to out[3:]; N in whole vectors."""
    n = x.shape[1]
    for i in range(0, n, lanes(x)):
        a, b, c = simd.load(x, i), simd.load(x, n + i), simd.load(x, 2 * n + i)
        simd.store_many(out, i, n, simd.sigmoids((a, b, c)))
        simd.store_many(out, 3 * n + i, n, simd.sigmoids((a, b)))


@kernel
def shared_on_scalars(out, x):
    """Do the same number by number."""
    for i in range(x.shape[1]):
        out[0, i], out[1, i], out[2, i] = simd.sigmoids((x[0, i], x[1, i], x[2, i]))
        out[3, i], out[4, i] = simd.sigmoids((x[0, i], x[1, i]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compute", [shared_on_vectors, shared_on_scalars])
def test_a_shared_division_is_as_accurate(compute, dtype):
    rng = np.random.default_rng(0)
    special = [0.0, 1.0, -30.0, 90.0, -90.0, 1e-40, np.finfo(dtype).max, -np.finfo(dtype).max, np.inf, -np.inf]
    together = np.array(list(itertools.product(special, repeat=3)))
    together = together[: len(together) // 64 * 64]
    x = np.concatenate([together, rng.uniform(-25, 25, (64 * 4000, 3))]).T.astype(dtype).copy()
    out = np.empty((5, x.shape[1]), dtype)
    compute(out, x)
    with np.errstate(all="ignore"):
        expected = FUNCTIONS["sigmoid"](x.astype(np.longdouble))
    for got, line in zip(out, [0, 1, 2, 0, 1], strict=True):
        assert_accurate(got, expected[line], dtype, "sigmoid")
    x[1] = np.nan
    compute(out, x)
    assert np.isnan(out[[1, 4]]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_overflows_to_infinity_and_underflows_to_zero(dtype):
    x = np.array([-np.inf, -1e30, -2000, 2000, 1e30, np.inf], dtype)
    out = np.empty((len(FUNCTIONS), x.size), dtype)
    on_vectors(out, x)
    np.testing.assert_array_equal(out[0], np.array([0, 0, 0, np.inf, np.inf, np.inf], dtype))


@kernel
def arithmetic(out, a, b):
    count = lanes(a)
    x, y = simd.load(a, 0), simd.load(b, 0)
    x += y
    simd.store(out, 0, x)
    simd.store(out, count, simd.load(a, 0) - y)
    simd.store(out, 2 * count, simd.load(a, 0) * y)
    simd.store(out, 3 * count, simd.load(a, 0) / y)
    simd.store(out, 4 * count, -simd.load(a, 0))
    simd.store(out, 5 * count, 2 * y + 1)
    simd.store(out, 6 * count, 0.25)


@pytest.mark.parametrize("dtype", DTYPES)
def test_operators(dtype):
    rng = np.random.default_rng(0)
    count = lanes_of(np.empty(0, dtype))
    a, b = rng.standard_normal((2, count)).astype(dtype)
    out = np.empty(7 * count, dtype)
    arithmetic(out, a, b)
    expected = [a + b, a - b, a * b, a / b, -a, 2 * b + 1, np.full(count, 0.25)]
    np.testing.assert_allclose(out.reshape(7, count), expected, rtol=4 * np.finfo(dtype).eps)


@kernel
def copy_part(out, x, offset, count):
    store_first(out, offset, load_first(x, offset, count), count)


@kernel
def load_part(out, x, offset, count):
    simd.store(out, 0, load_first(x, offset, count))


@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_of_vectors_touch_nothing_else(dtype):
    count = lanes_of(np.empty(0, dtype))
    x = np.arange(1, 3 * count + 1).astype(dtype)
    for used in range(2 * count):
        out = np.full_like(x, -1)
        copy_part(out, x, 3, used)
        expected = np.full_like(x, -1)
        expected[3 : 3 + min(used, count)] = x[3 : 3 + min(used, count)]
        np.testing.assert_array_equal(out, expected)
        loaded = np.empty(count, dtype)
        load_part(loaded, x, 3, used)
        np.testing.assert_array_equal(loaded, np.where(np.arange(count) < used, x[3 : 3 + count], 0))


@kernel
def reductions(out, x):
    out[0] = simd.sum_lanes(simd.load(x, 0))
    out[1] = simd.max_lanes(simd.load(x, 0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions(dtype):
    count = lanes_of(np.empty(0, dtype))
    x = np.random.default_rng(1).permutation(count).astype(dtype) - 3
    out = np.empty(2, dtype)
    reductions(out, x)
    np.testing.assert_array_equal(out, [x.sum(), x.max()])
    x[count // 2] = np.nan
    reductions(out, x)
    assert np.isnan(out[0])


def test_only_contiguous_arrays_of_floating_point_numbers_are_vectors():
    with pytest.raises(TypeError, match="C-contiguous array of floating-point numbers"):
        simd.vector_of(types.Array(types.int64, 1, "C"))
