"""Memory of the device that is used again: an allocation costs a hundred launches, and waits for all of them."""

import gc


class Pool:
    """Gives out blocks of memory, and keeps them when they are free again.

    Everything runs on one stream, so that a block can be given out while kernels of its last owner still wait: those of
    the next one come later.

    Parameters
    ----------
    allocate : callable
        Takes a number of bytes, returns memory; raises MemoryError.
    free : callable
        Takes memory, returns it to the device.
    lock : RLock
        That of the device: an array may die while a thread holds it. A second lock could end in a deadlock.
    """

    def __init__(self, allocate, free, lock):
        self._allocate, self._free_memory, self._lock = allocate, free, lock
        self._free = {}  # size: blocks
        self.used = self.peak = 0  # bytes given out, and the most of them at a time

    def take(self, nbytes):
        """Return a `Block` of at least so many bytes."""
        size = rounded(nbytes)
        with self._lock:
            blocks = self._free.get(size)
            raw = blocks.pop() if blocks else self._new(size)
            self.used += size
            self.peak = max(self.peak, self.used)
        return Block(raw, size, self._give_back)

    def _new(self, size):
        try:
            return self._allocate(size)
        except MemoryError:
            gc.collect()  # layers are parts of cycles: those that nobody uses still hold their arrays
            self.release()
            return self._allocate(size)

    def _give_back(self, raw, size):
        with self._lock:
            self._free.setdefault(size, []).append(raw)
            self.used -= size

    def release(self):
        """Return all free blocks to the device."""
        with self._lock:
            while self._free:  # meanwhile arrays may die, whose blocks come here
                _, blocks = self._free.popitem()
                for raw in blocks:
                    self._free_memory(raw)


class Block:
    """Memory that belongs to arrays; it goes back to its pool with the last of them.

    Parameters
    ----------
    raw : int or ndarray
        An address on a device, and an ndarray of uint8 in the simulator.
    size : int
        Bytes.
    give_back : callable
        Takes both when nobody holds the block any more, in the middle of anything.
    """

    __slots__ = ("_give_back", "_raw", "_size")

    def __init__(self, raw, size, give_back):
        self._raw, self._size, self._give_back = raw, size, give_back

    def __del__(self):
        self._give_back(self._raw, self._size)

    address = property(lambda self: self._raw)
    bytes = property(lambda self: self._raw)


def rounded(nbytes):
    """Return the size of the block for a number of bytes: at most an eighth more, so that few sizes are in use.

    Examples
    --------
    >>> rounded(1), rounded(1025), rounded(100_000)
    (256, 1280, 106496)
    """
    step = max(256, 1 << max((max(nbytes, 1) - 1).bit_length() - 4, 0))
    return -(-max(nbytes, 1) // step) * step
