"""An emulator of a GPU, which runs kernels as Numba compiles them: PTX, executed with NumPy.

It needs ``numba-cuda``, but neither a GPU nor a driver, and runs in a process without ``NUMBA_ENABLE_CUDASIM``. Warps,
tensor cores, shared memory and barriers work as on hardware, those between the blocks of a cooperative launch too: the
blocks take turns, in a random order and for random times that `seed` decides.

    from tests.cuda.emulator import EmulatedDevice, emulated

    with emulated(seed=3) as device:               # `fastrnn.cuda` runs on it
        ops = fastrnn.cuda                         # or fastrnn.backends.backend("cuda")
        array = ops.asarray(np.ones((2, 3), np.float32))
        some_kernel.launch(4, 64, array, 3, shared=1024, cooperative=True)

Every error names the kernel, the line of its PTX (with `lines`, of its Python), and the thread: accesses out of
bounds (to the byte: arrays have gaps between them, and memory that is free again may not be touched), misaligned
ones, races (two threads touch a word, one writes, and neither barrier nor release and acquire order them), barriers
that threads do not reach, shuffles and products whose warp is not together, and blocks that wait for ever. Fresh
memory, global and shared, is NaN.

All tests of `tests/cuda` run in it under ``FASTRNN_EMULATOR=1``, slowly: choose some.

`EmulatedDevice.load` takes PTX as text, for kernels that are not `fastrnn.cuda.compiler.Kernel`.
"""

import contextlib

from tests.cuda.emulator.device import EmulatedDevice
from tests.cuda.emulator.errors import EmulationError

__all__ = ["EmulatedDevice", "EmulationError", "emulated"]


@contextlib.contextmanager
def emulated(**options):
    """Let `fastrnn.cuda` run on an `EmulatedDevice`, which is returned; skip the test where nothing compiles."""
    from tests.cuda.compiling import skip_if_unavailable

    skip_if_unavailable()
    from fastrnn import backends
    from fastrnn.cuda import gpu

    before = _replaced(backends, gpu, EmulatedDevice(**options))
    try:
        yield gpu.device()
    finally:
        _replaced(backends, gpu, before)


def _replaced(backends, gpu, device):
    """Replace the device of this process, and what is remembered of it; return the one before."""
    before = gpu.use(device)
    backends.register("cuda", None)
    for function in (backends.has_gpu, gpu.is_usable):
        function.cache_clear()
    return before
