import copy
import pickle

import numpy as np
import pytest

from fastrnn.layers import Decoder, Embedded, Recurrent
from fastrnn.utils.recurrent import as_state, state_parts

STEPS, BATCH, INPUTS, HIDDEN = 4, 3, 3, 5
LENGTHS = np.array([2, 4, 3])


def arrays(rng, *shapes):
    return [rng.standard_normal(shape) for shape in shapes]


def states(rng, decoder):
    sizes = [decoder._size, *[HIDDEN] * (len(decoder.cell.states) - 1)]
    return as_state(tuple(arrays(rng, *((decoder.num_layers, BATCH, size) for size in sizes))))


@pytest.mark.parametrize(("cell", "options"), [("gru", {}), ("lstm", {"residual": True}), ("lstm", {"proj_size": 4})])
def test_without_attention_a_decoder_is_a_recurrent_layer(cell, options):
    rng = np.random.default_rng(0)
    decoder = Decoder(cell, INPUTS, HIDDEN, 2, dtype="float64", random_state=0, **options)
    layer = Recurrent(cell, INPUTS, HIDDEN, 2, dtype="float64", **options)
    layer.load_state_dict(decoder.state_dict())
    (x, dy), state, d_final = (
        arrays(rng, (STEPS, BATCH, INPUTS), (STEPS, BATCH, decoder.output_size)),
        states(rng, decoder),
        states(rng, decoder),
    )
    y, final, weights = decoder.forward(x, state, lengths=LENGTHS, training=True)
    expected_y, expected_final = layer.forward(x, state, LENGTHS, training=True)
    dx, d_state, d_memory = decoder.backward(dy, d_final)
    expected_dx, expected_d_state = layer.backward(dy, d_final)
    assert (weights, d_memory) == (None, None)
    pairs = zip(
        [y, dx, *state_parts(final), *state_parts(d_state), *decoder.grads.values()],
        [expected_y, expected_dx, *state_parts(expected_final), *state_parts(expected_d_state), *layer.grads.values()],
        strict=True,
    )
    for got, expected in pairs:
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_steps_equal_a_pass():
    rng = np.random.default_rng(0)
    decoder = Decoder("gru", INPUTS, HIDDEN, 2, random_state=0)
    x, state = rng.standard_normal((STEPS, BATCH, INPUTS)), states(rng, decoder)
    y, final, _ = decoder.forward(x, state)
    with decoder.held_weights():
        for row, expected in zip(x, y, strict=True):
            got, state, _ = decoder.step(row, state)
            np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_allclose(state, final, atol=1e-6)


def test_a_table_of_inputs_takes_the_place_of_the_inputs():
    rng = np.random.default_rng(0)
    decoder, ids = Decoder("gru", INPUTS, HIDDEN, random_state=0, dtype="float64"), np.array([[1, 0], [1, 1]])
    (table,) = arrays(rng, (2, INPUTS))
    np.testing.assert_allclose(decoder.forward(Embedded(table, ids))[0], decoder.forward(table[ids])[0], atol=1e-12)


def test_masks_follow_the_training_state():
    decoder = Decoder("gru", INPUTS, HIDDEN, 2, dropout=0.5, recurrent_dropout=0.5, random_state=0)
    twin, x = copy.deepcopy(decoder), np.ones((STEPS, BATCH, INPUTS))
    first, second = (decoder.forward(x, training=True)[0] for _ in range(2))
    assert not np.array_equal(first, second)
    twin.set_training_state({**twin.training_state()})
    np.testing.assert_array_equal(twin.forward(x, training=True)[0], first)
    decoder.set_training_state(twin.training_state())
    np.testing.assert_array_equal(decoder.forward(x, training=True)[0], second)
    decoder.remove_noise()
    np.testing.assert_array_equal(decoder.forward(x, training=True)[0], decoder.forward(x)[0])
    decoder.forget()
    with pytest.raises(RuntimeError, match="backward needs a forward pass"):
        decoder.backward(first)


def test_a_copy_has_its_own_shared_parameters():
    decoder = Decoder("gru", INPUTS, HIDDEN, 2, random_state=0)
    other = pickle.loads(pickle.dumps(decoder))
    assert list(other.parameters) == [
        f"{kind}_{gate}_l{k}"
        for k in range(2)
        for kind, gate in (("weight", "ih"), ("weight", "hh"), ("bias", "ih"), ("bias", "hh"))
    ]
    x = np.ones((STEPS, BATCH, INPUTS))
    before = np.array(decoder.forward(x)[0])
    other.load_state_dict({name: 0 * value for name, value in other.state_dict().items()})
    assert not np.any(other.forward(x)[0])
    np.testing.assert_array_equal(decoder.forward(x)[0], before)


def test_a_memory_needs_attention():
    with pytest.raises(ValueError, match="memory must be None, got a memory"):
        Decoder("gru", INPUTS, HIDDEN).forward(np.ones((STEPS, BATCH, INPUTS)), memory=object())
