"""The time loop of every recurrent cell, a step after the other: products by cuBLAS, a kernel between two of them."""

from itertools import pairwise

from fastrnn.cells._cell import declared, slot_blocks
from fastrnn.cuda import stages
from fastrnn.cuda.arrays import empty
from fastrnn.cuda.blas import Matrix, RowProduct
from fastrnn.cuda.compiler import matrix_shape
from fastrnn.cuda.gpu import device
from fastrnn.cuda.recurrent_attention import AttentionStage
from fastrnn.cuda.recurrent_memory import block_parts

_THREADS = 128  # of a block: small blocks spread the few elements of a step over all multiprocessors


class StepwiseLoop:
    """Runs a cell over packed rows and back.

    Parameters
    ----------
    cell : NamedTuple
        See `fastrnn.cells`.
    hidden, output : int
        H, and the length of h: H or the size of the projection.
    packing : Packing
    precision : {"highest", "high", "medium"}
        Of products, see `fastrnn.cuda.blas.gemm`.
    """

    def __init__(self, cell, hidden, output, packing, precision):
        self.cell, self.hidden, self.output, self.precision = cell, hidden, output, precision
        self.batch = packing.batch
        offsets = packing.offsets.tolist()
        before = [0, *[packing.batch + row for row in offsets]]
        # Of each step: first row, number of sequences, first row of the states before it.
        self._steps = [(row, end - row, first) for (row, end), first in zip(pairwise(offsets), before, strict=False)]
        self._recurrent = slot_blocks(cell.recurrent_slots)
        self._gated = slot_blocks(declared(cell, "gated_slots"))
        self._attention = AttentionStage(cell, hidden, output, precision)
        self._row_sums = bool(declared(cell, "normalized")) or declared(cell, "standardized_state") is not None
        self._scratch = None

    def forward(self, memory, weights, masks, *, keep=True):
        """Run all steps, from the initial states in `memory` on; with `keep`, gates become what backward needs."""
        self._run(memory, weights, masks, int(keep))

    def backward(self, gradients, memory, weights, masks):
        """Run back through all steps."""
        if self._scratch is None:
            self._scratch = self._new_scratch(gradients, weights, masks)
        self._run_back(gradients, memory, weights, masks)

    # ---------------------------------------------------------------------------------------------------- forward

    def _run(self, memory, weights, masks, keep):
        gates, states, masked, gated, raw = memory[:5]
        plane = states.part(0, 1).reshaped(states.shape[1:])  # of h
        h = Matrix(plane if masked is None else masked, 0, self.output)
        products = self._products(gates, h, weights.recurrent, self._recurrent)
        step = self._prepared_step(memory, weights, masks, keep)
        attend = standardize = gate = project = finish = None
        if memory.attention is not None:
            attend = self._attention.forward(memory, weights)
            if declared(self.cell, "normalized"):
                layout = normalized_layout(self.cell, self.hidden)
                standardize = self._prepare(stages.standardize_inputs, gates, memory.scales, layout, self.hidden,
                                            numbers=2, rows=True)  # fmt: skip
        if gated is not None:
            gate = self._prepare(stages.gate_states, gates, gated, states, self.cell, masks.recurrent)
            gated_products = self._products(gates, Matrix(gated), weights.gated, self._gated)
        if raw is not None:
            project = RowProduct(Matrix(plane, 0, self.output), Matrix(raw), weights.projection, transpose_b=True,
                                 precision=self.precision)  # fmt: skip
            if masked is not None or masks.update is not None:
                finish = self._prepare(stages.finish_projection, states, masked, masks.recurrent, masks.update,
                                       self.output, len(gates))  # fmt: skip
        for row, count, before in self._steps:
            if attend is not None:
                attend(row, count, before)
            if standardize is not None:
                standardize(row, count)
            for product in products:
                product(row, before, count)
            if gate is not None:
                gate(row, count, before)
                for product in gated_products:
                    product(row, row, count)
            step(row, count, before)
            if project is not None:
                project(self.batch + row, row, count)
            if finish is not None:
                finish(row, count, before)

    def _products(self, gates, h, weight, blocks):
        """Return the products h·Wᵀ that are added to slots, one for each of the blocks of gates."""
        products = []
        for block in blocks:
            own, rows = block_parts(block, gates, weight, self.hidden)
            products.append(RowProduct(own, h, rows, transpose_b=True, add=True, precision=self.precision))
        return products

    def _prepared_step(self, memory, weights, masks, keep):
        gates, states, masked, _, raw, standardized, scales, _ = memory
        common = self.cell, weights.units, masks.recurrent, masks.update
        if not self._row_sums:
            return self._prepare(stages.cell_step, gates, states, masked, raw, *common, keep)
        return self._prepare(stages.normalized_step, gates, states, masked, raw, standardized, scales, *common,
                             normalized_layout(self.cell, self.hidden), rows=True)  # fmt: skip

    # --------------------------------------------------------------------------------------------------- backward

    def _run_back(self, gradients, memory, weights, masks):
        gates, states = memory.gates, memory.states
        d_masked, d_raw, d_gated = self._scratch["masked"], self._scratch["raw"], self._scratch["gated"]
        d_h = gradients.states.part(0, 1).reshaped(gradients.states.shape[1:]) if d_masked is None else d_masked
        products = self._products_back(d_h, d_masked is None, gates, weights.recurrent, self._recurrent)
        step = self._prepared_step_back(gradients, memory, weights, masks)
        collect = ungate = attend = None
        if memory.attention is not None:
            attend = self._attention.backward(gradients, memory, weights)
        if d_raw is not None:
            collect = self._prepare(stages.projection_backward, gradients.output, gradients.states, d_masked,
                                    masks.recurrent, masks.update, self.output)  # fmt: skip
            project = RowProduct(Matrix(d_raw), Matrix(gradients.output), weights.projection, precision=self.precision)
        if d_gated is not None:
            ungate = self._prepare(stages.gate_states_backward, d_gated, gates, states, gradients.states, self.cell,
                                   masks.recurrent)  # fmt: skip
            gated_products = self._products_back(d_gated, False, gates, weights.gated, self._gated)
        waiting = 0
        for row, count, before in reversed(self._steps):
            if collect is not None:
                collect(row, count, waiting)
                project(0, row, count)
            step(row, count, before, waiting)
            if ungate is not None:
                for product in gated_products:
                    product(0, row, count)
                ungate(row, count, before)
            for product in products:
                product(0, row, count)
            if attend is not None:
                attend(row, count, before)
            waiting = count
        if d_masked is not None:
            stages.mask_gradients.over_matrix(waiting, self.output, gradients.states, d_masked, masks.recurrent,
                                              waiting)  # fmt: skip

    def _products_back(self, target, add, gates, weight, blocks):
        """Return the products dz·W, one for each of the blocks of gates: they are written to `target`, or added."""
        products, target = [], Matrix(target, 0, self.output)
        for block in blocks:
            own, rows = block_parts(block, gates, weight, self.hidden)
            products.append(RowProduct(target, own, rows, add=add, precision=self.precision))
            add = True
        return products

    def _prepared_step_back(self, gradients, memory, weights, masks):
        gates, states, _, _, _, standardized, scales, _ = memory
        scratch = self._scratch
        rest = gradients.output, scratch["raw"], scratch["masked"], scratch["carried"]
        common = self.cell, weights.units, masks.recurrent, masks.update
        d_states, d_units = gradients.states, gradients.units
        if not self._row_sums:
            return self._prepare(stages.cell_step_backward, gates, states, d_states, d_units, *rest, *common, numbers=4)
        return self._prepare(stages.normalized_step_backward, gates, states, standardized, scales, d_states, d_units,
                             *rest, scratch["row"], *common, normalized_layout(self.cell, self.hidden), numbers=4,
                             rows=True)  # fmt: skip

    def _new_scratch(self, gradients, weights, masks):
        """Return the arrays that only the backward loop uses; None where they are not needed."""
        states, batch, hidden = gradients.states.shape
        sizes = {
            "raw": (batch, hidden) if weights.projection is not None else None,
            "gated": (batch, hidden) if weights.gated is not None else None,
            "masked": (batch, self.output) if masks.recurrent is not None and weights.recurrent is not None else None,
            "carried": (states, batch, hidden) if masks.update is not None else None,
            "row": (batch, len(self.cell.slots) * hidden) if self._row_sums else None,
        }
        return {name: shape and empty(shape, gradients.states.dtype) for name, shape in sizes.items()}

    # --------------------------------------------------------------------------------------------------- launches

    def _prepare(self, kernel, *arguments, numbers=3, rows=False):
        """Return a launch for a step: of a block for each sequence with `rows`, and of a thread for each unit."""
        if not rows:
            shape = matrix_shape(max(self.batch, 1), self.hidden, _THREADS)
            return kernel.prepare(*shape, *arguments, numbers=numbers)
        threads, dtype = row_threads(self.hidden), arguments[0].dtype
        grid = min(max(self.batch, 1), device().blocks)
        return kernel.prepare(grid, threads, *arguments, numbers=numbers, shared=threads * dtype.itemsize)


def row_threads(hidden):
    """Return the threads of a block that computes the sums of a row, a power of two."""
    return min(device().threads, max(32, 1 << (hidden - 1).bit_length()))


def normalized_layout(cell, hidden):
    """Return the `NormalizedLayout` of a cell."""
    normalized, state = declared(cell, "normalized"), declared(cell, "standardized_state")
    columns = []
    for slots in (cell.input_slots, cell.recurrent_slots):
        first = min(slots, default=0)
        columns += [first * hidden, (first + (len(slots) if normalized else 0)) * hidden]
    return stages.NormalizedLayout(*columns, -1 if state is None else state)
