"""Which accesses of a launch are ordered: vector clocks of its warps, and who touched which bytes last.

Two accesses of one place race if one writes, and neither a barrier nor a release and an acquire order them. Time is
that of warps: a warp's time passes at a barrier or when one of its threads releases. A thread knows for each warp up to
which time what the warp did comes before what the thread does next.

What is not found: a race of bytes that are read and written one by one, and one with all but the last of several blocks
(of those with the same number modulo four) that read a place.
"""

import numpy as np

WARP = 32
_READERS = 4  # blocks, modulo this number, whose last reader of a place is kept
_GRANULE = 2  # bytes with records of their own


class Clock:
    """The times of a launch.

    Parameters
    ----------
    threads : int
        Of all blocks, each rounded up to whole warps.
    block : int
        Threads of a block, rounded up.
    base : int
        All accesses before this time are of earlier launches.
    """

    def __init__(self, threads, block, base):
        warps = threads // WARP
        self.base, self.block = base, block
        self.times = np.full(warps, base + 1, np.int32)
        self.known = np.full((threads, warps), base, np.int32)
        self._released = {}  # what a thread that reads a place of synchronization may know
        self._fenced, self._seen = {}, {}  # thread: what it knew at its last fence; what it saw since

    def join(self, threads):
        """Order all that `threads` did before all that they will do: a barrier."""
        warps = np.unique(threads // WARP)
        known = self.known[threads].max(0)
        known[warps] = self.times[warps]
        self.known[threads] = known
        self.times[warps] += 1

    def release(self, key, threads, strong):
        """Write to a place of synchronization: a release if `strong`, or what the last fence makes of it."""
        for thread in threads.tolist():
            known = self._at_release(thread) if strong else self._fenced.get(thread)
            if known is not None:
                before = self._released.get(key)
                self._released[key] = known if before is None else np.maximum(before, known)

    def _at_release(self, thread):
        warp, known = thread // WARP, self.known[thread].copy()
        known[warp] = self.times[warp]
        self.times[warp] += 1
        return known

    def acquire(self, key, threads, strong):
        """Read a place of synchronization: an acquire if `strong`, or what the next fence makes of it."""
        released = self._released.get(key)
        if released is None:
            return
        for thread in threads.tolist():
            if strong:
                np.maximum(self.known[thread], released, out=self.known[thread])
            else:
                self._seen[thread] = np.maximum(self._seen.get(thread, 0), released)

    def fence(self, threads):
        """Make a release of the threads' next relaxed writes, and an acquire of their relaxed reads so far."""
        for thread in threads.tolist():
            np.maximum(self.known[thread], self._seen.pop(thread, 0), out=self.known[thread])
            self._fenced[thread] = self._at_release(thread)

    def unordered(self, threads, others, times):
        """Return which accesses, of `others` at `times`, do not come before what `threads` do now."""
        racing = (times > self.base) & (others != threads)
        if racing.any():
            warps = np.where(racing, others // WARP, 0)  # an earlier launch may have had more
            racing &= self.known[threads, warps] < times
        return racing


class Records:
    """Who wrote and who read each place of a memory last.

    Parameters
    ----------
    size : int
        Bytes.
    """

    def __init__(self, size):
        count = size // _GRANULE + 1
        self._writers, self._written = np.zeros(count, np.int32), np.zeros(count, np.int32)
        self._readers, self._read = np.zeros((_READERS, count), np.int32), np.zeros((_READERS, count), np.int32)

    def read(self, clock, offsets, width, threads):
        """Record reads; return the index of one that races with a write, and the thread that wrote, or None."""
        if width < _GRANULE:
            return None
        places, threads = _places(offsets, width), threads[:, None]
        times = self._written[places]
        if times.max(initial=0) > clock.base:
            writers = self._writers[places]
            racing = clock.unordered(threads, writers, times)
            if racing.any():
                at = np.argwhere(racing)[0]
                return at[0], writers[tuple(at)]
        slot = threads // clock.block % _READERS
        self._readers[slot, places], self._read[slot, places] = threads, clock.times[threads // WARP]
        return None

    def write(self, clock, offsets, width, threads, changed):
        """Record writes; return the index of one that races, and the other thread, or None.

        Writes of a value that is there already do not race with other writes.
        """
        if width < _GRANULE:
            return None
        places, threads = _places(offsets, width), threads[:, None]
        known = [(self._readers[slot], self._read[slot], True) for slot in range(_READERS)]
        for others, times, always in [(self._writers, self._written, False), *known]:
            times = times[places]
            if times.max(initial=0) > clock.base:
                others = others[places]
                racing = clock.unordered(threads, others, times) & (always | changed[:, None])
                if racing.any():
                    at = np.argwhere(racing)[0]
                    return at[0], others[tuple(at)]
        self._writers[places], self._written[places] = threads, clock.times[threads // WARP]
        return None

    def written_since(self, clock, offsets):
        """Return whether one of the places was written in this launch."""
        return bool((self._written[offsets // _GRANULE] > clock.base).any())


def _places(offsets, width):
    return (offsets // _GRANULE)[:, None] + np.arange(width // _GRANULE)
