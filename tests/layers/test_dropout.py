import json

import numpy as np
import pytest

from fastrnn.layers import GRU, Dropout, Embedding, EmbeddingBag
from tests import reference_counters as reference

SEED = np.random.RandomState(0).randint(2**31)


def expected(x, sequences, steps, number):
    p = 0.25
    rows = x.reshape(len(sequences), x.size // max(len(sequences), 1))
    kept = reference.kept(p, SEED, number, sequences, steps, rows.shape[1])
    return np.where(kept, rows * x.dtype.type(1 / (1 - p)), 0).reshape(x.shape)


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 2, 5), (3, 40), (40,), (0, 3, 5), (4, 0, 5)])
def test_every_element_has_the_mask_of_its_place(shape, locked):
    x, dy = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    layer = Dropout(0.25, locked, random_state=0)
    steps, sequences = np.indices(shape[:2]).reshape(2, -1) if len(shape) > 2 else np.zeros((2, shape[0]), int)
    if len(shape) == 2:
        sequences = np.arange(shape[0])
    elif len(shape) == 1:
        steps = sequences = np.zeros(1, int)
    for number in (1, 2):
        np.testing.assert_array_equal(layer.forward(x, True), expected(x, sequences, steps * (not locked), number))
        np.testing.assert_array_equal(layer.backward(dy), expected(dy, sequences, steps * (not locked), number))


@pytest.mark.parametrize("locked", [False, True])
def test_packed_rows_have_the_masks_of_the_padded_batch(locked):
    x = np.ones((5, 3, 6), np.float32)
    padded = Dropout(0.25, locked, random_state=0).forward(x, training=True)
    sequences, steps = np.array([2, 0, 2, 1]), np.array([0, 4, 3, 0])
    packed = Dropout(0.25, locked, random_state=0).forward(x[steps, sequences], True, sequences, steps)
    np.testing.assert_array_equal(packed, padded[steps, sequences])


@pytest.mark.parametrize("batch_first", [False, True])
def test_padding_and_the_form_of_a_batch_change_no_mask_between_layers(batch_first):
    x, lengths = np.random.default_rng(0).standard_normal((6, 4, 3)), np.array([2, 6, 0, 5])
    alone = GRU(3, 8, 2, dropout=0.5, random_state=0, dtype="float64")
    y, _ = alone.forward(x, training=True)
    layer = GRU(3, 8, 2, batch_first=batch_first, dropout=0.5, random_state=0, dtype="float64")
    ragged, _ = layer.forward(x.swapaxes(0, 1) if batch_first else x, lengths=lengths, training=True)
    ragged = ragged.swapaxes(0, 1) if batch_first else ragged
    for b, length in enumerate(lengths):
        np.testing.assert_allclose(ragged[:length, b], y[:length, b], rtol=1e-12)


def test_numbers_of_rows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"sequences and steps must have shape \(3,\), got \(2,\) and \(3,\)"):
        Dropout(0.5).forward(np.ones((3, 2)), True, [0, 1], [0, 0, 0])


def test_nothing_is_dropped_at_prediction_or_with_the_probability_zero():
    x = np.ones((2, 3))
    assert Dropout(0.5).forward(x) is x
    layer = Dropout(0.0)
    assert layer.forward(x, training=True) is x
    assert layer.backward(x) is x


def test_an_embedding_drops_ids_whole():
    layer = Embedding(500, 4, dropout=0.25, random_state=0)
    state, weight = layer.training_state(), layer.parameters["weight"]
    ids = np.random.default_rng(0).integers(0, 500, (20, 30))
    kept = reference.kept(0.25, state["seed"], 1, [0], [0], 500).reshape(500, 1)
    factors = kept * np.float32(1 / 0.75)
    np.testing.assert_array_equal(layer.forward(ids, training=True), (weight * factors)[ids])
    layer.set_training_state(state)
    np.testing.assert_array_equal(layer.embedded(ids, training=True).vectors, weight * factors)


def test_a_bag_drops_by_the_place_of_a_word():
    layer = EmbeddingBag(9, 2, dropout=0.25, random_state=0, dtype="float64")
    state, ids, offsets = layer.training_state(), np.array([4, 7, 7, 1, 0, 8]), np.array([0, 2, 2, 6])
    kept = reference.kept(0.25, state["seed"], 1, [0, 1, 2], [0, 0, 0], 4)
    factors = kept[[0, 0, 2, 2, 2, 2], [0, 1, 0, 1, 2, 3], None] / 0.75
    vectors = layer.parameters["weight"][ids] * factors
    sums = [vectors[:2].sum(axis=0) / 2, np.zeros(2), vectors[2:].sum(axis=0) / 4]
    np.testing.assert_allclose(layer.forward(ids, offsets, training=True), sums, rtol=1e-14)


def test_the_state_of_a_training_is_plain_and_brings_masks_back():
    x = np.ones((4, 3, 20))
    first = Dropout(0.5, random_state=0)
    first.forward(x, training=True)
    state = json.loads(json.dumps(first.training_state()))
    other = Dropout(0.5, random_state=1)
    other.set_training_state(state)
    np.testing.assert_array_equal(other.forward(x, training=True), first.forward(x, training=True))
