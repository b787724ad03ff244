import numpy as np
import pytest

from fastrnn.layers.dense import ACTIVATIONS, Dense
from tests import reference_dense as reference
from tests.reference import central_difference


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (4, 3, 5)])
def test_gradients_equal_central_differences(shape, bias, activation):
    rng = np.random.default_rng(0)
    layer = Dense(5, 7, bias, activation, random_state=1, dtype="float64")
    x = rng.standard_normal(shape)
    dy = rng.standard_normal((*shape[:-1], 7))
    assert layer.forward(x, training=True).shape == dy.shape
    dx = layer.backward(dy)
    assert dx.shape == x.shape
    assert sorted(layer.grads) == (["bias", "weight"] if bias else ["weight"])
    for array, gradient in [(x, dx), *((layer.parameters[name], layer.grads[name]) for name in layer.grads)]:
        direction = rng.standard_normal(array.shape)
        slope = central_difference(lambda: np.sum(layer.forward(x) * dy), array, direction)
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-7, abs=1e-9)


def test_forward_equals_the_reference():
    layer = Dense(33, 20, random_state=0)
    x = np.random.default_rng(0).standard_normal((2, 6, 33)).astype("f4")
    expected = reference.dense(x.reshape(12, 33), layer.parameters["weight"], layer.parameters["bias"])
    np.testing.assert_allclose(layer.forward(x).reshape(12, 20), expected, atol=1e-6)


def test_gradients_add_up_until_zero_grad():
    layer = Dense(4, 3, random_state=0, dtype="float64")
    x, dy = np.random.default_rng(0).standard_normal((2, 6, 4))[..., :4], np.ones((6, 3))
    sums = []
    for part in x:
        layer.forward(part, training=True)
        layer.backward(dy)
        sums.append(layer.grads["weight"].copy())
    layer.zero_grad()
    layer.forward(x[1], training=True)
    layer.backward(dy)
    np.testing.assert_allclose(sums[0] + layer.grads["weight"], sums[1], rtol=1e-13)


def test_strided_and_other_types_are_taken():
    layer = Dense(4, 3, random_state=0)
    x = np.arange(48).reshape(6, 8)[:, ::2]
    np.testing.assert_array_equal(layer.forward(x), layer.forward(np.ascontiguousarray(x, "f4")))
    np.testing.assert_array_equal(layer.forward(x.tolist()), layer.forward(x))


def test_the_start_is_torch_s():
    layer = Dense(100, 300, random_state=0)
    for value in layer.parameters.values():
        assert np.abs(value).max() <= 0.1
        assert value.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dense(3, 2, activation="gelu"), "activation must be one of .* got 'gelu'"),
        (lambda: Dense(3, 2).forward(np.ones((5, 4))), r"last axis of x must have length 3, got .* shape \(5, 4\)"),
        (lambda: Dense(1, 2).forward(1.0), r"last axis of x must have length 1, got .* shape \(\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_backward_needs_a_training_pass():
    layer = Dense(3, 2)
    layer.forward(np.ones((1, 3)))
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward(np.ones((1, 2)))
