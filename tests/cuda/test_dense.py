"""The dense layer and its activations."""

import numpy as np
import pytest

from tests.cuda.comparing import assert_equal_to_cpu

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@DTYPES
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(("rows", "features", "outputs"), [(0, 3, 2), (1, 1, 1), (5, 3, 4)])
def test_forward_and_backward(ops, rows, features, outputs, with_bias, dtype):
    x, dy = random(rows, features, dtype=dtype), random(rows, outputs, dtype=dtype, seed=1)
    weight, bias = random(outputs, features, dtype=dtype, seed=2), random(outputs, dtype=dtype, seed=3)
    bias = bias if with_bias else None
    for by_rows in (True, False):
        y = np.full((rows, outputs), np.nan, dtype)
        assert_equal_to_cpu(ops, "dense_forward", y, x, weight, bias, None, by_rows, dtype=dtype)
    dx, dweight = np.full_like(x, np.nan), np.ones_like(weight)
    assert_equal_to_cpu(ops, "dense_backward", dx, dweight, bias, dy, x, weight, dtype=dtype)
    assert_equal_to_cpu(ops, "product", np.ones((rows, rows), dtype), x, np.ascontiguousarray(x.T), dtype=dtype)


@DTYPES
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_activations(ops, activation, dtype):
    y = np.array([[-1000, -2, -0.1, 0], [0.1, 3, 1000, np.nan]], dtype)
    assert_equal_to_cpu(ops, "activate", y, activation, dtype=dtype)
    y[:] = np.clip(y, 0, 1)
    assert_equal_to_cpu(ops, "activation_gradient", random(2, 4, dtype=dtype), y, activation, dtype=dtype)


def test_the_logit_map_of_generate_is_weight_and_bias(ops):
    weight, bias = ops.asarray(random(4, 3)), ops.asarray(random(4))
    assert ops.pack_logit_map(weight, bias) == (weight, bias)
