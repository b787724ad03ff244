"""Text of PTX: functions, variables and statements."""

import bisect
import dataclasses
import re

from tests.cuda.emulator.errors import PTXError

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_SECTION = re.compile(r"^[ \t]*\.section\s+\S+\s*\{.*?\}", re.MULTILINE | re.DOTALL)
_DIRECTIVE_LINE = re.compile(r"^[ \t]*\.(?:version|target|address_size|file|loc)\b[^\n]*", re.MULTILINE)
_SOURCE = re.compile(r"^[ \t]*\.(file|loc)\s+(\d+)\s+(\S+)", re.MULTILINE)
_MARK = re.compile(r'"[^"]*"|[;{}()\[\]]|(?<=[\w$]):(?!:)')
_LABEL = re.compile(r"[\w$%.]+$")
_HEADER = re.compile(r"\.(entry|func)\b\s*(\(.*?\))?\s*([\w$.]+)\s*(?:\((.*?)\))?", re.DOTALL)
_VARIABLE = re.compile(
    r"(?:\.(?:visible|extern|common|weak)\s+)*\.(reg|shared|local|global|const|param)\s+"
    r"(?:\.align\s+(\d+)\s+)?\.(?:v[24]\s+)?(\w+)\s+(.*)",
    re.DOTALL,
)
_INSTRUCTION = re.compile(r"(?:@(!?)(%?[\w$]+)\s+)?([\w.:]+)\s*(.*)", re.DOTALL)
_OPEN, _CLOSE = "({[", ")}]"


@dataclasses.dataclass
class Statement:
    """A statement of a function: ``{``, ``}``, a label, a variable or an instruction.

    Attributes
    ----------
    kind : {"open", "close", "label", "variable", "instruction"}
    line : int
        Its line in the text.
    text : str
    """

    kind: str
    line: int
    text: str


@dataclasses.dataclass
class Variable:
    """A variable, or a family of registers.

    Attributes
    ----------
    space : {"reg", "shared", "local", "global", "const", "param"}
    type, name : str
    count : int or None
        Of elements, or of registers ``name0``, ``name1``, …; None is one, without a number.
    align : int
    values : list of int or None
        What it holds in the beginning.
    """

    space: str
    type: str
    name: str
    count: int | None
    align: int
    values: list | None = None

    @property
    def size(self):
        """Bytes."""
        return size_of(self.type) * (1 if self.count is None else self.count)


@dataclasses.dataclass
class Function:
    """A function, or a kernel.

    Attributes
    ----------
    name : str
    is_entry : bool
    results, parameters : list of Variable
    body : list of Statement
    """

    name: str
    is_entry: bool
    results: list
    parameters: list
    body: list


@dataclasses.dataclass
class Module:
    """What a text of PTX holds.

    Attributes
    ----------
    functions : dict of Function
        By name.
    variables : list of Variable
        Of the module, in the spaces global, const and shared.
    sources : list of (int, str)
        From which lines on the text was made from a place in Python.
    """

    functions: dict
    variables: list
    sources: list = dataclasses.field(default_factory=list)

    def source(self, line):
        """Return the place in Python of a line of the text, or ""."""
        at = bisect.bisect_right(self.sources, (line, ""))
        return self.sources[at - 1][1] if at else ""


def size_of(kind):
    """Return the bytes of a type: "u32", "f64", "pred"."""
    return 1 if kind == "pred" else int(kind.lstrip("bsuftx").lstrip("f")) // 8


def parse(text):
    """Return the `Module` of a text of PTX."""
    for pattern in (_COMMENT, _SECTION):
        text = pattern.sub(lambda found: "\n" * found[0].count("\n"), text)
    module, body, depth = Module({}, [], _sources(text)), None, 0
    text = _DIRECTIVE_LINE.sub("", text)
    for statement in _statements(text):
        if body is None:
            header = _HEADER.search(statement.text) if statement.kind != "label" else None
            if header and statement.kind == "header":
                kind, results, name, parameters = header.groups()
                body, depth = [], 1
                module.functions[name] = Function(name, kind == "entry", _listed(results), _listed(parameters), body)
            elif not header and statement.kind != "close":
                module.variables += variables(statement.text)
            continue
        depth += {"open": 1, "close": -1}.get(statement.kind, 0)
        if depth == 0:
            body = None
        elif statement.kind != "instruction" or not statement.text.startswith(".pragma"):
            body.append(statement)
    return module


def _sources(text):
    """Return the places in Python that a text names, with the line from which on each is meant."""
    found = list(_SOURCE.finditer(text))
    names = {place[2]: place[3].strip('"').rpartition("/")[2] for place in found if place[1] == "file"}
    return [
        (text.count("\n", 0, place.start()) + 1, f"{names.get(place[2], place[2])}:{place[3]}")
        for place in found
        if place[1] == "loc"
    ]


def _statements(text):
    """Yield the statements of a text; a "header" is what stands before the ``{`` of a function."""
    begin, depth, line, counted = 0, 0, 1, 0
    for mark in _MARK.finditer(text):
        sign, pending = mark[0], text[begin : mark.start()].strip()
        if sign in "([" or (sign == "{" and pending and not (depth == 0 and _HEADER.search(pending))):
            depth += 1
            continue
        if depth and sign in ")]}":
            depth -= 1
            continue
        if depth or sign[0] == '"' or (sign == ":" and not _LABEL.match(pending)):
            continue
        place = begin + len(text[begin : mark.start()]) - len(text[begin : mark.start()].lstrip())
        line, counted = line + text.count("\n", counted, place), max(place, counted)
        kind = {"{": "header" if pending else "open", "}": "close", ":": "label"}.get(sign)
        if kind is None:
            kind = "variable" if _VARIABLE.match(pending) else "instruction"
        if pending or kind in ("open", "close"):
            yield Statement(kind, line, pending)
        begin = mark.end()


def _listed(text):
    """Return the variables between the parentheses of a function's head."""
    parts = split(text.strip().removeprefix("(").removesuffix(")")) if text else []
    return [variable for part in parts for variable in variables(part)]


def variables(text):
    """Return the variables that a statement declares."""
    found = _VARIABLE.match(text.strip())
    if found is None:
        raise PTXError(f"unknown declaration: {text}")
    space, align, kind, rest = found.groups()
    declared = []
    for part in split(rest):
        name, _, values = (piece.strip() for piece in part.partition("="))
        name, count = re.fullmatch(r"([\w$%.]+)\s*(?:[<\[]\s*(\d*)\s*[>\]])?", name).groups()
        count = int(count) if count else (0 if count == "" else None)
        numbers = [int(number, 0) for number in split(values.strip("{}"))] if values else None
        declared.append(Variable(space, kind, name, count, int(align or size_of(kind)), numbers))
    return declared


def instruction(text):
    """Return an instruction as (predicate or None, whether it is negated, opcode, operands)."""
    negated, predicate, opcode, rest = _INSTRUCTION.fullmatch(text.strip()).groups()
    return predicate, negated == "!", opcode, split(rest)


def split(text):
    """Return the parts of a text between its commas that stand in no brackets."""
    parts, depth, part = [], 0, ""
    for letter in text:
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == "," and not depth:
            parts.append(part.strip())
            part = ""
        else:
            part += letter
    return [*parts, part.strip()] if part.strip() else parts
