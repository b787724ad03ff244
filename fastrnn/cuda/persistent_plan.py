"""How the time loop in one launch is cut into blocks, and when it pays."""

import math
from typing import NamedTuple

import numpy as np

from fastrnn.cells._cell import declared
from fastrnn.cuda import fragments
from fastrnn.cuda.fragments import COLUMNS, DEPTH, ROWS
from fastrnn.cuda.persistent_kernels import Sizes
from fastrnn.cuda.row_statistics import shared_elements

WARPS = (4, 8)  # of a block; with 8, all registers of a multiprocessor are used
_REGISTERS = 255  # of a thread
_MOST_WEIGHTS = 168  # of these registers
# Registers of a thread besides weights, sums and columns, from what ptxas reports for the cells.
_OTHER_REGISTERS = {"highest": 74, "high": 56, "medium": 70}

# Microseconds, from measurements of an LSTM on an H100.
_MARGIN = 1.2  # the estimate below is that much too low where much is exchanged
_BEGIN = 8.0  # of the launch: the exchange buffer is cleared, weights are loaded
_BARRIER = 1.0
_LATENCY = 0.8  # of the exchanged values, the cell's inputs and its equations
_EXCHANGE = 1.2  # of statistics: sums of a block, two reads of those of all blocks, the values once more; not measured
_CHUNK = 0.4  # of two barriers of a block, and of a product's latency
_BYTES = 42e3  # a microsecond that a multiprocessor reads from the second-level cache while all of them do
_CYCLES = 1700
_PRODUCT = {"highest": 16, "high": 3.2, "medium": 1.6}  # cycles of a multiprocessor for a tile of 16 × 8 × 16
_PRODUCT_LATENCY = {"highest": 150, "high": 50, "medium": 33}  # cycles until its sums can be added to
_GRAPH = 8.0  # the same step by a product of cuBLAS and a kernel, in a captured graph
_GRAPH_SUMS = 2.0  # of a row, each standardization: passes over it and sums of a block; not measured
_GRAPH_FLOPS = {"highest": 42e6, "high": 180e6, "medium": 350e6}  # a microsecond, in such a step


class Cut(NamedTuple):
    """One direction's launch."""

    tilings: tuple  # of each product of a step: of `fastrnn.cuda.fragments`, or None
    sizes: Sizes
    blocks: int  # of a group
    groups: int
    threads: int
    shared: int  # bytes
    cost: float  # estimated microseconds a step


class Plan(NamedTuple):
    """The launches of a layer; None for a direction that is faster step by step."""

    forward: Cut | None
    backward: Cut | None


def is_supported(cell, projected):
    """Whether the time loop in one launch has all stages of a cell and its layer."""
    if projected:
        return False
    if declared(cell, "normalized"):
        return len(cell.recurrent_slots) == len(cell.input_slots) > 0 and not declared(cell, "gated_slots")
    if declared(cell, "standardized_state") is not None:
        return False
    return not declared(cell, "gated_slots") or len(cell.recurrent_slots) > 0


def count_exchanges(cell):
    """Return how often the blocks exchange statistics in a step."""
    return bool(declared(cell, "normalized")) + (declared(cell, "standardized_state") is not None)


def products_of(cell, hidden):
    """Return the products of a step, forward and backward: slots whose rows a block has, and the inner dimension."""
    counts = [len(slots) for slots in (cell.recurrent_slots, declared(cell, "gated_slots")) if slots]
    return [(count, hidden) for count in counts], [(1, count * hidden) for count in counts]


def make_plan(cell, hidden, batch, steps, dtype, precision, found, *, projected=False):
    """Return the `Plan` of a layer's passes, or None if both directions are faster step by step.

    Parameters
    ----------
    cell : NamedTuple
    hidden, batch, steps : int
    dtype : dtype
    precision : {"highest", "high", "medium"}
    found : Device
        Its multiprocessors and the shared memory of a block count.
    projected : bool, default=False
        Whether the layer has a projection.
    """
    if not batch or not steps or not is_supported(cell, projected):
        return None
    if not cell.recurrent_slots:
        cut = scalar_cut(cell, hidden, batch, found)
        return Plan(cut, cut)
    if np.dtype(dtype) != np.float32 or found.is_simulated:  # the simulator has no tensor cores
        return None
    cuts = []
    for products in products_of(cell, hidden):
        cut = best_cut(products, hidden, batch, precision, found, count_exchanges(cell))
        flops = sum(2 * slots * hidden * depth * batch for slots, depth in products)
        by_steps = len(products) * _GRAPH + count_exchanges(cell) * _GRAPH_SUMS + flops / _GRAPH_FLOPS[precision]
        cuts.append(cut if cut is not None and _BEGIN + _MARGIN * steps * cut.cost < steps * by_steps else None)
    return Plan(*cuts) if any(cuts) else None


def scalar_cut(cell, hidden, batch, found):
    """Return the cut of a launch without tensor cores, for both directions.

    A group has one block with all units. Units that do not see each other need no group: each block has some of them.
    """
    sequences, (_, products) = -(-batch // COLUMNS) * COLUMNS, products_of(cell, hidden)
    units = hidden if products else min(hidden, 8)
    tiles = -(-max([depth for _, depth in products], default=0) // DEPTH)
    sizes = Sizes(hidden, batch, units, sequences, sequences, found.threads, tiles)
    elements = shared_elements(None, sizes, found.threads)[1] if count_exchanges(cell) else 0
    return Cut((None,) * max(len(products), 1), sizes, -(-hidden // units), 1, found.threads, 8 * elements, 0.0)


def best_cut(products, hidden, batch, precision, found, exchanges=0):
    """Return the fastest cut for the products of a step (see `products_of`), or None if none fits.

    Blocks exchange statistics `exchanges` times a step.
    """
    cuts = []
    for units in (8, 16, 32):
        blocks = -(-hidden // units)
        for groups in range(1, min(found.multiprocessors // blocks, -(-batch // COLUMNS)) + 1):
            sequences = -(-batch // (groups * COLUMNS)) * COLUMNS
            if groups == -(-batch // sequences):  # no group is empty
                shape = hidden, batch, sequences
                cuts += [cut_for(products, units, warps, shape, precision, found, exchanges) for warps in WARPS]
    cuts = [cut for cut in cuts if cut is not None]
    return min(cuts, key=lambda cut: (cut.cost, cut.blocks * cut.groups), default=None)


def cut_for(products, units, warps, shape, precision, found, exchanges=0):
    """Return the cut with so many units and warps a block, or None if it does not fit."""
    hidden, batch, sequences = shape
    row_tiles = [-(-slots * units // ROWS) for slots, _ in products]
    tiles = -(-max(depth for _, depth in products) // (DEPTH * warps))
    weights = sum(row_tiles) * tiles * (4 if precision == "medium" else 8)
    left = _REGISTERS - weights - _OTHER_REGISTERS[precision]
    column_tiles, column = min(sequences, warps * 32 // units) // COLUMNS, 2 if precision == "medium" else 4
    while column_tiles and column_tiles * (max(row_tiles) * 4 + column) > left:
        column_tiles -= 1
    if not column_tiles or weights > _MOST_WEIGHTS:
        return None
    sums, chunk = max(row_tiles) * column_tiles * 4, column_tiles * COLUMNS
    chains = max(1, min(tiles, 16 // sums, (left - column_tiles * column) // sums))
    ahead = max(1, min(tiles, (left - chains * sums) // (column_tiles * column)))
    rest = units, warps, tiles, column_tiles, ahead, chains
    tilings = tuple([fragments.tiling(precision, slots, *rest) for slots, _ in products])
    shared = max(warps * tiling.row_tiles * ROWS * tiling.stride * 4 for tiling in tilings)
    sizes = Sizes(hidden, batch, units, sequences, -(-sequences // chunk) * chunk, units * chunk, warps * tiles)
    if exchanges:
        shared = 4 * shared_elements(tilings[0], sizes, warps * 32)[1]
    if shared > found.shared_memory:
        return None
    blocks, groups = -(-hidden // units), -(-batch // sequences)
    cost = sum(_cost(tiling, sizes, -(-sequences // chunk), precision) for tiling in tilings)
    cost += exchanges * (_BARRIER + _EXCHANGE)
    return Cut(tilings, sizes, blocks, groups, warps * 32, shared, cost)


def _cost(tiling, sizes, chunks, precision):
    """Return the estimated microseconds of a step."""
    columns = tiling.column_tiles * COLUMNS
    nbytes = sizes.sequences * sizes.tiles * DEPTH * fragments.exchange_type(precision).itemsize
    written = tiling.warps * tiling.row_tiles * tiling.column_tiles * 2 * 4  # cycles of shared memory
    read = tiling.warps * tiling.slots * math.ceil(tiling.units * columns / 32)
    all_tiles = tiling.warps * tiling.tiles * tiling.row_tiles * tiling.column_tiles
    waiting = -(-tiling.tiles // tiling.chains) * _PRODUCT_LATENCY[precision]
    cycles = written + read + max(all_tiles * _PRODUCT[precision], waiting)
    return _BARRIER + _LATENCY + nbytes / _BYTES + chunks * (_CHUNK + cycles / _CYCLES)
