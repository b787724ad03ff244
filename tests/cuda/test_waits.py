"""A step of training waits for the GPU twice: for the loss, and for the norm of the gradients."""

import numpy as np
import pytest

from fastrnn import backends
from fastrnn.cuda.gpu import device
from fastrnn.training.averaging import WeightAverage
from fastrnn.training.clipping import clip_grad_norm
from fastrnn.training.optimizers import Adam
from tests.networks import test_translation as translation
from tests.networks.test_networks import KINDS, MAKERS, NOISE, batches

LARGEST = 12 * 5 - 1  # elements of floating-point numbers that may go to the device: fewer than any weight has


@pytest.fixture
def traffic(ops, monkeypatch):
    """Sizes of the floating-point arrays that go to the device and come back."""
    up, down, found = [], [], type(device())
    upload, download = found.upload, found.download

    def count_upload(self, array, values):
        up.append(values.size if values.dtype.kind == "f" else 0)
        upload(self, array, values)

    def count_download(self, array):
        down.append(array.size)
        return download(self, array)

    monkeypatch.setattr(found, "upload", count_upload)
    monkeypatch.setattr(found, "download", count_download)
    backends.register("cpu", ops)  # networks of the tests are made for this name
    yield up, down
    backends.register("cpu", None)


@KINDS
def test_a_step_waits_for_loss_and_norm_alone(kind, traffic):
    batch, *_ = batches(kind)
    check(MAKERS[kind](NOISE), batch, *traffic)


def test_a_step_of_a_translator_waits_for_loss_and_norm_alone(traffic):
    network, batch = translation.network(input_feeding=True), translation.pairs().batch(np.arange(4))
    check(network, batch, *traffic)


def check(network, batch, up, down):
    optimizer, average = Adam(), WeightAverage("ema")
    for _ in range(3):
        up.clear()
        down.clear()
        network.train_step(batch)
        parameters, grads, rows = network.parameters, network.grads, network.sparse_rows()
        clip_grad_norm(grads, 1e-3, rows, network.backend)
        optimizer.step(parameters, grads, rows)
        average.update(parameters)
    assert len(down) == 2
    assert max(up) <= LARGEST
