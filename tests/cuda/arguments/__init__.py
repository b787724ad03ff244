"""Arguments for which the kernels of `fastrnn.cuda` are compiled in tests: a module for each module with kernels.

Such a module has a function ``arguments(number)``, where `number` is np.float32 or np.float64: it returns a dict from
kernels (`fastrnn.cuda.compiler.Kernel`) to lists of argument tuples, with `tests.cuda.compiling.array` for arrays. An
argument that may be None needs a tuple with it and one without. For kernels that take a cell, ``cell_arguments(number,
cell, precision)`` returns such a dict for one cell and one precision. Three more names are optional:

- ``DOUBLE``: names of kernels that compute in float64 also for float32, each with the reason;
- ``SPILLS``: names of kernels whose registers may spill, each with the largest number of bytes;
- ``THREADS``: names of kernels with other blocks than those of `fastrnn.cuda.gpu.Device`, each with its threads.
"""

import functools
import importlib
import itertools
import pkgutil

import numpy as np
import pytest

from fastrnn import cuda
from fastrnn.cells import CELLS
from fastrnn.cells._cell import declared
from fastrnn.cuda.compiler import Kernel
from fastrnn.cuda.gpu import Device
from tests.cuda.compiling import compiled, double_precision, parameters_of

PRECISIONS = ("highest", "high", "medium")
EVERY_PRECISION = ("lstm", "gru", "rnn")  # cells that CI compiles in every precision
IN_DOUBLE = (*EVERY_PRECISION, "gru_reset_before", "lstm_layer_norm")  # and in float64: one of each stage


def modules_with_kernels():
    """Return the names of the modules of `fastrnn.cuda` that define kernels, with their kernels."""
    found = {}
    for module in pkgutil.iter_modules(cuda.__path__):
        path = f"{cuda.__name__}.{module.name}"
        kernels = [value for value in vars(importlib.import_module(path)).values() if isinstance(value, Kernel)]
        kernels = [kernel for kernel in kernels if kernel.function.__module__ == path]
        if kernels:
            found[module.name] = kernels
    return found


@functools.cache
def _of_module(name):
    """Return the module here for a module of `fastrnn.cuda`, or None."""
    path = f"{__name__}.{name}"
    return importlib.import_module(path) if importlib.util.find_spec(path) else None


def is_one_product(cell):
    """Return whether a step of a cell is one product and its equations."""
    names = "gated_slots", "normalized", "standardized_state"
    return not any(declared(cell, name) not in ((), False, None) for name in names)


def compiled_for(number, every=False):
    """Return the cells and precisions to compile for: pairs.

    Parameters
    ----------
    number : type
    every : bool, default=False
        Whether to return all, or those of CI.
    """
    if number == np.float64:  # has one precision
        return [(cell, "highest") for name, cell in CELLS.items() if every or name in IN_DOUBLE]
    return [
        (cell, precision)
        for (name, cell), precision in itertools.product(CELLS.items(), PRECISIONS)
        if every or precision == "highest" or name in EVERY_PRECISION
    ]


@functools.cache
def _tables(name, number, every):
    """Return all tables of a module here: each a dict from kernels to lists of argument tuples."""
    module = _of_module(name)
    tables = [module.arguments(number)] if hasattr(module, "arguments") else []
    if hasattr(module, "cell_arguments"):
        tables += [module.cell_arguments(number, *pair) for pair in compiled_for(number, every)]
    return tables


def of_kernel(name, kernel, number, every=False):
    """Return the distinct argument tuples of a kernel of the module `name`."""
    found = [given for table in _tables(name, number, every) for given in table.get(kernel, ())]
    return list({repr(given): given for given in found}.values())


def allowed_spills(name, kernel):
    """Return how many bytes of a kernel's registers may spill."""
    return getattr(_of_module(name), "SPILLS", {}).get(kernel.__name__, 0)


def threads(name, kernel):
    """Return how many threads a block of a kernel has."""
    return getattr(_of_module(name), "THREADS", {}).get(kernel.__name__, Device.threads)


def may_compute_in_double(name, kernel):
    """Return whether a kernel may compute in float64 for float32."""
    return kernel.__name__ in getattr(_of_module(name), "DOUBLE", {})


def cases(with_cells):
    """Return module, kernel and type of numbers for all tests of kernels of modules that take cells, or that do not."""
    return [
        pytest.param(name, kernel, number, id=f"{name}.{kernel.__name__}-{number.__name__}")
        for name, kernels in modules_with_kernels().items()
        if hasattr(_of_module(name), "cell_arguments") == with_cells
        for kernel in kernels
        for number in (np.float32, np.float64)
    ]


def check(module, kernel, number):
    """Compile a kernel for all its arguments, and check parameters, registers, spills and double precision."""
    found = of_kernel(module, kernel, number)
    assert found, f"tests/cuda/arguments/{module}.py has no arguments for {kernel.__name__}"
    for given in found:
        made = compiled(kernel, *given)
        assert made.parameters == parameters_of(given)
        assert made.spills <= allowed_spills(module, kernel)
        assert made.fits(threads(module, kernel))
        if number == np.float32 and not may_compute_in_double(module, kernel):
            assert not double_precision(made)


def exceptions(name):
    """Return the names of the kernels for which the module `name` allows something."""
    module = _of_module(name)
    return {*getattr(module, "DOUBLE", {}), *getattr(module, "SPILLS", {}), *getattr(module, "THREADS", {})}
