"""The one seam between layers and devices.

A backend is a module with the functions of `fastrnn.kernels` by the same names: kernels, and every operation on arrays
of the device. Layers, networks and optimizers call nothing else on such arrays.
"""

import functools
import importlib

from fastrnn.utils.checks import check_choice

_MODULES = {"cpu": "fastrnn.kernels", "cuda": "fastrnn.cuda"}
_imported = {}


def backend(device):
    """Return the module with the kernels and array operations of a device.

    Parameters
    ----------
    device : {"cpu", "cuda", "auto"}
        "auto" is the GPU where there is one that can be used, and the CPU elsewhere.

    Returns
    -------
    module

    Raises
    ------
    ValueError
        There is no such device.
    RuntimeError
        There is no GPU, or a package for it is missing.

    Examples
    --------
    >>> from fastrnn.backends import backend
    >>> ops = backend("cpu")
    >>> ops.to_numpy(ops.add(ops.asarray([1.0]), ops.asarray([2.0])))
    array([3.])
    """
    try:
        return _imported[device]
    except (KeyError, TypeError):
        check_choice("device", device, sorted({*_MODULES, *_imported, "auto"}))
    if device == "auto":
        return backend("cuda" if has_gpu() else "cpu")
    module = importlib.import_module(_MODULES[device])
    if device == "cuda":
        module.device()  # raises where there is none
    _imported[device] = module
    return module


@functools.cache
def has_gpu():
    """Return whether the device "cuda" can be used.

    Examples
    --------
    >>> from fastrnn.backends import has_gpu
    >>> has_gpu() in (True, False)
    True
    """
    try:
        backend("cuda")
    except RuntimeError:
        return False
    return True


def register(device, module):
    """Make a module the backend of a device; None removes it.

    Parameters
    ----------
    device : str
    module : module or object
        Has the functions of `fastrnn.kernels`.

    Examples
    --------
    >>> from fastrnn import backends, kernels
    >>> backends.register("mine", kernels)
    >>> backends.backend("mine") is kernels
    True
    >>> backends.register("mine", None)
    """
    if module is None:
        _imported.pop(device, None)
    else:
        _imported[device] = module
