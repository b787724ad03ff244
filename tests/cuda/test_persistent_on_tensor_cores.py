"""The time loop in one launch, on tensor cores, in the emulator of a GPU."""

import numpy as np
import pytest

from fastrnn.cells import CELLS
from tests.cuda.emulator import emulated
from tests.cuda.time_loops import Problem

pytestmark = pytest.mark.cpu

# Relative to the largest magnitude. Sums of tf32 and bfloat16 are of rounded values: 2^-11 and 2^-8 of each at most.
TOLERANCES = {"highest": 2e-6, "high": 2e-3, "medium": 2e-2}


def loop_for(problem, precision, units, sequences, warps=4):
    from fastrnn.cuda.gpu import device
    from fastrnn.cuda.persistent import PersistentLoop
    from fastrnn.cuda.persistent_plan import Plan, cut_for

    slots, hidden, batch = len(problem.cell.recurrent_slots), problem.hidden, problem.batch
    forward = cut_for(slots, units, warps, (hidden, hidden, batch, sequences), precision, device())
    backward = cut_for(1, units, warps, (hidden, slots * hidden, batch, sequences), precision, device())
    return PersistentLoop(problem.cell, Plan(forward, backward), problem.packing, problem.dtype, None)


def assert_close(got, expected, tolerance):
    for name, values in expected.items():
        scale = max(1.0, np.abs(values).max(initial=0))
        np.testing.assert_allclose(got[name] / scale, values / scale, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_blocks_exchange_states_and_gradients(precision):
    problem = Problem(CELLS["lstm"], 18, [3, 3, 2] + [1] * 7)
    with emulated(seed=1):
        loop = loop_for(problem, precision, units=8, sequences=16)
        assert (loop.plan.forward.blocks, loop.plan.forward.groups) == (3, 1)
        got = problem.results(loop)
    assert_close(got, problem.expected(), TOLERANCES[precision])
