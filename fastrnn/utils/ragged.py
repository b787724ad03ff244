"""Sequences of different lengths in one array: sequence i has ``values[offsets[i]:offsets[i + 1]]``."""

import itertools

import numpy as np


def offsets_of(lengths):
    """Return the offsets of sequences with some lengths (n,), int64 (n + 1,).

    Examples
    --------
    >>> offsets_of([2, 0, 3])
    array([0, 2, 2, 5])
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def parts_of(values, offsets):
    """Return the values of each sequence, a list; `values` is an array or a list.

    Examples
    --------
    >>> parts_of(["a", "b", "c"], np.array([0, 2, 2, 3]))
    [['a', 'b'], [], ['c']]
    """
    return [values[begin:end] for begin, end in itertools.pairwise(offsets.tolist())]


def place_of(n, offsets):
    """Return the sequence that has value `n` of all, and the place of the value in it.

    Examples
    --------
    >>> place_of(2, np.array([0, 2, 2, 3]))
    (2, 0)
    """
    sequence = int(np.searchsorted(offsets, n, side="right")) - 1
    return sequence, int(n - offsets[sequence])


def slices(begins, lengths):
    """Return the places of slices one after another, int64 (N,), and their offsets; slice i begins at begins[i].

    Examples
    --------
    >>> slices(np.array([5, 0]), np.array([2, 3]))
    (array([5, 6, 0, 1, 2]), array([0, 2, 5]))
    """
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths), offsets
