"""Numba's CUDA simulator in the place of a GPU: blocks run one after the other, threads of a block side by side."""

import threading

import numpy as np
from numba.cuda import jit
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

from fastrnn.cuda.array import Array
from fastrnn.cuda.memory import Pool


class SimulatedDevice:
    """What `fastrnn.cuda.gpu.Device` offers, in the simulator.

    A simulated thread is one of Python's: launches are kept to `blocks` blocks of `threads` threads.

    Parameters
    ----------
    memory : int
        Bytes that arrays may take.
    """

    is_simulated = True
    name = "Numba's CUDA simulator"
    compute_capability = (9, 0)
    multiprocessors = 1  # a barrier between blocks would never end: a cooperative launch has one
    shared_memory = 232448  # bytes a block may have
    blocks, threads = 2, 2

    def __init__(self, memory=1 << 36):
        self.memory, self._allocated = memory, 0
        self.pool = Pool(self._allocate, self._free, threading.RLock())
        self._lock = threading.Lock()  # the simulator runs one kernel at a time

    def _allocate(self, size):
        if self._allocated + size > self.memory:
            raise MemoryError
        self._allocated += size
        return np.full(size, 0xFF, np.uint8)  # NaN, in all types

    def _free(self, raw):
        self._allocated -= raw.size

    def make_current(self):
        """Do nothing: the device belongs to all threads."""

    def upload(self, array, values):
        """Copy a contiguous ndarray to the device."""
        array.values[...] = values

    def download(self, array):
        """Return a new ndarray with the values of an array."""
        return array.values.copy()

    def copy(self, out, array):
        """Copy an array to another one of its size and type."""
        out.values.reshape(-1)[...] = array.values.reshape(-1)

    def clear(self, array):
        """Set all bytes of an array to zero."""
        array.values[...] = 0

    def compile(self, kernel, argument_types):
        """Return a kernel that `launcher` takes."""
        body = jit(device=True)(kernel.function)

        def run(*arguments):
            with np.errstate(all="ignore"):  # of this thread, one of a block's
                body(*arguments)

        return jit(run)

    def launcher(self, compiled, grid, block, arguments, shared, cooperative):
        """Return a function that launches a kernel; it takes the integers that follow `arguments`."""
        arguments = [opened(argument) for argument in arguments]

        def launch(*numbers):
            with self._lock:
                compiled[grid, block, 0, shared](*arguments, *numbers)

        return launch

    def graph(self, function):
        """Return a function that repeats the launches of `function`."""
        return function

    def synchronize(self):
        """Wait until everything has run."""

    def memory_left(self):
        """Return free and total bytes of the device's memory."""
        return self.memory - self._allocated, self.memory


def opened(argument):
    """Return an argument of a kernel with its arrays as ndarrays."""
    if isinstance(argument, Array):
        return FakeCUDAArray(argument.values)
    if isinstance(argument, tuple):
        parts = [opened(part) for part in argument]
        return type(argument)(*parts) if hasattr(argument, "_fields") else tuple(parts)
    return argument
