"""Launches: blocks run in turns until all have ended."""

import math

import numpy as np

from tests.cuda.emulator.errors import EmulationError
from tests.cuda.emulator.races import WARP, Clock
from tests.cuda.emulator.team import Team

_MOST_STEPS = 20_000_000
_MOST_ROUNDS = 300  # in which all blocks only wait
_TOGETHER = 1024  # threads of blocks that do not know of each other, which run as one team


class Launch:
    """One run of a kernel.

    Parameters
    ----------
    program : Program
    memory : GlobalMemory
    grid, block : tuple of int
        Three sizes each.
    arguments : list of bytes
        The parameters of the kernel.
    dynamic : int
        Bytes of dynamic shared memory of a block.
    cooperative : bool
        Whether blocks may wait for each other: they run in turns then, in a random order and for random times. Other
        blocks run one after the other, or together as one team.
    random : Generator
    races : bool
        Whether races are looked for.
    base : int
        The time at which the launch begins.
    """

    def __init__(self, program, memory, grid, block, arguments, dynamic, cooperative, random, races, base=0):
        self.program, self.memory, self.grid, self.block, self.dynamic = program, memory, grid, block, dynamic
        self.cooperative, self.random, self.races = cooperative, random, races
        self.threads, self.blocks = math.prod(block), math.prod(grid)
        self.padded = -(-self.threads // WARP) * WARP
        self.clock = Clock(self.blocks * self.padded, self.padded, base) if races else None
        self.progresses = False
        self._parameters = self._bound(arguments)

    def _bound(self, arguments):
        declared = self.program.parameters
        sizes, given = [variable.size for variable in declared], [len(argument) for argument in arguments]
        if sizes != given:
            raise EmulationError(f"{self.program.name}: the parameters have {sizes} bytes, the arguments {given}")
        return {variable.name: data for variable, data in zip(declared, arguments, strict=True)}

    def parameter(self, name, offset, dtype):
        """Return a part of a parameter."""
        return np.frombuffer(self._parameters[name], dtype, 1, offset)[0]

    def special(self, name, blocks, threads):
        """Return a special register for threads, given the numbers of their blocks, and theirs in the block."""
        base, _, axis = name[1:].partition(".")
        axis = "xyz".find(axis) if axis else 0
        if base in ("tid", "ctaid"):
            sizes, index = (self.block, threads) if base == "tid" else (self.grid, blocks)
            return (index // math.prod(sizes[:axis]) % sizes[axis] if axis < 2 else index // (sizes[0] * sizes[1])
                    ).astype(np.uint32)  # fmt: skip
        lane = (threads % WARP).astype(np.uint32)
        if base.startswith("lanemask"):
            below, own = (np.uint64(1) << lane) - np.uint64(1), np.uint64(1) << lane
            masks = {"eq": own, "lt": below, "le": below | own, "gt": ~(below | own), "ge": ~below}
            return masks[base[-2:]].astype(np.uint32)
        total = self.program.shared + self.dynamic
        values = {"laneid": lane, "warpid": (threads // WARP).astype(np.uint32), "nwarpid": self.padded // WARP,
                  "smid": blocks.astype(np.uint32), "nsmid": self.blocks, "gridid": 0, "clock": 0, "clock_hi": 0,
                  "clock64": np.uint64(0), "globaltimer": np.uint64(0), "globaltimer_lo": 0,
                  "dynamic_smem_size": self.dynamic, "total_smem_size": total}  # fmt: skip
        if base in ("ntid", "nctaid"):
            return np.uint32((self.block if base == "ntid" else self.grid)[axis])
        value = values[base]
        return np.uint32(value) if isinstance(value, int) else value

    def run(self):
        """Run all blocks; return the time at the end."""
        numbers = self.random.permutation(self.blocks).tolist()
        with np.errstate(all="ignore"):
            if self.cooperative:
                self._take_turns([Team(self, [number]) for number in numbers])
            else:
                together = max(min(_TOGETHER // self.padded, -(-self.blocks // 2)), 1)  # never all
                for begin in range(0, self.blocks, together):
                    self._take_turns([Team(self, sorted(numbers[begin : begin + together]))])
        return int(self.clock.times.max()) if self.races else 0

    def _take_turns(self, teams):
        steps = rounds = 0
        while teams:
            self.progresses = False
            for index in self.random.permutation(len(teams)).tolist():
                team = teams[index]
                quantum = int(self.random.integers(20, 400)) if len(teams) > 1 else 10_000
                ran = self._turn(team, quantum)
                self.progresses |= ran == quantum
                steps += ran
            teams = [team for team in teams if not team.is_done]
            rounds = 0 if self.progresses else rounds + 1
            if rounds > _MOST_ROUNDS or steps > _MOST_STEPS:
                why = "no thread can go on" if rounds > _MOST_ROUNDS else "it does not end"
                places = "\n".join(team.state() for team in teams)
                raise EmulationError(f"{self.program.name}: {why}\n{places}")

    def _turn(self, team, quantum):
        """Let a team run for so many instructions, or until it waits; return how many ran."""
        left = quantum
        while left > 0 and not team.is_done:
            ran = team.run(left)
            left -= ran
            if not ran or team.rests:
                break
        return quantum - left

    def located(self, error, step, team):
        """Return an error with the place in the program, and the thread."""
        place = f"line {step.line}: {step.text}" if step else ""
        lane = error.lane
        if lane is not None:
            block, thread = divmod(int(team.ids[lane]), self.padded)
            place += f" (thread {thread} of block {block})"
        return EmulationError(f"{self.program.name}: {error}\n{place}")
