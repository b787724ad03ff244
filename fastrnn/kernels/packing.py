"""The packed order of a batch of sequences: longest first, one step after another, without padding."""

import functools
import itertools
from typing import NamedTuple

import numpy as np

from fastrnn._memory import empty
from fastrnn.kernels.rows import clear_rows, gather_rows, number_rows
from fastrnn.kernels.threads import run_kernel, split, worth
from fastrnn.utils.recurrent import Inputs

FLOPS_PER_ELEMENT = 64  # cost of copying an element, in floating-point operations


def gather(source, rows, n_jobs, columns=None, out=None):
    """Return rows of a matrix in another order.

    Parameters
    ----------
    source : ndarray (m, n)
    rows : ndarray (k,) of int
        The row for each place; -1 for zeros.
    n_jobs : int or None
    columns : int, default=None
        Number of columns that are taken; None takes all.
    out : ndarray (k, columns), default=None
        Output; None makes a new array.
    """
    if out is None:
        out = empty((len(rows), source.shape[1] if columns is None else columns), source.dtype)
    parts = split(len(rows), worth(n_jobs, FLOPS_PER_ELEMENT * out.size))
    run_kernel(gather_rows, [(out, source, rows, *part) for part in parts])
    return out


def take(x, rows, n_jobs):
    """Return packed `Inputs` in another order: their vectors, or their row numbers into a table."""
    if x.ids is None:
        return Inputs(gather(x.vectors, rows, n_jobs))
    return Inputs(x.vectors, x.ids[rows])


def make_packing(steps, batch, lengths=None, batch_first=False):
    """Return the `Packing` of a padded batch.

    Parameters
    ----------
    steps, batch : int
    lengths : ndarray (batch,) of int64 or None, default=None
        Steps of each sequence; None if all have `steps`.
    batch_first : bool, default=False

    Returns
    -------
    Packing

    Examples
    --------
    >>> packing = make_packing(3, 2, np.array([1, 3]))
    >>> packing.order, packing.lengths, packing.rows
    (array([1, 0]), array([3, 1]), array([1, 0, 3, 5], dtype=int32))
    """
    return _full_packing(steps, batch, batch_first) if lengths is None else Packing(steps, batch, lengths, batch_first)


class RowNumbers(NamedTuple):
    """Maps between the rows of a packed and of a padded batch; all arrays are int32."""

    rows: np.ndarray  # (R,) row of the padded batch, seen as (steps · batch, …), of each packed row
    places: np.ndarray  # (R,) place of its sequence in the packed batch
    reverse: np.ndarray  # (R,) row as far from the sequence's end as this one is from its beginning
    previous: np.ndarray  # (R,) row of the state before it, in an array that begins with the initial states
    packed: np.ndarray  # (steps · batch,) packed row of each row of the padded batch; -1 for padding


class PackedOrder:
    """Packed order of a padded batch, in numbers of the host that are the same for every device.

    Parameters
    ----------
    steps, batch : int
        Size of the padded batch.
    lengths : ndarray (batch,) of int or None, default=None
        Steps of each sequence; None if all have `steps`.
    batch_first : bool, default=False
        Whether the padded batch is (batch, steps, …) rather than (steps, batch, …).

    Attributes
    ----------
    order : ndarray (batch,) or None
        The sequence of the batch at each place of the packed batch; None if all keep their places.
    lengths : ndarray (batch,)
        Lengths in packed order, descending.
    offsets : ndarray (T + 1,)
        First packed row of each step; T is the longest length.
    """

    def __init__(self, steps, batch, lengths=None, batch_first=False):
        self.batch, self.steps = batch, steps
        self._strides = (1, steps) if batch_first else (batch, 1)  # of a step and of a sequence, in padded rows
        self._is_padded_order = lengths is None and not batch_first
        if lengths is None:
            self.order = None
            self.lengths = np.full(batch, steps)
            self.offsets = np.arange(steps + 1) * batch
        else:
            self.order = np.argsort(-lengths, kind="stable")
            self.lengths = lengths[self.order]
            alive = np.searchsorted(-self.lengths, -np.arange(self.lengths.max(initial=0)), side="left")
            self.offsets = np.concatenate([[0], np.cumsum(alive)])

    @functools.cached_property
    def is_full(self):
        """Whether all sequences have all steps, and there are steps."""
        return len(self.offsets) > 1 and int(self.offsets[-1]) == self.batch * (len(self.offsets) - 1)

    @functools.cached_property
    def _numbers(self):
        """The `RowNumbers`."""
        of_rows, packed = np.empty((4, self.offsets[-1]), np.int32), np.empty(self.batch * self.steps, np.int32)
        order = np.arange(self.batch) if self.order is None else self.order
        number_rows(*of_rows, packed, order, self.lengths, self.offsets, *self._strides)
        return RowNumbers(*of_rows, packed)

    @property
    def rows(self):
        """`RowNumbers.rows`; None if the packed batch has the order of the padded one."""
        return None if self._is_padded_order else self._numbers.rows

    @property
    def reverse(self):
        """`RowNumbers.reverse`."""
        return self._numbers.reverse

    @property
    def previous(self):
        """`RowNumbers.previous`; None if each row's number is its own index."""
        return None if self.is_full or len(self.offsets) == 1 else self._numbers.previous

    @functools.cached_property
    def batch_sequences(self):
        """Number in the caller's batch of the sequence at each place of the packed batch: (batch,) of int32."""
        return (np.arange(self.batch) if self.order is None else self.order).astype(np.int32)

    @functools.cached_property
    def sequences(self):
        """Number in the caller's batch of the sequence of each packed row: (R,) of int32."""
        return self.batch_sequences[self._numbers.places]

    @functools.cached_property
    def step_numbers(self):
        """Step of each packed row: (R,) of int32."""
        return np.repeat(np.arange(len(self.offsets) - 1, dtype=np.int32), np.diff(self.offsets))

    @functools.cached_property
    def _own_rows(self):
        """The number of each packed row (R,)."""
        return np.arange(self.offsets[-1], dtype=np.int32)

    def output_rows(self, reverse, padded):
        """Return the row of the output that each row of a direction belongs to (R,): a packed row, or a padded one."""
        if not padded or self.rows is None:
            return self.reverse if reverse else self._own_rows
        return self.rows[self.reverse] if reverse else self.rows

    def unpacking_rows(self, reverse):
        """Return the row of a direction for each row of the padded batch (steps · B,); -1 for padding."""
        rows = np.full(self.batch * self.steps, -1, np.int32)
        rows[self.output_rows(reverse, padded=True)] = self._own_rows
        return rows


class Packing(PackedOrder):
    """Packed order of a padded batch, and the conversions in both directions.

    Above the backend this is an opaque object with the methods `pack`, `unpack` and `new_rows` and the attributes
    `batch`, `sequences` and `step_numbers`.

    Parameters
    ----------
    steps, batch, lengths, batch_first
        See `PackedOrder`.
    """

    def __init__(self, steps, batch, lengths=None, batch_first=False):
        super().__init__(steps, batch, lengths, batch_first)
        self._schedules = {}

    def schedule(self, chunk):
        """Return the first row of each step in gates (T,) and in states (T + 1,).

        With a `chunk`, gates are a buffer for that many steps, and states a buffer for two; None keeps all rows.
        """
        if chunk not in self._schedules:
            steps = len(self.offsets) - 1
            if chunk is None:
                rows = self.offsets[:-1], np.concatenate([[0], self.batch + self.offsets[:-1]])
            else:
                rows = np.arange(steps) % chunk * self.batch, np.arange(steps + 1) % 2 * self.batch
            self._schedules[chunk] = rows
        return self._schedules[chunk]

    def pack(self, x, n_jobs):
        """Return the `Inputs` of a padded batch in packed order: vectors (R, n), or ids (R,)."""
        vectors, ids = x
        if ids is None:
            x = Inputs(vectors.reshape(-1, vectors.shape[-1]))
        else:
            x = Inputs(vectors, np.ascontiguousarray(ids, np.int32).reshape(-1))
        rows = self.rows
        return x if rows is None else take(x, rows, n_jobs)

    def new_rows(self, columns, dtype, padded, n_jobs):
        """Return a new matrix for the packed rows, or for those of the padded batch: zero in the padding.

        All other elements are arbitrary.
        """
        if not padded:
            return empty((int(self.offsets[-1]), columns), dtype)
        rows = empty((self.batch * self.steps, columns), dtype)
        if not self._is_padded_order:
            parts = split(len(rows), worth(n_jobs, FLOPS_PER_ELEMENT * rows.size))
            run_kernel(clear_rows, [(rows, self._numbers.packed, *part) for part in parts])
        return rows

    def unpack(self, packed, shape, n_jobs):
        """Return the padded batch of `shape` with the packed rows, and zeros for padding."""
        return (packed if self.rows is None else gather(packed, self._numbers.packed, n_jobs)).reshape(shape)

    def read_states(self, plane, state):
        """Write a state (batch, n) to the first columns of a plane (batch, n or more), in packed order."""
        columns = state.shape[1]
        plane[:, :columns] = state if self.order is None else state[self.order]
        if columns < plane.shape[1]:
            plane[:, columns:] = 0

    def write_states(self, state, plane):
        """Write the first columns of a plane (batch, n or more) in packed order to a state (batch, n)."""
        if self.order is None:
            state[...] = plane[:, : state.shape[1]]
        else:
            state[self.order] = plane[:, : state.shape[1]]

    def shards(self, parts):
        """Return at most `parts` bounds (first, last) that cut the packed batch into pieces of nearly equal work."""
        if parts == 1:
            return [(0, self.batch)]
        work = np.concatenate([[0], np.cumsum(self.lengths)])
        cuts = np.searchsorted(work, work[-1] * np.arange(parts + 1) / parts, side="left")
        cuts[-1] = self.batch
        return [(int(a), int(b)) for a, b in itertools.pairwise(cuts) if a < b]


@functools.lru_cache(maxsize=16)
def _full_packing(steps, batch, batch_first):
    """Return the packing of sequences that have all steps."""
    return Packing(steps, batch, None, batch_first)
