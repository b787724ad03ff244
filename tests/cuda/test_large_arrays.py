"""Sizes beyond one launch of a GPU: results equal the CPU's, and repeat to the bit."""

import numpy as np
import pytest

from fastrnn import kernels
from tests.cuda.comparing import assert_equal_to_cpu

pytestmark = pytest.mark.gpu
ROWS, UNITS = 16_000, 650


def random(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def test_gradients_of_frequent_words(ops):
    ids = np.minimum(np.random.default_rng(0).zipf(1.2, ROWS), 9_999)
    dout, weight = random(ROWS, UNITS), random(10_000, UNITS)
    results = []
    for _ in range(3):
        dweight = ops.asarray(weight)
        ops.embedding_backward(dweight, ops.asarray(dout), ids, -1)
        results.append(ops.to_numpy(dweight))
    exact = weight.astype(np.float64)
    np.add.at(exact, ids, dout)
    np.testing.assert_allclose(results[0], exact, rtol=1e-5, atol=1e-3)
    for again in results[1:]:
        np.testing.assert_array_equal(again, results[0])


def test_masks_of_dropout(ops):
    x, steps, sequences = random(ROWS, UNITS), *np.divmod(np.arange(ROWS, dtype=np.int32), 64)
    expected, out = np.empty_like(x), ops.empty(x.shape, "float32")
    kernels.dropout(expected, x, 0.4, 3, 1, sequences, steps)
    ops.dropout(out, ops.asarray(x), 0.4, 3, 1, sequences, steps)
    np.testing.assert_array_equal(ops.to_numpy(out), expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows_and_joins(ops, axis):
    array = random(40, 300, 257)
    rows = np.random.default_rng(0).integers(0, array.shape[axis], 500)
    taken = ops.take_rows(ops.asarray(array), rows, axis)
    np.testing.assert_array_equal(ops.to_numpy(taken), array.take(rows, axis))
    joined = ops.concatenate([ops.asarray(array), taken], axis)
    np.testing.assert_array_equal(ops.to_numpy(joined), np.concatenate([array, array.take(rows, axis)], axis))


def test_attention_and_maxima(ops):
    y, lengths = random(250, 64, 512), np.random.default_rng(0).integers(0, 251, 64)
    scores, dout = 5 * random(250, 64), random(64, 512)
    out, shares, dscores, dy = (np.zeros_like(array) for array in (dout, scores, scores, y))
    assert_equal_to_cpu(ops, "attention_pooling_forward", out, shares, y, scores, lengths, dtype="float32")
    kernels.attention_pooling_forward(out, shares, y, scores, lengths)
    kernels.attention_pooling_backward(dy, dscores, dout, shares, y, lengths)
    here = ops.empty(y.shape, "float32"), ops.empty(scores.shape, "float32")
    ops.attention_pooling_backward(*here, *map(ops.asarray, (dout, shares, y)), lengths)
    np.testing.assert_allclose(ops.to_numpy(here[0]), dy, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ops.to_numpy(here[1]), dscores, rtol=1e-3, atol=1e-5)  # differences of sums of 512
    maxima = ops.empty(dout.shape, "float32")
    where, expected = ops.max_pooling_forward(maxima, ops.asarray(y), lengths), np.empty_like(dout)
    np.testing.assert_array_equal(ops.to_numpy(where), kernels.max_pooling_forward(expected, y, lengths))
    np.testing.assert_array_equal(ops.to_numpy(maxima), expected)
