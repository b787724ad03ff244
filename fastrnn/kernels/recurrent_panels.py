"""The panels of the weights of a recurrent layer, which the threads of a pass pack together for its products."""

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.gemm import PANEL_VECTORS, Strides, pack, pack_vector, packed_size
from fastrnn.kernels.threads import own_share
from fastrnn.simd import lanes, load_first, store


@kernel
def pack_gates(ids, panels, weight, blocks, columns, padded, begin, end, board, thread):
    """Pack Wᵀ, unless there are `ids`: then its products are in a table.

    Each thread packs whole panels if all threads use all panels, and otherwise its own units.
    """
    # panels (D · columns,), weight (gates · hidden, D), blocks (·, 3) as in `Blocks`
    if ids is None:
        depth, units, slots = weight.shape[1], end - begin, columns.count // padded
        first, last = begin, end
        if units == padded:
            slots = 1
            first, last = own_share(columns.count, PANEL_VECTORS * lanes(panels), board, thread)
        for slot in range(slots):
            place = first * slots + slot * units if units < padded else first
            _pack_blocks(panels, place * depth, weight, blocks, columns.begin + slot * padded + first, last - first)


@kernel(inline="always")
def _pack_blocks(panels, place, weight, blocks, begin, columns):
    """Pack Wᵀ: the columns of `gates` from `begin` on."""
    width, depth = lanes(panels), weight.shape[1]
    for first in range(0, columns, PANEL_VECTORS * width):
        stride = min(columns - first, PANEL_VECTORS * width)
        for j in range(0, stride, width):
            for block in range(len(blocks)):
                row, rows, column = blocks[block]
                offset = begin + first + j - column
                if 0 <= offset < rows:  # a block ends with a vector, which may be filled in part
                    pack_vector(panels, place + j, stride, weight, Strides((row + offset) * depth, 1, depth), depth,
                                min(width, rows - offset))  # fmt: skip
        place += stride * depth


@kernel
def pack_weights(panels, weight, blocks, columns, padded):
    """Pack Wᵀ for many passes."""
    # panels (D · columns,), weight (gates · hidden, D), blocks (·, 3) as in `Blocks`
    pack_gates(None, panels, weight, blocks, columns, padded, 0, padded, np.zeros((2, 1), np.int64), 0)


@kernel
def pack_columns(panels, weight, blocks, gate_columns, own, padded, begin, end, board, thread):
    """Pack W for the product with the gradients: whole panels by each thread, or the columns of its own units."""
    # panels (gate columns · columns,), weight (gates · hidden, columns), blocks (·, 3) as in `Blocks`
    columns, width = weight.shape[1], lanes(panels)
    first, last = begin, begin + own
    if end - begin == padded:
        first, last = own_share(columns, PANEL_VECTORS * width, board, thread)
    for start in range(first, last, PANEL_VECTORS * width):
        used = min(last - start, PANEL_VECTORS * width)
        stride = (used + width - 1) // width * width
        for block in range(len(blocks)):
            row, rows, column = blocks[block]
            place = start * gate_columns.count + (column - gate_columns.begin) * stride
            for k in range((rows + width - 1) // width * width):  # zeros for the units beyond `hidden`
                for j in range(0, used, width):
                    values = load_first(weight, (row + k) * columns + start + j, used - j if k < rows else 0)
                    store(panels, place + k * stride + j, values)


def packed(room, name, weight, transposed):
    """Return a weight (or its transpose) packed for products."""
    rows, columns = weight.shape
    depth, width = (columns, rows) if transposed else (rows, columns)
    panels = room.take(f"{name} packed", packed_size(depth, width, weight.dtype))
    pack(panels, weight, Strides(0, 1, columns) if transposed else Strides(0, columns, 1), depth, width)
    return panels
