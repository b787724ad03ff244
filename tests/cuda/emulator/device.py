"""A device for `fastrnn.cuda` whose kernels are compiled for a GPU, and run in the emulator."""

import ctypes
import enum
import functools
import math
import threading

import numpy as np

from tests.cuda.emulator.conversions import from_bf16, to_bf16, to_tf32
from tests.cuda.emulator.decoder import decode
from tests.cuda.emulator.errors import EmulationError
from tests.cuda.emulator.machine import Launch
from tests.cuda.emulator.memory import GlobalMemory
from tests.cuda.emulator.parser import parse

_MOST_THREADS, _MOST_RESIDENT = 1024, 2048  # of a block, of a multiprocessor
_modules = {}  # function, types: text and name of a kernel


class EmulatedDevice:
    """What `fastrnn.cuda.gpu.Device` offers, without a GPU.

    Parameters
    ----------
    seed : int
        Of the order in which blocks and warps run.
    races : bool
        Whether races are looked for; it costs a third of the time.
    memory : int
        Bytes.
    threads, blocks, multiprocessors : int
        The sizes of launches.
    lines : bool
        Whether errors name lines of Python: Numba compiles for that too, but some large kernels it breaks then.
    """

    is_simulated = False
    name = "PTX emulator"
    compute_capability = (9, 0)
    shared_memory = 232448
    stream = 0
    cublas_workspace = 1 << 10

    def __init__(self, seed=0, races=True, memory=1 << 26, threads=32, blocks=3, multiprocessors=4, lines=False):
        self.threads, self.blocks, self.multiprocessors = threads, blocks, multiprocessors
        self.lock, self._added = threading.RLock(), {"lineinfo": True} if lines else {}
        self.memory, self.races = GlobalMemory(memory, races), races
        self.pool = _Pool(self.memory, self.lock)
        self.random = np.random.default_rng(seed)
        self.cublas = CuBLAS(self.memory)
        self._time = 0

    def make_current(self):
        """Do nothing: the device belongs to all threads."""

    def _bytes(self, array):
        return self.memory.part(array.address, array.nbytes)

    def upload(self, array, values):
        """Copy a contiguous ndarray to the device."""
        if not values.flags.c_contiguous or values.nbytes != array.nbytes:
            raise EmulationError(f"upload of {values.nbytes} bytes, contiguous or not, to {array.nbytes}")
        if values.size:
            self._bytes(array)[...] = np.frombuffer(values.tobytes(), np.uint8)

    def download(self, array):
        """Return a new ndarray with the values of an array."""
        return self._bytes(array).view(array.dtype).reshape(array.shape).copy()

    def copy(self, out, array):
        """Copy an array to another one of its size and type."""
        self._bytes(out)[...] = self._bytes(array)

    def clear(self, array):
        """Set all bytes of an array to zero."""
        self._bytes(array)[...] = 0

    def compile(self, kernel, argument_types):
        """Return a kernel that `launcher` takes: a `Program`."""
        from fastrnn.cuda.kernel_cache import compiled_kernel
        from tests.cuda.compiling import on_paper

        options = {**kernel.options, **self._added}
        key = kernel.function, argument_types, repr(options)
        if key not in _modules:
            with on_paper(self.compute_capability):
                made = compiled_kernel(kernel.function, argument_types, options)
                _modules[key] = parse(made._codelibrary.get_asm_str()), made.entry_name
        return decode(*_modules[key], self._allocate)

    def load(self, text, name=None):
        """Return the kernel of a text of PTX as a `Program`; the name is needed if there are several."""
        module = parse(text)
        names = [function.name for function in module.functions.values() if function.is_entry]
        if name is None and len(names) != 1:
            raise EmulationError(f"one kernel expected, found {names}")
        return decode(module, name or names[0], self._allocate)

    def _allocate(self, size):
        address = self.memory.allocate(size)
        return address, self.memory.part(address, size)

    def launcher(self, compiled, grid, block, arguments, shared, cooperative):
        """Return a function that launches a kernel; it takes the integers that follow `arguments`."""
        from fastrnn.cuda.gpu import flatten

        flat = []
        for argument in arguments:
            flatten(argument, flat)
        grid, block = _sizes(grid), _sizes(block)
        self._check(compiled, math.prod(grid), math.prod(block), shared, cooperative)

        def launch(*numbers):
            data = [_passed(argument) for argument in [*flat, *numbers]]
            with self.lock:
                self.pool.collect()
                run = Launch(compiled, self.memory, grid, block, data, shared, cooperative, self.random, self.races,
                             self._time)  # fmt: skip
                self._time = run.run()

        return launch

    def _check(self, program, blocks, threads, dynamic, cooperative):
        if not 0 < threads <= _MOST_THREADS or not blocks:
            raise EmulationError(f"{program.name}: {blocks} blocks of {threads} threads")
        if program.shared + dynamic > self.shared_memory:
            raise EmulationError(f"{program.name}: {program.shared + dynamic} bytes of shared memory")
        resident = min(_MOST_RESIDENT // threads, self.shared_memory // (program.shared + dynamic + 1024))
        if cooperative and blocks > self.multiprocessors * resident:
            raise EmulationError(f"{program.name}: {blocks} blocks do not run at once in a cooperative launch")

    def graph(self, function):
        """Return a function that repeats the launches of `function`."""
        return function

    def synchronize(self):
        """Do nothing: all has run."""

    def memory_left(self):
        """Return free and total bytes of the device's memory."""
        return self.memory.bytes.size - self.pool.used, self.memory.bytes.size


def _sizes(given):
    """Return three sizes of a grid or block."""
    given = (given,) if isinstance(given, int | np.integer) else tuple(given)
    return tuple(map(int, (*given, 1, 1)[:3]))


def _passed(argument):
    """Return the bytes that the driver gets for an argument."""
    if isinstance(argument, bool):
        return np.bool_(argument).tobytes()
    if isinstance(argument, int):
        return np.int64(argument).tobytes()
    if isinstance(argument, np.generic):
        return argument.tobytes()
    raise EmulationError(f"an argument of type {type(argument).__name__} for a kernel")


class _Pool:
    """Memory of arrays, with exact sizes: what is freed is an error to touch, even in launches that are prepared."""

    def __init__(self, memory, lock):
        self._memory, self._lock, self._freed = memory, lock, []
        self.used = 0

    def take(self, nbytes):
        """Return a `Block` of so many bytes."""
        from fastrnn.cuda.memory import Block

        with self._lock:
            self.collect()
            address = self._memory.allocate(nbytes)
        self.used += nbytes
        return Block(address, nbytes, self._give_back)

    def _give_back(self, address, nbytes):
        self._freed.append(address)  # it may be in the middle of anything
        self.used -= nbytes

    def collect(self):
        """Free the memory of arrays that are gone."""
        while self._freed:
            self._memory.free(self._freed.pop())

    release = collect


class CuBLAS:
    """The part of cuBLAS that `fastrnn.cuda.blas` calls: matrices stand in columns."""

    class ComputeType(enum.IntEnum):
        """How products are computed, as in `nvmath.bindings.cublas`."""

        COMPUTE_32F = 68
        COMPUTE_64F = 70
        COMPUTE_32F_FAST_16BF = 75
        COMPUTE_32F_FAST_TF32 = 77

    def __init__(self, memory):
        self._memory = memory

    def create(self):
        """Return a handle."""
        return id(self)

    def set_stream(self, handle, stream):
        """Do nothing."""

    def set_workspace(self, handle, workspace, size):
        """Do nothing but look at the memory."""
        self._memory.part(workspace, size)

    def gemm_ex(self, handle, transa, transb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc,
                compute, algorithm):  # fmt: skip
        """Compute c = alpha · op(a) · op(b) + beta · c, as cublasGemmEx."""
        types = {a_type, b_type, c_type}
        kind = ctypes.c_double if compute == self.ComputeType.COMPUTE_64F else ctypes.c_float
        if types != {1 if kind is ctypes.c_double else 0} or handle != id(self):
            raise EmulationError(f"gemm_ex: types {types} with the computation {compute}, or a wrong handle")
        alpha, beta = (kind.from_address(place).value for place in (alpha, beta))
        matrix = functools.partial(self._matrix, dtype=np.dtype(kind))
        left = matrix(a, *((k, m) if transa else (m, k)), lda)
        right = matrix(b, *((n, k) if transb else (k, n)), ldb)
        out = matrix(c, m, n, ldc)
        left, right = (self._rounded(x.T if turned else x, compute) for x, turned in ((left, transa), (right, transb)))
        with np.errstate(all="ignore"):
            result = alpha * np.einsum("mk,kn->mn", left.astype(np.float64), right.astype(np.float64))
            out[...] = result + beta * out if beta else result

    def _matrix(self, address, rows, columns, stride, dtype):
        """Return the view of a matrix whose columns begin `stride` elements apart."""
        if stride < max(rows, 1):
            raise EmulationError(f"gemm_ex: a leading dimension of {stride} for {rows} rows")
        count = (columns - 1) * stride + rows if rows and columns else 0
        flat = self._memory.part(address, count * dtype.itemsize).view(dtype)
        steps = dtype.itemsize, stride * dtype.itemsize
        return np.lib.stride_tricks.as_strided(flat, (rows, columns) if count else (rows, 0)[:2], steps)

    def _rounded(self, values, compute):
        if compute == self.ComputeType.COMPUTE_32F_FAST_TF32:
            return to_tf32(np.ascontiguousarray(values)).view(np.float32)
        if compute == self.ComputeType.COMPUTE_32F_FAST_16BF:
            return from_bf16(to_bf16(np.ascontiguousarray(values)))
        return values
