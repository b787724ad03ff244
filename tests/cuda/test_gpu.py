"""What is said where there is no GPU, or no package for it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fastrnn import MeanEmbeddingClassifier, RNNClassifier, RNNLanguageModel, backends
from fastrnn.cuda import array, gpu
from fastrnn.layers import LSTM

FITS = {
    "layer": lambda device: LSTM(2, 3, device=device),
    "language model": lambda device: RNNLanguageModel("rnn", 2, 2, early_stopping=False, max_iter=1, device=device).fit(
        ["a b"]
    ),
    "classifier": lambda device: RNNClassifier("rnn", 2, 2, max_iter=1, device=device).fit(["a", "b"], [0, 1]),
    "means": lambda device: MeanEmbeddingClassifier(2, n_buckets=2, max_iter=1, device=device).fit(["a", "b"], [0, 1]),
}
pytestmark = pytest.mark.cpu


@pytest.fixture
def machine(monkeypatch):
    """Return a function that makes this a machine without a GPU, with some of the packages for one."""

    def make(*modules):
        monkeypatch.setattr(gpu, "is_simulated", lambda: False)
        monkeypatch.setattr(gpu, "_is_installed", lambda module: module in modules)
        monkeypatch.setattr(gpu, "_device", None)
        backends.register("cuda", None)
        for function in (backends.has_gpu, gpu.is_usable):
            function.cache_clear()

    yield make
    for function in (backends.has_gpu, gpu.is_usable):
        function.cache_clear()


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize(
    ("modules", "says"),
    [
        ((), "there is no numba-cuda and no nvmath-python: run pip install"),
        (("numba_cuda",), "there is no nvmath-python: run pip install"),
        (("nvmath",), "there is no numba-cuda: run pip install"),
    ],
)
def test_a_missing_package_is_named(name, modules, says, machine):
    machine(*modules)
    with pytest.raises(RuntimeError, match=f"device='cuda' needs numba-cuda and nvmath-python, and {says}"):
        FITS[name]("cuda")
    assert not backends.has_gpu()
    assert backends.backend("auto") is backends.backend("cpu")


@pytest.mark.parametrize("name", FITS)
def test_a_missing_gpu_is_said(name, machine, monkeypatch):
    machine("numba_cuda", "nvmath")
    monkeypatch.setattr("numba.cuda.is_available", lambda: False)
    with pytest.raises(RuntimeError, match="device='cuda' needs an NVIDIA GPU and its driver, and none was found"):
        FITS[name]("cuda")
    FITS[name]("auto")


def test_a_gpu_that_is_too_old_is_refused(machine, monkeypatch):
    machine("numba_cuda", "nvmath")
    monkeypatch.setattr("numba.cuda.is_available", lambda: True)
    monkeypatch.setattr(gpu, "Device", lambda: SimpleNamespace(compute_capability=(7, 5), name="NVIDIA T4"))
    with pytest.raises(RuntimeError, match=r"compute capability 8\.0 or higher, got NVIDIA T4 with 7\.5"):
        LSTM(2, 3, device="cuda")
    assert not backends.has_gpu()


def test_a_stored_array_stays_on_the_host_without_a_gpu(machine):
    machine()
    values = np.arange(3.0)
    assert array.restored(values) is values


USE = """
import pickle
import sys
from fastrnn import RNNClassifier
from fastrnn.backends import backend
backend("cpu")
model = RNNClassifier("rnn", 2, 2, max_iter=1).fit(["a", "b"], [0, 1])
pickle.loads(pickle.dumps(model)).predict(["a"])
assert not {name for name in sys.modules if name.startswith(("numba.cuda", "numba_cuda", "fastrnn.cuda"))}
"""


def test_the_cpu_never_imports_what_a_gpu_needs():
    without = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0"}
    process = subprocess.run([sys.executable, "-c", USE], env=without, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
