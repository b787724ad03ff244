"""Masks from counters in NumPy, written from the formula; nothing of fastrnn is imported."""

import numpy as np


def splitmix64(x):
    """Return 64 random bits for each integer: the first output of the generator that starts with it."""
    z = np.atleast_1d(np.asarray(x, np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def lowbias32(x):
    """Return 32 random bits for each uint32."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def bits(seed, number, sequences, steps, units):
    """Return the random bits of elements, uint32 (R, n): one row for each sequence and step, `units` units each."""
    key = splitmix64([(seed + 0x9E3779B97F4A7C15 * number) % 2**64])
    rows = splitmix64(key ^ (np.asarray(sequences, np.uint64) << np.uint64(32) | np.asarray(steps, np.uint64)))
    low, high = (rows & np.uint64(0xFFFFFFFF)).astype(np.uint32), (rows >> np.uint64(32)).astype(np.uint32)
    products = np.arange(units, dtype=np.uint32) * np.uint32(0x9E3779B9)
    return lowbias32(lowbias32(products + low[:, None]) ^ high[:, None])


def kept(p, seed, number, sequences, steps, units):
    """Return which elements dropout with probability `p` keeps, bool (R, n)."""
    return bits(seed, number, sequences, steps, units) >= min(round(p * 2**32), 2**32 - 1)
