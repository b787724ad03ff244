"""Arrays of the GPU: tests use them as NumPy arrays, the package cannot, as with `tests.numpy_backend.opaque`."""

import contextlib
import pathlib
from unittest import mock

import numpy as np

import fastrnn
from fastrnn.cuda.array import Array
from fastrnn.cuda.gpu import device
from tests.numpy_backend.opaque import for_tests

BACKEND = str(pathlib.Path(fastrnn.__file__).parent / "cuda")


class _View:
    """Memory of the simulator as NumPy reads it: an ndarray of it keeps the memory from being given out again."""

    def __init__(self, array):
        self._memory, self.__array_interface__ = array.memory, array.values.__array_interface__


def values_of(array):
    """Return the values of an array: in the simulator the very memory, on a GPU a copy."""
    if device().is_simulated:
        return np.asarray(_View(array)) if array.size else np.empty(array.shape, array.dtype)
    return device().download(array)


def opened(value):
    """Return a value with the arrays in it opened: in tuples and lists too."""
    if isinstance(value, Array):
        return values_of(value)
    if isinstance(value, tuple | list):
        return type(value)(map(opened, value))
    return value


def _asked(array, what):
    for_tests(what, BACKEND)
    return values_of(array)


class _Methods(np.lib.mixins.NDArrayOperatorsMixin):
    """What tests may do with an array beyond what `fastrnn.cuda.array.Array` has."""

    def __array__(self, dtype=None, copy=None):
        values = np.asarray(_asked(self, "values"), dtype)
        return values.copy() if copy else values

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        for_tests(ufunc.__name__, BACKEND)
        result = getattr(ufunc, method)(*map(opened, inputs), **options)
        if out is None:
            return result
        out[0][...] = result
        return out[0]

    def __array_function__(self, function, types, args, kwargs):
        for_tests(function.__name__, BACKEND)
        return function(*map(opened, args), **{name: opened(value) for name, value in kwargs.items()})

    def __getitem__(self, index):
        return _asked(self, "an element")[index]

    def __setitem__(self, index, value):
        values = _asked(self, "an element")
        values[index] = opened(value)
        if not device().is_simulated:
            device().upload(self, values)
            device().synchronize()  # the values end with this call

    def __len__(self):
        for_tests("the length", BACKEND)
        return self.shape[0]

    def __iter__(self):
        return iter(_asked(self, "elements"))

    def __bool__(self):
        return bool(_asked(self, "the truth"))

    def __float__(self):
        return float(_asked(self, "the value"))

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_asked(self, f"the attribute {name}"), name)


_SKIPPED = ("__module__", "__dict__", "__weakref__", "__doc__", "__slots__", "__firstlineno__", "__static_attributes__")


@contextlib.contextmanager
def open_to_tests():
    """Let tests use arrays of the GPU as NumPy arrays."""
    methods = {**vars(np.lib.mixins.NDArrayOperatorsMixin), **vars(_Methods)}
    with contextlib.ExitStack() as stack:
        for name, method in methods.items():
            if name not in _SKIPPED:
                stack.enter_context(mock.patch.object(Array, name, method, create=True))
        yield
