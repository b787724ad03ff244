"""A function of the seam on both backends."""

from typing import NamedTuple

import numpy as np

from fastrnn import kernels
from fastrnn.cuda.array import Array

TOLERANCES = {"float32": 1e-5, "float64": 1e-10}


class Host(NamedTuple):
    """An array of floating-point numbers that stays on the host."""

    values: np.ndarray


def assert_equal_to_cpu(ops, name, *arguments, dtype, **options):
    """Call a function of the CPU's backend and of the GPU's; compare its arrays and its result.

    Parameters
    ----------
    ops : module
        The GPU's backend.
    name : str
    *arguments
        ndarrays of floating-point numbers, also in lists, go to the device, but for those in `Host`. None is changed.
    dtype : str
        The tolerance is that of its results.
    """
    on_cpu = [_mapped(np.copy, argument) for argument in arguments]
    on_gpu = [_mapped(lambda array: ops.asarray(array.copy()), argument) for argument in arguments]
    expected, got = (getattr(module, name)(*given, **options) for module, given in ((kernels, on_cpu), (ops, on_gpu)))
    tolerance = TOLERANCES[dtype]
    for k, (a, b) in enumerate(zip([got, *on_gpu], [expected, *on_cpu], strict=True)):
        for a_part, b_part in zip(*(part if isinstance(part, list) else [part] for part in (a, b)), strict=True):
            if isinstance(a_part, Array):
                assert a_part.dtype == b_part.dtype
                a_part = ops.to_numpy(a_part)
            if isinstance(a_part, np.ndarray | float):
                np.testing.assert_allclose(a_part, b_part, rtol=tolerance, atol=tolerance, err_msg=f"{name}, {k}")


def _mapped(function, argument):
    """Return an argument with a function of its arrays of floating-point numbers."""
    if isinstance(argument, Host):
        return argument.values
    if isinstance(argument, list):
        return [_mapped(function, part) for part in argument]
    if isinstance(argument, np.ndarray) and argument.dtype.kind == "f":
        return function(argument)
    return argument
