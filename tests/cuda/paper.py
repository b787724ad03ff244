"""Intrinsics of kernels on paper: what they emit is computed at once, by NumPy, for all threads of a block."""

import types as python_types
from typing import NamedTuple
from unittest import mock

import numpy as np
from llvmlite import ir
from numba.core import types

from fastrnn.cuda import fragments
from tests.cuda.emulator.collectives import product
from tests.cuda.emulator.conversions import to_bf16, to_tf32

FLOAT, INT, SHORT, LONG = ir.FloatType(), ir.IntType(32), ir.IntType(16), ir.IntType(64)
_TYPES = {"float32": FLOAT, "uint32": INT, "uint16": SHORT, "int64": LONG}


class Value(NamedTuple):
    """What stands for a value of LLVM: that of each thread, (threads,) or a number for all; parts of a struct."""

    data: object
    type: ir.Type
    memory: np.ndarray | None = None  # of a pointer, whose data are places


def value(data):
    """Return the `Value` of an ndarray, a number or a tuple of values."""
    if isinstance(data, tuple):
        return Value(data, ir.LiteralStructType([part.type for part in data]))
    data = np.asarray(data)
    return Value(data, _TYPES[data.dtype.name])


def pointer(context, builder, kind, memory, place):
    """Return a pointer to an element of a flat ndarray, as `fastrnn.simd.array_pointer`."""
    return Value(_data(place), FLOAT.as_pointer(), memory)


def call(intrinsic, kinds, *arguments):
    """Return what an intrinsic computes.

    Parameters
    ----------
    intrinsic : Intrinsic
        Of `fastrnn.cuda.fragments`.
    kinds : tuple
        What is known at compile time of the first arguments, such as a tiling: instances. They are not in `arguments`.
    *arguments
        Ndarrays of all threads, numbers and tuples of them; flat arrays of memory are `Memory`.
    """
    known = [python_types.SimpleNamespace(instance_class=kind) for kind in kinds]
    given = [_given(argument) for argument in arguments]
    _, lower = intrinsic._defn(None, *known, *[_numba_type(argument) for argument in arguments])
    with mock.patch.object(fragments, "array_pointer", pointer):
        sig = python_types.SimpleNamespace(return_type=None)
        return lower(Context(), Builder(), sig, [*[None] * len(kinds), *given])


class Memory(NamedTuple):
    """A flat ndarray as an argument of an intrinsic."""

    array: np.ndarray


def _given(argument):
    if isinstance(argument, Memory):
        return argument.array
    if isinstance(argument, Value):
        return argument
    if isinstance(argument, tuple):
        return value(tuple(map(_given, argument)))
    return value(argument)


def _numba_type(argument):
    count = len(argument.data) if isinstance(argument, Value) and isinstance(argument.data, tuple) else 0
    return types.UniTuple(types.float32, count) if count else types.int64


def _data(operand):
    if not isinstance(operand, ir.Constant):
        return operand.data
    return np.float32(operand.constant) if operand.type == FLOAT else np.int64(operand.constant)


class Context:
    """The part of Numba's context that intrinsics call."""

    def make_tuple(self, builder, kind, values):
        """Return a tuple."""
        return value(tuple([value(_data(part)) for part in values]))

    def get_dummy_value(self):
        """Return nothing."""


class Builder:
    """The part of ``llvmlite.ir.IRBuilder`` that intrinsics call."""

    def __getattr__(self, name):
        function = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "lshr": np.right_shift,
                    "and_": np.bitwise_and}[name]  # fmt: skip
        return lambda a, b: value(function(_data(a), _data(b)).astype(np.int64))

    def fadd(self, a, b):
        """Add float32."""
        return value(np.add(_data(a), _data(b), dtype=np.float32))

    def fsub(self, a, b):
        """Subtract float32."""
        return value(np.subtract(_data(a), _data(b), dtype=np.float32))

    def trunc(self, operand, kind):
        """Let integers be of 32 bits."""
        assert (np.abs(_data(operand)) < 1 << 31).all()
        return operand

    def sext(self, operand, kind):
        """Let integers be of 64 bits."""
        return operand

    def icmp_signed(self, operator, a, b):
        """Compare integers."""
        assert operator == "<"
        return Value(_data(a) < _data(b), ir.IntType(1))

    def select(self, condition, a, b):
        """Choose."""
        return value(np.where(_data(condition), _data(a), _data(b)))

    def bitcast(self, operand, kind):
        """Take bits for those of another type."""
        if isinstance(kind, ir.PointerType):
            return operand
        return value(_data(operand).view(np.float32 if kind == FLOAT else np.uint32))

    def ptrtoint(self, operand, kind):
        """Return the address."""
        return operand

    def insert_element(self, vector, element, place):
        """Put an element into a vector."""
        before = () if isinstance(vector, ir.Constant) else vector.data
        assert len(before) == _data(place)
        return value((*before, element))

    def extract_value(self, struct, k):
        """Return a part of a struct."""
        return struct.data[k]

    def load(self, place):
        """Read memory."""
        _check(place, 1)
        return value(place.memory[place.data])

    def store(self, operand, place, align=None):
        """Write memory."""
        parts = operand.data if isinstance(operand.data, tuple) else (operand,)
        _check(place, len(parts))
        for k, part in enumerate(parts):
            place.memory[place.data + k] = _data(part)

    def call(self, assembler, operands):
        """Execute an instruction of PTX."""
        name = assembler.asm.partition(" ")[0]
        if name.startswith("mma."):
            return _product(name, operands)
        return getattr(self, name.replace(".", "_"))(*operands)

    def cvt_rna_tf32_f32(self, x):
        """Round to tf32."""
        return value(to_tf32(_data(x)))

    def cvt_rn_bf16_f32(self, x):
        """Round to bfloat16."""
        return value(to_bf16(_data(x)))

    def cvt_rn_bf16x2_f32(self, high, low):
        """Round two numbers to bfloat16, the first one goes into the upper half."""
        high, low = (np.uint32(to_bf16(np.asarray(_data(x), np.float32))) for x in (high, low))
        return value(high << np.uint32(16) | low)

    def ld_global_cg_v4_f32(self, place):
        """Read 16 bytes."""
        _check(place, 4)
        return value(tuple([value(place.memory[place.data + k]) for k in range(4)]))

    def ld_global_cg_v2_b32(self, place):
        """Read 8 bytes: four numbers of 16 bits."""
        _check(place, 4)
        words = place.memory[place.data[:, None] + np.arange(4)].view(np.uint32)
        return value(tuple([value(words[:, k].copy()) for k in range(2)]))


def _check(place, count):
    """Check that memory is accessed within its bounds and, where several numbers are, at a multiple of their size."""
    assert (place.data % count == 0).all()
    assert (place.data >= 0).all()
    assert (place.data + count <= place.memory.size).all()


def _product(name, operands):
    """Multiply on tensor cores."""
    kind, k = {
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32": ("tf32", 8),
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32": ("bf16", 16),
    }[name]
    threads = max(np.size(_data(operand)) for operand in operands)
    whole = [np.broadcast_to(_data(operand), threads).reshape(-1, 32) for operand in operands]
    a, b = (np.stack([x.view(np.uint32) for x in part], 2) for part in (whole[:4], whole[4:6]))
    result = product(kind, k, a, b, np.stack(whole[6:], 2).astype(np.float32))
    return value(tuple([value(result[:, :, j].reshape(-1)) for j in range(4)]))
