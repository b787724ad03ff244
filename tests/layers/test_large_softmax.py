from types import SimpleNamespace

import numpy as np
import pytest

from fastrnn.inspection._gradient_flow import _loss_gradient
from fastrnn.layers.embedding import Embedding
from fastrnn.layers.large_softmax import AdaptiveSoftmax, SampledSoftmax, make_softmax
from fastrnn.layers.softmax import ProjectedSoftmax, Softmax
from fastrnn.training.optimizers import Adam
from tests import reference_dense as reference
from tests.reference import central_difference

CLASSES, FEATURES = 30, 8
COUNTS = np.random.default_rng(5).permutation(CLASSES) ** 2


def problem(layer, shape=(4, 5)):
    """Return x, targets of which some are ignored, and weights of which some are 0."""
    rng = np.random.default_rng(0)
    x, targets, weights = rng.standard_normal((*shape, FEATURES)), rng.integers(0, CLASSES, shape), rng.random(shape)
    targets.reshape(-1)[::4] = -1
    weights.reshape(-1)[1::5] = 0
    for array in layer.parameters.values():
        array[...] = rng.standard_normal(array.shape)
    return x, targets, weights


def assert_gradients(layer, x, targets, weights, loss):
    """Compare the gradients with central differences of a loss."""
    layer.zero_grad()
    got, dx = layer.loss_and_gradient(x, targets, weights)
    assert got == pytest.approx(loss(), rel=1e-12)
    rng = np.random.default_rng(1)
    for array, gradient in [(x, dx), *((layer.parameters[name], layer.grads[name]) for name in layer.grads)]:
        direction = rng.standard_normal(array.shape)
        slope = central_difference(loss, array, direction)
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-7)


def slow_adaptive(layer, x, cutoffs):
    """Return the distribution over all classes for one row x (H,), from the definition."""
    p, order = layer.parameters, np.argsort(-COUNTS, kind="stable")
    head = reference.softmax(reference.dense([x], p["head.weight"], p["head.bias"])[0])
    result = np.zeros(CLASSES)
    result[order[: cutoffs[0]]] = head[: cutoffs[0]]
    for k, (begin, end) in enumerate(zip(cutoffs, [*cutoffs[1:], CLASSES], strict=True)):
        short = reference.dense([x], p[f"tail{k}.projection"], np.zeros(len(p[f"tail{k}.projection"])))
        within = reference.softmax(reference.dense(short, p[f"tail{k}.weight"], p[f"tail{k}.bias"])[0])
        result[order[begin:end]] = head[cutoffs[0] + k] * within
    return result


def test_adaptive_softmax_equals_the_slow_one():
    cutoffs = [6, 15]
    layer = AdaptiveSoftmax(FEATURES, CLASSES, COUNTS, cutoffs, dtype="float64", random_state=0)
    x, targets, weights = problem(layer)
    expected = np.array([slow_adaptive(layer, row, cutoffs) for row in x.reshape(-1, FEATURES)])
    np.testing.assert_allclose(layer.probabilities(x).reshape(-1, CLASSES), expected, rtol=1e-10)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    used = targets.reshape(-1) >= 0
    log_probs = layer.log_probs(x, targets).reshape(-1)
    np.testing.assert_allclose(log_probs[used], np.log(expected[used, targets.reshape(-1)[used]]), rtol=1e-9)
    assert not log_probs[~used].any()
    assert_gradients(layer, x, targets, weights, lambda: layer.loss(x, targets, weights))
    assert [tail.shape[0] for name, tail in layer.parameters.items() if "projection" in name] == [2, 1]


def slow_sampled(layer, classes, log_inclusion, x, targets, weights):
    """Return the loss among candidates, from the definition, one row at a time."""
    total = 0.0
    for row, target, weight in zip(x.reshape(-1, FEATURES), targets.reshape(-1), weights.reshape(-1), strict=True):
        if target >= 0 and weight:
            logits = [row @ layer.parameters["weight"][c] + layer.parameters["bias"][c] for c in classes]
            p = reference.softmax(np.array(logits) - log_inclusion)
            total -= weight * np.log(p[list(classes).index(target)])
    return total


def test_sampled_softmax_equals_the_slow_one(monkeypatch):
    layer = SampledSoftmax(FEATURES, CLASSES, COUNTS, n_samples=6, dtype="float64", random_state=0)
    x, targets, weights = problem(layer)
    drawn = layer.candidates(targets[(targets >= 0) & (weights > 0)])
    monkeypatch.setattr(layer, "candidates", lambda chosen: drawn)
    assert_gradients(layer, x, targets, weights, lambda: slow_sampled(layer, *drawn, x, targets, weights))
    np.testing.assert_array_equal(layer.sparse_rows()["weight"], drawn[0])
    others = np.setdiff1d(np.arange(CLASSES), drawn[0])
    assert len(others)
    assert not layer.grads["weight"][others].any()
    layer.zero_grad()
    assert not layer.grads["weight"].any()


@pytest.mark.long
def test_candidates_are_as_probable_as_they_are_taken_to_be():
    layer = SampledSoftmax(FEATURES, CLASSES, COUNTS, n_samples=6, random_state=0)
    noise = (COUNTS + 1.0) ** 0.75
    targets = np.random.default_rng(0)
    p = (COUNTS + 1) / (COUNTS + 1).sum()
    seen, rounds = np.zeros(CLASSES), 20_000
    for _ in range(rounds):
        others = targets.choice(CLASSES, 4, p=p)
        classes, log_inclusion = layer.candidates(np.append(others, others[0]))  # the row's own target is no chance
        seen[classes] += 1
        expected = 1 - (1 - noise[classes] / noise.sum()) ** 6 * (1 - p[classes]) ** 4
        np.testing.assert_allclose(np.exp(log_inclusion), expected, rtol=1e-6)
    expected = 1 - (1 - noise / noise.sum()) ** 6 * (1 - p) ** 4
    np.testing.assert_allclose(seen / rounds, expected, atol=0.015)


@pytest.mark.long
def test_training_on_samples_learns_the_distribution_of_the_full_softmax():
    true = np.random.default_rng(3).dirichlet(np.full(CLASSES, 0.5))
    targets = np.random.default_rng(4)
    layer = SampledSoftmax(FEATURES, CLASSES, (1000 * true).astype(int), n_samples=8, random_state=0)
    x, optimizer, mean = np.ones((40, FEATURES), np.float32), Adam(0.01), np.zeros(CLASSES)
    for step in range(1500):
        layer.zero_grad()
        layer.loss_and_gradient(x, targets.choice(CLASSES, 40, p=true), 1 / 40)
        optimizer.step(layer.parameters, layer.grads, layer.sparse_rows())
        if step >= 500:
            mean += layer.probabilities(x[:1])[0] / 1000
    assert np.abs(mean - true).sum() < 0.12


@pytest.mark.cpu  # inspection computes on the host
@pytest.mark.parametrize("layer", [Softmax(FEATURES, CLASSES, random_state=0, dtype="float64"),
                                   ProjectedSoftmax(FEATURES, Softmax(5, CLASSES, dtype="float64"), dtype="float64"),
                                   AdaptiveSoftmax(FEATURES, CLASSES, COUNTS, [6, 15], dtype="float64")],
                         ids=["full", "projected", "adaptive"])  # fmt: skip
def test_gradient_flow_begins_with_the_gradient_of_every_output(layer):
    x, _, _ = problem(layer)
    targets = np.array([3, 7, 20, 0, 29])
    layer.loss_and_gradient(x[1], targets)  # gradients that must stay
    before = {name: gradient.copy() for name, gradient in layer.grads.items()}
    dy = _loss_gradient(layer, SimpleNamespace(y=x, lengths=np.full(5, 3)), targets)
    assert not dy[[0, 1, 3]].any()
    direction = np.random.default_rng(1).standard_normal(x[2].shape)
    slope = central_difference(lambda: layer.loss(x[2], targets), x[2], direction)
    assert np.sum(dy[2] * direction) == pytest.approx(slope, rel=1e-7)
    for name, gradient in layer.grads.items():
        np.testing.assert_array_equal(gradient, before[name])


@pytest.mark.parametrize("kind", ["full", "sampled"])
def test_projected_and_tied(kind):
    embedding = Embedding(CLASSES, 5, dtype="float64", random_state=1)
    layer = make_softmax(kind, FEATURES, CLASSES, 5, counts=COUNTS, n_samples=100, dtype="float64", random_state=0)
    layer.tie(embedding)
    x, targets, weights = problem(layer)
    assert layer.parameters["weight"] is embedding.parameters["weight"]
    flat = x.reshape(-1, FEATURES)
    short = reference.dense(flat, layer.parameters["projection"], np.zeros(5))
    logits = reference.dense(short, layer.parameters["weight"], layer.parameters["bias"])
    expected = np.array([reference.softmax(row) for row in logits])
    np.testing.assert_allclose(layer.probabilities(flat), expected, rtol=1e-10)
    if kind == "full":
        assert_gradients(layer, x, targets, weights, lambda: layer.loss(x, targets, weights))
        assert embedding.rows is None
        panels, bias = layer.packed()
        assert bias[:CLASSES].tolist() == layer.parameters["bias"].tolist()
        assert panels.size == bias.size * FEATURES
    else:
        layer.zero_grad()
        embedding.zero_grad()
        embedding.forward([29], training=True)
        embedding.backward(np.ones((1, 5)))
        layer.loss_and_gradient(x, targets, weights)
        written = np.flatnonzero(embedding.grads["weight"].any(axis=1))
        np.testing.assert_array_equal(np.intersect1d(embedding.rows, written), written)
        assert set(layer.sparse_rows()) == {"bias"}


def test_default_cutoffs():
    assert AdaptiveSoftmax(4, 200_000).cutoffs == [4000, 40_000, 200_000]
    assert AdaptiveSoftmax(4, 11_000).cutoffs == [1000, 2200, 11_000]
    assert AdaptiveSoftmax(4, 9).cutoffs == [1, 9]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_softmax("tree", 4, 9), "softmax must be one of"),
        (lambda: make_softmax("adaptive", 4, 9, 4), "tie_weights=True needs softmax='full' or 'sampled'"),
        (
            lambda: make_softmax("sampled", 4, 9, label_smoothing=0.1),
            "label_smoothing must be 0 with softmax='sampled'",
        ),
        (lambda: AdaptiveSoftmax(4, 9, cutoffs=[3, 9]), "softmax_cutoffs must be rising integers from 1 to 8"),
        (lambda: AdaptiveSoftmax(4, 9, cutoffs=[]), "softmax_cutoffs must be"),
        (lambda: AdaptiveSoftmax(4, 9, counts=[1, 2]), "counts must be 9 numbers of at least 0"),
        (lambda: AdaptiveSoftmax(4, 9).log_probs(np.ones((1, 4)), [9]), "targets must be below 9, got 9"),
        (lambda: SampledSoftmax(4, 9, n_samples=0), "softmax_samples must be an integer of at least 1"),
        (lambda: ProjectedSoftmax(6, Softmax(4, 9)).tie(Embedding(9, 5)), "embedding must have a weight of shape"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
