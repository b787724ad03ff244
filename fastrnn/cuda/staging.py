"""Uploads for which nobody waits: values go through memory of the host that the GPU reads by itself."""

import ctypes

_ALIGNMENT = 256  # bytes
_WITHOUT_TIME = 2  # CU_EVENT_DISABLE_TIMING


class Staging:
    """Pinned memory of the host in two halves: one is written while the GPU may still read the other.

    A copy from other memory may wait for everything that runs, and its values must not change meanwhile.

    Parameters
    ----------
    driver : module
        `cuda.bindings.driver`.
    checked : callable
        Returns what a function of the driver returned, or raises its error.
    stream : int
        The stream that copies go to.
    size : int, default=4 MB
        Bytes of a half.
    """

    def __init__(self, driver, checked, stream, size=1 << 22):
        self._driver, self._checked, self._stream, self._size = driver, checked, stream, size
        self._begin = int(checked(driver.cuMemHostAlloc(2 * size, 0)))
        self._left = [checked(driver.cuEventCreate(_WITHOUT_TIME)) for _ in range(2)]  # when the GPU has read a half
        self._half = self._used = 0

    def upload(self, address, values):
        """Copy a contiguous ndarray to an address on the GPU."""
        source, rest = values.ctypes.data, values.nbytes
        while rest:
            if self._used >= self._size:
                self._change()
            count, place = min(rest, self._size - self._used), self._begin + self._half * self._size + self._used
            ctypes.memmove(place, source, count)
            self._checked(self._driver.cuMemcpyHtoDAsync(address, place, count, self._stream))
            source, address, rest = source + count, address + count, rest - count
            self._used += -(-count // _ALIGNMENT) * _ALIGNMENT

    def _change(self):
        """Go on with the other half, when the GPU has read it."""
        self._checked(self._driver.cuEventRecord(self._left[self._half], self._stream))
        self._half, self._used = 1 - self._half, 0
        self._checked(self._driver.cuEventSynchronize(self._left[self._half]))
