"""The type of a vector of lanes, its operators, and functions that compile to given LLVM code."""

import operator

from llvmlite import ir
from numba.core import config, types
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
        """Accept a number where a vector is expected: it fills all lanes."""
        return Conversion.safe if isinstance(other, types.Number) else None


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, ir.VectorType(element_type(vector), vector.lanes))


def element_type(vector):
    """Return the LLVM type of one lane."""
    return ir.FloatType() if vector.dtype.bitwidth == 32 else ir.DoubleType()


def splat(vector, number):
    """Return an LLVM constant with `number` in every lane."""
    element = element_type(vector)
    return ir.Constant(ir.VectorType(element, vector.lanes), [ir.Constant(element, number)] * vector.lanes)


def spread_lanes(builder, vector, scalar):
    """Emit the vector with `scalar` in every lane."""
    undefined = ir.Constant(ir.VectorType(element_type(vector), vector.lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
    return builder.shuffle_vector(first, undefined, zeros)


@lower_cast(types.Number, Vector)
def _number_to_vector(context, builder, number, vector, value):
    return spread_lanes(builder, vector, context.cast(builder, value, number, vector.dtype))


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


class Primitive(_Intrinsic):
    """A function that is LLVM code when called from compiled code, and its Python body when called from Python."""

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
