"""Fixtures for folders of tests that run on the CPU, and on other devices under the CPU's name.

These are the backend of `tests.numpy_backend` with opaque arrays, and the GPU. Under ``NUMBA_ENABLE_CUDASIM=1`` the GPU
is simulated, under ``FASTRNN_EMULATOR=1`` emulated, and then the only one. A ``conftest.py`` imports both names.
"""

import os

import pytest

from fastrnn import backends
from tests import numpy_backend

SIMULATED, EMULATED = (os.environ.get(name, "0") == "1" for name in ("NUMBA_ENABLE_CUDASIM", "FASTRNN_EMULATOR"))


def devices():
    """Return the names of what tests run on here."""
    if SIMULATED or EMULATED:
        return ["cuda"]
    return ["cpu", "numpy", *(["cuda"] if backends.has_gpu() else [])]


def pytest_generate_tests(metafunc):
    """Run a test on all devices; one with the mark ``cpu`` on the CPU only."""
    only_cpu = metafunc.definition.get_closest_marker("cpu")
    metafunc.parametrize("device", ["cpu"] if only_cpu else devices(), indirect=True)


@pytest.fixture(autouse=True)
def device(request, monkeypatch):
    """What runs under the name "cpu"."""
    if (SIMULATED or EMULATED) and (request.param == "cpu" or request.node.get_closest_marker("long")):
        pytest.skip("not for the simulator")
    if request.param == "cuda":
        from fastrnn.cuda import gpu
        from tests.cuda.opened import open_to_tests

        if SIMULATED:  # a thread costs much, and the tests of single functions have several
            monkeypatch.setattr(gpu.device(), "threads", 1)
        backends.register("cpu", backends.backend("cuda"))
        with open_to_tests():
            yield request.param
    else:
        if request.param == "numpy":
            backends.register("cpu", numpy_backend)
        yield request.param
    backends.register("cpu", None)
