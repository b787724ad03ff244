"""The GPU backend: the functions of `fastrnn.kernels` by the same names, on `numba.cuda`.

Only `fastrnn.backends` imports this package, when a device "cuda" is asked for. A module is imported when one of its
names is first used; it has the name of the one in `fastrnn.kernels`. ARCHITECTURE.md has a table of all. Under
``NUMBA_ENABLE_CUDASIM=1`` everything runs in Numba's simulator, slowly and without a GPU.
"""

import importlib

import numpy as np

from fastrnn.kernels import MODULE_OF

if not hasattr(np, "row_stack"):  # gone with NumPy 2.5, but named by numba-cuda 0.30 when it is imported
    np.row_stack = np.vstack  # noqa: NPY201

_OF_EVERY_DEVICE = (  # of `fastrnn.kernels`: these touch no array
    "AdagradSettings AdamSettings RMSpropSettings SGDSettings effective_n_jobs warm_up_threads"
).split()
_OF_THE_DEVICE = {"device": "fastrnn.cuda.gpu"}
_PUBLIC = {name: f"fastrnn.cuda.{module}" for name, module in MODULE_OF.items()}
_PUBLIC |= dict.fromkeys(_OF_EVERY_DEVICE, "fastrnn.kernels")

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC and name not in _OF_THE_DEVICE:
        raise AttributeError(f"module 'fastrnn.cuda' has no attribute {name!r}")
    value = getattr(importlib.import_module((_PUBLIC | _OF_THE_DEVICE)[name]), name)
    globals()[name] = value  # found at once from now on
    return value
