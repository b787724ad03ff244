"""Sums and products with a carry: numbers of several words."""

import numpy as np

from tests.cuda.emulator.integers import upper_half
from tests.cuda.emulator.types import DTYPES, UNSIGNED

_NAMES = {"add": False, "sub": False, "mad": False, "addc": True, "subc": True, "madc": True}


def decode(decoder, scope, opcode, operands):
    """Return the step of an instruction that sets the carry, or takes it, or None."""
    takes = _NAMES.get(opcode.name)
    if takes is None or not (takes or "cc" in opcode.modifiers):
        return None
    dtype = UNSIGNED[np.dtype(DTYPES[opcode.type]).itemsize]
    sources = [decoder.source(scope, text, dtype) for text in operands[1:]]
    flag = decoder.source(scope, "%carry", np.bool_)
    is_difference = opcode.name.startswith("sub")
    half = None if len(sources) == 2 else np.multiply if "lo" in opcode.modifiers else upper_half

    def run(r):
        a, b, *rest = (source(r) for source in sources)
        if half is not None:
            a, b = half(a, b), rest[0]
        carry = flag(r).astype(dtype) if takes else dtype(0)
        if is_difference:
            part = a - b
            return part - carry, (a < b) | (part < carry)
        part = a + b
        total = part + carry
        return total, (part < a) | (total < part)

    return decoder.results(scope, [operands[0], "%carry" if "cc" in opcode.modifiers else "_"], run, [dtype, np.bool_])
