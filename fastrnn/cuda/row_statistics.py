"""Sums over the units of a row in the time loop in one launch, where each block of a group has some of the units.

A block adds up the numbers of its own units, which its threads keep in shared memory, and sends the sums. Behind a
barrier of the group, `receive_sums` and `receive_moments` combine those of all blocks in one order, so that all blocks
get the same bits. There are two stages, with a region each: one is read while the other is written.
"""

import math
from typing import NamedTuple

from llvmlite import ir
from numba import cuda
from numba.core import types

from fastrnn.cuda.compiler import device_function
from fastrnn.cuda.fragments import ROWS
from fastrnn.cuda.reductions import team_sum
from fastrnn.kernels.stages import EPSILON
from fastrnn.simd import array_pointer, primitive

MOST_SUMS = 4  # of a sequence in an exchange


class Statistics(NamedTuple):
    """How blocks exchange sums over the units of a row."""

    sums: object  # (2 · groups · sequences of a group · blocks · `MOST_SUMS`,), of pre-activations, and of a state
    rows: object  # (B, S · H), gradients of the standardized values of a step; None in forward
    begin: int  # where the statistics begin in shared memory


class Step(NamedTuple):
    """A block's part of a step."""

    row: int  # first packed row
    before: int  # first row of the states before it
    alive: int  # sequences of the group that run
    first: int  # sequence of the group
    first_unit: int  # of the block
    units: int  # of a block
    items: int  # pairs of a unit and a sequence that the block computes at a time
    place: int  # of the group in the exchange buffer


def shared_elements(tiling, sizes, threads):
    """Return where the statistics begin in shared memory, in elements, and where they end.

    Products' sums are before them, and later a number of each thread. A sequence has `MOST_SUMS` numbers for each unit
    of the block, and as many results.
    """
    begin = threads if tiling is None else tiling.warps * tiling.row_tiles * ROWS * tiling.stride
    return begin, begin + MOST_SUMS * (sizes.units + 1) * sizes.sequences


def _sent(array, place):
    """Return an element of an array that other blocks wrote."""
    return array[place]


@primitive(_sent)
def sent(typingctx, array, place):
    """Type and lower `_sent`: a load past the first-level cache."""
    number, letter = (ir.FloatType(), "f") if array.dtype == types.float32 else (ir.DoubleType(), "d")
    function = ir.FunctionType(number, [ir.IntType(64)])
    code = f"ld.global.cg.f{array.dtype.bitwidth} $0, [$1];"

    def lower(context, builder, sig, args):
        address = builder.ptrtoint(array_pointer(context, builder, array, *args), ir.IntType(64))
        return builder.call(ir.InlineAsm(function, code, f"={letter},l", side_effect=True), [address])

    return array.dtype(array, types.int64), lower


@device_function
def pair_place(statistics, k, unit, n, step, sizes):
    """Return where shared memory has the k-th number of a unit of the block and a sequence of the group."""
    return statistics.begin + (k * step.units + unit) * sizes.sequences + n


@device_function
def _result(statistics, k, n, step, sizes):
    """Return where shared memory has the k-th result of a sequence of the group."""
    return statistics.begin + (MOST_SUMS * step.units + k) * sizes.sequences + n


@device_function
def results(shared, statistics, k, n, step, sizes):
    """Return the k-th result of a sequence of the group and the next one."""
    return shared[_result(statistics, k, n, step, sizes)], shared[_result(statistics, k + 1, n, step, sizes)]


@device_function
def _of_block(stage, n, block, sizes):
    """Return the place of the numbers that a block sends for a sequence: first in stage 0 or 1."""
    group = stage * cuda.gridDim.y + cuda.blockIdx.y
    return ((group * sizes.sequences + n) * cuda.gridDim.x + block) * MOST_SUMS


@device_function
def _count_units(block, step, sizes):
    """Return how many units a block has."""
    return min(step.units, sizes.hidden - block * step.units)


@device_function
def _team(count):
    """Return how many neighbouring threads may work on each of so many sums, a power of two."""
    team = 1
    while 2 * team * count <= cuda.blockDim.x:
        team *= 2
    return team


@device_function
def send_moments(shared, statistics, stage, slots, step, sizes):
    """Send the mean and the sum of squared deviations of the block's values, `slots` of each unit, by sequence."""
    number, own = shared.dtype.type, _count_units(cuda.blockIdx.x, step, sizes)
    for n in range(cuda.threadIdx.x, step.alive, cuda.blockDim.x):
        added, spread = number(0), number(0)
        for unit in range(own):
            added += shared[pair_place(statistics, 0, unit, n, step, sizes)]
        mean = added / number(own)
        for unit in range(own):
            deviation = shared[pair_place(statistics, 0, unit, n, step, sizes)] - mean
            spread += shared[pair_place(statistics, 1, unit, n, step, sizes)] + number(slots) * deviation * deviation
        place = _of_block(stage, n, cuda.blockIdx.x, sizes)
        statistics.sums[place] = mean
        statistics.sums[place + 1] = spread


@device_function
def receive_moments(shared, statistics, stage, slots, step, sizes):
    """Combine what all blocks sent: results are the mean and 1 / standard deviation of each sequence."""
    number, sums = shared.dtype.type, statistics.sums
    count, team = number(slots * sizes.hidden), _team(sizes.sequences)
    member = cuda.threadIdx.x % team
    for first in range(0, step.alive, cuda.blockDim.x // team):
        n = first + cuda.threadIdx.x // team
        blocks = cuda.gridDim.x if n < step.alive else 0
        added, spread = number(0), number(0)
        for block in range(member, blocks, team):
            own = number(slots * _count_units(block, step, sizes))
            added += own * sent(sums, _of_block(stage, n, block, sizes))
        mean = team_sum(added, shared, team) / count
        for block in range(member, blocks, team):
            own, place = number(slots * _count_units(block, step, sizes)), _of_block(stage, n, block, sizes)
            deviation = sent(sums, place) - mean
            spread += sent(sums, place + 1) + own * deviation * deviation
        variance = team_sum(spread, shared, team) / count
        if member == 0 and n < step.alive:
            shared[_result(statistics, 0, n, step, sizes)] = mean
            shared[_result(statistics, 1, n, step, sizes)] = number(1) / math.sqrt(variance + number(EPSILON))
    cuda.syncthreads()


@device_function
def send_sums(shared, statistics, stage, numbers, step, sizes):
    """Send the sums of the block's numbers, `numbers` of each unit, by sequence."""
    own = _count_units(cuda.blockIdx.x, step, sizes)
    for i in range(cuda.threadIdx.x, numbers * step.alive, cuda.blockDim.x):
        k, n, added = i // step.alive, i % step.alive, shared.dtype.type(0)
        for unit in range(own):
            added += shared[pair_place(statistics, k, unit, n, step, sizes)]
        statistics.sums[_of_block(stage, n, cuda.blockIdx.x, sizes) + k] = added


@device_function
def receive_sums(shared, statistics, stage, numbers, slots, step, sizes):
    """Add up what all blocks sent: results are the means over `slots` values of all units."""
    number, team = shared.dtype.type, _team(numbers * sizes.sequences)
    count, member = number(slots * sizes.hidden), cuda.threadIdx.x % team
    for first in range(0, numbers * step.alive, cuda.blockDim.x // team):
        i = first + cuda.threadIdx.x // team
        k, n, added = i // step.alive, i % step.alive, number(0)
        for block in range(member, cuda.gridDim.x if k < numbers else 0, team):
            added += sent(statistics.sums, _of_block(stage, n, block, sizes) + k)
        mean = team_sum(added, shared, team) / count
        if member == 0 and k < numbers:
            shared[_result(statistics, k, n, step, sizes)] = mean
    cuda.syncthreads()
