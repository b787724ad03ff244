"""Recurrent layers for single steps of some texts: one product a layer.

The weights of a layer are one matrix, [W_ih  W_hh  b], slot by slot, for the vectors [x  h  1]. Columns are a multiple
of four, so that rows are aligned. This serves layers whose step is one product and the cell; gates before the product,
normalization, projections and regularizers have more.
"""

import itertools

import numpy as np
from numba import cuda

from fastrnn.cells._cell import forward
from fastrnn.cuda.arrays import asarray, empty
from fastrnn.cuda.blas import gemm
from fastrnn.cuda.compiler import device_function, kernel, matrix_shape
from fastrnn.cuda.gpu import device
from fastrnn.cuda.unit_values import load_slots, load_states, load_units, store_many


def can_be_stacked(layers):
    """Return whether a step of `HeldLayers` is one product and the cell."""
    noise = layers.regularizers
    return (noise is None or not any(noise.zoneout)) and not any(
        weights.gated_slots or weights.has_projection or weights.normalized or weights.standardizes
        for weights in (direction.weights for direction in layers.directions)
    )


class StackedLayers:
    """The weights of L layers for single steps of n texts, and the memory of these steps.

    Parameters
    ----------
    layers : fastrnn.utils.recurrent.HeldLayers
    h : array (n, H)
        Output of the last layer.
    states : list of array (L, n, H)
        States to start from. `write_states` overwrites them.
    precision : str
        Of the products of `prepare_step`, see `fastrnn.cuda.blas.gemm`.

    Attributes
    ----------
    cell : NamedTuple
    residual : int
        1 if the input of a layer is added to its output, from the second layer on, otherwise 0.
    columns : list of int
        Columns of each layer's vectors and weights, K.
    weights : array
        The matrices (S · H, K) of all layers, one after another.
    vectors : array
        Two matrices (n, K) for each layer, one after another; `prepare_step` uses the first.
    states : array (N, L · n, H)
    units : array (L, unit parameters, H), or None
    top : array (n, H)
        Output of the last layer.
    """

    def __init__(self, layers, h, states, precision):
        directions = [direction.weights for direction in layers.directions]
        first = directions[0]
        self.cell, self.hidden, self.residual = first.cell, first.hidden, int(layers.residual)
        self._precision = precision
        self._given, self.top = states, h
        self.batch, self._slots = len(h), len(first.cell.slots)
        self._sizes = [weights.columns for weights in directions]  # of x
        self.columns = [-(-(size + self.hidden + 1) // 4) * 4 for size in self._sizes]
        self.weights = empty(self._slots * self.hidden * sum(self.columns), h.dtype)
        self.vectors = empty(2 * self.batch * sum(self.columns), h.dtype)
        self.states = empty((len(states), len(directions) * self.batch, self.hidden), h.dtype)
        for target, state in zip(self._states(), states, strict=True):
            device().copy(target, state)
        self._stack([held.prepared for held in layers.held])
        self.units = self._stacked_units([held.prepared.loop.units for held in layers.held])

    def _states(self):
        return [self.states.part(k, k + 1) for k in range(len(self.states))]

    def _stack(self, prepared):
        """Write the weights, and h and 1 to the vectors."""
        gates = asarray(_slot_gates(self.cell))
        for k, (weights, vectors) in enumerate(zip(self._matrices(), self._all_vectors(), strict=True)):
            _stack_weights.over_matrix(*weights.shape, weights, prepared[k].input, prepared[k].loop.recurrent,
                                       *prepared[k].biases, gates, self._sizes[k], self.hidden)  # fmt: skip
            _begin_vectors.over_matrix(*vectors.shape, vectors, self.states, k * self.batch, self.batch, self._sizes[k])

    def _stacked_units(self, parts):
        if parts[0] is None:
            return None
        count = len(parts[0])
        units = empty((len(parts), count, self.hidden), parts[0].dtype)
        for k, part in enumerate(parts):
            device().copy(units.part(k, k + 1), part)
        return units

    def _matrices(self):
        """Return the weights of each layer: (S · H, K)."""
        return self._by_layer(self.weights, self._slots * self.hidden)

    def _all_vectors(self):
        """Return the vectors of each layer: (2 · n, K)."""
        return self._by_layer(self.vectors, 2 * self.batch)

    def _by_layer(self, flat, rows):
        ends = [rows * end for end in itertools.accumulate(self.columns, initial=0)]
        return [flat.part(begin, end).reshaped((rows, -1)) for begin, end in itertools.pairwise(ends)]

    @property
    def x(self):
        """The vectors of the first layer, whose first columns take its input: (n, K)."""
        return self._all_vectors()[0].part(0, self.batch)

    def prepare_step(self):
        """Return a function that runs all layers for a step."""
        gates, weights = empty((self.batch, self._slots * self.hidden), self.top.dtype), self._matrices()
        vectors = [both.part(0, self.batch) for both in self._all_vectors()]
        shape, memory, cells = matrix_shape(self.batch, self.hidden), (gates, self.states, self.units), []
        for k, (own, above) in enumerate(zip(vectors, [*vectors[1:], self.top], strict=True)):
            residual = self.residual * int(k > 0)
            cells.append(_step.prepare(*shape, own, above, *memory, self.cell, k, self._sizes[k], residual))

        def step():
            for own, matrix, cell in zip(vectors, weights, cells, strict=True):
                gemm(gates, own, matrix, transpose_b=True, precision=self._precision)
                cell()

        return step

    def write_states(self):
        """Write the states back to the arrays they came from."""
        for state, values in zip(self._given, self._states(), strict=True):
            device().copy(state, values)


def _slot_gates(cell):
    """Return the gate of W_ih and of W_hh that contributes to each slot, -1 for none: (2, S) of int32."""
    gates = np.full((2, len(cell.slots)), -1, np.int32)
    for own, slots in zip(gates, (cell.input_slots, cell.recurrent_slots), strict=True):
        own[list(slots)] = range(len(slots))
    return gates


@kernel
def _stack_weights(out, weight_ih, weight_hh, bias_ih, bias_hh, gates, size, hidden):
    """Write [W_ih  W_hh  b  0], slot by slot."""
    # out (S · H, K), weight_ih (·, size), weight_hh (·, H) and biases (·,) or None, gates (2, S)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    for row in range(y, out.shape[0], height):
        of_input, of_h = gates[0, row // hidden], gates[1, row // hidden]
        for column in range(x, out.shape[1], width):
            value = out.dtype.type(0)
            if column < size:
                if of_input >= 0:
                    value = weight_ih[of_input * hidden + row % hidden, column]
            elif column < size + hidden:
                if weight_hh is not None and of_h >= 0:
                    value = weight_hh[of_h * hidden + row % hidden, column - size]
            elif column == size + hidden:
                if bias_ih is not None and of_input >= 0:
                    value += bias_ih[of_input * hidden + row % hidden]
                if bias_hh is not None and of_h >= 0:
                    value += bias_hh[of_h * hidden + row % hidden]
            out[row, column] = value


@kernel
def _begin_vectors(vectors, states, first, batch, size):
    """Write [0  h  1  0] to the vectors of the first half, and [0  0  1  0] to the others."""
    # vectors (2 · batch, K), states (N, ·, H) with h in the rows from `first` on, size: of x
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    hidden = states.shape[2]
    for row in range(y, vectors.shape[0], height):
        for column in range(x, vectors.shape[1], width):
            value = vectors.dtype.type(0)
            if column == size + hidden:
                value = vectors.dtype.type(1)
            elif size <= column < size + hidden and row < batch:
                value = states[0, first + row, column - size]
            vectors[row, column] = value


@device_function
def step_unit(cell, gates, place, states, row, units, layer, unit):
    """Run the cell for a unit of a text, whose slots are in `gates` from `place` on, a row of units apart; return h."""
    # gates (n, S · H), states (N, rows, H), units (L, unit parameters, H) or None
    hidden = states.shape[2]
    at, stride, of_layer = row * hidden + unit, states.shape[1] * hidden, 0
    if units is not None:
        of_layer = layer * units.shape[1] * hidden
    z, state = load_slots(cell, gates, place, hidden), load_states(cell, states, at, stride)
    new_state, _ = forward(cell, z, state, load_units(cell, units, of_layer + unit, hidden))
    store_many(states, at, stride, new_state)
    return new_state[0]


@kernel
def _step(vectors, above, gates, states, units, cell, layer, size, residual):
    """Run the cell of a layer for all units, and hand h on to the next layer and to the next step."""
    # vectors (n, K): of this layer; above (n, ≥ H): of the next one, or the output; gates (n, S · H)
    x, y = cuda.grid(2)
    width, height = cuda.gridsize(2)
    hidden, batch = states.shape[2], vectors.shape[0]
    for b in range(y, batch, height):
        for unit in range(x, hidden, width):
            place = b * gates.shape[1] + unit
            h = step_unit(cell, gates, place, states, layer * batch + b, units, layer, unit)
            vectors[b, size + unit] = h
            if residual:
                h += vectors[b, unit]
            above[b, unit] = h
