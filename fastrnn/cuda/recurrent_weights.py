"""The weights of one direction of one recurrent layer, their products with the inputs, and their gradients."""

from typing import NamedTuple

import numpy as np
from numba import cuda

from fastrnn.cells._cell import check_stages, count_units, declared, slot_blocks
from fastrnn.cuda.arrays import add_product, asarray, empty, multiply_into
from fastrnn.cuda.blas import Matrix, gemm
from fastrnn.cuda.compiler import kernel
from fastrnn.cuda.gpu import device
from fastrnn.cuda.recurrent_masks import NOTHING_DRAWN
from fastrnn.cuda.recurrent_memory import Weights, block_parts
from fastrnn.cuda.reductions import add_columns
from fastrnn.cuda.room import Room

TABLE_ROWS = 4096  # at most, of a table for held weights that no single pass would fill


class Prepared(NamedTuple):
    """The weights of a pass."""

    input: object  # W_ih (G · H, D + M); its last columns belong to the contexts of attention, if there is any
    biases: tuple  # of bias_ih (G · H,) and bias_hh (·,), each or None
    loop: Weights


class HeldWeights:
    """Weights prepared for many passes, and the last table of inputs multiplied by them.

    Parameters
    ----------
    owner : DirectionWeights
    room : Room, default=None
        Where they are prepared; None makes a room.

    Attributes
    ----------
    prepared : Prepared
    """

    def __init__(self, owner, room=None):
        self._owner = owner
        self.prepared = owner.prepared(Room(owner.dtype) if room is None else room, NOTHING_DRAWN)
        self._tabulated = None  # vectors and their table: one tuple, so that threads may replace it at any time

    def table(self, vectors):
        """Return `DirectionWeights.input_table`, computed once for the same array of vectors."""
        tabulated = self._tabulated
        if tabulated is None or tabulated[0] is not vectors:
            table = self._owner.input_table(vectors, self.prepared, Room(vectors.dtype))
            self._tabulated = tabulated = vectors, table
        return tabulated[1]


class DirectionWeights:
    """Parameters and gradients of a direction, as the kernels take them.

    Pre-activations are laid out slot by slot. Parameters and gradients have torch's layout, gate by gate; products read
    and write them in place.

    Parameters
    ----------
    cell : NamedTuple
    hidden : int
        Units, H.
    output : int
        Length of h, P: H, or the size of the projection.
    parameters, grads : dict of str to Array
        Those of the layer; this direction's names end in `suffix`.
    suffix : str
    precision : str
        Of products, see `fastrnn.cuda.blas.gemm`.
    context_size : int, default=0
        Length of a context of attention, M.
    """

    def __init__(self, cell, hidden, output, parameters, grads, suffix, precision, context_size=0):
        check_stages(cell)
        self.cell, self.hidden, self.output, self.precision = cell, hidden, output, precision
        self.parameters, self.grads, self._suffix = parameters, grads, suffix
        weight_ih, weight_hh = self._name("weight_ih"), self._name("weight_hh")
        self.dtype, self.columns = parameters[weight_ih].dtype, parameters[weight_ih].shape[1] - context_size
        self.context_size = context_size
        self.width = len(cell.slots) * hidden
        self.gated_slots = declared(cell, "gated_slots")
        self.normalized = bool(declared(cell, "normalized"))
        self.standardizes = declared(cell, "standardized_state") is not None
        if (self.normalized or self.standardizes) and self.gated_slots:
            raise NotImplementedError("A cell on the GPU must not have both gated_slots and normalization.")
        self.has_projection = self._name("weight_hr") in parameters
        self.recurrent_rows = len(cell.recurrent_slots) * hidden  # of W_hh; those of the gated slots follow
        self.weight_hh_shape = None
        if self.recurrent_rows or self.gated_slots:
            self.weight_hh_shape = parameters[weight_hh].shape
        self.n_units = count_units(cell)
        self._bias_slots = cell.input_slots, cell.recurrent_slots + self.gated_slots
        self._bias_names = [
            name if name in parameters else None for name in (self._name("bias_ih"), self._name("bias_hh"))
        ]
        self._input = slot_blocks(cell.input_slots)
        self._gates_of_slots = None  # a device, and the numbers there: one tuple, so that threads may replace it

    def _name(self, kind):
        return f"{kind}_{self._suffix}"

    def _parameter(self, name):
        """Return a parameter of the layer's type, even if the caller replaced the array."""
        return asarray(self.parameters[name], self.dtype)

    # ---------------------------------------------------------------------------------------------------- forward

    def prepared(self, room, drawn):
        """Return the weights for a pass."""
        recurrent = gated = None
        if self.weight_hh_shape is not None:
            weight = self._parameter(self._name("weight_hh"))
            if drawn.weight_hh is not None:
                masked = room.take("masked weight", *self.weight_hh_shape)
                multiply_into(masked, weight, drawn.weight_hh)
                weight = masked
            if self.recurrent_rows:
                recurrent = weight.part(0, self.recurrent_rows)
            if self.gated_slots:
                gated = weight.part(self.recurrent_rows, len(weight))
        projection = self._parameter(self._name("weight_hr")) if self.has_projection else None
        biases = tuple([None if name is None else self._parameter(name) for name in self._bias_names])
        units = self._units(room) if self.n_units else None
        weight_ih = self._parameter(self._name("weight_ih"))
        context = weight_ih if self.context_size else None
        return Prepared(weight_ih, biases, Weights(recurrent, gated, projection, units, context))

    def _units(self, room):
        """Return the parameters of each unit: (unit parameters, H)."""
        parts = [
            self._parameter(self._name(name)).reshaped((-1, self.hidden))
            for name, _ in declared(self.cell, "parameters")
        ]
        if len(parts) == 1:
            return parts[0]
        units, first = room.take("units", self.n_units, self.hidden), 0
        for part in parts:
            device().copy(units.part(first, first + len(part)), part)
            first += len(part)
        return units

    def multiply_inputs(self, gates, x, prepared):
        """Write the products of the inputs to their slots of gates."""
        # gates (R, S · H), x (R, D)
        for block in self._input:
            own, weight = block_parts(block, gates, prepared.input, self.hidden)
            gemm(own, x, Matrix(weight, 0, self.columns), transpose_b=True, precision=self.precision)

    def add_biases(self, gates, prepared):
        """Add all biases to gates with products of the inputs; slots without are overwritten."""
        _add_biases.over_matrix(len(gates), self.hidden, gates, *prepared.biases, self._slot_gates(), self.hidden)

    def input_table(self, vectors, prepared, room):
        """Return the products of each vector with all biases: (V, S · H)."""
        table = room.take("input table", len(vectors), self.width)
        self.multiply_inputs(table, vectors, prepared)
        self.add_biases(table, prepared)
        return table

    def _slot_gates(self):
        """Return the gate of the input and of either bias that each slot has, -1 for none: (3, S) of int32."""
        found, known = device(), self._gates_of_slots
        if known is None or known[0] is not found:
            gates = np.full((3, len(self.cell.slots)), -1, np.int32)
            kinds = self.cell.input_slots, *self._bias_slots
            for row, slots, name in zip(gates, kinds, ("input", *self._bias_names), strict=True):
                if name is not None:
                    row[list(slots)] = np.arange(len(slots))
            self._gates_of_slots = known = found, asarray(gates)
        return known[1]

    # -------------------------------------------------------------------------------------------------- gradients

    def input_gradient(self, gates, prepared):
        """Return the gradient of x: (R, D)."""
        # gates (R, S · H) with gradients
        dx, add = empty((len(gates), self.columns), self.dtype), False
        for block in self._input:
            own, weight = block_parts(block, gates, prepared.input, self.hidden)
            gemm(dx, own, Matrix(weight, 0, self.columns), add=add, precision=self.precision)
            add = True
        return dx

    def add_input_gradients(self, gates, x):
        """Add to the gradient of W_ih."""
        # gates (R, S · H) with gradients, x (R, D)
        self._add_products(self.grads[self._name("weight_ih")], self._input, gates, x)

    def add_context_gradients(self, gates, contexts):
        """Add to the gradient of the columns of W_ih for the contexts."""
        # gates (R, S · H) with gradients, contexts (R, M)
        self._add_products(self.grads[self._name("weight_ih")], self._input, gates, contexts, self.columns)

    def add_bias_gradients(self, gates, room):
        """Add to the gradients of both biases."""
        # gates (R, S · H) with gradients
        grads = [None if name is None else self.grads[name] for name in self._bias_names]
        if any(gradient is not None for gradient in grads):
            sums = room.zeros("bias sums", self.width)
            add_columns(sums, gates)
            _add_bias_sums.over(self.hidden, *grads, sums, self._slot_gates(), self.hidden)

    def own_grads(self):
        """Return the gradients of this direction's parameters."""
        return [gradient for name, gradient in self.grads.items() if name.endswith(f"_{self._suffix}")]

    def add_recurrent_gradients(self, memory, gradients, previous, drawn, room):
        """Add to the gradients of W_hh, of the projection and of the parameters of the units.

        `previous` is what the recurrent product read for each row, (R, P).
        """
        if self.weight_hh_shape is not None:
            own = self.grads[self._name("weight_hh")]
            total = own if drawn.weight_hh is None else room.zeros("weight gradient", *self.weight_hh_shape)
            recurrent, gated = total.part(0, self.recurrent_rows), total.part(self.recurrent_rows, len(total))
            self._add_products(recurrent, slot_blocks(self.cell.recurrent_slots), memory.gates, previous)
            self._add_products(gated, slot_blocks(self.gated_slots), memory.gates, memory.gated)
            if drawn.weight_hh is not None:
                add_product(own, total, drawn.weight_hh)
        if self.has_projection:
            gemm(self.grads[self._name("weight_hr")], gradients.output, memory.raw, transpose_a=True, add=True,
                 precision=self.precision)  # fmt: skip
        if self.n_units:
            self._add_unit_gradients(gradients.units, room)

    def _add_products(self, total, blocks, gates, x, first=0):
        """Add dzᵀ·x, for each of the blocks of gates, to the columns from `first` on."""
        for block in blocks:
            own, weight = block_parts(block, gates, total, self.hidden)
            gemm(Matrix(weight, first, x.shape[1]), own, x, transpose_a=True, add=True, precision=self.precision)

    def _add_unit_gradients(self, units, room):
        # units (B, unit parameters, H)
        sums, first = room.zeros("unit sums", self.n_units * self.hidden), 0
        add_columns(sums, units.reshaped((len(units), self.n_units * self.hidden)))
        for name, count in declared(self.cell, "parameters"):
            total = self.grads[self._name(name)].line
            add_columns(total, sums.part(first, first + count * self.hidden).reshaped((1, -1)))
            first += count * self.hidden


@kernel
def _add_biases(gates, bias_ih, bias_hh, slot_gates, hidden):
    # gates (R, S · hidden), biases (·,) or None, slot_gates (3, S)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for row in range(y, gates.shape[0], height):
        for slot in range(slot_gates.shape[1]):
            for j in range(x, hidden, width):
                value = gates.dtype.type(0)
                if bias_ih is not None and slot_gates[1, slot] >= 0:
                    value += bias_ih[slot_gates[1, slot] * hidden + j]
                if bias_hh is not None and slot_gates[2, slot] >= 0:
                    value += bias_hh[slot_gates[2, slot] * hidden + j]
                if slot_gates[0, slot] >= 0:
                    value += gates[row, slot * hidden + j]
                gates[row, slot * hidden + j] = value


@kernel
def _add_bias_sums(d_bias_ih, d_bias_hh, sums, slot_gates, hidden):
    # gradients of biases (·,) or None, sums (S · hidden,), slot_gates (3, S)
    for j in range(cuda.grid(1), hidden, cuda.gridsize(1)):
        for slot in range(slot_gates.shape[1]):
            if d_bias_ih is not None and slot_gates[1, slot] >= 0:
                d_bias_ih[slot_gates[1, slot] * hidden + j] += sums[slot * hidden + j]
            if d_bias_hh is not None and slot_gates[2, slot] >= 0:
                d_bias_hh[slot_gates[2, slot] * hidden + j] += sums[slot * hidden + j]
