"""The memories of a GPU: global memory with allocations, shared memory of blocks, local memory of threads."""

import bisect

import numpy as np

from tests.cuda.emulator.errors import Fault
from tests.cuda.emulator.races import Records

GLOBAL, SHARED, LOCAL = 0x7F00_0000_0000, 0x0100_0000_0000, 0x0200_0000_0000  # windows of generic addresses
WINDOW = 0x0100_0000_0000
UNDEFINED = 0xFF  # the bytes of fresh memory: NaN, and an index out of bounds, in all types
_ALIGNMENT = 256


class Memory:
    """Bytes that threads read and write.

    Parameters
    ----------
    size : int
    races : bool
        Whether races are looked for.
    """

    name = None

    def __init__(self, size, races):
        size = -(-size // 16) * 16
        self.bytes = self._fresh(size)
        self.records = Records(size) if races and size else None
        self._views = {}

    def _fresh(self, size):
        return np.full(size, UNDEFINED, np.uint8)

    def view(self, dtype):
        """Return the bytes as an array of a type."""
        view = self._views.get(dtype)
        if view is None:
            view = self._views[dtype] = self.bytes.view(dtype)
        return view

    def offsets(self, addresses, width, lanes):
        """Return where the addresses of accesses lie in `bytes`, or raise `Fault`."""
        wrong = addresses & np.uint64(width - 1)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise Fault(f"{self.name} address {int(addresses[at]):#x} is not a multiple of {width}", lanes[at])
        return self._inside(addresses, width, lanes)

    def _outside(self, addresses, wrong, lanes, why):
        at = int(np.flatnonzero(wrong)[0])
        raise Fault(f"{self.name} address {int(addresses[at]):#x} is {why}", lanes[at])


class GlobalMemory(Memory):
    """Memory of the device, in which arrays are allocated with gaps between them.

    Parameters
    ----------
    size : int
    races : bool
    """

    name = "global"

    def __init__(self, size, races):
        super().__init__(size, races)
        self._is_live = np.zeros(size, bool)
        self._starts, self._ends = [], []  # of allocations, sorted

    def _fresh(self, size):
        return np.empty(size, np.uint8)  # an allocation fills its part

    def allocate(self, size):
        """Return the address of so many new bytes."""
        start, at = self._first_room(size)
        self._is_live[start : start + size] = True
        self.bytes[start : start + size] = UNDEFINED
        self._starts.insert(at, start)
        self._ends.insert(at, start + size)
        return GLOBAL + start

    def _first_room(self, size):
        """Return the first place with room for an allocation and a gap, and how many allocations are before it."""
        start = 0
        for at, (begin, end) in enumerate(zip(self._starts, self._ends, strict=True)):
            if begin - start > size:
                return start, at
            start = (end // _ALIGNMENT + 1) * _ALIGNMENT
        if self.bytes.size - start <= size:
            raise MemoryError(f"the emulated GPU has {self.bytes.size} bytes")
        return start, len(self._starts)

    def free(self, address):
        """Give an allocation back: every access of it is an error from now on."""
        at = bisect.bisect_left(self._starts, address - GLOBAL)
        self._is_live[self._starts.pop(at) : self._ends.pop(at)] = False

    def part(self, address, size):
        """Return the bytes of (a part of) one allocation: a view."""
        start = address - GLOBAL
        at = bisect.bisect(self._starts, start) - 1
        if size and not (at >= 0 and start + size <= self._ends[at]):
            raise Fault(f"{size} bytes at {address:#x} are not in one allocation")
        return self.bytes[start : start + size]

    def _inside(self, addresses, width, lanes):
        offsets = (addresses - np.uint64(GLOBAL)).view(np.int64)
        last = offsets + (width - 1)  # allocations are aligned: the first byte is in if the last one is
        wrong = (last < 0) | (last >= self.bytes.size)
        if wrong.any():
            self._outside(addresses, wrong, lanes, "outside of the device's memory")
        wrong = ~self._is_live[last]
        if wrong.any():
            self._outside(addresses, wrong, lanes, f"in no allocation{self._neighbour(addresses[wrong][0])}")
        return offsets

    def _neighbour(self, address):
        start = int(address) - GLOBAL
        at = bisect.bisect(self._starts, start) - 1
        if at < 0:
            return ""
        return f": {start - self._ends[at]} bytes after the end of one of {self._ends[at] - self._starts[at]} bytes"


class OwnMemory(Memory):
    """Memory of which each owner, a block or a thread, has a part of its own at the same addresses.

    Parameters
    ----------
    name : str
    size : int
        Bytes of an owner.
    owners : ndarray of int
        The number of the owner for each thread.
    races : bool
    """

    def __init__(self, name, size, owners, races):
        self.name, self._size, self._stride = name, size, -(-size // 16) * 16
        super().__init__(self._stride * (int(owners.max()) + 1), races)
        self._begin = owners * np.int64(self._stride)

    def _inside(self, addresses, width, lanes):
        wrong = addresses > np.uint64(self._size - width) if self._size >= width else np.ones(len(addresses), bool)
        if wrong.any():
            self._outside(addresses, wrong, lanes, f"out of bounds: there are {self._size} bytes")
        return addresses.view(np.int64) + self._begin[lanes]
