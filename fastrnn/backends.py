"""The one seam between layers and devices.

A backend is a module with the functions of `fastrnn.kernels` by the same names: kernels, and every operation on arrays
of the device. Layers, networks and optimizers call nothing else on such arrays.
"""

import importlib

from fastrnn.utils.checks import check_choice

_MODULES = {"cpu": "fastrnn.kernels"}
_imported = {}


def backend(device):
    """Return the module with the kernels and array operations of a device.

    Parameters
    ----------
    device : str
        Name of a device.

    Returns
    -------
    module

    Raises
    ------
    ValueError
        There is no such device.

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
        check_choice("device", device, sorted({*_MODULES, *_imported}))
    module = _imported[device] = importlib.import_module(_MODULES[device])
    return module


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
