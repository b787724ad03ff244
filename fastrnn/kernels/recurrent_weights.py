"""The weights of one direction of one recurrent layer, in the form that the kernels take."""

import functools
import operator
import weakref

import numpy as np

from fastrnn._memory import Room
from fastrnn.cells._cell import check_stages, count_units, declared, slot_blocks
from fastrnn.kernels import recurrence
from fastrnn.kernels.dense import product
from fastrnn.kernels.recurrent_attention import prepare
from fastrnn.kernels.recurrent_masks import NOTHING_DRAWN
from fastrnn.kernels.recurrent_panels import pack_weights, packed
from fastrnn.kernels.weight_gradients import Totals
from fastrnn.simd import lanes_of


class HeldWeights:
    """Weights packed for many passes, the last table of inputs multiplied by them, and sources that were prepared.

    Attributes
    ----------
    weights : recurrence.Weights
    """

    def __init__(self, owner):
        self._owner = owner
        self.weights = owner.packed()
        self._tabulated = None  # vectors and their table: one tuple, so that threads may replace it
        self._made = {}  # of the keys of sources, while these are there: see `_made_once`

    def table(self, vectors, n_jobs):
        """Return `DirectionWeights.input_table`, computed once for the same array of vectors."""
        tabulated = self._tabulated
        if tabulated is None or tabulated[0] is not vectors:
            table = self._owner.input_table(vectors, self.weights, Room(vectors.dtype), n_jobs)
            self._tabulated = tabulated = vectors, table
        return tabulated[1]

    def prepared(self, attended, n_jobs):
        """Return the `Prepared` of what sequences attend to, made once for the same array of keys."""
        return self._made_once("prepared", attended.keys, lambda room: prepare(attended, room, n_jobs))

    def context_table(self, attended, n_jobs):
        """Return `DirectionWeights.context_table` of the values, computed once for the same array of keys."""
        return self._made_once(
            "table",
            attended.keys,
            lambda room: self._owner.context_table(attended.values, self.weights, room, n_jobs),
        )

    def _made_once(self, kind, keys, make):
        """Return what `make` returns for an array of keys; it is kept as long as the array."""
        place = kind, id(keys)
        given, made = self._made.get(place, (None, None))
        if given is None or given() is not keys:
            made = make(Room(keys.dtype))
            # The callback must not keep the holder and its weights.
            self._made[place] = weakref.ref(keys, lambda _, all_made=self._made: all_made.pop(place, None)), made
        return made


class DirectionWeights:
    """Parameters and gradients of a direction, and their views and copies for the kernels.

    Pre-activations are laid out slot by slot, with the hidden units padded to whole vectors. Parameters and gradients
    have torch's layout, gate by gate; kernels read and write them in place. A pass writes in its own room, so that
    passes of several threads may use the same weights.

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
    context_size : int
        Columns of W_ih, the last ones, that belong to the context of attention.
    """

    def __init__(self, cell, hidden, output, parameters, grads, suffix, context_size=0):
        check_stages(cell)
        self.cell, self.hidden, self.output = cell, hidden, output
        self.parameters, self.grads, self.suffix = parameters, grads, suffix
        self._weight_ih, self._weight_hh, self._weight_hr = (f"weight_{kind}_{suffix}" for kind in ("ih", "hh", "hr"))
        weight_ih = parameters[self._weight_ih]
        self.columns, self.dtype, self.lanes = weight_ih.shape[1] - context_size, weight_ih.dtype, lanes_of(weight_ih)
        self.context_size = context_size
        self.padded = self._whole(hidden)
        self.gated_slots = declared(cell, "gated_slots")
        # A row of a multiple of 2 KB would put a column of all rows into a few sets of the cache.
        self.width = len(cell.slots) * self.padded
        if self.width * self.dtype.itemsize % 2048 == 0:
            self.width += self.lanes
        standardized = declared(cell, "standardized_state")
        self.layout = recurrence.Layout(
            input=self._columns(cell.input_slots),
            recurrent=self._columns(cell.recurrent_slots),
            gated=self._columns(self.gated_slots),
            hidden=hidden,
            gates=len(cell.gates),
            standardized=-1 if standardized is None else standardized,
        )
        self.has_projection = self._weight_hr in parameters
        self.normalized, self.standardizes = declared(cell, "normalized"), standardized is not None
        self.weight_hh_shape = parameters[self._weight_hh].shape if self._weight_hh in parameters else None
        self.n_units = count_units(cell)
        self.blocks = recurrence.Blocks(self._blocks(cell.input_slots), self._blocks(cell.recurrent_slots))
        self.recurrent_rows = len(cell.recurrent_slots) * hidden  # of W_hh; those of the gated slots follow
        self._no_rows, self._no_units = np.empty((0, output), self.dtype), np.zeros((1, self.padded), self.dtype)
        slots = {"bias_ih": cell.input_slots, "bias_hh": cell.recurrent_slots + self.gated_slots}
        self.biases = [
            (name, slot_blocks(places))
            for name, places in ((f"{name}_{suffix}", places) for name, places in slots.items())
            if name in parameters
        ]
        self._arrays_key = _key(
            len(cell.slots),
            hidden,
            output,
            self.columns,
            context_size,
            self.layout,
            *(blocks for _, blocks in self.biases),
        )
        self._bias_terms = None  # biases and their views: one tuple, so that threads may replace it at any time
        self._contiguous = {}  # parameters that have been found to have the right type and order

    def _columns(self, slots):
        """Return the columns of some neighbouring slots in a row of gates."""
        return recurrence.Columns(min(slots, default=0) * self.padded, len(slots) * self.padded)

    def _blocks(self, slots):
        """Return the blocks of neighbouring gates with neighbouring slots, see `recurrence.Blocks`: (·, 3)."""
        if self.padded == self.hidden:
            blocks = slot_blocks(slots)
        else:
            blocks = [(slot, slot + 1, gate) for gate, slot in enumerate(slots)]
        blocks = [(gate * self.hidden, (end - slot) * self.hidden, slot * self.padded) for slot, end, gate in blocks]
        return np.array(blocks, np.int64).reshape(-1, 3)

    # ---------------------------------------------------------------------------------------------------- forward

    def forward(self, room, drawn):
        """Return the weights for a forward pass, with room for the panels that the threads pack."""
        (weight, context), (recurrent, gated) = self._input_weights(room), self._recurrent_weights(drawn)
        input_panels, context_panels, recurrent_panels, bias, bias_parts = room.made(self._arrays_key, self._new_arrays)
        self._add_biases(bias, bias_parts)
        return recurrence.Weights(
            weight,
            recurrent,
            self.blocks,
            input_panels,
            recurrent_panels,
            False,
            None if gated is None else self._packed_gated(room, gated, True),
            self._projection(room, True) if self.has_projection else None,
            bias,
            self._units(room) if self.n_units else self._no_units,
            None if context is None else recurrence.AttentionWeights(context, context_panels, None, None),
        )

    def packed(self):
        """Return the weights for many forward passes, packed."""
        weights = self.forward(Room(self.dtype), NOTHING_DRAWN)
        for panels, weight, blocks, columns in (
            (weights.input_panels, weights.input, self.blocks.input, self.layout.input),
            (weights.recurrent_panels, weights.recurrent, self.blocks.recurrent, self.layout.recurrent),
        ):
            pack_weights(panels, weight, blocks, columns, self.padded)
        if self.context_size:
            of_context = weights.attention
            pack_weights(of_context.panels, of_context.context, self.blocks.input, self.layout.input, self.padded)
        return weights._replace(packed=True)

    def input_table(self, vectors, weights, room, n_jobs):
        """Return the input's part of the pre-activations for each vector, bias included: (V, input columns)."""
        return self._table(vectors, weights.input, weights.bias, room, n_jobs)

    def context_table(self, values, weights, room, n_jobs):
        """Return the part of the pre-activations for each vector of a memory as the context: (R, input columns)."""
        return self._table(values, weights.attention.context, np.zeros_like(weights.bias), room, n_jobs)

    def _table(self, vectors, weight, bias, room, n_jobs):
        """Return the products of vectors and columns of W_ih, `bias` added, as the input slots have them."""
        begin, columns = self.layout.input
        products = room.take("input products", len(vectors), len(weight))
        for row, rows, column in self.blocks.input:
            products[:, row : row + rows] = bias[column : column + rows]
        product(products, vectors, weight.T, n_jobs)
        table = room.zeros("input table", len(vectors), columns)
        for row, rows, column in self.blocks.input:
            table[:, column - begin : column - begin + rows] = products[:, row : row + rows]
        return table

    def backward(self, weights, room, drawn):
        """Return the weights for a backward pass: gated and projection weights are packed without transposition."""
        if not (self.gated_slots or self.has_projection):
            return weights
        _, gated = self._recurrent_weights(drawn)
        return weights._replace(
            gated=None if gated is None else self._packed_gated(room, gated, False),
            projection=self._projection(room, False) if self.has_projection else None,
        )

    def _parameter(self, name):
        """Return a parameter contiguous and of the layer's type, even if the caller replaced the array."""
        array = self.parameters[name]
        if array is not self._contiguous.get(name):
            given, array = array, np.ascontiguousarray(array, self.dtype)
            if array is given:
                self._contiguous[name] = array
        return array

    def _input_weights(self, room):
        """Return the columns of W_ih for the input, and those for the context of attention or None."""
        weight = self._parameter(self._weight_ih)
        if not self.context_size:
            return weight, None
        parts = []
        for name, columns in (("weight_x", slice(self.columns)), ("weight_c", slice(self.columns, None))):
            part = weight[:, columns]
            parts.append(room.take(name, *part.shape))
            parts[-1][...] = part
        return parts

    def _recurrent_weights(self, drawn):
        """Return the rows of W_hh for the recurrent product, and those for the gated one or None."""
        if not (self.recurrent_rows or self.gated_slots):
            return self._no_rows, None
        weight = self._parameter(self._weight_hh)
        if drawn.weight_hh is not None:
            weight = weight * drawn.weight_hh
        return (weight[: self.recurrent_rows], weight[self.recurrent_rows :]) if self.gated_slots else (weight, None)

    def _new_arrays(self, room):
        """Return the arrays that a forward pass writes: panels, the summed biases, and views of their terms' places."""
        total = room.take("bias", len(self.cell.slots), self.padded)
        return (
            room.take("input panels", self.layout.input.count * self.columns),
            room.take("context panels", self.layout.input.count * self._whole(self.context_size)),
            room.take("recurrent panels", self.layout.recurrent.count * self._whole(self.output)),
            total.reshape(-1),
            [total[begin:end, : self.hidden] for _, blocks in self.biases for begin, end, _ in blocks],
        )

    def _whole(self, size):
        """Return a number of columns, padded to whole vectors."""
        return -(-size // self.lanes) * self.lanes

    def _add_biases(self, total, parts):
        """Write the sum of both biases, slot by slot, to `total` (slots · padded,); `parts` are views of it."""
        total.fill(0)
        arrays = [self.parameters[name] for name, _ in self.biases]
        terms = self._bias_terms
        if terms is None or not all(map(operator.is_, arrays, terms[0])):
            terms = self._bias_terms = arrays, [
                values.reshape(-1, self.hidden)[row : row + end - begin]
                for values, (_, blocks) in zip(arrays, self.biases, strict=True)
                for begin, end, row in blocks
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

    def _packed_gated(self, room, weight, transposed):
        """Return the rows of W_hh for the gated slots, packed; the gated states have padded rows."""
        wide = room.zeros("gated wide", len(self.gated_slots), self.padded, self.padded)
        for gate, slot in enumerate(self.gated_slots):
            rows = weight[gate * self.hidden : (gate + 1) * self.hidden]
            wide[slot - min(self.gated_slots), : self.hidden, : self.hidden] = rows
        return packed(room, "gated" if transposed else "gated back", wide.reshape(-1, self.padded), transposed)

    def _projection(self, room, transposed):
        """Return the projection packed."""
        weight = self._parameter(self._weight_hr)  # (output, H)
        if transposed:  # of raw, whose rows are padded
            wide = room.zeros("weight_hr", self.output, self.padded)
            wide[:, : self.hidden] = weight
            return packed(room, "weight_hr", wide, True)
        return packed(room, "weight_hr back", weight, False)

    # -------------------------------------------------------------------------------------------------- gradients

    def gradient_totals(self, room, drawn):
        """Return the `Totals` that the gradients of W_ih, W_hh and, slot by slot, the biases are added to.

        With a context, that of W_ih is an array of zeros for the columns of the input.
        """
        d_input = self.grads[self._weight_ih]
        if self.context_size:
            d_input = room.zeros("d_weight_x", len(d_input), self.columns)
        d_recurrent = self._gradient_target(drawn, slice(self.recurrent_rows)) if self.recurrent_rows else self._no_rows
        d_bias = room.zeros("bias gradient", len(self.cell.slots) * self.padded if self.biases else 0)
        return Totals(d_input, d_recurrent, d_bias)

    def add_input_gradients(self, of_input, of_context):
        """Add the gradients of both parts of W_ih to the layer's own, where there is a context."""
        total = self.grads[self._weight_ih]
        total[:, : self.columns] += of_input
        total[:, self.columns :] += of_context

    def add_gradients(self, totals, memory, gradients, drawn, n_jobs):
        """Finish the gradients of the parameters: add biases, unit parameters, gated and projection weights."""
        _, d_recurrent, d_bias = totals
        if self.recurrent_rows:
            self._add_masked(drawn, slice(self.recurrent_rows), d_recurrent)
        if self.gated_slots:
            self._gated_gradient(memory, drawn, n_jobs)
        if self.has_projection:
            total = self.grads[f"weight_hr_{self.suffix}"]
            product(total, gradients.output[:, : self.output].T, memory.raw[:, : self.hidden], n_jobs)
        d_bias = d_bias.reshape(-1, self.padded)
        for name, blocks in self.biases:
            total = self.grads[name].reshape(-1, self.hidden)
            for begin, end, row in blocks:
                total[row : row + end - begin] += d_bias[begin:end, : self.hidden]
        first = 0
        for name, count in declared(self.cell, "parameters"):
            values = gradients.units[:, first : first + count, : self.hidden].sum(axis=0)
            self.grads[f"{name}_{self.suffix}"] += values.reshape(-1)
            first += count

    def _gated_gradient(self, memory, drawn, n_jobs):
        """Add to the gradient of the rows of W_hh for the gated slots."""
        rows = slice(self.recurrent_rows, None)
        total = self._gradient_target(drawn, rows)
        for gate, slot in enumerate(self.gated_slots):
            dz = memory.gates[:, slot * self.padded : slot * self.padded + self.hidden]
            own = total[gate * self.hidden : (gate + 1) * self.hidden]
            product(own, dz.T, memory.gated[:, : self.hidden], n_jobs)
        self._add_masked(drawn, rows, total)

    def _gradient_target(self, drawn, rows):
        """Return the array for the gradient of some rows of W_hh: the layer's own, or zeros under a mask."""
        total = self.grads[f"weight_hh_{self.suffix}"][rows]
        return total if drawn.weight_hh is None else np.zeros_like(total)

    def _add_masked(self, drawn, rows, total):
        """Add the gradient in `_gradient_target`'s array to the layer's own, through the mask of weight dropout."""
        if drawn.weight_hh is not None:
            self.grads[f"weight_hh_{self.suffix}"][rows] += total * drawn.weight_hh[rows]


@functools.cache
def _key(*what):
    """Return one object for equal arguments: a key that is faster to look up than the arguments."""
    return object()
