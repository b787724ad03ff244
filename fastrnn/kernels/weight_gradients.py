"""The gradients of the input's and the recurrent weights: single products over the rows of many steps."""

from typing import NamedTuple

from fastrnn._jit import kernel
from fastrnn.kernels.gemm import (
    PACK_COLUMNS,
    PACK_DEPTH,
    PANEL_VECTORS,
    Strides,
    pack,
    product_block,
    strided_product,
)
from fastrnn.kernels.threads import enter, leave, own_share
from fastrnn.simd import lanes, load, store


class Totals(NamedTuple):
    """Sums of the gradients of the weights; a total of length 0 is not computed."""

    input: object  # dW_ih (gates · hidden, D)
    recurrent: object  # dW_hh without the rows of the gated slots (gates · hidden, output)
    bias: object  # (slots · padded,)


@kernel
def weight_gradients(board, thread, totals, dx, gates, x, previous, weight, blocks, scratch):
    """Compute dW_ih += dzᵀ·x, dW_hh += dzᵀ·h, d_bias += the sum of dz over its rows, and dx = dz·W_ih.

    The threads cut each product's columns or rows, whichever are more.
    """
    # totals: `Totals`; dx (R, D), or (0, D) if it is not wanted; gates (R, width) with dz; x (R, D); previous (R,
    # padded) with h before each row; weight W_ih (gates · hidden, D); blocks: `recurrence.Blocks`; scratch (threads, ·)
    enter(board, thread)
    own_scratch, width, d_bias = scratch[thread], gates.shape[1], totals.bias
    _add_outer_product(totals.input, gates, blocks.input, x, own_scratch, board, thread)
    _add_outer_product(totals.recurrent, gates, blocks.recurrent, previous, own_scratch, board, thread)
    first, last = own_share(len(d_bias), lanes(gates), board, thread)
    for j in range(first, last, lanes(gates)):
        total = load(d_bias, j)
        for row in range(len(gates)):
            total = total + load(gates, row * width + j)
        store(d_bias, j, total)
    first, last = own_share(len(dx), 1, board, thread)
    dx[first:last] = 0
    depth = dx.shape[1]
    for block in range(len(blocks.input) if first < last else 0):
        row, rows, column = blocks.input[block]
        strided_product(dx, Strides(first * depth, depth, 1), gates, Strides(first * width + column, width, 1),
                        weight, Strides(row * depth, depth, 1), last - first, depth, rows, own_scratch)  # fmt: skip
    leave(board, thread)


@kernel
def _add_outer_product(total, gates, blocks, inputs, scratch, board, thread):
    """Compute total += dzᵀ·inputs: a thread's share of it."""
    # total (gates · hidden, N), gates (R, width), blocks (·, 3), inputs (R, N or more)
    rows, columns = total.shape
    width, line, depth = gates.shape[1], inputs.shape[1], len(gates)
    panels, edge = scratch[: PACK_DEPTH * PACK_COLUMNS], scratch[PACK_DEPTH * PACK_COLUMNS :]
    first_row, last_row, first_column, last_column = 0, rows, 0, columns
    if columns > rows:
        first_column, last_column = own_share(columns, PANEL_VECTORS * lanes(gates), board, thread)
    else:
        first_row, last_row = own_share(rows, 1, board, thread)
    for n in range(first_column, last_column, PACK_COLUMNS):
        block_columns = min(PACK_COLUMNS, last_column - n)
        for k in range(0, depth if first_row < last_row else 0, PACK_DEPTH):
            block_depth = min(PACK_DEPTH, depth - k)
            pack(panels, inputs, Strides(k * line + n, line, 1), block_depth, block_columns)
            for block in range(len(blocks)):
                row, count, column = blocks[block]
                begin, end = max(row, first_row), min(row + count, last_row)
                if begin < end:
                    product_block(total, Strides(begin * columns + n, columns, 1), gates,
                                  Strides(k * width + column + begin - row, 1, width), panels, edge, end - begin,
                                  block_depth, block_columns)  # fmt: skip
