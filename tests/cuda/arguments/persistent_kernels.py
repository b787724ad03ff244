"""Arguments of the kernels of `fastrnn.cuda.persistent_kernels`."""

from types import SimpleNamespace

import numpy as np

from fastrnn.cells import CELLS
from fastrnn.cells._cell import count_units
from fastrnn.cuda.fragments import exchange_type
from fastrnn.cuda.persistent_kernels import Exchange, Sizes, backward_steps, forward_steps, start
from fastrnn.cuda.persistent_plan import is_supported, make_plan, scalar_cut
from fastrnn.cuda.recurrent_memory import Gradients, Masks, Memory, Weights
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


def _cases(number, cell, cut, masks, ragged):
    """Return the arguments of both kernels that do not differ, and those of backward alone."""
    matrix, states = array(number, 2), array(number, 3)
    recurrent = matrix if cell.recurrent_slots else None
    masked = matrix if masks.recurrent is not None and recurrent is not None else None
    units = (matrix, states) if count_units(cell) else (None, None)
    kind = number if cut.tiling is None else exchange_type(cut.tiling.precision)
    offsets = array("int64", 1) if ragged else None
    exchange = Exchange(array(kind, 1), array("int32", 1), array("int64", 1), offsets, None)
    memory = Memory(matrix, states, masked, None, None, None, None)
    common = memory, Weights(recurrent, None, None, units[0]), masks, exchange, cell, cut.tiling, cut.sizes
    return common, Gradients(matrix, states, units[1])


def cell_arguments(number, cell, precision):
    """Return the arguments for a cell: on tensor cores for float32; with all masks in float64, and for the LSTM."""
    if not is_supported(cell, False):
        return {}
    if number == np.float32 and cell.recurrent_slots:
        plan = make_plan(cell, *SIZE, number, precision, H100)
    else:
        plan = (scalar_cut(cell, *SIZE[:2], H100),) * 2
    masks = [(Masks(None, None), False)]
    if number == np.float64 or (cell is CELLS["lstm"] and precision == "highest"):
        masks = [(Masks(array(number, 2), array(number, 3)), True)]
    forward, backward, beginnings = [], [], []
    for given, ragged in masks:
        common, _ = _cases(number, cell, plan[0], given, ragged)
        forward.append((*common, 1))
        beginnings.append((common[3], array(number, 2), *common[5:]))
        common, gradients = _cases(number, cell, plan[1], given, ragged)
        backward.append((gradients, *common))
    return {forward_steps: forward, backward_steps: backward, start: beginnings}
