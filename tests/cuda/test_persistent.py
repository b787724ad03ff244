"""The time loop in one launch, without tensor cores, against the equations in NumPy."""

import numpy as np
import pytest

from fastrnn.cells import CELLS
from fastrnn.cuda.persistent_plan import is_supported
from tests.cuda.comparing import TOLERANCES
from tests.cuda.test_recurrent_passes import assert_equal, numpy_device  # noqa: F401
from tests.cuda.time_loops import Problem

SUPPORTED = [name for name, cell in CELLS.items() if is_supported(cell, False)]


def loop_for(problem):
    from fastrnn.cuda.gpu import device
    from fastrnn.cuda.persistent import PersistentLoop
    from fastrnn.cuda.persistent_plan import Plan, scalar_cut

    cut = scalar_cut(problem.cell, problem.hidden, problem.batch, device())
    return PersistentLoop(problem.cell, Plan(cut, cut), problem.packing, problem.dtype)


def assert_close(got, expected, tolerance):
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SUPPORTED)
def test_every_cell_gives_its_equations_results(name, dtype):
    problem = Problem(CELLS[name], 5, [4, 2, 3], dtype)
    assert_close(problem.results(loop_for(problem)), problem.expected(), TOLERANCES[dtype])


@pytest.mark.parametrize(
    "name", ["lstm_peephole", "gru", "indrnn", "gru_reset_before", "mgu", "gru_layer_norm", "lstm_layer_norm"]
)
def test_masks_reach_the_recurrent_product_and_zoneout_the_states(name):
    problem = Problem(CELLS[name], 4, [3, 3, 1], "float64", dropout=True, zoneout=True)
    assert_close(problem.results(loop_for(problem)), problem.expected(), 1e-10)


@pytest.mark.parametrize("name", ["gru_layer_norm", "lstm_layer_norm"])
def test_a_row_far_from_zero_is_standardized_as_exactly(name):
    problem = Problem(CELLS[name], 5, [3, 2], "float64")
    problem.weight += 1e4  # a difference of mean squares would be wrong by 1e-8
    states = {"states": problem.expected()["states"]}  # gradients through such weights are not as exact
    assert_close(problem.results(loop_for(problem)), states, 1e-10)


def test_sequences_of_equal_length_need_no_table_of_rows():
    problem = Problem(CELLS["lstm"], 3, [3, 3], "float64")
    loop = loop_for(problem)
    assert loop._offsets is None
    assert_close(problem.results(loop), problem.expected(), 1e-10)


def test_a_batch_larger_than_a_tile_of_columns_and_units_than_one_of_depth():
    problem = Problem(CELLS["rnn"], 18, [2] * 7 + [1] * 3, "float64")
    assert_close(problem.results(loop_for(problem)), problem.expected(), 1e-10)


def test_a_loop_runs_on_other_arrays():
    problem, other = (Problem(CELLS["gru_simple"], 4, [2, 1], "float64", seed=seed) for seed in (0, 1))
    loop = loop_for(problem)
    for given in (problem, other, problem):
        assert_close(given.results(loop), given.expected(), 1e-10)


@pytest.mark.parametrize("cell", ["lstm_coupled", "gru_reset_before", "lstm_layer_norm"])
def test_layers_run_it_where_there_is_a_plan(cell, monkeypatch):
    from fastrnn.cuda import time_loop
    from fastrnn.cuda.gpu import device
    from fastrnn.cuda.persistent_plan import Plan, scalar_cut

    plans = []

    def plan(kind, hidden, batch, *rest):
        plans.append(Plan(scalar_cut(kind(), hidden, batch, device()), None))  # backward a step after the other
        return plans[-1]

    monkeypatch.setattr(time_loop, "_plan", plan)
    assert_equal(cell, lengths=[2, 0, 4], num_layers=2, bidirectional=True, recurrent_dropout=0.3)
    assert len(plans) == 8  # two layers, two directions, two passes
