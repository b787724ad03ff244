"""The weights of one direction of one recurrent layer, as the kernels take them."""

import functools
import operator

import numpy as np

from fastrnn._memory import Room
from fastrnn.cells._cell import count_units, declared
from fastrnn.kernels import recurrence
from fastrnn.kernels.dense import product
from fastrnn.kernels.gemm import pack, packed_size
from fastrnn.kernels.recurrent_masks import NOTHING_DRAWN
from fastrnn.simd import lanes_of


class HeldWeights:
    """Packed weights for many passes, with the table of the inputs that occur in them.

    Attributes
    ----------
    weights : recurrence.Weights
    """

    def __init__(self, owner):
        self._owner = owner
        self.weights = owner.packed()
        self._tabulated = None  # vectors and their table, set whole: several threads may do so

    def table(self, vectors, n_jobs):
        """Return `DirectionWeights.input_table`, computed once for the same array of vectors."""
        tabulated = self._tabulated
        if tabulated is None or tabulated[0] is not vectors:
            table = self._owner.input_table(vectors, self.weights, Room(vectors.dtype), n_jobs)
            self._tabulated = tabulated = vectors, table
        return tabulated[1]


class DirectionWeights:
    """Parameters and gradients of a direction, and their views and copies for the kernels.

    Pre-activations stand slot by slot with the hidden units padded to whole vectors; parameters and gradients have
    torch's layout, gate by gate, and are read and written as they stand. The arrays that a pass writes are in its room,
    so that passes of several threads may use the same weights.

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
    """

    def __init__(self, cell, hidden, output, parameters, grads, suffix):
        self.cell, self.hidden, self.output = cell, hidden, output
        self.parameters, self.grads, self.suffix = parameters, grads, suffix
        self._weight_ih, self._weight_hh, self._weight_hr = (f"weight_{kind}_{suffix}" for kind in ("ih", "hh", "hr"))
        weight_ih = parameters[self._weight_ih]
        self.columns, self.dtype, self.lanes = weight_ih.shape[1], weight_ih.dtype, lanes_of(weight_ih)
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
        self.has_projection = self._weight_hr in parameters
        self.normalized, self.standardizes = declared(cell, "normalized"), standardized is not None
        self.weight_hh_shape = parameters[self._weight_hh].shape if self._weight_hh in parameters else None
        self.n_units = count_units(cell)
        self.input_runs, self.recurrent_runs = self._runs(cell.input_slots), self._runs(cell.recurrent_slots)
        self.recurrent_rows = len(cell.recurrent_slots) * hidden  # of W_hh; those for the late slots follow
        self._no_rows, self._no_units = np.empty((0, output), self.dtype), np.zeros((1, self.padded), self.dtype)
        slots = {"bias_ih": cell.input_slots, "bias_hh": cell.recurrent_slots + self.late_slots}
        self.biases = [
            (f"{name}_{suffix}", _runs(places)) for name, places in slots.items() if f"{name}_{suffix}" in parameters
        ]
        self._written = _key(len(cell.slots), hidden, output, self.columns, *self.spans, *(r for _, r in self.biases))
        self._bias_terms = None  # set whole
        self._as_they_are = {}  # parameters that need no other type or order

    def __getstate__(self):
        return {**vars(self), "_bias_terms": None, "_as_they_are": {}}

    def _runs(self, slots):
        """Return where gates stand that follow each other as their slots do, see `recurrence.Weights`: (·, 3)."""
        runs = _runs(slots) if self.padded == self.hidden else [(slot, slot + 1, k) for k, slot in enumerate(slots)]
        runs = [(gate * self.hidden, (end - slot) * self.hidden, slot * self.padded) for slot, end, gate in runs]
        return np.array(runs, np.int64).reshape(-1, 3)

    # ---------------------------------------------------------------------------------------------------- forward

    def forward(self, room, drawn):
        """Return the weights for a forward pass, with room for the panels that the threads pack."""
        weight, (recurrent, late) = self._parameter(self._weight_ih), self._recurrent_weights(drawn)
        input_panels, recurrent_panels, bias, bias_parts = room.made(self._written, self._new_arrays)
        self._add_biases(bias, bias_parts)
        return recurrence.Weights(
            weight,
            recurrent,
            self.input_runs,
            self.recurrent_runs,
            input_panels,
            recurrent_panels,
            None if late is None else self._packed_late(room, late, True),
            self._projection(room, True) if self.has_projection else None,
            bias,
            self._units(room) if self.n_units else self._no_units,
        )

    def packed(self):
        """Return the weights for many forward passes, packed."""
        weights = self.forward(Room(self.dtype), NOTHING_DRAWN)
        for panels, weight, runs, spans in (
            (weights.input_panels, weights.input, weights.input_runs, self.spans[:2]),
            (weights.recurrent_panels, weights.recurrent, weights.recurrent_runs, self.spans[2:4]),
        ):
            recurrence.pack_weights(panels, weight, runs, *spans, self.padded)
        return weights

    def input_table(self, vectors, weights, room, n_jobs):
        """Return the input's part of the pre-activations for each vector, bias included: (V, input columns)."""
        begin, columns = self.spans[:2]
        products = room.take("input products", len(vectors), len(weights.input))
        for row, rows, column in self.input_runs:
            products[:, row : row + rows] = weights.bias[column : column + rows]
        product(products, vectors, weights.input.T, n_jobs)
        table = room.zeros("input table", len(vectors), columns)
        for row, rows, column in self.input_runs:
            table[:, column - begin : column - begin + rows] = products[:, row : row + rows]
        return table

    def backward(self, weights, room, drawn):
        """Return the weights for a backward pass: those of the forward pass with the others packed the other way."""
        if not (self.late_slots or self.has_projection):
            return weights
        _, late = self._recurrent_weights(drawn)
        return weights._replace(
            late=None if late is None else self._packed_late(room, late, False),
            projection=self._projection(room, False) if self.has_projection else None,
        )

    def _parameter(self, name):
        """Return a parameter as the kernels read it, also where somebody has put another array in its place."""
        array = self.parameters[name]
        if array is not self._as_they_are.get(name):
            given, array = array, np.ascontiguousarray(array, self.dtype)
            if array is given:
                self._as_they_are[name] = array
        return array

    def _recurrent_weights(self, drawn):
        """Return W_hh for the recurrent product, without rows where there is none, and for the late one, or None."""
        if not (self.recurrent_rows or self.late_slots):
            return self._no_rows, None
        weight = self._parameter(self._weight_hh)
        if drawn.weight_hh is not None:
            weight = weight * drawn.weight_hh
        return (weight[: self.recurrent_rows], weight[self.recurrent_rows :]) if self.late_slots else (weight, None)

    def _new_arrays(self, room):
        """Return the arrays that a forward pass writes: panels, the sum of the biases, and the parts of that."""
        total = room.take("bias", len(self.cell.slots), self.padded)
        return (
            room.take("input panels", self.spans[1] * self.columns),
            room.take("recurrent panels", self.spans[3] * (-(-self.output // self.lanes) * self.lanes)),
            total.reshape(-1),
            [total[begin:end, : self.hidden] for _, runs in self.biases for begin, end, _ in runs],
        )

    def _add_biases(self, total, parts):
        """Compute the sum of both biases, slot by slot: (slots · padded,)."""
        total.fill(0)
        arrays = [self.parameters[name] for name, _ in self.biases]
        terms = self._bias_terms
        if terms is None or not all(map(operator.is_, arrays, terms[0])):
            terms = self._bias_terms = arrays, [
                values.reshape(-1, self.hidden)[row : row + end - begin]
                for values, (_, runs) in zip(arrays, self.biases, strict=True)
                for begin, end, row in runs
            ]  # fmt: skip
        for part, term in zip(parts, terms[1], strict=True):
            np.add(part, term, out=part)

    def _units(self, room):
        """Return the parameters of each unit: (unit parameters, padded)."""
        units = room.zeros("units", self.n_units, self.padded)
        first = 0
        for name, count in declared(self.cell, "parameters"):
            units[first : first + count, : self.hidden] = self.parameters[f"{name}_{self.suffix}"].reshape(count, -1)
            first += count
        return units

    def _packed_late(self, room, late, transposed):
        """Return the late weight packed; its operands have padded rows."""
        wide = room.zeros("late wide", len(self.late_slots), self.padded, self.padded)
        for gate, slot in enumerate(self.late_slots):
            rows = late[gate * self.hidden : (gate + 1) * self.hidden]
            wide[slot - min(self.late_slots), : self.hidden, : self.hidden] = rows
        return _packed(room, "late" if transposed else "late back", wide.reshape(-1, self.padded), transposed)

    def _projection(self, room, transposed):
        """Return the projection packed."""
        weight = self._parameter(self._weight_hr)  # (output, H)
        if transposed:  # of raw, whose rows are padded
            wide = room.zeros("weight_hr", self.output, self.padded)
            wide[:, : self.hidden] = weight
            return _packed(room, "weight_hr", wide, True)
        return _packed(room, "weight_hr back", weight, False)

    # -------------------------------------------------------------------------------------------------- gradients

    def gradient_totals(self, room, drawn):
        """Return the arrays that the gradients of W_ih, W_hh and, slot by slot, the biases are added to."""
        d_recurrent = self._gradient_target(drawn, slice(self.recurrent_rows)) if self.recurrent_rows else self._no_rows
        d_bias = room.zeros("bias gradient", len(self.cell.slots) * self.padded if self.biases else 0)
        return self.grads[f"weight_ih_{self.suffix}"], d_recurrent, d_bias

    def add_gradients(self, totals, memory, gradients, drawn, n_jobs):
        """Add to the gradients of the parameters what is not there yet."""
        _, d_recurrent, d_bias = totals
        if self.recurrent_rows:
            self._add_masked(drawn, slice(self.recurrent_rows), d_recurrent)
        if self.late_slots:
            self._late_gradient(memory, drawn, n_jobs)
        if self.has_projection:
            total = self.grads[f"weight_hr_{self.suffix}"]
            product(total, gradients.output[:, : self.output].T, memory.raw[:, : self.hidden], n_jobs)
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

    def _late_gradient(self, memory, drawn, n_jobs):
        """Add to the gradient of the rows of W_hh for the late slots."""
        rows = slice(self.recurrent_rows, None)
        total = self._gradient_target(drawn, rows)
        for gate, slot in enumerate(self.late_slots):
            dz = memory.gates[:, slot * self.padded : slot * self.padded + self.hidden]
            own = total[gate * self.hidden : (gate + 1) * self.hidden]
            product(own, dz.T, memory.late[:, : self.hidden], n_jobs)
        self._add_masked(drawn, rows, total)

    def _gradient_target(self, drawn, rows):
        """Return the array that the gradient of some rows of W_hh is added to: itself, or zeros under a mask."""
        total = self.grads[f"weight_hh_{self.suffix}"][rows]
        return total if drawn.weight_hh is None else np.zeros_like(total)

    def _add_masked(self, drawn, rows, total):
        """Add what `_gradient_target` returned to the gradient, if it is not that already."""
        if drawn.weight_hh is not None:
            self.grads[f"weight_hh_{self.suffix}"][rows] += total * drawn.weight_hh[rows]


def _packed(room, name, weight, transposed):
    """Return a weight (or its transpose) packed for products."""
    rows, columns = weight.shape
    depth, width = (columns, rows) if transposed else (rows, columns)
    panels = room.take(f"{name} packed", packed_size(depth, width, weight.dtype))
    pack(panels, weight, 0, *((1, columns) if transposed else (columns, 1)), depth, width)
    return panels


@functools.cache
def _key(*what):
    """Return an object that is the same for equal arguments and quicker to look up than these."""
    return object()


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
