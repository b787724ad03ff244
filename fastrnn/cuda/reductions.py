"""Sums and maxima in a fixed order: the same result in every run.

All threads of a block call `block_sum` and `block_maximum`; their number is a power of two. `shared` is shared memory
with an element for each thread, and is free again when they return. `total` adds up what the blocks of a kernel leave.
"""

from numba import cuda

from fastrnn.cuda.arrays import empty, to_numpy
from fastrnn.cuda.compiler import device_function
from fastrnn.cuda.gpu import device


@device_function
def block_sum(value, shared):
    """Return the sum of a value of each thread, to all threads of the block."""
    # shared (threads,) of the type of the sum
    thread = cuda.threadIdx.x
    shared[thread] = value
    cuda.syncthreads()
    half = cuda.blockDim.x // 2
    while half > 0:
        if thread < half:
            shared[thread] += shared[thread + half]
        cuda.syncthreads()
        half //= 2
    total = shared[0]
    cuda.syncthreads()
    return total


@device_function
def block_maximum(value, shared):
    """Return the largest value of the threads of the block, to all of them; NaN counts as the lowest."""
    # shared (threads,) of the type of the values
    thread = cuda.threadIdx.x
    shared[thread] = value
    cuda.syncthreads()
    half = cuda.blockDim.x // 2
    while half > 0:
        if thread < half:
            other = shared[thread + half]
            if other > shared[thread] or shared[thread] != shared[thread]:
                shared[thread] = other
        cuda.syncthreads()
        half //= 2
    largest = shared[0]
    cuda.syncthreads()
    return largest


def total(kernel, calls):
    """Launch a kernel for each call, and return the sum of everything that its blocks leave, as a float.

    The kernel strides over `count` elements by the grid. Its first argument is a float64 array, to which each block
    writes a sum at its number; its shared memory has a float64 for each thread. The device is waited for once.

    Parameters
    ----------
    kernel : Kernel
    calls : list of tuple
        (count, further arguments of the kernel).
    """
    found = device()
    grids = [min(max(-(-count // found.threads), 1), found.blocks) for count, _ in calls]
    partials, begin = empty(sum(grids), "float64"), 0
    for grid, (_, arguments) in zip(grids, calls, strict=True):
        kernel.launch(grid, found.threads, partials.part(begin, begin + grid), *arguments, shared=8 * found.threads)
        begin += grid
    return float(to_numpy(partials).sum())
