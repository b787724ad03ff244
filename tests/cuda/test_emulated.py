"""Layers and whole models on compiled kernels, in the emulator of a GPU, against the CPU.

``FASTRNN_EMULATOR=1 pytest tests/cuda`` runs all tests of the GPU so, at a hundred times the price.
"""

import numpy as np
import pytest

from fastrnn import RNNLanguageModel
from fastrnn.backends import backend
from fastrnn.cells import CELLS
from fastrnn.layers import Recurrent
from tests.cuda.emulator import emulated

pytestmark = pytest.mark.cpu
TEXTS = ["a b c a b", "b c", "c a b c", "a a c b", "b"]
STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 4, 6


@pytest.fixture(autouse=True)
def device():
    """The GPU: five blocks of one warp for elements."""
    with emulated(blocks=5) as found:
        yield found


def results(device, cell, **options):
    """Return all results of a layer's forward and backward passes by name."""
    rng, ops = np.random.default_rng(0), backend(device)
    layer = Recurrent(CELLS[cell], INPUTS, HIDDEN, device=device, random_state=0, **options)
    x, dy = (rng.standard_normal((STEPS, BATCH, size)).astype(np.float32) for size in (INPUTS, layer.output_size))
    y, _ = layer.forward(x, lengths=[STEPS, 2, 3], training=True)
    dx, _ = layer.backward(dy)
    return {name: np.array(ops.to_numpy(part)) for name, part in {"y": y, "dx": dx, **layer.grads}.items()}


@pytest.mark.parametrize(
    ("cell", "options"),
    [("lstm", {"zoneout": 0.2, "recurrent_dropout": 0.3}), ("gru", {"bidirectional": True}), ("rnn", {})],
)
def test_a_layer_step_by_step(cell, options):
    got, expected = (results(device, cell, **options) for device in ("cuda", "cpu"))
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=2e-5, atol=2e-6, err_msg=name)


def test_a_language_model_learns_scores_and_writes():
    def fitted(device):
        model = RNNLanguageModel(
            hidden_size=8, embedding_size=8, max_iter=2, random_state=0, device=device, batch_size=4
        )
        return model.fit(TEXTS)

    got, expected = map(fitted, ("cuda", "cpu"))
    np.testing.assert_allclose(got.loss_curve_, expected.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(got.score_samples(TEXTS), expected.score_samples(TEXTS), rtol=1e-5)
    assert got.sample(3, 5, random_state=0) == expected.sample(3, 5, random_state=0)
