"""The passes of one direction of one recurrent layer: a cell, run over packed rows and back."""

from typing import NamedTuple

import numpy as np

from fastrnn._memory import Room, borrow_room, empty_like, give_back
from fastrnn.kernels import recurrence
from fastrnn.kernels.gemm import scratch_size
from fastrnn.kernels.generation import LayerStep
from fastrnn.kernels.packing import FLOPS_PER_ELEMENT, Embedded, gather
from fastrnn.kernels.recurrent_plan import Plan, make_plan, memory_key, new_memory
from fastrnn.kernels.recurrent_weights import NOTHING_DRAWN, Drawn
from fastrnn.kernels.rows import add_rows
from fastrnn.kernels.threads import compiled_for, run_kernel, split, worth

_NO_MASKS = recurrence.Masks(None, None)


class Pass(NamedTuple):
    """A forward pass over packed rows, and what its backward pass needs.

    Its arrays are in its room, and as long valid as no other pass takes that.
    """

    final: list  # of (batch, size of the state), the states after the last step of each sequence
    x: object
    plan: Plan
    memory: recurrence.Memory
    weights: recurrence.Weights
    masks: recurrence.Masks
    packing: object
    drawn: Drawn
    room: Room

    def all_states(self):
        """Return every state after each packed row, if they were kept: list of (R, padded)."""
        return [plane[self.packing.batch :] for plane in self.memory.states]


class Direction:
    """Runs a cell over packed rows, and back.

    Passes of several threads may run at once, each in a room of its own: a direction only remembers its last plan.

    Parameters
    ----------
    weights : DirectionWeights
    n_jobs : int or None
    cut : {"auto", "batch", "units"}
        What threads cut.
    """

    def __init__(self, weights, n_jobs, cut):
        self.weights, self.n_jobs, self.cut = weights, n_jobs, cut
        self._compiled = {}
        self._last_plan = None  # with its key, set whole

    def __getstate__(self):
        return {**vars(self), "_compiled": {}, "_last_plan": None}

    def forward(self, y, x, initial, packing, keep, drawn, room, held=None):
        """Run all steps.

        Parameters
        ----------
        y : Output
            Where the outputs go.
        x : ndarray (R, D) or Embedded
            Packed rows, or ids (R,).
        initial : list of ndarray (batch, size of the state) or None
            Initial states, in packed order; None is zeros.
        packing : Packing
        keep : bool
            Whether `backward` or `Pass.all_states` will follow.
        drawn : Drawn
        room : Room
        held : HeldWeights or None, default=None

        Returns
        -------
        Pass
        """
        plan = self._plan(packing, None if isinstance(x, Embedded) else x.shape[1], keep, drawn, held is not None)
        written = room.made(plan.memory, new_memory, plan.memory)
        self._set_initial(written, packing.batch, initial, drawn)
        weights = self.weights.forward(room, drawn) if held is None else held.weights
        masks = self._masks(drawn)
        inputs = (self._table(x.vectors, weights, room, held), x.ids) if isinstance(x, Embedded) else (x, None)
        calls = [
            (y, written, self.weights.cell, *inputs, weights, masks, plan.schedule, part, plan.chunk, keep,
             held is not None)
            for part in plan.parts
        ]  # fmt: skip
        self._run(plan, recurrence.recurrence_forward, calls)
        final = self._without_padding(written.states[:, plan.last])
        return Pass(final, x, plan, written, weights, masks, packing, drawn, room)

    def backward(self, forward, dy, d_final):
        """Run back through all steps; add to the gradients of the parameters.

        Parameters
        ----------
        forward : Pass
            That kept what is needed here. Its gates are overwritten: there is no second time.
        dy : Output
        d_final : list of ndarray (batch, size of the state) or None
            Gradients of the final states, in packed order; None is zeros.

        Returns
        -------
        dx : ndarray (R, D)
            Of an `Embedded` x the gradient of its vectors, (V, D).
        d_initial : list of ndarray (batch, size of the state)
            In the room of the pass.
        """
        _, x, plan, written, weights, masks, packing, drawn, room = forward
        gradients = self._gradient_room(room, int(packing.offsets[-1]), packing.batch, d_final, masks)
        weights = self.weights.backward(weights, room, drawn)
        vectors, sums = x, None
        if isinstance(x, Embedded):
            vectors, sums = x.vectors, room.zeros("sums", len(x.vectors), self.weights.width)
        dx, totals = empty_like(vectors), self.weights.gradient_totals(room, drawn)
        for chunk, (start, stop, rows) in enumerate(plan.backward_chunks):
            calls = [
                (gradients, written, self.weights.cell, dy, weights, masks, plan.schedule, part, start, stop, chunk > 0)
                for part in plan.parts
            ]
            self._run(plan, recurrence.recurrence_backward, calls)
            self._add_products(forward, totals, dx, weights, rows, sums)
        if sums is not None:
            d_input, d_recurrent, d_bias = totals
            self._run_products(forward, (d_input, d_recurrent[:0], d_bias), dx, sums, vectors, sums[:0], weights)
        self.weights.add_gradients(totals, written, gradients, drawn, self.n_jobs)
        return dx, self._without_padding(gradients.states)

    def step_arrays(self, x, vectors, y, batch, initial, drawn, room, held):
        """Return the `LayerStep` of a batch for single steps from given states on.

        With `vectors` the first layer's table has a row for each of them.
        """
        key = memory_key(self.weights, 2 * batch, batch, drawn)
        written = room.made(key, new_memory, key)
        self._set_initial(written, batch, initial, drawn)
        if vectors is None:
            table = room.take("step inputs", batch, self.weights.spans[1])
        else:
            table = held.table(vectors, self.n_jobs)
        return LayerStep(x, table, np.arange(batch, dtype=np.int32), y, written, held.weights, self._masks(drawn))

    def _plan(self, packing, columns, keep, drawn, held):
        """Return where and how a pass is computed; the same as for the pass before, if that was alike."""
        weight_hh, recurrent, update = drawn
        key = (packing, columns, keep, weight_hh is None, recurrent is None, update is None, held, self.n_jobs)
        last = self._last_plan
        if last is None or last[0] != key:
            compiled = self._compiled.setdefault(key[1:], {})  # batches differ in sizes, not in types
            plan = make_plan(self.weights, packing, columns, keep, drawn, held, self.cut, self.n_jobs, compiled)
            self._last_plan = last = key, plan
        return last[1]

    def _run(self, plan, kernel, calls):
        """Run a kernel; from the second time on, what is compiled for the types of such plans is not looked up."""
        if kernel in plan.compiled:
            run_kernel(plan.compiled[kernel], calls)
        else:
            run_kernel(kernel, calls)
            plan.compiled[kernel] = compiled_for(kernel, calls[0])

    def _table(self, vectors, weights, room, held):
        if held is not None:
            return held.table(vectors, self.n_jobs)
        return self.weights.input_table(vectors, weights, room, self.n_jobs)

    def _set_initial(self, written, batch, initial, drawn):
        """Put the initial states, or zeros where they are None, in their place."""
        if initial is None:
            written.states[:, :batch] = 0
        else:
            _write_states(written.states[:, :batch], initial)
        if drawn.recurrent is not None:
            written.operands[0, :batch] = written.states[0, :batch] * self._padded(drawn.recurrent)

    def _padded(self, values):
        """Return an array (rows, n) with its columns padded with zeros."""
        if values.shape[1] == self.weights.padded:
            return np.ascontiguousarray(values, self.weights.dtype)
        wide = np.zeros((len(values), self.weights.padded), self.weights.dtype)
        wide[:, : values.shape[1]] = values
        return wide

    def _masks(self, drawn):
        if drawn is NOTHING_DRAWN:
            return _NO_MASKS
        recurrent = None if drawn.recurrent is None else self._padded(drawn.recurrent)
        update = None if drawn.update is None else np.stack([self._padded(values) for values in drawn.update])
        return recurrence.Masks(recurrent, update)

    def _without_padding(self, states):
        """Return states (N, batch, padded) as a list of arrays (batch, size of the state)."""
        return [states[0, :, : self.weights.output], *states[1:, :, : self.weights.hidden]]

    def _gradient_room(self, room, rows, batch, d_final, masks):
        """Return the arrays that backward writes, with the gradients of the final states in place."""
        take, zeros, weights = room.take, room.zeros, self.weights
        states, padded = len(weights.cell.states), weights.padded
        d_states = take("d_states", states, batch, padded)
        if d_final is None:
            d_states.fill(0)
        else:
            _write_states(d_states, d_final)
        operand = None if masks.recurrent is None else zeros("d_operand", 1, batch, padded)
        n_units = weights.n_units
        return recurrence.Gradients(
            states=d_states,
            units=zeros("d_units", batch, n_units, padded) if n_units else take("d_units", batch, 1, padded),
            through=d_states if operand is None else operand,
            operand=operand,
            late=take("d_late", batch, padded) if weights.late_slots else None,
            output=take("d_output", rows, padded) if weights.has_projection else None,
            carried=None if masks.update is None else take("carried", states, batch, padded),
            row=take("kept row", batch, weights.width) if weights.normalized else None,
        )

    def _add_products(self, forward, totals, dx, weights, rows, sums):
        """Add to the weight gradients what comes from some rows, and compute these rows of dx.

        With `sums`, the rows of gates of the same input are only added up there.
        """
        packing, gates = forward.packing, forward.memory.gates[rows]
        plane = forward.memory.operands[0]  # h as the recurrent product took it
        before = plane[rows] if packing.previous is None else gather(plane, packing.previous[rows], self.n_jobs)
        if sums is None:
            self._run_products(forward, totals, dx[rows], gates, forward.x[rows], before, weights)
            return
        d_input, d_recurrent, d_bias = totals
        totals = d_input[:0], d_recurrent, d_bias[:0]
        self._run_products(forward, totals, dx[:0], gates, dx[:0], before, weights)
        cuts = split(self.weights.width, worth(self.n_jobs, FLOPS_PER_ELEMENT * gates.size), self.weights.lanes)
        run_kernel(add_rows, [(sums, gates, forward.x.ids[rows], *cut) for cut in cuts])

    def _run_products(self, forward, totals, dx, gates, x, before, weights):
        """Run `weight_gradients` on as many threads as it is worth."""
        flops = 2 * len(gates) * (2 * totals[0].size + totals[1].size)
        parties, room = worth(self.n_jobs, flops), borrow_room(self.weights.dtype)
        panels = room.take("product panels", parties, scratch_size(self.weights.dtype))
        arguments = (*totals, dx, gates, x, before, weights.input, weights.input_runs, weights.recurrent_runs, panels)
        self._run(forward.plan, recurrence.weight_gradients, [arguments] * parties)
        give_back(room)


def _write_states(states, values):
    """Write states, a list of arrays (batch, size of the state), to an array (N, batch, padded)."""
    for plane, state in zip(states, values, strict=True):
        columns = state.shape[1]
        plane[:, :columns] = state
        if columns < plane.shape[1]:
            plane[:, columns:] = 0
