"""Tests of the GPU backend: they run in Numba's simulator (``NUMBA_ENABLE_CUDASIM=1``), or on a GPU.

Under ``FASTRNN_EMULATOR=1`` they run in `tests.cuda.emulator`, as do the tests of layers: much slower than in the
simulator, but on the kernels as they are compiled.
"""

import os

import pytest

from fastrnn.backends import backend, has_gpu

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"
EMULATED = os.environ.get("FASTRNN_EMULATOR", "0") == "1"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip what cannot run here, before any fixture: tests marked ``cpu`` need neither a GPU nor the simulator."""
    if item.get_closest_marker("cpu"):
        return
    if item.get_closest_marker("gpu") and (SIMULATED or EMULATED):
        pytest.skip("needs a GPU")
    if not has_gpu():
        pytest.skip("needs a GPU, or NUMBA_ENABLE_CUDASIM=1")


@pytest.fixture
def ops():
    """The GPU backend."""
    return backend("cuda")
