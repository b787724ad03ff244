"""One direction of one recurrent layer: a cell, run over packed rows."""

import contextlib
import functools
import math
import operator
from typing import NamedTuple

import numpy as np

from fastrnn._memory import aligned, empty_like
from fastrnn.cells._cell import count_units, declared
from fastrnn.kernels import recurrence
from fastrnn.kernels.dense import product
from fastrnn.kernels.gemm import pack, packed_size, scratch_size
from fastrnn.kernels.generation import LayerStep
from fastrnn.kernels.rows import add_rows
from fastrnn.kernels.threads import compiled_for, run_kernel, scratch, split, worth
from fastrnn.layers._packing import FLOPS_PER_ELEMENT, Embedded, gather
from fastrnn.simd import lanes_of

_CHUNK_BYTES = 1 << 18  # pre-activations of a chunk of steps: to stay in the second-level cache of a core
_BACKWARD_BYTES = 6 << 20  # gradients of pre-activations until they are multiplied: to stay in the third-level cache
_MOST_VIEWS = 500
# Threads cut the hidden units if more of them are busy then. A thread is busy with so many sequences, or with so large
# a part of the weight that its part of a step is longer than the wait at a barrier.
_FEW_SEQUENCES = 4
_LEAST_BYTES = 1 << 17


class Workspace:
    """Arrays that are kept from call to call, since fresh memory costs a page fault every 4 KB."""

    def __init__(self, dtype):
        self.dtype = dtype
        self._arrays = {}
        self._views = {}

    def __reduce__(self):
        return Workspace, (self.dtype,)  # copies and files do not need what is in it

    def take(self, name, *shape):
        """Return an array of `shape` with arbitrary contents, valid until `name` is taken again."""
        view = self._views.get((name, shape))
        if view is None:
            size = math.prod(shape)
            array = self._arrays.get(name)
            if array is None or array.size < size:
                self._arrays[name] = array = aligned(size, self.dtype)
                self._views.clear()
            elif len(self._views) > _MOST_VIEWS:
                self._views.clear()
            self._views[name, shape] = view = array[:size].reshape(shape)
        return view

    def zeros(self, name, *shape):
        """Return an array of zeros, valid until `name` is taken again."""
        array = self.take(name, *shape)
        array.fill(0)
        return array


class Drawn(NamedTuple):
    """Masks that were drawn for one pass, or None where there are none.

    Attributes
    ----------
    weight_hh : ndarray (G · H, output)
        Factors of the recurrent weight (DropConnect).
    recurrent : ndarray (B, output)
        Factors of h in the recurrent product, the same at every step.
    update : list of ndarray (R or 1, size of the state)
        Share of the new value for each state (zoneout).
    """

    weight_hh: np.ndarray | None = None
    recurrent: np.ndarray | None = None
    update: list | None = None


class Plan(NamedTuple):
    """Where and how a pass is computed: what depends on its shapes alone."""

    parts: list  # what each thread does, see `kernels.recurrence`
    chunk: int
    schedule: recurrence.Schedule
    memory: recurrence.Memory
    last: object  # rows of the final states in the memory's states: a slice or an array
    backward_chunks: list  # see `Direction._backward_chunks`
    compiled: dict  # what each kernel runs for the types that all passes of such plans have


class Direction:
    """Runs a cell over packed rows, and back.

    Pre-activations stand slot by slot with the hidden units padded to whole vectors; parameters and gradients have
    torch's layout, gate by gate, and are read and written as they stand.

    Parameters
    ----------
    cell : NamedTuple
    hidden : int
        Units, H.
    output : int
        Length of h: H, or the size of the projection.
    parameters, grads : dict of str to ndarray
        Those of the layer; this direction's names end in `suffix`.
    suffix : str
    n_jobs : int or None
    cut : {"auto", "batch", "units"}
        What threads cut.
    """

    def __init__(self, cell, hidden, output, parameters, grads, suffix, n_jobs, cut):
        self.cell, self.hidden, self.output = cell, hidden, output
        self.parameters, self.grads, self.suffix, self.n_jobs, self.cut = parameters, grads, suffix, n_jobs, cut
        weight_ih = parameters[f"weight_ih_{suffix}"]
        self.dtype, self.lanes = weight_ih.dtype, lanes_of(weight_ih)
        self.padded = -(-hidden // self.lanes) * self.lanes
        self.late_slots = declared(cell, "late_slots")
        # A row of a multiple of 2 KB would put a column of all rows into a few sets of the cache.
        self.width = len(cell.slots) * self.padded
        if self.width * self.dtype.itemsize % 2048 == 0:
            self.width += self.lanes
        spans = []
        for slots in (cell.input_slots, cell.recurrent_slots, self.late_slots):
            spans += [min(slots, default=0) * self.padded, len(slots) * self.padded]
        standardized = declared(cell, "standardized_state")
        self.spans = (*spans, hidden, len(cell.gates), -1 if standardized is None else standardized)
        self.has_projection = f"weight_hr_{suffix}" in parameters
        self.normalized, self.standardizes = declared(cell, "normalized"), standardized is not None
        self.n_units = count_units(cell)
        self.input_runs, self.recurrent_runs = self._runs(cell.input_slots), self._runs(cell.recurrent_slots)
        self.recurrent_rows = len(cell.recurrent_slots) * hidden  # of W_hh; those for the late slots follow
        # Whether the weights are the parameters themselves, so that a pass only has to add up the biases anew.
        self._is_plain = not (self.n_units or self.late_slots or self.has_projection)
        slots = {"bias_ih": cell.input_slots, "bias_hh": cell.recurrent_slots + self.late_slots}
        self.biases = [
            (f"{name}_{suffix}", _runs(places)) for name, places in slots.items() if f"{name}_{suffix}" in parameters
        ]
        self.work = Workspace(self.dtype)
        self._compiled = {}
        self.kept = self._held = self._held_table = self._last_plan = self._bias_sum = self._plain = None

    def __getstate__(self):
        rest = dict.fromkeys(("kept", "_held", "_held_table", "_last_plan", "_bias_sum", "_plain"))
        return {**vars(self), **rest, "_compiled": {}}

    # ---------------------------------------------------------------------------------------------------- weights

    def _runs(self, slots):
        """Return where gates stand that follow each other as their slots do, see `recurrence.Weights`: (·, 3)."""
        runs = _runs(slots) if self.padded == self.hidden else [(slot, slot + 1, k) for k, slot in enumerate(slots)]
        runs = [(gate * self.hidden, (end - slot) * self.hidden, slot * self.padded) for slot, end, gate in runs]
        return np.array(runs, np.int64).reshape(-1, 3)

    def _parameter(self, name):
        """Return a parameter as the kernels read it, also where somebody has put another array in its place."""
        return np.ascontiguousarray(self.parameters[f"{name}_{self.suffix}"], self.dtype)

    def _recurrent_weights(self, drawn):
        """Return W_hh for the recurrent product, without rows where there is none, and for the late one, or None."""
        if not (self.recurrent_rows or self.late_slots):
            return self.work.take("none", 0, self.output), None
        weight = self._parameter("weight_hh")
        if drawn.weight_hh is not None:
            weight = weight * drawn.weight_hh
        return (weight[: self.recurrent_rows], weight[self.recurrent_rows :]) if self.late_slots else (weight, None)

    def _bias(self):
        """Return the sum of both biases, slot by slot: (slots · padded,)."""
        arrays = [self.parameters[name] for name, _ in self.biases]
        if self._bias_sum is None or not all(map(operator.is_, arrays, self._bias_sum[0])):
            total = self.work.take("bias", len(self.cell.slots), self.padded)
            terms = [
                (total[begin:end, : self.hidden], values.reshape(-1, self.hidden)[row : row + end - begin])
                for values, (_, runs) in zip(arrays, self.biases, strict=True)
                for begin, end, row in runs
            ]
            self._bias_sum = arrays, total.reshape(-1), terms
        _, total, terms = self._bias_sum
        total.fill(0)
        for part, term in terms:
            np.add(part, term, out=part)
        return total

    def _units(self):
        """Return the parameters of each unit: (unit parameters, padded)."""
        if not self.n_units:
            return self.work.take("units", 1, self.padded)
        units = self.work.zeros("units", self.n_units, self.padded)
        first = 0
        for name, count in declared(self.cell, "parameters"):
            units[first : first + count, : self.hidden] = self.parameters[f"{name}_{self.suffix}"].reshape(count, -1)
            first += count
        return units

    def _packed(self, name, weight, transposed):
        """Return a weight (or its transpose) packed for products."""
        if weight is None:
            return None
        rows, columns = weight.shape
        depth, width = (columns, rows) if transposed else (rows, columns)
        panels = self.work.take(f"{name} packed", packed_size(depth, width, weight.dtype))
        pack(panels, weight, 0, *((1, columns) if transposed else (columns, 1)), depth, width)
        return panels

    def _projection(self, transposed):
        if not self.has_projection:
            return None
        weight = self._parameter("weight_hr")  # (output, H)
        if transposed:  # of raw, whose rows are padded
            wide = self.work.zeros("weight_hr", self.output, self.padded)
            wide[:, : self.hidden] = weight
            return self._packed("weight_hr", wide, True)
        return self._packed("weight_hr back", weight, False)

    def _parts(self, packing, columns):
        """Return what each thread does, (first, last, begin, end): sequences and units. See `recurrence`."""
        rows = int(packing.offsets[-1])
        threads = worth(self.n_jobs, 2 * rows * len(self.cell.gates) * self.padded * (columns + self.output))
        cutting_units = self._threads_for_units(packing.batch, threads)
        if cutting_units > 1:
            return [(0, packing.batch, *units) for units in split(self.padded, cutting_units, self.lanes)]
        return [(*sequences, 0, self.padded) for sequences in packing.shards(threads)]

    def _threads_for_units(self, batch, threads):
        """Return how many of `threads` are to cut the hidden units; 1 if they are to cut the batch."""
        weight_bytes = self.spans[3] * self.padded * self.dtype.itemsize
        if self.late_slots or self.normalized or self.standardizes or self.has_projection or self.is_held:
            return 1  # stages between the product and the cell that need all units of a row
        most = min(threads, self.padded // self.lanes)
        if self.cut != "auto":
            return most if self.cut == "units" else 1
        units = min(most, weight_bytes // _LEAST_BYTES)
        sequences = min(threads, max(1, batch // _FEW_SEQUENCES))  # threads that the batch keeps busy
        return units if units > sequences else 1

    # ----------------------------------------------------------------------------------------------------- passes

    def _memory(self, rows, gate_rows, drawn):
        """Return the arrays that forward writes."""
        take, padded = self.work.take, self.padded
        states = take("states", len(self.cell.states), rows, padded)
        operands = states if drawn.recurrent is None else take("operands", 1, rows, padded)
        return recurrence.Memory(
            gates=take("gates", gate_rows, self.width),
            states=states,
            operands=operands,
            late=take("late", gate_rows, padded) if self.late_slots else None,
            raw=take("raw", gate_rows, padded) if self.has_projection else None,
            standardized=take("standardized", gate_rows, padded) if self.standardizes else None,
            scales=take("scales", gate_rows, 3) if self.normalized else None,
        )

    def _set_initial(self, memory, batch, initial, drawn):
        """Put the initial states, or zeros where they are None, in their place."""
        _write_states(memory.states[:, :batch], initial)
        if drawn.recurrent is not None:
            memory.operands[0, :batch] = memory.states[0, :batch] * self._padded(drawn.recurrent)

    def _padded(self, values):
        """Return an array (rows, n) with its columns padded with zeros."""
        if values.shape[1] == self.padded:
            return np.ascontiguousarray(values, self.dtype)
        wide = np.zeros((len(values), self.padded), self.dtype)
        wide[:, : values.shape[1]] = values
        return wide

    def _masks(self, drawn):
        recurrent = None if drawn.recurrent is None else self._padded(drawn.recurrent)
        update = None if drawn.update is None else np.stack([self._padded(values) for values in drawn.update])
        return recurrence.Masks(recurrent, update)

    def forward(self, y, x, initial, packing, keep, drawn):
        """Run all steps.

        Parameters
        ----------
        y : Output
            What is written to.
        x : ndarray (R, D) or Embedded
            Packed rows, or ids (R,).
        initial : list of ndarray (batch, size of the state) or None
            Initial states, in packed order; None is zeros.
        packing : Packing
        keep : bool
            Whether `backward` will follow.
        drawn : Drawn

        Returns
        -------
        final : list of ndarray (batch, size of the state)
        """
        plan = self._plan(packing, None if isinstance(x, Embedded) else x.shape[1], keep, drawn)
        self._set_initial(plan.memory, packing.batch, initial, drawn)
        weights = self._forward_weights(drawn) if self._held is None else self._held
        masks = self._masks(drawn)
        inputs = (self.input_table(x.vectors, weights), x.ids) if isinstance(x, Embedded) else (x, None)
        calls = [
            (y, plan.memory, self.cell, *inputs, weights, masks, plan.schedule, part, plan.chunk, keep, self.is_held)
            for part in plan.parts
        ]
        self._run(plan, recurrence.recurrence_forward, calls)
        self.kept = (x, plan, weights, masks, packing, drawn) if keep else None
        return self._without_padding(plan.memory.states[:, plan.last])

    def input_table(self, vectors, weights):
        """Return the input's part of the pre-activations for each vector, bias included: (V, input columns)."""
        if self._held_table is not None and self._held_table[0] is vectors:
            return self._held_table[1]
        begin, columns = self.spans[:2]
        products = self.work.take("input products", len(vectors), len(weights.input))
        for row, rows, column in self.input_runs:
            products[:, row : row + rows] = weights.bias[column : column + rows]
        product(products, vectors, weights.input.T, self.n_jobs)
        table = self.work.zeros("input table", len(vectors), columns)
        for row, rows, column in self.input_runs:
            table[:, column - begin : column - begin + rows] = products[:, row : row + rows]
        self._held_table = (vectors, table) if self.is_held else None
        return table

    def _plan(self, packing, columns, keep, drawn):
        """Return where and how a pass is computed; the same as for the pass before, if that was alike."""
        key = (packing, columns, keep, *(part is None for part in drawn), self.is_held, self.n_jobs)
        if self._last_plan is None or self._last_plan[0] != key:
            compiled = self._compiled.setdefault(key[1:], {})  # batches differ in sizes, not in types
            self._last_plan = key, self._new_plan(packing, columns, keep, drawn, compiled)
        return self._last_plan[1]

    def _new_plan(self, packing, columns, keep, drawn, compiled):
        rows, steps, batch = int(packing.offsets[-1]), len(packing.offsets) - 1, packing.batch
        parts = self._parts(packing, columns or 0)
        largest = max(part[1] - part[0] for part in parts)
        chunk = max(1, min(steps, _CHUNK_BYTES // (max(1, largest) * self.width * self.dtype.itemsize)))
        gate_rows, state_rows = packing.schedule(None if keep else chunk)
        if packing.is_full:
            last = slice(int(state_rows[-1]), int(state_rows[-1]) + batch)
        else:
            last = state_rows[packing.lengths] + np.arange(batch)
        sizes = (batch + rows, rows) if keep else (2 * batch, chunk * batch)
        return Plan(
            parts=parts,
            chunk=chunk,
            schedule=recurrence.Schedule(packing.offsets, gate_rows, state_rows, self.spans),
            memory=self._memory(*sizes, drawn),
            last=last,
            backward_chunks=self._backward_chunks(packing.offsets) if keep else [],
            compiled=compiled,
        )

    def _run(self, plan, kernel, calls):
        """Run a kernel; from the second time on, what is compiled for the types of such plans is not looked up."""
        if kernel in plan.compiled:
            run_kernel(plan.compiled[kernel], calls)
        else:
            run_kernel(kernel, calls)
            plan.compiled[kernel] = compiled_for(kernel, calls[0])

    def _forward_weights(self, drawn):
        """Return the weights for the forward pass."""
        plain = self._plain
        if drawn.weight_hh is None and plain is not None and self._are_parameters(plain):
            self._bias()
            return plain
        weight, (recurrent, late) = self._parameter("weight_ih"), self._recurrent_weights(drawn)
        weights = recurrence.Weights(
            input=weight,
            recurrent=recurrent,
            input_runs=self.input_runs,
            recurrent_runs=self.recurrent_runs,
            input_panels=self.work.take("input panels", self.spans[1] * weight.shape[1]),
            recurrent_panels=self._recurrent_panels(),
            late=self._packed_late(late, True),
            projection=self._projection(True),
            bias=self._bias(),
            units=self._units(),
        )
        self._plain = weights if self._is_plain and self._are_parameters(weights) else None
        return weights

    def _are_parameters(self, weights):
        """Return whether weights are the parameters themselves, and not made from them."""
        names = f"weight_ih_{self.suffix}", f"weight_hh_{self.suffix}"
        return weights.input is self.parameters[names[0]] and weights.recurrent is self.parameters[names[1]]

    def _recurrent_panels(self):
        """Return room for the panels of W_hh or its transpose."""
        return self.work.take("recurrent panels", self.spans[3] * (-(-self.output // self.lanes) * self.lanes))

    @property
    def is_held(self):
        """Whether `held` is in force."""
        return self._held is not None

    @contextlib.contextmanager
    def held(self):
        """Pack the weights and multiply the same vectors with them once for all forward passes within.

        Neither must change meanwhile.
        """
        weights = self._forward_weights(Drawn())
        for panels, weight, runs, spans in (
            (weights.input_panels, weights.input, weights.input_runs, self.spans[:2]),
            (weights.recurrent_panels, weights.recurrent, weights.recurrent_runs, self.spans[2:4]),
        ):
            recurrence.pack_weights(panels, weight, runs, *spans, self.padded)
        self._held = weights
        try:
            yield
        finally:
            self._held = self._held_table = None

    def step_arrays(self, x, vectors, y, batch, initial, drawn):
        """Return the `LayerStep` of a batch for single steps from given states on, under `held`.

        With `vectors` the first layer's table has a row for each of them.
        """
        memory = self._memory(2 * batch, batch, drawn)
        self._set_initial(memory, batch, initial, drawn)
        if vectors is None:
            table = self.work.take("step inputs", batch, self.spans[1])
        else:
            table = self.input_table(vectors, self._held)
        return LayerStep(x, table, np.arange(batch, dtype=np.int32), y, memory, self._held, self._masks(drawn))

    def step_schedules(self, batch):
        """Return the schedules of two single steps, from the first half of the states to the second and back."""
        offsets, none = np.array([0, batch]), np.zeros(1, np.intp)
        return tuple(
            recurrence.Schedule(offsets, none, np.array(rows), self.spans) for rows in ([0, batch], [batch, 0])
        )

    def _packed_late(self, late, transposed):
        """Return the late weight packed; its operands have padded rows."""
        if late is None:
            return None
        wide = self.work.zeros("late wide", len(self.late_slots), self.padded, self.padded)
        for gate, slot in enumerate(self.late_slots):
            rows = late[gate * self.hidden : (gate + 1) * self.hidden]
            wide[slot - min(self.late_slots), : self.hidden, : self.hidden] = rows
        return self._packed("late" if transposed else "late back", wide.reshape(-1, self.padded), transposed)

    def all_states(self):
        """Return every state after each packed row of the last pass that kept something: list of (R, H)."""
        _, plan, _, _, packing, _ = self.kept
        return [plane[packing.batch :] for plane in plan.memory.states]

    def backward(self, dy, d_final):
        """Run back through all steps; add to the gradients of the parameters.

        Parameters
        ----------
        dy : Output
        d_final : list of ndarray (batch, size of the state) or None
            Gradients of the final states, in packed order; None is zeros.

        Returns
        -------
        dx : ndarray (R, D)
            Of an `Embedded` x the gradient of its vectors, (V, D).
        d_initial : list of ndarray (batch, size of the state)
        """
        x, plan, weights, masks, packing, drawn = self.kept
        self.kept = None  # gates are overwritten: there is no second time
        gradients = self._gradient_room(int(packing.offsets[-1]), packing.batch, d_final, masks)
        if self.late_slots or self.has_projection:
            weights = weights._replace(
                late=self._packed_late(self._recurrent_weights(drawn)[1], False), projection=self._projection(False)
            )
        vectors, sums = x, None
        if isinstance(x, Embedded):
            vectors, sums = x.vectors, self.work.zeros("sums", len(x.vectors), self.width)
        dx, totals = empty_like(vectors), self._gradient_totals(drawn)
        for chunk, (start, stop, rows) in enumerate(plan.backward_chunks):
            calls = [
                (gradients, plan.memory, self.cell, dy, weights, masks, plan.schedule, part, start, stop, chunk > 0)
                for part in plan.parts
            ]
            self._run(plan, recurrence.recurrence_backward, calls)
            self._add_products(totals, dx, x, plan, weights, packing, rows, sums)
        if sums is not None:
            d_input, d_recurrent, d_bias = totals
            self._run_products(plan, (d_input, d_recurrent[:0], d_bias), dx, sums, vectors, sums[:0], weights)
        self._add_gradients(totals, plan.memory, gradients, drawn)
        return dx, self._without_padding(gradients.states)

    def _without_padding(self, states):
        """Return states (N, batch, padded) as a list of arrays (batch, size of the state)."""
        return [states[0, :, : self.output], *states[1:, :, : self.hidden]]

    def _gradient_room(self, rows, batch, d_final, masks):
        """Return the arrays that backward writes, with the gradients of the final states in place."""
        take, zeros, padded = self.work.take, self.work.zeros, self.padded
        d_states = take("d_states", len(self.cell.states), batch, padded)
        _write_states(d_states, d_final)
        operand = None if masks.recurrent is None else zeros("d_operand", 1, batch, padded)
        return recurrence.Gradients(
            states=d_states,
            units=zeros("d_units", batch, self.n_units, padded) if self.n_units else take("d_units", batch, 1, padded),
            through=d_states if operand is None else operand,
            operand=operand,
            late=take("d_late", batch, padded) if self.late_slots else None,
            output=take("d_output", rows, padded) if self.has_projection else None,
            carried=None if masks.update is None else take("carried", len(self.cell.states), batch, padded),
            row=take("kept row", batch, self.width) if self.normalized else None,
        )

    # -------------------------------------------------------------------------------------------------- gradients

    def _backward_chunks(self, offsets):
        """Return the steps whose weight gradients are added up together, last ones first: (start, stop, their rows)."""
        most, chunks, stop = max(1, _BACKWARD_BYTES // (self.width * self.dtype.itemsize)), [], len(offsets) - 1
        while stop > 0:
            start = min(stop - 1, int(np.searchsorted(offsets, offsets[stop] - most)))
            chunks.append((start, stop, slice(int(offsets[start]), int(offsets[stop]))))
            stop = start
        return chunks

    def _gradient_totals(self, drawn):
        """Return the arrays that the gradients of W_ih, W_hh and, slot by slot, the biases are added to."""
        if self.recurrent_rows:
            d_recurrent = self._gradient_target(drawn, slice(self.recurrent_rows))
        else:
            d_recurrent = self.work.take("none", 0, self.output)
        d_bias = self.work.zeros("bias gradient", len(self.cell.slots) * self.padded if self.biases else 0)
        return self.grads[f"weight_ih_{self.suffix}"], d_recurrent, d_bias

    def _add_products(self, totals, dx, x, plan, weights, packing, rows, sums):
        """Add to the weight gradients what comes from some rows, and compute these rows of dx.

        With `sums`, the rows of gates of the same input are only added up there.
        """
        plane, gates = plan.memory.operands[0], plan.memory.gates[rows]  # h as the recurrent product took it
        before = plane[rows] if packing.previous is None else gather(plane, packing.previous[rows], self.n_jobs)
        if sums is None:
            self._run_products(plan, totals, dx[rows], gates, x[rows], before, weights)
            return
        d_input, d_recurrent, d_bias = totals
        self._run_products(plan, (d_input[:0], d_recurrent, d_bias[:0]), dx[:0], gates, dx[:0], before, weights)
        cuts = split(self.width, worth(self.n_jobs, FLOPS_PER_ELEMENT * gates.size), self.lanes)
        run_kernel(add_rows, [(sums, gates, x.ids[rows], *cut) for cut in cuts])

    def _run_products(self, plan, totals, dx, gates, x, before, weights):
        """Run `weight_gradients` on as many threads as it is worth."""
        flops = 2 * len(gates) * (2 * totals[0].size + totals[1].size)
        parties, size = worth(self.n_jobs, flops), scratch_size(self.dtype)
        room = scratch(parties * size, self.dtype).reshape(parties, size)
        arguments = (*totals, dx, gates, x, before, weights.input, weights.input_runs, weights.recurrent_runs, room)
        self._run(plan, recurrence.weight_gradients, [arguments] * parties)

    def _add_gradients(self, totals, memory, gradients, drawn):
        """Add to the gradients of the parameters what is not there yet."""
        _, d_recurrent, d_bias = totals
        if self.recurrent_rows:
            self._add_masked(drawn, slice(self.recurrent_rows), d_recurrent)
        if self.late_slots:
            self._late_gradient(memory, drawn)
        if self.has_projection:
            total = self.grads[f"weight_hr_{self.suffix}"]
            product(total, gradients.output[:, : self.output].T, memory.raw[:, : self.hidden], self.n_jobs)
        d_bias = d_bias.reshape(-1, self.padded)
        for name, runs in self.biases:
            total = self.grads[name].reshape(-1, self.hidden)
            for begin, end, row in runs:
                total[row : row + end - begin] += d_bias[begin:end, : self.hidden]
        first = 0
        for name, count in declared(self.cell, "parameters"):
            values = gradients.units[:, first : first + count, : self.hidden].sum(axis=0)
            self.grads[f"{name}_{self.suffix}"] += values.reshape(-1)
            first += count

    def _late_gradient(self, memory, drawn):
        """Add to the gradient of the rows of W_hh for the late slots."""
        rows = slice(self.recurrent_rows, None)
        total = self._gradient_target(drawn, rows)
        for gate, slot in enumerate(self.late_slots):
            dz = memory.gates[:, slot * self.padded : slot * self.padded + self.hidden]
            own = total[gate * self.hidden : (gate + 1) * self.hidden]
            product(own, dz.T, memory.late[:, : self.hidden], self.n_jobs)
        self._add_masked(drawn, rows, total)

    def _gradient_target(self, drawn, rows):
        """Return the array that the gradient of some rows of W_hh is added to: itself, or zeros under a mask."""
        total = self.grads[f"weight_hh_{self.suffix}"][rows]
        return total if drawn.weight_hh is None else np.zeros_like(total)

    def _add_masked(self, drawn, rows, total):
        """Add what `_gradient_target` returned to the gradient, if it is not that already."""
        if drawn.weight_hh is not None:
            self.grads[f"weight_hh_{self.suffix}"][rows] += total * drawn.weight_hh[rows]


def _write_states(states, values):
    """Write states, a list of arrays (batch, size of the state) or None for zeros, to an array (N, batch, padded)."""
    if values is None:
        states[...] = 0
        return
    for plane, state in zip(states, values, strict=True):
        columns = state.shape[1]
        plane[:, :columns] = state
        if columns < plane.shape[1]:
            plane[:, columns:] = 0


@functools.cache
def _runs(slots):
    """Return where gates stand that follow each other as slots do: (first slot, end, first gate) for each run."""
    runs = []
    for gate, slot in enumerate(slots):
        if runs and runs[-1][1] == slot:
            runs[-1] = (runs[-1][0], slot + 1, runs[-1][2])
        else:
            runs.append((slot, slot + 1, gate))
    return tuple(runs)
