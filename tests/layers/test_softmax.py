import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.layers.embedding import Embedding
from fastrnn.layers.softmax import Softmax
from fastrnn.training.optimizers import SGD
from tests import reference_dense as reference
from tests.reference import central_difference


def problem(shape=(4, 5), features=6, classes=130, bias=True, dtype="float64", **options):
    """Return a layer, x, targets of which some are ignored, and weights of which some are 0."""
    rng = np.random.default_rng(0)
    layer = Softmax(features, classes, bias, dtype=dtype, random_state=0, **options)
    x, targets = rng.standard_normal((*shape, features)), rng.integers(0, classes, shape)
    weights = rng.random(shape)
    targets.reshape(-1)[::4] = -1
    weights.reshape(-1)[1::5] = 0
    return layer, x, targets, weights


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_loss_and_gradients_equal_the_reference(dtype, tolerance, bias):
    layer, x, targets, weights = problem(bias=bias, dtype=dtype)
    flat = x.reshape(-1, 6)
    log_probs, dx, dweight, dbias = reference.cross_entropy(
        flat, layer.parameters["weight"], layer.parameters.get("bias", np.zeros(130)), targets.reshape(-1),
        weights.reshape(-1),
    )  # fmt: skip
    loss, got = layer.loss_and_gradient(x, targets, weights)
    assert isinstance(loss, float)
    assert loss == pytest.approx(-np.dot(log_probs, weights.reshape(-1)), rel=tolerance)
    assert layer.loss(x, targets, weights) == pytest.approx(loss, rel=1e-7)
    np.testing.assert_allclose(layer.log_probs(x, targets).reshape(-1), log_probs, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(got.reshape(-1, 6), dx, atol=tolerance)
    np.testing.assert_allclose(layer.grads["weight"], dweight, atol=tolerance)
    if bias:
        np.testing.assert_allclose(layer.grads["bias"], dbias, atol=tolerance)


def test_a_tiny_layer():
    layer, x, targets, weights = problem((3,), 2, 5)
    expected = reference.cross_entropy(x, layer.parameters["weight"], layer.parameters["bias"], targets, weights)
    loss, dx = layer.loss_and_gradient(x, targets, weights)
    assert loss == pytest.approx(-np.dot(expected[0], weights))
    np.testing.assert_allclose(dx, expected[1], atol=1e-12)
    np.testing.assert_allclose(layer.grads["weight"], expected[2], atol=1e-12)
    np.testing.assert_allclose(layer.probabilities(x).sum(axis=1), 1)


@pytest.mark.parametrize("weighted", [True, False])
def test_gradients_equal_central_differences(weighted):
    layer, x, targets, weights = problem()
    weights = weights if weighted else None
    _, dx = layer.loss_and_gradient(x, targets, weights)
    rng = np.random.default_rng(1)
    for array, gradient in [(x, dx), *((layer.parameters[name], layer.grads[name]) for name in layer.grads)]:
        direction = rng.standard_normal(array.shape)
        slope = central_difference(lambda: layer.loss(x, targets, weights), array, direction)
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_smoothed_labels(smoothing):
    """The gradients are those of the loss that training returns; everything else is that of the targets alone."""
    layer, x, targets, weights = problem(label_smoothing=smoothing)
    loss, dx = layer.loss_and_gradient(x, targets, weights)
    log_p, used = np.log(layer.probabilities(x)), targets >= 0
    chosen = np.take_along_axis(log_p, np.where(used, targets, 0)[..., np.newaxis], axis=-1)[..., 0]
    smoothed = (1 - smoothing) * chosen + smoothing * log_p.mean(axis=-1)
    assert loss == pytest.approx(-np.sum((smoothed * weights)[used]), rel=1e-12)
    assert layer.loss(x, targets, weights) == pytest.approx(-np.sum((chosen * weights)[used]), rel=1e-12)
    np.testing.assert_allclose(layer.log_probs(x, targets)[used], chosen[used], rtol=1e-12)
    rng, grads = np.random.default_rng(1), {name: layer.backend.copy(array) for name, array in layer.grads.items()}
    for array, gradient in [(x, dx), *((layer.parameters[name], grads[name]) for name in grads)]:
        direction = rng.standard_normal(array.shape)
        slope = central_difference(lambda: layer.loss_and_gradient(x, targets, weights)[0], array, direction)
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-7)


def test_ignored_targets_leave_no_trace():
    layer, x, targets, _ = problem()
    used = targets >= 0
    loss, dx = layer.loss_and_gradient(x, targets)
    grads = {name: gradient.copy() for name, gradient in layer.grads.items()}
    assert not dx[~used].any()
    assert not layer.log_probs(x, targets)[~used].any()
    layer.zero_grad()
    x[~used] = np.nan
    again, part = layer.loss_and_gradient(x[used], targets[used])
    assert again == loss
    assert layer.loss_and_gradient(x, targets)[0] == loss
    np.testing.assert_array_equal(part, dx[used])
    for name, gradient in layer.grads.items():
        np.testing.assert_allclose(gradient, 2 * grads[name], rtol=1e-12)


def test_nothing_to_predict():
    layer, x, targets, _ = problem()
    for rows, chosen in ((x, np.full(targets.shape, -1)), (np.empty((0, 5, 6)), np.empty((0, 5), int))):
        loss, dx = layer.loss_and_gradient(rows, chosen)
        assert loss == 0
        assert dx.shape == rows.shape
        assert not dx.any()
        assert layer.loss(rows, chosen) == 0
    assert not layer.grads["weight"].any()


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(0, 40), st.floats(0.1, 3))
def test_split_batches_add_up(rows, cut, weight):
    layer, x, targets, _ = problem((rows,))
    cut = min(cut, rows)
    loss, dx = layer.loss_and_gradient(x, targets, weight)
    grads = {name: gradient.copy() for name, gradient in layer.grads.items()}
    layer.zero_grad()
    parts = [layer.loss_and_gradient(x[part], targets[part], weight) for part in (slice(cut), slice(cut, None))]
    assert parts[0][0] + parts[1][0] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_array_equal(np.concatenate([parts[0][1], parts[1][1]]), dx)
    for name, gradient in layer.grads.items():
        np.testing.assert_allclose(gradient, grads[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 3, 9])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
def test_probabilities(rows, dtype, tolerance):
    layer, x, _, _ = problem((rows,), dtype=dtype)
    logits = reference.dense(x, layer.parameters["weight"], layer.parameters["bias"])
    np.testing.assert_allclose(layer.probabilities(x), [reference.softmax(row) for row in logits], rtol=tolerance)
    np.testing.assert_allclose(layer.forward(x), logits, atol=tolerance)
    targets = np.arange(rows)
    np.testing.assert_allclose(
        layer.log_probs(x, targets), np.log(layer.probabilities(x)[np.arange(rows), targets]), rtol=tolerance
    )


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_number_of_threads_changes_no_bit(jobs, monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1)
    outcomes = []
    for n_jobs in (1, jobs):
        layer, x, targets, weights = problem((90,), dtype="float32", n_jobs=n_jobs)
        loss, dx = layer.loss_and_gradient(x, targets, weights)
        outcomes.append([loss, dx, layer.probabilities(x), layer.log_probs(x, targets), *layer.grads.values()])
    for one, several in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(one, several)


def test_tied_weights_are_one_array():
    embedding = Embedding(30, 6, random_state=1, dtype="float64")
    layer, x, targets, _ = problem(classes=30)
    layer.tie(embedding)
    assert layer.parameters["weight"] is embedding.parameters["weight"]
    assert layer.grads["weight"] is embedding.grads["weight"]
    ids = np.array([2, 2, 5])
    dy = np.ones((3, 6))

    def loss():
        return layer.loss(x, targets) + np.sum(embedding.forward(ids) * dy)

    layer.loss_and_gradient(x, targets)
    embedding.forward(ids, training=True)
    embedding.backward(dy)
    assert embedding.rows is None
    direction = np.random.default_rng(0).standard_normal((30, 6))
    slope = central_difference(loss, embedding.parameters["weight"], direction)
    assert np.sum(embedding.grads["weight"] * direction) == pytest.approx(slope, rel=1e-7)
    SGD(0.1).step({"e": embedding.parameters["weight"]}, {"e": embedding.grads["weight"]}, {"e": embedding.rows})
    assert loss() == pytest.approx(layer.loss(x, targets) + np.sum(embedding.forward(ids)))
    embedding.zero_grad()
    assert not layer.grads["weight"].any()
    layer.load_state_dict({"weight": np.zeros((30, 6)), "bias": np.zeros(30)})
    assert not embedding.parameters["weight"].any()


@pytest.mark.parametrize("bias", [True, False])
def test_the_most_probable_classes(bias):
    layer, x, _, _ = problem((40,), bias=bias)
    allowed = np.arange(130) % 3 > 0
    log_probs, classes = layer.most_probable(x, 7, allowed)
    expected = layer.log_probs(np.repeat(x, 130, axis=0), np.tile(np.arange(130), 40)).reshape(40, 130)
    expected[:, ~allowed] = -np.inf
    order = np.argsort(-expected, axis=1)[:, :7]
    assert classes.tolist() == order.tolist()
    np.testing.assert_allclose(log_probs, np.take_along_axis(expected, order, 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layer: layer.loss(np.ones((2, 3)), [0, 5]), "targets must be below 5, got 5"),
        (lambda layer: layer.loss(np.ones((2, 3)), [0, 1, 2]), r"targets must have shape \(2,\), got \(3,\)"),
        (lambda layer: layer.loss(np.ones((2, 3)), [0.0, 1.0]), "targets must be integers, got an array of float64"),
        (lambda layer: layer.loss(np.ones((2, 4)), [0, 1]), "last axis of x must have length 3"),
        (lambda layer: layer.tie(Embedding(5, 4)), r"embedding must have a weight of shape \(5, 3\) and type float32"),
        (lambda layer: layer.tie(Embedding(5, 3, dtype="float64")), "got .* float64"),
        (lambda layer: Softmax(3, 5, label_smoothing=1), "label_smoothing must be at least 0 and below 1, got 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(Softmax(3, 5))
