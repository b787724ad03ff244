"""Conversions between types: cvt, cvta and isspacep."""

import numpy as np

from tests.cuda.emulator.memory import LOCAL, SHARED, WINDOW
from tests.cuda.emulator.types import DTYPES, Operation, is_float

_ROUNDINGS = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
_BASES = {"global": 0, "const": 0, "shared": SHARED, "local": LOCAL}


def to_tf32(x):
    """Return the bits of float32 rounded to tf32, ties away from zero: `cvt.rna.tf32.f32`."""
    bits = x.view(np.uint32)
    rounded = (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    return np.where(np.isfinite(x), rounded, bits)[()]


def to_bf16(x):
    """Return the bits of float32 rounded to bfloat16, ties to even: `cvt.rn.bf16.f32`."""
    bits = x.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(x), np.uint32(0x7FFF), rounded).astype(np.uint16)[()]


def from_bf16(bits):
    """Return bfloat16 as float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _to_integer(dtype, rounding):
    """Return the conversion of floats to a type of integers, which ends at its least and largest number."""
    limits = np.iinfo(dtype)

    def convert(x):
        x = rounding(x).astype(np.float64)
        inside = np.where((x > limits.min) & (x < float(limits.max)), x, 0).astype(dtype)
        result = np.where(x >= float(limits.max), dtype(limits.max), inside)
        return np.where(x <= limits.min, dtype(limits.min), result)[()]

    return convert


def _packed(function):
    """Return the conversion of two floats, of which the first one goes into the upper half of 32 bits."""
    return lambda a, b: (function(a).astype(np.uint32) << np.uint32(16)) | function(b).astype(np.uint32)


def _to_f16(x):
    return x.astype(np.float16).view(np.uint16)


_SPECIAL = {  # from the type, to the type
    ("f32", "tf32"): to_tf32,
    ("f32", "bf16"): to_bf16,
    ("bf16", "f32"): from_bf16,
    ("f32", "f16"): _to_f16,
    ("f64", "f16"): _to_f16,
    ("f16", "f32"): lambda bits: bits.view(np.float16).astype(np.float32),
    ("f16", "f64"): lambda bits: bits.view(np.float16).astype(np.float64),
    ("f32", "bf16x2"): _packed(to_bf16),
    ("f32", "f16x2"): _packed(_to_f16),
}


def _cvt(opcode):
    to, of = opcode.types
    result, source = DTYPES[to], DTYPES[of]
    if (of, to) in _SPECIAL:
        function = _SPECIAL[of, to]
        if to in ("tf32", "bf16", "bf16x2") and not {"rn", "rna"} & set(opcode.modifiers):
            return None
        if to == "tf32" and "rna" not in opcode.modifiers:
            return None
        return Operation(function, [source] * (2 if to.endswith("x2") else 1), result)
    rounding = next((_ROUNDINGS[part] for part in opcode.modifiers if part in _ROUNDINGS), None)
    if is_float(of) and not is_float(to):
        return Operation(_to_integer(result, rounding), [source], result)
    if is_float(of) and rounding:
        return Operation(lambda x: rounding(x).astype(result), [source], result)
    if {"rz", "rm", "rp"} & set(opcode.modifiers) or {of, to} & {"f16", "bf16"}:
        return None
    if "sat" in opcode.modifiers:
        return _saturating(source, result, is_float(to))
    return Operation(lambda x: x.astype(result), [source], result)


def _saturating(source, result, is_float):
    low, high = (0, 1) if is_float else (np.iinfo(result).min, np.iinfo(result).max)
    return Operation(lambda x: np.clip(x, low, high).astype(result), [source], result)


def _cvta(opcode):
    """Make a conversion of addresses of a space to generic ones, or back with "to"."""
    base = np.uint64(_BASES[opcode.modifiers[-1]])
    if "to" in opcode.modifiers:
        return Operation(lambda address: address - base, [np.uint64], np.uint64)
    return Operation(lambda address: address + base, [np.uint64], np.uint64)


def _isspacep(opcode):
    base = _BASES[opcode.modifiers[-1]]

    def test(address):
        window = address // np.uint64(WINDOW)
        if base:
            return window == base // WINDOW
        return ~np.isin(window, [SHARED // WINDOW, LOCAL // WINDOW])

    return Operation(test, [np.uint64], np.bool_)


CONVERSIONS = {"cvt": _cvt, "cvta": _cvta, "isspacep": _isspacep}
