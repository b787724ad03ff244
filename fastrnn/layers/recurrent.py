"""The recurrent layers: any cell, in several layers, one or both directions, over padded or ragged batches."""

import difflib
import functools

import numpy as np

from fastrnn.cells import CELLS
from fastrnn.kernels import recurrence, threads
from fastrnn.kernels.gemm import gemm, pack, packed_size, scratch_size
from fastrnn.layers._layer import Layer
from fastrnn.layers._packing import Packing
from fastrnn.layers.dropout import Dropout
from fastrnn.simd import lanes_of

_CHUNK_BYTES = 1 << 18  # pre-activations of a chunk of steps: to stay in the second-level cache of a core


@functools.lru_cache(maxsize=16)
def _full_packing(steps, batch, batch_first):
    return Packing(steps, batch, None, batch_first)


class _Workspace:
    """Arrays that are kept from call to call, since fresh memory costs a page fault every 4 KB."""

    def __init__(self, dtype):
        self.dtype = dtype
        self._arrays = {}

    def __reduce__(self):
        return _Workspace, (self.dtype,)  # copies and files do not need what is in it

    def take(self, name, *shape):
        """Return an array of `shape` with arbitrary contents, valid until `name` is taken again."""
        size = int(np.prod(shape))
        array = self._arrays.get(name)
        if array is None or array.size < size:
            self._arrays[name] = array = np.empty(size, self.dtype)
        return array[:size].reshape(shape)

    def zeros(self, name, *shape):
        """Return an array of zeros, valid until `name` is taken again."""
        array = self.take(name, *shape)
        array.fill(0)
        return array


class _Direction:
    """One direction of one layer: runs its cell over packed rows.

    Inside, the weights are kept slot by slot with the hidden units padded to whole vectors; the parameters and
    gradients outside have torch's layout.
    """

    def __init__(self, cell, parameters, grads, suffix, n_jobs):
        self.cell = cell
        self.parameters, self.grads, self.suffix, self.n_jobs = parameters, grads, suffix, n_jobs
        weight_hh = parameters[f"weight_hh_{suffix}"]
        self.hidden = weight_hh.shape[1]
        lanes = lanes_of(weight_hh)
        self.padded = -(-self.hidden // lanes) * lanes
        slots = len(cell.slots)
        # A row of a multiple of 2 KB would put a column of all rows into a few sets of the cache.
        self.width = slots * self.padded
        if self.width * weight_hh.itemsize % 2048 == 0:
            self.width += lanes
        input_span = (min(cell.input_slots), len(cell.input_slots))
        recurrent_span = (min(cell.recurrent_slots), len(cell.recurrent_slots))
        self.spans = tuple(n * self.padded for n in (*input_span, *recurrent_span))
        self.work = _Workspace(weight_hh.dtype)

    def _slotted(self, name, slots):
        """Return a weight with its gates in the order of the slots, padded: (gates · padded, columns)."""
        weight = self.parameters[f"{name}_{self.suffix}"]
        gates, columns = len(slots), weight.shape[1]
        places = [slot - min(slots) for slot in slots]
        if self.padded == self.hidden and places == list(range(gates)):
            return weight
        slotted = self.work.zeros(name, gates, self.padded, columns)
        slotted[places, : self.hidden] = weight.reshape(gates, self.hidden, columns)
        return slotted.reshape(gates * self.padded, columns)

    def _bias(self):
        """Return the sum of both biases, slot by slot: (slots · padded,)."""
        bias = self.work.zeros("bias", len(self.cell.slots), self.padded)
        for name, slots in (("bias_ih", self.cell.input_slots), ("bias_hh", self.cell.recurrent_slots)):
            if f"{name}_{self.suffix}" in self.parameters:
                values = self.parameters[f"{name}_{self.suffix}"].reshape(len(slots), self.hidden)
                bias[list(slots), : self.hidden] += values
        return bias.reshape(-1)

    def _packed(self, name, weight, transposed):
        """Return a weight (or its transpose) packed for products."""
        rows, columns = weight.shape
        depth, width = (columns, rows) if transposed else (rows, columns)
        panels = self.work.take(f"{name} packed", packed_size(depth, width, weight.dtype))
        pack(panels, weight, 0, *((1, columns) if transposed else (columns, 1)), depth, width)
        return panels

    def _threads(self, rows, columns):
        return threads.worth(self.n_jobs, 2 * rows * self.spans[1] * (columns + self.hidden))

    def forward(self, x, initial, packing, keep):
        """Run all steps.

        Parameters
        ----------
        x : ndarray (R, D)
            Packed rows.
        initial : ndarray (N, batch, hidden)
            Initial states, in packed order.
        packing : Packing
        keep : bool
            Whether `backward` will follow.

        Returns
        -------
        y : ndarray (R, hidden)
        final : ndarray (N, batch, hidden)
        """
        rows, steps, batch = len(x), len(packing.offsets) - 1, packing.batch
        shards = packing.shards(self._threads(rows, x.shape[1]))
        largest = max((b - a for a, b in shards), default=1)
        chunk = max(1, _CHUNK_BYTES // (largest * self.width * x.itemsize))
        if keep:
            gate_rows = packing.offsets[:-1]
            state_rows = np.concatenate([[0], batch + packing.offsets[:-1]])
            gates = self.work.take("gates", rows, self.width)
            states = self.work.take("states", len(self.cell.states), batch + rows, self.padded)
        else:
            gate_rows = np.arange(steps) % chunk * batch
            state_rows = np.arange(steps + 1) % 2 * batch
            gates = self.work.take("gates", min(chunk, steps) * batch, self.width)
            states = self.work.take("states", len(self.cell.states), 2 * batch, self.padded)
        states[:, :batch, : self.hidden] = initial
        states[:, :batch, self.hidden :] = 0
        y = np.empty((rows, self.hidden), x.dtype)
        input_panels = self._packed("weight_ih", self._slotted("weight_ih", self.cell.input_slots), True)
        recurrent_panels = self._packed("weight_hh", self._slotted("weight_hh", self.cell.recurrent_slots), True)
        shared = (y, gates, states, self.cell, x, input_panels, recurrent_panels, self._bias(), packing.offsets,
                  gate_rows, state_rows, self.spans)  # fmt: skip
        threads.run(recurrence.recurrence_forward, [(*shared, a, b, chunk, keep) for a, b in shards])
        final = states[:, state_rows[packing.lengths] + np.arange(batch), : self.hidden]
        self.kept = (x, gates, states, state_rows, packing) if keep else None
        return y, final

    def backward(self, dy, d_final):
        """Run back through all steps; add to the gradients of the parameters.

        Parameters
        ----------
        dy : ndarray (R, hidden)
        d_final : ndarray (N, batch, hidden)
            Gradients of the final states, in packed order.

        Returns
        -------
        dx : ndarray (R, D)
        d_initial : ndarray (N, batch, hidden)
        """
        x, gates, states, state_rows, packing = self.kept
        self.kept = None  # gates are overwritten: there is no second time
        d_states = self.work.zeros("d_states", len(self.cell.states), packing.batch, self.padded)
        d_states[:, :, : self.hidden] = d_final
        weight_hh = self._slotted("weight_hh", self.cell.recurrent_slots)
        panels = self._packed("weight_hh back", weight_hh, False)
        shards = packing.shards(self._threads(len(x), 0))
        shared = (gates, d_states, self.cell, states, dy, panels, packing.offsets, state_rows, self.spans)
        threads.run(recurrence.recurrence_backward, [(*shared, a, b) for a, b in shards])
        before = states[0, : len(x)] if packing.previous is None else states[0, packing.previous]
        self._weight_gradient("weight_ih", self.cell.input_slots, self.spans[:2], gates, x, x.shape[1])
        self._weight_gradient("weight_hh", self.cell.recurrent_slots, self.spans[2:], gates, before, self.hidden)
        self._bias_gradient(gates)
        return self._input_gradient(gates, x), d_states[:, :, : self.hidden].copy()

    def _weight_gradient(self, name, slots, span, gates, inputs, columns):
        """Add dzᵀ · inputs, one product over all rows, to the gradient of a weight."""
        begin, wide = span
        gradient = self.work.zeros("weight gradient", wide, columns)
        jobs = threads.worth(self.n_jobs, 2 * len(gates) * wide * columns)
        bounds = threads.split(wide, jobs)
        size = scratch_size(gradient.dtype)
        scratch = threads.scratch(size * len(bounds), gradient.dtype)
        threads.run(
            gemm,
            [
                (gradient, a * columns, columns, gates, begin + a, 1, self.width, inputs, 0, inputs.shape[1], 1, b - a,
                 columns, len(inputs), scratch[k * size : (k + 1) * size])
                for k, (a, b) in enumerate(bounds)
            ],
        )  # fmt: skip
        places = [slot - min(slots) for slot in slots]
        gradient = gradient.reshape(len(slots), self.padded, columns)
        total = self.grads[f"{name}_{self.suffix}"].reshape(len(slots), self.hidden, columns)
        for gate, place in enumerate(places):
            total[gate] += gradient[place, : self.hidden]

    def _bias_gradient(self, gates):
        """Add the sum of dz over all rows to the gradients of the biases."""
        if f"bias_ih_{self.suffix}" not in self.grads:
            return
        sums = self.work.zeros("bias gradient", len(self.cell.slots), self.padded)
        recurrence.column_sums(sums, gates, 0, sums.size)
        for name, slots in (("bias_ih", self.cell.input_slots), ("bias_hh", self.cell.recurrent_slots)):
            total = self.grads[f"{name}_{self.suffix}"].reshape(len(slots), self.hidden)
            total += sums[list(slots), : self.hidden]

    def _input_gradient(self, gates, x):
        """Return dx = dz · W_ih (R, D)."""
        weight = self._slotted("weight_ih", self.cell.input_slots)
        begin, wide = self.spans[:2]
        rows, columns = x.shape
        dx = np.zeros_like(x)
        bounds = threads.split(rows, threads.worth(self.n_jobs, 2 * rows * wide * columns))
        size = scratch_size(x.dtype)
        scratch = threads.scratch(size * len(bounds), x.dtype)
        threads.run(
            gemm,
            [
                (dx, a * columns, columns, gates, a * self.width + begin, self.width, 1, weight, 0, columns, 1, b - a,
                 columns, wide, scratch[k * size : (k + 1) * size])
                for k, (a, b) in enumerate(bounds)
            ],
        )  # fmt: skip
        return dx


class Recurrent(Layer):
    """Recurrent network of any cell.

    Parameters
    ----------
    cell : str
        Name of the cell, a key of `fastrnn.cells.CELLS`.
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, random_state, n_jobs
        As in `RNN`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import Recurrent
    >>> y, h = Recurrent("gru", 3, 5, random_state=0).forward(np.ones((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(self, cell, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, *, dtype="float32", random_state=None, n_jobs=None):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs)
        if cell not in CELLS:
            near = difflib.get_close_matches(str(cell), CELLS) or sorted(CELLS)
            raise ValueError(f"cell must be one of {sorted(CELLS)}, got {cell!r}; did you mean {' or '.join(near)}?")
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
        self.cell = CELLS[cell]
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = dropout
        self.directions = 2 if bidirectional else 1
        self._layers = [
            [self._add_direction(k, d) for d in range(self.directions)] for k in range(num_layers)
        ]  # fmt: skip
        self._dropouts = [Dropout(dropout, dtype=dtype, random_state=self.random_state) for _ in range(num_layers)][1:]
        self._kept = None

    def _add_direction(self, layer, direction):
        """Register the parameters of one direction of one layer, with torch's names and uniform start."""
        suffix = f"l{layer}" + ("_reverse" if direction else "")
        columns = self.input_size if layer == 0 else self.hidden_size * self.directions
        rows = len(self.cell.gates) * self.hidden_size
        bound = 1 / np.sqrt(self.hidden_size)
        self._add_parameter(f"weight_ih_{suffix}", self._uniform(bound, (rows, columns)))
        self._add_parameter(f"weight_hh_{suffix}", self._uniform(bound, (rows, self.hidden_size)))
        if self.bias:
            self._add_parameter(f"bias_ih_{suffix}", self._uniform(bound, rows))
            self._add_parameter(f"bias_hh_{suffix}", self._uniform(bound, rows))
        return _Direction(self.cell, self.parameters, self.grads, suffix, self.n_jobs)

    def forward(self, x, state=None, lengths=None, training=False):
        """Run the layers over a batch of sequences.

        Parameters
        ----------
        x : array-like (T, B, input_size), or (B, T, input_size) with ``batch_first=True``
            The sequences, padded to the same length.
        state : array (num_layers · directions, B, hidden_size), or a tuple (h, c) of two for LSTM, default=None
            Initial states; None is zeros.
        lengths : array-like (B,) of int, default=None
            Steps of each sequence, in any order, 0 allowed; None if all have T.
        training : bool, default=False
            Whether to keep what `backward` needs and to apply dropout. Otherwise memory does not grow with T, but for
            the output.

        Returns
        -------
        y : ndarray (T, B, directions · hidden_size), or (B, T, …) with ``batch_first=True``
            Hidden states of the last layer, zeros behind the end of a sequence.
        state : as the argument
            States after the last step of each sequence.

        Raises
        ------
        ValueError
            An argument has the wrong shape or a length is outside 0 to T.
        """
        x = np.ascontiguousarray(x, self.dtype)
        if x.ndim != 3 or x.shape[2] != self.input_size:
            layout = "(B, T, input_size)" if self.batch_first else "(T, B, input_size)"
            raise ValueError(f"x must have shape {layout} with input_size={self.input_size}, got {x.shape}.")
        batch, steps = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        packing = self._packing(steps, batch, lengths)
        initial = self._initial(state, batch, packing, "state")
        final = np.empty_like(initial)
        rows = packing.pack(x)
        for k, layer in enumerate(self._layers):
            outputs = []
            for d, direction in enumerate(layer):
                inputs = rows[packing.reverse] if d else rows
                n = k * self.directions + d
                y, final[:, n] = direction.forward(inputs, initial[:, n], packing, training)
                outputs.append(y[packing.reverse] if d else y)
            rows = outputs[0] if self.directions == 1 else np.concatenate(outputs, axis=1)
            if k < self.num_layers - 1:
                rows = self._dropouts[k].forward(rows, training=training)
        self._kept = (packing, x.shape) if training else None
        y = packing.unpack(rows, (*x.shape[:2], self.directions * self.hidden_size))
        return y, self._state(packing.unsort(final))

    def backward(self, dy, dstate=None):
        """Propagate gradients back through the last `forward` with ``training=True``, and add to `grads`.

        Parameters
        ----------
        dy : array-like, shape of y
            Gradient of the output; what stands behind the end of a sequence is ignored.
        dstate : as the state, default=None
            Gradient of the final states; None is zeros.

        Returns
        -------
        dx : ndarray, shape of x
        dstate : as the state
            Gradient of the initial states.

        Raises
        ------
        RuntimeError
            There was no forward pass with ``training=True`` since the last `backward`.
        ValueError
            An argument has the wrong shape.
        """
        if self._kept is None:
            raise RuntimeError("backward needs a forward pass with training=True before it, once for each backward.")
        packing, x_shape = self._kept
        dy = np.ascontiguousarray(dy, self.dtype)
        expected = (*x_shape[:2], self.directions * self.hidden_size)
        if dy.shape != expected:
            raise ValueError(f"dy must have the shape of the output, {expected}, got {dy.shape}.")
        d_final = self._initial(dstate, packing.batch, packing, "dstate")
        self._kept = None
        d_initial = np.empty_like(d_final)
        d_rows = packing.pack(dy)
        hidden = self.hidden_size
        for k in reversed(range(self.num_layers)):
            if k < self.num_layers - 1:
                d_rows = self._dropouts[k].backward(d_rows)
            d_inputs = None
            for d, direction in enumerate(self._layers[k]):
                part = d_rows[packing.reverse, hidden:] if d else np.ascontiguousarray(d_rows[:, :hidden])
                n = k * self.directions + d
                dx, d_initial[:, n] = direction.backward(part, d_final[:, n])
                d_inputs = d_inputs + dx[packing.reverse] if d else dx
            d_rows = d_inputs
        return packing.unpack(d_rows, x_shape), self._state(packing.unsort(d_initial))

    def _packing(self, steps, batch, lengths):
        """Check the lengths and return the packing for them."""
        if lengths is None:
            return _full_packing(steps, batch, self.batch_first)
        lengths = np.asarray(lengths)
        if lengths.shape != (batch,) or not np.issubdtype(lengths.dtype, np.integer):
            raise ValueError(
                f"lengths must be {batch} integers, one a sequence, got shape {lengths.shape} of {lengths.dtype}."
            )
        if batch and (lengths.min() < 0 or lengths.max() > steps):
            raise ValueError(
                f"lengths must be between 0 and {steps}, the steps of x, got {lengths.min()} to {lengths.max()}."
            )
        return Packing(steps, batch, lengths.astype(np.int64), self.batch_first)

    def _initial(self, state, batch, packing, name):
        """Return a given state as an array (N, num_layers · directions, batch, hidden_size) in packed order."""
        shape = (self.num_layers * self.directions, batch, self.hidden_size)
        names = self.cell.states
        if state is None:
            return np.zeros((len(names), *shape), self.dtype)
        parts = (state,) if len(names) == 1 else tuple(state)
        if len(parts) != len(names) or any(np.shape(part) != shape for part in parts):
            given = [np.shape(part) for part in parts]
            raise ValueError(f"{name} must be {' and '.join(names)} of shape {shape}, got shapes {given}.")
        return packing.sort(np.stack([np.asarray(part, self.dtype) for part in parts]))

    @staticmethod
    def _state(states):
        """Return states (N, …) as users have them: an array, or a tuple where there are several."""
        return states[0] if len(states) == 1 else tuple(states)


class RNN(Recurrent):
    """Vanilla recurrent network (Elman 1990), with torch's names and layouts.

    Parameters
    ----------
    input_size, hidden_size : int
        D and H.
    num_layers : int, default=1
        Layers on top of each other.
    nonlinearity : {"tanh", "relu"}, default="tanh"
    bias : bool, default=True
        Whether there are the two biases ``bias_ih`` and ``bias_hh``.
    batch_first : bool, default=False
        Whether x and y are (B, T, …) rather than (T, B, …).
    dropout : float, default=0.0
        Probability of dropout on the output of every layer but the last, in training.
    bidirectional : bool, default=False
        Whether a second direction reads the sequences from their ends.
    dtype : {"float32", "float64"}, default="float32"
    random_state : int, RandomState instance or None, default=None
        Source of the initial parameters (uniform in ±1/√H) and of dropout masks.
    n_jobs : int or None, default=None
        Threads; None takes all cores, as far as the work is worth it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import RNN
    >>> y, h = RNN(3, 5, random_state=0).forward(np.ones((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False,
                 dropout=0.0, bidirectional=False, *, dtype="float32", random_state=None, n_jobs=None):  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}.")
        super().__init__("rnn" if nonlinearity == "tanh" else "rnn_relu", input_size, hidden_size, num_layers, bias,
                         batch_first, dropout, bidirectional, dtype=dtype, random_state=random_state,
                         n_jobs=n_jobs)  # fmt: skip


class GRU(Recurrent):
    """Gated recurrent units with the reset gate after the recurrent product (Cho et al. 2014), as torch has them.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, random_state, n_jobs
        As in `RNN`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import GRU
    >>> layer = GRU(3, 5, num_layers=2, random_state=0)
    >>> y, h = layer.forward(np.ones((7, 2, 3)), lengths=[7, 4])
    >>> y.shape, h.shape, layer.state_dict()["weight_ih_l0"].shape
    ((7, 2, 5), (2, 2, 5), (15, 3))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, *, dtype="float32", random_state=None, n_jobs=None):  # fmt: skip
        super().__init__("gru", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         dtype=dtype, random_state=random_state, n_jobs=n_jobs)  # fmt: skip


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), with torch's names, layouts and gate order i, f, g, o.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, random_state, n_jobs
        As in `RNN`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import LSTM
    >>> y, (h, c) = LSTM(3, 5, bidirectional=True, random_state=0).forward(np.ones((7, 2, 3)))
    >>> y.shape, h.shape, c.shape
    ((7, 2, 10), (2, 2, 5), (2, 2, 5))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, *, dtype="float32", random_state=None, n_jobs=None):  # fmt: skip
        super().__init__("lstm", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         dtype=dtype, random_state=random_state, n_jobs=n_jobs)  # fmt: skip
