"""The passes of one direction of one recurrent layer: a cell, run over packed rows and back."""

from typing import NamedTuple

import numpy as np

from fastrnn._memory import Room, borrow_room, empty_like, give_back
from fastrnn.kernels import recurrence
from fastrnn.kernels.gemm import scratch_size
from fastrnn.kernels.packing import FLOPS_PER_ELEMENT, gather, take
from fastrnn.kernels.recurrent_attention import (
    add_gradients,
    kind_of,
    new_attention,
    new_gradients,
    prepare,
    with_query,
    with_query_backward,
)
from fastrnn.kernels.recurrent_masks import Drawn, draw
from fastrnn.kernels.recurrent_plan import Plan, make_plan, memory_key, new_memory
from fastrnn.kernels.recurrent_weights import DirectionWeights, HeldWeights
from fastrnn.kernels.rows import add_rows
from fastrnn.kernels.threads import compiled_for, run_kernel, split, worth
from fastrnn.kernels.weight_gradients import weight_gradients


class Pass(NamedTuple):
    """Arrays that a forward pass over packed rows keeps for its backward pass.

    Its arrays are in the direction's room, and valid until the next forward pass in training.
    """

    x: object
    plan: Plan
    memory: recurrence.Memory
    weights: recurrence.Weights
    drawn: Drawn
    packing: object
    attended: object  # `Attended`, or None


def make_direction(
    cell, sizes, suffix, parameters, grads, *, place, column, reverse, n_jobs, threads_cut, context_size=0
):
    """Return a direction of a recurrent layer.

    Above the backend this is an opaque object with the methods `Direction.forward`, `Direction.backward` and
    `Direction.held`.

    Parameters
    ----------
    cell : NamedTuple
        See `fastrnn.cells`.
    sizes : tuple of int
        Hidden units H, and columns of the output: H, or the size of the projection.
    suffix : str
        End of the names of this direction's parameters: "l0" or "l0_reverse".
    parameters, grads : dict of str to array of the device
        Those of the layer. Their arrays may be replaced later.
    place : int
        Row of this direction in states (num_layers · directions, B, size).
    column : int
        First column of the outputs that this direction writes.
    reverse : bool
        Whether it reads the sequences backwards.
    n_jobs : int or None
    threads_cut : {"auto", "batch", "units"}
    context_size : int, default=0
        Columns of W_ih, the last ones, that belong to the context of attention, see `Attended`.

    Returns
    -------
    Direction
    """
    weights = DirectionWeights(cell, *sizes, parameters, grads, suffix, context_size)
    return Direction(weights, place, column, reverse, n_jobs, threads_cut)


class Direction:
    """Runs a cell over packed rows, and back.

    Several threads may predict at once, each pass in a room of its own: a direction only remembers its last plan, and
    the room of its passes in training.

    Parameters
    ----------
    weights : DirectionWeights
    place, column, reverse, n_jobs, threads_cut
        See `make_direction`.
    """

    def __init__(self, weights, place, column, reverse, n_jobs, threads_cut):
        self.weights, self.n_jobs, self.threads_cut = weights, n_jobs, threads_cut
        self.place, self.reverse = place, reverse
        self._columns = column, column + weights.output
        self._room = Room(weights.dtype)  # of training: what backward needs is too large to be allocated in each pass
        self._compiled = {}  # see `Plan.compiled`
        self._last_plan = None  # its key and itself: one tuple, so that threads may replace it at any time

    def forward(
        self, y, final, x, initial, packing, regularizers, *, padded, training=False, held=None, all_states=None,
        attended=None,
    ):  # fmt: skip
        """Run all steps.

        Parameters
        ----------
        y : array (R, ·), or (steps · B, ·) if `padded`
            Takes the outputs in this direction's columns; R are the packed rows.
        final : list of array (num_layers · directions, B, size)
            Takes the states after the last step of each sequence, at this direction's place.
        x : Inputs
            Packed: vectors (R, D), or a table (V, D) and its row for each packed row.
        initial : list of array, as `final`, or None
            States to start from; None is zeros.
        packing : Packing
        regularizers : Regularizers or None
            The masks; None where there are none.
        padded : bool
            Whether y has the rows of the padded batch.
        training : bool, default=False
            Whether `backward` will follow.
        held : HeldWeights, default=None
            The result of `held`.
        all_states : list of array (num_layers · directions, T, B, size), default=None
            Takes the states after every step, in the rows of the padded batch.
        attended : Attended, default=None
            What the sequences attend to, where the direction has a `context_size`; then y must be padded.

        Returns
        -------
        Pass or None
            For `backward`, in training.
        """
        weights, keep = self.weights, training or all_states is not None
        room = self._room if training else borrow_room(weights.dtype)
        if self.reverse:
            x = take(x, packing.reverse, self.n_jobs)
        vectors, ids = x
        drawn = draw(regularizers, weights, packing, room, self.n_jobs)
        columns = vectors.shape[1] if ids is None else None
        plan = self._plan(packing, columns, keep, drawn, held is not None, kind_of(attended))
        memory = room.made(plan.memory, new_memory, plan.memory)
        self._set_initial(memory, initial, packing, drawn)
        ready = weights.forward(room, drawn) if held is None else held.weights
        if attended is not None:
            memory, ready = self._attend(attended, memory, ready, packing, len(plan.parts), room, held)
        inputs = x if ids is None else x._replace(vectors=self._table(vectors, ready, room, held))
        y = self._output(y, packing, padded)
        calls = [(y, memory, weights.cell, inputs, ready, drawn.masks, plan.schedule, part) for part in plan.parts]
        self._run(plan, recurrence.recurrence_forward, calls)
        for state, plane in zip(final, memory.states, strict=True):
            packing.write_states(state[self.place], plane[plan.final_rows])
        if all_states is not None:
            self._write_all_states(all_states, memory, packing)
        if training:
            return Pass(x, plan, memory, ready, drawn, packing, attended)
        give_back(room)
        return None

    def backward(self, d_initial, forward, dy, d_final, *, padded, attended=None):
        """Run back through all steps; add to the gradients of the parameters.

        Parameters
        ----------
        d_initial : list of array (num_layers · directions, B, size)
            Takes the gradients of the initial states, at this direction's place.
        forward : Pass
            The result of `forward`. It can be used once: its gates are overwritten.
        dy : array, as y in `forward`
        d_final : list of array, as `d_initial`, or None
            Gradients of the final states; None is zeros.
        padded : bool
            Whether dy has the rows of the padded batch.
        attended : Attended, default=None
            The gradients of what `forward` attended to.

        Returns
        -------
        array (R, D), or (V, D) for a table
            Gradient of the vectors of x.
        """
        (vectors, ids), plan, memory, weights, drawn, packing, given = forward
        room, masks = self._room, drawn.masks
        dy = self._output(dy, packing, padded)
        gradients = self._new_gradients(room, packing, d_final, masks)
        weights = self.weights.backward(weights, room, drawn)
        if attended is not None:
            gradients = gradients._replace(attention=new_gradients(memory.attention, attended, room))
            weights = with_query_backward(weights, given, room)
        dx, totals = empty_like(vectors), self.weights.gradient_totals(room, drawn)
        sums = None if ids is None else room.zeros("sums", len(vectors), self.weights.width)
        for chunk, (start, stop, rows) in enumerate(plan.backward_chunks):
            weights = weights._replace(packed=True) if chunk == 1 else weights  # by the chunk before
            calls = [
                (gradients, memory, self.weights.cell, dy, weights, masks, plan.schedule, part, start, stop)
                for part in plan.parts
            ]
            self._run(plan, recurrence.recurrence_backward, calls)
            self._add_products(forward, totals, dx, weights, rows, sums)
        if sums is not None:
            of_input = totals._replace(recurrent=totals.recurrent[:0])
            self._run_products(plan, of_input, dx, sums, vectors, sums[:0], weights)
        if attended is not None:
            self._add_attention(forward, attended, gradients.attention, totals, weights)
        self.weights.add_gradients(totals, memory, gradients, drawn, self.n_jobs)
        for state, plane in zip(d_initial, gradients.states, strict=True):
            packing.write_states(state[self.place], plane)
        return gather(dx, packing.reverse, self.n_jobs) if self.reverse and ids is None else dx

    def release(self):
        """Release the memory of the last pass in training; there is no `backward` after this."""
        self._room = Room(self.weights.dtype)

    def held(self):
        """Return the weights packed for many passes, which must not change meanwhile."""
        return HeldWeights(self.weights)

    def step_memory(self, initial, packing, drawn, room):
        """Return the memory for single steps from given states on: the states take turns in its two halves."""
        key = memory_key(self.weights, 2 * packing.batch, packing.batch, drawn)
        memory = room.made(key, new_memory, key)
        self._set_initial(memory, initial, packing, drawn)
        return memory

    def _plan(self, packing, columns, keep, drawn, held, attention):
        """Return the plan of a pass: the last one if that pass had the same packing and kinds of arguments."""
        weight_hh, (recurrent, update) = drawn
        kinds = weight_hh is None, recurrent is None, update is None, attention
        key = (packing, columns, keep, *kinds, held, self.n_jobs)
        last = self._last_plan
        if last is None or last[0] != key:
            compiled = self._compiled.setdefault(key[1:], {})  # batches differ in sizes, not in types
            plan = make_plan(self.weights, packing, columns, keep, drawn, held, self.threads_cut, self.n_jobs, compiled)
            self._last_plan = last = key, plan
        return last[1]

    def _run(self, plan, kernel, calls):
        """Run a kernel; from the second time on, call the entry point compiled for such plans, without dispatch."""
        if kernel in plan.compiled:
            run_kernel(plan.compiled[kernel], calls)
        else:
            run_kernel(kernel, calls)
            plan.compiled[kernel] = compiled_for(kernel, calls[0])

    def _table(self, vectors, weights, room, held):
        if held is not None:
            return held.table(vectors, self.n_jobs)
        return self.weights.input_table(vectors, weights, room, self.n_jobs)

    def _output(self, values, packing, padded):
        """Return this direction's columns and rows of the outputs of a layer, or of their gradient."""
        return recurrence.Output(values, packing.output_rows(self.reverse, padded), *self._columns)

    def _set_initial(self, memory, initial, packing, drawn):
        """Write the initial states, zeros if None, to the memory."""
        batch, mask = packing.batch, drawn.masks.recurrent
        if initial is None:
            memory.states[:, :batch] = 0
        else:
            for plane, state in zip(memory.states, initial, strict=True):
                packing.read_states(plane[:batch], state[self.place])
        if mask is not None:
            np.multiply(memory.states[0, :batch], mask, out=memory.masked[0, :batch])

    def _write_all_states(self, all_states, memory, packing):
        """Write the states after every step to the padded batch."""
        rows = packing.unpacking_rows(self.reverse)
        for target, plane in zip(all_states, memory.states, strict=True):
            size = target.shape[-1]
            gather(plane[packing.batch :], rows, self.n_jobs, size, target[self.place].reshape(-1, size))

    def _new_gradients(self, room, packing, d_final, masks):
        """Return the arrays that backward writes, with the gradients of the final states in place."""
        weights = self.weights
        states, padded = len(weights.cell.states), weights.padded
        rows, batch = int(packing.offsets[-1]), packing.batch
        d_states = room.take("d_states", states, batch, padded)
        if d_final is None:
            d_states.fill(0)
        else:
            for plane, state in zip(d_states, d_final, strict=True):
                packing.read_states(plane, state[self.place])
        n_units = weights.n_units
        return recurrence.Gradients(
            states=d_states,
            units=room.zeros("d_units", batch, n_units, padded) if n_units else room.take("d_units", batch, 1, padded),
            masked=None if masks.recurrent is None else room.zeros("d_masked", 1, batch, padded),
            gated=room.take("d_gated", batch, padded) if weights.gated_slots else None,
            output=room.take("d_output", rows, padded) if weights.has_projection else None,
            carried=None if masks.update is None else room.take("carried", states, batch, padded),
            row=room.take("kept row", batch, weights.width) if weights.normalized else None,
            attention=None,
        )

    def _add_products(self, forward, totals, dx, weights, rows, sums):
        """Add the products of some rows to the weight gradients, and compute these rows of dx.

        With `sums`, the rows of gates are summed there by row of the table instead; their products come later.
        """
        (vectors, ids), packing, gates = forward.x, forward.packing, forward.memory.gates[rows]
        plane = (forward.memory.states if forward.memory.masked is None else forward.memory.masked)[0]  # h
        previous = plane[rows] if packing.previous is None else gather(plane, packing.previous[rows], self.n_jobs)
        if sums is None:
            self._run_products(forward.plan, totals, dx[rows], gates, vectors[rows], previous, weights)
            return
        of_state = totals._replace(input=totals.input[:0], bias=totals.bias[:0])
        self._run_products(forward.plan, of_state, dx[:0], gates, dx[:0], previous, weights)
        cuts = split(self.weights.width, worth(self.n_jobs, FLOPS_PER_ELEMENT * gates.size), self.weights.lanes)
        run_kernel(add_rows, [(sums, gates, ids[rows], *cut) for cut in cuts])

    def _attend(self, attended, memory, weights, packing, threads, room, held):
        """Return the memory and the weights of a forward pass with those of what the sequences attend to."""
        prepared = prepare(attended, room, self.n_jobs) if held is None else held.prepared(attended, self.n_jobs)
        # A step reads the rows of a few sources for many hypotheses, and so does the next one.
        table = held.context_table(attended, self.n_jobs) if held is not None and packing.steps == 1 else None
        attention = new_attention(attended, prepared, table, packing, len(memory.gates), threads, room)
        return memory._replace(attention=attention), with_query(weights, prepared)

    def _add_attention(self, forward, attended, gradients, totals, weights):
        """Add to the gradients of the columns of W_ih for the context, and of what `forward` attended to."""
        attention, gates, room = forward.memory.attention, forward.memory.gates, self._room
        of_context = room.zeros("d_weight_c", *weights.attention.context.shape)
        only = totals._replace(input=of_context, recurrent=totals.recurrent[:0], bias=totals.bias[:0])
        contexts = attention.contexts
        self._run_products(forward.plan, only, contexts[:0], gates, contexts, gates[:0], weights)
        self.weights.add_input_gradients(totals.input, of_context)
        add_gradients(attended, gradients, attention, forward.memory.states[0], forward.packing, room, self.n_jobs)

    def _run_products(self, plan, totals, dx, gates, x, previous, weights):
        """Run `weight_gradients` on as many threads as pay."""
        flops = 2 * len(gates) * (2 * totals.input.size + totals.recurrent.size)
        threads, room = worth(self.n_jobs, flops), borrow_room(self.weights.dtype)
        scratch = room.take("product panels", threads, scratch_size(self.weights.dtype))
        arguments = (totals, dx, gates, x, previous, weights.input, weights.blocks, scratch)
        self._run(plan, weight_gradients, [arguments] * threads)
        give_back(room)
