"""Instructions that the threads of a warp execute together: shuffles, votes, and products on tensor cores."""

import re

import numpy as np

from tests.cuda.emulator.conversions import from_bf16
from tests.cuda.emulator.errors import PTXError
from tests.cuda.emulator.races import WARP
from tests.cuda.emulator.steps import COLLECTIVE, TEAM, Step
from tests.cuda.emulator.types import DTYPES

_ALL = np.uint32(0xFFFFFFFF)
_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")


def decode(decoder, scope, opcode, operands):
    """Return the step of an instruction of a warp, or None."""
    make = {"shfl": _shuffle, "vote": _vote, "activemask": _activemask, "mma": _mma, "bar": _barrier, "redux": _redux}
    return make[opcode.name](decoder, scope, opcode, operands) if opcode.name in make else None


def _collective(decoder, scope, names, run, dtypes, members):
    step = decoder.results(scope, names, run, dtypes, COLLECTIVE)
    step.members = members
    return step


def _barrier(decoder, scope, opcode, operands):
    if opcode.modifiers != ["warp", "sync"]:
        return None
    members = decoder.source(scope, operands[0], np.uint32)
    return Step(COLLECTIVE, 0, "", lambda r: r[TEAM].join_warps() or (), (), members=members)


def _shuffle(decoder, scope, opcode, operands):
    if "sync" not in opcode.modifiers:
        raise PTXError("a shuffle without .sync")
    mode = opcode.modifiers[-1]
    names = operands[0].split("|")
    value, shift, limits, members = (decoder.source(scope, text, np.uint32) for text in operands[1:])

    def run(r):
        team = r[TEAM]
        result, inside = shuffled(
            mode, *(team.warps(source(r)) for source in (value, shift, limits)), team.warps_mask()
        )
        return result.reshape(-1), inside.reshape(-1)

    return _collective(decoder, scope, [*names, "_"][:2], run, [np.uint32, np.bool_], members)


def shuffled(mode, values, shift, limits, active):
    """Return what each lane gets of another one of its warp, and whether that one is in its segment: (warps, 32)."""
    lane = np.broadcast_to(np.arange(WARP, dtype=np.int64), values.shape)
    clamp, segment, shift = limits & 31, (limits >> np.uint32(8)) & 31, (shift & 31).astype(np.int64)
    last = (lane & segment) | (clamp & ~segment)
    source = {
        "up": lane - shift,
        "down": lane + shift,
        "bfly": lane ^ shift,
        "idx": (lane & segment) | (shift & ~segment.astype(np.int64)),
    }[mode]
    inside = source >= last if mode == "up" else source <= last
    source = np.where(inside, source, lane)
    result = np.take_along_axis(values, source, 1)
    return np.where(
        np.take_along_axis(active, source, 1), result, _ALL
    ), inside  # of a lane that is not there: undefined


def _vote(decoder, scope, opcode, operands):
    mode = next(part for part in opcode.modifiers if part != "sync")
    predicate, members = decoder.source(scope, operands[1], np.bool_), decoder.source(scope, operands[2], np.uint32)

    def run(r):
        team = r[TEAM]
        active, values = team.warps_mask(), team.warps(predicate(r))
        every, some = (values | ~active).all(1), (values & active).any(1)
        result = {
            "all": lambda: every,
            "any": lambda: some,
            "uni": lambda: every | ~some,
            "ballot": lambda: _bits(values & active),
        }[mode]()
        return [np.repeat(result, WARP)]

    dtype = np.uint32 if mode == "ballot" else np.bool_
    return _collective(decoder, scope, [operands[0]], run, [dtype], members)


def _bits(values):
    """Return (warps, 32) booleans as (warps,) words."""
    return np.packbits(values, axis=1, bitorder="little").view(np.uint32)[:, 0]


def _activemask(decoder, scope, opcode, operands):
    def run(r):
        return [np.repeat(_bits(r[TEAM].warps_mask()), WARP)]

    return _collective(decoder, scope, operands, run, [np.uint32], lambda r: np.uint32(0))


def _redux(decoder, scope, opcode, operands):
    name, dtype = next(part for part in opcode.modifiers if part != "sync"), DTYPES[opcode.type]
    value, members = decoder.source(scope, operands[1], dtype), decoder.source(scope, operands[2], np.uint32)
    functions = {"add": np.add, "min": np.minimum, "max": np.maximum}
    functions |= {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}
    function = functions[name]

    def run(r):
        values, active = r[TEAM].warps(value(r)), r[TEAM].warps_mask()
        rows = [
            function.reduce(row[there]) if there.any() else dtype(0) for row, there in zip(values, active, strict=True)
        ]
        return [np.repeat(np.array(rows, dtype), WARP)]

    return _collective(decoder, scope, [operands[0]], run, [dtype], members)


def _mma(decoder, scope, opcode, operands):
    """Decode d = a · b + c with a (m, k), b (k, n) of tf32 or bf16, c and d (m, n) of float32."""
    shape = next((found for part in opcode.modifiers if (found := _SHAPE.fullmatch(part))), None)
    m, n, k = map(int, shape.groups()) if shape else (0, 0, 0)
    kind = opcode.types[1]
    if (m, n) != (16, 8) or opcode.types != ["f32", kind, kind, "f32"] or (kind, k) not in _LAYOUTS:
        raise PTXError("unknown product of matrices")
    vectors = [[part.strip() for part in text.strip("{} ").split(",")] for text in operands]
    a, b = ([decoder.source(scope, name, np.uint32) for name in names] for names in vectors[1:3])
    c = [decoder.source(scope, name, np.float32) for name in vectors[3]]

    def run(r):
        warps = r[TEAM].warps
        result = product(kind, k, *(np.stack([warps(s(r)) for s in part], 2) for part in (a, b, c)))
        return [result[:, :, index].reshape(-1) for index in range(4)]

    return _collective(decoder, scope, vectors[0], run, [np.float32] * 4, lambda r: _ALL)


def _layout(kind, k):
    """Return (rows of a, columns of a), (rows of b, columns of b) of each lane's elements in the order of registers."""
    group, member = np.divmod(np.arange(WARP), 4)
    parts = 2 if kind == "bf16" else 1  # elements of a register
    first = [member * parts + part for part in range(parts)]  # along the inner dimension
    steps = range(0, k, 4 * parts)
    rows = [group + 8 * half for _ in steps for half in range(2) for _ in range(parts)]
    columns = [column + step for step in steps for _ in range(2) for column in first]
    inner = [row + step for step in steps for row in first]
    return [np.stack(part, 1) for part in (rows, columns, inner, [group] * len(inner))]


_LAYOUTS = {(kind, k): _layout(kind, k) for kind, k in (("tf32", 4), ("tf32", 8), ("bf16", 8), ("bf16", 16))}


def product(kind, k, a, b, c):
    """Return the fragments of a · b + c for fragments (warps, 32, registers)."""
    rows, columns, inner, right = _LAYOUTS[kind, k]
    left = np.empty((len(a), 16, k))
    left[:, rows, columns] = _numbers(kind, a)
    factor = np.empty((len(a), k, 8))
    factor[:, inner, right] = _numbers(kind, b)
    group, member = np.divmod(np.arange(WARP), 4)
    at_rows = np.stack([group, group, group + 8, group + 8], 1)
    at_columns = np.stack([2 * member, 2 * member + 1] * 2, 1)
    with np.errstate(all="ignore"):
        result = np.einsum("wmk,wkn->wmn", left, factor)[:, at_rows, at_columns]
    return (result + c).astype(np.float32)


def _numbers(kind, registers):
    """Return what the tensor cores read in 32-bit registers: tf32 has the upper 19 bits of float32."""
    if kind == "tf32":
        return (registers & np.uint32(0xFFFFE000)).view(np.float32)
    halves = np.stack([registers & np.uint32(0xFFFF), registers >> np.uint32(16)], 3).astype(np.uint16)
    return from_bf16(halves).reshape(*registers.shape[:2], -1)
