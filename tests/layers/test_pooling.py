import numpy as np
import pytest

from fastrnn.layers import EmbeddingBag, Pooling, gradcheck
from fastrnn.layers.pooling import POOLINGS

LENGTHS = [4, 1, 0, 3, 5]


def batch(steps=5, size=6, lengths=LENGTHS):
    y = np.random.RandomState(0).standard_normal((steps, len(lengths), size))
    for b, length in enumerate(lengths):
        y[length:, b] = 0
    return y


def slow(layer, y, lengths):
    """Pool one sequence after the other, by the definitions."""
    pooled = np.zeros((len(lengths), y.shape[2]))
    half = y.shape[2] // 2 if layer.bidirectional else y.shape[2]
    for b, length in enumerate(lengths):
        steps = y[:length, b]
        if not length:
            continue
        if layer.pooling == "last":
            pooled[b] = np.concatenate([steps[-1, :half], steps[0, half:]])
        elif layer.pooling == "attention":
            weight, bias, context = (layer.parameters[name] for name in ("weight", "bias", "context"))
            scores = np.array([np.tanh(weight @ step + bias) @ context[0] for step in steps])
            shares = np.exp(scores) / np.exp(scores).sum()
            pooled[b] = sum(share * step for share, step in zip(shares, steps, strict=True))
        else:
            pooled[b] = getattr(np, layer.pooling)(steps, axis=0)
    return pooled


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooling_equals_its_definition_and_its_gradient_the_differences(pooling, bidirectional):
    layer = Pooling(6, pooling, bidirectional, dtype="float64", random_state=0)
    y = batch()
    np.testing.assert_allclose(layer.forward(y, LENGTHS), slow(layer, y, LENGTHS), atol=1e-12)
    gradcheck(layer, y, lengths=LENGTHS)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_of_a_sequence_does_not_depend_on_the_batch(pooling):
    layer = Pooling(6, pooling, random_state=0)
    y = batch().astype("float32")
    together = layer.forward(y, LENGTHS)
    for b, length in enumerate(LENGTHS):
        alone = layer.forward(np.ascontiguousarray(y[: max(length, 1), b : b + 1]), [length])
        np.testing.assert_array_equal(alone[0], together[b])


def test_gradient_behind_the_end_of_a_sequence_is_zero():
    for pooling in POOLINGS:
        layer = Pooling(6, pooling, dtype="float64", random_state=0)
        layer.forward(batch(), LENGTHS, training=True)
        dy = layer.backward(np.ones((len(LENGTHS), 6)))
        for b, length in enumerate(LENGTHS):
            assert not dy[length:, b].any()
            assert dy[:length, b].any() == (length > 0)


def test_attention_of_few_rows():
    layer = Pooling(6, "attention", dtype="float64", random_state=0)
    gradcheck(layer, batch(1, 6, [1, 1]), lengths=[1, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(((5, 2, 3),), r"y must have shape \(T, B, 6\)"), (((5, 2, 6), [1, 6]), "lengths must be 2 integers from 0 to 5")],
)
def test_wrong_arguments_are_named(arguments, message):
    shape, *lengths = arguments
    with pytest.raises(ValueError, match=message):
        Pooling(6).forward(np.zeros(shape), *lengths)
    with pytest.raises(ValueError, match=r"pooling must be one of .*, got 'sum'"):
        Pooling(6, "sum")
    with pytest.raises(RuntimeError, match="backward needs"):
        Pooling(6).backward(np.zeros((2, 6)))


IDS, OFFSETS = np.array([1, 2, 1, 7, 0]), np.array([0, 2, 2, 5])


def test_a_bag_is_the_mean_of_its_vectors():
    layer = EmbeddingBag(8, 3, dtype="float64", random_state=0)
    weight = layer.parameters["weight"]
    expected = [(weight[1] + weight[2]) / 2, np.zeros(3), (weight[1] + weight[7] + weight[0]) / 3]
    np.testing.assert_allclose(layer.forward(IDS, OFFSETS), expected)


@pytest.mark.parametrize("offsets", [[0, 6], [-1, 5], [0, 3, 1, 5], [], [[0, 5]]])
def test_offsets_outside_the_ids_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets must ascend from 0 to at most 5, got "):
        EmbeddingBag(8, 3).forward(IDS, offsets)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_gradient_of_bags_equals_differences(dropout):
    layer = EmbeddingBag(8, 3, dropout=dropout, dtype="float64", random_state=0)
    gradcheck(layer, IDS, offsets=OFFSETS)
    layer.forward(IDS, OFFSETS, training=True)
    layer.backward(np.ones((3, 3)))
    np.testing.assert_array_equal(layer.rows, [0, 1, 2, 7])
    layer.zero_grad()
    assert not layer.grads["weight"].any()


@pytest.mark.long
def test_dropout_of_a_bag_leaves_words_out_and_keeps_the_mean():
    layer = EmbeddingBag(1, 1, dropout=0.25, dtype="float64", random_state=0)
    layer.parameters["weight"][...] = 1
    ids, offsets = np.zeros(40_000, int), np.arange(0, 40_001, 2)
    values = layer.forward(ids, offsets, training=True)
    assert set(values.ravel().round(6)) == {0.0, round(0.5 / 0.75, 6), round(1 / 0.75, 6)}
    assert abs(values.mean() - 1) < 0.02
    np.testing.assert_array_equal(layer.forward(ids, offsets), np.ones((20_000, 1)))


def test_ids_out_of_range_are_refused():
    with pytest.raises(ValueError, match="ids must be from 0 to 7, got 1 to 8"):
        EmbeddingBag(8, 3).forward([1, 8], [0, 2])
    with pytest.raises(RuntimeError, match="backward needs"):
        EmbeddingBag(8, 3).backward(np.zeros((1, 3)))
