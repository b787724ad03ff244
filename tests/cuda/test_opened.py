"""Arrays of the GPU in tests of layers and networks: tests use them as NumPy arrays, and the package must not."""

import pathlib

import numpy as np
import pytest

import fastrnn
from tests.cuda.opened import open_to_tests
from tests.numpy_backend.opaque import Leak


@pytest.fixture(autouse=True)
def _open():
    with open_to_tests():
        yield


def test_tests_read_write_and_compute(ops):
    array = ops.asarray(np.arange(6.0).reshape(2, 3))
    array[0, 1] = 7
    array += 1
    np.testing.assert_array_equal(array, [[1, 8, 3], [4, 5, 6]])
    np.testing.assert_array_equal(2 * array[1] + array.sum(axis=0), [13, 23, 21])
    np.testing.assert_array_equal(ops.to_numpy(ops.add(array, array)), [[2, 16, 6], [8, 10, 12]])


def test_what_a_test_has_read_outlives_the_array(ops):
    read = ops.asarray(np.ones(100))[:]
    others = [ops.asarray(np.zeros(100)) for _ in range(3)]
    assert len(others) == 3
    np.testing.assert_array_equal(read, np.ones(100))


@pytest.mark.parametrize(
    "use",
    ["x + x", "x[()]", "float(x)", "np.asarray(x)", "np.exp(x)", "x.sum()", "bool(x)", "x == 1"],
)
def test_the_package_cannot_open_them(ops, use):
    x, path = ops.asarray(np.ones(())), pathlib.Path(fastrnn.__file__).parent
    for module, allowed in (("layers/dense.py", False), ("cuda/dense.py", True)):
        code = compile(use, str(path / module), "eval")
        if allowed:
            eval(code, {"x": x, "np": np})
        else:
            with pytest.raises(Leak, match=r"of an array of a device, in .*dense.py:1"):
                eval(code, {"x": x, "np": np})
