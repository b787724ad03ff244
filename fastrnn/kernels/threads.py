"""Threads for coarse work: kernels release the interpreter's lock, so a pool of Python threads runs them side by side.

Waking a thread costs 0.05 to 0.2 ms; `worth` keeps work that is too small for that on the calling thread.
"""

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

_FLOPS_PER_THREAD = 8_000_000  # about 0.1 ms of a core's work: less than that does not pay for a thread

_pool = None
_pool_lock = threading.Lock()
_local = threading.local()


def effective_n_jobs(n_jobs):
    """Return the number of threads that `n_jobs` stands for: None or -1 all cores, -2 all but one.

    Parameters
    ----------
    n_jobs : int or None

    Returns
    -------
    int

    Examples
    --------
    >>> effective_n_jobs(3)
    3
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs is None:
        return cores
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0:
        raise ValueError(f"n_jobs must be None or an integer other than 0, got {n_jobs!r}.")
    return max(1, cores + 1 + n_jobs) if n_jobs < 0 else int(n_jobs)


def worth(n_jobs, flops):
    """Return how many of `n_jobs` threads work of so many floating-point operations is worth, at least 1."""
    return max(1, min(effective_n_jobs(n_jobs), int(flops // _FLOPS_PER_THREAD)))


def split(count, parts, multiple=1):
    """Return the bounds that cut ``range(count)`` into at most `parts` nearly equal pieces, cut at a `multiple`.

    Examples
    --------
    >>> split(10, 3)
    [(0, 4), (4, 7), (7, 10)]
    >>> split(100, 2, multiple=16)
    [(0, 64), (64, 100)]
    """
    units = -(-count // multiple)
    parts = max(1, min(parts, units))
    bounds = [min(count, (units * k + parts - 1) // parts * multiple) for k in range(parts + 1)]
    return [(begin, end) for begin, end in itertools.pairwise(bounds) if begin < end or count == 0]


def run(function, calls):
    """Call ``function(*arguments)`` for every tuple of arguments: the first here, the others on threads of the pool.

    Parameters
    ----------
    function : callable
        A compiled kernel (it releases the interpreter's lock).
    calls : list of tuple

    Raises
    ------
    Exception
        The first one that a call raised. All calls have ended then, also after an interrupt: nothing writes to the
        arrays any more.
    """
    if len(calls) == 1:
        function(*calls[0])
        return
    futures = [_executor().submit(function, *arguments) for arguments in calls[1:]]
    try:
        for arguments in calls[:1]:
            function(*arguments)
    finally:
        interrupt = None
        while not all(future.done() for future in futures):
            try:
                wait(futures)
            except BaseException as error:  # Ctrl-C, as whatever its handler raises
                interrupt = error
        if interrupt is not None:
            raise interrupt
    for future in futures:
        future.result()


def scratch(size, dtype):
    """Return an array (size,) of this thread's own to be overwritten at will, the same one at the next call."""
    arrays = _local.__dict__.setdefault("arrays", {})
    array = arrays.get(dtype)
    if array is None or array.size < size:
        arrays[dtype] = array = np.empty(size, dtype)
    return array[:size]


def _executor():
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1) + 64, thread_name_prefix="fastrnn")
        return _pool


def _forget_pool():
    """Start over in a forked child: the parent's threads do not exist there."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
