import numpy as np
import pytest

from fastrnn.layers.embedding import Embedding
from tests import reference_dense as reference
from tests.reference import central_difference


@pytest.mark.parametrize("shape", [(), (4,), (3, 2), (0, 5)])
def test_ids_of_any_shape(shape):
    layer = Embedding(9, 4, random_state=0, dtype="float64")
    ids = np.random.default_rng(0).integers(0, 9, shape)
    y = layer.forward(ids)
    assert y.shape == (*shape, 4)
    np.testing.assert_array_equal(y, layer.parameters["weight"][ids])


@pytest.mark.parametrize("ids_type", ["int8", "int32", "int64", "uint16"])
def test_ids_of_any_integer_type(ids_type):
    layer = Embedding(9, 4, random_state=0)
    ids = np.array([1, 8, 1], ids_type)
    np.testing.assert_array_equal(layer.forward(ids), layer.forward([1, 8, 1]))


@pytest.mark.parametrize("padding_idx", [None, 3])
def test_gradients_equal_central_differences(padding_idx):
    rng = np.random.default_rng(0)
    layer = Embedding(7, 3, padding_idx=padding_idx, random_state=0, dtype="float64")
    ids, dy = rng.integers(0, 7, (4, 5)), rng.standard_normal((4, 5, 3))
    direction = rng.standard_normal((7, 3))
    if padding_idx is not None:
        direction[padding_idx] = 0
    weight = layer.parameters["weight"]
    slope = central_difference(lambda: np.sum(layer.forward(ids) * dy), weight, direction)
    layer.forward(ids, training=True)
    layer.backward(dy)
    assert np.sum(layer.grads["weight"] * direction) == pytest.approx(slope, rel=1e-8)
    expected = reference.embedding_gradient((7, 3), ids.reshape(-1), dy.reshape(-1, 3), padding_idx)
    np.testing.assert_allclose(layer.grads["weight"], expected, rtol=1e-14)


def test_rows_are_those_with_a_gradient_until_zero_grad():
    layer = Embedding(50, 2, padding_idx=0, random_state=0)
    np.testing.assert_array_equal(layer.rows, [])
    for ids in ([[7, 3, 0]], [[3, 40, 0]]):
        layer.forward(ids, training=True)
        layer.backward(np.ones((1, 3, 2)))
    np.testing.assert_array_equal(layer.rows, [3, 7, 40])
    np.testing.assert_array_equal(np.flatnonzero(layer.grads["weight"].any(axis=1)), layer.rows)
    np.testing.assert_array_equal(layer.grads["weight"][3], [2, 2])
    layer.zero_grad()
    assert layer.rows.size == 0
    assert not layer.grads["weight"].any()


def test_tied_layers_have_one_table_and_one_gradient():
    first, second = (Embedding(5, 3, random_state=seed, dtype="float64") for seed in (0, 1))
    second.tie(first)
    np.testing.assert_array_equal(second.forward([1]), first.forward([1]))
    for layer, ids in ((first, [1, 2]), (second, [2])):
        layer.forward(ids, training=True)
        layer.backward(np.ones((len(ids), 3)))
    for layer in (first, second):
        np.testing.assert_array_equal(layer.grads["weight"][:, 0], [0, 1, 2, 0, 0])
        assert layer.sparse_rows() == {}
    second.zero_grad()
    assert not first.grads["weight"].any()
    with pytest.raises(ValueError, match=r"embedding must have a weight of shape \(5, 3\) and type float64, got"):
        second.tie(Embedding(5, 4, dtype="float64"))


@pytest.mark.parametrize(("padding_idx", "dropout"), [(None, 0.0), (2, 0.3)])
def test_a_look_up_that_is_not_carried_out(padding_idx, dropout):
    ids, random = np.array([[1, 2, 1], [4, 1, 3]]), np.random.default_rng(0)
    layers = [Embedding(6, 3, padding_idx, dropout, dtype="float64", random_state=0) for _ in range(2)]
    vectors, same_ids = layers[1].embedded(ids, training=True)
    np.testing.assert_array_equal(layers[0].forward(ids, training=True), vectors[same_ids])
    dy, d_vectors = random.standard_normal((2, 3, 3)), np.zeros((6, 3))
    np.add.at(d_vectors, ids, dy)
    layers[0].backward(dy)
    layers[1].backward(d_vectors)
    np.testing.assert_allclose(layers[1].grads["weight"], layers[0].grads["weight"], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(layers[1].rows, layers[0].rows)


def test_the_start_is_torch_s():
    layer = Embedding(2000, 20, padding_idx=5, random_state=0)
    weight = layer.parameters["weight"]
    assert weight.shape == (2000, 20)
    assert not weight[5].any()
    assert abs(weight.mean()) < 0.02
    assert weight.std() == pytest.approx(1, abs=0.02)


def test_the_caller_may_reuse_his_ids():
    layer = Embedding(5, 2, random_state=0)
    ids = np.array([1, 2])
    layer.forward(ids, training=True)
    ids[:] = 4
    layer.backward(np.ones((2, 2)))
    np.testing.assert_array_equal(layer.rows, [1, 2])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 5], "ids must be from 0 to 4, got 0 to 5"),
        ([-1], "ids must be from 0 to 4, got -1 to -1"),
        ([0.5], "ids must be integers, got an array of float64"),
        ([True], "ids must be integers"),
    ],
)
def test_bad_ids_are_named(ids, message):
    with pytest.raises(ValueError, match=message):
        Embedding(5, 2).forward(ids)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="padding_idx must be None or from 0 to 4, got 5"):
        Embedding(5, 2, padding_idx=5)


def test_backward_needs_a_training_pass():
    layer = Embedding(5, 2)
    layer.forward([1])
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward(np.ones((1, 2)))
