"""Products of matrices on tensor cores, in the layouts that NVIDIA's PTX manual gives by element."""

import numpy as np
import pytest

from tests.cuda.emulator.collectives import product
from tests.cuda.emulator.conversions import from_bf16, to_bf16, to_tf32

pytestmark = pytest.mark.cpu
RNG = np.random.default_rng(0)


def rows_of_a(kind, k, lane, index):
    """Return row and column of element `index` of a lane's fragment of a, in the manual's words."""
    group, member = lane >> 2, lane % 4
    if kind == "tf32":
        return group + (8 if index % 2 else 0), member + (4 if index >= 2 else 0)
    high = index // 2 % 2  # elements 2, 3, 6, 7 of k16; 2, 3 of k8
    return group + 8 * high, member * 2 + (index & 1) + (8 if index >= 4 else 0)


def rows_of_b(kind, k, lane, index):
    """Return row and column of element `index` of a lane's fragment of b."""
    group, member = lane >> 2, lane % 4
    if kind == "tf32":
        return member + 4 * index, group
    return member * 2 + (index & 1) + (8 if index >= 2 else 0), group


def place_of_c(lane, index):
    """Return row and column of element `index` of a lane's fragment of c and of the result."""
    return (lane >> 2) + (8 if index >= 2 else 0), lane % 4 * 2 + (index & 1)


def fragments(matrix, place, count, kind, k):
    """Return the elements of each lane: (32, count)."""
    lanes = [[matrix[place(kind, k, lane, index)] for index in range(count)] for lane in range(32)]
    return np.array(lanes, np.float32)


@pytest.mark.parametrize(("kind", "k"), [("tf32", 4), ("tf32", 8), ("bf16", 8), ("bf16", 16)])
def test_products_of_fragments_are_those_of_the_matrices(kind, k):
    a, b = RNG.normal(0, 1, (16, k)).astype(np.float32), RNG.normal(0, 1, (k, 8)).astype(np.float32)
    c = RNG.normal(0, 1, (16, 8)).astype(np.float32)
    size = 16 * k // 32
    left, right = fragments(a, rows_of_a, size, kind, k), fragments(b, rows_of_b, size // 2, kind, k)
    if kind == "tf32":
        registers = [left.view(np.uint32), right.view(np.uint32)]
        truncated = [(x.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32) for x in (a, b)]
    else:
        registers = [to_bf16(x).view(np.uint32) for x in (left, right)]
        truncated = [from_bf16(to_bf16(x)) for x in (a, b)]
    added = np.array([[c[place_of_c(lane, index)] for index in range(4)] for lane in range(32)])
    found = product(kind, k, registers[0][None], registers[1][None], added[None])[0]
    expected = truncated[0].astype(np.float64) @ truncated[1] + c
    for lane in range(32):
        for index in range(4):
            np.testing.assert_allclose(found[lane, index], expected[place_of_c(lane, index)], rtol=1e-6, atol=1e-6)


def test_tf32_reads_the_upper_bits_only():
    ones = np.full((1, 32, 4), 1 + 2**-12, np.float32).view(np.uint32)
    found = product("tf32", 8, ones, ones[:, :, :2], np.zeros((1, 32, 4), np.float32))
    np.testing.assert_array_equal(found, np.full((1, 32, 4), 8, np.float32))
    np.testing.assert_array_equal(to_tf32(np.float32([1 + 2**-11])).view(np.float32), np.float32([1 + 2**-10]))
