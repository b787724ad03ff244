"""The time loop of a direction: in one launch where that is faster, otherwise a step after the other."""

import functools

from fastrnn.cuda.gpu import device
from fastrnn.cuda.persistent import PersistentLoop
from fastrnn.cuda.persistent_plan import make_plan
from fastrnn.cuda.stepwise import StepwiseLoop


class TimeLoop:
    """Runs a cell over packed rows and back.

    Parameters
    ----------
    weights : DirectionWeights
        Their sizes, types and stages count.
    packing : Packing
    """

    def __init__(self, weights, packing):
        cell, dtype, precision = weights.cell, weights.dtype, weights.precision
        plan = _plan(type(cell), weights.hidden, packing.batch, len(packing.offsets) - 1, dtype, precision, device(),
                     weights.has_projection)  # fmt: skip
        steps = StepwiseLoop(cell, weights.hidden, weights.output, packing, precision)
        at_once = None if plan is None else PersistentLoop(cell, plan, packing, dtype)
        self._forward = steps if plan is None or plan.forward is None else at_once
        self._backward = steps if plan is None or plan.backward is None else at_once

    def forward(self, memory, weights, masks, *, keep):
        """Run all steps, from the initial states in `memory` on; with `keep`, gates become what backward needs.

        Parameters
        ----------
        memory : Memory
            Of `fastrnn.cuda.recurrent_memory`, as `weights`, `masks` and `gradients`.
        weights : Weights
        masks : Masks
        keep : bool
        """
        self._forward.forward(memory, weights, masks, keep=keep)

    def backward(self, gradients, memory, weights, masks):
        """Run back through all steps; gates become gradients, and `gradients.states` those of the initial states."""
        self._backward.backward(gradients, memory, weights, masks)


@functools.lru_cache(maxsize=256)
def _plan(kind, hidden, batch, steps, dtype, precision, found, projected):
    """Return the plan for cells of a class: cells without fields are all equal, whatever their class."""
    return make_plan(kind(), hidden, batch, steps, dtype, precision, found, projected=projected)
