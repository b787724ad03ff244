"""Threads for coarse work: kernels release the interpreter's lock, so that Python threads run them in parallel.

A kernel for `run_kernel` takes a board, which the threads of a team share, and the number of its thread first. It
begins with `enter`, ends with `leave`, and may wait for the others at a `barrier`. Waking a sleeping thread costs 0.05
to 0.2 ms; handing work to a thread that watches for it costs some microseconds. `worth` keeps smaller work on the
calling thread.
"""

import functools
import itertools
import os
import platform
import threading
import time

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types

from fastrnn._jit import kernel
from fastrnn.simd import array_pointer, primitive

_FLOPS_PER_THREAD = 3_000_000  # about 0.03 ms of a core's work; less does not pay for a thread
_LINE = 8  # int64 in a cache line
# Number of looks before a thread yields its core, and before a helper goes to sleep: 0.05 and 1 ms.
_LOOKS, _PATIENCE = 2_000, 40_000

_MOST_IDLE = 8  # teams of each size that are kept for further work

_idle_teams = {}  # by size; callers in several threads share it, so that only atomic operations of lists are used
_idle_boards = []  # for callers that work alone


def effective_n_jobs(n_jobs):
    """Return the number of threads for `n_jobs`: all cores for None or -1, all but one for -2.

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
    """Return how many of `n_jobs` threads to use for a number of floating-point operations, at least 1."""
    most = int(flops // _FLOPS_PER_THREAD)
    return min(effective_n_jobs(n_jobs), most) if most > 1 else 1  # the cores are not counted for a small pass


def split(count, parts, multiple=1):
    """Return the bounds that cut ``range(count)`` into at most `parts` nearly equal pieces, cut at a `multiple`.

    Examples
    --------
    >>> split(10, 3)
    [(0, 4), (4, 7), (7, 10)]
    >>> split(100, 2, multiple=16)
    [(0, 64), (64, 100)]
    """
    if parts == 1:
        return [(0, count)]
    units = -(-count // multiple)
    parts = max(1, min(parts, units))
    bounds = [min(count, (units * k + parts - 1) // parts * multiple) for k in range(parts + 1)]
    return [(begin, end) for begin, end in itertools.pairwise(bounds) if begin < end or count == 0]


# ---------------------------------------------------------------------------------------- signals between threads


def _emit_read(context, builder, board, offset):
    pointer = array_pointer(context, builder, types.Array(types.int64, 2, "C"), board, offset)
    return builder.load_atomic(pointer, "acquire", 8)


def _read(board, offset):
    """Return element `offset` of a board; all that was written before it is visible then."""
    return board.reshape(-1)[offset]


@primitive(_read)
def read(typingctx, board, offset):
    """Type and lower `_read`."""
    return types.int64(board, types.intp), lambda context, builder, sig, args: _emit_read(context, builder, *args)


def _write(board, offset, value):
    """Write element `offset` of a board, after all earlier writes."""
    board.reshape(-1)[offset] = value


@primitive(_write)
def write(typingctx, board, offset, value):
    """Type and lower `_write`."""

    def lower(context, builder, sig, args):
        board_value, offset, value = args
        builder.store_atomic(value, array_pointer(context, builder, board, board_value, offset), "release", 8)
        return context.get_dummy_value()

    return types.void(board, types.intp, types.int64), lower


def _relax():
    """Let the processor rest for a moment in a loop that waits."""


@primitive(_relax)
def relax(typingctx):
    """Type and lower `_relax`."""

    def lower(context, builder, sig, args):
        if platform.machine() in ("x86_64", "AMD64"):
            function_type = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, function_type, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), lower


if config.DISABLE_JIT:
    _yield_core = functools.partial(time.sleep, 0)
else:
    _yield_core = types.ExternalFunction("SwitchToThread" if os.name == "nt" else "sched_yield", types.intc())


@kernel(cache=False)
def _wait(looks):
    """Wait a moment; after many looks, yield the core to other threads."""
    if looks < _LOOKS:
        relax()
    else:
        _yield_core()


@kernel(cache=False)
def enter(board, thread):
    """Begin a thread's part of a job; thread 0, the caller, announces the job to helpers that watch for one."""
    if thread == 0:
        write(board, 0, read(board, 0) + 1)


@kernel(cache=False)
def leave(board, thread):
    """End a thread's part of a job: the caller waits for all helpers, a helper watches for the next job."""
    looks = 0
    if thread == 0:
        wait_for_helpers(board, read(board, 0))
    else:
        done = read(board, thread * _LINE) + 1
        write(board, thread * _LINE, done)
        while read(board, 0) <= done and looks < _PATIENCE:
            relax()
            looks += 1


@kernel
def wait_for_helpers(board, jobs):
    """Wait until all helpers have done `jobs` jobs."""
    for helper in range(1, len(board) // 2):
        looks = 0
        while read(board, helper * _LINE) < jobs:
            _wait(looks)
            looks += 1


@kernel(cache=False)
def barrier(board, thread):
    """Wait until all threads have reached as many barriers as this one."""
    size = len(board) // 2
    count = read(board, (size + thread) * _LINE) + 1
    write(board, (size + thread) * _LINE, count)
    for other in range(size):
        looks = 0
        while read(board, (size + other) * _LINE) < count and read(board, 1) == 0:
            _wait(looks)
            looks += 1


@kernel(inline="always")
def own_share(count, multiple, board, thread):
    """Return a thread's share of ``range(count)``, cut at a `multiple`: (first, last)."""
    threads = len(board) // 2
    share = (count + multiple * threads - 1) // (multiple * threads) * multiple
    return min(count, thread * share), min(count, (thread + 1) * share)


# ---------------------------------------------------------------------------------------------------------- teams


def new_board(size):
    """Return the board of a team of `size` threads, see `Team`."""
    return np.zeros((2 * size, _LINE), np.int64)


def run(function, calls):
    """Call ``function(*arguments)`` for each tuple of arguments: the first in this thread, the others in parallel.

    Parameters
    ----------
    function : callable
        A compiled kernel, which releases the interpreter's lock, or a function that calls some.
    calls : list of tuple

    Raises
    ------
    Exception
        The first one that a call raised. All calls have ended by then, even after an interrupt, and nothing writes to
        the arrays any more.
    """

    def part(board, thread, *arguments):
        _announce(board, thread)
        try:
            function(*arguments)
        finally:
            _finish(board, thread)

    run_kernel(part, calls)


def warm_up_threads():
    """Compile the code that calls on several threads need, by running two calls that do nothing."""
    run(int, [(), ()])


def run_kernel(function, calls):
    """Call ``function(board, thread, *arguments)`` as `run` does, for short work.

    Parameters
    ----------
    function : callable
        A compiled kernel that calls `enter` first and `leave` last.
    calls : list of tuple

    Raises
    ------
    Exception
        As `run`.
    """
    if len(calls) == 1:
        try:
            board = _idle_boards.pop()
        except IndexError:
            board = new_board(1)
        function(board, 0, *calls[0])
        _idle_boards.append(board)  # not after an exception
        return
    teams = _idle_teams.setdefault(len(calls), [])
    try:
        team = teams.pop()
    except IndexError:
        team = Team(len(calls))
    team.run(function, calls)
    if len(teams) < _MOST_IDLE:
        teams.append(team)
    else:
        team.end()


def compiled_for(function, arguments):
    """Return the compiled entry point of a kernel for the types of `arguments`; skips Numba's dispatch.

    The kernel must have been called with these types before. The dispatch takes some microseconds, as much as a short
    pass of a small layer. Call the entry point with the same types only: nothing checks them.
    """
    if config.DISABLE_JIT:
        return function
    types_of_arguments = tuple(function.typeof_pyval(value) for value in (new_board(1), 0, *arguments))
    return function.overloads[types_of_arguments].entry_point


@kernel
def _announce(board, thread):
    enter(board, thread)


@kernel
def _finish(board, thread):
    leave(board, thread)


class Team:
    """The calling thread and `size` - 1 helpers that take the other parts of its work.

    Threads are slow to wake, and wait for the interpreter's lock. A helper that has done its part therefore stays in
    compiled code (in `leave`) for a moment and watches for the next job. The caller announces jobs from compiled code
    too (in `enter`), where it does not hold the lock: the helper can fetch its part at once.

    The threads write to each other on `board`. Row 0 holds the number of announced jobs, row p the number of jobs that
    helper p has done, row `size` + p the number of barriers that thread p has reached. Each row is a cache line.
    """

    def __init__(self, size):
        self.board = new_board(size)
        self.jobs = [None] * size
        self.posted = 0
        self.asleep = [False] * size
        self.wake = [threading.Semaphore(0) for _ in range(size)]
        self.errors = []
        for thread in range(1, size):
            threading.Thread(target=self._help, args=(thread,), name=f"fastrnn-{thread}", daemon=True).start()

    def run(self, function, calls):
        """Run one call here and one on each helper."""
        self.jobs[1:] = [(function, call) for call in calls[1:]]
        self.posted += 1
        for thread in range(1, len(calls)):
            if self.asleep[thread]:
                self.wake[thread].release()
        try:
            function(self.board, 0, *calls[0])
        except BaseException:  # also Ctrl-C, as the exception that its handler raises
            self._disband()
            raise
        if self.errors:
            self._disband()
            raise self.errors[0]

    def _help(self, thread):
        done = 0
        while True:
            self.asleep[thread] = True
            while self.posted == done:
                self.wake[thread].acquire()
            self.asleep[thread] = False
            done += 1
            function, arguments = self.jobs[thread] or (None, None)
            self.jobs[thread] = None
            if function is None:
                return
            try:
                function(self.board, thread, *arguments)
            except BaseException as error:
                self.errors.append(error)
            self.board[thread, 0] = done  # as in `leave`, which an error may have skipped
            del function, arguments

    def _disband(self):
        """Wait until all helpers are done with their job, and end them."""
        self.board[0, 1] = 1  # from now on, nobody waits for the caller at a barrier
        while True:
            try:
                wait_for_helpers(self.board, self.posted)
                break
            except BaseException:
                continue
        self.end()

    def end(self):
        """End the idle helpers."""
        self.posted += 1  # without a job, which ends a helper
        for signal in self.wake:
            signal.release()


def _forget_teams():
    """Start over in a forked child: the parent's threads do not exist there."""
    _idle_teams.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_teams)
