import numpy as np
import pytest

from fastrnn.kernels import losses


def problem(kind, dtype="float64"):
    """Return outputs (4, 3), targets and weights for a loss."""
    rng = np.random.default_rng(0)
    targets = {
        "categorical_cross_entropy": rng.integers(3, size=4),
        "binary_cross_entropy": rng.integers(2, size=(4, 3)).astype("f4"),
        "half_squared_error": rng.standard_normal((4, 3)),
    }[kind]
    return rng.standard_normal((4, 3)).astype(dtype), targets, np.array([0.5, 0, 2, 1], "f4")


def slow(kind, outputs, target):
    """Return the loss of one example by the definition."""
    if kind == "categorical_cross_entropy":
        return -np.log(np.exp(outputs)[target] / np.exp(outputs).sum())
    if kind == "binary_cross_entropy":
        p = 1 / (1 + np.exp(-outputs))
        return -np.log(np.where(target == 1, p, 1 - p)).sum()
    return ((outputs - target) ** 2).sum() / 2


KINDS = pytest.mark.parametrize("kind", ["categorical_cross_entropy", "binary_cross_entropy", "half_squared_error"])


@KINDS
def test_losses_and_gradients(kind):
    loss, (outputs, targets, weights) = getattr(losses, kind), problem(kind)
    gradient = np.full_like(outputs, np.nan)
    expected = sum(w * slow(kind, o, t) for o, t, w in zip(outputs, targets, weights, strict=True))
    assert loss(gradient, outputs, targets, weights) == pytest.approx(expected, rel=1e-12)
    for place in np.ndindex(outputs.shape):
        change = np.zeros_like(outputs)
        change[place] = 1e-6
        high, low = (loss(None, outputs + sign * change, targets, weights) for sign in (1, -1))
        assert gradient[place] == pytest.approx((high - low) / 2e-6, rel=1e-6, abs=1e-9)


@KINDS
def test_float32_outputs_are_computed_with_in_float64(kind):
    loss, (outputs, targets, weights) = getattr(losses, kind), problem(kind, "float32")
    narrow, wide = np.empty_like(outputs), np.empty_like(outputs, "f8")
    assert loss(narrow, outputs, targets, weights) == loss(wide, outputs.astype("f8"), targets, weights)
    np.testing.assert_array_equal(narrow, wide.astype("f4"))


def test_large_logits_give_finite_losses():
    outputs, weights = np.array([[1e3, -1e3]]), np.ones(1)
    assert losses.categorical_cross_entropy(None, outputs, np.array([1]), weights) == 2000
    assert losses.binary_cross_entropy(None, outputs, np.array([[0.0, 1.0]]), weights) == 2000
