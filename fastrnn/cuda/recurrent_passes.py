"""The passes of one direction of one recurrent layer: a cell, run over packed rows and back."""

from typing import NamedTuple

from fastrnn.cuda import stages
from fastrnn.cuda.arrays import asarray, zeros
from fastrnn.cuda.blas import Matrix
from fastrnn.cuda.embedding import embedding_backward
from fastrnn.cuda.gpu import device
from fastrnn.cuda.packing import make_packing
from fastrnn.cuda.recurrent_attention import add_gradients, new_attention, read_gradients, write_attended
from fastrnn.cuda.recurrent_masks import Drawn, draw
from fastrnn.cuda.recurrent_memory import Gradients, Memory
from fastrnn.cuda.recurrent_weights import TABLE_ROWS, DirectionWeights, HeldWeights, Prepared
from fastrnn.cuda.room import Room
from fastrnn.cuda.rows import copy_rows, gather
from fastrnn.cuda.stepwise import normalized_layout, row_threads
from fastrnn.cuda.time_loop import TimeLoop
from fastrnn.utils.recurrent import Inputs

_PIECE_BYTES = 1 << 26  # of pre-activations that a prediction computes together
_KEPT_BYTES = 1 << 28  # at most, of the workspace that a direction keeps for its next predictions
_KEPT_LOOPS = 2  # of a workspace: a long prediction has pieces of one length, and a last one


class Pass(NamedTuple):
    """What a forward pass over packed rows keeps for its backward pass.

    Its arrays are in the direction's workspace, and valid until the next forward pass in training.
    """

    x: Inputs  # as given
    rows: object  # (R, D), the vectors of all rows, or None where the input's products came from a table
    memory: Memory
    prepared: Prepared
    drawn: Drawn
    packing: object
    loop: object


def make_direction(
    cell, sizes, suffix, parameters, grads, *, place, column, reverse, n_jobs, threads_cut, context_size=0,
    precision="highest",
):  # fmt: skip
    """Return a direction of a recurrent layer, as `fastrnn.kernels.recurrent_passes.make_direction`."""
    weights = DirectionWeights(cell, *sizes, parameters, grads, suffix, precision, context_size)
    return Direction(weights, place, column, reverse)


class Workspace:
    """What a pass computes in: a room, and time loops on its arrays. Only one pass at a time uses it.

    A pass finds the arrays of the one before: its launches are prepared, or captured as a graph.

    Parameters
    ----------
    weights : DirectionWeights
    """

    def __init__(self, weights):
        self._weights, self.room, self._loops = weights, Room(weights.dtype), {}

    def loop(self, packing, drawn):
        """Return the time loop of a pass: that of the last passes, if one of them had the same packing and masks."""
        recurrent, update = drawn.masks
        key = packing, recurrent is None, update is None
        loop = self._loops.pop(key, None)
        while len(self._loops) >= _KEPT_LOOPS:
            del self._loops[next(iter(self._loops))]  # the oldest one
        self._loops[key] = loop = TimeLoop(self._weights, packing) if loop is None else loop
        return loop


class Direction:
    """Runs a cell over packed rows, and back.

    Several threads may predict at once, each pass in a workspace of its own.

    Parameters
    ----------
    weights : DirectionWeights
    place, column, reverse
        See `fastrnn.kernels.recurrent_passes.make_direction`.
    """

    def __init__(self, weights, place, column, reverse):
        self.weights, self.place, self.reverse = weights, place, reverse
        self._column = column
        self._training = Workspace(weights)
        self._free = []  # workspaces of predictions: threads take them out and put them back

    def release(self):
        """Release the memory of the last passes; there is no `backward` after this."""
        self._training, self._free = Workspace(self.weights), []

    def held(self):
        """Return the weights prepared for many passes, which must not change meanwhile."""
        return HeldWeights(self.weights)

    # ---------------------------------------------------------------------------------------------------- forward

    def forward(
        self, y, final, x, initial, packing, regularizers, *, padded, training=False, held=None, all_states=None,
        attended=None,
    ):  # fmt: skip
        """Run all steps; see `fastrnn.kernels.recurrent_passes.Direction.forward`."""
        options = {"padded": padded, "held": held, "attended": attended}
        if training:
            passed = self._training, y, final, x, initial, packing, regularizers
            return self._pass(*passed, **options, keep=True, all_states=all_states)
        try:
            workspace = self._free.pop()
        except IndexError:
            workspace = Workspace(self.weights)
        passed = workspace, y, final, x, initial, packing, regularizers
        steps = packing.steps if all_states is not None else self._steps_at_once(packing, padded)
        if steps < packing.steps:
            self._pass_in_pieces(steps, *passed, **options)
        else:
            self._pass(*passed, **options, all_states=all_states)
        if workspace.room.nbytes <= _KEPT_BYTES:
            self._free.append(workspace)
        return None

    def _pass(
        self, workspace, y, final, x, initial, packing, regularizers, *, padded, held, attended, keep=False,
        all_states=None,
    ):  # fmt: skip
        """Run all steps in a workspace; return the `Pass` with `keep`."""
        weights, room = self.weights, workspace.room
        if self.reverse:
            x = packing.taken(x, "reverse")
        drawn = draw(regularizers, weights, packing, room)
        memory = self._new_memory(packing, drawn, room)
        if attended is not None:
            memory = memory._replace(attention=new_attention(attended, packing, room))
        prepared = weights.prepared(room, drawn) if held is None else held.prepared
        rows = self._write_products(memory, x, prepared, held, room)
        if initial is not None:
            for plane, state in zip(self._planes(memory.states), initial, strict=True):
                packing.read_states(plane.part(0, packing.batch), self._own(state))
        loop = workspace.loop(packing, drawn)

        def run():
            if rows is not None:
                weights.add_biases(memory.gates, prepared)
            self._begin(memory, initial is None, packing, drawn)
            loop.forward(memory, prepared.loop, drawn.masks, keep=keep)

        loop.repeat(("forward", keep, rows is None, initial is None), lambda: [memory, prepared, drawn], run)
        if attended is not None:
            write_attended(attended, memory.attention, packing)
        planes = self._planes(memory.states)
        gather(y, planes[0], packing.uploaded("source_rows", self.reverse, padded), columns=weights.output,
               out_column=self._column, source_row=packing.batch)  # fmt: skip
        for state, plane in zip(final, planes, strict=True):
            packing.write_final(self._own(state), plane)
        if all_states is not None:
            numbers = packing.uploaded("source_rows", self.reverse, True)
            for state, plane in zip(all_states, planes, strict=True):
                target = self._own(state)
                gather(target.reshaped((-1, target.shape[-1])), plane, numbers, source_row=packing.batch)
        return Pass(x, rows, memory, prepared, drawn, packing, loop) if keep else None

    def _steps_at_once(self, packing, padded):
        """Return how many steps of a prediction are computed together: all but for long batches in packed order."""
        if not packing.is_full or packing.target_rows(self.reverse, padded) is not None:
            return packing.steps
        step_bytes = packing.batch * self.weights.width * self.weights.dtype.itemsize
        most = max(1, _PIECE_BYTES // max(step_bytes, 1))
        pieces = -(-packing.steps // most)
        return -(-packing.steps // max(pieces, 1))  # of about one length, for which launches are prepared once

    def _pass_in_pieces(self, steps, workspace, y, final, x, initial, packing, regularizers, *, padded, held, attended):
        """Run all steps, `steps` at a time, so that only the output grows with their number."""
        batch, held = packing.batch, HeldWeights(self.weights, workspace.room) if held is None else held
        all_attended = attended
        for begin in range(0, packing.steps, steps):
            end = min(begin + steps, packing.steps)
            first, last = begin * batch, end * batch
            rows = Inputs(x.vectors.part(first, last)) if x.ids is None else Inputs(x.vectors, x.ids[first:last])
            piece = make_packing(end - begin, batch)
            own = workspace, y.part(first, last), final, rows, initial, piece, regularizers
            if attended is not None:
                contexts, shares = (array.part(begin, end) for array in all_attended[:2])
                attended = all_attended._replace(contexts=contexts, weights=shares)
            self._pass(*own, padded=padded, held=held, attended=attended)
            initial = final

    def _own(self, state):
        """Return this direction's part of a state (num_layers · directions, …)."""
        return state.part(self.place, self.place + 1).reshaped(state.shape[1:])

    @staticmethod
    def _planes(states):
        """Return the matrix of each of the states."""
        return [states.part(k, k + 1).reshaped(states.shape[1:]) for k in range(len(states))]

    def _new_memory(self, packing, drawn, room):
        """Return the arrays that forward writes."""
        weights, rows, batch = self.weights, int(packing.offsets[-1]), packing.batch
        hidden = weights.hidden
        masked = drawn.masks.recurrent is not None and weights.recurrent_rows
        return Memory(
            gates=room.take("gates", rows, weights.width),
            states=room.take("states", len(weights.cell.states), batch + rows, hidden),
            masked=room.take("masked", batch + rows, hidden) if masked else None,
            gated=room.take("gated", rows, hidden) if weights.gated_slots else None,
            raw=room.take("raw", rows, hidden) if weights.has_projection else None,
            standardized=room.take("standardized", rows, hidden) if weights.standardizes else None,
            scales=room.take("scales", rows, 3) if weights.normalized or weights.standardizes else None,
        )

    def _write_products(self, memory, x, prepared, held, room):
        """Write the products of the inputs to gates; return the vectors of all rows.

        Where a table has the products, with all biases, nothing else is to be added: None is returned.
        """
        weights, (vectors, ids), gates = self.weights, x, memory.gates
        tabulated = ids is not None and (len(vectors) <= len(ids) or (held is not None and len(vectors) <= TABLE_ROWS))
        if tabulated:
            table = weights.input_table(vectors, prepared, room) if held is None else held.table(vectors)
            copy_rows(gates, table, asarray(ids))
            return None
        rows = vectors
        if ids is not None:
            rows = room.take("rows", len(ids), weights.columns)
            copy_rows(rows, vectors, asarray(ids))
        weights.multiply_inputs(gates, rows, prepared)
        return rows

    def _begin(self, memory, from_zeros, packing, drawn):
        """Standardize pre-activations, set initial states to zeros and mask them, where that is asked for."""
        gates, hidden = memory.gates, self.weights.hidden
        if self.weights.normalized and memory.attention is None and len(gates):
            threads, layout = row_threads(hidden), normalized_layout(self.weights.cell, hidden)
            stages.standardize_inputs.launch(min(len(gates), device().blocks), threads, gates, memory.scales, layout,
                                             hidden, 0, len(gates), shared=threads * gates.dtype.itemsize)  # fmt: skip
        if from_zeros:
            for plane in self._planes(memory.states):
                device().clear(plane.part(0, packing.batch))
        if memory.masked is not None:
            mask = drawn.masks.recurrent
            stages.mask_states.over_matrix(*mask.shape, memory.masked, memory.states, mask)

    # --------------------------------------------------------------------------------------------------- backward

    def backward(self, d_initial, forward, dy, d_final, *, padded, attended=None):
        """Run back through all steps; see `fastrnn.kernels.recurrent_passes.Direction.backward`."""
        (vectors, ids), rows, memory, prepared, drawn, packing, loop = forward
        weights, room, gates = self.weights, self._training.room, memory.gates
        gradients = self._read_gradients(packing, dy, d_final, padded, room)
        if attended is not None:
            of_attention = read_gradients(attended, memory.attention, packing, room)
            gradients = gradients._replace(attention=of_attention)
        from_zeros, grads = d_final is None, weights.own_grads()
        loop.repeat(
            ("backward", rows is None, from_zeros),
            lambda: [gradients, memory, prepared, drawn, grads, room.changes],
            lambda: self._run_back(gradients, from_zeros, forward),
        )
        if attended is not None:
            before = self._previous(self._planes(memory.states)[0], packing, room)
            add_gradients(attended, gradients.attention, memory, before, packing, weights.precision)
        if rows is None:
            sums = room.zeros("sums", len(vectors), weights.width)
            embedding_backward(sums, gates, ids, -1)
            gates, rows = sums, vectors
            weights.add_bias_gradients(gates, room)
        weights.add_input_gradients(gates, rows)
        dx = weights.input_gradient(gates, prepared)
        for state, plane in zip(d_initial, self._planes(gradients.states), strict=True):
            packing.write_states(self._own(state), plane)
        if ids is not None and rows is not vectors:
            d_table = zeros(vectors.shape, vectors.dtype)
            embedding_backward(d_table, dx, ids, -1)
            return d_table
        return packing.taken(Inputs(dx), "reverse").vectors if self.reverse and ids is None else dx

    def _read_gradients(self, packing, dy, d_final, padded, room):
        """Return the arrays of the backward loop, with the gradients of the output and of the final states, if any."""
        weights, rows, batch = self.weights, int(packing.offsets[-1]), packing.batch
        d_output = room.take("d_output", rows, weights.output)
        gather(d_output, dy, packing.uploaded("target_rows", self.reverse, padded), source_column=self._column)
        d_states = room.take("d_states", len(weights.cell.states), batch, weights.hidden)
        if d_final is not None:
            for plane, state in zip(self._planes(d_states), d_final, strict=True):
                packing.read_states(plane, self._own(state))
        units = room.take("d_units", batch, weights.n_units, weights.hidden) if weights.n_units else None
        return Gradients(d_output, d_states, units)

    def _run_back(self, gradients, from_zeros, forward):
        """Run back through all steps, and add to the gradients of all parameters but those of the inputs."""
        weights, room, memory, packing = self.weights, self._training.room, forward.memory, forward.packing
        if from_zeros:
            device().clear(gradients.states)
        if gradients.units is not None:
            device().clear(gradients.units)
        forward.loop.backward(gradients, memory, forward.prepared.loop, forward.drawn.masks)
        read = self._planes(memory.states)[0] if memory.masked is None else memory.masked
        previous = self._previous(read, packing, room)
        weights.add_recurrent_gradients(memory, gradients, previous, forward.drawn, room)
        if memory.attention is not None:
            weights.add_context_gradients(memory.gates, memory.attention.contexts)
        if forward.rows is not None:
            weights.add_bias_gradients(memory.gates, room)

    def _previous(self, plane, packing, room):
        """Return h before each row, from a plane (B + R, ·) that begins with the initial ones: (R, P)."""
        rows, size = int(packing.offsets[-1]), self.weights.output
        if packing.previous is None:
            return Matrix(plane, 0, size, 0, rows)
        previous = room.take("previous", rows, size)
        gather(previous, plane, packing.uploaded("previous"))
        return previous
