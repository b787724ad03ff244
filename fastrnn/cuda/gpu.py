"""The GPU of this process: its memory, its one stream, launches and graphs."""

import functools
import importlib.util
import os
import threading
import weakref

import numpy as np

from fastrnn.cuda.memory import Pool
from fastrnn.cuda.staging import Staging

_PACKAGES = {"numba_cuda": "numba-cuda", "nvmath": "nvmath-python"}  # by the modules that they install
_LEAST_CAPABILITY = (8, 0)  # tensor cores multiply TF32 and bfloat16 from it on
_lock = threading.Lock()
_device = None


def device():
    """Return the device of this process: the GPU, or the simulator under ``NUMBA_ENABLE_CUDASIM=1``.

    Raises
    ------
    RuntimeError
        There is no GPU, or a package is missing.
    """
    global _device
    if _device is None:
        with _lock:
            if _device is None:
                _device = _find()
    return _device


@functools.cache
def is_usable():
    """Return whether `device` finds one."""
    try:
        device()
    except RuntimeError:
        return False
    return True


def use(new):
    """Replace the device of this process, and return the one before; None looks for it again."""
    global _device
    before, _device = _device, new
    return before


def is_simulated():
    """Return whether Numba simulates the GPU."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def _find():
    if is_simulated():
        from fastrnn.cuda.simulated import SimulatedDevice

        return SimulatedDevice()
    missing = [package for module, package in _PACKAGES.items() if not _is_installed(module)]
    if missing:
        raise RuntimeError(
            f"device='cuda' needs {' and '.join(_PACKAGES.values())}, and there is no {' and no '.join(missing)}: "
            "run pip install 'fastrnn[cuda]', or take device='cpu'."
        )
    from numba import cuda

    if not cuda.is_available():
        raise RuntimeError("device='cuda' needs an NVIDIA GPU and its driver, and none was found: take device='cpu'.")
    found = Device()
    if found.compute_capability < _LEAST_CAPABILITY:
        raise RuntimeError(
            f"device='cuda' needs a GPU of compute capability {_named(_LEAST_CAPABILITY)} or higher, got "
            f"{found.name} with {_named(found.compute_capability)}: take device='cpu'."
        )
    return found


def _named(capability):
    return ".".join(map(str, capability))


def _is_installed(module):
    return importlib.util.find_spec(module) is not None


def checked(result):
    """Return what a function of the driver returned, or raise its error."""
    error, *values = result
    if int(error) != 0:
        from cuda.bindings import driver

        if error == driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            raise MemoryError("The GPU has no memory left.")
        raise RuntimeError(f"The GPU's driver failed: {error.name}.")
    return values[0] if len(values) == 1 else None


class Device:
    """A GPU, through the driver. All work goes to one stream, in order.

    Threads may share it: each call holds `lock`. While one captures a graph, the others wait.
    """

    is_simulated = False
    threads = 256  # of a block, in kernels over elements
    cublas_workspace = 1 << 25  # bytes, as NVIDIA recommends for its newer GPUs

    def __init__(self):
        from cuda.bindings import driver
        from numba import cuda
        from numba.cuda.cudadrv.driver import _to_core_stream
        from numba.cuda.dispatcher import CUDA_CORE_GE_1_0, LaunchConfig, launch

        cuda.current_context()  # makes one
        self._driver, self._context = driver, checked(driver.cuCtxGetCurrent())
        self._make_launch, self._launch_kernel = LaunchConfig, launch
        self._cooperative = "is_cooperative" if CUDA_CORE_GE_1_0 else "cooperative_launch"
        self._with_all_shared = set()  # kernels that may have all shared memory of a block
        found = cuda.get_current_device()
        self.name = found.name.decode() if isinstance(found.name, bytes) else found.name
        self.compute_capability = tuple(found.compute_capability)
        self.multiprocessors = found.MULTIPROCESSOR_COUNT
        self.shared_memory = found.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        self.blocks = 8 * self.multiprocessors  # of kernels over elements
        self._stream = cuda.stream()
        self.stream = int(self._stream)
        self._core_stream = _to_core_stream(self._stream)
        self.lock = threading.RLock()
        self.pool = Pool(self._allocate, self._free, self.lock)
        self._staging = Staging(driver, checked, self.stream)
        self._unused_graphs = []  # they are destroyed when nothing is captured

    @functools.cached_property
    def cublas(self):
        """The functions of cuBLAS, by the names of `nvmath.bindings.cublas`."""
        from nvmath.bindings import cublas

        return cublas

    def make_current(self):
        """Make the device's context that of this thread; Numba's own way takes longer than a launch."""
        checked(self._driver.cuCtxSetCurrent(self._context))

    def _allocate(self, size):
        self.make_current()
        return int(checked(self._driver.cuMemAlloc(size)))

    def _free(self, address):
        self.synchronize()  # kernels of the last owner may still wait
        checked(self._driver.cuMemFree(address))

    def upload(self, array, values):
        """Copy a contiguous ndarray to the device."""
        with self.lock:
            self.make_current()
            self._staging.upload(array.address, values)

    def download(self, array):
        """Return a new ndarray with the values of an array."""
        values = np.empty(array.shape, array.dtype)
        if values.size:
            with self.lock:
                self.make_current()
                checked(self._driver.cuMemcpyDtoHAsync(values.ctypes.data, array.address, array.nbytes, self.stream))
                self.synchronize()
        return values

    def copy(self, out, array):
        """Copy an array to another one of its size and type."""
        if array.size:
            with self.lock:
                self.make_current()
                checked(self._driver.cuMemcpyDtoDAsync(out.address, array.address, array.nbytes, self.stream))

    def clear(self, array):
        """Set all bytes of an array to zero."""
        if array.size:
            with self.lock:
                self.make_current()
                checked(self._driver.cuMemsetD8Async(array.address, 0, array.nbytes, self.stream))

    def compile(self, kernel, argument_types):
        """Return a kernel that `launcher` takes."""
        from fastrnn.cuda.kernel_cache import kept_kernel

        self.make_current()
        compiled = kept_kernel(kernel.function, argument_types, kernel.options)
        compiled.bind()
        return compiled, compiled._codelibrary.get_cufunc().kernel  # the first holds the machine code

    def launcher(self, compiled, grid, block, arguments, shared, cooperative):
        """Return a function that launches a kernel; it costs a tenth of a launch by Numba.

        It takes the integers that follow `arguments`, if the kernel has any.
        """
        _, kernel = compiled
        if shared > 48 * 1024 and kernel not in self._with_all_shared:
            self._allow_shared(kernel)
        config = self._make_launch(grid=grid, block=block, shmem_size=shared, **{self._cooperative: cooperative})
        flat = []
        for argument in arguments:
            flatten(argument, flat)
        return functools.partial(self._launch, config, kernel, flat)

    def _launch(self, config, kernel, arguments, *numbers):
        with self.lock:
            self.make_current()  # of this thread
            self._launch_kernel(self._core_stream, config, kernel, *arguments, *numbers)

    def _allow_shared(self, kernel):
        """Let all launches of a kernel have as much shared memory as there is: a smaller bound would end others."""
        attribute = self._driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        self.make_current()
        place = checked(self._driver.cuCtxGetDevice())
        checked(self._driver.cuKernelSetAttribute(attribute, self.shared_memory, kernel.handle, place))
        self._with_all_shared.add(kernel)

    def graph(self, function):
        """Return a function that repeats the launches of `function`, captured once.

        `function` must launch the same kernels on the same arrays at each call, and must not wait for the device.
        """
        with self.lock:
            self.make_current()
            self._destroy_unused_graphs()
            ready = self._captured(function)

        def launch():
            with self.lock:
                self.make_current()
                checked(self._driver.cuGraphLaunch(ready, self.stream))

        weakref.finalize(launch, self._unused_graphs.append, ready).atexit = False
        return launch

    def _captured(self, function):
        """Return the driver's graph of the launches of `function`."""
        driver = self._driver
        checked(driver.cuStreamBeginCapture(self.stream, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED))
        try:
            function()
        except BaseException:
            driver.cuStreamEndCapture(self.stream)  # may fail too: the first error says more
            raise
        graph = checked(driver.cuStreamEndCapture(self.stream))
        ready = checked(driver.cuGraphInstantiate(graph, 0))
        checked(driver.cuGraphDestroy(graph))
        return ready

    def _destroy_unused_graphs(self):
        if self._unused_graphs:
            self.synchronize()  # they may still wait to run
        while self._unused_graphs:
            checked(self._driver.cuGraphExecDestroy(self._unused_graphs.pop()))

    def synchronize(self):
        """Wait until everything has run."""
        with self.lock:
            self.make_current()
            checked(self._driver.cuStreamSynchronize(self.stream))

    def memory_left(self):
        """Return free and total bytes of the device's memory."""
        self.make_current()
        error, free, total = self._driver.cuMemGetInfo()
        checked((error,))
        return free, total


def flatten(argument, out):
    """Append the parameters that a kernel compiled by Numba takes for an argument to `out`."""
    if argument is None:
        out.append(0)  # a pointer that is never read
    elif isinstance(argument, tuple):
        for part in argument:
            flatten(part, out)
    elif (words := getattr(argument, "words", None)) is not None:  # an array
        out += words
    elif isinstance(argument, float):
        out.append(np.float64(argument))
    else:
        out.append(argument)  # integers take 8 bytes, NumPy's scalars their own size
