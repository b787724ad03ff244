"""The dense layer y = x·Wᵀ + b, its gradient, and the activation functions after it, as in `fastrnn.kernels.dense`."""

from numba import cuda

from fastrnn.cuda.arrays import empty_like
from fastrnn.cuda.blas import gemm
from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.reductions import add_columns
from fastrnn.simd import sigmoid, sigmoid_slope, tanh, tanh_slope

_KINDS = {"relu": 0, "tanh": 1, "sigmoid": 2}


def product(c, a, b, n_jobs=None, precision="highest"):
    """Compute C += A·B.

    Parameters
    ----------
    c : Array (M, N)
    a : Array (M, K)
    b : Array (K, N)
    n_jobs : int or None
    precision : str
        As in `fastrnn.cuda.blas.gemm`.
    """
    gemm(c, a, b, add=True, precision=precision)


def dense_forward(y, x, weight, bias, n_jobs=None, by_rows=False, precision="highest"):
    """Compute y = x·Wᵀ + b; `bias` may be None.

    The order in which cuBLAS adds depends on the number of rows. `by_rows` avoids it.
    """
    # y (M, N), x (M, K), weight (N, K), bias (N,)
    if by_rows:
        _by_rows.over(y.size, y, x, weight, bias)
        return
    if bias is not None:
        _write_to_rows.over(y.size, y, bias)
    gemm(y, x, weight, transpose_b=True, add=bias is not None, precision=precision)


@kernel
def _by_rows(y, x, weight, bias):
    # y (M, N), x (M, K), weight (N, K), bias (N,) or None
    columns = y.shape[1]
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        m, n = i // columns, i % columns
        added = y.dtype.type(0) if bias is None else bias[n]
        for k in range(x.shape[1]):
            added += x[m, k] * weight[n, k]
        y[m, n] = added


@kernel
def _write_to_rows(y, values):
    # y (M, N), values (N,)
    columns = y.shape[1]
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i // columns, i % columns] = values[i % columns]


def dense_backward(dx, dweight, dbias, dy, x, weight, n_jobs=None, precision="highest"):
    """Compute dx = dy·W, dweight += dyᵀ·x and dbias += the sum of dy over its rows; `dbias` may be None."""
    # dx (M, K), dweight (N, K), dbias (N,), dy (M, N), x (M, K), weight (N, K)
    gemm(dx, dy, weight, precision=precision)
    gemm(dweight, dy, x, transpose_a=True, add=True, precision=precision)
    if dbias is not None:
        add_columns(dbias, dy)


def pack_logit_map(weight, bias):
    """Return a weight (V, H) and a bias (V,) as `generate` takes them: the arrays themselves."""
    return weight, bias


def activate(y, activation):
    """Replace y by its activation "relu", "tanh" or "sigmoid", in place."""
    _activate.over(y.size, y.line, _KINDS[activation])


@kernel
def _activate(y, kind):
    # y (n,)
    zero = y.dtype.type(0)
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        if kind == 0:
            if y[i] < zero:  # NaN stays
                y[i] = zero
        else:
            y[i] = tanh(y[i]) if kind == 1 else sigmoid(y[i])


def activation_gradient(dy, y, activation):
    """Return dy times the slope of the activation, which is computed from its value y."""
    out = empty_like(dy)
    flat = [array.line for array in (out, dy, y)]
    _activation_gradient.over(y.size, *flat, _KINDS[activation])
    return out


@kernel
def _activation_gradient(out, dy, y, kind):
    # out, dy, y (n,)
    zero, one = y.dtype.type(0), y.dtype.type(1)
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        if kind == 0:
            out[i] = dy[i] * (one if y[i] > zero else zero)
        else:
            out[i] = dy[i] * (tanh_slope(y[i]) if kind == 1 else sigmoid_slope(y[i]))
