"""The penalized negative log-likelihood of a linear-chain conditional random field, and its gradient; compiled.

An evaluation is a sequence of steps. Each cuts its work into pieces that do not depend on the number of threads, and
adds the pieces' sums in their order: any number of threads gives the same bits.

1. Parameters become weights: rows of wide columns, numbers of single pairs (`fastrnn.tagging.sparse.design`).
2. For each piece of the sequences: emissions, and from these marginals (`fastrnn.tagging.sparse.chains`).
3. Each column sums what its elements have too much of each label: the marginal, less 1 for the true label.
"""

import itertools

import numpy as np

from fastrnn._jit import kernel
from fastrnn._memory import aligned
from fastrnn.kernels.threads import effective_n_jobs, run, split
from fastrnn.simd import lanes, load, store
from fastrnn.tagging.sparse.chains import TransitionFactors, blank_emissions, padded, sequence_marginals

_N_PIECES = 64  # of the sequences, at most
_MOST_EXPECTED = 1 << 22  # expected transitions of all pieces: with many labels, there are fewer pieces
_FEW_ELEMENTS = 1 << 9  # elements whose evaluation does not pay for a second thread


class Objective:
    """The function that a fit minimizes, without the penalty `c1`.

    Parameters
    ----------
    design : Design
    offsets : int64 array (n + 1,)
        The first element of each sequence.
    tags : int32 array (N,)
    weights : float64 array (n,)
        The weight of each sequence.
    c2 : float
    n_jobs : int or None
    """

    def __init__(self, design, offsets, tags, weights, c2, n_jobs=None):
        self.design, self.offsets, self.tags, self.weights = design, offsets, tags, weights
        n_labels, width = design.n_labels, padded(design.n_labels)
        self.n_jobs = min(effective_n_jobs(n_jobs), 1 + design.n_elements // _FEW_ELEMENTS)
        first_single = design.starts[design.n_wide]
        self._blank = blank_emissions(n_labels)
        self._rows = aligned_zeros(design.n_wide, width)
        self._pair_weights = np.empty(design.n_column_parameters - first_single)
        self._penalty = c2 * design.scales * design.units  # of the square of each parameter
        self._pair_labels = design.labels[first_single:]
        self._entry_labels = self._pair_labels[design.single_rows.places]
        self._excess = aligned_zeros(design.n_elements, width)
        self._sums = aligned_zeros(design.n_wide, width)
        self._observed = _count_transitions(tags, offsets, weights, n_labels)

        n_pieces = min(_N_PIECES, max(8, _MOST_EXPECTED // (2 * n_labels * width)))
        cuts = np.searchsorted(offsets, np.linspace(0, design.n_elements, n_pieces + 1)[1:-1])
        self._pieces = np.unique([0, *cuts, len(offsets) - 1])
        n_pieces, longest = len(self._pieces) - 1, int(np.diff(offsets).max(initial=0))
        self._losses = np.empty(n_pieces)
        self._expected = np.empty((n_pieces, 2, n_labels, width))
        self._rooms = [(aligned_zeros(2 * longest + 1, width), np.empty(longest)) for _ in range(self.n_jobs)]
        self._ranges = {
            "pieces": split(n_pieces, self.n_jobs),
            "columns": split(design.n_wide, self.n_jobs),
            "entries": _equal_ranges(_entry_starts(design), self.n_jobs),
            "pairs": _equal_ranges(design.single_columns.starts, self.n_jobs),
        }

    def __call__(self, parameters, gradient):
        """Write the gradient (P,) at some parameters (P,); return the value."""
        design, n = self.design, self.design.n_column_parameters
        first_single = design.starts[design.n_wide]
        transitions = (parameters[n:] * design.scales[n:]).reshape(design.n_labels, design.n_labels)
        factors = TransitionFactors(transitions)
        np.multiply(parameters[first_single:n], design.scales[first_single:n], out=self._pair_weights)
        columns = design.starts, design.labels, design.scales
        self._run("columns", _spread, self._rows, parameters, *columns)
        self._run_pieces(factors)
        self._run("entries", _sum_columns, gradient, self._sums, self._excess, design.wide_blocks, *columns)
        self._run("pairs", _sum_pairs, gradient, self._excess, design.single_columns, first_single, *columns[1:])
        products, direct = self._expected[..., : design.n_labels].sum(axis=0)
        expected = products * factors.forward[:, : design.n_labels] + direct
        gradient[n:] = design.scales[n:] * (expected - self._observed).reshape(-1)
        penalty = self._penalty * parameters
        likelihood = np.sum(self._observed * transitions) - self._losses.sum()
        value = float(np.sum(penalty * parameters) - likelihood)
        penalty *= 2
        gradient += penalty
        return value

    def _run(self, ranges, function, *arguments):
        run(function, [(*arguments, begin, end) for begin, end in self._ranges[ranges]])

    def _run_pieces(self, factors):
        design = self.design
        arguments = (
            self._losses, self._expected, self._excess, self._blank, self._rows, design.wide_rows, self._pair_weights,
            self._entry_labels, design.single_rows, self.offsets, self.tags, self.weights, factors.forward,
            factors.backward, factors.shift, factors.scores, factors.is_scaled, self._pieces,
        )  # fmt: skip
        calls = zip(self._ranges["pieces"], self._rooms, strict=False)
        run(_evaluate_pieces, [(*arguments, *room, *piece_range) for piece_range, room in calls])


def aligned_zeros(n_rows, width):
    """Return zeros, float64 (n_rows, width), that begin a cache line."""
    array = aligned(n_rows * width, np.float64).reshape(n_rows, width)
    array.fill(0)
    return array


def _count_transitions(tags, offsets, weights, n_labels):
    """Return how often each label follows each other one, float64 (K, K)."""
    is_inner = np.ones(len(tags), bool)
    is_inner[offsets[:-1][np.diff(offsets) > 0]] = False
    to = np.flatnonzero(is_inner)
    counts = np.bincount(
        tags[to - 1] * np.int64(n_labels) + tags[to], np.repeat(weights, np.diff(offsets))[to], n_labels**2
    )
    return counts.reshape(n_labels, n_labels)


def _entry_starts(design):
    """Return where the entries of each wide column begin, int64 (n_wide + 1,)."""
    counts = np.bincount(design.wide_blocks.columns, np.diff(design.wide_blocks.segments.starts), design.n_wide)
    return np.concatenate([[0], np.cumsum(counts.astype(np.int64))])


def _equal_ranges(starts, parts):
    """Cut the rows of an incidence into ranges of about equally many entries."""
    cuts = np.searchsorted(starts, np.linspace(0, starts[-1], parts + 1)[1:-1])
    return list(itertools.pairwise([0, *cuts.tolist(), len(starts) - 1]))


@kernel
def _spread(rows, parameters, starts, labels, scales, begin, end):
    """Write the weights of some wide columns to their rows."""
    for column in range(begin, end):
        for p in range(starts[column], starts[column + 1]):
            rows[column, labels[p]] = parameters[p] * scales[p]


@kernel(cache=False)
def add_rows(emissions, element, rows, incidence_starts, places, values):
    """Add the rows of an element's wide columns to its emissions."""
    width = emissions.shape[1]
    first, last = incidence_starts[element], incidence_starts[element + 1]
    for b in range(0, width, lanes(emissions)):
        total = load(emissions, element * width + b)
        if len(values):
            for entry in range(first, last):
                total = total + values[entry] * load(rows, places[entry] * width + b)
        else:
            for entry in range(first, last):
                total = total + load(rows, places[entry] * width + b)
        store(emissions, element * width + b, total)


@kernel
def _evaluate_pieces(
    losses,  # float64 (n_pieces,): output, log Z less the emissions of the true labels
    expected,  # float64 (n_pieces, 2, K, width): output, see `sequence_marginals`
    excess,  # float64 (N, width): output, marginals less 1 for the true label, times the sequence's weight
    base,  # float64 (width,): emissions of an element without attributes
    rows,  # float64 (n_wide, width)
    wide,  # Incidence: elements × wide columns
    pair_weights,  # float64 (n_pairs,)
    entry_labels,  # int32: the label of each entry of `single`
    single,  # Incidence: elements × pairs
    offsets,  # int64 (n + 1,)
    tags,  # int32 (N,)
    weights,  # float64 (n,)
    forward,  # float64 (K, width): see `TransitionFactors`
    backward,
    shift,
    scores,
    is_scaled,
    pieces,  # int64 (n_pieces + 1,): the first sequence of each piece
    variables,  # workspaces of this thread
    scales,
    begin,  # pieces begin:end
    end,
):
    """Compute losses and marginals of some pieces of the sequences."""
    n_labels = len(forward)
    wide_starts, wide_places, wide_values = wide.starts, wide.places, wide.values
    starts, places, values = single.starts, single.places, single.values
    for piece in range(begin, end):
        expected[piece] = 0.0
        losses[piece] = 0.0
        for i in range(pieces[piece], pieces[piece + 1]):
            weight, gold = weights[i], 0.0
            if offsets[i] == offsets[i + 1]:
                continue
            for t in range(offsets[i], offsets[i + 1]):
                excess[t] = base
                add_rows(excess, t, rows, wide_starts, wide_places, wide_values)
                for entry in range(starts[t], starts[t + 1]):
                    value = values[entry] if len(values) else 1.0
                    excess[t, entry_labels[entry]] += value * pair_weights[places[entry]]
                gold += excess[t, tags[t]]
            total = sequence_marginals(excess, offsets[i], offsets[i + 1], n_labels, forward, backward, shift, scores,
                                       is_scaled, variables, scales, expected[piece], weight, True)  # fmt: skip
            losses[piece] += weight * (total - gold)
            for t in range(offsets[i], offsets[i + 1]):
                excess[t, tags[t]] -= weight


@kernel
def _sum_columns(
    gradient,  # float64 (P,): output
    sums,  # float64 (n_wide, width): workspace
    excess,  # float64 (N, width)
    blocks,  # Blocks
    starts,  # parameters of each column, see `Design`
    labels,
    scales,
    begin,  # columns begin:end
    end,
):
    """Write the gradient of some wide columns: the sums of the excess of their elements."""
    width = excess.shape[1]
    block_starts, columns = blocks.starts, blocks.columns
    entries, places, values = blocks.segments.starts, blocks.segments.places, blocks.segments.values
    sums[begin:end] = 0.0
    for block in range(len(block_starts) - 1):
        first, last = block_starts[block], block_starts[block + 1]
        first += np.searchsorted(columns[first:last], begin)
        for segment in range(first, last):
            column = columns[segment]
            if column >= end:
                break
            for b in range(0, width, lanes(excess)):
                total = load(sums, column * width + b)
                if len(values):
                    for entry in range(entries[segment], entries[segment + 1]):
                        total = total + values[entry] * load(excess, places[entry] * width + b)
                else:
                    for entry in range(entries[segment], entries[segment + 1]):
                        total = total + load(excess, places[entry] * width + b)
                store(sums, column * width + b, total)
    for column in range(begin, end):
        for p in range(starts[column], starts[column + 1]):
            gradient[p] = scales[p] * sums[column, labels[p]]


@kernel
def _sum_pairs(gradient, excess, pairs, first_pair, labels, scales, begin, end):
    """Write the gradient of some single pairs: sums of the excess of their elements."""
    starts, places, values = pairs.starts, pairs.places, pairs.values
    for pair in range(begin, end):
        p = first_pair + pair
        label, total = labels[p], 0.0
        for entry in range(starts[pair], starts[pair + 1]):
            value = values[entry] if len(values) else 1.0
            total += value * excess[places[entry], label]
        gradient[p] = scales[p] * total
