"""Instructions that compute with integers and bits."""

import operator

import numpy as np

from tests.cuda.emulator.types import DTYPES, SIGNED, UNSIGNED, Operation


def _bits(opcode):
    """Return the unsigned type, or bool: where signs make no difference."""
    dtype = DTYPES[opcode.type]
    return dtype if dtype is np.bool_ else UNSIGNED[np.dtype(dtype).itemsize]


def _plain(function, count):
    """Return the maker of an operation that takes signed operands for signed types."""

    def make(opcode):
        dtype = DTYPES[opcode.type]
        return Operation(function, [dtype] * count, dtype)

    return make


def _modular(function, count):
    """Return the maker of an operation for which signs make no difference."""

    def make(opcode):
        return Operation(function, [_bits(opcode)] * count, _bits(opcode))

    return make


def upper_half(a, b):
    """Return the upper half of a product of integers."""
    size = a.dtype.itemsize
    if size < 8:
        kinds = SIGNED if a.dtype.kind == "i" else UNSIGNED
        return ((a.astype(kinds[2 * size]) * b) >> kinds[2 * size](8 * size)).astype(a.dtype)
    if a.dtype.kind == "i":
        upper = upper_half(a.view(np.uint64), b.view(np.uint64)).view(np.int64)
        return upper - np.where(a < 0, b, 0) - np.where(b < 0, a, 0)
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    a_low, a_high, b_low, b_high = a & mask, a >> half, b & mask, b >> half
    middle = a_high * b_low + (a_low * b_low >> half)
    other = a_low * b_high + (middle & mask)
    return a_high * b_high + (middle >> half) + (other >> half)


def _product(opcode, add):
    """Make mul or mad, of which the lower half, the upper half or all is kept."""
    dtype = DTYPES[opcode.type]
    if "wide" in opcode.modifiers:
        kinds = SIGNED if opcode.type[0] == "s" else UNSIGNED
        wide = kinds[2 * np.dtype(dtype).itemsize]
        product, result = (lambda a, b: a.astype(wide) * b), wide
    elif "hi" in opcode.modifiers:
        product, result = upper_half, dtype
    else:
        dtype = result = _bits(opcode)
        product = operator.mul
    if add:
        return Operation(lambda a, b, c: product(a, b) + c, [dtype, dtype, result], result)
    return Operation(product, [dtype, dtype], result)


def _divide(a, b):
    if a.dtype.kind == "u":
        return a // b
    return a // b + ((a % b != 0) & ((a < 0) != (b < 0)))  # towards zero


def _shift(opcode, left):
    """Make a shift; by the width or more, it leaves zeros, or signs."""
    dtype = _bits(opcode) if left or opcode.type[0] == "b" else DTYPES[opcode.type]
    width = 8 * np.dtype(dtype).itemsize
    last = dtype(width - 1)

    def shift(a, b):
        count = np.minimum(b, np.uint32(width - 1)).astype(dtype)
        if left:
            return np.where(b < width, a << count, dtype(0))[()]
        rest = a >> last if dtype is SIGNED[width // 8] else dtype(0)
        return np.where(b < width, a >> count, rest)[()]

    return Operation(shift, [dtype, np.uint32], dtype)


def _lop3(opcode):
    def select(a, b, c, table):
        result = np.uint32(0)
        for index in range(8):
            if int(table) >> index & 1:
                term = (a if index & 4 else ~a) & (b if index & 2 else ~b) & (c if index & 1 else ~c)
                result = result | term
        return result

    return Operation(select, [np.uint32] * 4, np.uint32)


def _prmt(opcode):
    if opcode.modifiers:
        return None

    def permute(a, b, selector):
        both = a.astype(np.uint64) | (b.astype(np.uint64) << np.uint64(32))
        result = np.uint64(0)
        for index in range(4):
            nibble = (selector >> np.uint32(4 * index)) & np.uint32(15)
            byte = (both >> (np.uint64(8) * (nibble & np.uint32(7)))) & np.uint64(255)
            byte = np.where(nibble & np.uint32(8), np.where(byte & np.uint64(128), 255, 0).astype(np.uint64), byte)
            result = result | (byte << np.uint64(8 * index))
        return result.astype(np.uint32)

    return Operation(permute, [np.uint32] * 3, np.uint32)


def _bfe(opcode):
    dtype, bits = DTYPES[opcode.type], _bits(opcode)
    width = 8 * np.dtype(dtype).itemsize

    def extract(a, position, length):
        position, length = position & np.uint32(255), np.minimum(length & np.uint32(255), width)
        field = np.where(position < width, a.view(bits) >> np.minimum(position, width - 1).astype(bits), bits(0))
        unused = (width - np.minimum(length, width)).astype(bits)
        kept = np.where(length == 0, bits(0), (field << np.minimum(unused, bits(width - 1))).astype(bits))
        return (kept.view(dtype) >> np.minimum(unused, bits(width - 1)).astype(dtype))[()]

    return None if opcode.type[0] == "s" else Operation(extract, [dtype, np.uint32, np.uint32], dtype)


def _bfi(opcode):
    bits = _bits(opcode)
    width = 8 * np.dtype(bits).itemsize

    def insert(a, b, position, length):
        position, length = position & np.uint32(255), length & np.uint32(255)
        ones = np.where(length >= width, ~bits(0), (bits(1) << np.minimum(length, width - 1).astype(bits)) - bits(1))
        mask = np.where(position < width, ones << np.minimum(position, width - 1).astype(bits), bits(0))
        return ((b & ~mask) | ((a << np.minimum(position, width - 1).astype(bits)) & mask))[()]

    return Operation(insert, [bits, bits, np.uint32, np.uint32], bits)


def _count(function):
    """Make an operation on the bits of one operand, which has 32 bits as its result."""

    def make(opcode):
        bits = _bits(opcode)
        width = 8 * np.dtype(bits).itemsize

        def count(a):
            digits = (np.asarray(a)[..., None] >> np.arange(width, dtype=bits)) & bits(1)  # the lowest first
            return function(digits, width).astype(np.uint32)[()]

        return Operation(count, [bits], np.uint32)

    return make


def _leading_zeros(digits, width):
    return np.where(digits.any(-1), digits[..., ::-1].argmax(-1), width)


def _brev(opcode):
    bits = _bits(opcode)
    width = 8 * np.dtype(bits).itemsize

    def reverse(a):
        digits = (np.asarray(a)[..., None] >> np.arange(width, dtype=bits)) & bits(1)
        return (digits << np.arange(width - 1, -1, -1).astype(bits)).sum(-1, dtype=bits)[()]

    return Operation(reverse, [bits], bits)


def _funnel(opcode):
    """Make shf: a shift of two words as one."""
    left, clamp = "l" in opcode.modifiers, "clamp" in opcode.modifiers

    def shift(low, high, count):
        count = np.minimum(count, np.uint32(32)) if clamp else count & np.uint32(31)
        both = low.astype(np.uint64) | (high.astype(np.uint64) << np.uint64(32))
        if left:
            return ((both << count.astype(np.uint64)) >> np.uint64(32)).astype(np.uint32)
        return (both >> count.astype(np.uint64)).astype(np.uint32)

    return Operation(shift, [np.uint32] * 3, np.uint32)


INTEGERS = {
    "add": _modular(operator.add, 2),
    "sub": _modular(operator.sub, 2),
    "mul": lambda opcode: _product(opcode, add=False),
    "mad": lambda opcode: _product(opcode, add=True),
    "div": _plain(_divide, 2),
    "rem": _plain(np.fmod, 2),
    "neg": _modular(operator.neg, 1),
    "abs": _plain(np.abs, 1),
    "min": _plain(np.minimum, 2),
    "max": _plain(np.maximum, 2),
    "and": _modular(operator.and_, 2),
    "or": _modular(operator.or_, 2),
    "xor": _modular(operator.xor, 2),
    "not": _modular(operator.invert, 1),
    "shl": lambda opcode: _shift(opcode, left=True),
    "shr": lambda opcode: _shift(opcode, left=False),
    "shf": _funnel,
    "lop3": _lop3,
    "prmt": _prmt,
    "bfe": _bfe,
    "bfi": _bfi,
    "clz": _count(_leading_zeros),
    "popc": _count(lambda digits, width: digits.sum(-1)),
    "brev": _brev,
}
