"""The simulator as the tests run it."""

import numpy as np
import pytest
from numba import cuda

from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.gpu import is_simulated

pytestmark = pytest.mark.skipif(not is_simulated(), reason="needs NUMBA_ENABLE_CUDASIM=1")


@kernel
def _pass_on(out, rounds):
    # out (rounds + 1, threads): in each round, a thread reads what its neighbour wrote in the one before
    thread = cuda.threadIdx.x
    out[0, thread] = thread
    for k in range(rounds):
        cuda.syncthreads()
        out[k + 1, thread] = out[k, (thread + 1) % cuda.blockDim.x]


@kernel
def _end_early(out):
    # out (threads,)
    if cuda.threadIdx.x > 0:
        cuda.syncthreads()
        out[cuda.threadIdx.x] = 1


@kernel
def _fail(out):
    # out (threads,)
    if cuda.threadIdx.x == 1:
        out[99] = 0
    cuda.syncthreads()


def test_a_barrier_opens_when_all_threads_wait(ops):
    out = ops.empty((9, 4), "float32")
    _pass_on.launch(1, 4, out, 8)
    np.testing.assert_array_equal(ops.to_numpy(out), (np.arange(4) + np.arange(9)[:, None]) % 4)


def test_a_thread_that_has_ended_is_not_waited_for(ops):
    out = ops.zeros(4, "float32")
    _end_early.launch(1, 4, out)
    np.testing.assert_array_equal(ops.to_numpy(out), [0, 1, 1, 1])


def test_an_error_in_a_thread_ends_the_others(ops):
    with pytest.raises(IndexError, match=r"tid=\[1, 0, 0\]"):
        _fail.launch(1, 4, ops.zeros(4, "float32"))
