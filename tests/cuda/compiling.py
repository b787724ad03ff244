"""Compile CUDA kernels without a GPU: to PTX by Numba, and to machine code by ``ptxas``, which counts registers.

Needs ``numba-cuda[cu13]``; registers need ``ptxas``, from a CUDA toolkit or the wheel ``nvidia-cuda-nvcc``.
"""

import contextlib
import dataclasses
import functools
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from fastrnn.cuda.array import Array
from fastrnn.cuda.gpu import flatten, is_simulated

H100, A100 = (9, 0), (8, 0)  # compute capabilities


def skip_if_unavailable():
    """Skip a test where kernels cannot be compiled to PTX."""
    if is_simulated():
        pytest.skip("the simulator compiles nothing")
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("needs numba-cuda")


@functools.cache
def ptxas():
    """Return the path of ``ptxas``, or None."""
    found = importlib.util.find_spec("nvidia")
    for folder in found.submodule_search_locations if found else ():
        for path in sorted(pathlib.Path(folder).glob("cu*/bin/ptxas"), reverse=True):
            return str(path)
    return shutil.which("ptxas")


def array(dtype, ndim, shape=None):
    """Return a stand-in for an array of the device, as an argument of `compiled`."""
    return Array(SimpleNamespace(address=256), 0, shape or (1,) * ndim, np.dtype(dtype))


@dataclasses.dataclass
class Compiled:
    """A kernel as PTX, and what ``ptxas`` says of it.

    Attributes
    ----------
    name : str
        Of the entry in the PTX.
    ptx : str
    capability : tuple of int
        The compute capability it is compiled for.
    max_registers : int or None
        The option of the kernel.
    """

    name: str
    ptx: str
    capability: tuple
    max_registers: int | None = None

    @functools.cached_property
    def parameters(self):
        """Types of the entry's parameters in PTX: "u64", "f32", …"""
        listed = re.search(rf"\.entry {re.escape(self.name)}\((.*?)\)", self.ptx, re.DOTALL)[1]
        return re.findall(r"\.param \.(\w+)", listed)

    @functools.cached_property
    def arch(self):
        """The architecture that the PTX names: "sm_80", "sm_90a"."""
        return re.search(r"^\.target (\w+)", self.ptx, re.MULTILINE)[1]

    @functools.cached_property
    def report(self):
        """What ``ptxas -v`` prints; the test is skipped where there is none."""
        if ptxas() is None:
            pytest.skip("needs ptxas, of the wheel nvidia-cuda-nvcc or a CUDA toolkit")
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "kernel.ptx")
            source.write_text(self.ptx)
            command = [ptxas(), f"-arch={self.arch}", "-v", "-o", os.devnull, str(source)]
            if self.max_registers is not None:
                command.insert(1, f"-maxrregcount={self.max_registers}")
            run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stderr

    def _sum(self, pattern):
        return sum(map(int, re.findall(pattern, self.report)))

    @property
    def registers(self):
        """Registers of a thread."""
        return int(re.search(r"Used (\d+) registers", self.report)[1])

    def fits(self, threads):
        """Return whether a multiprocessor has the registers for a block: 65,536, of which a thread takes eights."""
        return -(-self.registers // 8) * 8 * threads <= 1 << 16

    @property
    def spills(self):
        """Bytes of a thread's registers that are stored to memory, and loaded from it, for want of registers."""
        return self._sum(r"(\d+) bytes spill stores") + self._sum(r"(\d+) bytes spill loads")

    @property
    def stack(self):
        """Bytes of a thread's local arrays and spilled registers."""
        return self._sum(r"(\d+) bytes stack frame")

    @property
    def shared(self):
        """Bytes of static shared memory of a block."""
        return self._sum(r"(\d+) bytes smem")


@contextlib.contextmanager
def on_paper(capability):
    """Let Numba compile for a compute capability without a GPU."""
    from numba.cuda import codegen, dispatcher

    device = SimpleNamespace(compute_capability=capability, id=0)
    with (
        mock.patch.object(dispatcher, "get_current_device", return_value=device),
        mock.patch.object(codegen.devices, "get_context", return_value=SimpleNamespace(device=device)),
    ):
        yield


def compiled(kernel, *arguments, capability=H100):
    """Compile a `fastrnn.cuda.compiler.Kernel` as `fastrnn.cuda.gpu.Device` does.

    Parameters
    ----------
    kernel : Kernel
    *arguments
        As in a launch, with `array` for arrays of the device: only their types count.
    capability : tuple of int

    Returns
    -------
    Compiled
    """
    skip_if_unavailable()
    from fastrnn.cuda.compiler import type_of
    from fastrnn.cuda.kernel_cache import compiled_kernel

    with on_paper(capability):
        made = compiled_kernel(kernel.function, tuple(map(type_of, arguments)), kernel.options)
        ptx = made._codelibrary.get_asm_str()
    return Compiled(made.entry_name, ptx, capability, kernel.options.get("max_registers"))


def compiled_function(function, *arguments, capability=H100):
    """Return the PTX of a device function, or of a plain Python function as one, for arguments as in `compiled`."""
    skip_if_unavailable()
    from numba import cuda

    import fastrnn.cuda.functions  # noqa: F401
    from fastrnn.cuda.compiler import type_of

    function = getattr(function, "py_func", function)
    with on_paper(capability):
        return cuda.compile_ptx(function, tuple(map(type_of, arguments)), device=True, cc=capability)[0]


def parameters_of(arguments):
    """Return the PTX types of the parameters that a launch passes for arguments, without their signs."""
    flat = []
    for argument in arguments:
        flatten(argument, flat)
    return [_TYPES.get(type(value)) or f"{value.dtype.kind}{8 * value.itemsize}".replace("i", "u") for value in flat]


_TYPES = {int: "u64", bool: "u8", np.bool_: "u8"}  # as `cuda.core` passes them


def double_precision(made):
    """Return the instructions of a compiled kernel that compute in float64, or convert to or from it."""
    return [line.strip() for line in made.ptx.splitlines() if ".f64" in line and not line.lstrip().startswith(".reg")]
