import numpy as np
import pytest

from fastrnn.kernels.adaptation import adapt_weights, add_squares


@pytest.mark.parametrize("rule", ["sgd", "rms"])
def test_weights_step_down_the_gradient_and_back_to_where_they_were(rule):
    rng = np.random.default_rng(0)
    weight, grad, origin = rng.standard_normal((3, 4, 5)).astype("f4")
    rms = rng.uniform(0.1, 4.0, (4, 5)).astype("f4") if rule == "rms" else None
    rate, decay, epsilon, mean = 0.3, 0.6, 0.01, 1.5
    pull, step = decay, grad
    if rms is not None:
        pull, step = np.minimum(decay * rms / mean, 1), grad / (rms + epsilon)
        assert (pull == 1).any()
    expected = weight + pull * (origin - weight) - rate * step
    adapt_weights(weight, grad, origin, rms, mean, rate, decay, epsilon)
    np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)


def test_squares_are_added_up():
    sums = np.array([[1.0, 2.0]], "f4")
    add_squares(sums, np.array([[3.0, -4.0]], "f4"))
    np.testing.assert_array_equal(sums, [[10.0, 18.0]])
