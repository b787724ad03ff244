"""The packed order of a batch on the GPU: the numbers are the host's, and rows are gathered by their copies."""

import functools

import numpy as np

from fastrnn.cuda.arrays import asarray, empty
from fastrnn.cuda.gpu import device
from fastrnn.cuda.rows import gather
from fastrnn.kernels.packing import PackedOrder
from fastrnn.utils.recurrent import Inputs


def make_packing(steps, batch, lengths=None, batch_first=False):
    """Return the `Packing` of a padded batch, as `fastrnn.kernels.packing.make_packing`."""
    if lengths is None:
        return _full_packing(device(), steps, batch, batch_first)
    return Packing(steps, batch, lengths, batch_first)


@functools.lru_cache(maxsize=16)
def _full_packing(found, steps, batch, batch_first):
    """Return the packing of sequences that have all steps; it keeps its copies on the device `found`."""
    return Packing(steps, batch, None, batch_first)


class Packing(PackedOrder):
    """Packed order of a padded batch, and the conversions in both directions.

    Above the backend this is an opaque object with the methods `pack`, `unpack` and `new_rows` and the attributes
    `batch`, `sequences` and `step_numbers`. Numbers of rows that are the own ones, 0, 1, …, are None on the device.

    Parameters
    ----------
    steps, batch, lengths, batch_first
        See `fastrnn.kernels.packing.PackedOrder`.
    """

    def __init__(self, steps, batch, lengths=None, batch_first=False):
        super().__init__(steps, batch, lengths, batch_first)
        self._uploaded = {}

    def uploaded(self, name, *arguments):
        """Return numbers of the host on the device, int32, copied once: an attribute, or what a method returns."""
        key = name, *arguments
        if key not in self._uploaded:
            values = getattr(self, name)
            values = values(*arguments) if callable(values) else values
            self._uploaded[key] = None if values is None else asarray(np.ascontiguousarray(values, np.int32))
        return self._uploaded[key]

    @functools.cached_property
    def places(self):
        """The place in the packed batch of each sequence of the caller's (batch,), or None."""
        return None if self.order is None else np.argsort(self.order)

    @functools.cached_property
    def final_rows(self):
        """The row of states after the last step of each sequence of the caller's batch (batch,)."""
        places, lengths = np.arange(self.batch), self.lengths
        rows = np.concatenate([[0], self.batch + self.offsets[:-1]])[lengths] + places
        return rows if self.places is None else rows[self.places]

    @functools.cached_property
    def rows_before(self):
        """The first row of states before each step (T,)."""
        return np.concatenate([[0], self.batch + self.offsets[:-1]])[: len(self.offsets) - 1]

    def source_rows(self, reverse, padded):
        """Return the row of a direction for each row of its output; -1 for padding. None if it is the same one."""
        if padded and self.rows is not None:
            return self.unpacking_rows(reverse)
        return self.reverse if reverse else None

    def target_rows(self, reverse, padded):
        """Return the row of the output for each row of a direction (R,); None if it is the same one."""
        if padded and self.rows is not None:
            return self.output_rows(reverse, padded)
        return self.reverse if reverse else None

    def pack(self, x, n_jobs):
        """Return the `Inputs` of a padded batch in packed order: vectors (R, n), or ids (R,) of the host."""
        vectors, ids = x
        if ids is not None:
            ids = np.ascontiguousarray(ids, np.int32).reshape(-1)
            return Inputs(vectors, ids if self.rows is None else ids[self.rows])
        return self.taken(Inputs(vectors.reshaped((-1, vectors.shape[-1]))), "rows")

    def taken(self, x, name):
        """Return `Inputs` in the order of the numbers that an attribute has."""
        rows = getattr(self, name)
        if rows is None:
            return x
        if x.ids is not None:
            return Inputs(x.vectors, x.ids[rows])
        out = empty((len(rows), x.vectors.shape[1]), x.vectors.dtype)
        gather(out, x.vectors, self.uploaded(name))
        return Inputs(out)

    def new_rows(self, columns, dtype, padded, n_jobs):
        """Return a new matrix for the packed rows, or for those of the padded batch.

        Its elements are arbitrary: a direction writes the zeros of the padding too.
        """
        return empty((self.batch * self.steps if padded else int(self.offsets[-1]), columns), dtype)

    def unpack(self, packed, shape, n_jobs):
        """Return the padded batch of `shape` with the packed rows, and zeros for padding."""
        if self.rows is not None:
            out = empty((self.batch * self.steps, packed.shape[1]), packed.dtype)
            gather(out, packed, self.uploaded("unpacking_rows", False))
            packed = out
        return packed.reshaped(shape)

    def read_states(self, plane, state):
        """Write a state (batch, n) to the first columns of a plane (batch, n or more), in packed order."""
        gather(plane, state, self.uploaded("order"), columns=state.shape[1])

    def write_final(self, state, plane):
        """Write to a state (batch, n) the rows after the last steps, of a plane that begins with the initial ones."""
        if self.is_full and self.order is None:
            gather(state, plane, None, source_row=int(self.offsets[-1]))
        else:
            gather(state, plane, self.uploaded("final_rows"))

    def write_states(self, state, plane):
        """Write the first columns of a plane (batch, n or more) in packed order to a state (batch, n)."""
        gather(state, plane, self.uploaded("places"))
