"""Optimizers, clipping, averages, dynamic evaluation and losses."""

import numpy as np
import pytest

from fastrnn import kernels
from tests.cuda.comparing import Host, assert_equal_to_cpu

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
UPDATES = [  # function, its arrays of state, and settings
    ("sgd_update", ["none"], kernels.SGDSettings(0.1, 0.0, False, 0.01)),
    ("sgd_update", ["mean"], kernels.SGDSettings(0.1, 0.9, False, 0.01)),
    ("sgd_update", ["mean"], kernels.SGDSettings(0.1, 0.9, True, 0.0)),
    ("adam_update", ["mean", "square"], kernels.AdamSettings(0.1, 0.9, 0.999, 1e-8, 0.01, 0.95, 3.0)),
    ("adagrad_update", ["square"], kernels.AdagradSettings(0.1, 1e-10, 0.01)),
    ("rmsprop_update", ["square", "none"], kernels.RMSpropSettings(0.1, 0.99, 1e-8, 0.0, 0.01)),
    ("rmsprop_update", ["square", "mean"], kernels.RMSpropSettings(0.1, 0.99, 1e-8, 0.9, 0.0)),
]


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@DTYPES
@pytest.mark.parametrize("rows", [None, [0, 3], []])
@pytest.mark.parametrize(("name", "state", "settings"), UPDATES)
def test_updates(ops, name, state, settings, rows, dtype):
    weight, grad, mean, square = random(4, 5, 3, dtype=dtype)
    state = [{"none": None, "mean": mean, "square": square**2}[kind] for kind in state]
    kinds = [[part, 2 * part[:2]] for part in (weight, grad)]
    kinds += [None if part is None else [part, 2 * part[:2]] for part in state]
    rows = [None if rows is None else np.array(rows, np.int64), None]
    assert_equal_to_cpu(ops, name, *kinds, rows, settings, None, dtype=dtype)


@DTYPES
def test_an_average_moves_by_its_share(ops, dtype):
    averages, weights = ([*arrays] for arrays in random(2, 2, 4, 3, dtype=dtype))
    assert_equal_to_cpu(ops, "average_update", averages, weights, 0.3, 1, dtype=dtype)


def test_many_parameters_take_several_launches(ops):
    weights, grads = ([*arrays] for arrays in random(2, 35, 2))
    settings = kernels.SGDSettings(0.1, 0.0, False, 0.01)
    assert_equal_to_cpu(ops, "sgd_update", weights, grads, None, [None] * 35, settings, None, dtype="float32")
    assert_equal_to_cpu(ops, "sum_of_squares", weights, [None] * 35, dtype="float32")
    with_both_types = [*weights[:2], weights[3].astype("float64")]
    assert_equal_to_cpu(ops, "scale_rows", with_both_types, [None] * 3, 0.3, dtype="float32")


@DTYPES
def test_norm_scale_and_bounds(ops, dtype):
    arrays, rows = [random(5, 3, dtype=dtype), random(7, dtype=dtype, seed=1)], np.array([1, 4])
    for used in ([None, None], [rows, None], [rows[:0], rows]):
        assert_equal_to_cpu(ops, "sum_of_squares", arrays, used, dtype=dtype)
        assert_equal_to_cpu(ops, "scale_rows", arrays, used, 0.3, dtype=dtype)
        with_nan = [arrays[0], np.append(arrays[1], np.nan).astype(dtype)]
        assert_equal_to_cpu(ops, "clip_rows", with_nan, used, 0.3, dtype=dtype)


def test_squares_of_float32_are_added_up_in_float64(ops):
    array = np.full((100, 10), 1e20, "float32")
    assert ops.sum_of_squares([ops.asarray(array)], [None]) == pytest.approx(1e43, rel=1e-6)


@DTYPES
def test_dynamic_evaluation(ops, dtype):
    weight, grad, origin = random(3, 4, 5, dtype=dtype)
    rms = np.abs(random(4, 5, dtype=dtype, seed=1))
    for given in (None, rms):
        assert_equal_to_cpu(ops, "adapt_weights", weight, grad, origin, given, 0.8, 0.3, 0.6, 0.01, dtype=dtype)
    assert_equal_to_cpu(ops, "add_squares", rms, grad, dtype=dtype)


@DTYPES
@pytest.mark.parametrize("with_gradient", [True, False])
@pytest.mark.parametrize("name", ["categorical_cross_entropy", "binary_cross_entropy", "half_squared_error"])
def test_losses(ops, name, with_gradient, dtype):
    rng, outputs = np.random.default_rng(1), 3 * random(5, 3, dtype=dtype)
    outputs[0] = [800, -800, 0]
    targets = {
        "categorical_cross_entropy": rng.integers(3, size=5),
        "binary_cross_entropy": Host(rng.integers(2, size=(5, 3)).astype("float32")),
        "half_squared_error": Host(rng.standard_normal((5, 3))),
    }[name]
    gradient = np.full_like(outputs, np.nan) if with_gradient else None
    weights = Host(np.array([1, 0.5, 0, 2, 1], "float32"))
    assert_equal_to_cpu(ops, name, gradient, outputs, targets, weights, dtype=dtype)


@pytest.mark.gpu
def test_large_steps_are_exact_and_repeat_to_the_bit(ops):
    weights, grads, means, squares = (
        [random(10_000, 650, seed=seed), random(2600, seed=seed), random(2600, 650, seed=seed)] for seed in range(4)
    )
    squares, rows = [array**2 for array in squares], [np.arange(0, 10_000, 7), None, None]
    settings = kernels.AdamSettings(0.1, 0.9, 0.999, 1e-8, 0.01, 0.95, 3.0)
    assert_equal_to_cpu(ops, "adam_update", weights, grads, means, squares, rows, settings, None, dtype="float32")
    assert_equal_to_cpu(ops, "scale_rows", grads, rows, 0.3, dtype="float32")
    on_device = [ops.asarray(array) for array in grads]
    norms = {ops.sum_of_squares(on_device, rows) for _ in range(20)}
    assert len(norms) == 1
    assert norms.pop() == pytest.approx(kernels.sum_of_squares(grads, rows), rel=1e-12)
