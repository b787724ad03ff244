"""Look-up of vectors, and the sums of their gradients."""

import numpy as np
import pytest

from tests.cuda.comparing import assert_equal_to_cpu


def random(*shape, dtype="float32"):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factors", [False, True])
@pytest.mark.parametrize("padding_idx", [-1, 2])
@pytest.mark.parametrize("columns", [1, 5])
def test_look_up_and_its_gradient(ops, columns, padding_idx, factors, dtype):
    weight, ids = random(7, columns, dtype=dtype), np.array([2, 0, 2, 6, 6, 2])
    given, dout = (random(7, 1, dtype=dtype) if factors else None), random(6, columns, dtype=dtype)
    assert_equal_to_cpu(ops, "embedding_forward", np.full_like(dout, np.nan), weight, ids, given, dtype=dtype)
    assert_equal_to_cpu(ops, "embedding_backward", weight, dout, ids, padding_idx, given, dtype=dtype)


def test_a_frequent_id_is_summed_in_pieces(ops, monkeypatch):
    """There are segments of one piece and of several; the shape of a launch changes no bit."""
    from fastrnn.cuda.gpu import device

    ids = np.random.default_rng(0).permutation(np.repeat([4, 0, 3, 9, 2], [700, 130, 64, 1, 65]))
    dout, weight = random(len(ids), 3, dtype="float64"), random(10, 3, dtype="float64")
    assert_equal_to_cpu(ops, "embedding_backward", weight, dout, ids, -1, dtype="float64")
    results = []
    for _ in range(2):
        dweight = ops.asarray(weight)
        ops.embedding_backward(dweight, ops.asarray(dout), ids, -1)
        results.append(ops.to_numpy(dweight))
        monkeypatch.setattr(device(), "blocks", 1)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("longest", [1, 64, 65, 5000])
def test_pieces_cover_their_segments_in_order(longest):
    from fastrnn.cuda.embedding import _cut

    rows, lengths = np.array([5, 3, 8, 1]), np.array([1, longest, 0, 40])
    begins, targets, long_rows, long_begins = _cut(rows, lengths)
    sizes = np.diff(begins)
    assert sizes.min() > 0
    assert sizes.max() <= max(64, int(longest**0.5))
    slot, total = 0, dict.fromkeys(rows, 0)
    for size, target in zip(sizes, targets, strict=True):
        if target < 0:
            assert target == -1 - slot
            target = long_rows[np.searchsorted(long_begins, slot, side="right") - 1]
            slot += 1
        total[target] += size
    assert list(total.values()) == lengths.tolist()
    assert slot == long_begins[-1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factors", [False, True])
def test_means_of_bags_and_their_gradient(ops, factors, dtype):
    weight, ids = random(8, 3, dtype=dtype), np.array([9, 1, 2, 1, 7, 0, *[1, 5] * 40, 9])
    offsets = np.array([1, 3, 3, 6, 86])  # neither all ids nor no empty bag
    given, dout = (random(4, 80, dtype=dtype) if factors else None), random(4, 3, dtype=dtype)
    if factors:
        given[2, 1] = 0
    assert_equal_to_cpu(ops, "bag_forward", np.full_like(dout, np.nan), weight, ids, given, offsets, dtype=dtype)
    assert_equal_to_cpu(ops, "bag_backward", weight, dout, ids, given, offsets, dtype=dtype)


def test_there_may_be_no_ids(ops):
    weight, none, offsets = random(3, 2), np.empty(0, np.int64), np.zeros(4, int)
    for name, *arguments in (
        ("embedding_forward", weight[:0], weight, none),
        ("embedding_backward", weight, weight[:0], none, -1),
        ("embedding_backward", weight, weight[:1], np.array([1]), 1),
        ("bag_forward", weight, weight, none, None, offsets),
        ("bag_backward", weight, weight, none, None, offsets),
    ):
        assert_equal_to_cpu(ops, name, *arguments, dtype="float64")
