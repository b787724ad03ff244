"""Elementary functions of scalars for NVIDIA GPUs, in place of the vector code of `fastrnn.simd`.

Kernels and cells call the functions of `fastrnn.simd`. Once this module is imported, Numba's CUDA target takes the code
here for them, which names this target; other targets do not see it. A special function unit computes 2^x and 1/x in one
instruction, where vector code needs a polynomial.

In float32, sigmoid and tanh are at most 3e-7 off; exp and sqrt are as exact as libdevice's. NaN stays NaN, and infinite
arguments have their limits.
"""

import math

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic, overload

from fastrnn import simd


def _instruction(name):
    """Build a function of a float32 that is one instruction."""

    @intrinsic
    def call(typingctx, x):
        def lower(context, builder, sig, args):
            number = ir.FloatType()
            code = ir.InlineAsm(ir.FunctionType(number, [number]), f"{name} $0, $1;", "=f,f")
            return builder.call(code, args)

        return types.float32(types.float32), lower

    return call


# At most 2 and 1 units in the last place off. Subnormal numbers are 0.
_exp2, _inverse = _instruction("ex2.approx.ftz.f32"), _instruction("rcp.approx.ftz.f32")


def _of_scalars(function):
    """Register the code of a function for scalars: the decorated function returns it for a type of numbers."""

    def register(choose):
        @overload(function, target="cuda")
        def _code(x):
            return choose(x) if isinstance(x, types.Float) else None

        return choose

    return register


def _constants(number, *values):
    """Return constants of a type of numbers: a literal would widen float32."""
    return [number.cast_python_value(value) for value in values]


@_of_scalars(simd.exp)
def _exp(number):
    return lambda x: math.exp(x)


@_of_scalars(simd.sqrt)
def _sqrt(number):
    return lambda x: math.sqrt(x)


@_of_scalars(simd.sigmoid)
def _sigmoid(number):
    one, scale = _constants(number, 1, -math.log2(math.e))
    if number == types.float32:
        return lambda x: _inverse(one + _exp2(scale * x))
    return lambda x: one / (one + math.exp(-x))


@_of_scalars(simd.tanh)
def _tanh(number):
    if number == types.float32:
        one, scale = _constants(number, 1, -2 * math.log2(math.e))

        def tanh(x):
            power = _exp2(scale * abs(x))  # at most 1, so that errors stay small
            return math.copysign((one - power) * _inverse(one + power), x)

        return tanh
    return lambda x: math.tanh(x)


@_of_scalars(simd.relu)
def _relu(number):
    (zero,) = _constants(number, 0)
    return lambda x: zero if x < zero else x


@_of_scalars(simd.positive)
def _positive(number):
    zero, one = _constants(number, 0, 1)
    return lambda x: one if x > zero else zero


@_of_scalars(simd.sigmoid_slope)
def _sigmoid_slope(number):
    (one,) = _constants(number, 1)
    return lambda x: x * (one - x)


@_of_scalars(simd.tanh_slope)
def _tanh_slope(number):
    (one,) = _constants(number, 1)
    return lambda x: one - x * x


@_of_scalars(simd.zero)
def _zero(number):
    (zero,) = _constants(number, 0)
    return lambda x: zero


@overload(simd.sigmoids, target="cuda")
def _sigmoids(xs):
    if not (isinstance(xs, types.UniTuple) and isinstance(xs.dtype, types.Float)):
        return None
    if len(xs) == 2:
        return lambda xs: (simd.sigmoid(xs[0]), simd.sigmoid(xs[1]))
    return lambda xs: (simd.sigmoid(xs[0]), simd.sigmoid(xs[1]), simd.sigmoid(xs[2]))
