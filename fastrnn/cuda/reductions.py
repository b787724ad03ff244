"""Sums and maxima in a fixed order: the same result in every run.

All threads of a block call `block_sum` and `block_maximum`, or those of teams of threads; the numbers of threads are
powers of two. `shared` is shared memory with an element for each thread, and is free again when they return. The host
calls `total` and `add_columns`, which add up what the blocks of a kernel leave, and the rows of a matrix.
"""

from numba import cuda

from fastrnn.cuda.arrays import empty, to_numpy
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.cuda.gpu import device


@device_function
def team_sum(value, shared, width):
    """Return the sum of a value of `width` neighbouring threads, a power of two, to all of them."""
    # shared (threads,) of the type of the sum
    thread, half = cuda.threadIdx.x, width // 2
    member = thread & (width - 1)
    shared[thread] = value
    cuda.syncthreads()
    while half > 0:
        if member < half:
            shared[thread] += shared[thread + half]
        cuda.syncthreads()
        half //= 2
    total = shared[thread - member]
    cuda.syncthreads()
    return total


@device_function
def team_maximum(value, shared, width):
    """Return the largest value of `width` neighbouring threads to all of them; NaN counts as the lowest."""
    # shared (threads,) of the type of the values
    thread, half = cuda.threadIdx.x, width // 2
    member = thread & (width - 1)
    shared[thread] = value
    cuda.syncthreads()
    while half > 0:
        if member < half:
            other = shared[thread + half]
            if other > shared[thread] or shared[thread] != shared[thread]:
                shared[thread] = other
        cuda.syncthreads()
        half //= 2
    largest = shared[thread - member]
    cuda.syncthreads()
    return largest


@device_function
def block_sum(value, shared):
    """Return the sum of a value of each thread, to all threads of the block."""
    return team_sum(value, shared, cuda.blockDim.x)


@device_function
def block_maximum(value, shared):
    """Return the largest value of the threads of the block, to all of them; NaN counts as the lowest."""
    return team_maximum(value, shared, cuda.blockDim.x)


_WIDTH = 8  # columns of a block: few, so that many threads share a column, but whole sectors of 32 bytes


def add_columns(out, values):
    """Add to `out` (N,) the sum of `values` (R, N) over the rows."""
    found, columns = device(), out.size
    width = min(_WIDTH, found.threads, 1 << max(columns - 1, 0).bit_length())
    if values.size:
        grid = min(-(-columns // width), found.blocks)
        _add_columns.launch(grid, found.threads, out, values, width, shared=found.threads * out.dtype.itemsize)


@kernel
def _add_columns(out, values, width):
    # out (N,), values (R, N); a block owns `width` columns, each with as many threads as remain
    shared = cuda.shared.array(0, out.dtype)
    thread, rows = cuda.threadIdx.x, cuda.blockDim.x // width
    for first in range(cuda.blockIdx.x * width, out.size, cuda.gridDim.x * width):
        column = first + (thread & (width - 1))
        added = out.dtype.type(0)
        if column < out.size:
            for r in range(thread // width, values.shape[0], rows):
                added += values[r, column]
        shared[thread] = added
        half = rows // 2
        while half > 0:
            cuda.syncthreads()
            if thread < half * width:
                shared[thread] += shared[thread + half * width]
            half //= 2
        if thread < width and column < out.size:
            out[column] += shared[thread]
        cuda.syncthreads()


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
