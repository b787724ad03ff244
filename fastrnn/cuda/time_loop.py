"""The time loop of a direction: in one launch where that is faster, otherwise a step after the other.

What a pass launches around it on arrays of its own, and the loop, is one captured graph when these arrays come again.
"""

import functools

from fastrnn.cuda.array import Array
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
        plan = None  # of one launch, in which nothing attends
        if not weights.context_size:
            plan = _plan(type(cell), weights.hidden, packing.batch, len(packing.offsets) - 1, dtype, precision,
                         device(), weights.has_projection)  # fmt: skip
        steps = StepwiseLoop(cell, weights.hidden, weights.output, packing, precision)
        at_once = None if plan is None else PersistentLoop(cell, plan, packing, dtype)
        self._forward = steps if plan is None or plan.forward is None else at_once
        self._backward = steps if plan is None or plan.backward is None else at_once
        self._graphs = {}  # by what is repeated: its arrays, and the graph if they have come twice

    def repeat(self, name, arrays, run):
        """Launch what `run` launches; from the second time with the same arrays on, as a graph.

        Parameters
        ----------
        name : hashable
            What `run` does.
        arrays : callable
            Returns a list of arrays, in tuples too, and other values: all that `run` uses, but arrays of the loop.
        run : callable
            From the second time on it waits for nothing, copies nothing from the host, and takes no memory.
        """
        key, (known, graph) = places(arrays()), self._graphs.get(name, (None, None))
        if known != key:
            run()
            self._graphs[name] = places(arrays()), None
            return
        if graph is None:
            graph = device().graph(run)
            self._graphs[name] = key, graph
        graph()

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


def places(values):
    """Return where arrays are, in tuples too; other values as they are.

    The memory is named by its object, which the result holds: nobody else gets it.
    """
    return [
        (value.memory, value.offset, value.shape) if isinstance(value, Array)
        else places(value) if isinstance(value, tuple | list) else value
        for value in values
    ]  # fmt: skip


@functools.lru_cache(maxsize=256)
def _plan(kind, hidden, batch, steps, dtype, precision, found, projected):
    """Return the plan for cells of a class: cells without fields are all equal, whatever their class."""
    return make_plan(kind(), hidden, batch, steps, dtype, precision, found, projected=projected)
