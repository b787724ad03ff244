"""The order in which a batch of sequences is computed: longest first, step after step, without padding."""

import functools
import itertools
from typing import NamedTuple

import numpy as np

from fastrnn._memory import empty
from fastrnn.kernels.rows import clear_rows, gather_rows, number_rows
from fastrnn.kernels.threads import run_kernel, split, worth

FLOPS_PER_ELEMENT = 64  # what copying an element takes, in the time of floating-point operations


class Embedded(NamedTuple):
    """Input vectors that are given by numbers, for inputs of which the same ones occur again and again.

    `Recurrent` computes ``W_ih · x + b`` once for each vector instead of at each step, and likewise the gradients,
    which are those of `vectors`. With characters and two layers of equal size that saves a quarter of all products.

    Attributes
    ----------
    vectors : ndarray (V, D)
    ids : ndarray of int, (T, B) or (B, T)
        Row of `vectors` for each step of each sequence.
    """

    vectors: np.ndarray
    ids: np.ndarray


def gather(source, rows, n_jobs, columns=None):
    """Return rows of a matrix, or of `Embedded` ones, in another order.

    Parameters
    ----------
    source : ndarray (m, n) or Embedded of ids (m,)
    rows : ndarray (k,) of int
        The row for each place; -1 for zeros.
    n_jobs : int or None
    columns : int, default=None
        How many columns are taken; None is all.
    """
    if isinstance(source, Embedded):
        return source._replace(ids=source.ids[rows])
    out = empty((len(rows), source.shape[1] if columns is None else columns), source.dtype)
    parts = split(len(rows), worth(n_jobs, FLOPS_PER_ELEMENT * out.size))
    run_kernel(gather_rows, [(out, source, rows, *part) for part in parts])
    return out


class Packing:
    """Packed order of a padded batch.

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
        Which sequence of the batch stands at each place of the packed batch; None if they keep their places.
    lengths : ndarray (batch,)
        Lengths in packed order, descending.
    offsets : ndarray (T + 1,)
        First packed row of each step; T is the longest length.
    """

    def __init__(self, steps, batch, lengths=None, batch_first=False):
        self.batch, self.steps = batch, steps
        self._strides = (1, steps) if batch_first else (batch, 1)  # of a step and of a sequence, in padded rows
        self._schedules = {}
        self._as_it_is = lengths is None and not batch_first
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
        """The arrays that `number_rows` writes."""
        numbers = np.empty((4, self.offsets[-1]), np.int32)
        packed = np.empty(self.batch * self.steps, np.int32)
        order = np.arange(self.batch) if self.order is None else self.order
        number_rows(*numbers, packed, order, self.lengths, self.offsets, *self._strides)
        return *numbers, packed

    @property
    def rows(self):
        """Row of the padded batch, seen as (steps · batch, …), for each packed row (R,); None if they are the same."""
        return None if self._as_it_is else self._numbers[0]

    @property
    def places(self):
        """For each packed row, the place of its sequence in the packed batch (R,)."""
        return self._numbers[1]

    @functools.cached_property
    def sequences(self):
        """For each packed row, the place of its sequence in the batch (R,)."""
        return self._places_in_batch[0]

    @functools.cached_property
    def step_numbers(self):
        """For each packed row, its step in its sequence (R,)."""
        return self._places_in_batch[1]

    @functools.cached_property
    def _places_in_batch(self):
        rows = self._numbers[0]
        between_steps, between_sequences = self._strides
        if between_sequences == 1:
            return rows % between_steps, rows // between_steps
        return rows // between_sequences, rows % between_sequences

    @property
    def reverse(self):
        """For each packed row, the one as far from its sequence's end as this one is from the beginning (R,)."""
        return self._numbers[2]

    @property
    def previous(self):
        """For each packed row, where the state before it stands behind the initial states (R,); None if at its own."""
        return None if self.is_full or len(self.offsets) == 1 else self._numbers[3]

    @functools.cached_property
    def _as_they_are(self):
        return np.arange(self.offsets[-1], dtype=np.int32)

    def output_rows(self, reverse, padded):
        """Return where each row of a direction stands (R,): among the packed rows, or in the padded batch."""
        if not padded or self.rows is None:
            return self.reverse if reverse else self._as_they_are
        return self.rows[self.reverse] if reverse else self.rows

    def schedule(self, chunk):
        """Return where each step's rows are: (rows in gates (T,), rows in states (T + 1,)).

        With a `chunk`, gates are a buffer of so many steps and states one of two; None keeps all rows.
        """
        if chunk not in self._schedules:
            steps = len(self.offsets) - 1
            if chunk is None:
                rows = self.offsets[:-1], np.concatenate([[0], self.batch + self.offsets[:-1]])
            else:
                rows = np.arange(steps) % chunk * self.batch, np.arange(steps + 1) % 2 * self.batch
            self._schedules[chunk] = rows
        return self._schedules[chunk]

    def pack(self, padded, n_jobs):
        """Return the packed rows (R, n) of a padded batch, or the packed ids of an `Embedded` one."""
        if isinstance(padded, Embedded):
            flat = padded._replace(ids=np.ascontiguousarray(padded.ids, np.int32).reshape(-1))
        else:
            flat = padded.reshape(-1, padded.shape[-1])
        rows = self.rows
        return flat if rows is None else gather(flat, rows, n_jobs)

    def clear_padding(self, padded, n_jobs):
        """Write zeros to the padding of a padded batch (steps · batch, n)."""
        if not self._as_it_is:
            parts = split(len(padded), worth(n_jobs, FLOPS_PER_ELEMENT * padded.size))
            run_kernel(clear_rows, [(padded, self._numbers[4], *part) for part in parts])

    def unpack(self, packed, shape, n_jobs):
        """Return the padded batch of `shape` with the packed rows, and zeros for padding."""
        return (packed if self.rows is None else gather(packed, self._numbers[4], n_jobs)).reshape(shape)

    def sort(self, states):
        """Return states (…, batch, n) in packed order."""
        return states if self.order is None else states[..., self.order, :]

    def unsort(self, states):
        """Return a list of states (…, batch, n) from packed order back in the batch's order."""
        if self.order is None:
            return states
        unsorted = [np.empty_like(state) for state in states]
        for state, packed in zip(unsorted, states, strict=True):
            state[..., self.order, :] = packed
        return unsorted

    def shards(self, parts):
        """Return at most `parts` bounds (first, last) that cut the packed batch into pieces of nearly equal work."""
        if parts == 1:
            return [(0, self.batch)]
        work = np.concatenate([[0], np.cumsum(self.lengths)])
        cuts = np.searchsorted(work, work[-1] * np.arange(parts + 1) / parts, side="left")
        cuts[-1] = self.batch
        return [(int(a), int(b)) for a, b in itertools.pairwise(cuts) if a < b]
