"""The pieces of attention for one query: scores of keys, their softmax, and sums of rows; see `kernels.attention`.

The additive score takes one division for four vectors, and no exponential: tanh(q + k) = 1 − 2 / (1 + e^2q · e^2k),
where the powers of a key are computed once for all queries. The 1 adds the same to all scores, so that it is left out.
Where a key or a query is too large for that, and where a source has one query, the exponential of the sum is computed
instead.
"""

import math

import numpy as np

from fastrnn._jit import kernel
from fastrnn.kernels.maximum import maximum
from fastrnn.simd import (
    exp,
    lanes,
    lanes_of,
    load,
    load_first,
    max_lanes,
    sigmoids,
    store,
    store_first,
    sum_lanes,
    zero,
)

GROUP = 4  # vectors that share a division, which costs as much as ten products
# (largest key and query, largest 1 + e^2(q + k)): products of two powers, and of four denominators, are finite.
_FLOAT32_BOUNDS, _FLOAT64_BOUNDS = (20.0, 1e9), (150.0, 1e18)


def padded_keys(size, dtype):
    """Return the length of a key, padded to whole groups of vectors, in the arrays of the additive score."""
    group = GROUP * lanes_of(np.empty(0, dtype))
    return -(-size // group) * group


# --------------------------------------------------------------------------------------------------- additive score


@kernel(cache=False)
def _bounds(array):
    """Return the bounds for an array's type."""
    return _FLOAT32_BOUNDS if array.itemsize == 4 else _FLOAT64_BOUNDS


@kernel
def prepare_keys(powers, keys, begin, end):
    """Compute e^(2·key) of the rows from `begin` to `end`; return the largest absolute element of these keys."""
    # powers (R, padded size), keys (R, A)
    size, padded = keys.shape[1], powers.shape[1]
    largest = zero(load(powers, 0))
    for row in range(begin, end):
        for j in range(0, padded, lanes(powers)):
            key = load_first(keys, row * size + j, size - j)
            largest = maximum(maximum(key, -key), largest)
            store(powers, row * padded + j, exp(key + key))
    return max_lanes(largest)


@kernel(cache=False)
def prepare_query(row, queries, query_at, size, score, reach):
    """Write −e^(2·query) to `row`, or −2·query where powers would be too large; return whether it is the first."""
    if score is None:
        return False
    largest, bounds = zero(load(row, 0)), _bounds(row)
    for j in range(0, len(score), lanes(row)):
        query = load_first(queries, query_at + j, size - j)
        largest = maximum(maximum(query, -query), largest)
        store(row, j, query * -2)
    near = reach <= bounds[0] and max_lanes(largest) <= bounds[0]
    if near:
        for j in range(0, len(score), lanes(row)):
            store(row, j, -exp(-load(row, j)))
    return near


@kernel(cache=False)
def _fractions(row, j, keys, key_at, left, powers, power_at, near, lowest):
    """Return a group of vectors of (tanh(query + key) − 1) / 2 = −1 / (1 + e^(2·(query + key)))."""
    width = lanes(row)
    if near:
        a = maximum(lowest, load(row, j) * load(powers, power_at) - 1)
        b = maximum(lowest, load(row, j + width) * load(powers, power_at + width) - 1)
        c = maximum(lowest, load(row, j + 2 * width) * load(powers, power_at + 2 * width) - 1)
        d = maximum(lowest, load(row, j + 3 * width) * load(powers, power_at + 3 * width) - 1)
        ab, cd = a * b, c * d
        inverse = 1 / (ab * cd)
        of_ab, of_cd = inverse * cd, inverse * ab
        return of_ab * b, of_ab * a, of_cd * d, of_cd * c
    a, b = load_first(keys, key_at, left), load_first(keys, key_at + width, left - width)
    key_at, left = key_at + 2 * width, left - 2 * width
    c, d = load_first(keys, key_at, left), load_first(keys, key_at + width, left - width)
    a, b = sigmoids((load(row, j) - (a + a), load(row, j + width) - (b + b)))
    c, d = sigmoids((load(row, j + 2 * width) - (c + c), load(row, j + 3 * width) - (d + d)))
    return -a, -b, -c, -d


@kernel(cache=False)
def additive_scores(row, at, keys, powers, score, begin, end, near):
    """Write vᵀ·tanh(query + key) − Σ v, for the keys from `begin` to `end`, to `row` from the element `at` on."""
    size, padded, width = keys.shape[1], len(score), lanes(row)
    lowest = zero(load(row, 0)) - _bounds(row)[1]
    for s in range(begin, end):
        total, other = zero(lowest), zero(lowest)
        for j in range(0, padded, GROUP * width):
            a, b, c, d = _fractions(row, j, keys, s * size + j, size - j, powers, s * padded + j, near, lowest)
            total += load(score, j) * a
            other += load(score, j + width) * b
            total += load(score, j + 2 * width) * c
            other += load(score, j + 3 * width) * d
        row[at + s - begin] = 2 * sum_lanes(total + other)


@kernel(cache=False)
def additive_scores_backward(d_queries, query_at, d_keys, d_score, score_at, row, at, keys, powers, score, begin, end,
                              near):  # fmt: skip
    """Propagate the gradients of the scores, in `row` from the element `at` on, to the query, the keys and v."""
    size, padded, width = keys.shape[1], len(score), lanes(row)
    lowest = zero(load(row, 0)) - _bounds(row)[1]
    for j in range(0, padded, GROUP * width):
        va, vb = load(score, j), load(score, j + width)
        vc, vd = load(score, j + 2 * width), load(score, j + 3 * width)
        qa, qb, qc, qd = zero(lowest), zero(lowest), zero(lowest), zero(lowest)
        sa, sb, sc, sd = zero(lowest), zero(lowest), zero(lowest), zero(lowest)
        for s in range(begin, end):
            key_at, left = s * size + j, size - j
            a, b, c, d = _fractions(row, j, keys, key_at, left, powers, s * padded + j, near, lowest)
            slope = zero(lowest) + row[at + s - begin]
            sa, sb, sc, sd = sa + slope * a, sb + slope * b, sc + slope * c, sd + slope * d
            slope = slope * -4  # of tanh: −4·a·(1 + a)
            a, b = (a + a * a) * (slope * va), (b + b * b) * (slope * vb)
            c, d = (c + c * c) * (slope * vc), (d + d * d) * (slope * vd)
            qa, qb, qc, qd = qa + a, qb + b, qc + c, qd + d
            _add_group(d_keys, key_at, left, a, b, c, d)
        _store_group(d_queries, query_at + j, size - j, qa, qb, qc, qd)
        # The gradients of a softmax's scores add up to 0, and so does the part of the 1 in tanh = 1 + 2·a.
        _add_group(d_score, score_at + j, padded - j, sa + sa, sb + sb, sc + sc, sd + sd)


@kernel(cache=False)
def _store_group(array, at, left, a, b, c, d):
    """Write a group of vectors, at most `left` elements."""
    width = lanes(array)
    store_first(array, at, a, left)
    store_first(array, at + width, b, left - width)
    store_first(array, at + 2 * width, c, left - 2 * width)
    store_first(array, at + 3 * width, d, left - 3 * width)


@kernel(cache=False)
def _add_group(array, at, left, a, b, c, d):
    """Add a group of vectors, at most `left` elements."""
    width = lanes(array)
    if left >= GROUP * width:
        store(array, at, load(array, at) + a)
        store(array, at + width, load(array, at + width) + b)
        store(array, at + 2 * width, load(array, at + 2 * width) + c)
        store(array, at + 3 * width, load(array, at + 3 * width) + d)
    else:
        second, third, fourth = at + width, at + 2 * width, at + 3 * width
        a, b = load_first(array, at, left) + a, load_first(array, second, left - width) + b
        c, d = load_first(array, third, left - 2 * width) + c, load_first(array, fourth, left - 3 * width) + d
        _store_group(array, at, left, a, b, c, d)


# ------------------------------------------------------------------------------------------- rows of keys and values


@kernel(cache=False)
def products(row, at, x, x_at, rows, begin, end):
    """Write the dot products of x with the rows from `begin` to `end` of a matrix to `row` from `at` on."""
    size, width = rows.shape[1], lanes(row)
    whole = size // width * width
    for s in range(begin, end, GROUP):  # rows at a time, which share the loads of x; the last ones twice if need be
        first = max(min(s, end - GROUP), begin)
        one, two, three = min(1, end - 1 - first), min(2, end - 1 - first), min(3, end - 1 - first)
        a, b, c, d = first * size, (first + one) * size, (first + two) * size, (first + three) * size
        left = size - whole
        tail = load_first(x, x_at + whole, left)
        sum_a, sum_b = tail * load_first(rows, a + whole, left), tail * load_first(rows, b + whole, left)
        sum_c, sum_d = tail * load_first(rows, c + whole, left), tail * load_first(rows, d + whole, left)
        for j in range(0, whole, width):
            part = load(x, x_at + j)
            sum_a += part * load(rows, a + j)
            sum_b += part * load(rows, b + j)
            sum_c += part * load(rows, c + j)
            sum_d += part * load(rows, d + j)
        place = at + first - begin
        row[place], row[place + one] = sum_lanes(sum_a), sum_lanes(sum_b)
        row[place + two], row[place + three] = sum_lanes(sum_c), sum_lanes(sum_d)


@kernel(cache=False)
def weighted_sum(out, out_at, row, at, rows, begin, end):
    """Write the sum of the rows from `begin` to `end` of a matrix, with the factors in `row` from `at` on, to `out`."""
    for j in range(0, rows.shape[1], GROUP * lanes(row)):
        a, b, c, d = _group_sum(row, at, rows, begin, end, j)
        _store_group(out, out_at + j, rows.shape[1] - j, a, b, c, d)


@kernel(cache=False)
def add_weighted_sum(out, out_at, row, at, rows, begin, end):
    """Add the sum that `weighted_sum` writes."""
    for j in range(0, rows.shape[1], GROUP * lanes(row)):
        a, b, c, d = _group_sum(row, at, rows, begin, end, j)
        _add_group(out, out_at + j, rows.shape[1] - j, a, b, c, d)


@kernel(cache=False)
def _group_sum(row, at, rows, begin, end, j):
    """Return a group of vectors of a weighted sum of rows, from the element `j` of each row on."""
    size, width = rows.shape[1], lanes(row)
    left, nothing = size - j, zero(load(row, 0))
    a, b, c, d = nothing, nothing, nothing, nothing
    for s in range(begin, end):
        factor, place = row[at + s - begin], s * size + j
        if left >= GROUP * width:
            a += factor * load(rows, place)
            b += factor * load(rows, place + width)
            c += factor * load(rows, place + 2 * width)
            d += factor * load(rows, place + 3 * width)
        else:
            a += factor * load_first(rows, place, left)
            b += factor * load_first(rows, place + width, left - width)
            c += factor * load_first(rows, place + 2 * width, left - 2 * width)
            d += factor * load_first(rows, place + 3 * width, left - 3 * width)
    return a, b, c, d


@kernel(cache=False)
def add_to_rows(sums, factors, at, x, x_at, begin, end):
    """Add x, times the factors from the element `at` on, to the rows from `begin` to `end` of a matrix."""
    size, width = sums.shape[1], lanes(sums)
    factors = factors.reshape(factors.size)
    for s in range(begin, end):
        for j in range(0, size, width):
            place, left = s * size + j, size - j
            product = factors[at + s - begin] * load_first(x, x_at + j, left)
            store_first(sums, place, load_first(sums, place, left) + product, left)


@kernel(cache=False)
def softmax(row, at, weights, weights_at, count):
    """Replace `count` scores in `row` by their softmax, with zeros up to a whole vector; write it to `weights` too."""
    width = lanes(row)
    padded = (count + width - 1) // width * width
    for s in range(count, padded):
        row[at + s] = -math.inf
    largest = load(row, at)
    for s in range(width, padded, width):
        largest = maximum(load(row, at + s), largest)
    high, total = max_lanes(largest), zero(largest)
    for s in range(0, padded, width):
        share = exp(load(row, at + s) - high)
        total += share
        store(row, at + s, share)
    factor = 1 / sum_lanes(total)
    for s in range(0, padded, width):
        share = load(row, at + s) * factor
        store(row, at + s, share)
        store_first(weights, weights_at + s, share, count - s)


@kernel(cache=False)
def softmax_backward(row, at, weights, weights_at, count):
    """Replace the gradients of `count` weights in `row` by those of the scores."""
    width = lanes(row)
    total = zero(load(row, 0))
    for s in range(0, count, width):  # lanes behind the last row have the weight 0
        total += load_first(weights, weights_at + s, count - s) * load_first(row, at + s, count - s)
    mean = sum_lanes(total)
    for s in range(0, count, width):
        slope = load_first(row, at + s, count - s) - mean
        store(row, at + s, load_first(weights, weights_at + s, count - s) * slope)
