"""Instructions that touch memory: loads, stores, atomics and fences."""

import operator

import numpy as np

from tests.cuda.emulator.errors import Fault, PTXError
from tests.cuda.emulator.memory import LOCAL, SHARED, WINDOW
from tests.cuda.emulator.steps import ACT, COMPUTE, COMPUTE_MANY, TEAM, Step
from tests.cuda.emulator.types import DTYPES, UNSIGNED, is_float

SPECIALS = set(
    "tid ntid ctaid nctaid laneid warpid nwarpid smid nsmid gridid clock clock_hi clock64 globaltimer globaltimer_lo "
    "dynamic_smem_size total_smem_size lanemask_eq lanemask_lt lanemask_le lanemask_gt lanemask_ge".split()
)
WIDE_SPECIALS = {"%clock64", "%globaltimer"}
_WINDOWS = {SHARED // WINDOW: "shared", LOCAL // WINDOW: "local"}
_SYNCHRONIZING = {"relaxed", "acquire", "release", "acq_rel", "volatile"}
_ALONE = {"cta"}  # scopes that reach no other block
_KNOWN = {  # modifiers that change nothing here: caches, and where vectors begin
    "global", "shared", "local", "const", "param", "v2", "v4", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "gpu",
    "sys", "cta", "weak", "L2", "64B", "128B", "evict_last", "evict_first", "L1", "no_allocate", "entry", "func",
} | _SYNCHRONIZING  # fmt: skip


def decode(decoder, scope, opcode, operands):
    """Return the step of an instruction that touches memory, or None."""
    if opcode.name in ("ld", "ldu", "st"):
        unknown = {part for part in opcode.modifiers if part.split("::")[0] not in _KNOWN}
        if unknown:
            raise PTXError(f"unknown modifier {min(unknown)}")
        return (_store if opcode.name == "st" else _load)(decoder, scope, opcode, operands)
    if opcode.name in ("atom", "red") and "async" not in opcode.modifiers:
        return _atomic(decoder, scope, opcode, operands)
    if opcode.name in ("membar", "fence"):
        reaches = not _ALONE & set(opcode.modifiers)
        return Step(ACT, 0, "", lambda r: r[TEAM].fence() if reaches else None)
    if opcode.name == "nanosleep":
        return Step(ACT, 0, "", lambda r: r[TEAM].rest())
    if opcode.name in ("prefetch", "prefetchu", "discard", "applypriority"):
        return Step(ACT, 0, "", lambda r: None)
    return None


def _space(opcode):
    for name in ("global", "shared", "local", "const"):
        if name in opcode.modifiers or f"{name}::cta" in opcode.modifiers:
            return "global" if name == "const" else name
    return None  # generic


def _synchronizes(opcode, strong):
    """Return None for a plain access, else whether it is one of the `strong` kinds for other blocks."""
    if not _SYNCHRONIZING & set(opcode.modifiers):
        return None
    return bool({strong, "acq_rel"} & set(opcode.modifiers)) and not _ALONE & set(opcode.modifiers)


def _load(decoder, scope, opcode, operands):
    names = [part.strip() for part in operands[0].strip("{} ").split(",")]
    address, dtype, space = decoder.address(scope, operands[1]), DTYPES[opcode.type], _space(opcode)
    strong, constant = _synchronizes(opcode, "acquire"), "nc" in opcode.modifiers
    count = len(names)

    def run(r):
        return load(r[TEAM], space, address(r), dtype, count, strong, constant)

    if count == 1:
        slot, run = decoder.into(scope, names[0], lambda r, inner=run: inner(r)[0], dtype)
        return Step(COMPUTE, 0, "", run, slot)
    return decoder.results(scope, names, run, [dtype] * count, COMPUTE_MANY)


def _store(decoder, scope, opcode, operands):
    dtype = UNSIGNED[np.dtype(DTYPES[opcode.type]).itemsize]
    address, space = decoder.address(scope, operands[0]), _space(opcode)
    names = [part.strip() for part in operands[1].strip("{} ").split(",")]
    own = DTYPES[opcode.type]
    sources, strong = [decoder.source(scope, name, own) for name in names], _synchronizes(opcode, "release")
    return Step(ACT, 0, "", lambda r: store(r[TEAM], space, address(r), [s(r) for s in sources], dtype, strong))


def parts(team, space, addresses, width, lanes):
    """Yield (memory, offsets in it, indices) of the accesses of `lanes`: generic addresses may be of several spaces."""
    if space is not None:
        memory = team.memory(space)
        yield memory, memory.offsets(addresses, width, lanes), slice(None)
        return
    windows = addresses // np.uint64(WINDOW)
    for window in np.unique(windows):
        at = np.flatnonzero(windows == window)
        memory = team.memory(_WINDOWS.get(int(window), "global"))
        base = np.uint64(int(window) * WINDOW if int(window) in _WINDOWS else 0)
        yield memory, memory.offsets(addresses[at] - base, width, lanes[at]), at


def load(team, space, addresses, dtype, count, strong, constant):
    """Return the values of a load, an array for each element of a vector; `strong` is None for a plain one."""
    lanes, width = team.lanes, np.dtype(dtype).itemsize * count
    values = [np.empty(len(lanes), dtype) for _ in range(count)]
    for memory, offsets, at in parts(team, space, team.active(addresses), width, lanes):
        view, index = memory.view(dtype), offsets // np.dtype(dtype).itemsize
        for k in range(count):
            values[k][at] = view[index + k]
        if strong is not None:
            team.acquire(memory, offsets, lanes[at], strong)
        elif memory.records is not None:
            team.check_read(memory, offsets, width, lanes[at], constant)
    return [team.spread(value) for value in values]


def store(team, space, addresses, values, dtype, strong):
    """Store values; `strong` is None for a plain store."""
    lanes, size = team.lanes, np.dtype(dtype).itemsize
    values = [team.active(value).view(dtype) for value in values]
    for memory, offsets, at in parts(team, space, team.active(addresses), size * len(values), lanes):
        view, index = memory.view(dtype), offsets // size
        if strong is not None:
            team.release(memory, offsets, lanes[at], strong)
        elif memory.records is not None:
            changed = np.zeros(len(index), bool)
            for k, value in enumerate(values):
                changed |= view[index + k] != value[at]
            team.check_write(memory, offsets, size * len(values), lanes[at], changed)
        for k, value in enumerate(values):
            view[index + k] = value[at]
        for k, value in enumerate(values):
            lost = view[index + k] != value[at]
            if lost.any():
                lane = lanes[at][np.flatnonzero(lost)[0]]
                raise Fault("race: threads write different values to one address at once", lane)


_OPERATIONS = {
    "add": operator.add,
    "min": min,
    "max": max,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "exch": lambda old, new: new,
    "inc": lambda old, most: type(old)(0) if old >= most else old + type(old)(1),
    "dec": lambda old, most: most if old == 0 or old > most else old - type(old)(1),
    "cas": lambda old, compared, new: new if old == compared else old,
}


def _atomic(decoder, scope, opcode, operands):
    name = next((part for part in opcode.modifiers if part in _OPERATIONS), None)
    if name is None or not set(opcode.modifiers) <= {*_KNOWN, name, "noftz"}:
        raise PTXError("unknown atomic operation")
    dtype, function, space = DTYPES[opcode.type], _OPERATIONS[name], _space(opcode)
    if opcode.type.endswith("x2") or (opcode.type.endswith("f16")) or (is_float(opcode.type) and name == "cas"):
        raise PTXError("unknown type of an atomic operation")
    returns = opcode.name == "atom"
    place, *texts = operands[1:] if returns else operands
    address, sources = decoder.address(scope, place), [decoder.source(scope, text, dtype) for text in texts]
    alone = bool(_ALONE & set(opcode.modifiers))
    kinds = set(opcode.modifiers)
    acquires, releases = (bool({kind, "acq_rel"} & kinds) and not alone for kind in ("acquire", "release"))

    def run(r):
        return atomic(r[TEAM], space, address(r), function, [s(r) for s in sources], dtype, (acquires, releases))

    if not returns or operands[0] == "_":
        return Step(ACT, 0, "", run)
    slot, run = decoder.into(scope, operands[0], run, dtype)
    return Step(COMPUTE, 0, "", run, slot)


def atomic(team, space, addresses, function, values, dtype, orders):
    """Change values in memory, a thread after the other in a random order, and return what was there."""
    lanes, (acquires, releases) = team.lanes, orders
    values, old = [team.active(value) for value in values], np.empty(len(lanes), dtype)
    for memory, offsets, at in parts(team, space, team.active(addresses), np.dtype(dtype).itemsize, lanes):
        view, index = memory.view(dtype), offsets // np.dtype(dtype).itemsize
        chosen, numbers = [value[at] for value in values], old[at]
        for k in team.random.permutation(len(index)):
            numbers[k] = view[index[k]]
            view[index[k]] = function(numbers[k], *[value[k] for value in chosen])
        old[at] = numbers
        team.acquire(memory, offsets, lanes[at], acquires, rests=bool((view[index] == numbers).all()))
        team.release(memory, offsets, lanes[at], releases)
    return team.spread(old)
