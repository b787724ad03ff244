"""Look-up of embedding vectors, and means of them, with sparse gradients: only the rows that were used are touched.

Sums of vectors need no atomic operations. The ids are on the host: they are sorted there, and all vectors that go to
one row follow each other, a segment. A long segment, that of a frequent word, is cut into pieces, which are added up
side by side; a second pass adds the pieces in their order.
"""

import math

import numpy as np
from numba import cuda

from fastrnn.cuda.arrays import asarray, check_shape, empty, empty_like, fill, multiply_into, upload_lists
from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.rows import copy_rows

_PIECE = 64  # vectors of a piece, at least: a second pass costs more than a thread that adds up a few


def embedding_forward(out, weight, ids, factors=None):
    """Compute out[i] = weight[ids[i]], times factors[ids[i]] unless `factors` is None."""
    # out (N, D), weight (V, D), ids (N,) of the host, factors (V, 1)
    check_shape("out", out, (len(ids), weight.shape[1]))
    ids = asarray(np.asarray(ids, np.int32))
    if factors is None:
        copy_rows(out, weight, ids)
    else:
        _look_up.over_matrix(*out.shape, out, weight, ids, factors.line)


@kernel
def _look_up(out, weight, ids, factors):
    # out (N, D), weight (V, D), ids (N,), factors (V,)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for i in range(y, out.shape[0], height):
        source = ids[i]
        for j in range(x, out.shape[1], width):
            out[i, j] = weight[source, j] * factors[source]


def embedding_backward(dweight, dout, ids, padding_idx, factors=None):
    """Add dout[i], times factors[ids[i]] unless `factors` is None, to dweight[ids[i]].

    Rows of `padding_idx` are left out; -1 leaves none out.
    """
    # dweight (V, D), dout (N, D), ids (N,) of the host, factors (V, 1)
    ids, used = np.asarray(ids), None
    if padding_idx >= 0:
        used = np.flatnonzero(ids != padding_idx)
        ids = ids[used]
    order, rows, lengths = _sorted(ids)
    places = None if factors is None else ids[order]
    _add_segments(dweight, dout, order if used is None else used[order], rows, lengths, factors, places)


def bag_forward(out, weight, ids, factors, offsets):
    """Compute out[b] = mean of factors[b, k] · weight[ids[offsets[b] + k]] over the ids of bag b, 0 where it is empty.

    `factors` may be None, for ones.
    """
    # out (B, D), weight (V, D), ids (N,) and offsets (B + 1,) of the host, factors (B, ids of the largest bag)
    fill(out, 0)
    _, ids, places, shares = _bags(ids, factors, offsets, out.dtype)
    lengths = np.diff(offsets)
    _add_segments(out, weight, ids, np.arange(len(lengths)), lengths, factors, places)
    multiply_into(out, out, asarray(shares))


def bag_backward(dweight, dout, ids, factors, offsets):
    """Add the gradient of the vectors to dweight."""
    # dweight (V, D), dout (B, D), ids (N,) and offsets (B + 1,) of the host, factors as in `bag_forward`
    bags, ids, places, shares = _bags(ids, factors, offsets, dout.dtype)
    order, rows, lengths = _sorted(ids)
    places = None if places is None else places[order]
    scaled = empty_like(dout)
    multiply_into(scaled, dout, asarray(shares))
    _add_segments(dweight, scaled, bags[order], rows, lengths, factors, places)


def _bags(ids, factors, offsets, dtype):
    """Return the bag of each id, the ids in bags, their places among flat factors or None, and 1 / ids of each bag."""
    # offsets (B + 1,); returned: (n,) of n ids, and (B, 1)
    offsets = np.asarray(offsets)
    lengths = np.diff(offsets)
    bags = np.repeat(np.arange(len(lengths)), lengths)
    begin, end = offsets[0], offsets[-1]
    places = None if factors is None else bags * factors.shape[1] + np.arange(begin, end) - offsets[bags]
    return bags, np.asarray(ids)[begin:end], places, (1 / np.maximum(lengths, 1)).astype(dtype)[:, None]


def _sorted(ids):
    """Return the order that sorts ids and keeps equal ones in theirs, the distinct ids, and how often each occurs."""
    # ids (N,), not negative
    keys = np.asarray(ids, np.int64) << 32 | np.arange(len(ids))  # all different, so that the quickest sort will do
    keys.sort()
    values = keys >> 32
    begins = np.flatnonzero(np.diff(values, prepend=-1))
    return keys & 0xFFFFFFFF, values[begins], np.diff(begins, append=len(ids))


# ------------------------------------------------------------------------------------------------- sums of segments


def _add_segments(out, values, sources, rows, lengths, factors=None, places=None):
    """Add the sum of each segment of vectors to its row of `out`, in a fixed order.

    Segment k is the next lengths[k] of values[sources[i]], times factors[places[i]] unless `places` is None, and is
    added to out[rows[k]].
    """
    # out (m, D), values (n, D), sources, places (N,), rows, lengths (segments,): distinct rows; factors of any shape
    if not len(sources) or not out.size:
        return
    cut = _cut(np.asarray(rows), np.asarray(lengths))
    lists = [sources, *cut, *([] if places is None else [places])]
    sources, begins, targets, long_rows, long_begins, *places = upload_lists(*lists)
    factors, places = (factors.line, *places) if places else (None, None)
    columns, partial = out.shape[1], empty((int(cut[-1][-1]), out.shape[1]), out.dtype)
    _sum_pieces.over_matrix(targets.size, columns, out, partial, values, sources, begins, targets, factors, places)
    _add_partial.over_matrix(long_rows.size, columns, out, partial, long_rows, long_begins)


def _cut(rows, lengths):
    """Cut segments into pieces.

    Parameters
    ----------
    rows, lengths : int array (segments,)

    Returns
    -------
    begins : int array (pieces + 1,)
        Where the vectors of each piece begin, and where the last ones end.
    targets : int array (pieces,)
        The row that a piece is added to; -1 - k for piece k of those of cut segments.
    long_rows, long_begins : int array (cut segments,), (cut segments + 1,)
        The rows of cut segments, and where their pieces begin among those of cut segments.
    """
    ends, longest = np.cumsum(lengths), int(lengths.max())
    if longest <= _PIECE and lengths.all():
        return np.append(0, ends), rows, rows[:0], np.zeros(1, int)
    size = max(_PIECE, math.isqrt(longest))
    counts = -(-lengths // size)  # pieces of each segment
    segments = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(segments)) - (np.cumsum(counts) - counts)[segments]
    begins = (ends - lengths)[segments] + within * size
    is_long = counts > 1
    of_long = is_long[segments]
    targets = np.where(of_long, -np.cumsum(of_long), rows[segments])
    return np.append(begins, ends[-1]), targets, rows[is_long], np.append(0, np.cumsum(counts[is_long]))


@kernel
def _sum_pieces(out, partial, values, sources, begins, targets, factors, places):
    # out (m, D), partial (pieces of cut segments, D), values (n, D), sources, places (N,), begins (pieces + 1,),
    # targets (pieces,), factors of one dimension; factors and places may be None
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for piece in range(y, targets.size, height):
        target = targets[piece]
        for j in range(x, out.shape[1], width):
            total = out.dtype.type(0)
            for i in range(begins[piece], begins[piece + 1]):
                if factors is None:
                    total += values[sources[i], j]
                else:
                    total += values[sources[i], j] * factors[places[i]]
            if target >= 0:
                out[target, j] += total
            else:
                partial[-1 - target, j] = total


@kernel
def _add_partial(out, partial, rows, begins):
    # out (m, D), partial (pieces, D), rows (cut segments,), begins (cut segments + 1,)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for k in range(y, rows.size, height):
        for j in range(x, out.shape[1], width):
            total = out.dtype.type(0)
            for piece in range(begins[k], begins[k + 1]):
                total += partial[piece, j]
            out[rows[k], j] += total
