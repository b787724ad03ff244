"""A vector of floating-point lanes for compiled code, and the functions on it that recurrent cells need.

Loops over several arrays often stay scalar, for want of alias information, and LLVM prefers 256-bit vectors for them.
An explicit vector type has neither problem. A vector lives in one register of 512 bits on AVX-512, 256 bits on AVX2
and 128 bits elsewhere: 16, 8 or 4 lanes of float32, half as many of float64.

Everything here works on three kinds of value: on vectors and on scalars in compiled code, and on NumPy arrays in plain
Python (``NUMBA_DISABLE_JIT=1``, and the checks of gradients in float64).
"""

from fastrnn.simd.functions import (
    exp,
    fmuladd,
    max_lanes,
    positive,
    relu,
    sigmoid,
    sigmoid_slope,
    sigmoids,
    sqrt,
    sum_lanes,
    tanh,
    tanh_slope,
    zero,
)
from fastrnn.simd.memory import (
    add_many,
    array_pointer,
    emit_load_many,
    lanes,
    lanes_of,
    load,
    load_first,
    load_vector,
    store,
    store_first,
    store_many,
    store_vector,
    vector_of,
)
from fastrnn.simd.vector import Primitive, Vector, primitive, spread_lanes

__all__ = [
    "Primitive",
    "Vector",
    "add_many",
    "array_pointer",
    "emit_load_many",
    "exp",
    "fmuladd",
    "lanes",
    "lanes_of",
    "load",
    "load_first",
    "load_vector",
    "max_lanes",
    "positive",
    "primitive",
    "relu",
    "sigmoid",
    "sigmoid_slope",
    "sigmoids",
    "spread_lanes",
    "sqrt",
    "store",
    "store_first",
    "store_many",
    "store_vector",
    "sum_lanes",
    "tanh",
    "tanh_slope",
    "vector_of",
    "zero",
]
