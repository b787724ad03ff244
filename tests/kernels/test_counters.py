import numpy as np
import pytest

from fastrnn.kernels.counters import dropout, keep_mask, splitmix64
from tests import reference_counters as reference

SEQUENCES = np.array([0, 1, 7, 2**31 - 1, 3], np.int32)
STEPS = np.array([0, 9, 2**31 - 1, 0, 1], np.int32)


def masks(seed, number, n_sequences, n_steps, units, p=0.5):
    """Return masks (sequences, steps, units) of zeros and ones."""
    sequences, steps = np.divmod(np.arange(n_sequences * n_steps, dtype=np.int32), n_steps)
    mask = np.empty((len(steps), units), np.float32)
    keep_mask(mask, p, 1.0, seed, number, sequences, steps)
    return mask.reshape(n_sequences, n_steps, units)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [1, 7, 16, 53])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.999])
def test_masks_equal_the_formula(dtype, units, p):
    x = np.random.default_rng(0).standard_normal((5, units)).astype(dtype)
    for seed, number in ((0, 0), (2**31 - 1, 5), (3 << 32, 2**40)):
        expected = reference.kept(p, seed, number, SEQUENCES, STEPS, units)
        out = np.full_like(x, np.nan)
        dropout(out, x, p, seed, number, SEQUENCES, STEPS, 1)
        np.testing.assert_array_equal(out, np.where(expected, x * x.dtype.type(1 / (1 - p)), 0))
        keep_mask(out, p, 2.5, seed, number, SEQUENCES, STEPS, 1)
        np.testing.assert_array_equal(out, 2.5 * expected)


def test_the_hash_of_rows_is_the_published_one():
    for x, expected in ((0, 0xE220A8397B1DCDAF), (1234567, 6457827717110365317)):
        assert int(reference.splitmix64(x)[0]) == expected
        assert int(splitmix64(np.uint64(x))) == expected


def test_threads_and_the_order_of_rows_change_nothing():
    x = np.random.default_rng(0).standard_normal((3000, 100)).astype(np.float32)
    steps, sequences = np.divmod(np.arange(3000, dtype=np.int32), 20)
    one, several, shuffled = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    dropout(one, x, 0.4, 3, 1, sequences, steps, 1)
    dropout(several, x, 0.4, 3, 1, sequences, steps, 3)
    np.testing.assert_array_equal(several, one)
    order = np.random.default_rng(1).permutation(3000)
    dropout(shuffled, x[order], 0.4, 3, 1, sequences[order], steps[order], 1)
    np.testing.assert_array_equal(shuffled, one[order])
    dropout(x, x, 0.4, 3, 1, sequences, steps, 1)  # in place
    np.testing.assert_array_equal(x, one)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_masks_are_as_good_as_independent(p):
    """No share and no correlation of neighbours lies further from its expectation than 4.5 standard deviations."""
    first = masks(0, 1, 40, 50, 100, p)
    deviation = np.sqrt(p * (1 - p))
    others = {
        "pass": masks(0, 2, 40, 50, 100, p),
        "seed": masks(1, 1, 40, 50, 100, p),
        "kind": masks(1 << 32, 1, 40, 50, 100, p),
    }
    for name, mask in {"first": first, **others}.items():
        assert abs(mask.mean() - (1 - p)) < 4.5 * deviation / np.sqrt(mask.size), name
        for axis in range(3):
            rest = tuple({0, 1, 2} - {axis})
            shares = mask.mean(axis=rest)
            assert np.abs(shares - (1 - p)).max() < 4.5 * deviation / np.sqrt(mask.size / mask.shape[axis]), (
                name,
                axis,
            )

    def correlation(a, b):
        return abs(np.mean((a - (1 - p)) * (b - (1 - p)))) / deviation**2 * np.sqrt(a.size)

    for name, mask in others.items():
        assert correlation(first, mask) < 4.5, name
    for axis in range(3):
        moved = np.moveaxis(first, axis, 0)
        for lag in (1, 2, 16):
            assert correlation(moved[lag:], moved[:-lag]) < 4.5, (axis, lag)
