"""Tests of the GPU backend: they run in Numba's simulator (``NUMBA_ENABLE_CUDASIM=1``), or on a GPU."""

import os

import pytest

from fastrnn.backends import backend, has_gpu

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"


@pytest.fixture(autouse=True)
def _where(request):
    """Skip what cannot run here: most tests need a GPU or the simulator, those marked ``cpu`` neither."""
    if request.node.get_closest_marker("cpu"):
        return
    if request.node.get_closest_marker("gpu") and SIMULATED:
        pytest.skip("needs a GPU")
    if not has_gpu():
        pytest.skip("needs a GPU, or NUMBA_ENABLE_CUDASIM=1")


@pytest.fixture
def ops():
    """The GPU backend."""
    return backend("cuda")
