"""Instructions, ready to run."""

import dataclasses
from collections.abc import Callable

# What a step does: compute one value, or several; act on memory; or change the order of execution.
COMPUTE, COMPUTE_MANY, ACT, BRANCH, EXIT, BARRIER, COLLECTIVE = range(7)
TEAM = 0  # the slot that holds the team


@dataclasses.dataclass
class Step:
    """An instruction, ready to run.

    Attributes
    ----------
    kind : int
    line : int
        In the PTX.
    text : str
    run : callable or None
        Takes the slots; returns what goes to `into`.
    into : int, tuple of int, or None
        Slots.
    guard : callable or None
        Takes the slots; returns which threads execute it.
    target : int
        The step that a branch goes to.
    members : callable or None
        Takes the slots; returns, as bits, the lanes of each thread's warp that execute the step together.
    """

    kind: int
    line: int
    text: str
    run: Callable | None = None
    into: object = None
    guard: Callable | None = None
    target: int = -1
    members: Callable | None = None
