"""Sums over all label sequences of linear chains: losses, marginals, best sequences; compiled.

Emissions are rows of `width` numbers: K labels, padded to whole vectors with -inf. Transitions [i, j] lead from label i
to label j.

Forward and backward variables are scaled at each element [1]_: they are products of exponentials, and the exponentials
of transitions are taken once for all sequences. All terms are positive, so no digits cancel. Where the scores of one
element, or those of transitions, differ by more than `MOST_RANGE`, a product might underflow, and the sequence is
computed in log space.

References
----------
.. [1] Lawrence R. Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition", 1989.
"""

import math

import numpy as np

from fastrnn._jit import kernel
from fastrnn.simd import exp, lanes, lanes_of, load, store, sum_lanes, zero

MOST_RANGE = 100.0  # a scaled variable is above e^-200 / K then, and its product with two exponentials above e^-400 / K


def padded(n_labels):
    """Return the number of labels, rounded up to whole vectors of float64."""
    size = lanes_of(np.empty(0))
    return -(-n_labels // size) * size


def blank_emissions(n_labels):
    """Return the row of emissions of an element without attributes, float64 (width,)."""
    row = np.full(padded(n_labels), -np.inf)
    row[:n_labels] = 0
    return row


class TransitionFactors:
    """The exponentials of transitions (K, K), for scaled variables.

    Attributes
    ----------
    scores : float64 array (K, K)
    shift : float
        The largest score, which is taken out of the exponentials.
    forward, backward : float64 array (K, width)
        The exponentials and their transpose, padded with zeros.
    is_scaled : bool
        Whether the scores differ by at most `MOST_RANGE`.
    """

    def __init__(self, scores):
        n_labels, width = len(scores), padded(len(scores))
        self.scores, self.shift = scores, float(scores.max())
        self.is_scaled = bool(self.shift - scores.min() <= MOST_RANGE)
        self.forward, self.backward = np.zeros((2, n_labels, width))
        self.forward[:, :n_labels] = np.exp(scores - self.shift)
        self.backward[:, :n_labels] = self.forward[:, :n_labels].T


@kernel(cache=False)
def sequence_marginals(emissions, begin, end, n_labels, forward, backward, shift, scores, is_scaled, variables, room,
                       expected, weight, counted):  # fmt: skip
    """Replace the emissions of one sequence by marginals times a weight; return log Z.

    If they are `counted`, the weighted expected counts of transitions are added to ``expected[0]``, where they still
    lack the factor `forward`, or, in log space, to ``expected[1]``.

    Parameters
    ----------
    emissions : float64 (N, width)
    begin, end : int
        The elements of the sequence, at least one.
    variables : float64 (2 · length + 1, width)
        Workspace.
    room : float64 (length)
        Workspace: scales.
    expected : float64 (2, K, width)
    """
    fits = is_scaled
    for t in range(begin, end):
        largest = smallest = emissions[t, 0]
        for k in range(1, n_labels):
            largest = max(largest, emissions[t, k])
            smallest = min(smallest, emissions[t, k])
        room[t - begin] = largest
        fits = fits and largest - smallest <= MOST_RANGE
    if not fits:
        return _log_marginals(emissions, begin, end, n_labels, scores, variables, expected[1], weight)
    total = _forward(emissions, begin, end, n_labels, forward, variables, room) + (end - begin - 1) * shift
    _backward(emissions, begin, end, n_labels, backward, variables, room, weight)
    if counted:
        _count_transitions(variables, end - begin, n_labels, expected[0], weight)
    return total


@kernel(cache=False)
def _forward(emissions, begin, end, n_labels, factors, variables, scales):
    """Compute scaled forward variables; emissions become exponentials, maxima inverse scales; return log Z."""
    width, step = emissions.shape[1], lanes(emissions)
    total, product = 0.0, 1.0
    for t in range(begin, end):
        row, here = t * width, (t - begin) * width
        largest, norm = scales[t - begin], 0.0
        for b in range(0, width, step):
            power = exp(load(emissions, row + b) - largest)
            store(emissions, row + b, power)
            if t > begin:
                before = zero(power)
                for i in range(n_labels):
                    before = before + variables[t - begin - 1, i] * load(factors, i * width + b)
                power = power * before
            store(variables, here + b, power)
            norm += sum_lanes(power)
        inverse = 1.0 / norm
        for b in range(0, width, step):
            store(variables, here + b, inverse * load(variables, here + b))
        scales[t - begin] = inverse
        total += largest
        product *= norm
        if not 1e-100 < product < 1e100:
            total += math.log(product)
            product = 1.0
    return total + math.log(product)


@kernel(cache=False)
def _backward(emissions, begin, end, n_labels, factors, variables, scales, weight):
    """Compute scaled backward variables; exponentials become marginals."""
    width, step = emissions.shape[1], lanes(emissions)
    last = (end - begin) * width  # the row after the forward variables is the backward variable
    for b in range(0, width, step):
        store(variables, last + b, zero(load(variables, b)) + 1.0)
    for t in range(end - 1, begin - 1, -1):
        row, here = t * width, (t - begin) * width
        after = last + width + here  # the backward variable times its exponentials, for each element
        for b in range(0, width, step):
            beta = load(variables, last + b)
            store(variables, after + b, scales[t - begin] * beta * load(emissions, row + b))
            store(emissions, row + b, weight * beta * load(variables, here + b))
        if t == begin:
            break
        for b in range(0, width, step):
            beta = zero(load(variables, last + b))
            for j in range(n_labels):
                beta = beta + variables[end - begin + 1 + t - begin, j] * load(factors, j * width + b)
            store(variables, last + b, beta)


@kernel(cache=False)
def _count_transitions(variables, n, n_labels, expected, weight):
    """Add products of forward variables and of those that `_backward` leaves after them, for neighbouring elements."""
    width = expected.shape[1]
    for b in range(0, width, lanes(expected)):
        for i in range(0, n_labels, 4):  # four at a time: their sums stay in registers
            j, k, m = min(i + 1, n_labels - 1), min(i + 2, n_labels - 1), min(i + 3, n_labels - 1)
            one = two = three = four = zero(load(expected, b))
            for t in range(1, n):
                after, before = load(variables, (n + 1 + t) * width + b), variables[t - 1]
                one = one + before[i] * after
                two = two + before[j] * after
                three = three + before[k] * after
                four = four + before[m] * after
            at = i * width + b
            store(expected, at, load(expected, at) + weight * one)
            if i + 1 < n_labels:
                store(expected, at + width, load(expected, at + width) + weight * two)
            if i + 2 < n_labels:
                store(expected, at + 2 * width, load(expected, at + 2 * width) + weight * three)
            if i + 3 < n_labels:
                store(expected, at + 3 * width, load(expected, at + 3 * width) + weight * four)


@kernel(cache=False)
def _log_sum(terms, n_labels):
    """Return the logarithm of the sum of the exponentials of the first K terms."""
    largest = terms[0]
    for k in range(1, n_labels):
        largest = max(largest, terms[k])
    if not math.isfinite(largest):
        return largest
    total = 0.0
    for k in range(n_labels):
        total += math.exp(terms[k] - largest)
    return largest + math.log(total)


@kernel(cache=False)
def _log_marginals(emissions, begin, end, n_labels, scores, variables, expected, weight):
    """Do as `sequence_marginals` in log space."""
    n = end - begin
    terms, after = variables[n], variables[n + 1]
    for j in range(n_labels):
        variables[0, j] = emissions[begin, j]
    for t in range(1, n):
        for j in range(n_labels):
            for i in range(n_labels):
                terms[i] = variables[t - 1, i] + scores[i, j]
            variables[t, j] = _log_sum(terms, n_labels) + emissions[begin + t, j]
    total = _log_sum(variables[n - 1], n_labels)
    for j in range(n_labels):
        after[j] = 0.0  # the backward variable
    for t in range(n - 1, -1, -1):
        for j in range(n_labels):
            beta = after[j]
            after[j] = beta + emissions[begin + t, j]
            emissions[begin + t, j] = weight * math.exp(variables[t, j] + beta - total)
        for j in range(n_labels, emissions.shape[1]):
            emissions[begin + t, j] = 0.0
        if t == 0:
            break
        for i in range(n_labels):
            for j in range(n_labels):
                terms[j] = scores[i, j] + after[j]
                expected[i, j] += weight * math.exp(variables[t - 1, i] + terms[j] - total)
            variables[t, i] = _log_sum(terms, n_labels)  # the forward variables of element t are done with
        for i in range(n_labels):
            after[i] = variables[t, i]
    return total


@kernel
def find_paths(paths, emissions, offsets, transitions, start, end, most, begin, stop):
    """Write the best labels of some sequences; of equally good ones, the first.

    Parameters
    ----------
    paths : int32 (N,)
        Output.
    emissions : float64 (N, width)
    offsets : int64 (n + 1,)
    transitions : float64 (K, K)
        -inf where a label may not follow another one.
    start, end : float64 (K,)
        Scores of the first and the last label.
    most : int
        Elements of the longest sequence.
    begin, stop : int
        Sequences begin:stop.
    """
    n_labels = len(start)
    before = np.empty((most, n_labels), np.int32)
    best, following = np.empty(n_labels), np.empty(n_labels)
    for i in range(begin, stop):
        first, last = offsets[i], offsets[i + 1] - 1
        if last < first:
            continue
        for j in range(n_labels):
            best[j] = start[j] + emissions[first, j]
        for t in range(first + 1, last + 1):
            for j in range(n_labels):
                chosen, score = 0, best[0] + transitions[0, j]
                for k in range(1, n_labels):
                    if best[k] + transitions[k, j] > score:
                        chosen, score = k, best[k] + transitions[k, j]
                before[t - first, j] = chosen
                following[j] = score + emissions[t, j]
            best, following = following, best
        chosen, score = 0, best[0] + end[0]
        for k in range(1, n_labels):
            if best[k] + end[k] > score:
                chosen, score = k, best[k] + end[k]
        for t in range(last, first - 1, -1):
            paths[t] = chosen
            if t > first:
                chosen = before[t - first, chosen]


@kernel
def find_marginals(emissions, offsets, forward, backward, shift, scores, is_scaled, most, begin, stop):
    """Replace the emissions (N, width) of some sequences by the marginal probabilities of labels."""
    n_labels, width = forward.shape
    variables, room, expected = np.empty((2 * most + 1, width)), np.empty(most), np.zeros((2, n_labels, width))
    for i in range(begin, stop):
        if offsets[i] < offsets[i + 1]:
            sequence_marginals(emissions, offsets[i], offsets[i + 1], n_labels, forward, backward, shift, scores,
                               is_scaled, variables, room, expected, 1.0, False)  # fmt: skip
