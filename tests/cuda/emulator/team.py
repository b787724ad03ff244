"""Blocks of threads that run together: which of them execute the next instruction."""

import numpy as np

from tests.cuda.emulator.errors import Fault
from tests.cuda.emulator.races import WARP
from tests.cuda.emulator.steps import ACT, BARRIER, BRANCH, COLLECTIVE, COMPUTE, COMPUTE_MANY, EXIT
from tests.cuda.emulator.threads import HELD, RUNS, Threads

_NEVER = 1 << 30


class Team(Threads):
    """Some blocks of a launch.

    Threads at one step run together; of those at several steps, mostly the ones at the first step, now and then others,
    or some of the warps alone.
    """

    def _choose(self):
        """Choose the threads that run; return their step, and the next one where others wait to run."""
        runs = (self.waits == RUNS) & ~self.exited
        places = self.at[runs]
        if not len(places):
            return None, _NEVER
        step = places.min()
        draw = self.random.random()
        if draw < 0.05:
            step = self.random.choice(places)
        mask = ((self.waits == HELD) | runs) & (self.at == step)
        if 0.05 <= draw < 0.15:
            some = mask & np.repeat(self.random.random(self.size // WARP) < 0.5, WARP)
            mask = some if (some & runs).any() else mask
        self.waits[mask] = RUNS
        self.use(mask)
        others = self.at[runs & ~mask]
        others = others[others > step]
        return int(step), int(others.min()) if len(others) else _NEVER

    def run(self, quantum):
        """Run some threads for at most so many instructions; return how many ran, 0 if all wait."""
        place, limit = self._choose()
        if place is None:
            return 0
        self.rests, left, step = False, quantum, None
        try:
            while left > 0 and place < limit and not self.rests:
                step = self.steps[place]
                left -= 1
                following = self._execute(step, place)
                if following is None:  # the threads are not together any more
                    break
                place = following
            else:
                self.at[self.mask] = place
        except Fault as error:
            raise self.launch.located(error, step, self) from None
        if self.exited.all():
            self.is_done = self.launch.progresses = True
        return quantum - left

    def _execute(self, step, place):
        """Execute a step; return the next one of the running threads, or None if there is no such single one."""
        kind, r = step.kind, self.r
        if step.guard is not None:
            if kind == BRANCH:
                return self._branch(step.guard(r), step.target, place + 1)
            return self._execute_guarded(step, place)
        if kind == COMPUTE:
            value = step.run(r)
            r[step.into] = value if self.is_full else np.where(self.mask, value, r[step.into])[()]
        elif kind == COMPUTE_MANY:
            self._assign(step.into, step.run(r))
        elif kind == ACT:
            step.run(r)
        elif kind == BRANCH:
            return self._branch(np.True_, step.target, place + 1)
        elif kind == COLLECTIVE:
            return self._together(step, place)
        elif kind == BARRIER:
            return self._barrier(step, place)
        elif kind == EXIT:
            if step.run:
                step.run(r)
            self.exited |= self.mask
            self._release_barriers()
            return None
        return place + 1

    def _assign(self, slots, values):
        r = self.r
        for slot, value in zip(slots, values, strict=False):
            if slot is not None:
                r[slot] = value if self.is_full else np.where(self.mask, value, r[slot])[()]

    def _execute_guarded(self, step, place):
        guard, before = np.broadcast_to(step.guard(self.r), self.size), self.mask
        if not (before & ~guard).any():
            return self._execute_plain(step, place)
        if step.kind in (EXIT, BARRIER, COLLECTIVE):
            return self._branch(guard, -1, place + 1, own=place) if (before & guard).any() else place + 1
        if (before & guard).any():
            self.use(before & guard)
            self._execute_plain(step, place)
            self.use(before)
        return place + 1

    def _execute_plain(self, step, place):
        guard, step.guard = step.guard, None
        try:
            return self._execute(step, place)
        finally:
            step.guard = guard

    def _branch(self, condition, target, following, own=None):
        """Follow a branch; `own` is the step itself, for threads that execute it apart from the others."""
        target = own if own is not None else target
        if condition.ndim == 0:
            taken = bool(condition)
            splits = False
        else:
            chosen = condition if self.is_full else condition & self.mask
            taken = bool(chosen.any())
            splits = taken and bool((self.mask & ~condition).any())
        if splits:
            self.at[self.mask] = np.where(condition, target, following)[self.mask]
            return None
        if not taken:
            return following
        if target < following and not self.is_full:
            self.at[self.mask] = target  # others may wait there
            return None
        return target

    def _together(self, step, place):
        """Execute a step for the warps all whose members have come; the other threads wait for them."""
        members = np.broadcast_to(step.members(self.r), self.size)
        if not (self.is_full or not members.any()):
            here, gone = self._bits(self.mask), self._bits(self.exited)
            ready = (members & ~here & ~gone) == 0
            if not ready[self.mask].all():
                self.at[self.mask] = place
                self.waits[self.mask & ~ready] = HELD
                if not (self.mask & ready).any():
                    return None
                self.use(self.mask & ready)
                self._assign(step.into, step.run(self.r))
                self.at[self.mask] = place + 1
                return None
        self._assign(step.into, step.run(self.r))
        return place + 1

    def _bits(self, mask):
        """Return which threads of the warp are in a mask, as bits, for each thread."""
        return np.repeat(np.packbits(mask.reshape(-1, WARP), axis=1, bitorder="little").view(np.uint32)[:, 0], WARP)

    # Barriers

    def _barrier(self, step, place):
        number, count = step.run(self.r)
        if number.ndim:
            raise Fault("a barrier whose number differs from thread to thread")
        number = int(number)
        if count is None and not (~self.mask & ~self.exited).any():
            self._join(np.arange(len(self.blocks)))
            return place + 1
        if count is not None:
            self.counts[number] = int(np.max(count))
        self.waits[self.mask] = number
        self.at[self.mask] = place + 1
        self._release_barriers()
        return None

    def _join(self, blocks):
        self.launch.progresses = True
        if self.launch.races:
            for block in blocks:
                begin = block * self.block_size
                self.clock.join(self.ids[begin : begin + self.block_size])

    def _release_barriers(self):
        """Let the threads go on whose barrier has them all."""
        for block in range(len(self.blocks)):
            part = slice(block * self.block_size, (block + 1) * self.block_size)
            waits, exited = self.waits[part], self.exited[part]
            for number in np.unique(waits[(waits >= 0) & ~exited]).tolist():
                here = (waits == number) & ~exited
                count = self.counts.get(number)
                if here.sum() < (count if count is not None else (~exited).sum()):
                    continue
                places = np.unique(self.at[part][here])
                if len(places) > 1:
                    lines = sorted({self.steps[place - 1].line for place in places})
                    raise Fault(f"threads of a block wait at different barriers, of the lines {lines}")
                waits[here] = RUNS
                self.launch.progresses = True
                if self.launch.races:
                    self.clock.join(self.ids[part][here])

    def state(self):
        """Return where the threads are, in words."""
        waiting = ~self.exited
        found = []
        for place in np.unique(self.at[waiting]):
            here = waiting & (self.at == place)
            at_barrier = self.waits[here].max() >= 0
            step = self.steps[place - 1 if at_barrier else place]
            what = "wait at" if at_barrier else "wait for their warp at" if self.waits[here].min() == HELD else "are at"
            found.append(f"{here.sum()} threads {what} line {step.line}: {step.text}")
        return f"blocks {self.blocks}: " + "; ".join(found)
