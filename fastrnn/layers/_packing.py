"""The order in which a batch of sequences is computed: longest first, step after step, without padding."""

import functools
import itertools

import numpy as np


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
        self.batch = batch
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
        return len(self.offsets) > 1 and bool((np.diff(self.offsets) == self.batch).all())

    @functools.cached_property
    def _steps_and_places(self):
        """The step, and the place in the packed batch, of each packed row."""
        counts = np.diff(self.offsets)
        steps = np.repeat(np.arange(len(counts)), counts)
        return steps, np.arange(self.offsets[-1]) - self.offsets[steps]

    @property
    def places(self):
        """For each packed row, the place of its sequence in the packed batch (R,)."""
        return self._steps_and_places[1]

    @functools.cached_property
    def rows(self):
        """Row of the padded batch, seen as (steps · batch, …), for each packed row (R,); None if they are the same."""
        if self._as_it_is:
            return None
        steps, places = self._steps_and_places
        sequences = places if self.order is None else self.order[places]
        return steps * self._strides[0] + sequences * self._strides[1]

    @functools.cached_property
    def reverse(self):
        """For each packed row, the one as far from its sequence's end as this one is from the beginning (R,)."""
        steps, places = self._steps_and_places
        return self.offsets[self.lengths[places] - 1 - steps] + places

    @functools.cached_property
    def previous(self):
        """For each packed row, where the state before it stands behind the initial states (R,); None if at its own."""
        if self.is_full or len(self.offsets) == 1:
            return None
        steps, places = self._steps_and_places
        return np.where(steps == 0, places, self.batch + self.offsets[np.maximum(steps - 1, 0)] + places)

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

    def pack(self, padded):
        """Return the packed rows (R, …) of a padded batch."""
        flat = padded.reshape(-1, padded.shape[-1])
        return flat if self.rows is None else flat.take(self.rows, axis=0)

    def unpack(self, packed, shape):
        """Return the padded batch of `shape` with the packed rows, and zeros for padding."""
        if self.rows is None:
            return packed.reshape(shape)
        padded = np.zeros(shape, packed.dtype)
        padded.reshape(-1, shape[-1])[self.rows] = packed
        return padded

    def sort(self, states):
        """Return states (…, batch, n) in packed order."""
        return states if self.order is None else states[..., self.order, :]

    def unsort(self, states):
        """Return states (…, batch, n) from packed order back in the batch's order."""
        if self.order is None:
            return states
        unsorted = np.empty_like(states)
        unsorted[..., self.order, :] = states
        return unsorted

    def shards(self, parts):
        """Return at most `parts` bounds (first, last) that cut the packed batch into pieces of nearly equal work."""
        if parts == 1:
            return [(0, self.batch)]
        work = np.concatenate([[0], np.cumsum(self.lengths)])
        cuts = np.searchsorted(work, work[-1] * np.arange(parts + 1) / parts, side="left")
        cuts[-1] = self.batch
        return [(int(a), int(b)) for a, b in itertools.pairwise(cuts) if a < b]
