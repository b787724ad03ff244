"""How the time loop in one launch is cut into blocks."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.cells import CELLS
from fastrnn.cuda.fragments import COLUMNS, DEPTH
from fastrnn.cuda.persistent_kernels import MOST_THREADS
from fastrnn.cuda.persistent_plan import best_cut, make_plan

pytestmark = pytest.mark.cpu
H100 = SimpleNamespace(is_simulated=False, multiprocessors=132, shared_memory=232448, threads=256)
PRECISIONS = "highest", "high", "medium"


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 900), st.integers(1, 200), st.sampled_from(PRECISIONS), st.booleans())
def test_a_cut_has_a_thread_for_each_unit_of_each_sequence_and_all_blocks_run_at_once(
    slots, hidden, batch, precision, back
):
    rows, depth = product = (1, slots * hidden) if back else (slots, hidden)
    cut = best_cut([product], hidden, batch, precision, H100)
    if cut is None:
        assert hidden * slots > 500  # what does not fit the registers
        return
    (tiling,), sizes = cut.tilings, cut.sizes
    assert cut.blocks * cut.groups <= H100.multiprocessors
    assert cut.blocks * tiling.units >= hidden > (cut.blocks - 1) * tiling.units
    assert cut.groups * sizes.sequences >= batch > (cut.groups - 1) * sizes.sequences
    assert sizes.sequences % COLUMNS == 0
    assert cut.threads == 32 * tiling.warps <= MOST_THREADS
    assert sizes.items == tiling.units * tiling.column_tiles * COLUMNS <= cut.threads
    assert sizes.columns >= sizes.sequences
    assert sizes.columns % (tiling.column_tiles * COLUMNS) == 0
    assert sizes.tiles * DEPTH == tiling.warps * tiling.tiles * DEPTH >= depth
    assert tiling.row_tiles * 16 >= rows * tiling.units
    assert 0 < tiling.ahead <= tiling.tiles
    assert 0 < tiling.chains <= tiling.tiles
    assert cut.shared <= H100.shared_memory


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "gru_layer_norm"])
@pytest.mark.parametrize(
    "shape", [(650, 20, 35), (512, 64, 100), (256, 64, 512), (128, 256, 50), (200, 20, 35)], ids=str
)
def test_layers_of_usual_sizes_run_in_one_launch(name, shape, precision):
    assert all(make_plan(CELLS[name], *shape, np.float32, precision, H100))


def test_normalized_cells_meet_more_often_and_keep_room_for_statistics():
    shape = 512, 64, 100, np.float32, "high", H100
    gru, normalized, lstm = (make_plan(CELLS[name], *shape) for name in ("gru", "gru_layer_norm", "lstm_layer_norm"))
    for plain, one, two in zip(gru, normalized, lstm, strict=True):
        assert plain.cost + 1 < one.cost < two.cost - 1  # a microsecond for a barrier
        for cut in (one, two):
            (tiling,), sizes = cut.tilings, cut.sizes
            products = tiling.warps * tiling.row_tiles * 16 * tiling.stride
            assert cut.shared >= 4 * (products + 4 * sizes.units * sizes.sequences)
            assert cut.shared <= H100.shared_memory


def test_what_is_faster_step_by_step_has_no_plan():
    lstm = CELLS["lstm"]
    assert make_plan(lstm, 1024, 128, 128, np.float32, "high", H100) is None  # W_hh is too large
    assert make_plan(lstm, 512, 64, 1, np.float32, "high", H100) is None  # there is one step
    assert make_plan(lstm, 512, 64, 100, np.float64, "highest", H100) is None
    assert make_plan(lstm, 512, 0, 100, np.float32, "high", H100) is None
    assert make_plan(lstm, 512, 64, 100, np.float32, "high", H100, projected=True) is None
    assert make_plan(CELLS["lstm_layer_norm"], 512, 64, 100, np.float32, "high", H100, projected=True) is None


def test_units_that_do_not_see_each_other_need_no_tensor_cores():
    forward, backward = make_plan(CELLS["indrnn"], 100, 20, 5, np.float64, "highest", H100)
    assert forward == backward
    assert forward.tilings == (None,)
    assert forward.blocks * forward.sizes.units >= 100
