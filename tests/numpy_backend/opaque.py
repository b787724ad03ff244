"""Arrays that the package cannot open: tests use them as NumPy arrays, and the backend opens them.

An array of a device has a shape and a type, and everything else is up to its backend. So any operator, index, method or
NumPy function that the package applies to an `Opaque` fails; whose call it is, the stack tells.
"""

import functools
import pathlib
import sys

import numpy as np

import fastrnn

PACKAGE, TESTS = str(pathlib.Path(fastrnn.__file__).parent), str(pathlib.Path(__file__).parents[1])


class Leak(AssertionError):
    """The package has used an array of a device as one of NumPy."""


def for_tests(what, backend=None):
    """Raise `Leak` unless a test asks for something of an array, or code in the folder of the array's backend."""
    frame, helpers = sys._getframe(1), {__file__, sys._getframe(1).f_code.co_filename}
    while frame is not None:
        file = frame.f_code.co_filename
        if backend and file.startswith(backend):
            return
        if file.startswith(PACKAGE):
            raise Leak(f"{what} of an array of a device, in {file}:{frame.f_lineno}")
        if file.startswith(TESTS) and file not in helpers:
            return
        frame = frame.f_back


class Opaque(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of the NumPy backend."""

    __slots__ = ("_array",)
    __hash__ = object.__hash__

    def __init__(self, array):
        self._array = array

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    nbytes = property(lambda self: self._array.nbytes)

    def _for_tests(self, what):
        """Return the array if a test asks for it; otherwise raise `Leak`."""
        for_tests(what)
        return self._array

    def __array__(self, dtype=None, copy=None):
        array = np.asarray(self._for_tests("values"), dtype)
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        self._for_tests(ufunc.__name__)
        if out is not None:
            options["out"] = opened(out)
        result = getattr(ufunc, method)(*map(opened, inputs), **options)
        return result if out is None else out[0]

    def __array_function__(self, function, types, args, kwargs):
        self._for_tests(function.__name__)
        return function(*map(opened, args), **{name: opened(value) for name, value in kwargs.items()})

    def __getitem__(self, index):
        return self._for_tests("an element")[index]

    def __setitem__(self, index, value):
        self._for_tests("an element")[index] = opened(value)

    def __len__(self):
        return len(self._for_tests("the length"))

    def __iter__(self):
        return iter(self._for_tests("elements"))

    def __bool__(self):
        return bool(self._for_tests("the truth"))

    def __float__(self):
        return float(self._for_tests("the value"))

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._for_tests(f"the attribute {name}"), name)

    def __repr__(self):
        return f"Opaque{self.shape}"

    def __reduce__(self):
        return Opaque, (self._array,)


def opened(value):
    """Return a value with the arrays in it opened: in tuples, lists and dicts too."""
    if isinstance(value, Opaque):
        return value._array
    if isinstance(value, tuple):
        parts = [opened(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [opened(part) for part in value]
    if isinstance(value, dict):
        return {key: opened(part) for key, part in value.items()}
    return value


def closed(value):
    """Return a value with the floating-point arrays in it closed."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return Opaque(value)
    if isinstance(value, tuple):
        parts = [closed(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return [closed(part) for part in value] if isinstance(value, list) else value


def on_device(function):
    """Make a function on NumPy arrays one on arrays of the device, with results on the device."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        return closed(function(*map(opened, args), **{name: opened(value) for name, value in kwargs.items()}))

    return call


def to_host(function):
    """Make a function on NumPy arrays one on arrays of the device, with results on the host."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*map(opened, args), **{name: opened(value) for name, value in kwargs.items()})

    return call
