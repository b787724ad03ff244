"""Attention in the time loop on the GPU against the backend of `tests.numpy_backend`: results and all gradients."""

from unittest import mock

import numpy as np
import pytest

from fastrnn import backends
from fastrnn.backends import backend
from fastrnn.cuda import recurrent_passes
from fastrnn.layers import Attention, Decoder, Embedded
from fastrnn.utils.recurrent import as_state, state_parts
from tests import numpy_backend
from tests.cuda.comparing import TOLERANCES

STEPS, BATCH, INPUTS, HIDDEN, MEMORY = 3, 3, 2, 4, 5
SOURCE_LENGTHS = np.array([2, 0, 4])
NOISE = {"recurrent_dropout": 0.3, "weight_dropout": 0.2, "zoneout": 0.25}


@pytest.fixture(autouse=True)
def numpy_device():
    """The backend in NumPy, under the name "numpy"."""
    backends.register("numpy", numpy_backend)
    yield
    backends.register("numpy", None)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def run(device, cell, score, dtype="float64", *, lengths=None, table=False, passes=1, initial=True, **options):
    """Return the results of a decoder's passes by name: of the last one in training, and of a prediction after it."""
    size = options.get("proj_size", HIDDEN)
    memory_size, given = size if score == "dot" else MEMORY, {"dtype": dtype, "random_state": 0, "device": device}
    attention = Attention(size, memory_size, score, 3 if score == "additive" else None, **given)
    layer, ops = Decoder(cell, INPUTS, HIDDEN, 1, attention, **options, **given), backend(device)
    for number in range(passes):
        x, sources = random(STEPS, BATCH, INPUTS, seed=number), random(4, BATCH, memory_size, seed=number)
        if table:
            x = Embedded(random(6, INPUTS), np.random.default_rng(number).integers(0, 6, (STEPS, BATCH)))
        sizes = [size, *[HIDDEN] * (len(layer.cell.states) - 1)]
        state = as_state(tuple(random(1, BATCH, n, seed=5 + number) for n in sizes)) if initial else None
        trained = layer.forward(x, state, attention.read(sources, SOURCE_LENGTHS, training=True), lengths, True)
        gradients = layer.backward(random(STEPS, BATCH, layer.output_size, seed=7 + number), state)
        predicted = layer.forward(x, state, attention.read(sources, SOURCE_LENGTHS), lengths)
    names = ("y", "trained state", "weights", "dx", "initial state", "d_memory", "predicted", "state", "shares")
    results = zip(names, (*trained, *gradients, *predicted), strict=True)
    parts = {f"{name} {k}": part for name, value in results for k, part in enumerate(state_parts(value))}
    return {name: np.array(ops.to_numpy(part)) for name, part in (parts | layer.grads).items()}


def assert_equal(cell, score, dtype="float64", **options):
    """Compare the results of the GPU with those of NumPy."""
    got, expected = (run(device, cell, score, dtype, **options) for device in ("cuda", "numpy"))
    for name, values in expected.items():
        largest = np.abs(values).max(initial=1)
        np.testing.assert_allclose(got[name], values, rtol=0, atol=TOLERANCES[dtype] * largest, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("score", ["additive", "general", "dot"])
def test_every_score(score, dtype):
    assert_equal("gru", score, dtype)


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", NOISE),
        ("lstm", {"proj_size": 2}),
        ("gru_layer_norm", {}),
        ("gru_reset_before", {"bias": False}),
        ("gru", {"table": True, "initial": False}),
    ],
    ids=["noise", "projection", "normalized", "gated", "table"],
)
@pytest.mark.parametrize("score", ["additive", "dot"])
def test_stages_and_options_on_a_ragged_batch(cell, score, options):
    assert_equal(cell, score, lengths=[1, 3, 2], **options)


def test_passes_with_the_same_arrays_are_repeated():
    assert_equal("gru", "additive", passes=3)


@pytest.mark.parametrize("score", ["additive", "dot"])
def test_a_pass_is_one_graph_from_the_second_on(score, ops):
    options = {"random_state": 0, "device": "cuda"}
    layer = Decoder("lstm", INPUTS, HIDDEN, 1, Attention(HIDDEN, HIDDEN, score, **options), **options)
    graphs, found = [], ops.device()
    with mock.patch.object(found, "graph", wraps=found.graph) as captured:
        for number in range(3):
            x, memory = random(STEPS, BATCH, INPUTS, seed=number), random(4, BATCH, HIDDEN, seed=number)
            y, _, _ = layer.forward(x, None, layer.attention.read(memory, SOURCE_LENGTHS, training=True), None, True)
            layer.backward(y)
            graphs.append(captured.call_count)
    assert graphs == [0, 2, 2]  # one forward, one backward


@pytest.mark.parametrize("lengths", [[0, 0, 0], [0, 3, 0]], ids=str)
def test_sequences_without_steps(lengths):
    assert_equal("gru", "additive", lengths=lengths)


def test_a_long_prediction_in_pieces(monkeypatch):
    monkeypatch.setattr(recurrent_passes, "_PIECE_BYTES", 8 * BATCH * 4 * HIDDEN)  # of a step
    assert_equal("gru", "general")
