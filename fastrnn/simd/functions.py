"""Functions of vectors, scalars and NumPy arrays: reductions, exp, tanh, sigmoid and others that cells need."""

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from fastrnn.simd.vector import Vector, primitive, splat


def _sum_lanes(vector):
    """Return the sum of the lanes of a vector."""
    return vector.sum()


def _max_lanes(vector):
    """Return the largest lane of a vector."""
    return vector.max()


def _reduction(combine):
    """Build the lowering of a reduction that folds a vector in halves, so that its order is fixed."""

    def define(typingctx, vector):
        if not isinstance(vector, Vector):
            return None

        def lower(context, builder, sig, args):
            value, count = args[0], vector.lanes
            while count > 1:
                count //= 2
                indices = ir.VectorType(ir.IntType(32), count)
                low = builder.shuffle_vector(value, value, ir.Constant(indices, list(range(count))))
                high = builder.shuffle_vector(value, value, ir.Constant(indices, list(range(count, 2 * count))))
                value = combine(builder, low, high)
            return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

        return vector.dtype(vector), lower

    return define


sum_lanes = primitive(_sum_lanes)(_reduction(lambda builder, a, b: builder.fadd(a, b)))
max_lanes = primitive(_max_lanes)(
    _reduction(lambda builder, a, b: builder.select(builder.fcmp_unordered(">", a, b), a, b))  # keeps a NaN in a
)


def fmuladd(builder, a, b, c):
    """Emit a·b + c, fused where the machine can."""
    vector = a.type
    suffix = "f32" if vector.element == ir.FloatType() else "f64"
    name = f"llvm.fmuladd.v{vector.count}{suffix}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
    return builder.call(function, [a, b, c])


# ln 2 in two parts: the first has so few bits that an integer of the range times it is exact.
_LN2_TAIL = 2.3190468138462996e-17  # ln 2 minus the float64 nearest to it
_EXP_FORMATS = {  # bits: (mantissa bits, exponent bias, bits of the first part of ln 2, degree, smallest and largest x)
    32: (23, 127, 9, 7, -87.5, 89.0),
    64: (52, 1023, 33, 13, -708.5, 710.0),
}


def _emit_exp(builder, vector, x):
    """Emit exp(x) = 2^n · exp(r), with n = round(x / ln 2) and |r| <= ln(2) / 2, by Taylor's polynomial in r.

    Below the smallest argument the result is 0, above the largest it is infinity; NaN stays NaN. n is taken from the
    low bits of x / ln 2 + 1.5·2^mantissa, which needs no rounding instruction.
    """
    bits = vector.dtype.bitwidth
    mantissa, bias, head_bits, degree, smallest, largest = _EXP_FORMATS[bits]
    integers = ir.VectorType(ir.IntType(bits), vector.lanes)
    head = math.floor(math.log(2) * 2**head_bits) / 2**head_bits
    tail = math.log(2) - head + _LN2_TAIL
    x = builder.select(builder.fcmp_ordered(">", x, splat(vector, largest)), splat(vector, largest), x)
    x = builder.select(builder.fcmp_ordered("<", x, splat(vector, smallest)), splat(vector, smallest), x)
    magic = splat(vector, 1.5 * 2**mantissa)
    shifted = fmuladd(builder, x, splat(vector, 1 / math.log(2)), magic)
    n = builder.fsub(shifted, magic)
    r = fmuladd(builder, n, splat(vector, -head), x)
    r = fmuladd(builder, n, splat(vector, -tail), r)
    power = splat(vector, 1 / math.factorial(degree))
    for k in reversed(range(degree)):
        power = fmuladd(builder, power, r, splat(vector, 1 / math.factorial(k)))
    # 2^(n - 1) from its bits, doubled afterwards: 2^n itself overflows at the largest arguments.
    exponent = builder.add(builder.bitcast(shifted, integers), ir.Constant(integers, [bias - 1] * vector.lanes))
    scale = builder.shl(exponent, ir.Constant(integers, [mantissa] * vector.lanes))
    result = builder.fmul(power, builder.bitcast(scale, x.type))
    return builder.fadd(result, result)


# e^r = 1 + r·(…) for |r| <= ln(2) / 2 with the smallest relative error of its degree, 1e-7.
_GATE_POLYNOMIAL = (0.9999997070223475, 0.4999914919105351, 0.16667636562989221, 0.04189797553939558,
                    0.008290307177500063)  # fmt: skip
_SATURATED = 20.0  # in float32 sigmoid is within 2e-9 of 0 or 1 beyond, and a product of three e^20 is finite


def _emit_gate_exp(builder, vector, x, factor):
    """Emit e^(factor · x), with `factor` · x clipped to ±20: as exact as a gate needs.

    float32 only. n = round(factor · x / ln 2) comes with the exponent's bias in the low bits of `shifted`.
    """
    limit = splat(vector, _SATURATED / abs(factor))
    x = builder.select(builder.fcmp_ordered(">", x, limit), limit, x)
    limit = splat(vector, -_SATURATED / abs(factor))
    x = builder.select(builder.fcmp_ordered("<", x, limit), limit, x)
    magic = splat(vector, 1.5 * 2**23 + 127)
    shifted = fmuladd(builder, x, splat(vector, factor / math.log(2)), magic)
    r = fmuladd(builder, builder.fsub(shifted, magic), splat(vector, -math.log(2) / factor), x)  # of x, not factor · x
    power = splat(vector, _GATE_POLYNOMIAL[-1] * factor ** len(_GATE_POLYNOMIAL))
    for k in reversed(range(len(_GATE_POLYNOMIAL) - 1)):
        power = fmuladd(builder, power, r, splat(vector, _GATE_POLYNOMIAL[k] * factor ** (k + 1)))
    power = fmuladd(builder, power, r, splat(vector, 1.0))
    integers = ir.VectorType(ir.IntType(32), vector.lanes)
    scale = builder.shl(builder.bitcast(shifted, integers), ir.Constant(integers, [23] * vector.lanes))
    return builder.fmul(power, builder.bitcast(scale, x.type))


def _emit_exp_of_minus(builder, vector, x):
    if vector.dtype.bitwidth == 32:
        return _emit_gate_exp(builder, vector, x, -1.0)
    return _emit_exp(builder, vector, builder.fneg(x))


def _emit_sigmoid(builder, vector, x):
    one = splat(vector, 1.0)
    return builder.fdiv(one, builder.fadd(one, _emit_exp_of_minus(builder, vector, x)))


def _emit_tanh(builder, vector, x):
    one = splat(vector, 1.0)
    if vector.dtype.bitwidth == 32:
        power = _emit_gate_exp(builder, vector, x, 2.0)
    else:
        power = _emit_exp(builder, vector, builder.fadd(x, x))
    return builder.fsub(one, builder.fdiv(splat(vector, 2.0), builder.fadd(one, power)))


def _emit_sigmoids(builder, vector, xs):
    """Emit the sigmoids of two or three vectors, sharing a division in float32: it costs as much as ten products."""
    if vector.dtype.bitwidth != 32:
        return [_emit_sigmoid(builder, vector, x) for x in xs]
    one = splat(vector, 1.0)
    rest = [builder.fadd(one, _emit_gate_exp(builder, vector, x, -1.0)) for x in xs]
    products = rest[:1]  # of the first, of the first two, …
    for denominator in rest[1:]:
        products.append(builder.fmul(products[-1], denominator))
    inverse = builder.fdiv(one, products[-1])
    results = []
    for before, denominator in zip(reversed(products[:-1]), reversed(rest[1:]), strict=True):
        results.append(builder.fmul(inverse, before))
        inverse = builder.fmul(inverse, denominator)
    return [inverse, *reversed(results)]


def _emit_sqrt(builder, vector, x):
    name = f"llvm.sqrt.v{vector.lanes}f{vector.dtype.bitwidth}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(x.type, [x.type]), name)
    return builder.call(function, [x])


def _emit_relu(builder, vector, x):
    zero = splat(vector, 0.0)
    return builder.select(builder.fcmp_ordered("<", x, zero), zero, x)


def _emit_positive(builder, vector, x):
    zero = splat(vector, 0.0)
    return builder.select(builder.fcmp_ordered(">", x, zero), splat(vector, 1.0), zero)


def _emit_sigmoid_slope(builder, vector, y):
    return builder.fmul(y, builder.fsub(splat(vector, 1.0), y))


def _emit_tanh_slope(builder, vector, y):
    return builder.fsub(splat(vector, 1.0), builder.fmul(y, y))


def _emit_zero(builder, vector, x):
    return splat(vector, 0.0)


def _elementwise(python, emit):
    """Build a primitive of one argument: `emit` on vectors, the compiled Python body on a scalar."""

    def define(typingctx, x):
        if isinstance(x, Vector):
            return x(x), lambda context, builder, sig, args: emit(builder, x, args[0])
        if isinstance(x, types.Float):
            one = Vector(x)

            def lower_scalar(context, builder, sig, args):  # the same code on a vector; one lane is used
                value = emit(builder, one, context.cast(builder, args[0], x, one))
                return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

            return x(x), lower_scalar
        return None

    return primitive(python)(define)


def _python_sigmoid(x):
    """Return 1 / (1 + exp(−x)), at most 2e-7 off in float32."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _python_exp(x):
    """Return e^x; results below the normal range are 0."""
    return np.exp(x)


def _python_tanh(x):
    """Return the hyperbolic tangent, at most 2e-7 off in float32."""
    return np.tanh(x)


def _python_sqrt(x):
    """Return the square root."""
    return np.sqrt(x)


def _python_relu(x):
    """Return max(x, 0); NaN stays NaN."""
    return np.where(x < 0, 0, x)


def _python_sigmoid_slope(y):
    """Return the slope of sigmoid where its value is y."""
    return y * (1 - y)


def _python_tanh_slope(y):
    """Return the slope of tanh where its value is y."""
    return 1 - y * y


def _python_zero(x):
    """Return a zero of the kind of x."""
    return np.zeros_like(x)


def _python_positive(x):
    """Return 1 where x > 0 and 0 elsewhere: the slope of relu."""
    return np.where(x > 0, np.ones_like(x), 0)


def _sigmoids(xs):
    """Return the sigmoids of a tuple of two or three values, at the price of one division."""
    return tuple(_python_sigmoid(x) for x in xs)


@primitive(_sigmoids)
def sigmoids(typingctx, xs):
    """Type and lower `_sigmoids`, on vectors and on scalars."""
    if not isinstance(xs, types.UniTuple) or not isinstance(xs.dtype, Vector | types.Float):
        return None
    vector = xs.dtype if isinstance(xs.dtype, Vector) else Vector(xs.dtype)

    def lower(context, builder, sig, args):
        values = [context.cast(builder, x, xs.dtype, vector) for x in cgutils.unpack_tuple(builder, args[0])]
        results = _emit_sigmoids(builder, vector, values)
        if vector != xs.dtype:
            results = [builder.extract_element(value, ir.Constant(ir.IntType(32), 0)) for value in results]
        return context.make_tuple(builder, xs, results)

    return xs(xs), lower


exp = _elementwise(_python_exp, _emit_exp)
sigmoid = _elementwise(_python_sigmoid, _emit_sigmoid)
tanh = _elementwise(_python_tanh, _emit_tanh)
sqrt = _elementwise(_python_sqrt, _emit_sqrt)
relu = _elementwise(_python_relu, _emit_relu)
positive = _elementwise(_python_positive, _emit_positive)
sigmoid_slope = _elementwise(_python_sigmoid_slope, _emit_sigmoid_slope)
tanh_slope = _elementwise(_python_tanh_slope, _emit_tanh_slope)
zero = _elementwise(_python_zero, _emit_zero)
