"""The dense layer y = x·Wᵀ + b, its gradient, and the activation functions after it."""

import numpy as np

from fastrnn._jit import kernel
from fastrnn._memory import aligned, borrow_room, give_back
from fastrnn.kernels.gemm import PANEL_VECTORS, Strides, gemm, pack, packed_size, scratch_size
from fastrnn.kernels.threads import compiled_for, enter, leave, run_kernel, split, worth
from fastrnn.simd import lanes, lanes_of, load_first, sigmoid, store_first, sum_lanes, tanh

FEW_ROWS = 4  # up to this number of rows of x, packing W costs more than the product with it
_compiled = {}  # entry point of `gemm` for each type of its matrices


def product(c, a, b, n_jobs=None):
    """Compute C += A·B on several threads; the result does not depend on their number.

    Parameters
    ----------
    c : ndarray (M, N)
        C-contiguous.
    a : ndarray (M, K)
    b : ndarray (K, N)
        Of the type of `c`; views with any positive strides are read in place.
    n_jobs : int or None
    """
    rows, depth = a.shape
    columns = b.shape[1]
    a_strides, b_strides = ([stride // c.itemsize for stride in matrix.strides] for matrix in (a, b))
    flat_c, flat_a, flat_b = c.reshape(-1), _flat(a), _flat(b)
    threads = worth(n_jobs, 2 * rows * columns * depth)
    room = borrow_room(c.dtype)
    slices = room.take("product panels", threads, scratch_size(c.dtype))
    calls = []
    if columns > rows:  # no thread packs what another one packs
        for (begin, end), own in zip(split(columns, threads, PANEL_VECTORS * lanes_of(c)), slices, strict=False):
            calls.append((flat_c, Strides(begin, columns, 1), flat_a, Strides(0, *a_strides), flat_b,
                          Strides(begin * b_strides[1], *b_strides), rows, end - begin, depth, own))  # fmt: skip
    else:
        for (begin, end), own in zip(split(rows, threads), slices, strict=False):
            calls.append((flat_c, Strides(begin * columns, columns, 1), flat_a,
                          Strides(begin * a_strides[0], *a_strides), flat_b, Strides(0, *b_strides), end - begin,
                          columns, depth, own))  # fmt: skip
    key = tuple((matrix.dtype, matrix.flags.writeable, matrix.flags.aligned) for matrix in (c, a, b))
    run_kernel(_compiled.get(key, gemm), calls)
    if key not in _compiled:
        _compiled[key] = compiled_for(gemm, calls[0])
    give_back(room)


def _flat(matrix):
    """Return the memory that a view of positive strides spans as a one-dimensional array, without a copy."""
    for view in (matrix, matrix.T):
        if view.flags.c_contiguous:
            return view.reshape(-1)
    if matrix.size == 0:
        return np.empty(0, matrix.dtype)
    span = sum((n - 1) * stride for n, stride in zip(matrix.shape, matrix.strides, strict=True)) // matrix.itemsize
    return np.lib.stride_tricks.as_strided(matrix, (span + 1,), (matrix.itemsize,))


@kernel
def dot_rows(board, thread, y, x, weight, begin, end):
    """Add x·Wᵀ to the columns `begin` to `end - 1` of y, as one dot product each: W is read once and not packed."""
    # y (M, N), x (M, K), weight (N, K)
    enter(board, thread)
    depth = weight.shape[1]
    for n in range(begin, end):
        for m in range(len(x)):
            total = load_first(x, m * depth, depth) * load_first(weight, n * depth, depth)
            for k in range(lanes(x), depth, lanes(x)):
                total += load_first(x, m * depth + k, depth - k) * load_first(weight, n * depth + k, depth - k)
            y[m, n] += sum_lanes(total)
    leave(board, thread)


def dense_forward(y, x, weight, bias, n_jobs=None, by_rows=False):
    """Compute y = x·Wᵀ + b; `bias` may be None.

    Few rows are computed in a faster way, which adds in another order. `by_rows` avoids it, so that a row's bits do not
    depend on the number of rows.
    """
    # y (M, N), x (M, K), weight (N, K), bias (N,)
    y[...] = 0 if bias is None else bias
    if by_rows or len(x) > FEW_ROWS:
        product(y, x, weight.T, n_jobs)
        return
    threads = worth(n_jobs, 4 * weight.size)  # reading W takes longer than multiplying with it
    run_kernel(dot_rows, [(y, x, weight, begin, end) for begin, end in split(len(weight), threads)])


def dense_backward(dx, dweight, dbias, dy, x, weight, n_jobs=None):
    """Compute dx = dy·W, dweight += dyᵀ·x and dbias += the sum of dy over its rows; `dbias` may be None."""
    # dx (M, K), dweight (N, K), dbias (N,), dy (M, N), x (M, K), weight (N, K)
    dx.fill(0)
    product(dx, dy, weight, n_jobs)
    product(dweight, dy.T, x, n_jobs)
    if dbias is not None:
        dbias += dy.sum(axis=0)


def pack_logit_map(weight, bias):
    """Return a weight (V, H) packed for products, and the bias (V,) padded to whole vectors, for `generate`."""
    classes, features = weight.shape
    panels = aligned(packed_size(features, classes, weight.dtype), weight.dtype)
    pack(panels, weight, Strides(0, 1, features), features, classes)
    padded = np.zeros(panels.size // features, weight.dtype)
    padded[:classes] = bias
    return panels, padded


def activate(y, activation):
    """Replace y by its activation "relu", "tanh" or "sigmoid", in place."""
    if activation == "relu":
        np.maximum(y, 0, out=y)
    else:
        _squash(y.reshape(-1), activation == "tanh")


@kernel
def _squash(y, hyperbolic):
    """Replace y (N,) by tanh(y) or sigmoid(y)."""
    for i in range(0, y.size, lanes(y)):
        value = load_first(y, i, y.size - i)
        store_first(y, i, tanh(value) if hyperbolic else sigmoid(value), y.size - i)


def activation_gradient(dy, y, activation):
    """Return dy times the slope of the activation, which is computed from its value y."""
    if activation == "relu":
        return dy * (y > 0)
    return dy * (1 - y * y) if activation == "tanh" else dy * (y * (1 - y))
