"""Compiling kernels for the GPU, and keeping them on disk beside those for the CPU (`fastrnn._jit`).

A kernel takes a second to compile, and a network has dozens. What is kept is machine code of one architecture. It is
stale when a file of this package that the kernel can be made of was edited, or numba-cuda or CUDA has another version.
"""

import functools
import importlib.metadata

from fastrnn._jit import CACHE_ENABLED
from fastrnn._jit.cache import KernelCache


def compiled_kernel(function, argument_types, options):
    """Compile a kernel for the current device.

    Parameters
    ----------
    function : callable
    argument_types : tuple of Numba types
    options : dict
        Of Numba's compilation: ``max_registers``, ``launch_bounds``.

    Returns
    -------
    numba.cuda.dispatcher._Kernel
    """
    from numba.cuda.dispatcher import _Kernel

    import fastrnn.cuda.functions  # noqa: F401 (elementary functions for this target)

    return _Kernel(function, argument_types, **options)


def kept_kernel(function, argument_types, options):
    """Return a kernel from disk, or compile it as `compiled_kernel` does and keep it there."""
    if not CACHE_ENABLED or not function.__module__.startswith("fastrnn."):
        return compiled_kernel(function, argument_types, options)
    cache = _DeviceKernelCache(function, options)
    kernel = cache.load(argument_types)
    if kernel is None:
        kernel = compiled_kernel(function, argument_types, options)
        kernel._codelibrary.get_cubin()  # machine code, in the kernel from now on
        cache.save(argument_types, kernel)
    return kernel


class _DeviceKernelCache(KernelCache):
    """The files of a kernel: one for each architecture, types of arguments, and options of the compilation."""

    def __init__(self, function, options):
        super().__init__(function)
        self._options = sorted(options.items())

    def _key(self, argument_types):
        from numba.cuda.codegen import JITCUDACodegen

        # The versions of CUDA and of the device are in the target, code and closure of the function in the rest.
        _, target, code = self._index_key(argument_types, JITCUDACodegen("fastrnn"))
        return argument_types, ("cuda", _numba_cuda_version(), *target), (self._options, code)

    def load(self, argument_types):
        """Return a kernel from disk, or None."""
        from numba.cuda.dispatcher import _Kernel

        states = self._cache_file.load(self._key(argument_types))
        return None if states is None else _Kernel._rebuild(**states)

    def save(self, argument_types, kernel):
        """Write a kernel to disk."""
        self._cache_file.save(self._key(argument_types), kernel._reduce_states())


@functools.cache
def _numba_cuda_version():
    return importlib.metadata.version("numba-cuda")
