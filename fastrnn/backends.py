"""The one seam between layers and devices.

A backend is a module with the functions of `fastrnn.kernels` by the same names: kernels, and every operation on arrays
of the device. Layers, networks and optimizers call nothing else on such arrays.
"""

import functools
import importlib
import inspect

from fastrnn.utils.checks import check_choice

_MODULES = {"cpu": "fastrnn.kernels", "cuda": "fastrnn.cuda"}
_imported = {}
PRECISIONS = ("highest", "high", "medium")


def backend(device, precision="highest"):
    """Return the module with the kernels and array operations of a device.

    Parameters
    ----------
    device : {"cpu", "cuda", "auto"}
        "auto" is the GPU where there is one that can be used, and the CPU elsewhere.
    precision : {"highest", "high", "medium"}, default="highest"
        How matrices of float32 are multiplied, see `fastrnn.layers.Layer`: the functions of the module that have a
        parameter of this name get it. The CPU's have none.

    Returns
    -------
    module
        Or an object with the same names, where `precision` is not "highest".

    Raises
    ------
    ValueError
        There is no such device or precision.
    RuntimeError
        There is no GPU, or a package for it is missing.

    Examples
    --------
    >>> from fastrnn.backends import backend
    >>> ops = backend("cpu")
    >>> ops.to_numpy(ops.add(ops.asarray([1.0]), ops.asarray([2.0])))
    array([3.])
    """
    module = _module(resolved(device))
    if isinstance(precision, str) and precision == "highest":
        return module
    check_choice("precision", precision, PRECISIONS)
    return _with_precision(module, precision)


def resolved(device):
    """Return the name of a device: that which "auto" stands for here, or the given one.

    Examples
    --------
    >>> from fastrnn.backends import resolved
    >>> resolved("cpu"), resolved("auto") in ("cpu", "cuda")
    ('cpu', True)
    """
    return ("cuda" if has_gpu() else "cpu") if isinstance(device, str) and device == "auto" else device


def available(device):
    """Return the name of the device on which a stored object is used here: the CPU in the place of a missing GPU.

    Parameters
    ----------
    device : str
        Where the object was.

    Examples
    --------
    >>> from fastrnn.backends import available
    >>> available("cpu"), available("cuda") in ("cpu", "cuda")
    ('cpu', True)
    """
    return "cpu" if device == "cuda" and not has_gpu() else device


def place_loaded(name, params, content, device=None):
    """Choose the device of a model that was read from a file, and of the models in it.

    Parameters
    ----------
    name : str
        The model's class.
    params : dict
        The constructor's parameters; "device" is changed.
    content : dict
        Its "models", if there are any, are lists of a class, parameters and content.
    device : {"cpu", "cuda", "auto"} or None, default=None
        None is the device that the model was saved with, or the CPU where that is a GPU that is missing here.

    Raises
    ------
    ValueError
        There is no such device, or the model has no network to put on a GPU.
    RuntimeError
        There is no GPU, or a package for it is missing.

    Examples
    --------
    >>> from fastrnn.backends import place_loaded
    >>> place_loaded("RNNClassifier", params := {"device": "auto"}, {}, "cpu")
    >>> params
    {'device': 'cpu'}
    """
    if device is not None:
        backend(device)  # raises where there is none
    if not _place(params, content, device) and device == "cuda":
        raise ValueError(f"device must be None or 'cpu' for a {name}, which has no network, got 'cuda'.")


def _place(params, content, device):
    """Set "device" in the parameters of a model and of those in it; return whether one has it."""
    parts = [_place(*part[1:], device) for part in content.get("models", ())]
    if "device" in params:
        params["device"] = available(params["device"]) if device is None else device
    return "device" in params or any(parts)


def _module(device):
    """Return the module of a device, imported when it is first asked for."""
    try:
        return _imported[device]
    except (KeyError, TypeError):
        check_choice("device", device, sorted({*_MODULES, *_imported, "auto"}))
    module = importlib.import_module(_MODULES[device])
    if device == "cuda":
        module.device()  # raises where there is none
    _imported[device] = module
    return module


class _Bound:
    """The names of a module, with the precision in all its functions that have this parameter."""

    def __init__(self, module, precision):
        self._module, self._precision = module, precision

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if inspect.isfunction(value) and "precision" in inspect.signature(value).parameters:
            value = functools.partial(value, precision=self._precision)
        setattr(self, name, value)  # found at once from now on
        return value


_with_precision = functools.cache(_Bound)


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
    if device == "cuda":
        has_gpu.cache_clear()
    if module is None:
        _imported.pop(device, None)
    else:
        _imported[device] = module
