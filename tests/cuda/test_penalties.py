"""Penalties on activations."""

import numpy as np
import pytest

from fastrnn import kernels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["activity_penalty", "temporal_activity_penalty"])
@pytest.mark.parametrize("shape", [(5, 3, 4), (1, 3, 4), (0, 3, 4)])
def test_penalties_and_their_gradients_equal_those_of_the_cpu(ops, shape, name, dtype):
    y = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-10
    found = getattr(ops, name)(ops.asarray(y), 0.7)
    assert isinstance(found, float)
    assert found == pytest.approx(getattr(kernels, name)(y, 0.7), rel=tolerance)
    expected, dy = np.full_like(y, np.nan), ops.empty(shape, dtype)
    getattr(kernels, f"{name}_gradient")(expected, y, 0.7)
    getattr(ops, f"{name}_gradient")(dy, ops.asarray(y), 0.7)
    np.testing.assert_allclose(ops.to_numpy(dy), expected, rtol=tolerance, atol=tolerance)
