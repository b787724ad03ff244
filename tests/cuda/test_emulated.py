"""Layers and whole models on compiled kernels, in the emulator of a GPU, against the CPU.

``FASTRNN_EMULATOR=1 pytest tests/cuda`` runs all tests of the GPU so, at a hundred times the price.
"""

import numpy as np
import pytest

from fastrnn import RNNLanguageModel, backends
from fastrnn.backends import backend
from fastrnn.cells import CELLS
from fastrnn.layers import Attention, Decoder, Recurrent
from tests import numpy_backend
from tests.cuda.emulator import emulated

pytestmark = pytest.mark.cpu
TEXTS = ["a b c a b", "b c", "c a b c", "a a c b", "b"]
STEPS, BATCH, INPUTS = 5, 3, 4


def results(device, cell, hidden, seed=0, **options):
    """Return all results of a layer's passes by name; the device "cuda" is an emulated GPU."""
    with emulated(seed=seed, blocks=5):
        rng, ops = np.random.default_rng(0), backend(device)
        layer = Recurrent(CELLS[cell], INPUTS, hidden, device=device, random_state=0, **options)
        x, dy = (rng.standard_normal((STEPS, BATCH, size)).astype(np.float32) for size in (INPUTS, layer.output_size))
        y, _ = layer.forward(x, lengths=[STEPS, 2, 3], training=True)
        dx, _ = layer.backward(dy)
        return {name: np.array(ops.to_numpy(part)) for name, part in {"y": y, "dx": dx, **layer.grads}.items()}


def assert_close(got, expected, tolerance):
    for name, values in expected.items():
        scale = max(1, np.abs(values).max())
        np.testing.assert_allclose(got[name] / scale, values / scale, rtol=0, atol=tolerance, err_msg=name)


# What is at most lost: float32 rounds to 2^-24, tf32 to 2^-11, bfloat16 to 2^-8.
@pytest.mark.parametrize(("precision", "tolerance"), [("highest", 2e-6), ("high", 2e-3), ("medium", 2e-2)])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_layer_in_one_launch_on_tensor_cores(cell, precision, tolerance):
    got, expected = results("cuda", cell, 20, precision=precision), results("cpu", cell, 20)
    assert_close(got, expected, tolerance)
    if cell == "lstm":  # blocks and warps in another order
        again = results("cuda", cell, 20, seed=1, precision=precision)
        for name, values in got.items():
            np.testing.assert_array_equal(again[name], values, err_msg=name)


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {"zoneout": 0.2, "recurrent_dropout": 0.3, "bidirectional": True}),
        ("lstm", {"proj_size": 4}),
        ("lstm_layer_norm", {}),
        ("gru_reset_before", {}),
        ("indrnn", {}),
    ],
)
def test_options_and_cells_of_several_stages(cell, options):
    assert_close(results("cuda", cell, 6, **options), results("cpu", cell, 6, **options), 2e-6)


def test_a_language_model_learns_scores_and_writes():
    def fitted(device):
        model = RNNLanguageModel(
            hidden_size=8, embedding_size=8, max_iter=2, random_state=0, device=device, batch_size=4
        )
        return model.fit(TEXTS)

    with emulated(blocks=5):
        got, expected = map(fitted, ("cuda", "cpu"))
        np.testing.assert_allclose(got.loss_curve_, expected.loss_curve_, rtol=1e-5)
        np.testing.assert_allclose(got.score_samples(TEXTS), expected.score_samples(TEXTS), rtol=1e-5)
        assert got.sample(3, 5, random_state=0) == expected.sample(3, 5, random_state=0)


def test_a_conditional_random_field():
    rng = np.random.default_rng(0)
    emissions, *model = (rng.standard_normal(shape).astype("f4") for shape in ((4, 5, 11), (11, 11), (11,), (11,)))
    model[0][:, 3] = -np.inf
    tags, lengths, weights = rng.integers(4, 11, (4, 5)), np.array([4, 0, 1, 3, 2]), rng.random(5)

    def results(device):
        ops = backend(device)
        arrays = [ops.asarray(array.copy()) for array in (emissions, *model)]
        gradients = [ops.zeros(array.shape, "float32") for array in arrays]
        loss = ops.crf_loss(*gradients, *arrays, tags, lengths, weights)
        marginals, found = ops.empty(emissions.shape, "float64"), (np.empty((4, 5), np.int32), np.empty(5))
        ops.crf_marginals(marginals, *arrays, lengths)
        ops.crf_viterbi(*found, *arrays, lengths)
        return [loss, *(np.array(ops.to_numpy(array)) for array in (*gradients, marginals)), *found]

    with emulated(blocks=2, threads=64):
        for got, expected in zip(results("cuda"), results("cpu"), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("additive", [True, False])
def test_attention(additive):
    rng, offsets, lengths = np.random.default_rng(0), np.array([0, 11, 11, 20]), np.array([2, 3, 1])
    shapes = (3, 3, 20), (20, 20), (20, 9), (20,)
    *inputs, score = (rng.standard_normal(shape).astype("f4") for shape in shapes)
    d_contexts = rng.standard_normal((3, 3, 9)).astype("f4")

    def results(device):
        ops = backend(device)
        given = [ops.asarray(array) for array in inputs] + [ops.asarray(score) if additive else None]
        contexts, weights = ops.empty((3, 3, 9), "float32"), ops.empty((3, 3, 11), "float32")
        ops.attention_forward(contexts, weights, *given, offsets, None, lengths)
        gradients = [None if array is None else ops.zeros(array.shape, "float32") for array in given]
        ops.attention_backward(*gradients, ops.asarray(d_contexts), weights, *given, offsets, None, lengths)
        return [np.array(ops.to_numpy(array)) for array in (contexts, weights, *gradients) if array is not None]

    with emulated(blocks=2, threads=32):
        for got, expected in zip(results("cuda"), results("cpu"), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture
def numpy_device():
    """The backend in NumPy, which need not be compiled, under the name "numpy"."""
    backends.register("numpy", numpy_backend)
    yield
    backends.register("numpy", None)


@pytest.mark.usefixtures("numpy_device")
@pytest.mark.parametrize("score", ["additive", "dot"])
def test_attention_inside_the_time_loop(score):
    rng = np.random.default_rng(0)
    x, memory, dy = (rng.standard_normal(shape).astype("f4") for shape in ((3, 3, INPUTS), (4, 3, 8), (3, 3, 16)))

    def results(device):
        ops, given = backend(device), {"random_state": 0, "device": device}
        layer = Decoder("gru", INPUTS, 8, 1, Attention(8, 8, score, **given), **given)
        y, _, weights = layer.forward(x, None, layer.attention.read(memory, [4, 0, 2], True), [3, 1, 2], training=True)
        dx, _, d_memory = layer.backward(dy)
        found = {"y": y, "weights": weights, "dx": dx, "d_memory": d_memory, **layer.grads}
        return {name: np.array(ops.to_numpy(part)) for name, part in found.items()}

    with emulated(blocks=2, threads=32):
        got = results("cuda")
    assert_close(got, results("numpy"), 2e-6)
