"""Values that are prepared once for all threads that use them."""

import contextlib
import os
import threading

_PREPARING = threading.RLock()  # one for all objects, which can be copied and pickled so


class Shared:
    """A value that the first holder prepares, all threads use, and the last holder lets go.

    Attributes
    ----------
    value : object
        None where nobody holds it. It is set whole: a thread that reads it can go on with what it found.

    Examples
    --------
    >>> weights = Shared()
    >>> with weights.hold(lambda: "packed"):
    ...     weights.value
    'packed'
    >>> weights.value is None
    True
    """

    def __init__(self):
        self.value, self._holders = None, 0

    def __reduce__(self):
        return Shared, ()  # a copy is held by nobody

    def keep(self, prepare):
        """Prepare the value, ``prepare()``, unless it is there; it stays until `drop`."""
        with _PREPARING:
            if self.value is None:
                self.value = prepare()

    def drop(self):
        """Let the value go; return it."""
        value, self.value = self.value, None
        return value

    @contextlib.contextmanager
    def hold(self, prepare):
        """Hold the value, ``prepare()``, within a context."""
        with _PREPARING:
            if not self._holders:
                self.value = prepare()
            self._holders += 1
        try:
            yield
        finally:
            with _PREPARING:
                self._holders -= 1
                if not self._holders:
                    self.value = None


def _renew_lock():
    """Start over in a forked child: another thread of the parent may have had the lock."""
    global _PREPARING
    _PREPARING = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
