"""Fixtures for folders of tests that run on the CPU, and on the backend of `tests.numpy_backend` with opaque arrays.

A ``conftest.py`` imports both names.
"""

import pytest

from fastrnn import backends
from tests import numpy_backend


def pytest_generate_tests(metafunc):
    """Run a test on both backends; one with the mark ``cpu`` on the CPU only."""
    devices = ["cpu"] if metafunc.definition.get_closest_marker("cpu") else ["cpu", "numpy"]
    metafunc.parametrize("device", devices, indirect=True)


@pytest.fixture(autouse=True)
def device(request):
    """What runs under the name "cpu"."""
    if request.param == "numpy":
        backends.register("cpu", numpy_backend)
    yield request.param
    backends.register("cpu", None)
