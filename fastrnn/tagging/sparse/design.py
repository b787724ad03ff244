"""Attributes and labels of a training set, arranged for the passes of a fit.

Attributes that occur in the same elements with the same values are one *column*: they have the same gradient, and
therefore the same weight at any time. A column of m equal attributes has one parameter u for each label, which stands
for m weights r · u / √m: with r = 1, penalties and inner products of vectors would be those of m separate parameters.

The factor r falls with the number of entries that a parameter affects, m times those of its column. The loss is then
about equally curved along frequent and rare attributes, and L-BFGS, which begins with one curvature for all, takes
fewer iterations. The power is a measured one: full equality would be that of the first iteration, when all labels are
equally probable, and not that of the last.

There is a parameter for each pair of a column and a label that it occurs with. Columns with many labels are *wide*:
their weights become rows, one number for each label, which are added as vectors. The pairs of the other columns are
*single*: they are added one by one.
"""

import typing

import numpy as np

from fastrnn._jit import kernel
from fastrnn.simd import lanes_of
from fastrnn.tagging.sparse.chains import padded
from fastrnn.tagging.sparse.weights import Weights
from fastrnn.utils.ragged import offsets_of, slices

_MULTIPLIER, _SEED = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03
_POWER = -0.125  # of entries in the factor r
_BLOCK_BYTES = 1 << 20  # of the rows of a block of elements, which stay in the second-level cache


class Incidence(typing.NamedTuple):
    """A sparse matrix by its rows: row i has entries starts[i]:starts[i + 1]."""

    starts: np.ndarray  # int64 (n_rows + 1,)
    places: np.ndarray  # int32 (M,): columns
    values: np.ndarray  # float64 (M,), or (0,) where all are 1


class Blocks(typing.NamedTuple):
    """The entries of wide columns, block after block of neighbouring elements.

    The rows of a block's elements stay in the cache while all columns add what they need of them.
    """

    starts: np.ndarray  # int64 (n_blocks + 1,): the segments of each block
    columns: np.ndarray  # int32 (n_segments,): a segment has the entries of one column in one block; these ascend
    segments: Incidence  # segments × elements


class Design(typing.NamedTuple):
    """The structure of a fit.

    The parameters are those of wide columns, of single pairs, and of transitions, in this order.
    """

    n_elements: int
    n_labels: int
    column_of: np.ndarray  # int32 (A,): the column of each attribute, -1 for none
    scales: np.ndarray  # float64 (P,): the sum of the weights that a parameter of 1 stands for, r · √m
    units: np.ndarray  # float64 (P,): each of these weights, r / √m
    starts: np.ndarray  # int64 (C + 1,): the parameters of column c are starts[c]:starts[c + 1]
    labels: np.ndarray  # int32 (P,)
    n_wide: int  # the first columns are wide
    wide_rows: Incidence  # elements × wide columns
    wide_blocks: Blocks
    single_rows: Incidence  # elements × single pairs
    single_columns: Incidence  # single pairs × elements

    @property
    def n_column_parameters(self):
        """The number of parameters before those of transitions."""
        return len(self.labels)

    @property
    def n_parameters(self):
        """The number of parameters."""
        return len(self.scales)

    def weights(self, parameters):
        """Return the `Weights` that parameters (P,) stand for, without those that are 0."""
        n = self.n_column_parameters
        values, is_kept = parameters * self.units, parameters[:n] != 0
        ends = offsets_of(is_kept)[self.starts]
        has_weights = np.append(np.diff(ends) > 0, False)  # the last one stands for no column
        rows = np.where(has_weights, np.cumsum(has_weights) - 1, -1)
        return Weights(
            rows=rows[self.column_of].astype(np.int32),
            starts=np.concatenate([[0], ends[1:][has_weights[:-1]]]),
            labels=self.labels[is_kept],
            values=values[:n][is_kept],
            transitions=values[n:].reshape(self.n_labels, self.n_labels).copy(),
        )

    def parameters(self, weights, attributes, labels):
        """Return parameters that stand for weights of another design, as far as it has the same pairs.

        Parameters
        ----------
        weights : Weights
        attributes : int array (n_attributes of the weights,)
            The attributes here, -1 for none.
        labels : int array (n_labels of the weights,)
            The labels here, -1 for none.

        Returns
        -------
        float64 array (P,)
        """
        n, n_labels = self.n_column_parameters, self.n_labels
        parameters = np.zeros(self.n_parameters)
        attribute, label, values = weights.pairs()
        attribute, label = attributes[attribute], labels[label]
        column = np.where(attribute < 0, -1, self.column_of[attribute])
        own_keys = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts)) * n_labels + self.labels
        keys = column.astype(np.int64) * n_labels + label
        places = np.minimum(np.searchsorted(own_keys, keys), max(0, n - 1))
        found = (column >= 0) & (label >= 0)
        found[found] = own_keys[places[found]] == keys[found]
        np.add.at(parameters, places[found], values[found])
        i, j = np.nonzero((labels[:, None] >= 0) & (labels >= 0))
        parameters[n + labels[i] * n_labels + labels[j]] = weights.transitions[i, j]
        return parameters / self.scales


def make_design(sequences, n_attributes, tags, n_labels, min_count=1):
    """Arrange a training set.

    Parameters
    ----------
    sequences : SparseSequences
    n_attributes : int
    tags : int32 array (N,)
    n_labels : int
    min_count : int, default=1
        Pairs of an attribute and a label that occur together in fewer elements get no parameter.

    Returns
    -------
    Design
    """
    n_elements = len(tags)
    values = np.empty(0) if sequences.values is None else sequences.values
    rows = Incidence(sequences.element_offsets, sequences.attributes, values)
    columns = transposed(rows, n_attributes)
    representatives = np.empty(n_attributes, np.int32)
    digests = np.empty(n_attributes, np.uint64)
    with np.errstate(over="ignore"):  # Python would warn of what compiled code does not
        _digest_columns(columns, digests)
    order = np.argsort(digests, kind="stable").astype(np.int32)
    _find_equal_columns(columns, digests, order, representatives)
    counts = np.zeros(n_attributes, np.int32)  # labels of each column
    _count_labels(columns, representatives, tags, n_labels, min_count, counts)
    multiplicities = np.bincount(representatives, minlength=n_attributes)

    chosen = np.flatnonzero(counts)
    is_wide = counts[chosen] > padded(n_labels) // lanes_of(np.empty(0))
    order = np.lexsort((-np.diff(columns.starts)[chosen] * is_wide, ~is_wide))
    chosen = chosen[order]  # wide columns first, the longest before others
    lengths = np.diff(columns.starts)[chosen]
    n_wide = int(is_wide.sum())
    starts = offsets_of(counts[chosen])
    labels = np.empty(starts[-1], np.int32)
    _list_labels(columns, chosen, tags, n_labels, min_count, starts, labels)
    place = np.full(n_attributes, -1, np.int32)
    place[chosen] = np.arange(len(chosen), dtype=np.int32)
    factors, sizes = _scaling(lengths, multiplicities[chosen], counts[chosen], n_elements, n_labels)

    wide = _selected(columns, chosen[:n_wide])
    single = _single_pairs(columns, chosen[n_wide:], starts[n_wide:] - starts[n_wide])
    return Design(
        n_elements=n_elements,
        n_labels=n_labels,
        column_of=place[representatives],
        scales=factors * np.sqrt(sizes),
        units=factors / np.sqrt(sizes),
        starts=starts,
        labels=labels,
        n_wide=n_wide,
        wide_rows=transposed(wide, n_elements),
        wide_blocks=_blocks(wide, max(1, _BLOCK_BYTES // (8 * padded(n_labels)))),
        single_rows=transposed(single, n_elements),
        single_columns=single,
    )


def _scaling(lengths, multiplicities, counts, n_elements, n_labels):
    """Return the factors of parameters by their frequency, and how many parameters each one stands for, (P,) both."""
    sizes = np.append(np.repeat(multiplicities, counts), np.ones(n_labels**2))
    entries = np.append(np.repeat(lengths * multiplicities, counts), np.full(n_labels**2, n_elements / n_labels**2))
    return np.maximum(entries, 1) ** _POWER, sizes


def transposed(rows, n_columns):
    """Return the transpose of an incidence; the entries of a column ascend."""
    starts = offsets_of(np.bincount(rows.places, minlength=n_columns))
    columns = Incidence(starts, np.empty(len(rows.places), np.int32), np.empty(len(rows.values)))
    _transpose(rows, columns, starts[:-1].copy())
    return columns


@kernel
def _transpose(rows, columns, ends):
    starts, places, values = rows.starts, rows.places, rows.values
    new_places, new_values = columns.places, columns.values
    for row in range(len(starts) - 1):
        for entry in range(starts[row], starts[row + 1]):
            at = ends[places[entry]]
            ends[places[entry]] = at + 1
            new_places[at] = row
            if len(values):
                new_values[at] = values[entry]


@kernel
def _digest_columns(columns, digests):
    """Write a number for each column that is the same for equal columns, and hardly ever for others."""
    starts, places = columns.starts, columns.places
    bits = columns.values.view(np.uint64)
    for column in range(len(starts) - 1):
        digest = np.uint64(_SEED)
        for entry in range(starts[column], starts[column + 1]):
            digest = (digest ^ np.uint64(places[entry])) * np.uint64(_MULTIPLIER)
            digest ^= digest >> np.uint64(29)
            if len(bits):
                digest = (digest ^ bits[entry]) * np.uint64(_MULTIPLIER)
                digest ^= digest >> np.uint64(32)
        digests[column] = digest


@kernel
def _find_equal_columns(columns, digests, order, representatives):
    """Write the first column that is equal to each one; `order` sorts the digests."""
    first = 0
    for i in range(len(order)):
        column = order[i]
        if digests[column] != digests[order[first]]:
            first = i
        representatives[column] = column
        for j in range(first, i):
            other = order[j]
            if representatives[other] == other and _are_equal(columns, column, other):
                representatives[column] = other
                break


@kernel(cache=False)
def _are_equal(columns, one, other):
    starts, places, values = columns.starts, columns.places, columns.values
    n, shift = starts[one + 1] - starts[one], starts[other] - starts[one]
    if n != starts[other + 1] - starts[other]:
        return False
    for entry in range(starts[one], starts[one + 1]):
        if places[entry] != places[entry + shift] or (len(values) and values[entry] != values[entry + shift]):
            return False
    return True


@kernel(cache=False)
def _label_counts(columns, column, tags, counts):
    """Count the elements of each label in a column."""
    counts[:] = 0
    for entry in range(columns.starts[column], columns.starts[column + 1]):
        counts[tags[columns.places[entry]]] += 1


@kernel
def _count_labels(columns, representatives, tags, n_labels, min_count, counts):
    """Write the number of labels that each representative has a parameter for."""
    seen = np.empty(n_labels, np.int64)
    for column in range(len(representatives)):
        if representatives[column] == column:
            _label_counts(columns, column, tags, seen)
            for label in range(n_labels):
                counts[column] += seen[label] >= min_count


@kernel
def _list_labels(columns, chosen, tags, n_labels, min_count, starts, labels):
    seen = np.empty(n_labels, np.int64)
    for i in range(len(chosen)):
        _label_counts(columns, chosen[i], tags, seen)
        at = starts[i]
        for label in range(n_labels):
            if seen[label] >= min_count:
                labels[at] = label
                at += 1


def _selected(columns, chosen):
    """Return some columns of an incidence."""
    lengths = np.diff(columns.starts)[chosen]
    entries, starts = slices(columns.starts[chosen], lengths)
    return Incidence(starts, columns.places[entries], columns.values[entries] if len(columns.values) else np.empty(0))


def _single_pairs(columns, chosen, starts):
    """Return the incidence of pairs: each has the entries of its column."""
    return _selected(columns, np.repeat(chosen, np.diff(starts)))


def _blocks(columns, size):
    """Return the entries of columns in `Blocks` of `size` elements."""
    blocks = columns.places // size
    n_blocks = int(blocks.max(initial=-1)) + 1
    blocks = blocks.astype(np.min_scalar_type(n_blocks))  # small numbers are sorted faster
    order = np.argsort(blocks, kind="stable")
    blocks, column = blocks[order], np.repeat(np.arange(len(columns.starts) - 1), np.diff(columns.starts))[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (column[1:] != column[:-1]) | (blocks[1:] != blocks[:-1])
    first = np.flatnonzero(is_first)
    values = columns.values[order] if len(columns.values) else columns.values
    return Blocks(
        starts=np.searchsorted(blocks[first], np.arange(n_blocks + 1)),
        columns=column[first].astype(np.int32),
        segments=Incidence(np.append(first, len(order)), columns.places[order], values),
    )
