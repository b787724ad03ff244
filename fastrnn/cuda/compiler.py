"""Kernels and device functions: compiled for the types of their arguments, and launched."""

import functools

import numpy as np
from numba import cuda
from numba.core import types
from numba.np.numpy_support import from_dtype

from fastrnn.cuda.array import Array
from fastrnn.cuda.gpu import device

# Numba's fastmath for CUDA is all or nothing: subnormal numbers are 0, all divisions and roots approximate. Without it,
# a product and an addition still fuse; `fastrnn.cuda.functions` says which functions are approximate.


def device_function(function):
    """Compile a function for calls from kernels."""
    return cuda.jit(device=True)(function)


def kernel(function=None, **options):
    """Make a function a `Kernel`.

    Parameters
    ----------
    function : callable
        In Numba's subset for CUDA.
    **options
        Options of Numba's compilation: ``max_registers``, ``launch_bounds``.
    """
    return functools.partial(kernel, **options) if function is None else Kernel(function, options)


class Kernel:
    """A kernel, compiled when it is first launched with arguments of some types.

    Arguments are arrays of the device, None, cells, tuples and named tuples of them, integers (int64), NumPy's scalars
    (of their own type) and floats (float64). A branch on ``argument is None`` costs nothing.
    """

    def __init__(self, function, options):
        self.function, self.options = function, options
        self._compiled = {}
        functools.update_wrapper(self, function)

    def launch(self, grid, block, *arguments, shared=0, cooperative=False):
        """Launch `grid` blocks of `block` threads, each a number or a tuple, with `shared` bytes of shared memory."""
        self.prepare(grid, block, *arguments, shared=shared, cooperative=cooperative)()

    def over(self, count, *arguments):
        """Launch as many threads as pay for `count` elements; the kernel strides over them by the whole grid."""
        if count:
            found = device()
            self.launch(min(-(-count // found.threads), found.blocks), found.threads, *arguments)

    def over_rows(self, count, *arguments, shared=0):
        """Launch a block for each of `count` rows; the kernel strides over them by the grid."""
        if count:
            found = device()
            self.launch(min(count, found.blocks), found.threads, *arguments, shared=shared)

    def over_matrix(self, rows, columns, *arguments):
        """Launch for the elements of a matrix: a warp on neighbouring columns; the kernel strides over both axes."""
        if rows and columns:
            self.launch(*matrix_shape(rows, columns), *arguments)

    def prepare(self, grid, block, *arguments, numbers=0, shared=0, cooperative=False):
        """Return a function that launches the kernel with these arguments, for many launches.

        The function takes the kernel's last `numbers` arguments, integers, which differ from launch to launch.
        """
        found, kinds = device(), (*arguments, *(0,) * numbers)
        grid, block, shared = _integers(grid), _integers(block), int(shared)
        key = found, tuple([_key(argument) for argument in kinds])
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = found.compile(self, tuple(map(type_of, kinds)))
        launch = found.launcher(compiled, grid, block, arguments, shared, cooperative)
        launch.arguments = arguments  # as long as it can run, their memory is theirs
        return launch


def _integers(sizes):
    """Return a number, or a tuple of numbers, as Python's: the driver refuses NumPy's, which users' sizes may be."""
    return tuple(map(int, sizes)) if isinstance(sizes, tuple) else int(sizes)


def matrix_shape(rows, columns, threads=None):
    """Return the grid and the block of a launch for the elements of a matrix, of `threads` threads a block at most."""
    found = device()
    threads = min(threads or found.threads, found.threads)
    width = min(32, threads)
    height = threads // width
    down = min(-(-rows // height), found.blocks)
    across = min(-(-columns // width), max(found.blocks // down, 1))
    return (across, down), (width, height)


def _key(argument):
    """Return what decides the type of an argument."""
    if isinstance(argument, Array):
        return argument.dtype, len(argument.shape)
    if isinstance(argument, tuple):
        return type(argument), tuple([_key(part) for part in argument])
    return type(argument)


def type_of(argument):
    """Return Numba's type of an argument of a kernel."""
    if isinstance(argument, Array):
        return types.Array(from_dtype(argument.dtype), argument.ndim, "C")
    if isinstance(argument, tuple):
        return types.BaseTuple.from_types([type_of(part) for part in argument], type(argument))
    if argument is None:
        return types.none
    if isinstance(argument, bool | np.bool_):
        return types.boolean
    if isinstance(argument, int):
        return types.int64
    return from_dtype(np.dtype(type(argument)))
