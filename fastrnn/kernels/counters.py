"""Masks of dropout from counters: a few integers, not the order of draws, decide whether an element is kept.

An element is named by the seed, the number of the pass in training, the sequence, the step and the unit:

    row  = splitmix64(splitmix64(seed + 0x9E3779B97F4A7C15 · pass) XOR (sequence << 32 | step))      64 bits
    bits = lowbias32(lowbias32(unit · 0x9E3779B9 + low half of row) XOR high half of row)            32 bits
    kept = bits >= round(p · 2³²)

The mask of an element therefore depends neither on the order of a batch nor on threads, devices or machines. A backward
pass computes it again instead of keeping it. Sums and products are modulo 2⁶⁴ or 2³².

References
----------
Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (splitmix64). Wellons, "Prospecting
for hash functions", 2018 (lowbias32).
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from fastrnn._jit import kernel
from fastrnn.kernels.threads import enter, leave, run_kernel, split, worth
from fastrnn.simd import Vector, lanes, load, load_first, primitive, store, store_first

_FLOPS_PER_ELEMENT = 32  # cost of an element, in floating-point operations
_WORD = 0xFFFFFFFF
_LONG_WORD = 0xFFFFFFFFFFFFFFFF
_GOLDEN, _LONG_GOLDEN = 0x9E3779B9, 0x9E3779B97F4A7C15  # 2³² and 2⁶⁴ divided by the golden ratio


@kernel(cache=False, inline="always")
def splitmix64(z):
    """Return 64 random bits for an integer."""
    z = (int(z) + _LONG_GOLDEN) & _LONG_WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _LONG_WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _LONG_WORD
    return z ^ (z >> 31)


def _lowbias32(x):
    """Return 32 random bits for each of an array of uint32."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def _keep_lanes(values, unit, low, high, threshold):
    """Return a vector with zeros in the dropped lanes; its first lane is `unit`, its row's bits are `low` and `high`.

    Numba would widen the integers of a loop to 64 bits, and vectors have no fast 64-bit multiplication.
    """
    units = np.arange(unit, unit + len(values)).astype(np.uint32)
    bits = _lowbias32(_lowbias32(units * np.uint32(_GOLDEN) + np.uint32(low)) ^ np.uint32(high))
    return np.where(bits >= threshold, values, values.dtype.type(0))


@primitive(_keep_lanes)
def keep_lanes(typingctx, values, unit, low, high, threshold):
    """Type and lower `_keep_lanes`."""
    if not isinstance(values, Vector):
        return None
    word, count = ir.IntType(32), values.lanes
    words = ir.VectorType(word, count)

    def constant(number):
        return ir.Constant(words, [ir.Constant(word, number)] * count)

    def spread(builder, number):
        undefined = ir.Constant(words, ir.Undefined)
        first = builder.insert_element(undefined, builder.trunc(number, word), ir.Constant(word, 0))
        return builder.shuffle_vector(first, undefined, constant(0))

    def lowbias32(builder, x):
        x = builder.mul(builder.xor(x, builder.lshr(x, constant(16))), constant(0x7FEB352D))
        x = builder.mul(builder.xor(x, builder.lshr(x, constant(15))), constant(0x846CA68B))
        return builder.xor(x, builder.lshr(x, constant(16)))

    def lower(context, builder, sig, args):
        vector, *numbers = args
        unit, low, high, threshold = (spread(builder, number) for number in numbers)
        units = builder.add(unit, ir.Constant(words, [ir.Constant(word, k) for k in range(count)]))
        bits = lowbias32(builder, builder.add(builder.mul(units, constant(_GOLDEN)), low))
        bits = lowbias32(builder, builder.xor(bits, high))
        kept = builder.icmp_unsigned(">=", bits, threshold)
        return builder.select(kept, vector, ir.Constant(vector.type, None))

    return values(values, types.int64, types.int64, types.int64, types.int64), lower


def dropout(out, x, p, seed, number, sequences, steps, n_jobs=None):
    """Write x to `out`, elements zeroed with probability `p` and the others times 1 / (1 − p).

    The backward pass is the same function of the gradient, with the same counters.

    Parameters
    ----------
    out, x : ndarray (R, n)
        Contiguous; may be the same array.
    p : float
        At least 0 and below 1.
    seed, number : int
        The seed, and the number of the pass in training: both below 2⁶³.
    sequences, steps : ndarray (R,) of int32
        The sequence and the step of each row.
    n_jobs : int or None, default=None
    """
    _drop(out, x, p, 1 / (1 - p), seed, number, sequences, steps, n_jobs)


def keep_mask(out, p, kept, seed, number, sequences, steps, n_jobs=None):
    """Write 0 to the elements of `out` that `dropout` would zero, and the number `kept` to the others.

    Parameters
    ----------
    out : ndarray (R, n)
        Contiguous.
    p : float
    kept : float
        1 / (1 − p) for a factor that keeps the expectation.
    seed, number, sequences, steps, n_jobs
        As in `dropout`.
    """
    out.fill(kept)
    _drop(out, out, p, 1.0, seed, number, sequences, steps, n_jobs)


def _drop(out, x, p, scale, seed, number, sequences, steps, n_jobs):
    """Run `drop_rows` on as many threads as pay."""
    scale, threshold = out.dtype.type(scale), min(round(p * 2**32), _WORD)
    parts = split(len(x), worth(n_jobs, _FLOPS_PER_ELEMENT * x.size))
    run_kernel(drop_rows, [(out, x, scale, threshold, seed, number, sequences, steps, *part) for part in parts])


@kernel
def drop_rows(board, thread, out, x, scale, threshold, seed, number, sequences, steps, begin, end):
    """Compute out = x · scale where an element is kept, 0 elsewhere, for the rows `begin` to `end - 1`."""
    # out, x (R, n), sequences, steps (R,)
    enter(board, thread)
    units = x.shape[1]
    whole = units - units % lanes(x)
    key = np.uint64(splitmix64(int(np.uint64(seed)) + int(np.uint64(number)) * _LONG_GOLDEN))
    for row in range(begin, end):
        bits = splitmix64(key ^ np.uint64(np.int64(sequences[row]) << 32 | steps[row]))
        low, high = np.int64(bits & _WORD), np.int64(bits >> 32)
        start = row * units
        for unit in range(0, whole, lanes(x)):
            values = load(x, start + unit) * scale
            store(out, start + unit, keep_lanes(values, unit, low, high, threshold))
        if whole < units:
            values = load_first(x, start + whole, units - whole) * scale
            store_first(out, start + whole, keep_lanes(values, whole, low, high, threshold), units - whole)
    leave(board, thread)
