"""The time loop in one launch, on tensor cores, in the emulator of a GPU."""

import numpy as np
import pytest

from fastrnn.cells import CELLS
from fastrnn.cuda import arrays
from fastrnn.cuda.gpu import device
from fastrnn.cuda.persistent import PersistentLoop
from fastrnn.cuda.persistent_plan import Plan, count_exchanges, cut_for, products_of
from tests.cuda.emulator import emulated
from tests.cuda.time_loops import Problem

# Relative to the largest magnitude. Sums of tf32 and bfloat16 are of rounded values: 2^-11 and 2^-8 of each at most.
TOLERANCES = {"highest": 2e-6, "high": 2e-3, "medium": 2e-2}


def loop_for(problem, precision, units, sequences, warps=4):
    shape = problem.hidden, problem.batch, sequences
    exchanges = count_exchanges(problem.cell)
    products = products_of(problem.cell, problem.hidden)
    plan = Plan(*[cut_for(own, units, warps, shape, precision, device(), exchanges) for own in products])
    return PersistentLoop(problem.cell, plan, problem.packing, problem.dtype)


def assert_close(got, expected, tolerance):
    for name, values in expected.items():
        scale = max(1.0, np.abs(values).max(initial=0))
        np.testing.assert_allclose(got[name] / scale, values / scale, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.cpu
@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_blocks_exchange_states_and_gradients(precision):
    problem = Problem(CELLS["lstm"], 18, [3, 3, 2] + [1] * 7)
    with emulated(seed=1):
        loop = loop_for(problem, precision, units=8, sequences=16)
        assert (loop.plan.forward.blocks, loop.plan.forward.groups) == (3, 1)
        got = problem.results(loop)
    assert_close(got, problem.expected(), TOLERANCES[precision])


@pytest.mark.cpu
def test_results_do_not_depend_on_the_order_of_blocks_and_warps():
    """Two groups of two blocks, and more sequences than a block computes at a time."""
    problem = Problem(CELLS["gru"], 18, [2] * 17 + [1] * 3, dropout=True, zoneout=True)
    results = []
    for seed in range(3):
        with emulated(seed=seed, races=seed == 0):
            loop = loop_for(problem, "high", units=16, sequences=16)
            cut = loop.plan.forward
            assert (cut.blocks, cut.groups, cut.tilings[0].column_tiles, cut.sizes.sequences) == (2, 2, 1, 16)
            results.append(problem.results(loop))
    assert_close(results[0], problem.expected(), TOLERANCES["high"])
    for other in results[1:]:
        for name, values in results[0].items():
            np.testing.assert_array_equal(other[name], values, err_msg=name)


@pytest.mark.cpu
@pytest.mark.parametrize(("name", "precision"), [("gru_reset_before", "highest"), ("mgu", "medium")])
def test_blocks_exchange_gated_states(name, precision):
    problem = Problem(CELLS[name], 10, [3, 2, 1], dropout=True, zoneout=True)
    with emulated(seed=2):
        got = problem.results(loop_for(problem, precision, units=8, sequences=8))
    assert_close(got, problem.expected(), TOLERANCES[precision])


@pytest.mark.cpu
@pytest.mark.parametrize("name", ["gru_layer_norm", "lstm_layer_norm"])
def test_blocks_exchange_statistics_of_rows(name):
    """Two blocks, the second one with fewer units, and groups of more sequences than a block computes at a time."""
    problem = Problem(CELLS[name], 18, [2] * 9 + [1] * 9, dropout=True, zoneout=True)
    results = []
    for seed in range(2):
        with emulated(seed=seed, races=seed == 0):
            loop = loop_for(problem, "highest", units=16, sequences=16)
            assert (loop.plan.forward.blocks, loop.plan.forward.groups) == (2, 2)
            results.append(problem.results(loop))
    assert_close(results[0], problem.expected(), TOLERANCES["highest"])
    for key, values in results[0].items():
        np.testing.assert_array_equal(results[1][key], values, err_msg=key)


@pytest.mark.cpu
@pytest.mark.parametrize("name", ["gru_layer_norm", "lstm_layer_norm"])
def test_statistics_are_exact_where_products_are_rounded(name):
    problem = Problem(CELLS[name], 10, [3, 2, 1])
    with emulated(seed=3):
        got = problem.results(loop_for(problem, "high", units=8, sequences=8))
    assert_close(got, problem.expected(), TOLERANCES["high"])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "gru_reset_before", "gru_layer_norm", "lstm_layer_norm"])
def test_a_gpu_exchanges_states_and_gradients(name, precision):
    problem = Problem(CELLS[name], 100, [9, 8, 7] * 9 + [3] * 7, dropout=True, zoneout=True)
    got = problem.results(loop_for(problem, precision, units=8, sequences=24))
    assert_close(got, problem.expected(), TOLERANCES[precision])


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["lstm", "lstm_layer_norm"])
def test_a_thousand_runs_with_random_delays_are_equal(name):
    problem = Problem(CELLS[name], 100, [9, 8, 7] * 9 + [3] * 7)
    meetings = 9 * (1 + count_exchanges(problem.cell))
    random, first = np.random.default_rng(0), None
    for _ in range(1000):
        loop = loop_for(problem, "highest", units=8, sequences=24)
        for kernel, cut in zip(loop._kernels, loop.plan, strict=True):
            delays = random.integers(0, 4000, (meetings, cut.groups, cut.blocks)).astype(np.uint32)
            loop._exchanges[kernel] = loop._exchange(kernel, cut)._replace(delays=arrays.asarray(delays))
        results = problem.results(loop)
        first = results if first is None else first
        for name, values in first.items():
            np.testing.assert_array_equal(results[name], values, err_msg=name)
    assert_close(first, problem.expected(), TOLERANCES["highest"])
