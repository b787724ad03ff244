"""Copies of rows in another order: padded batches to packed ones and back, sequences turned round."""

from fastrnn._jit import kernel
from fastrnn.kernels.threads import enter, leave
from fastrnn.simd import lanes, load, load_first, store, store_first


@kernel
def gather_rows(board, party, out, source, rows, first, last):
    """Compute out[i] = source[rows[i]], as many columns as `out` has, for i from `first` to `last`.

    A negative row stands for zeros.
    """
    # out (n, columns), source (m, columns or more), rows (n,)
    enter(board, party)
    columns = out.shape[1]
    for i in range(first, last):
        target, place = i * columns, max(rows[i], 0) * source.shape[1]
        copied = columns if rows[i] >= 0 else 0
        whole = copied - copied % lanes(out)
        for j in range(0, whole, lanes(out)):
            store(out, target + j, load(source, place + j))
        for j in range(whole, columns, lanes(out)):
            store_first(out, target + j, load_first(source, place + j, max(0, copied - j)), columns - j)
    leave(board, party)
