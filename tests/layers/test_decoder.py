import copy
import functools
import pickle

import numpy as np
import pytest

from fastrnn.layers import Attention, Decoder, Embedded, Recurrent
from fastrnn.utils.recurrent import as_state, state_parts
from tests import reference

STEPS, BATCH, INPUTS, HIDDEN, SOURCE_STEPS = 4, 4, 3, 5, 6
LENGTHS, SOURCE_LENGTHS = np.array([2, 4, 3, 0]), np.array([6, 0, 3, 2])
# Cell, score, input feeding and options of the decoder: each stage beside attention occurs.
CASES = {
    "gru": ("gru", "additive", True, {}),
    "gated": ("gru_reset_before", "dot", True, {"residual": True}),
    "projected": ("lstm_layer_norm", "general", True, {"proj_size": 4}),
    "without feeding": ("gru", "general", False, {"residual": True}),
    "additive without feeding": ("gru", "additive", False, {}),
}
MASKED = ("lstm", "additive", True, {"zoneout": 0.3, "recurrent_dropout": 0.4, "dropout": 0.2, "weight_dropout": 0.2})


def arrays(rng, *shapes):
    return [rng.standard_normal(shape) for shape in shapes]


def states(rng, decoder):
    sizes = [decoder._size, *[HIDDEN] * (len(decoder.cell.states) - 1)]
    return as_state(tuple(arrays(rng, *((decoder.num_layers, BATCH, size) for size in sizes))))


def problem(case, dtype="float64", seed=0):
    """Return a decoder of two layers with attention, and random arguments and gradients by their names."""
    cell, score, feeding, options = case
    rng, size = np.random.default_rng(seed), options.get("proj_size", HIDDEN)
    attention = Attention(size, size if score == "dot" else 7, score, 6 if score == "additive" else None, dtype=dtype,
                          random_state=0)  # fmt: skip
    decoder = Decoder(cell, INPUTS, HIDDEN, 2, attention, feeding, dtype=dtype, random_state=0, **options)
    for array in decoder.parameters.values():
        array += rng.normal(0, 0.3, array.shape)
    x, memory, dy = arrays(
        rng,
        (STEPS, BATCH, INPUTS),
        (SOURCE_STEPS, BATCH, attention.memory_size),
        (STEPS, BATCH, decoder.output_size),
    )
    return {"decoder": decoder, "x": x, "memory": memory, "state": states(rng, decoder), "dy": dy,
            "d_final": states(rng, decoder)}  # fmt: skip


def forward(p, training=False):
    memory = p["decoder"].attention.read(p["memory"], SOURCE_LENGTHS, training=training)
    return p["decoder"].forward(p["x"], p["state"], memory, LENGTHS, training=training)


@pytest.mark.parametrize("case", CASES)
def test_forward_equals_the_reference(case):
    cell, _, feeding, options = CASES[case]
    p = problem(CASES[case])
    y, final, weights = forward(p)
    expected_y, expected_final, expected_weights = reference.decoder(
        cell, p["x"], state_parts(p["state"]), LENGTHS, p["memory"], SOURCE_LENGTHS, p["decoder"].state_dict(), 2,
        feeding, options.get("residual", False),
    )  # fmt: skip
    np.testing.assert_allclose(y, expected_y, atol=1e-12)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-12)
    for got, expected in zip(state_parts(final), expected_final, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("case", [*CASES.values(), MASKED], ids=[*CASES, "masked"])
def test_gradients_equal_central_differences(case):
    p = problem(case)
    decoder, start = p["decoder"], copy.deepcopy(p["decoder"].training_state())

    def loss():
        decoder.set_training_state(copy.deepcopy(start))
        y, final, _ = forward(p, training=True)
        parts = zip(state_parts(final), state_parts(p["d_final"]), strict=True)
        return (y * p["dy"]).sum() + sum((s * d).sum() for s, d in parts)

    loss()
    dx, d_state, d_memory = decoder.backward(p["dy"], p["d_final"])
    gradients = {"x": dx, "memory": d_memory, **dict(enumerate(state_parts(d_state))), **decoder.grads}
    places = {"x": p["x"], "memory": p["memory"], **dict(enumerate(state_parts(p["state"]))), **decoder.parameters}
    rng = np.random.default_rng(1)
    for name, gradient in gradients.items():
        for _ in range(2):
            direction = rng.standard_normal(gradient.shape)
            slope = reference.central_difference(loss, places[name], direction)
            assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-7), name


def test_float32_equals_float64():
    results = []
    for dtype in ("float32", "float64"):
        p = problem(CASES["gru"], dtype)
        p["decoder"].load_state_dict(problem(CASES["gru"], "float32")["decoder"].state_dict())
        y, final, weights = forward(p, training=True)
        results.append([y, final, weights, *p["decoder"].backward(p["dy"], p["d_final"]), *p["decoder"].grads.values()])
    for got, expected in zip(*results, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, atol=2e-6 * max(1, np.abs(expected).max()))


@pytest.mark.cpu
def test_threads_do_not_change_bits(monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1)
    results = []
    for n_jobs in (1, 3):
        p = problem(CASES["gru"])
        for layer in (p["decoder"], *p["decoder"].parts()):
            layer.n_jobs = n_jobs
        p["decoder"]._layers[0]._make_layers()
        y, _, weights = forward(p, training=True)
        results.append([y, weights, *p["decoder"].backward(p["dy"]), *p["decoder"].grads.values()])
    for one, several in zip(*results, strict=True):
        np.testing.assert_array_equal(one, several)


@pytest.mark.cpu
def test_chunks_of_steps_do_not_matter(monkeypatch):
    results = []
    for most in (1 << 20, 1):
        monkeypatch.setattr("fastrnn.kernels.recurrent_plan._CHUNK_BYTES", most)
        monkeypatch.setattr("fastrnn.kernels.recurrent_plan._BACKWARD_BYTES", most)
        p = problem(CASES["gru"])
        predicted, y = forward(p)[0], forward(p, training=True)[0]
        results.append([predicted, y, *p["decoder"].backward(p["dy"]), *p["decoder"].grads.values()])
    for one, several in zip(*results, strict=True):
        np.testing.assert_allclose(one, several, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)])
def test_batches_may_be_empty(shape):
    decoder = problem(CASES["gru"])["decoder"]
    memory = decoder.attention.read(np.ones((SOURCE_STEPS, shape[1], decoder.context_size)), training=True)
    y, state, weights = decoder.forward(np.ones((*shape, INPUTS)), None, memory, training=True)
    dx, d_state, d_memory = decoder.backward(np.ones(y.shape), state)
    assert (y.shape, weights.shape) == ((*shape, decoder.output_size), (*shape, SOURCE_STEPS))
    assert (dx.shape, d_state.shape) == ((*shape, INPUTS), state.shape)
    assert not np.any(d_memory)


@pytest.mark.parametrize("case", ["gru", "projected", "without feeding"])
def test_steps_that_share_sources_equal_a_pass(case):
    p = problem(CASES[case])
    decoder, sources = p["decoder"], np.array([2, 0, 2, 1])
    memory, state = decoder.attention.read(p["memory"][:, :3], SOURCE_LENGTHS[:3]), p["state"]
    p["memory"] = p["memory"][:, sources]
    expected_y, expected_state, expected_weights = decoder.forward(
        p["x"], state, decoder.attention.read(p["memory"], SOURCE_LENGTHS[sources])
    )
    with decoder.held_weights():
        for t, row in enumerate(p["x"]):
            y, state, weights = decoder.step(row, state, memory, sources)
            np.testing.assert_allclose(y, expected_y[t], atol=1e-12)
            np.testing.assert_allclose(weights, expected_weights[t], atol=1e-12)
    for got, expected in zip(state_parts(state), state_parts(expected_state), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


def test_steps_take_turns_between_memories():
    p = problem(CASES["gru"])
    decoder, x = p["decoder"], p["x"][0]
    memories = [decoder.attention.read(p["memory"] * factor, SOURCE_LENGTHS) for factor in (1.0, -1.0)]
    with decoder.held_weights():
        first, second, again = (decoder.step(x, p["state"], memories[k])[0] for k in (0, 1, 0))
        assert (first == again).all()
        assert not np.allclose(first, second, atol=1e-3)


def test_a_table_of_inputs_works_with_input_feeding():
    p = problem(CASES["gru"])
    decoder, ids = p["decoder"], np.array([[0, 1, 1, 0]] * STEPS)
    results = []
    for x in (Embedded(p["x"][0], ids), p["x"][0][ids]):
        decoder.zero_grad()
        memory = decoder.attention.read(p["memory"], SOURCE_LENGTHS, training=True)
        y, _, _ = decoder.forward(x, p["state"], memory, LENGTHS, training=True)
        _, d_state, d_memory = decoder.backward(p["dy"])
        results.append([y, d_state, d_memory, *map(np.array, decoder.grads.values())])
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


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


@pytest.mark.long
def test_masks_follow_the_training_state():
    p, q = problem(MASKED), problem(MASKED)
    first, second = (np.array(forward(p, training=True)[0]) for _ in range(2))
    assert not np.array_equal(first, second)
    q["decoder"].set_training_state(q["decoder"].training_state())
    np.testing.assert_array_equal(forward(q, training=True)[0], first)
    p["decoder"].set_training_state(q["decoder"].training_state())
    np.testing.assert_array_equal(forward(p, training=True)[0], second)
    p["decoder"].remove_noise()
    assert [layer.recurrent_dropout for layer in p["decoder"]._layers] == [0, 0]
    assert p["decoder"]._dropouts[0].p == 0
    p["decoder"].forget()
    with pytest.raises(RuntimeError, match="backward needs a forward pass"):
        p["decoder"].backward(first)


def test_a_copy_has_its_own_parameters():
    p = problem(CASES["gru"])
    decoder, other = p["decoder"], pickle.loads(pickle.dumps(p["decoder"]))
    of_layers = [name for name in other.parameters if not name.startswith("attention.")]
    gates = [("weight", "ih"), ("weight", "hh"), ("bias", "ih"), ("bias", "hh")]
    assert of_layers == [f"{kind}_{gate}_l{k}" for k in range(2) for kind, gate in gates]
    before = np.array(forward(p)[0])
    other.load_state_dict({name: 0 * value for name, value in other.state_dict().items()})
    assert np.any(before)
    np.testing.assert_array_equal(forward(p)[0], before)
    np.testing.assert_allclose(forward({**p, "decoder": other})[0][0, 0, :HIDDEN], p["state"][1, 0] / 2)
    assert decoder.parameters["attention.score"] is decoder.attention.parameters["score"]


def test_queries_have_the_size_of_h():
    with pytest.raises(ValueError, match="attention must have query_size=5, got 4"):
        Decoder("gru", INPUTS, HIDDEN, attention=Attention(4, 4, "dot"))


def test_a_context_needs_a_single_layer():
    with pytest.raises(ValueError, match="context_size needs one layer that reads forwards"):
        Recurrent("gru", INPUTS, HIDDEN, 2, context_size=3)
    with pytest.raises(ValueError, match="attended must be given to a layer with a context_size"):
        problem(CASES["gru"])["decoder"]._layers[0].forward(np.ones((STEPS, BATCH, INPUTS)))


def test_a_memory_needs_attention():
    with pytest.raises(ValueError, match="memory must be None, got a memory"):
        Decoder("gru", INPUTS, HIDDEN).forward(np.ones((STEPS, BATCH, INPUTS)), memory=object())


def test_wrong_arguments_are_named():
    p = problem(CASES["gru"])
    decoder, x, memory = p["decoder"], np.ones((STEPS, BATCH, INPUTS)), p["decoder"].attention.read(p["memory"])
    step = functools.partial(decoder.step, x[0], memory=memory)
    for call, message in [
        (lambda: Decoder("gru", INPUTS, HIDDEN, attention="dot"), "attention must be None or a layer Attention"),
        (
            lambda: Decoder("gru", INPUTS, HIDDEN, attention=Attention(HIDDEN, HIDDEN), dtype="float64"),
            "attention must have dtype=float64, got float32",
        ),
        (lambda: decoder.forward(None, memory=memory), r"x must have shape \(T, B, input_size\)"),
        (lambda: decoder.forward(x[:, 1:], memory=memory), "queries must have shape"),
        (lambda: decoder.forward(x, memory=p["memory"]), "memory must be what attention.read returned"),
        (lambda: decoder.forward(x, p["state"][:1], memory), r"state must be h of shape \(2, "),
        (lambda: step(sources=[0]), f"sources must be {BATCH} integers"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    y, _, _ = decoder.forward(x, memory=decoder.attention.read(p["memory"], training=True), training=True)
    with pytest.raises(ValueError, match="dy must have the shape of the output"):
        decoder.backward(y[:, :, 1:])
