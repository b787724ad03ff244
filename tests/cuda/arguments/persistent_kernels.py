"""Arguments of the kernels of `fastrnn.cuda.persistent_kernels`."""

from types import SimpleNamespace

import numpy as np

from fastrnn.cells import CELLS
from fastrnn.cells._cell import count_units, declared
from fastrnn.cuda.fragments import exchange_type
from fastrnn.cuda.persistent_kernels import Exchange, Sizes, backward_steps, forward_steps, start
from fastrnn.cuda.persistent_plan import is_supported, make_plan, scalar_cut
from fastrnn.cuda.recurrent_memory import Gradients, Masks, Memory, Weights
from fastrnn.cuda.row_statistics import Statistics
from tests.cuda.compiling import array

H100 = SimpleNamespace(is_simulated=False, multiprocessors=132, shared_memory=232448, threads=256)
SIZE = 512, 64, 100  # hidden units, a batch, steps

# The weights take most of the registers; at some sizes a few other values make way for them.
SPILLS = {"forward_steps": 64, "backward_steps": 128}


def arguments(number):
    """Return the arguments of each kernel."""
    sizes = Sizes(*range(len(Sizes._fields)))
    exchange = Exchange(*[array(kind, 1) for kind in (number, "int32", "int64")], None, None)
    return {start: [(exchange, initial, None, sizes) for initial in (array(number, 2), None)]}


def given(number, cell, cut, masks, ragged, is_backward):
    """Return the arguments of both directions that do not differ, and those of backward alone."""
    matrix, states = array(number, 2), array(number, 3)
    recurrent, gated = (matrix if declared(cell, name) else None for name in ("recurrent_slots", "gated_slots"))
    masked = matrix if masks.recurrent is not None and recurrent is not None else None
    units = (matrix, states) if count_units(cell) else (None, None)
    kind = number if cut.tilings[0] is None else exchange_type(cut.tilings[0].precision)
    offsets = array("int64", 1) if ragged else None
    scales, standardized, statistics = None, None, None
    if declared(cell, "normalized"):
        scales, statistics = matrix, Statistics(array(number, 1), matrix if is_backward else None, 0)
        standardized = matrix if declared(cell, "standardized_state") is not None else None
    exchange = Exchange(array(kind, 1), array("int32", 1), array("int64", 1), offsets, None, statistics)
    memory = Memory(matrix, states, masked, gated, None, standardized, scales)
    common = memory, Weights(recurrent, gated, None, units[0]), masks, exchange, cell, *cut.tilings, cut.sizes
    return common, Gradients(matrix, states, units[1])


def both_directions(number, cell, precision):
    """Return the argument tuples of the forward, the backward and the first kernel for a cell.

    They are for tensor cores in float32. All masks are there in float64, and for the LSTM.
    """
    if number == np.float32 and cell.recurrent_slots:
        plan = make_plan(cell, *SIZE, number, precision, H100)
    else:
        plan = (scalar_cut(cell, *SIZE[:2], H100),) * 2
    masks, is_ragged = Masks(None, None), False
    if number == np.float64 or (cell is CELLS["lstm"] and precision == "highest"):
        masks, is_ragged = Masks(array(number, 2), array(number, 3)), True
    forward, _ = given(number, cell, plan[0], masks, is_ragged, False)
    backward, gradients = given(number, cell, plan[1], masks, is_ragged, True)
    beginning = forward[3], array(number, 2), forward[5], forward[-1]
    return [(*forward, 1)], [(gradients, *backward)], [beginning]


def cell_arguments(number, cell, precision):
    """Return the arguments for a cell without a gated product and without normalization."""
    if not is_supported(cell, False) or declared(cell, "gated_slots") or declared(cell, "normalized"):
        return {}
    return dict(zip((forward_steps, backward_steps, start), both_directions(number, cell, precision), strict=True))
