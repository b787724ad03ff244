"""From the statements of a kernel to steps that a team of threads runs: names become slots, calls are put in place."""

import dataclasses
import re
from operator import itemgetter

import numpy as np

from tests.cuda.emulator import accesses, carries, collectives
from tests.cuda.emulator.errors import Fault, PTXError
from tests.cuda.emulator.operations import operation
from tests.cuda.emulator.parser import Variable, instruction, variables
from tests.cuda.emulator.steps import ACT, BARRIER, BRANCH, COMPUTE, COMPUTE_MANY, EXIT, TEAM, Step
from tests.cuda.emulator.types import DTYPES, UNSIGNED, Opcode, cast, storage

_FAMILY = re.compile(r"(.*?)(\d+)")
_ADDRESS = re.compile(r"\[\s*([\w$%.]+)\s*(?:\+\s*(-?\w+)\s*)?\]")
_NUMBER = re.compile(r"-?(?:0[xX][\da-fA-F]+|\d+)U?")
_FLOAT = re.compile(r"0([fFdD])([\da-fA-F]{8}|[\da-fA-F]{16})")


@dataclasses.dataclass
class Program:
    """A kernel, ready to run.

    Attributes
    ----------
    name : str
        As in Python, with the modules.
    steps : list of Step
    slots : list
        What registers and constants hold in the beginning.
    specials : dict of int
        The slots of special registers.
    parameters : list of Variable
    shared, local : int
        Bytes of static shared memory of a block, and of local memory of a thread.
    """

    name: str
    steps: list
    slots: list
    specials: dict
    parameters: list
    shared: int = 0
    local: int = 0


class _Scope:
    """Names between a pair of braces."""

    def __init__(self, parent=None):
        self.parent, self.names, self.labels, self.families = parent, {}, {}, {}

    def find(self, kind, name):
        """Return what a name stands for, or None."""
        scope = self
        while scope is not None:
            found = getattr(scope, kind).get(name)
            if found is not None:
                return found
            scope = scope.parent
        return None


class _Arguments:
    """A variable in the space param, at a call: slots by their offset."""

    def __init__(self):
        self.slots = {}


@dataclasses.dataclass
class _Place:
    """Where a variable lies: the space and its address there; or the variable, if it is a parameter of the kernel."""

    space: str
    address: int
    variable: Variable


def decode(module, name, allocate):
    """Return the `Program` of a kernel of a module.

    Parameters
    ----------
    module : Module
    name : str
    allocate : callable
        Takes a number of bytes, returns their address in global memory and a view of them.
    """
    return _Decoder(module, name, allocate).program


class _Decoder:
    def __init__(self, module, name, allocate):
        entry = module.functions[name]
        self.program = Program(plain(name), [], [None], {}, entry.parameters)
        self._module, self._allocate, self._constants, self._zeros = module, allocate, {}, {}
        self._outside = _Scope()
        self._outside.names["%carry"] = self._register("pred")
        for variable in module.variables:
            self._place(variable, self._outside)
        scope = _Scope(self._outside)
        for variable in entry.parameters:
            scope.names[variable.name] = _Place("param", 0, variable)
        flat = []
        self._flatten(entry, scope, flat, None)
        self.program.steps = [self._step(*statement) for statement in flat]

    # Statements: scopes, labels, variables and calls vanish

    def _flatten(self, function, scope, flat, end):
        """Append the instructions of a function as (scope, statement); `end` is where its ``ret`` goes."""
        scope.names["ret"] = end
        for statement in function.body:
            if statement.kind == "open":
                scope = _Scope(scope)
            elif statement.kind == "close":
                scope = scope.parent
            elif statement.kind == "label":
                scope.labels[statement.text] = len(flat)
            elif statement.kind == "variable":
                for variable in variables(statement.text):
                    self._place(variable, scope)
            elif statement.text.startswith("call"):
                self._call(statement, scope, flat)
            else:
                flat.append((scope, statement))

    def _call(self, statement, scope, flat):
        _, _, _, operands = instruction(statement.text)
        results = operands.pop(0).strip("() ").split() if operands[0].startswith("(") else []
        function = self._module.functions.get(operands[0])
        if function is None:
            raise PTXError(f"line {statement.line}: call of {operands[0]}, which is not in this text")
        passed = operands[1].strip("() \n").split(",") if len(operands) > 1 else []
        inside, end = _Scope(self._outside), _Scope()
        for variables_, names in ((function.results, results), (function.parameters, passed)):
            for variable, name in zip(variables_, filter(None, map(str.strip, names)), strict=True):
                inside.names[variable.name] = scope.find("names", name)
        self._flatten(function, inside, flat, end)
        end.labels["end"] = len(flat)

    def _place(self, variable, scope):
        """Give a variable its place."""
        if variable.space == "reg":
            families = scope.names if variable.count is None else scope.families
            families[variable.name] = self._register(variable.type) if variable.count is None else variable.type
        elif variable.space == "param":
            scope.names[variable.name] = _Arguments()
        elif variable.space in ("global", "const"):
            address, view = self._allocate(variable.size)
            values = variable.values or []
            view.fill(0)
            view.view(DTYPES[variable.type])[: len(values)] = np.array(values, np.int64).astype(DTYPES[variable.type])
            scope.names[variable.name] = _Place("global", address, variable)
        else:
            begin = -(-getattr(self.program, variable.space) // variable.align) * variable.align
            setattr(self.program, variable.space, begin + variable.size)
            scope.names[variable.name] = _Place(variable.space, begin, variable)

    # Operands

    def _slot(self, value):
        self.program.slots.append(value)
        return len(self.program.slots) - 1

    def _register(self, kind):
        return self._slot(storage(kind)(0))

    def register(self, scope, name):
        """Return the slot of a register, or None for the name "_"."""
        if name == "_":
            return None
        slot = scope.find("names", name)
        if slot is None:
            family = _FAMILY.fullmatch(name)
            kind = scope.find("families", family[1]) if family else None
            if kind is None:
                raise PTXError(f"unknown register {name}")
            slot = self._register(kind)
            owner = scope
            while family[1] not in owner.families:
                owner = owner.parent
            owner.names[name] = slot
        return slot

    def constant(self, value):
        """Return the slot of a number."""
        key = type(value), value.tobytes()
        if key not in self._constants:
            self._constants[key] = self._slot(value)
        return self._constants[key]

    def source(self, scope, text, dtype):
        """Return a function that takes the slots and returns an operand as an array, or a number, of a type."""
        if text.startswith("!"):
            inner = self.source(scope, text[1:], np.bool_)
            return lambda r: ~inner(r)
        number = _number(text, dtype)
        if number is not None:
            return itemgetter(self.constant(number))
        name = text.strip()
        if name.startswith("%") and name[1:].split(".")[0] in accesses.SPECIALS and scope.find("names", name) is None:
            slot = self.program.specials.setdefault(name, len(self.program.slots))
            if slot == len(self.program.slots):
                self._slot(np.uint32(0) if name not in accesses.WIDE_SPECIALS else np.uint64(0))
            return lambda r: cast(r[slot], dtype)
        place = scope.find("names", name)
        if isinstance(place, _Place) and place.space != "param":
            return itemgetter(self.constant(np.dtype(dtype).type(place.address)))
        slot = self.register(scope, name)
        held = self.program.slots[slot].dtype
        return itemgetter(slot) if held == dtype else (lambda r: cast(r[slot], dtype))

    def into(self, scope, text, run, dtype):
        """Return the slot of a result and a function that returns it as the register holds it."""
        slot = self.register(scope, text)
        held = self.program.slots[slot].dtype
        return slot, (run if held == dtype else (lambda r: cast(run(r), held)))

    def address(self, scope, text):
        """Return a function that takes the slots and returns the addresses of an operand like ``[%rd1+8]``."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise PTXError(f"unknown address {text}")
        base, offset = self.source(scope, found[1], np.uint64), int(found[2] or "0", 0)
        shift = np.int64(offset).view(np.uint64)
        return (lambda r: base(r) + shift) if offset else base

    def parameter(self, scope, text):
        """Return an operand in the space param: its `_Arguments` or `_Place`, and the offset."""
        found = _ADDRESS.fullmatch(text)
        return scope.find("names", found[1]), int(found[2] or "0", 0)

    # Instructions

    def _step(self, scope, statement):
        try:
            return self._decoded(scope, statement)
        except PTXError as error:
            message = str(error)

            def unknown(r):
                raise Fault(message)

            return Step(ACT, statement.line, self._quoted(statement), unknown)

    def _quoted(self, statement):
        """Return an instruction with its place in Python, for messages."""
        source = self._module.source(statement.line)
        return statement.text + f" [{source}]" * bool(source)

    def _decoded(self, scope, statement):
        predicate, negated, text, operands = instruction(statement.text)
        opcode = Opcode.of(text)
        step = self._control(scope, opcode, operands)
        if step is None:
            for make in (
                _Decoder._move,
                _Decoder._parameters,
                carries.decode,
                accesses.decode,
                collectives.decode,
                _Decoder._compute,
            ):
                step = make(self, scope, opcode, operands)
                if step is not None:
                    break
            else:
                raise PTXError(f"unknown instruction {text}")
        step.line, step.text = statement.line, self._quoted(statement)
        if predicate:
            step.guard = self.source(scope, "!" * negated + predicate, np.bool_)
        return step

    def _control(self, scope, opcode, operands):
        name = opcode.name
        if name == "bra":
            target = scope.find("labels", operands[0])
            if target is None:
                raise PTXError(f"unknown label {operands[0]}")
            return Step(BRANCH, 0, "", target=target)
        end = scope.find("names", "ret")
        if name == "ret" and end is not None:
            return Step(BRANCH, 0, "", target=end.labels["end"])
        if name in ("ret", "exit", "trap"):
            return Step(EXIT, 0, "", run=_trap if name == "trap" else None)
        if name in ("bar", "barrier") and "sync" in opcode.modifiers and "warp" not in opcode.modifiers:
            if "cluster" in opcode.modifiers:
                return None
            number = self.source(scope, operands[0] if operands else "0", np.uint32)
            count = self.source(scope, operands[1], np.uint32) if len(operands) > 1 else lambda r: None
            return Step(BARRIER, 0, "", run=lambda r: (number(r), count(r)))
        return None

    def _move(self, scope, opcode, operands):
        """Decode moves of halves to a whole, and of a whole to halves."""
        if opcode.name != "mov" or not any(text.startswith("{") for text in operands):
            return None
        whole, (left, right) = UNSIGNED[np.dtype(DTYPES[opcode.type]).itemsize], operands
        vector = elements(left if left.startswith("{") else right)
        width = np.dtype(whole).itemsize // len(vector)
        part, shifts = UNSIGNED[width], [whole(8 * width * k) for k in range(len(vector))]
        if left.startswith("{"):
            source = self.source(scope, right, whole)
            runs = [(lambda r, s=shift: (source(r) >> s).astype(part)) for shift in shifts]
            return self.results(scope, vector, lambda r: [run(r) for run in runs], [part] * len(vector))
        sources = [self.source(scope, text, part) for text in vector]
        pairs = list(zip(sources, shifts, strict=True))
        slot, run = self.into(scope, left, lambda r: sum((s(r).astype(whole) << k for s, k in pairs), whole(0)), whole)
        return Step(COMPUTE, 0, "", run, slot)

    def results(self, scope, names, run, dtypes, kind=COMPUTE_MANY):
        """Return the step of an instruction with several results."""
        slots = tuple(self.register(scope, name) for name in names)
        held = [None if slot is None else self.program.slots[slot].dtype for slot in slots]
        if all(have is None or have == want for have, want in zip(held, dtypes, strict=True)):
            return Step(kind, 0, "", run, slots)
        return Step(kind, 0, "", lambda r: [cast(v, h or v.dtype) for v, h in zip(run(r), held, strict=True)], slots)

    def _parameters(self, scope, opcode, operands):
        """Decode loads and stores of parameters, of the kernel or of a call."""
        if opcode.name not in ("ld", "st") or "param" not in opcode.modifiers:
            return None
        is_load = opcode.name == "ld"
        names = elements(operands[0 if is_load else 1])
        place, begin = self.parameter(scope, operands[1 if is_load else 0])
        dtype = DTYPES[opcode.type]
        offsets = [begin + k * np.dtype(dtype).itemsize for k in range(len(names))]
        if isinstance(place, _Place):
            name = place.variable.name
            return self.results(scope, names, lambda r: [r[TEAM].parameter(name, k, dtype) for k in offsets],
                                [dtype] * len(names))  # fmt: skip
        for offset in offsets:
            if offset not in place.slots:
                place.slots[offset] = self._register(opcode.type)
        slots = tuple(place.slots[offset] for offset in offsets)
        if is_load:
            return self.results(scope, names, lambda r: [cast(r[slot], dtype) for slot in slots], [dtype] * len(names))
        sources, held = [self.source(scope, name, dtype) for name in names], storage(opcode.type)
        return Step(COMPUTE_MANY, 0, "", lambda r: [cast(source(r), held) for source in sources], slots)

    def _compute(self, scope, opcode, operands):
        found = operation(opcode)
        if found is None:
            return None
        into, *texts = operands
        if len(texts) != len(found.sources):
            raise PTXError(f"{len(found.sources)} operands expected")
        sources = [self.source(scope, text, dtype) for text, dtype in zip(texts, found.sources, strict=True)]
        run = _applied(found.function, sources)
        if "|" in into:  # a predicate and its opposite
            return self.results(scope, into.split("|"), lambda r: (lambda p: (p, ~p))(run(r)), [np.bool_, np.bool_])
        slot, run = self.into(scope, into, run, found.result)
        return Step(COMPUTE, 0, "", run, slot)


def plain(name):
    """Return a mangled name as it stands in Python: "_ZN4math3sinE" is "math.sin"."""
    parts, rest = [], name.removeprefix("_ZN")
    while rest != name and (count := re.match(r"\d+", rest)):
        end = count.end() + int(count[0])
        parts.append(rest[count.end() : end])
        rest = rest[end:]
    return ".".join(parts) or name


def elements(text):
    """Return the parts of a vector, or of one operand."""
    return [part.strip() for part in text.strip("{} ").split(",")]


def _applied(function, sources):
    if len(sources) == 1:
        (a,) = sources
        return lambda r: function(a(r))
    if len(sources) == 2:
        a, b = sources
        return lambda r: function(a(r), b(r))
    if len(sources) == 3:
        a, b, c = sources
        return lambda r: function(a(r), b(r), c(r))
    return lambda r: function(*[source(r) for source in sources])


def _trap(r):
    raise Fault("the kernel traps")


def _number(text, dtype):
    """Return a literal as a number of a type, or None."""
    literal = _FLOAT.fullmatch(text)
    if literal:
        bits = int(literal[2], 16)
        value = np.uint32(bits).view(np.float32) if literal[1] in "fF" else np.uint64(bits).view(np.float64)
        return cast(value, dtype) if value.dtype.itemsize == np.dtype(dtype).itemsize else dtype(value)
    if _NUMBER.fullmatch(text):
        value = int(text.rstrip("U"), 0)
        if dtype in (np.float32, np.float64, np.bool_):
            return dtype(value)
        size = np.dtype(dtype).itemsize
        return UNSIGNED[size](value & ((1 << 8 * size) - 1)).view(dtype)
    return np.uint32(32).astype(dtype) if text == "WARP_SZ" else None
