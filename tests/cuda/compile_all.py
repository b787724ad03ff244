"""Compile every CUDA kernel for all cells, types, precisions and architectures, and print registers and spills.

Run ``python -m tests.cuda.compile_all [MODULE ...]``, where a module is one of `fastrnn.cuda`, such as ``rows``. The
command fails if a kernel does not compile, spills more than is allowed, or has more registers than its block may have.
"""

import concurrent.futures
import itertools
import multiprocessing
import os
import sys

import numpy as np

from fastrnn.cuda.array import Array
from tests.cuda import arguments
from tests.cuda.compiling import A100, H100, compiled


def described(argument):
    """Return an argument in a few characters: i32², lstm, None, …"""
    if isinstance(argument, Array):
        return f"{argument.dtype.kind}{8 * argument.dtype.itemsize}{'⁰¹²³⁴⁵'[argument.ndim]}"
    if isinstance(argument, tuple) and argument:
        return f"({' '.join(map(described, argument))})"
    if isinstance(argument, tuple):
        return type(argument).__name__
    return "None" if argument is None else type(argument).__name__


def compile_one(module, position, number, capability):
    """Compile a kernel for all its arguments; return the lines of the table and the number of failures."""
    kernel = arguments.modules_with_kernels()[module][position]
    lines, failures = [], 0
    for given in arguments.of_kernel(module, kernel, number, every=True):
        try:
            made = compiled(kernel, *given, capability=capability)
            fits = made.fits(arguments.threads(module, kernel))
            failed = made.spills > arguments.allowed_spills(module, kernel) or not fits
            figures = f"{made.registers:5} {made.spills:6} {made.shared:6}"
        except Exception as error:
            failed, figures = True, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        failures += failed
        place = f"{module}.{kernel.__name__}"
        lines.append(f"sm_{capability[0]}{capability[1]} {figures:>19}{'!' if failed else ' '} {place:40} "
                     f"{' '.join(map(described, given))}")  # fmt: skip
    return lines, failures


def main(names):
    """Compile the kernels of the modules `names`, or of all, and return whether something failed."""
    found = arguments.modules_with_kernels()
    tasks = [
        (module, position, number, capability)
        for module in names or found
        for position, number, capability in itertools.product(
            range(len(found[module])), (np.float32, np.float64), (H100, A100)
        )
    ]
    print(f"{'':6}registers spills shared (bytes of a thread, and of a block)")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), context) as pool:
        count = failures = 0
        for lines, failed in pool.map(compile_one, *zip(*tasks, strict=True)):
            print(*lines, sep="\n", flush=True)
            count, failures = count + len(lines), failures + failed
    print(f"{count} kernels compiled, {failures} of them with an error, or with too many spills or registers")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
