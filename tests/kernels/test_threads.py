import os
import threading
import time

import numpy as np
import pytest

from fastrnn._jit import kernel
from fastrnn.kernels import threads
from fastrnn.kernels.threads import barrier, enter, leave, run, run_kernel


@kernel
def fill(board, thread, values, begin, end, value):
    enter(board, thread)
    values[begin:end] = value
    leave(board, thread)


@kernel
def pass_on(board, thread, rows, own):
    """Each round, every thread adds up what all threads wrote in the round before."""
    # rows (rounds + 1, threads)
    enter(board, thread)
    for k in range(1, len(rows)):
        rows[k, own] = rows[k - 1].sum() % 1000 + own
        barrier(board, thread)
    leave(board, thread)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_every_part_is_done_when_run_returns(size):
    values = np.zeros(size * 10)
    for k in range(50):
        run_kernel(fill, [(values, 10 * p, 10 * p + 10, k + p) for p in range(size)])
        np.testing.assert_array_equal(values, np.repeat(np.arange(size) + k, 10))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_barrier_holds_everybody_back(size):
    rows = np.zeros((40, size), np.int64)
    rows[0] = np.arange(size)
    expected = rows.copy()
    for k in range(1, len(rows)):
        expected[k] = expected[k - 1].sum() % 1000 + np.arange(size)
    run_kernel(pass_on, [(rows, p) for p in range(size)])
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_any_function_can_be_run(size):
    values = np.zeros(size)

    def fill_one(place, value):
        values[place] = value
        if value < 0:
            raise ValueError("negative")

    for k in range(20):
        run(fill_one, [(p, k + p) for p in range(size)])
        np.testing.assert_array_equal(values, np.arange(size) + k)
    with pytest.raises(ValueError, match="negative"):
        run(fill_one, [(p, p - size + 1 or -1) for p in range(size)])
    run(fill_one, [(p, 1) for p in range(size)])
    assert (values == 1).all()


def test_helpers_that_have_gone_to_sleep_wake_up():
    values = np.zeros(2)
    for k in range(1, 4):
        run_kernel(fill, [(values, p, p + 1, k) for p in range(2)])
        assert (values == k).all()
        deadline = time.monotonic() + 60
        while not all(team.asleep[1] for team in threads._idle_teams[2]) and time.monotonic() < deadline:
            time.sleep(0.01)


def test_several_callers_do_not_get_in_each_others_way():
    results = [np.zeros(200) for _ in range(4)]

    def work(values):
        for k in range(100):
            run_kernel(fill, [(values, 100 * p, 100 * p + 100, k) for p in range(2)])

    callers = [threading.Thread(target=work, args=(values,)) for values in results]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((values == 99).all() for values in results)


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_exception_of_any_part_is_raised_when_all_have_ended(failing):
    values = np.zeros(30)

    def part(board, thread, begin):
        if thread == failing:
            raise Interrupted
        fill(board, thread, values, begin, begin + 10, 1.0)

    with pytest.raises(Interrupted):
        run_kernel(part, [(0,), (10,), (20,)])
    expected = np.ones(30)
    expected[10 * failing : 10 * failing + 10] = 0
    np.testing.assert_array_equal(values, expected)
    run_kernel(fill, [(values, 10 * p, 10 * p + 10, 2.0) for p in range(3)])
    assert (values == 2).all()


def test_nobody_waits_at_a_barrier_for_a_caller_that_failed():
    def part(board, thread, rows):
        if thread == 0:
            raise Interrupted
        pass_on(board, thread, rows, thread)

    with pytest.raises(Interrupted):
        run_kernel(part, [(np.zeros((3, 2), np.int64),)] * 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_helpers_of_its_own():
    values = np.zeros(2)
    run_kernel(fill, [(values, p, p + 1, 1.0) for p in range(2)])
    child = os.fork()
    if child == 0:
        run_kernel(fill, [(values, p, p + 1, 2.0) for p in range(2)])
        os._exit(0 if (values == 2).all() else 1)
    deadline = time.monotonic() + 60
    while (result := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert result == (child, 0)
    assert (values == 1).all()
