"""A backend in NumPy, written from the equations: what a device has to offer, and the reference for it.

Its arrays cannot be opened by the package, see `tests.numpy_backend.opaque`.
"""

import importlib

from fastrnn import kernels
from tests.numpy_backend.opaque import on_device, opened, to_host

_PARTS = {  # functions whose results are on the device, or on the host
    "arrays": on_device,
    "attention": on_device,
    "crf": to_host,
    "layers": on_device,
    "training": to_host,
    "recurrent": lambda function: function,
}
# Nothing of these touches an array.
_OF_EVERY_DEVICE = {name for name in kernels.__all__ if name.endswith("Settings")} | {
    "effective_n_jobs",
    "warm_up_threads",
}


def to_numpy(array):
    """Return the values of an array, which nobody writes to."""
    array = opened(array).copy()
    array.flags.writeable = False
    return array


def __getattr__(name):
    if name not in kernels.__all__:
        raise AttributeError(f"No backend has {name}.")
    if name in _OF_EVERY_DEVICE:
        return getattr(kernels, name)
    for part, wrap in _PARTS.items():
        module = importlib.import_module(f"tests.numpy_backend.{part}")
        if name in vars(module):
            globals()[name] = wrap(vars(module)[name])
            return globals()[name]
    raise AttributeError(f"The NumPy backend has no {name}.")
