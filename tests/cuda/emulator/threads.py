"""Threads of some blocks, as instructions see them: one array element for each thread in every register."""

import numpy as np

from tests.cuda.emulator.errors import Fault
from tests.cuda.emulator.memory import OwnMemory
from tests.cuda.emulator.races import WARP

HELD = -2  # it waits for the other lanes of its warp
RUNS = -1


class Threads:
    """The threads of some blocks of a launch, each rounded up to whole warps.

    Parameters
    ----------
    launch : Launch
    blocks : list of int
        Numbers of the blocks.
    """

    def __init__(self, launch, blocks):
        self.launch, self.blocks = launch, blocks
        self.random, self.clock = launch.random, launch.clock
        self.program, self.steps = launch.program, launch.program.steps
        self.block_size = launch.padded
        self.size = len(blocks) * self.block_size
        self.ids = (np.array(blocks)[:, None] * self.block_size + np.arange(self.block_size)).reshape(-1)
        within = self.ids % self.block_size
        self.exited = within >= launch.threads
        self.at = np.zeros(self.size, np.int32)  # the step of each thread
        self.waits = np.full(self.size, RUNS, np.int32)  # the number of a barrier, or why it runs or waits
        self.counts = {}  # barrier: threads that it waits for, if not all
        owners = np.repeat(np.arange(len(blocks)), self.block_size)
        races = launch.races
        self._memories = {
            "global": launch.memory,
            "shared": OwnMemory("shared", launch.program.shared + launch.dynamic, owners, races),
            "local": OwnMemory("local", launch.program.local, np.arange(self.size), False),
        }
        self.r = list(launch.program.slots)
        self.r[0] = self
        for name, slot in launch.program.specials.items():
            self.r[slot] = launch.special(name, self.ids // self.block_size, within)
        self.use(~self.exited)
        self.is_done, self.rests = False, False

    def use(self, mask):
        """Choose the threads that execute the next instructions."""
        self.mask, self.is_full, self._lanes = mask, bool(mask.all()), None

    def memory(self, space):
        """Return the memory of a space."""
        return self._memories[space]

    def parameter(self, name, offset, dtype):
        """Return a part of a parameter of the kernel."""
        return self.launch.parameter(name, offset, dtype)

    @property
    def lanes(self):
        """Indices of the threads that execute the present instruction."""
        if self._lanes is None:
            self._lanes = np.flatnonzero(self.mask)
        return self._lanes

    def active(self, value):
        """Return the elements of a register, or of a number, for the threads that execute the instruction."""
        if value.ndim == 0:
            return np.full(len(self.lanes), value)
        return value if self.is_full else value[self.lanes]

    def spread(self, values):
        """Return the register with the values for the threads that execute the instruction."""
        if self.is_full:
            return values
        result = np.zeros(self.size, values.dtype)
        result[self.lanes] = values
        return result

    def warps(self, value):
        """Return a register as an array (warps, 32)."""
        return np.broadcast_to(value, self.size).reshape(-1, WARP)

    def warps_mask(self):
        """Return which threads execute the instruction, as an array (warps, 32)."""
        return self.mask.reshape(-1, WARP)

    def join_warps(self):
        """Order the accesses of the threads of each warp that execute the instruction."""
        if self.launch.races:
            for warp in np.flatnonzero(self.warps_mask().any(1)):
                lanes = self.lanes[self.lanes // WARP == warp]
                self.clock.join(self.ids[lanes])

    def rest(self):
        """Let other blocks run after this instruction."""
        self.rests = True

    def acquire(self, memory, offsets, lanes, strong, rests=True):
        """Note a read of a place of synchronization."""
        self.rests |= rests
        if self.launch.races:
            for offset, lane in zip(offsets.tolist(), lanes, strict=True):
                self.clock.acquire((memory.name, offset), self.ids[lane : lane + 1], strong)

    def release(self, memory, offsets, lanes, strong):
        """Note a write of a place of synchronization."""
        self.launch.progresses = True
        if self.launch.races:
            for offset, lane in zip(offsets.tolist(), lanes, strict=True):
                self.clock.release((memory.name, offset), self.ids[lane : lane + 1], strong)

    def fence(self):
        """Order the accesses of threads before those after it, as other blocks see them."""
        if self.launch.races:
            self.clock.fence(self.ids[self.lanes])

    def check_read(self, memory, offsets, width, lanes, constant):
        """Note a plain read; raise `Fault` if it races."""
        ids = self.ids[lanes]
        found = memory.records.read(self.clock, offsets, width, ids)
        self._raise_race(found, "reads", "wrote", memory, offsets, lanes)
        if constant and memory.records.written_since(self.clock, offsets):
            raise Fault("a load through the cache of constants (.nc) of what this launch wrote", lanes[0])

    def check_write(self, memory, offsets, width, lanes, changed):
        """Note a plain write; raise `Fault` if it races."""
        self.launch.progresses = True
        found = memory.records.write(self.clock, offsets, width, self.ids[lanes], changed)
        self._raise_race(found, "writes", "touched", memory, offsets, lanes)

    def _raise_race(self, found, does, did, memory, offsets, lanes):
        if found is not None:
            index, other = found
            block, thread = divmod(int(other), self.block_size)
            raise Fault(f"race: it {does} byte {int(offsets[index])} of {memory.name} memory, which thread {thread} of "
                        f"block {block} {did}, and nothing orders the two", lanes[index])  # fmt: skip
