"""Threads for coarse work: kernels release the interpreter's lock, so that Python threads run them side by side.

A kernel for `run_kernel` begins with `enter` and ends with `leave`, and may wait for the others at a `barrier`.
Waking a thread that sleeps costs 0.05 to 0.2 ms, handing work to one that still looks out for it some microseconds;
`worth` keeps work that is too small for either on the calling thread.
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

_FLOPS_PER_THREAD = 3_000_000  # about 0.03 ms of a core's work: less than that does not pay for a thread
_LINE = 8  # int64 in a cache line
# How often a thread looks before it lets others have its core, and before a helper goes to sleep: 0.05 and 1 ms.
_LOOKS, _PATIENCE = 2_000, 40_000

_MOST_IDLE = 8  # teams of each size that wait for work; what more callers at a time need ends with their work

_idle_teams = {}  # by size; only whole operations of lists, so that callers in several threads may share it
_idle_boards = []  # of callers that work alone


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


# ---------------------------------------------------------------------------------------- signals between threads


def _emit_read(context, builder, board, offset):
    pointer = array_pointer(context, builder, types.Array(types.int64, 2, "C"), board, offset)
    return builder.load_atomic(pointer, "acquire", 8)


def _read(board, offset):
    """Return element `offset` of a board, and see all that was written before it."""
    return board.reshape(-1)[offset]


@primitive(_read)
def read(typingctx, board, offset):
    """Type and lower `_read`."""
    return types.int64(board, types.intp), lambda context, builder, sig, args: _emit_read(context, builder, *args)


def _write(board, offset, value):
    """Write element `offset` of a board, after all that was written before."""
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
    """Let the processor rest for a moment while a thread looks out for something."""


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
    """Wait a moment; after many times by giving the core to other threads."""
    if looks < _LOOKS:
        relax()
    else:
        _yield_core()


@kernel(cache=False)
def enter(board, party):
    """Begin a part of a job: the caller's announces it to helpers that still look out for one."""
    if party == 0:
        write(board, 0, read(board, 0) + 1)


@kernel(cache=False)
def leave(board, party):
    """End a part of a job: the caller waits for all helpers, a helper looks out for the next job for a moment."""
    looks = 0
    if party == 0:
        wait_for_helpers(board, read(board, 0))
    else:
        done = read(board, party * _LINE) + 1
        write(board, party * _LINE, done)
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
def barrier(board, party):
    """Wait until all parties have come here as often as this one."""
    size = len(board) // 2
    count = read(board, (size + party) * _LINE) + 1
    write(board, (size + party) * _LINE, count)
    for other in range(size):
        looks = 0
        while read(board, (size + other) * _LINE) < count and read(board, 1) == 0:
            _wait(looks)
            looks += 1


# ---------------------------------------------------------------------------------------------------------- teams


def new_board(size):
    """Return the board of a team of `size` threads, see `Team`."""
    return np.zeros((2 * size, _LINE), np.int64)


def run(function, calls):
    """Call ``function(*arguments)`` for every tuple of arguments: the first here, the others beside it.

    Parameters
    ----------
    function : callable
        A compiled kernel (it releases the interpreter's lock), or a function that calls some.
    calls : list of tuple

    Raises
    ------
    Exception
        The first one that a call raised. All calls have ended then, also after an interrupt: nothing writes to the
        arrays any more.
    """

    def part(board, party, *arguments):
        _announce(board, party)
        try:
            function(*arguments)
        finally:
            _finish(board, party)

    run_kernel(part, calls)


def warm_up_threads():
    """Compile what calls on several threads need, by two that do nothing."""
    run(int, [(), ()])


def run_kernel(function, calls):
    """Call ``function(board, party, *arguments)`` as `run` does, for short work.

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
    """Return what `run_kernel` runs for a kernel and arguments of certain types, which it was called with before.

    Looking it up takes some microseconds, as much as a short pass of a small layer. It must only be called with
    arguments of the same types: nothing checks them any more.
    """
    if config.DISABLE_JIT:
        return function
    types_of_arguments = tuple(function.typeof_pyval(value) for value in (new_board(1), 0, *arguments))
    return function.overloads[types_of_arguments].entry_point


@kernel
def _announce(board, party):
    enter(board, party)


@kernel
def _finish(board, party):
    leave(board, party)


class Team:
    """The calling thread and `size` - 1 helpers that take the other parts of its work.

    What makes threads slow is to be woken, and to wait for the interpreter's lock. So a helper that has done its part
    stays in compiled code (in `leave`) for a moment, looking out for the next job, which is announced from compiled
    code too (by `enter`): when it comes, the caller does not hold the lock and the helper can fetch its part at once.

    `board` is what the threads write to each other: in row 0 the number of jobs that were announced, in row p how many
    helper p has done, in row `size` + p how many barriers party p has reached; a cache line each.
    """

    def __init__(self, size):
        self.board = new_board(size)
        self.jobs = [None] * size
        self.posted = 0
        self.asleep = [False] * size
        self.wake = [threading.Semaphore(0) for _ in range(size)]
        self.errors = []
        for party in range(1, size):
            threading.Thread(target=self._help, args=(party,), name=f"fastrnn-{party}", daemon=True).start()

    def run(self, function, calls):
        """Run one call here and one on each helper."""
        self.jobs[1:] = [(function, call) for call in calls[1:]]
        self.posted += 1
        for party in range(1, len(calls)):
            if self.asleep[party]:
                self.wake[party].release()
        try:
            function(self.board, 0, *calls[0])
        except BaseException:  # Ctrl-C, as whatever its handler raises
            self._disband()
            raise
        if self.errors:
            self._disband()
            raise self.errors[0]

    def _help(self, party):
        done = 0
        while True:
            self.asleep[party] = True
            while self.posted == done:
                self.wake[party].acquire()
            self.asleep[party] = False
            done += 1
            function, arguments = self.jobs[party] or (None, None)
            self.jobs[party] = None
            if function is None:
                return
            try:
                function(self.board, party, *arguments)
            except BaseException as error:
                self.errors.append(error)
            self.board[party, 0] = done  # as `leave` does, if it came to that
            del function, arguments

    def _disband(self):
        """Wait until all helpers are done with their job, and end them."""
        self.board[0, 1] = 1  # nobody waits for the caller at a barrier any more
        while True:
            try:
                wait_for_helpers(self.board, self.posted)
                break
            except BaseException:
                continue
        self.end()

    def end(self):
        """End the helpers, who have nothing to do."""
        self.posted += 1  # without a job: the end
        for signal in self.wake:
            signal.release()


def _forget_teams():
    """Start over in a forked child: the parent's threads do not exist there."""
    _idle_teams.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_teams)
