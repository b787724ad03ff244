"""Masks from counters have the bits that the CPU's have."""

import numpy as np
import pytest

from fastrnn import kernels

SEQUENCES = np.array([0, 1, 7, 2**31 - 1, 3], np.int32)
STEPS = np.array([0, 9, 2**31 - 1, 0, 1], np.int32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("seed", "number"), [(0, 0), (2**31 - 1, 5), (3 << 32, 2**40), (2**63 - 1, 2**62)])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.999])
def test_masks_equal_those_of_the_cpu(ops, dtype, seed, number, p):
    x = np.random.default_rng(0).standard_normal((5, 7)).astype(dtype)
    expected, out = np.empty_like(x), ops.empty(x.shape, dtype)
    kernels.dropout(expected, x, p, seed, number, SEQUENCES, STEPS)
    ops.dropout(out, ops.asarray(x), p, seed, number, SEQUENCES, STEPS)
    np.testing.assert_array_equal(ops.to_numpy(out), expected)
    kernels.keep_mask(expected, p, 2.5, seed, number, SEQUENCES, STEPS)
    ops.keep_mask(out, p, 2.5, seed, number, SEQUENCES, STEPS)
    np.testing.assert_array_equal(ops.to_numpy(out), expected)


def test_units_and_rows_beyond_a_launch(ops):
    """More of both than there are threads, in place, and in another order of rows."""
    x, order = np.ones((40, 33), np.float32), np.random.default_rng(0).permutation(40)
    steps, sequences = np.divmod(np.arange(40, dtype=np.int32), 5)
    expected, out = np.empty_like(x), ops.asarray(x)
    kernels.dropout(expected, x, 0.4, 3, 1, sequences, steps)
    ops.dropout(out, out, 0.4, 3, 1, sequences[order], steps[order])
    np.testing.assert_array_equal(ops.to_numpy(out), expected[order])


def test_there_may_be_no_rows(ops):
    none = np.zeros(0, np.int32)
    ops.dropout(ops.empty((0, 3), "float32"), ops.empty((0, 3), "float32"), 0.5, 0, 0, none, none)
