"""Uploads through pinned memory: values arrive, whenever the GPU reads them."""

import ctypes

import numpy as np
import pytest

from fastrnn.cuda.staging import Staging

pytestmark = pytest.mark.cpu


class Driver:
    """A driver whose copies run only when somebody waits for an event after them, or at the end."""

    def __init__(self):
        self.queue, self.waits, self.memory = [], 0, []

    def cuMemHostAlloc(self, size, flags):
        self.memory.append((ctypes.c_char * size)())
        return 0, ctypes.addressof(self.memory[-1])

    def cuEventCreate(self, flags):
        return 0, object()

    def cuMemcpyHtoDAsync(self, target, source, size, stream):
        self.queue.append(("copy", target, source, size))
        return (0,)

    def cuEventRecord(self, event, stream):
        self.queue.append(("event", event))
        return (0,)

    def cuEventSynchronize(self, event):
        last = max(
            (k for k, (kind, *rest) in enumerate(self.queue) if kind == "event" and rest[0] is event), default=-1
        )
        self.waits += last >= 0
        self.run(last + 1)
        return (0,)

    def run(self, count):
        for kind, *rest in self.queue[:count]:
            if kind == "copy":
                ctypes.memmove(*rest)
        del self.queue[:count]


def checked(result):
    assert result[0] == 0
    return result[1] if len(result) == 2 else None


@pytest.mark.parametrize("size", [256, 1024, 1 << 14])
def test_values_arrive_however_late_they_are_read(size):
    driver, rng = Driver(), np.random.default_rng(size)
    staging = Staging(driver, checked, stream=0, size=size)
    arrays = [rng.integers(0, 256, n).astype("uint8") for n in (0, 1, 255, 256, 257, 5000, *rng.integers(1, 900, 30))]
    targets = [np.zeros_like(array) for array in arrays]
    for target, array in zip(targets, arrays, strict=True):
        values = array.copy()
        staging.upload(target.ctypes.data, values)
        values[:] = 0  # free for its owner at once
    driver.run(len(driver.queue))
    for target, array in zip(targets, arrays, strict=True):
        np.testing.assert_array_equal(target, array)


def test_only_full_halves_are_waited_for():
    driver = Driver()
    staging, values, target = Staging(driver, checked, 0, size=1024), np.ones(256, "uint8"), np.zeros(256, "uint8")
    for count, waits in ((8, 0), (1, 1), (3, 1), (1, 2)):
        for _ in range(count):
            staging.upload(target.ctypes.data, values)
        assert driver.waits == waits
