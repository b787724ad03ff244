"""The time loop of a recurrent layer in one launch, see `fastrnn.cuda.persistent_kernels`."""

import numpy as np

from fastrnn.cells._cell import declared
from fastrnn.cuda import arrays
from fastrnn.cuda.barrier import SPREAD
from fastrnn.cuda.fragments import DEPTH, exchange_type
from fastrnn.cuda.gpu import device
from fastrnn.cuda.persistent_gated import gated_backward_steps, gated_forward_steps
from fastrnn.cuda.persistent_kernels import Exchange, backward_steps, forward_steps, start
from fastrnn.cuda.persistent_normalized import normalized_backward_steps, normalized_forward_steps
from fastrnn.cuda.row_statistics import MOST_SUMS, Statistics, shared_elements


class PersistentLoop:
    """Runs all steps of one direction of a layer in one launch, forward and backward.

    It is made for a batch's packing, and can be repeated.

    Parameters
    ----------
    cell : NamedTuple
        See `fastrnn.cells`.
    plan : Plan
        Of `fastrnn.cuda.persistent_plan`.
    packing : Packing
        Its ``batch``, and the ndarrays ``lengths`` and ``offsets`` are read.
    dtype : dtype
        Of states and weights.
    """

    def __init__(self, cell, plan, packing, dtype):
        self.cell, self.plan = cell, plan
        self._packing, self._dtype = packing, np.dtype(dtype)
        self._offsets = None
        if len(packing.lengths) and (packing.lengths != packing.lengths[0]).any():
            self._offsets = arrays.asarray(np.asarray(packing.offsets, np.int64))
        self._exchanges = {}
        self._kernels = forward_steps, backward_steps
        if declared(cell, "gated_slots"):
            self._kernels = gated_forward_steps, gated_backward_steps
        elif declared(cell, "normalized"):
            self._kernels = normalized_forward_steps, normalized_backward_steps

    def forward(self, memory, weights, masks, *, keep=True):
        """Run all steps from the initial states on; with `keep`, gates become what backward needs.

        Parameters
        ----------
        memory : Memory
            Of `fastrnn.cuda.recurrent_memory`, as `weights` and `masks`.
        weights : Weights
        masks : Masks
        keep : bool, default=True
        """
        cut, arguments = self.plan.forward, (memory, weights, masks)
        initial = memory.states if memory.masked is None else memory.masked
        self._run(self._kernels[0], cut, arguments, initial.reshaped((-1, initial.shape[-1])), int(keep))

    def backward(self, gradients, memory, weights, masks):
        """Run all steps in reverse; gates become gradients, and `gradients.states` those of the initial states."""
        self._run(self._kernels[1], self.plan.backward, (gradients, memory, weights, masks), None)

    def _run(self, function, cut, arguments, initial, *numbers):
        """Launch a kernel, behind the one that clears its exchange buffer."""
        steps = len(self._packing.offsets) - 1
        if not steps:
            return
        exchange, tilings = self._exchange(function, cut), cut.tilings
        start.launch(device().blocks, device().threads, exchange, initial, tilings[0], cut.sizes)
        function.launch(
            (cut.blocks, cut.groups), cut.threads, *arguments, exchange, self.cell, *tilings, cut.sizes, *numbers,
            shared=cut.shared, cooperative=tilings[0] is not None,
        )  # fmt: skip

    def _exchange(self, function, cut):
        """Return the exchange buffer of a kernel."""
        if function not in self._exchanges:
            sizes, tiling = cut.sizes, cut.tilings[0]
            kind = self._dtype if tiling is None else exchange_type(tiling.precision)
            lengths = np.asarray(self._packing.lengths)
            self._exchanges[function] = Exchange(
                arrays.empty(2 * cut.groups * sizes.columns * sizes.tiles * DEPTH, kind),
                arrays.empty(cut.groups * SPREAD, np.int32),
                arrays.asarray(lengths[:: sizes.sequences].astype(np.int64)),
                self._offsets,
                None,
                self._statistics(cut, function is self._kernels[1]) if declared(self.cell, "normalized") else None,
            )
        return self._exchanges[function]

    def _statistics(self, cut, is_backward):
        """Return how a kernel exchanges sums over the units of a row."""
        sizes, shape = cut.sizes, (self._packing.batch, len(self.cell.slots) * cut.sizes.hidden)
        return Statistics(
            arrays.empty(2 * cut.groups * sizes.sequences * cut.blocks * MOST_SUMS, self._dtype),
            arrays.empty(shape, self._dtype) if is_backward else None,
            shared_elements(cut.tilings[0], sizes, cut.threads)[0],
        )
