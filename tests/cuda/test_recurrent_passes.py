"""Recurrent layers on the GPU against the backend of `tests.numpy_backend`: outputs, states and all gradients."""

from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest

from fastrnn import backends
from fastrnn.backends import backend
from fastrnn.cells import CELLS
from fastrnn.layers import Embedded, Recurrent
from fastrnn.utils.recurrent import state_parts
from tests import numpy_backend
from tests.cuda.comparing import TOLERANCES

STEPS, BATCH, INPUTS, HIDDEN = 4, 3, 3, 5
NOISE = {"recurrent_dropout": 0.3, "weight_dropout": 0.2, "zoneout": 0.25}
OPTIONS = {
    "deep": {"num_layers": 2, "dropout": 0.3, "residual": True},
    "both directions": {"bidirectional": True, "merge": "mean", "batch_first": True},
    "reverse": {"reverse": True, "bias": False},
    "noise": NOISE,
    "learned": {"learn_initial_state": True, "num_layers": 2, "bidirectional": True},
}


@pytest.fixture(autouse=True)
def numpy_device():
    """The backend in NumPy, under the name "numpy"."""
    backends.register("numpy", numpy_backend)
    yield
    backends.register("numpy", None)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def run(device, cell, dtype, *, lengths=None, table=None, state=True, batch=BATCH, steps=STEPS, passes=1, **options):
    """Return the results of a layer's passes by name, as ndarrays: of the last one in training, and of a prediction.

    With `table`, inputs are rows of a table of so many vectors. Inputs, states and gradients differ from pass to pass.
    """
    layer = Recurrent(cell, INPUTS, HIDDEN, dtype=dtype, random_state=0, device=device, **options)
    shape, ops = (batch, steps) if layer.batch_first else (steps, batch), backend(device)
    for number in range(passes):
        x = random(*shape, INPUTS, seed=number)
        if table is not None:
            x = Embedded(random(table, INPUTS), np.random.default_rng(number).integers(0, table, shape))
        states = tuple(random(layer._rows, batch, size, seed=5 + number) for size in layer._sizes) if state else None
        states = states[0] if state and len(states) == 1 else states
        predicted = layer.forward(x, states, lengths=lengths)
        trained = layer.forward(x, states, lengths=lengths, training=True, return_all_states=True)
        dy, d_states = random(*shape, layer.output_size, seed=7 + number), states if number % 2 == 0 else None
        gradients = layer.backward(dy, d_states)
    names = ("predicted", "state", "y", "trained state", "all states", "dx", "initial state")
    results = zip(names, (*predicted, *trained, *gradients), strict=True)
    parts = {f"{name} {k}": part for name, value in results for k, part in enumerate(state_parts(value))}
    return {name: np.array(ops.to_numpy(part)) for name, part in (parts | layer.grads).items()}


def assert_equal(cell, dtype="float64", **options):
    """Compare the results of the GPU with those of NumPy."""
    got, expected = (run(device, cell, dtype, **options) for device in ("cuda", "numpy"))
    for name, values in expected.items():
        assert got[name].dtype == dtype
        largest = np.abs(values).max(initial=1)
        np.testing.assert_allclose(got[name], values, rtol=0, atol=TOLERANCES[dtype] * largest, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell, dtype):
    assert_equal(cell, dtype)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_on_a_ragged_batch_with_noise(cell):
    assert_equal(cell, lengths=[2, 0, 4], **NOISE)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("lengths", [None, [1, 4, 3]], ids=["full", "ragged"])
def test_options(options, lengths):
    cell = "gru" if "residual" in options else "lstm"
    assert_equal(cell, lengths=lengths, state=not options.get("learn_initial_state", False), **options)


@pytest.mark.parametrize("cell", ["lstm", "lstm_layer_norm"])
@pytest.mark.parametrize("noise", [{}, NOISE], ids=["plain", "noise"])
def test_projection(cell, noise):
    assert_equal(cell, lengths=[4, 2, 3], proj_size=2, **noise)


@pytest.mark.parametrize("table", [2, 100], ids=["small", "large"])
@pytest.mark.parametrize("cell", ["gru", "gru_layer_norm"])
def test_inputs_from_a_table(cell, table):
    assert_equal(cell, lengths=[4, 2, 3], table=table, bidirectional=True)


@pytest.mark.parametrize("sizes", [{"steps": 0}, {"batch": 0}, {"lengths": [0, 0, 0]}], ids=str)
def test_empty_batches(sizes):
    assert_equal("gru", bidirectional=True, **sizes)


@pytest.mark.parametrize("cell", ["lstm", "mgu", "lstm_layer_norm"])
def test_passes_with_the_same_arrays_are_repeated(cell):
    assert_equal(cell, passes=3, recurrent_dropout=0.3)


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_single_steps_with_held_weights(cell, ops):
    layer = Recurrent(cell, INPUTS, HIDDEN, 2, random_state=0, device="cuda", zoneout=0.1)
    x, state = random(STEPS, BATCH, INPUTS), None
    expected, _ = layer.forward(x)
    with layer.held_weights():
        outputs = []
        for row in x:
            y, state = layer.step(row, state)
            outputs.append(ops.to_numpy(y))
    np.testing.assert_allclose(outputs, ops.to_numpy(expected), rtol=1e-5, atol=1e-6)


def test_held_weights_keep_the_table_of_inputs(ops):
    layer, table = Recurrent("gru", INPUTS, HIDDEN, random_state=0, device="cuda"), ops.asarray(random(9, INPUTS), "f4")
    ids = np.array([[3, 8], [0, 3]])
    expected = ops.to_numpy(layer.forward(Embedded(table, ids))[0])
    held = layer.held_weights()
    with held:
        for _ in range(2):
            np.testing.assert_allclose(ops.to_numpy(layer.forward(Embedded(table, ids))[0]), expected, rtol=1e-5)
        assert held.value[0].table(table) is held.value[0].table(table)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}], ids=str)
@pytest.mark.parametrize("table", [None, 4])
def test_a_long_prediction_is_made_in_pieces(options, table, ops):
    x = random(7, 2, INPUTS)
    if table is not None:
        x = Embedded(random(table, INPUTS), np.arange(14).reshape(7, 2) % table)
    piece = 3 * 2 * 4 * HIDDEN * 4  # bytes of three steps of two sequences

    def predict(steps):
        """Return the results for the first steps, and the sizes of all arrays that were taken."""
        layer = Recurrent("lstm", INPUTS, HIDDEN, random_state=0, device="cuda", **options)
        part = x[:steps] if table is None else Embedded(x.vectors, x.ids[:steps])
        with mock.patch.object(ops.device().pool, "take", wraps=ops.device().pool.take) as taken:
            y, states = layer.forward(part)
        return (y, *states), {call.args[0] for call in taken.call_args_list}

    expected, _ = predict(7)
    with mock.patch("fastrnn.cuda.recurrent_passes._PIECE_BYTES", piece):
        got, sizes = predict(7)
        _, fewer = predict(3)  # with what does not grow with the steps: a buffer between blocks
    assert options or max(sizes - fewer) <= piece
    for values, wanted in zip(got, expected, strict=True):
        np.testing.assert_allclose(ops.to_numpy(values), ops.to_numpy(wanted), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "lstm_peephole"])
def test_predictions_find_the_arrays_of_the_last_one(cell, ops):
    layer = Recurrent(cell, INPUTS, HIDDEN, random_state=0, device="cuda", zoneout=0.1)
    x = random(7, 2, INPUTS)
    expected = ops.to_numpy(layer.forward(x)[0])
    with mock.patch("fastrnn.cuda.recurrent_passes._PIECE_BYTES", 3 * 2 * 4 * HIDDEN * 4):
        layer.forward(x)
        with (
            mock.patch("fastrnn.cuda.recurrent_passes.TimeLoop") as loops,
            mock.patch("fastrnn.cuda.room.empty") as arrays,
        ):
            for _ in range(2):
                np.testing.assert_allclose(ops.to_numpy(layer.forward(x)[0]), expected, rtol=1e-5, atol=1e-6)
    assert not loops.called
    assert not arrays.called
    layer.forget()
    with mock.patch("fastrnn.cuda.room.empty", wraps=ops.empty) as arrays:
        layer.forward(x)
    assert arrays.called


def test_a_large_workspace_is_not_kept(ops):
    layer, x = Recurrent("gru", INPUTS, HIDDEN, random_state=0, device="cuda"), random(7, 2, INPUTS)
    with mock.patch("fastrnn.cuda.recurrent_passes._KEPT_BYTES", 7 * 2 * 3 * HIDDEN * 4):
        layer.forward(x)
        with mock.patch("fastrnn.cuda.room.empty", wraps=ops.empty) as arrays:
            layer.forward(x)
    assert arrays.called


@pytest.mark.parametrize("is_held", [False, True], ids=["not held", "held"])
def test_threads_predict_at_the_same_time(is_held, ops):
    layer = Recurrent("lstm", INPUTS, HIDDEN, 2, random_state=0, device="cuda")
    batches = [random(steps, 2, INPUTS, seed=steps) for steps in (1, 3, 3, 2, 4, 1)]

    def predict(x):
        return ops.to_numpy(layer.forward(x)[0])

    expected = [predict(x) for x in batches]
    if is_held:
        layer.held_weights().keep()
    with ThreadPoolExecutor(3) as threads:
        for got, y in zip(threads.map(predict, batches), expected, strict=True):
            np.testing.assert_array_equal(got, y)
