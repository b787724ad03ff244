"""Sums over the paths of one sequence in a conditional random field: scaled, and on logarithms; see `kernels.crf`.

Scaled sums: the factors exp(·) are computed once, each relative to the largest of its kind or step, and α and β are
divided by their sums at each step; a step is then a product with a matrix. Where a number becomes too small, or a score
is too far from the largest, the functions say so, and the same recursions on logarithms are to be used.
"""

import math

from fastrnn._jit import kernel
from fastrnn.kernels.maximum import maximum
from fastrnn.simd import exp, lanes, load, max_lanes, store, sum_lanes, zero

# The factors of a step differ by at most e^345 = 1e150, and no scaled sum but 0 is below 1e-140. What a step makes of
# them is then 0 or above 1e-290, a normal number: nothing that is allowed becomes 0.
_WIDEST, _SMALLEST = 345.0, 1e-140
_LARGEST = 1e280  # of the divisors' inverses, so that sums over the steps are finite


@kernel
def padded_rows(size):
    """Return the number of rows, padded to a multiple of 4, of matrices that products take four rows of at a time."""
    return (size + 3) // 4 * 4


@kernel
def compute_factors(factors, largest, scores):
    """Compute exp(score − largest of its kind) for start, end, transitions, and transitions transposed; padding is 0.

    `largest` gets the largest score of each kind, and the widest range of a kind's finite scores.
    """
    # factors (2 + 2·rows, width), largest (4,), scores (2 + K, width)
    size = len(scores) - 2
    transposed = 2 + padded_rows(size)
    largest[3] = 0.0
    factors[...] = 0.0
    for kind in range(3):
        first, last = (kind, kind + 1) if kind < 2 else (2, 2 + size)
        high, low = -math.inf, math.inf
        for i in range(first, last):
            for j in range(size):
                high = max(high, scores[i, j])
                if scores[i, j] > -math.inf:
                    low = min(low, scores[i, j])
        largest[kind] = high
        if high == -math.inf:
            largest[3] = math.inf  # scaled sums cannot be used
            continue
        largest[3] = max(largest[3], high - low)
        for i in range(first, last):
            for j in range(size):
                factors[i, j] = math.exp(scores[i, j] - high)
    for i in range(size):
        for j in range(size):
            factors[transposed + j, i] = factors[2 + i, j]


# ------------------------------------------------------------------------------------------------------ scaled sums


@kernel(cache=False)
def _chances(chances, emissions, t, b, width, lowest):
    """Compute exp(emission − largest of the step); return the largest, and whether all finite ones are near it.

    `lowest` is the smallest difference that is near, a negative number.
    """
    size, row = emissions.shape[2], t * width
    for j in range(size):
        chances[row + j] = emissions[t, b, j]
    for j in range(size, width):
        chances[row + j] = -math.inf
    largest = load(chances, row)
    for j in range(row, row + width, lanes(chances)):
        largest = maximum(load(chances, j), largest)
    high, far = max_lanes(largest), 0
    if not high > -math.inf:
        return high, False
    for j in range(row, row + size):
        far += (chances[j] - high < lowest) & (chances[j] > -math.inf)
    for j in range(row, row + width, lanes(chances)):
        store(chances, j, exp(load(chances, j) - high))
    return high, far == 0


@kernel(cache=False)
def _times(out, place, vector, row, matrix, first, count, width):
    """Compute out[place:] = Σ_i vector[row + i] · matrix[first + i], in `count` rows of the matrix, a multiple of 4."""
    for j in range(0, width, lanes(out)):
        a, b, c, d = zero(load(out, place)), zero(load(out, place)), zero(load(out, place)), zero(load(out, place))
        for i in range(0, count, 4):  # four sums: an addition takes as long as four can be begun
            line = (first + i) * width + j
            a += vector[row + i] * load(matrix, line)
            b += vector[row + i + 1] * load(matrix, line + width)
            c += vector[row + i + 2] * load(matrix, line + 2 * width)
            d += vector[row + i + 3] * load(matrix, line + 3 * width)
        store(out, place + j, (a + b) + (c + d))


@kernel(cache=False)
def _normalize(values, row, size, width):
    """Divide a row by its sum; return the sum, NaN if a number besides 0 is too small for scaled sums."""
    total = zero(load(values, row))
    for j in range(row, row + width, lanes(values)):
        total += load(values, j)
    divisor = sum_lanes(total)
    factor, tiny = 1 / divisor, 0
    for j in range(row, row + width, lanes(values)):
        store(values, j, load(values, j) * factor)
    for j in range(row, row + size):
        tiny += (values[j] < _SMALLEST) & (values[j] > 0)
    return divisor if divisor > 0 and tiny == 0 else math.nan


@kernel(cache=False)
def scaled_forward(alpha, chances, sums, emissions, b, factors, largest, length):
    """Compute α divided by its sum at each step, and these sums; return log Z, NaN where logarithms are needed."""
    size, width = emissions.shape[2], factors.shape[1]
    if not largest[3] <= _WIDEST:
        return math.nan
    log_z = largest[0] + largest[1] + (length - 1) * largest[2]
    for t in range(length):
        row = t * width
        high, is_near = _chances(chances, emissions, t, b, width, largest[3] - _WIDEST)
        if not is_near:
            return math.nan
        if t == 0:
            for j in range(0, width, lanes(alpha)):
                store(alpha, j, load(factors, j))
        else:
            _times(alpha, row, alpha, row - width, factors, 2, padded_rows(size), width)
        for j in range(row, row + width, lanes(alpha)):
            store(alpha, j, load(alpha, j) * load(chances, j))
        sums[t] = _normalize(alpha, row, size, width)
        log_z += high + math.log(sums[t])
    final = 0.0
    for j in range(size):
        final += alpha[(length - 1) * width + j] * factors[1, j]
    return log_z + math.log(final) if final > 0 else math.nan


@kernel(cache=False)
def scaled_backward(out, counts, alpha, chances, sums, rows, b, factors, weight, length):
    """Write the marginals of all tags, and add those of neighbours, of the first tags and of the last to `counts`.

    β is divided by its sum at each step. Returns False where logarithms are needed; nothing is added then.
    """
    size, width = out.shape[2], factors.shape[1]
    padded, last = padded_rows(size), (length - 1) * width
    for t in range(length - 1, -1, -1):  # of `rows`: β, exp(emissions) · β, marginals
        row = t * width
        if t == length - 1:
            for j in range(0, width, lanes(rows)):
                store(rows, j, load(factors, width + j))
        else:
            _times(rows, 0, rows, width, factors, 2 + padded, padded, width)
        if math.isnan(_normalize(rows, 0, size, width)):
            return False
        total = zero(load(rows, 0))
        for j in range(0, width, lanes(rows)):
            store(rows, 2 * width + j, load(alpha, row + j) * load(rows, j))
            store(rows, width + j, load(chances, row + j) * load(rows, j))
            total += load(rows, 2 * width + j)
        share = weight / sum_lanes(total)
        if not abs(share / sums[t]) < _LARGEST:
            return False
        for j in range(0, width, lanes(rows)):
            store(rows, 2 * width + j, load(rows, 2 * width + j) * share)
            store(chances, row + j, load(rows, width + j) * (share / sums[t]))
        if t == length - 1:  # no step follows that reads its α
            for j in range(0, width, lanes(rows)):
                store(alpha, row + j, load(rows, 2 * width + j))
        for j in range(size):
            out[t, b, j] = rows[2 * width + j]
    for j in range(size):
        counts[0, j] += rows[2 * width + j]
        counts[1, j] += alpha[last + j]
    _add_neighbours(counts, alpha, chances, factors, length, padded, width)
    return True


@kernel(cache=False)
def _add_neighbours(counts, alpha, chances, factors, length, padded, width):
    """Add the marginals of neighbours (i, j): factors[i, j] · Σ_t α_{t-1}[i] · chances_t[j]."""
    for i in range(0, padded, 4):
        for j in range(0, width, lanes(counts)):
            a, b = zero(load(counts, 0)), zero(load(counts, 0))
            c, d = zero(load(counts, 0)), zero(load(counts, 0))
            for t in range(1, length):
                before, chance = (t - 1) * width + i, load(chances, t * width + j)
                a += alpha[before] * chance
                b += alpha[before + 1] * chance
                c += alpha[before + 2] * chance
                d += alpha[before + 3] * chance
            place = (2 + i) * width + j
            _add_product(counts, place, a, factors)
            _add_product(counts, place + width, b, factors)
            _add_product(counts, place + 2 * width, c, factors)
            _add_product(counts, place + 3 * width, d, factors)


@kernel(cache=False)
def _add_product(counts, place, vector, factors):
    store(counts, place, load(counts, place) + vector * load(factors, place))


# ------------------------------------------------------------------------------------------------------- logarithms


@kernel(cache=False)
def _log_of_sum(values, first, last):
    """Return log Σ exp(values[first:last])."""
    high, total = -math.inf, 0.0
    for j in range(first, last):
        high = max(high, values[j])
        total += values[j]
    if high == -math.inf:
        return total  # minus infinity, or NaN where one is
    total = 0.0
    for j in range(first, last):
        total += math.exp(values[j] - high)
    return high + math.log(total)


@kernel(cache=False)
def log_forward(alpha, rows, emissions, b, scores, length):
    """Compute log α; return log Z."""
    size, width = emissions.shape[2], scores.shape[1]
    for t in range(length):
        for j in range(size):
            alpha[t * width + j] = emissions[t, b, j]
            if t == 0:
                alpha[j] += scores[0, j]
            else:
                for i in range(size):
                    rows[i] = alpha[(t - 1) * width + i] + scores[2 + i, j]
                alpha[t * width + j] += _log_of_sum(rows, 0, size)
    for i in range(size):
        rows[i] = alpha[(length - 1) * width + i] + scores[1, i]
    return _log_of_sum(rows, 0, size)


@kernel(cache=False)
def log_backward(out, counts, alpha, rows, emissions, b, scores, log_z, weight, length):
    """Write and add what `scaled_backward` does, from log α; nothing where no path is allowed."""
    size, width = emissions.shape[2], scores.shape[1]
    divisor = math.inf if log_z == -math.inf else log_z
    for t in range(length - 1, -1, -1):  # of `rows`: log β, emissions + log β of the next step, summands
        for i in range(size):
            rows[i] = scores[1, i]
            if t < length - 1:
                for j in range(size):
                    rows[2 * width + j] = scores[2 + i, j] + rows[width + j]
                    counts[2 + i, j] += weight * math.exp(alpha[t * width + i] + rows[2 * width + j] - divisor)
                rows[i] = _log_of_sum(rows, 2 * width, 2 * width + size)
        for i in range(size):
            marginal = weight * math.exp(alpha[t * width + i] + rows[i] - divisor)
            rows[width + i] = emissions[t, b, i] + rows[i]
            out[t, b, i] = marginal
            if t == 0:
                counts[0, i] += marginal
            if t == length - 1:
                counts[1, i] += marginal
