"""Products of parts of matrices."""

import numpy as np
import pytest


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_of_some_rows_and_columns(ops, add, transpose_b, dtype):
    from fastrnn.cuda.blas import Matrix, RowProduct

    c, a, b = (random(*shape, seed=k).astype(dtype) for k, shape in enumerate([(6, 7), (5, 6), (4, 3)]))
    b = np.ascontiguousarray(b.T) if transpose_b else b
    c_array, a_array, b_array = (ops.asarray(values) for values in (c, a, b))
    product = RowProduct(
        Matrix(c_array, 2, 3), Matrix(a_array, 1, 4), b_array, transpose_b=transpose_b, add=add, precision="highest"
    )
    for c_row, a_row, rows in ((0, 3, 2), (3, 0, 3), (5, 4, 0)):
        product(c_row, a_row, rows)
        expected = a[a_row : a_row + rows, 1:5] @ (b.T if transpose_b else b)
        own = c[c_row : c_row + rows, 2:5]
        own[...] = own + expected if add else expected
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(ops.to_numpy(c_array), c, rtol=tolerance, atol=tolerance)
