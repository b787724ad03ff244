"""Types of PTX, as NumPy's. A register holds its bits as an unsigned integer, or as a float if it is declared so."""

import dataclasses
from collections.abc import Callable

import numpy as np

UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
SIGNED = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}
DTYPES = {
    "pred": np.bool_,
    "f32": np.float32,
    "f64": np.float64,
    "f16": np.uint16,  # bits: only conversions know it
    "bf16": np.uint16,
    "f16x2": np.uint32,
    "bf16x2": np.uint32,
    "tf32": np.uint32,
    **{f"{letter}{8 * size}": dtype for size, dtype in UNSIGNED.items() for letter in "bu"},
    **{f"s{8 * size}": dtype for size, dtype in SIGNED.items()},
}


def is_float(name):
    """Return whether a type is one of numbers with a point."""
    return name in ("f32", "f64")


def storage(name):
    """Return how a register of a type is held."""
    if is_float(name) or name == "pred":
        return DTYPES[name]
    return UNSIGNED[np.dtype(DTYPES[name]).itemsize]


def cast(value, dtype):
    """Return a value of one type of PTX as another: the same bits, cut off or extended by their sign."""
    found = value.dtype
    if found == dtype:
        return value
    if found.itemsize == np.dtype(dtype).itemsize:
        return value.view(dtype)
    bits = value.view(UNSIGNED[found.itemsize]) if found.kind == "f" else value
    unsigned = UNSIGNED[np.dtype(dtype).itemsize]
    return bits.astype(unsigned).view(dtype)


@dataclasses.dataclass
class Opcode:
    """An opcode: "add.ftz.f32" has the name "add", the modifier "ftz" and the type "f32"."""

    name: str
    modifiers: list
    types: list

    @classmethod
    def of(cls, text):
        """Return the opcode that a text is."""
        name, *parts = text.split(".")
        types = [part for part in parts if part in DTYPES]
        return cls(name, [part for part in parts if part not in DTYPES and part], types)

    @property
    def type(self):
        """Of the operands."""
        return self.types[-1]


@dataclasses.dataclass
class Operation:
    """What an instruction computes.

    Attributes
    ----------
    function : callable
        Takes the sources, returns the result.
    sources : list of NumPy types
    result : NumPy type
    """

    function: Callable
    sources: list
    result: type
