"""Values that are prepared once for all threads that use them."""

import os
import threading

_PREPARING = threading.RLock()  # one for all objects, which can be copied and pickled so


class Held:
    """A value that is prepared once, used by all threads, and released when nobody needs it any more.

    It exists from `keep` to `drop` and within a ``with`` statement, for all threads.

    Parameters
    ----------
    prepare : callable
        ``prepare()`` returns the value.
    *others : Held
        Are held as long as this one.

    Attributes
    ----------
    value : object
        None where nobody holds it. It is set whole: a thread that has read it can continue to use it.

    Examples
    --------
    >>> weights = Held(lambda: "packed")
    >>> with weights:
    ...     weights.value
    'packed'
    >>> weights.value is None
    True
    """

    def __init__(self, prepare, *others):
        self._prepare, self._others = prepare, others
        self.value, self._users, self._kept = None, 0, False

    def __reduce__(self):
        return Held, (self._prepare, *self._others)  # a copy is held by nobody

    def keep(self):
        """Prepare the value, unless it is there, and hold it until `drop`."""
        with _PREPARING:
            if not self._kept:
                self.__enter__()
                self._kept = True

    def drop(self):
        """Release the value that `keep` holds."""
        with _PREPARING:
            if self._kept:
                self._kept = False
                self.__exit__()

    def __enter__(self):
        with _PREPARING:
            if not self._users:
                value = self._prepare()
                for other in self._others:
                    other.__enter__()
                self.value = value
            self._users += 1
        return self

    def __exit__(self, *error):
        with _PREPARING:
            self._users -= 1
            if not self._users:
                self.value = None
                for other in self._others:
                    other.__exit__()


def _renew_lock():
    """Start over in a forked child: another thread of the parent may have had the lock."""
    global _PREPARING
    _PREPARING = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
