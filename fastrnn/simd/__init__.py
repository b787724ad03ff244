"""A vector of floating-point lanes for compiled code, and the functions on it that recurrent cells need.

Loops over several arrays often stay scalar, for want of alias information, and LLVM prefers 256-bit vectors for them;
an explicit vector type does not have either problem. A vector lives in one register: 512 bits on AVX-512, 256 on AVX2,
128 elsewhere, so 16, 8 or 4 lanes of float32 and half as many of float64.

Everything here works on three kinds of value: on vectors and on scalars in compiled code, and on NumPy arrays in plain
Python (``NUMBA_DISABLE_JIT=1``, and the checks of gradients in float64).
"""

import math
import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.extending import _Intrinsic, lower_cast, models, register_model
from numba.core.imputils import lower_builtin
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

from fastrnn._jit import simd_bits


class Vector(types.Type):
    """The Numba type of a vector of `lanes` floating-point numbers of type `dtype`."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = simd_bits() // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.lanes})")

    def can_convert_from(self, typingctx, other):
        """Let a number stand where a vector is expected: it fills all lanes."""
        return Conversion.safe if isinstance(other, types.Number) else None


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, ir.VectorType(_element(vector), vector.lanes))


def _element(vector):
    """Return the LLVM type of one lane."""
    return ir.FloatType() if vector.dtype.bitwidth == 32 else ir.DoubleType()


def _splat(vector, number):
    """Return an LLVM constant with `number` in every lane."""
    element = _element(vector)
    return ir.Constant(ir.VectorType(element, vector.lanes), [ir.Constant(element, number)] * vector.lanes)


def spread_lanes(builder, vector, scalar):
    """Emit the vector with `scalar` in every lane."""
    undefined = ir.Constant(ir.VectorType(_element(vector), vector.lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
    return builder.shuffle_vector(first, undefined, zeros)


@lower_cast(types.Number, Vector)
def _number_to_vector(context, builder, number, vector, value):
    return spread_lanes(builder, vector, context.cast(builder, value, number, vector.dtype))


# ------------------------------------------------------------------------------------------------------- operators


def _binary_operator(function, instruction):
    @infer_global(function)
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) == 2 and any(isinstance(a, Vector) for a in args):
                vector = next(a for a in args if isinstance(a, Vector))
                return signature(vector, vector, vector)
            return None

    @lower_builtin(function, Vector, Vector)
    def _lower(context, builder, sig, args):
        return getattr(builder, instruction)(*args, flags=("contract",))


for _function, _instruction in [
    (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"),
    (operator.iadd, "fadd"), (operator.isub, "fsub"), (operator.imul, "fmul"), (operator.itruediv, "fdiv"),
]:  # fmt: skip
    _binary_operator(_function, _instruction)


@infer_global(operator.neg)
class _NegTemplate(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0], args[0]) if isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)
def _lower_neg(context, builder, sig, args):
    return builder.fneg(args[0])


# ------------------------------------------------------------------------------------------------------ primitives


class Primitive(_Intrinsic):
    """A function that is LLVM code where it is called from compiled code, and its Python body where it is not."""

    def __init__(self, python, define):
        super().__init__(python.__name__, define)
        self.python = python
        self.__doc__ = python.__doc__
        self._register()

    def __call__(self, *args):
        """Run the Python body."""
        return self.python(*args)


def primitive(python):
    """Make a `Primitive` of a Python body, by decorating its typing and lowering function in turn."""
    return lambda define: python if config.DISABLE_JIT else Primitive(python, define)


def array_pointer(context, builder, array_type, array, offset):
    """Return the LLVM pointer to element `offset` (flat, not checked, never negative) of a contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def vector_of(array):
    """Return the vector type for the elements of a C-contiguous array type."""
    if not (isinstance(array, types.Array) and array.layout == "C" and isinstance(array.dtype, types.Float)):
        raise TypeError(f"A vector needs a C-contiguous array of floating-point numbers, got {array}.")
    return Vector(array.dtype)


def load_vector(context, builder, vector, array_type, array, offset):
    """Emit the load of a vector from element `offset` of an array."""
    pointer = array_pointer(context, builder, array_type, array, offset)
    pointer = builder.bitcast(pointer, ir.VectorType(_element(vector), vector.lanes).as_pointer())
    return builder.load(pointer, align=vector.dtype.bitwidth // 8)


def store_vector(context, builder, vector, array_type, array, offset, value):
    """Emit the store of a vector to element `offset` of an array."""
    pointer = array_pointer(context, builder, array_type, array, offset)
    pointer = builder.bitcast(pointer, ir.VectorType(_element(vector), vector.lanes).as_pointer())
    builder.store(value, pointer, align=vector.dtype.bitwidth // 8)


def lanes_of(array):
    """Return how many elements of `array` a vector holds."""
    return simd_bits() // (8 * array.itemsize)


@primitive(lanes_of)
def lanes(typingctx, array):
    """Type and lower `lanes_of`."""
    count = vector_of(array).lanes
    return types.intp(array), lambda context, builder, sig, args: context.get_constant(types.intp, count)


def _load(array, offset):
    """Return the vector that begins at element `offset` (flat, not checked) of a C-contiguous array."""
    return array.reshape(-1)[offset : offset + lanes_of(array)].copy()


@primitive(_load)
def load(typingctx, array, offset):
    """Type and lower `_load`."""
    vector = vector_of(array)

    def lower(context, builder, sig, args):
        return load_vector(context, builder, vector, array, *args)

    return vector(array, types.intp), lower


def _store(array, offset, vector):
    """Write a vector to the elements from `offset` on (flat, not checked) of a C-contiguous array."""
    array.reshape(-1)[offset : offset + lanes_of(array)] = vector


@primitive(_store)
def store(typingctx, array, offset, value):
    """Type and lower `_store`."""
    vector = vector_of(array)

    def lower(context, builder, sig, args):
        store_vector(context, builder, vector, array, *args)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), lower


def _load_first(array, offset, count):
    """Return a vector with elements `offset` to `offset + count - 1` of an array in front and zeros behind."""
    vector = np.zeros(lanes_of(array), array.dtype)
    part = array.reshape(-1)[offset : offset + min(count, lanes_of(array))]
    vector[: len(part)] = part
    return vector


def _mask(builder, vector, count):
    """Emit the vector of bits that is true in the first `count` lanes."""
    integers = ir.VectorType(ir.IntType(32), vector.lanes)
    count = builder.trunc(count, ir.IntType(32))
    first = builder.insert_element(ir.Constant(integers, ir.Undefined), count, ir.Constant(ir.IntType(32), 0))
    counts = builder.shuffle_vector(first, first, ir.Constant(integers, [0] * vector.lanes))
    return builder.icmp_signed("<", ir.Constant(integers, list(range(vector.lanes))), counts)


def _masked(builder, vector, name, args):
    """Call ``llvm.masked.load`` or ``llvm.masked.store``."""
    lane_type = f"v{vector.lanes}f{vector.dtype.bitwidth}"
    values = ir.VectorType(_element(vector), vector.lanes)
    result = values if name == "load" else ir.VoidType()
    function_type = ir.FunctionType(result, [a.type for a in args])
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.masked.{name}.{lane_type}.p0")
    return builder.call(function, args)


@primitive(_load_first)
def load_first(typingctx, array, offset, count):
    """Type and lower `_load_first`."""
    vector = vector_of(array)

    def lower(context, builder, sig, args):
        value, offset, count = args
        pointer = array_pointer(context, builder, array, value, offset)
        pointer = builder.bitcast(pointer, ir.VectorType(_element(vector), vector.lanes).as_pointer())
        align = ir.Constant(ir.IntType(32), vector.dtype.bitwidth // 8)
        return _masked(builder, vector, "load", [pointer, align, _mask(builder, vector, count), _splat(vector, 0.0)])

    return vector(array, types.intp, types.intp), lower


def _store_first(array, offset, vector, count):
    """Write the first `count` lanes of a vector (all, where `count` is larger) to an array from `offset` on."""
    count = min(count, lanes_of(array))
    array.reshape(-1)[offset : offset + count] = np.broadcast_to(vector, lanes_of(array))[:count]


@primitive(_store_first)
def store_first(typingctx, array, offset, value, count):
    """Type and lower `_store_first`."""
    vector = vector_of(array)

    def lower(context, builder, sig, args):
        array_value, offset, value, count = args
        pointer = array_pointer(context, builder, array, array_value, offset)
        pointer = builder.bitcast(pointer, ir.VectorType(_element(vector), vector.lanes).as_pointer())
        align = ir.Constant(ir.IntType(32), vector.dtype.bitwidth // 8)
        _masked(builder, vector, "store", [value, pointer, align, _mask(builder, vector, count)])
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, types.intp), lower


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


# ------------------------------------------------------------------------------------------- elementary functions


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
    x = builder.select(builder.fcmp_ordered(">", x, _splat(vector, largest)), _splat(vector, largest), x)
    x = builder.select(builder.fcmp_ordered("<", x, _splat(vector, smallest)), _splat(vector, smallest), x)
    magic = _splat(vector, 1.5 * 2**mantissa)
    shifted = fmuladd(builder, x, _splat(vector, 1 / math.log(2)), magic)
    n = builder.fsub(shifted, magic)
    r = fmuladd(builder, n, _splat(vector, -head), x)
    r = fmuladd(builder, n, _splat(vector, -tail), r)
    power = _splat(vector, 1 / math.factorial(degree))
    for k in reversed(range(degree)):
        power = fmuladd(builder, power, r, _splat(vector, 1 / math.factorial(k)))
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
    """Emit e^(factor · x), with `factor` · x clipped to ±20: as exact as a gate needs it.

    float32 only. n = round(factor · x / ln 2) comes with the exponent's bias in the low bits of `shifted`.
    """
    limit = _splat(vector, _SATURATED / abs(factor))
    x = builder.select(builder.fcmp_ordered(">", x, limit), limit, x)
    limit = _splat(vector, -_SATURATED / abs(factor))
    x = builder.select(builder.fcmp_ordered("<", x, limit), limit, x)
    magic = _splat(vector, 1.5 * 2**23 + 127)
    shifted = fmuladd(builder, x, _splat(vector, factor / math.log(2)), magic)
    r = fmuladd(builder, builder.fsub(shifted, magic), _splat(vector, -math.log(2) / factor), x)  # of x, not factor · x
    power = _splat(vector, _GATE_POLYNOMIAL[-1] * factor ** len(_GATE_POLYNOMIAL))
    for k in reversed(range(len(_GATE_POLYNOMIAL) - 1)):
        power = fmuladd(builder, power, r, _splat(vector, _GATE_POLYNOMIAL[k] * factor ** (k + 1)))
    power = fmuladd(builder, power, r, _splat(vector, 1.0))
    integers = ir.VectorType(ir.IntType(32), vector.lanes)
    scale = builder.shl(builder.bitcast(shifted, integers), ir.Constant(integers, [23] * vector.lanes))
    return builder.fmul(power, builder.bitcast(scale, x.type))


def _emit_exp_of_minus(builder, vector, x):
    if vector.dtype.bitwidth == 32:
        return _emit_gate_exp(builder, vector, x, -1.0)
    return _emit_exp(builder, vector, builder.fneg(x))


def _emit_sigmoid(builder, vector, x):
    one = _splat(vector, 1.0)
    return builder.fdiv(one, builder.fadd(one, _emit_exp_of_minus(builder, vector, x)))


def _emit_tanh(builder, vector, x):
    one = _splat(vector, 1.0)
    if vector.dtype.bitwidth == 32:
        power = _emit_gate_exp(builder, vector, x, 2.0)
    else:
        power = _emit_exp(builder, vector, builder.fadd(x, x))
    return builder.fsub(one, builder.fdiv(_splat(vector, 2.0), builder.fadd(one, power)))


def _emit_sigmoids(builder, vector, xs):
    """Emit the sigmoids of two or three vectors, sharing a division in float32: it costs as much as ten products."""
    if vector.dtype.bitwidth != 32:
        return [_emit_sigmoid(builder, vector, x) for x in xs]
    one = _splat(vector, 1.0)
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
    zero = _splat(vector, 0.0)
    return builder.select(builder.fcmp_ordered("<", x, zero), zero, x)


def _emit_positive(builder, vector, x):
    zero = _splat(vector, 0.0)
    return builder.select(builder.fcmp_ordered(">", x, zero), _splat(vector, 1.0), zero)


def _emit_sigmoid_slope(builder, vector, y):
    return builder.fmul(y, builder.fsub(_splat(vector, 1.0), y))


def _emit_tanh_slope(builder, vector, y):
    return builder.fsub(_splat(vector, 1.0), builder.fmul(y, y))


def _emit_zero(builder, vector, x):
    return _splat(vector, 0.0)


def _elementwise(python, emit):
    """Build a primitive of one argument: `emit` on vectors, the compiled Python body on a scalar."""

    def define(typingctx, x):
        if isinstance(x, Vector):
            return x(x), lambda context, builder, sig, args: emit(builder, x, args[0])
        if isinstance(x, types.Float):
            one = Vector(x)

            def lower_scalar(context, builder, sig, args):  # the same code on a vector, of which one lane is used
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


# ----------------------------------------------------------------------------------------------- tuples of vectors


def emit_load_many(context, builder, count, array_type, array, offset, stride):
    """Emit the loads of `count` vectors that stand `stride` elements apart; return the LLVM tuple of them."""
    vector = vector_of(array_type)
    values = []
    for _ in range(count):
        values.append(load_vector(context, builder, vector, array_type, array, offset))
        offset = builder.add(offset, stride)
    return context.make_tuple(builder, types.UniTuple(vector, count) if count else types.Tuple(()), values)


def _store_many(array, offset, stride, vectors):
    """Write a tuple of vectors to an array, `stride` elements apart, beginning at element `offset`."""
    for k, vector in enumerate(vectors):
        store(array, offset + k * stride, vector)


def _define_many(emit):
    """Build the typing and lowering of a function of (array, offset, stride, tuple of vectors)."""

    def define(typingctx, array, offset, stride, vectors):
        vector = vector_of(array)
        expected = types.UniTuple(vector, len(vectors)) if len(vectors) else types.Tuple(())

        def lower(context, builder, sig, args):
            array_value, offset, stride, values = args
            for value in cgutils.unpack_tuple(builder, values, len(vectors)):
                emit(context, builder, vector, array, array_value, offset, value)
                offset = builder.add(offset, stride)
            return context.get_dummy_value()

        return types.void(array, types.intp, types.intp, expected), lower

    return define


def _add_many(array, offset, stride, vectors):
    """Add a tuple of vectors to an array, `stride` elements apart, beginning at element `offset`."""
    for k, vector in enumerate(vectors):
        store(array, offset + k * stride, load(array, offset + k * stride) + vector)


def _emit_add(context, builder, vector, array_type, array, offset, value):
    total = builder.fadd(load_vector(context, builder, vector, array_type, array, offset), value)
    store_vector(context, builder, vector, array_type, array, offset, total)


store_many = primitive(_store_many)(_define_many(store_vector))
add_many = primitive(_add_many)(_define_many(_emit_add))
