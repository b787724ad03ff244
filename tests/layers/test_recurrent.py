import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn import _memory
from fastrnn.cells import CELLS
from fastrnn.kernels.packing import Packing
from fastrnn.kernels.recurrent_masks import NOTHING_DRAWN
from fastrnn.kernels.recurrent_plan import make_plan
from fastrnn.layers import GRU, LSTM, RNN, Embedded, Recurrent
from tests import reference

PROJECTED = "lstm projected"


def make(cell, *args, **options):
    if cell == PROJECTED:
        return Recurrent("lstm", *args, proj_size=4, **options)
    return Recurrent(cell, *args, **options)


ALL = [*CELLS, PROJECTED]


def as_list(state):
    return list(state) if isinstance(state, tuple) else [state]


def as_state(states):
    return tuple(states) if len(states) > 1 else states[0]


def problem(cell, layers=2, bidirectional=True, steps=5, batch=4, inputs=3, hidden=5, seed=0, **options):
    """Return a layer with random input, states, ragged lengths and upstream gradients."""
    rng = np.random.default_rng(seed)
    layer = make(cell, inputs, hidden, layers, bidirectional=bidirectional, random_state=seed, **options)
    for array in layer.parameters.values():  # nothing is left at a special value
        array += rng.normal(0, 0.1, array.shape)
    rows = layers * (2 if bidirectional else 1)
    sizes = [(rows, batch, size) for size in layer._sizes]
    lengths = rng.integers(0, steps + 1, batch)
    lengths[rng.integers(batch)] = steps
    return {
        "layer": layer,
        "x": rng.standard_normal((steps, batch, inputs)),
        "state": [rng.standard_normal(size) for size in sizes],
        "lengths": lengths,
        "dy": rng.standard_normal((steps, batch, layer.output_size)),
        "d_final": [rng.standard_normal(size) for size in sizes],
    }


def run(p, training=False):
    y, state = p["layer"].forward(p["x"], as_state(p["state"]), p["lengths"], training=training)
    return y, as_list(state)


@pytest.mark.parametrize("cell", ALL)
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
def test_forward_equals_the_reference(cell, layers, bidirectional, dtype, tolerance):
    if "layer_norm" in cell:
        tolerance *= 5  # the standardization divides by a standard deviation well below 1
    p = problem(cell, layers, bidirectional, hidden=19, dtype=dtype)
    expected_y, expected_state = reference.network(
        cell.split()[0], p["x"], p["state"], p["lengths"], p["layer"].state_dict(), layers, bidirectional
    )
    tolerance *= max(1, np.abs(expected_y).max())  # a rectifier's outputs have no bound
    for training in (False, True):
        y, state = run(p, training)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected_y, atol=tolerance)
        for got, expected in zip(state, expected_state, strict=True):
            np.testing.assert_allclose(got, expected, atol=tolerance)


@pytest.mark.long
@pytest.mark.parametrize("cell", ALL)
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True)])
def test_gradients_equal_central_differences(cell, layers, bidirectional):
    p = problem(cell, layers, bidirectional, dtype="float64")
    layer = p["layer"]
    run(p, training=True)
    dx, d_initial = layer.backward(p["dy"], as_state(p["d_final"]))
    gradients = {"x": dx, **dict(enumerate(as_list(d_initial))), **layer.grads}
    arrays = {"x": p["x"], **dict(enumerate(p["state"])), **layer.parameters}

    def loss():
        y, state = run(p)
        return (y * p["dy"]).sum() + sum((s * d).sum() for s, d in zip(state, p["d_final"], strict=True))

    rng = np.random.default_rng(1)
    for name, gradient in gradients.items():
        for _ in range(3):
            direction = rng.standard_normal(gradient.shape)
            slope = reference.central_difference(loss, arrays[name], direction)
            assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-7), name


@pytest.mark.parametrize("cell", ALL)
def test_float32_gradients_equal_float64_gradients(cell):
    p, q = (problem(cell, hidden=37, dtype=dtype) for dtype in ("float32", "float64"))
    q["layer"].load_state_dict(p["layer"].state_dict())
    results = []
    for case in (p, q):
        run(case, training=True)
        dx, d_initial = case["layer"].backward(case["dy"], as_state(case["d_final"]))
        results.append({"x": dx, **dict(enumerate(as_list(d_initial))), **case["layer"].grads})
    for name, expected in results[1].items():
        np.testing.assert_allclose(results[0][name], expected, atol=1e-5 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("cell", ALL)
def test_gradients_add_up_until_zero_grad(cell):
    p = problem(cell, dtype="float64")
    once = {}
    for repeat in (1, 2):
        run(p, training=True)
        p["layer"].backward(p["dy"], as_state(p["d_final"]))
        if repeat == 1:
            once = {name: gradient.copy() for name, gradient in p["layer"].grads.items()}
    for name, gradient in p["layer"].grads.items():
        np.testing.assert_allclose(gradient, 2 * once[name], rtol=1e-12, err_msg=name)
    p["layer"].zero_grad()
    assert all((gradient == 0).all() for gradient in p["layer"].grads.values())


@pytest.mark.cpu
@pytest.mark.parametrize("cell", ALL)
@pytest.mark.parametrize("jobs", [2, 3])
def test_the_number_of_threads_changes_no_bit(cell, jobs, monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1)
    outcomes = []
    masks = {"recurrent_dropout": 0.3, "zoneout": 0.2} if cell == "lstm" else {}  # for one: they double compilation
    for n_jobs, cut in ((1, "auto"), (jobs, "batch"), (jobs, "units")):
        p = problem(cell, batch=7, hidden=53, n_jobs=n_jobs, threads_cut=cut, **masks)
        y, state = run(p, training=True)
        dx, d_initial = p["layer"].backward(p["dy"], as_state(p["d_final"]))
        predicted, _ = run(p)
        outcomes.append(
            {"y": y, "dx": dx, "p": predicted, **dict(enumerate(state + as_list(d_initial))), **p["layer"].grads}
        )
    for other in outcomes[1:]:
        for name in outcomes[0]:
            np.testing.assert_array_equal(outcomes[0][name], other[name], err_msg=name)


@settings(max_examples=15, deadline=None)
@given(st.data(), st.sampled_from(sorted(ALL)), st.booleans())
def test_padding_and_order_of_the_batch_change_nothing(data, cell, bidirectional):
    lengths = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=5))
    order = data.draw(st.permutations(range(len(lengths))))
    steps = max([*lengths, 1])
    p = problem(cell, 1, bidirectional, steps=steps, batch=len(lengths), dtype="float64")
    p["lengths"] = np.array(lengths)
    y, state = run(p, training=True)
    dx, _ = p["layer"].backward(p["dy"])
    gradients = {name: g.copy() for name, g in p["layer"].grads.items()}
    padding = np.arange(steps)[:, None] >= p["lengths"]
    assert (y[padding] == 0).all()
    assert (dx[padding] == 0).all()

    p["layer"].zero_grad()
    garbage = np.where(padding[:, :, None], np.nan, p["x"])  # not a bit of padding may be read into a result
    more = np.full((2, *p["x"].shape[1:]), np.nan)
    x = np.concatenate([garbage, more])[:, order]
    y2, state2 = p["layer"].forward(
        x, as_state([part[:, order] for part in p["state"]]), p["lengths"][order], training=True
    )
    dx2, _ = p["layer"].backward(np.concatenate([p["dy"], np.ones((2, *p["dy"].shape[1:]))])[:, order])
    np.testing.assert_allclose(y2[:steps], y[:, order], rtol=1e-12)
    for got, expected in zip(as_list(state2), state, strict=True):
        np.testing.assert_allclose(got, expected[:, order], rtol=1e-12)
    np.testing.assert_allclose(dx2[:steps], dx[:, order], rtol=1e-10, atol=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(p["layer"].grads[name], gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("cell", ALL)
def test_a_sequence_in_two_pieces_is_the_sequence(cell):
    p = problem(cell, bidirectional=False, steps=9)
    y, final = p["layer"].forward(p["x"])
    first, state = p["layer"].forward(p["x"][:4])
    second, state = p["layer"].forward(p["x"][4:], state)
    np.testing.assert_array_equal(y, np.concatenate([first, second]))
    for got, expected in zip(as_list(final), as_list(state), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("cell", ALL)
def test_batch_first_is_the_transposed_batch(cell):
    p = problem(cell, batch_first=True)
    q = problem(cell)
    y, _ = p["layer"].forward(p["x"].swapaxes(0, 1), training=True)
    expected, _ = q["layer"].forward(q["x"], training=True)
    np.testing.assert_array_equal(y, expected.swapaxes(0, 1))
    dx, _ = p["layer"].backward(p["dy"].swapaxes(0, 1))
    expected, _ = q["layer"].backward(q["dy"])
    np.testing.assert_array_equal(dx, expected.swapaxes(0, 1))


@pytest.mark.parametrize("cell", ALL)
def test_without_bias(cell):
    p = problem(cell, bias=False, dtype="float64")
    assert not any(name.startswith(("bias_ih", "bias_hh")) for name in p["layer"].parameters)
    y, _ = run(p, training=True)
    expected, _ = reference.network(cell.split()[0], p["x"], p["state"], p["lengths"], p["layer"].state_dict(), 2, True)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    p["layer"].backward(p["dy"])


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_list_of_sequences_is_a_ragged_batch(batch_first):
    p = problem("gru", dtype="float64")
    q = problem("gru", dtype="float64", batch_first=batch_first)
    y, state = run(p, training=True)
    dx, _ = p["layer"].backward(p["dy"])
    cut = [(slice(length), b) for b, length in enumerate(p["lengths"])]
    listed, same_state = q["layer"].forward([p["x"][c] for c in cut], as_state(p["state"]), training=True)
    np.testing.assert_array_equal(same_state, state[0])
    listed_dx, _ = q["layer"].backward([p["dy"][c] for c in cut])
    for got, got_dx, c in zip(listed, listed_dx, cut, strict=True):
        np.testing.assert_array_equal(got, y[c])
        np.testing.assert_array_equal(got_dx, dx[c])
    q["layer"].forward([p["x"][c] for c in cut], training=True)
    with pytest.raises(ValueError, match="dy must be a list of arrays as long as those of x"):
        q["layer"].backward([p["dy"][c][:-1] for c in cut])
    with pytest.raises(ValueError, match="same number of columns in all"):
        q["layer"].forward([np.zeros((2, 3)), np.zeros((2, 4))])
    assert q["layer"].forward([])[0] == []


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_layer_norm"])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "batch_first": True}, {"reverse": True}])
@pytest.mark.parametrize("jobs", [1, 3])
def test_embedded_inputs_are_their_vectors(cell, options, jobs, monkeypatch):
    monkeypatch.setattr("fastrnn.kernels.threads._FLOPS_PER_THREAD", 1)
    random = np.random.default_rng(0)
    layer = make(cell, 6, 20, 2, dtype="float64", random_state=0, n_jobs=jobs, **options)
    vectors, ids, lengths = random.standard_normal((5, 6)), random.integers(0, 5, (4, 4)), [3, 0, 4, 2]
    results = []
    for x in (vectors[ids], Embedded(vectors, ids)):
        layer.zero_grad()
        y, state = layer.forward(x, lengths=lengths, training=True)
        dx, _ = layer.backward(np.cos(y))
        results.append((y, as_list(state), dx, {name: grad.copy() for name, grad in layer.grads.items()}))
    (y, state, dx, grads), (own_y, own_state, d_vectors, own_grads) = results
    np.testing.assert_array_equal(own_y, y)
    np.testing.assert_array_equal(own_state, state)
    expected = np.zeros_like(vectors)
    np.add.at(expected, ids, dx)
    np.testing.assert_allclose(d_vectors, expected, rtol=0, atol=1e-13)
    for name, grad in grads.items():
        np.testing.assert_allclose(own_grads[name], grad, rtol=0, atol=2e-13, err_msg=name)


@pytest.mark.parametrize(
    ("vectors", "ids", "message"),
    [
        (np.ones((5, 3)), np.zeros((2, 2), int), r"x\.vectors must have shape \(V, 6\), got \(5, 3\)"),
        (
            np.ones((5, 6)),
            np.zeros(2, int),
            r"x\.ids must be a matrix of integers, got .* int64, shape \(2,\)",
        ),
        (np.ones((5, 6)), None, r"x\.ids must be a matrix of integers, got an array of object, shape \(\)"),
        (np.ones((5, 6)), np.zeros((2, 2)), r"x\.ids must be a matrix of integers, got an array of float64"),
        (np.ones((5, 6)), np.full((2, 2), 5), r"x\.ids must be from 0 to 4, got 5 to 5"),
        (np.full((5, 6), np.nan), np.zeros((2, 2), int), "x must be finite"),
    ],
)
def test_bad_embedded_inputs_are_named(vectors, ids, message):
    with pytest.raises(ValueError, match=message):
        LSTM(6, 4).forward(Embedded(vectors, ids))


def test_empty_batches_and_sequences():
    layer = LSTM(3, 4, num_layers=2, bidirectional=True, random_state=0)
    for steps, batch in ((0, 2), (3, 0)):
        y, (h, _) = layer.forward(np.zeros((steps, batch, 3)), training=True)
        assert y.shape == (steps, batch, 8)
        assert h.shape == (4, batch, 4)
        dx, _ = layer.backward(np.zeros((steps, batch, 8)))
        assert dx.shape == (steps, batch, 3)
    state = np.ones((4, 2, 4), "float32")
    y, (h, c) = layer.forward(np.ones((3, 2, 3)), (state, 2 * state), lengths=[0, 0])
    np.testing.assert_array_equal(h, state)
    np.testing.assert_array_equal(c, 2 * state)


@pytest.mark.parametrize("cell", ["gru_reset_before", PROJECTED, "lstm_layer_norm"])
def test_held_weights_change_nothing(cell):
    p = problem(cell)
    expected, _ = run(p)
    with p["layer"].held_weights():
        for _ in range(2):
            np.testing.assert_array_equal(run(p)[0], expected)
        with pytest.raises(RuntimeError, match="held_weights"):
            run(p, training=True)
    p["layer"].parameters["weight_ih_l0"][...] = 0
    assert not np.array_equal(run(p)[0], expected)


@pytest.mark.parametrize(
    "options", [{}, {"residual": True, "zoneout": 0.2}, {"batch_first": True, "learn_initial_state": True}]
)
@pytest.mark.parametrize("cell", ["gru", PROJECTED, "lstm_layer_norm"])
def test_steps_are_the_forward_pass(cell, options):
    layer, random = make(cell, 6, 19, 3, random_state=0, **options), np.random.default_rng(0)
    if layer.learn_initial_state:
        layer.parameters["initial_h"][...] = random.standard_normal(layer.parameters["initial_h"].shape)
    table, ids = random.standard_normal((5, 6), "float32"), random.integers(0, 5, (4, 3))
    expected, final = layer.forward(table[ids.T if layer.batch_first else ids])
    for inputs in (table[ids], [Embedded(table, row) for row in ids]):
        for hold in (contextlib.nullcontext(), layer.held_weights()):
            state = None
            with hold:
                for t, x in enumerate(inputs):
                    y, state = layer.step(x, state)
                    np.testing.assert_allclose(y, expected[:, t] if layer.batch_first else expected[t], atol=1e-6)
            for got, wanted in zip(as_list(state), as_list(final), strict=True):
                np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (GRU(3, 4, bidirectional=True), np.zeros((2, 3)), "step needs a layer that reads forwards"),
        (GRU(3, 4, reverse=True), np.zeros((2, 3)), "step needs a layer that reads forwards"),
        (GRU(3, 4), np.zeros((1, 2, 3)), r"x must have shape \(B, input_size\) with input_size=3, got \(1, 2, 3\)"),
        (GRU(3, 4), np.full((2, 3), np.inf), "x must be finite"),
        (GRU(3, 4), Embedded(np.zeros((5, 3)), [[0]]), r"x\.ids must be a vector of integers, .* \(1, 1\)"),
        (GRU(3, 4), Embedded(np.zeros((5, 3)), [5]), r"x\.ids must be from 0 to 4, got 5 to 5"),
    ],
)
def test_bad_steps_are_named(layer, x, message):
    with pytest.raises(ValueError, match=message):
        layer.step(x)


def test_tables_of_embedded_inputs_under_held_weights():
    layer, random = Recurrent("gru", 5, 6, random_state=0), np.random.default_rng(0)
    ids, (one, other) = random.integers(0, 3, (4, 2)), random.standard_normal((2, 3, 5), "float32")
    for _ in range(2):
        with layer.held_weights():
            for vectors in (one, one, other, one):
                y, _ = layer.forward(Embedded(vectors, ids))
                np.testing.assert_allclose(y, layer.forward(vectors[ids])[0], atol=1e-6)
        y, _ = layer.forward(Embedded(one, ids))
        np.testing.assert_allclose(y, layer.forward(one[ids])[0], atol=1e-6)
        for value in layer.parameters.values():
            value *= 2


def test_dropout_is_between_the_layers_and_only_in_training():
    p = problem("lstm", bidirectional=False, dropout=0.5, dtype="float64")
    plain = problem("lstm", bidirectional=False, dtype="float64")
    plain["layer"].load_state_dict(p["layer"].state_dict())
    np.testing.assert_array_equal(run(p)[0], run(plain)[0])
    assert not np.array_equal(run(p, training=True)[0], run(plain, training=True)[0])
    same = problem("lstm", bidirectional=False, dropout=0.5, dtype="float64")
    again = problem("lstm", bidirectional=False, dropout=0.5, dtype="float64")
    np.testing.assert_array_equal(run(same, training=True)[0], run(again, training=True)[0])


def test_gradients_through_dropout_with_the_mask_held():
    p = problem("gru", bidirectional=False, dropout=0.4, dtype="float64")
    layer = p["layer"]
    fresh = layer.training_state()

    def outcome(training=True):
        layer.set_training_state(fresh)  # the same mask every time
        return run(p, training)

    outcome()
    dx, _ = layer.backward(p["dy"])
    direction = np.random.default_rng(2).standard_normal(dx.shape)
    slope = reference.central_difference(lambda: (outcome()[0] * p["dy"]).sum(), p["x"], direction)
    assert (dx * direction).sum() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layer: layer.forward(np.zeros((5, 3))), r"x must have shape \(T, B, input_size\).*got \(5, 3\)"),
        (lambda layer: layer.forward(np.zeros((5, 2, 4))), r"input_size=3, got \(5, 2, 4\)"),
        (lambda layer: layer.forward(np.full((5, 2, 3), np.nan)), "x must be finite, got NaN"),
        (lambda layer: layer.forward(np.zeros((5, 2, 3)), lengths=[5, 6]), "lengths must be between 0 and 5.*6"),
        (lambda layer: layer.forward(np.zeros((5, 2, 3)), lengths=[-1, 5]), "lengths must be between 0 and 5.*-1"),
        (lambda layer: layer.forward(np.zeros((5, 2, 3)), lengths=[5]), "lengths must be 2 integers"),
        (lambda layer: layer.forward(np.zeros((5, 2, 3)), lengths=[5.0, 1.0]), "lengths must be 2 integers"),
        (
            lambda layer: layer.forward(np.zeros((5, 2, 3)), np.zeros((1, 3, 4))),
            r"state must be h of shape \(1, 2, 4\)",
        ),
        (
            lambda layer: LSTM(3, 4).forward(np.zeros((5, 2, 3)), 0.5),
            r"state must be h of shape \(1, 2, 4\) and c of shape \(1, 2, 4\), got shapes \[\(\)\]",
        ),
        (lambda layer: GRU(3, 0), "hidden_size must be an integer of at least 1, got 0"),
        (lambda layer: GRU(3, 4, dropout=1.0), "p, the probability of dropout"),
        (lambda layer: RNN(3, 4, nonlinearity="sin"), "nonlinearity must be 'tanh' or 'relu', got 'sin'"),
        (lambda layer: GRU(3, 4, dtype="float16"), "dtype must be 'float32' or 'float64', got 'float16'"),
        (lambda layer: GRU(3, 4, n_jobs=0), "n_jobs must be None or an integer other than 0, got 0"),
        (lambda layer: layer.load_state_dict({}), "missing"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(GRU(3, 4))


def test_backward_needs_a_training_pass_each_time():
    layer = GRU(3, 4)
    x, dy = np.zeros((5, 2, 3)), np.zeros((5, 2, 4))
    layer.forward(x)
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward(dy)
    layer.forward(x, training=True)
    with pytest.raises(ValueError, match="dy must have the shape of the output"):
        layer.backward(dy[1:])
    layer.backward(dy)
    with pytest.raises(RuntimeError, match="training=True"):
        layer.backward(dy)


@pytest.mark.cpu
def test_prediction_keeps_nothing_that_grows_with_the_steps():
    _memory.release()
    layer = LSTM(8, 16, n_jobs=1)
    sizes = []
    for steps in (400, 4000):
        layer.forward(np.zeros((steps, 4, 8), "float32"))
        sizes.append(sum(room.n_bytes for room in _memory._rooms[layer.dtype]))
    assert sizes[0] == sizes[1]


# ---------------------------------------------------------------------------------- topologies and regularizers


def check_gradients(p, prepare=lambda: None, names=None):
    """Compare all gradients with central differences, in training; `prepare` makes every pass draw the same masks."""
    layer = p["layer"]

    def outcome():
        prepare()
        return run(p, training=True)

    outcome()
    dx, d_initial = layer.backward(p["dy"], as_state(p["d_final"]))
    gradients = {"x": dx, **dict(enumerate(as_list(d_initial))), **layer.grads}
    arrays = {"x": p["x"], **dict(enumerate(p["state"])), **layer.parameters}

    def loss():
        y, state = outcome()
        return (y * p["dy"]).sum() + sum((s * d).sum() for s, d in zip(state, p["d_final"], strict=True))

    rng = np.random.default_rng(1)
    for name, gradient in gradients.items():
        direction = rng.standard_normal(gradient.shape)
        slope = reference.central_difference(loss, arrays[name], direction)
        assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-7), name


def held(layer):
    """Return a function that puts the counters of all masks back to where they are now."""
    state = layer.training_state()
    return lambda: layer.set_training_state(state)


EVERYTHING = {"zoneout": 0.2, "recurrent_dropout": 0.2, "weight_dropout": 0.2, "dropout": 0.2}


@pytest.mark.long
@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {"weight_dropout": 0.3}),
        ("lstm", {"dropout": 0.3, "locked_dropout": True}),
        *((cell, EVERYTHING) for cell in ("lstm", "gru_reset_before", "lstm_layer_norm", PROJECTED)),
    ],
)
def test_gradients_under_regularizers_with_the_masks_held(cell, options):
    p = problem(cell, dtype="float64", **options)
    prepare = held(p["layer"])
    check_gradients(p, prepare)
    first = run(p)[0]
    np.testing.assert_array_equal(run(p)[0], first)  # nothing is drawn at prediction
    prepare()
    trained = run(p, training=True)[0]
    assert not np.allclose(trained, first)


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
@pytest.mark.parametrize("locked", [False, True])
def test_masks_belong_to_sequences_and_steps(cell, locked):
    """The masks of a sequence depend neither on padding nor on where the other sequences put it in packed order."""
    p = problem(cell, dtype="float64", **EVERYTHING, locked_dropout=locked)
    prepare, more = held(p["layer"]), np.full((2, *p["x"].shape[1:]), np.nan)
    results = []
    for x, n, lengths in (
        (p["x"], 4, [3, 0, 5, 2]),
        (np.concatenate([p["x"], more]), 4, [3, 0, 5, 2]),
        (p["x"], 4, [3, 5, 5, 4]),
        (p["x"][:, :3], 3, [3, 5, 5]),
    ):
        prepare()
        states = as_state([part[:, :n] for part in p["state"]])
        y, state = p["layer"].forward(x, states, lengths, training=True)
        dx, _ = p["layer"].backward(np.cos(y))
        results.append([y[:5], dx[:5], *as_list(state)])
    expected, padded, *others = results
    assert (expected[0][:3, [0, 2]] != 0).all()
    for got, wanted in zip(padded, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    for arrays in others:
        for got, wanted in zip(arrays, expected, strict=True):
            np.testing.assert_allclose(got[:, [0, 2]], wanted[:, [0, 2]], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_masks_of_a_full_batch_are_those_of_a_ragged_one(cell):
    p = problem(cell, dtype="float64", **EVERYTHING)
    prepare, results = held(p["layer"]), []
    for lengths in (None, [5, 5, 5, 5]):
        prepare()
        results.append(p["layer"].forward(p["x"], None, lengths, training=True)[0])
    np.testing.assert_array_equal(*results)


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        {"merge": "sum"},
        {"merge": "mean"},
        {"residual": True, "layers": 3},
        {"reverse": True, "bidirectional": False},
        {"reverse": True, "bidirectional": False, "residual": True, "layers": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gradients_of_topologies(cell, options):
    check_gradients(problem(cell, dtype="float64", **options))


def test_merged_directions_are_sums_and_means_of_their_outputs():
    p = problem("gru", layers=1, dtype="float64")
    concatenated = run(p)[0]
    hidden = concatenated.shape[2] // 2
    both = concatenated[..., :hidden] + concatenated[..., hidden:]
    for merge, expected in (("sum", both), ("mean", both / 2)):
        q = problem("gru", layers=1, dtype="float64", merge=merge)
        np.testing.assert_allclose(run(q)[0], expected, rtol=1e-12)


def test_reverse_is_the_second_of_two_directions():
    both = problem("lstm", layers=1, dtype="float64")
    one = problem("lstm", layers=1, bidirectional=False, reverse=True, dtype="float64")
    state_dict = {
        n.removesuffix("_reverse"): v for n, v in both["layer"].state_dict().items() if n.endswith("_reverse")
    }
    one["layer"].load_state_dict(state_dict)
    one["lengths"], one["state"] = both["lengths"], [part[1:] for part in both["state"]]
    one["x"] = both["x"]
    np.testing.assert_array_equal(run(one)[0], run(both)[0][..., 5:])


def test_residual_adds_the_input_from_the_second_layer_on():
    plain, residual = (problem("gru", 2, False, dtype="float64", residual=r) for r in (False, True))
    first = problem("gru", 1, False, dtype="float64")
    first["layer"].load_state_dict({n: v for n, v in plain["layer"].state_dict().items() if n.endswith("l0")})
    first["state"], first["lengths"] = [part[:1] for part in plain["state"]], plain["lengths"]
    first["x"] = residual["x"] = plain["x"]
    residual["lengths"], residual["state"] = plain["lengths"], plain["state"]
    np.testing.assert_allclose(run(residual)[0], run(plain)[0] + run(first)[0], rtol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_all_states(bidirectional):
    p = problem("lstm", 2, bidirectional, dtype="float64")
    y, final, (h, c) = p["layer"].forward(p["x"], as_state(p["state"]), p["lengths"], return_all_states=True)
    last = [h[2 + d] for d in range(2)] if bidirectional else [h[1]]
    np.testing.assert_array_equal(np.concatenate(last, axis=2), y)
    for b, length in enumerate(p["lengths"]):
        assert (c[:, length:, b] == 0).all()
        if length:
            ends = [0 if bidirectional and n % 2 else length - 1 for n in range(len(h))]
            np.testing.assert_array_equal(c[np.arange(len(c)), ends, b], final[1][:, b])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_arrays_put_in_the_place_of_parameters_are_used(cell):
    first, second = (Recurrent(cell, 5, 16, random_state=seed) for seed in (0, 1))
    x = np.random.default_rng(0).standard_normal((4, 3, 5))
    for convert in (np.copy, lambda value: np.asfortranarray(value, "float64")):
        for name, value in second.parameters.items():
            first.forward(x)
            first.parameters[name] = convert(value)
        first.forward(x)
        for layer in (first, second):
            for value in layer.parameters.values():
                value *= 0.5
        np.testing.assert_allclose(first.forward(x)[0], second.forward(x)[0], rtol=1e-5)


@pytest.mark.cpu
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "merge": "mean", "batch_first": True, "dropout": 0.3}])
def test_passes_of_such_plans_have_the_same_types(options, monkeypatch):
    """Kernels are called without a look at the types of their arguments from the second pass on."""
    checked = []

    def compiled_for(function, arguments):
        expected = [function.typeof_pyval(value).mangling_args for value in arguments]

        def call(board, party, *values):
            assert [function.typeof_pyval(value).mangling_args for value in values] == expected
            checked.append(function)
            return function(board, party, *values)

        return call

    monkeypatch.setattr("fastrnn.kernels.recurrent_passes.compiled_for", compiled_for)
    layer, random = Recurrent("gru", 5, 6, 2, random_state=0, **options), np.random.default_rng(0)
    x, vectors, ids = random.standard_normal((4, 4, 5)), random.standard_normal((3, 5)), random.integers(0, 3, (4, 4))
    for inputs in ((x, x.astype("float32"), np.asfortranarray(x)), (Embedded(vectors, ids), Embedded(vectors, ids.T))):
        for training in (False, True):
            for k, lengths in enumerate((None, [4, 2, 0, 1], None, [3, 3, 3, 3])):
                y, _ = layer.forward(inputs[k % len(inputs)], lengths=lengths, training=training)
                if training:
                    layer.backward(np.asfortranarray(y))
                if k == 2:
                    weight = layer.parameters["weight_hh_l0"]
                    layer.parameters["weight_hh_l0"] = np.asfortranarray(weight, "float64")
    assert len(checked) >= 30


def test_learned_initial_states_are_used_where_none_is_given_and_have_gradients():
    p = problem("lstm", dtype="float64", learn_initial_state=True)
    layer = p["layer"]
    given = tuple(np.repeat(layer.parameters[f"initial_{n}"][:, None], 4, axis=1) for n in ("h", "c"))
    expected, _ = layer.forward(p["x"], given, p["lengths"])
    y, _ = layer.forward(p["x"], None, p["lengths"], training=True)
    np.testing.assert_array_equal(y, expected)
    layer.backward(p["dy"])
    direction = np.random.default_rng(3).standard_normal(layer.parameters["initial_c"].shape)
    slope = reference.central_difference(
        lambda: (layer.forward(p["x"], None, p["lengths"])[0] * p["dy"]).sum(), layer.parameters["initial_c"], direction
    )
    assert (layer.grads["initial_c"] * direction).sum() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_zoneout_takes_the_expectation_at_prediction(cell):
    shares = [0.3] if cell == "gru" else [0.1, 0.4]
    p = problem(cell, 1, False, dtype="float64", zoneout=tuple(shares))
    state_dict = p["layer"].state_dict()
    expected, final = reference.network(cell, p["x"], p["state"], p["lengths"], state_dict, zoneout=shares)
    y, state = run(p)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    for got, value in zip(state, final, strict=True):
        np.testing.assert_allclose(got, value, atol=1e-12)


@pytest.mark.cpu
def test_masks_have_their_rates_and_scales():
    layer = Recurrent("rnn", 3, 50, recurrent_dropout=0.25, weight_dropout=0.25, zoneout=0.25, random_state=0)
    layer.forward(np.ones((40, 8, 3)), training=True)
    _, ((done,), *_) = layer._kept
    drawn = done.drawn
    recurrent = drawn.masks.recurrent[:, :50]
    for mask in (recurrent, drawn.weight_hh):
        assert set(np.unique(mask)) == {np.float32(0), np.float32(4 / 3)}
        assert (mask == 0).mean() == pytest.approx(0.25, abs=0.06)
    (update,) = drawn.masks.update[:, :, :50]
    assert set(np.unique(update)) == {0, 1}
    assert (update == 0).mean() == pytest.approx(0.25, abs=0.02)


def test_locked_dropout_is_the_same_at_every_step():
    layer = Recurrent("rnn", 3, 200, 2, dropout=0.5, locked_dropout=True, random_state=0)
    layer.forward(np.ones((6, 3, 3)), lengths=[6, 2, 4], training=True)
    mask = layer._dropouts[0].backward(np.ones((12, 200), np.float32))
    np.testing.assert_array_equal(mask[:3], mask[3:6])  # packed: three sequences are alive at the steps 0 and 1
    assert (mask[0] == 0).mean() == pytest.approx(0.5, abs=0.1)
    assert not np.array_equal(mask[0], mask[1])


@pytest.mark.parametrize("name", ["uniform", "glorot", "orthogonal", "identity", "zeros", "ones", "unit_interval"])
def test_initializers(name):
    layer = GRU(7, 11, initializers={"weight_hh": name}, random_state=0)
    blocks = np.split(layer.parameters["weight_hh_l0"].astype(float), 3)
    for block in blocks:
        if name == "orthogonal":
            np.testing.assert_allclose(block @ block.T, np.eye(11), atol=1e-6)
        elif name == "identity":
            np.testing.assert_array_equal(block, np.eye(11))
        elif name in ("zeros", "ones"):
            assert (block == (name == "ones")).all()
        else:
            low, high = {"uniform": (-(11**-0.5), 11**-0.5), "glorot": (-((6 / 22) ** 0.5), (6 / 22) ** 0.5)}.get(
                name, (0, 1)
            )
            assert low <= block.min() < low + 0.1 * (high - low)
            assert high - 0.1 * (high - low) < block.max() <= high


def test_forget_bias_and_irnn_start():
    layer = LSTM(3, 4, forget_bias=2.0)
    total = layer.parameters["bias_ih_l0"] + layer.parameters["bias_hh_l0"]
    np.testing.assert_array_equal(total[4:8], 2.0)
    assert abs(total[:4]).max() <= 1
    irnn = Recurrent("irnn", 3, 4)
    np.testing.assert_array_equal(irnn.parameters["weight_hh_l0"], np.eye(4))
    assert (irnn.parameters["bias_ih_l0"] == 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Recurrent("gruu", 3, 4), "cell must be one of .*did you mean 'gru'"),
        (lambda: Recurrent(3, 3, 4), "cell must be a name or an instance of a cell class"),
        (lambda: GRU(3, 4, merge="max"), "merge must be one of"),
        (lambda: GRU(3, 4, zoneout=(0.1, 0.1)), "zoneout must be a number or one for each"),
        (lambda: GRU(3, 4, zoneout=1.0), "zoneout must be at least 0 and below 1"),
        (lambda: GRU(3, 4, recurrent_dropout=-0.1), "recurrent_dropout must be at least 0"),
        (lambda: GRU(3, 4, bidirectional=True, reverse=True), "reverse=True is for one direction"),
        (lambda: Recurrent("gru", 3, 4, proj_size=2), "proj_size needs a cell"),
        (lambda: LSTM(3, 4, proj_size=4), "proj_size must be an integer from 0 to hidden_size - 1"),
        (lambda: LSTM(3, 4, peephole="after"), "peephole must be one of False, True, 'before'"),
        (lambda: GRU(3, 4, initializers={"weight": "ones"}), "initializers must name parameters"),
        (lambda: GRU(3, 4, initializers={"weight_hh": "orthagonal"}), "did you mean 'orthogonal'"),
        (lambda: GRU(3, 4, initializers={"bias_ih": "identity"}), "identity is for matrices"),
        (lambda: GRU(3, 4, forget_bias=1.0), "forget_bias needs a cell with a gate 'f'"),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.cpu
@pytest.mark.parametrize(
    ("hidden", "batch", "threads", "cut", "parts"),
    [
        (200, 20, 8, "batch", 8),
        (512, 16, 2, "batch", 2),
        (512, 16, 64, "units", 32),
        (1024, 64, 16, "batch", 16),
        (1024, 64, 64, "units", 64),
        (256, 128, 64, "batch", 64),
        (256, 1, 64, "units", 8),
    ],
)
def test_threads_cut_what_keeps_more_of_them_busy(monkeypatch, hidden, batch, threads, cut, parts):
    monkeypatch.setattr("fastrnn.kernels.recurrent_plan.worth", lambda n_jobs, flops: threads)
    ((direction,),) = Recurrent("lstm", 4, hidden, random_state=0)._layers
    weights = direction.weights
    got = make_plan(weights, Packing(3, batch), 4, False, NOTHING_DRAWN, False, "auto", None, {}).parts
    assert len(got) == parts
    # (first and last sequence, first and last unit); some units are padding
    whole = {"batch": [(begin, end) for *_, begin, end in got], "units": [(first, last) for first, last, *_ in got]}
    assert set(whole[cut]) == {(0, weights.padded if cut == "batch" else batch)}
