"""Matrix products: cuBLAS on a GPU, NumPy in the simulator."""

import functools

import numpy as np

from fastrnn.cuda.gpu import device


def gemm(c, a, b, *, transpose_a=False, transpose_b=False, add=False, precision="highest"):
    """Compute c = op(a) · op(b), or add the product to c.

    Parameters
    ----------
    c : Matrix or Array (M, N)
    a : Matrix or Array (M, K), or (K, M) if `transpose_a`
    b : Matrix or Array (K, N), or (N, K) if `transpose_b`
    transpose_a, transpose_b : bool, default=False
    add : bool, default=False
        Whether the product is added to c.
    precision : {"highest", "high", "medium"}, default="highest"
        float32, tf32, or bfloat16 products with float32 sums, as in ``torch.set_float32_matmul_precision``. Products
        of float64 are float64.
    """
    rows, columns = c.shape
    depth = a.shape[0] if transpose_a else a.shape[1]
    if not rows or not columns:
        return
    if device().is_simulated:
        _simulated(c.values, a.values, b.values, transpose_a, transpose_b, add)
    else:
        sizes, places = (rows, columns, depth), [(matrix.address, _stride(matrix)) for matrix in (c, a, b)]
        _cublas(*places, sizes, transpose_a, transpose_b, add, c.dtype, precision)


class Matrix:
    """Some columns of the rows of an array: what a product reads or writes in place.

    Parameters
    ----------
    array : Array (rows, stride)
    first, columns : int
        The first column, and their number; the default is all.
    begin, end : int
        The rows; the default is all.
    """

    __slots__ = ("dtype", "first", "rows", "shape", "source", "stride")

    def __init__(self, array, first=0, columns=None, begin=0, end=None):
        end = array.shape[0] if end is None else end
        self.stride, self.dtype = array.shape[1], array.dtype
        self.shape = end - begin, self.stride if columns is None else columns
        self.source, self.first, self.rows = array, first, (begin, end)

    @property
    def address(self):
        """Address of the first element on the device."""
        return self.source.address + (self.rows[0] * self.stride + self.first) * self.dtype.itemsize

    @property
    def values(self):
        """The elements, in the simulator: a view."""
        return self.source.values[slice(*self.rows), self.first : self.first + self.shape[1]]


class RowProduct:
    """The product of some rows of a matrix with a weight, prepared for many numbers of rows.

    ``product(c_row, a_row, rows)`` computes c = a · op(b), or adds the product to c, for so many rows: of c from the
    row `c_row` on, of a from the row `a_row` on.

    Parameters
    ----------
    c : Matrix (·, N)
    a : Matrix (·, K)
    b : Matrix or Array (K, N), or (N, K) if `transpose_b`
    transpose_b, add, precision
        As in `gemm`.
    """

    def __init__(self, c, a, b, *, transpose_b=False, add=False, precision="highest"):
        self._matrices, self._transpose_b, self._add = (c, a, b), transpose_b, add
        self._precision, self._is_simulated = precision, device().is_simulated
        self._sizes = c.shape[1], a.shape[1]
        if not self._is_simulated:
            self._places = [(matrix.address, _stride(matrix)) for matrix in (c, a, b)]

    def __call__(self, c_row, a_row, rows):
        """Compute the product of some rows."""
        c, a, b = self._matrices
        if self._is_simulated:
            own = c.values[c_row : c_row + rows], a.values[a_row : a_row + rows], b.values
            _simulated(*own, False, self._transpose_b, self._add)
            return
        (c_address, c_stride), (a_address, a_stride), place = self._places
        own = [
            (c_address + c_row * c_stride * c.dtype.itemsize, c_stride),
            (a_address + a_row * a_stride * a.dtype.itemsize, a_stride),
        ]
        _cublas(*own, place, (rows, *self._sizes), False, self._transpose_b, self._add, c.dtype, self._precision)


def _simulated(c, a, b, transpose_a, transpose_b, add):
    a, b = a.T if transpose_a else a, b.T if transpose_b else b
    product = np.einsum("mk,kn->mn", a, b)
    if add:
        product = c + product
    c[...] = product


def _stride(matrix):
    return matrix.stride if isinstance(matrix, Matrix) else matrix.shape[1]


@functools.cache
def _constants(dtype):
    """Return 0 and 1 as cuBLAS takes them: addresses of numbers on the host, and the array that holds them."""
    numbers = np.array([0, 1], dtype)
    return numbers.ctypes.data, numbers.ctypes.data + numbers.itemsize, numbers


@functools.cache
def _handle(found):
    """Return the handle of cuBLAS, and the memory that it computes in: it allocates none while a graph is captured."""
    handle, workspace = found.cublas.create(), found.pool.take(found.cublas_workspace)
    found.cublas.set_stream(handle, found.stream)  # before the workspace, which it resets
    found.cublas.set_workspace(handle, workspace.address, found.cublas_workspace)
    return handle, workspace


@functools.cache
def _kinds(compute, dtype, precision):
    """Return cuBLAS' type of numbers and of computation, of which `compute` has the names."""
    if dtype == np.float64:
        return 1, int(compute.COMPUTE_64F)  # CUDA_R_64F
    names = {"highest": "COMPUTE_32F", "high": "COMPUTE_32F_FAST_TF32", "medium": "COMPUTE_32F_FAST_16BF"}
    return 0, int(getattr(compute, names[precision]))  # CUDA_R_32F


def _cublas(c, a, b, sizes, transpose_a, transpose_b, add, dtype, precision):
    """Run cuBLAS, which has columns where we have rows: it computes cᵀ = op(b)ᵀ · op(a)ᵀ.

    Each of c, a and b is an address and the elements from a row to the next one.
    """
    found, (rows, columns, depth) = device(), sizes
    kind, compute = _kinds(found.cublas.ComputeType, dtype, precision)
    zero, one, _ = _constants(dtype)
    with found.lock:
        found.make_current()
        handle, _ = _handle(found)
        found.cublas.gemm_ex(
            handle, int(transpose_b), int(transpose_a), columns, rows, depth, one, b[0], kind, b[1], a[0], kind, a[1],
            one if add else zero, c[0], kind, c[1], compute, -1,
        )  # fmt: skip
