import numpy as np
import pytest

from fastrnn.kernels.embedding import embedding_backward, embedding_forward
from tests import reference_dense as reference


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("padding_idx", [-1, 2])
def test_forward_and_backward(dtype, padding_idx):
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((7, 5)).astype(dtype)
    ids = np.array([2, 0, 2, 6, 6, 2])
    out = np.full((6, 5), np.nan, dtype)
    embedding_forward(out, weight, ids)
    np.testing.assert_array_equal(out, reference.embedding(weight, ids).astype(dtype))
    dout, dweight = rng.standard_normal((6, 5)).astype(dtype), np.ones((7, 5), dtype)
    embedding_backward(dweight, dout, ids, padding_idx)
    expected = 1 + reference.embedding_gradient((7, 5), ids, dout, padding_idx)
    np.testing.assert_allclose(dweight, expected, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


def test_factors_of_vectors():
    rng = np.random.default_rng(0)
    weight, dout, factors = rng.standard_normal((4, 5)), rng.standard_normal((3, 5)), rng.random((4, 1))
    out, dweight, ids = np.empty((3, 5)), np.zeros((4, 5)), np.array([3, 0, 3])
    embedding_forward(out, weight, ids, factors)
    np.testing.assert_array_equal(out, weight[ids] * factors[ids])
    embedding_backward(dweight, dout, ids, -1, factors)
    np.testing.assert_allclose(
        dweight, reference.embedding_gradient((4, 5), ids, dout * factors[ids], None), rtol=1e-14
    )


def test_no_ids():
    weight, none = np.ones((3, 2), "f4"), np.empty(0, np.int64)
    embedding_forward(np.empty((0, 2), "f4"), weight, none)
    embedding_backward(weight, np.empty((0, 2), "f4"), none, -1)
    assert (weight == 1).all()
