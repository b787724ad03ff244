"""Instructions that compute: what each does to NumPy arrays, one element a thread.

Approximate functions are as wrong as the hardware's may be where that is much (`tanh.approx`, `lg2.approx` near one,
`sin.approx`): a program whose results depend on them fails here too. Sums and products of float32 round as in hardware.
"""

import operator

import numpy as np

from tests.cuda.emulator.conversions import CONVERSIONS
from tests.cuda.emulator.integers import INTEGERS
from tests.cuda.emulator.types import DTYPES, Operation, is_float

_TINY = {np.float32: np.finfo(np.float32).tiny, np.float64: np.finfo(np.float64).tiny}


def operation(opcode):
    """Return the `Operation` of an opcode, or None where it is none that computes."""
    for table in (_FLOATS if opcode.types and is_float(opcode.types[-1]) else INTEGERS, _ANY):
        if opcode.name in table:
            return table[opcode.name](opcode)
    return None


def flushed(opcode, function):
    """Return a function whose subnormal results are zero if the opcode says so, and in [0, 1] if it says so."""
    if "sat" in opcode.modifiers:
        inner = function
        function = lambda *sources: np.fmax(np.fmin(inner(*sources), 1), 0).astype(DTYPES[opcode.type])  # noqa: E731
    if "ftz" not in opcode.modifiers or opcode.type != "f32":
        return function
    tiny, plain = _TINY[np.float32], function

    def flush(*sources):
        result = plain(*sources)
        return result * (np.abs(result) >= tiny)

    return flush


def _float(function, count, single=None):
    """Return the maker of an operation on floats; `single` is another function for float32."""

    def make(opcode):
        dtype = DTYPES[opcode.type]
        chosen = single if single is not None and dtype is np.float32 else function
        return Operation(flushed(opcode, chosen), [dtype] * count, dtype)

    return make


def fma(a, b, c):
    """Return a · b + c of float64, rounded once: the product's and the sum's errors are added in the end."""
    product, error = _product(a, b)
    total = product + c
    part = total - product
    rest = (product - (total - part)) + (c - part)
    exact = total + (rest + error)
    return np.where(np.isfinite(exact), exact, total)[()]


def _product(a, b):
    """Return a product of float64 and its error, by halves of the factors."""
    split = np.float64(134217729)
    a_high, b_high = split * a, split * b
    a_high, b_high = a_high - (a_high - a), b_high - (b_high - b)
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _fma_single(a, b, c):
    return (a.astype(np.float64) * b + c).astype(np.float32)  # the product of two float32 is exact in float64


def _minimum(function, with_nan):
    def make(opcode):
        dtype = DTYPES[opcode.type]
        chosen = with_nan if "NaN" in opcode.modifiers else function
        return Operation(flushed(opcode, chosen), [dtype, dtype], dtype)

    return make


def _lg2(x):
    result = np.log2(x)
    coarse = np.rint(result * np.float32(1 << 22)) / np.float32(1 << 22)  # the error is 2^-22 there, not relative
    return np.where((x >= 0.5) & (x <= 2), coarse, result)[()]


def _coarse(function, steps):
    """Return a function with values on a grid: its error is absolute."""
    steps = np.float32(steps)
    return lambda x: (np.rint(function(x) * steps) / steps).astype(np.float32)


def _tanh(x):
    bits = np.tanh(x).view(np.uint32) & np.uint32(0xFFFFE000)  # ten bits behind the first one
    return bits.view(np.float32)


def _coarse_reciprocal(x):
    """Return 1 / x from the upper half of x, and as the upper half: `rcp.approx.ftz.f64`."""
    upper = np.uint64(0xFFFFFFFF00000000)
    value = (np.asarray(x).view(np.uint64) & upper).view(np.float64)
    return ((1 / value).view(np.uint64) & upper).view(np.float64)[()]


def _exact_or_coarse_reciprocal(opcode):
    dtype = DTYPES[opcode.type]
    function = _coarse_reciprocal if dtype is np.float64 and "approx" in opcode.modifiers else lambda x: dtype(1) / x
    return Operation(flushed(opcode, function), [dtype], dtype)


_FLOATS = {
    "add": _float(operator.add, 2),
    "sub": _float(operator.sub, 2),
    "mul": _float(operator.mul, 2),
    "fma": _float(fma, 3, _fma_single),
    "mad": _float(fma, 3, _fma_single),
    "div": _float(operator.truediv, 2),
    "neg": _float(operator.neg, 1),
    "abs": _float(np.abs, 1),
    "min": _minimum(np.fmin, np.minimum),
    "max": _minimum(np.fmax, np.maximum),
    "copysign": _float(lambda a, b: np.copysign(b, a), 2),
    "sqrt": _float(np.sqrt, 1),
    "rsqrt": _float(lambda x: x.dtype.type(1) / np.sqrt(x), 1),
    "rcp": _exact_or_coarse_reciprocal,
    "ex2": _float(np.exp2, 1),
    "lg2": _float(_lg2, 1),
    "sin": _float(_coarse(np.sin, 1 << 20), 1),
    "cos": _float(_coarse(np.cos, 1 << 20), 1),
    "tanh": _float(_tanh, 1),
}


# Comparisons; of floats, those with a "u" also hold where an operand is NaN.
_COMPARISONS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "lo": operator.lt,
    "ls": operator.le,
    "hi": operator.gt,
    "hs": operator.ge,
}
_UNORDERED = {"equ": "eq", "neu": "ne", "ltu": "lt", "leu": "le", "gtu": "gt", "geu": "ge"}
_COMBINATIONS = {"and": operator.and_, "or": operator.or_, "xor": operator.xor}


def comparison(name, dtype):
    """Return a comparison of arrays of a type."""
    if name == "nan":
        return lambda a, b: np.isnan(a) | np.isnan(b)
    if name == "num":
        return lambda a, b: ~(np.isnan(a) | np.isnan(b))
    if name == "ne" and np.issubdtype(dtype, np.floating):
        return lambda a, b: (a < b) | (a > b)
    if name in _UNORDERED:
        ordered = _COMPARISONS[_UNORDERED[name]]
        return lambda a, b: ordered(a, b) | np.isnan(a) | np.isnan(b)
    return _COMPARISONS[name]


def _setp(opcode):
    name, *rest = [part for part in opcode.modifiers if part not in ("ftz",)]
    dtype = DTYPES[opcode.type]
    compare = comparison(name, dtype)
    if not rest:
        return Operation(compare, [dtype, dtype], np.bool_)
    combine = _COMBINATIONS[rest[0]]
    return Operation(lambda a, b, c: combine(compare(a, b), c), [dtype, dtype, np.bool_], np.bool_)


def _set(opcode):
    name = next(part for part in opcode.modifiers if part != "ftz")
    result, dtype = DTYPES[opcode.types[0]], DTYPES[opcode.types[1]]
    compare, one = comparison(name, dtype), result(1) if is_float(opcode.types[0]) else ~result(0)
    return Operation(lambda a, b: np.where(compare(a, b), one, result(0))[()], [dtype, dtype], result)


def _selp(opcode):
    dtype = DTYPES[opcode.type]
    return Operation(lambda a, b, p: np.where(p, a, b)[()], [dtype, dtype, np.bool_], dtype)


def _mov(opcode):
    dtype = DTYPES[opcode.type]
    return Operation(lambda a: a, [dtype], dtype)


def _testp(opcode):
    dtype, tiny = DTYPES[opcode.type], _TINY[DTYPES[opcode.type]]
    tests = {
        "finite": np.isfinite,
        "infinite": np.isinf,
        "number": lambda a: ~np.isnan(a),
        "notanumber": np.isnan,
        "normal": lambda a: np.isfinite(a) & (np.abs(a) >= tiny),
        "subnormal": lambda a: (np.abs(a) < tiny) & (a != 0),
    }
    return Operation(tests[opcode.modifiers[0]], [dtype], np.bool_)


_ANY = {"setp": _setp, "set": _set, "selp": _selp, "mov": _mov, "testp": _testp, **CONVERSIONS}
