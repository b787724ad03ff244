import numpy as np
import pytest

from fastrnn.training.clipping import clip_grad_norm, clip_grad_value


def gradients(dtype="float32"):
    rng = np.random.default_rng(0)
    return {"a": rng.standard_normal((5, 7)).astype(dtype), "b": rng.standard_normal(3).astype(dtype)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_the_joint_norm_is_bounded(max_norm, dtype):
    grads = gradients(dtype)
    before = {name: grad.copy() for name, grad in grads.items()}
    expected = float(np.linalg.norm(np.concatenate([grad.reshape(-1).astype(float) for grad in grads.values()])))
    norm = clip_grad_norm(grads, max_norm)
    assert isinstance(norm, float)
    assert norm == pytest.approx(expected, rel=1e-12)
    factor = min(1, max_norm / expected)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, factor * before[name], rtol=1e-5)
        if factor == 1:
            np.testing.assert_array_equal(grad, before[name])


def test_the_sum_is_exact_where_float32_is_not():
    grads = {"a": np.full(100_000, 0.1, "f4"), "b": np.array([1e4], "f4"), "c": np.array([1e20], "f4")}
    large = grads.pop("c")
    exact = np.sqrt(100_000 * float(np.float32(0.1)) ** 2 + 1e8)
    assert clip_grad_norm(grads, 1e9) == pytest.approx(exact, rel=1e-12)
    assert clip_grad_norm({"c": large}, 1.0) == pytest.approx(1e20, rel=1e-6)  # its square overflows in float32
    np.testing.assert_allclose(large, 1, rtol=1e-5)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_only_the_given_rows_count(clip):
    grads = gradients()
    before = grads["a"].copy()
    rows = {"a": np.array([1, 3]), "b": None}
    part = {"a": before[[1, 3]].copy(), "b": grads["b"].copy()}
    assert clip(grads, 0.5, rows=rows) == clip(part, 0.5)
    np.testing.assert_array_equal(grads["a"][[1, 3]], part["a"])
    np.testing.assert_array_equal(grads["b"], part["b"])
    np.testing.assert_array_equal(grads["a"][[0, 2, 4]], before[[0, 2, 4]])


def test_no_rows():
    assert clip_grad_norm({"a": np.ones((3, 2))}, 1.0, rows={"a": np.empty(0, np.int64)}) == 0


def test_a_tied_array_counts_once():
    shared = np.array([3.0, 4.0])
    assert clip_grad_norm({"a": shared, "b": shared}, 1.0) == 5
    np.testing.assert_allclose(shared, [0.6, 0.8], rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_reported_and_left(bad):
    grads = {"a": np.array([1.0, bad]), "b": np.array([3.0])}
    assert not np.isfinite(clip_grad_norm(grads, 1.0))
    np.testing.assert_array_equal(grads["a"], [1.0, bad])
    np.testing.assert_array_equal(grads["b"], [3.0])


def test_values_are_bounded():
    grads = {"a": np.array([-3.0, -0.5, 0.5, 3.0, np.nan])}
    clip_grad_value(grads, 1.0)
    np.testing.assert_array_equal(grads["a"], [-1.0, -0.5, 0.5, 1.0, np.nan])


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
@pytest.mark.parametrize("bound", [0, -1.0, np.nan])
def test_the_bound_is_positive(clip, bound):
    with pytest.raises(ValueError, match="must be above 0"):
        clip({"a": np.ones(2)}, bound)


def test_gradients_are_contiguous():
    with pytest.raises(ValueError, match="C-contiguous"):
        clip_grad_norm({"a": np.ones((4, 4))[:, ::2]}, 1.0)
