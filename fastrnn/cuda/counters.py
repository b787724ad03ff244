"""Masks of dropout from counters: the bits of `fastrnn.kernels.counters`, whose formula is written there.

A kernel asks `row_bits` once for a row and `is_kept` for each unit in it. `pass_key` and `threshold` are for the host.
"""

import numpy as np
from numba import cuda

from fastrnn.cuda.arrays import upload_lists
from fastrnn.cuda.compiler import device_function, kernel
from fastrnn.kernels import counters

_WORD = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9  # 2³² divided by the golden ratio

# Python's integers in the simulator, and 64-bit integers in compiled code, have room for each product before the mask.
_splitmix64 = device_function(counters.splitmix64.py_func)


@device_function
def _lowbias32(x):
    """Return 32 random bits for an integer of 32 bits."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _WORD
    return x ^ (x >> 16)


def pass_key(seed, number):
    """Return the bits that all elements of a pass share: an argument of kernels."""
    return np.uint64(counters.splitmix64.py_func(seed + number * 0x9E3779B97F4A7C15))


def threshold(p):
    """Return the smallest bits of an element that is kept: an argument of kernels."""
    return min(round(p * 2**32), _WORD)


@device_function
def row_bits(key, sequence, step):
    """Return the random bits of a row, in two halves: int64 each."""
    bits = _splitmix64(key ^ np.uint64(np.int64(sequence) << 32 | np.int64(step)))
    return int(np.int64(bits & _WORD)), int(np.int64(bits >> 32))


@device_function
def is_kept(low, high, unit, threshold):
    """Return whether a unit is kept in a row whose bits are `low` and `high`."""
    return _lowbias32(_lowbias32((int(unit) * _GOLDEN + low) & _WORD) ^ high) >= threshold


@kernel
def _drop(out, x, scale, key, least, sequences, steps):
    # out, x (R, n), sequences, steps (R,)
    first, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for row in range(y, out.shape[0], height):
        low, high = row_bits(key, sequences[row], steps[row])
        for unit in range(first, out.shape[1], width):
            kept = is_kept(low, high, unit, least)
            out[row, unit] = x[row, unit] * scale if kept else out.dtype.type(0)


@kernel
def _write_mask(out, kept, key, least, sequences, steps):
    # out (R, n), sequences, steps (R,)
    first, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for row in range(y, out.shape[0], height):
        low, high = row_bits(key, sequences[row], steps[row])
        for unit in range(first, out.shape[1], width):
            out[row, unit] = kept if is_kept(low, high, unit, least) else out.dtype.type(0)


def dropout(out, x, p, seed, number, sequences, steps, n_jobs=None):
    """Write x (R, n) to `out`, elements zeroed with probability `p` and the others times 1 / (1 − p)."""
    _launch(_drop, out, (x, out.dtype.type(1 / (1 - p))), p, seed, number, sequences, steps)


def keep_mask(out, p, kept, seed, number, sequences, steps, n_jobs=None):
    """Write 0 to the elements of `out` (R, n) that `dropout` would zero, and the number `kept` to the others."""
    _launch(_write_mask, out, (out.dtype.type(kept),), p, seed, number, sequences, steps)


def _launch(kernel, out, arguments, p, seed, number, sequences, steps):
    """Launch a kernel on the elements of `out`; the numbers of rows are of the host."""
    if out.size:
        rows = upload_lists(sequences, steps)
        kernel.over_matrix(*out.shape, out, *arguments, pass_key(seed, number), threshold(p), *rows)
