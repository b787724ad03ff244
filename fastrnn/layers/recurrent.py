"""The recurrent layers: any cell, in several layers, one or both directions, over padded or ragged batches."""

import contextlib
import functools
import itertools
import numbers

import numpy as np

from fastrnn._memory import Room, borrow_room, empty, empty_like, give_back
from fastrnn.cells import CELLS
from fastrnn.cells._cell import declared
from fastrnn.kernels.packing import Embedded, Packing, gather
from fastrnn.kernels.recurrence import Output
from fastrnn.kernels.recurrent_passes import Direction
from fastrnn.kernels.recurrent_plan import step_schedules
from fastrnn.kernels.recurrent_weights import NOTHING_DRAWN, DirectionWeights, Drawn, HeldWeights
from fastrnn.layers._layer import Layer
from fastrnn.layers.dropout import Dropout, check_probability
from fastrnn.layers.initializers import initialize
from fastrnn.utils.checks import check_choice, check_positive_integer, shown
from fastrnn.utils.shared import Shared

_MERGES = ("concat", "sum", "mean")


@functools.lru_cache(maxsize=16)
def _full_packing(steps, batch, batch_first):
    return Packing(steps, batch, None, batch_first)


def find_cell(cell):
    """Return a cell by its name, or the cell itself: an instance of a cell class of one's own."""
    if not isinstance(cell, str):
        if hasattr(cell, "forward") and hasattr(cell, "slots"):
            return cell
        raise ValueError(f"cell must be a name or an instance of a cell class, got {shown(cell)}.")
    check_choice("cell", cell, sorted(CELLS))
    return CELLS[cell]


class Recurrent(Layer):
    """Recurrent network of any cell.

    Parameters
    ----------
    cell : str or cell
        Name of the cell, see `fastrnn.layers.cells`, or an instance of a cell class of one's own.
    input_size, hidden_size : int
        D and H.
    num_layers : int, default=1
        Layers on top of each other.
    bias : bool, default=True
        Whether there are the two biases ``bias_ih`` and ``bias_hh``.
    batch_first : bool, default=False
        Whether x and y are (B, T, …) rather than (T, B, …).
    dropout : float, default=0.0
        Probability of dropout on the output of every layer but the last, in training.
    bidirectional : bool, default=False
        Whether a second direction reads the sequences from their ends.
    proj_size : int, default=0
        Length to which h is projected (Sak et al. 2014); 0 does not. For cells with two states.
    merge : {"concat", "sum", "mean"}, default="concat"
        How the outputs of both directions are put together.
    residual : bool, default=False
        Whether the input of a layer is added to its output, from the second layer on (Wu et al. 2016).
    reverse : bool, default=False
        Whether the only direction reads the sequences from their ends.
    learn_initial_state : bool, default=False
        Whether the initial states are parameters, used where no state is given.
    locked_dropout : bool, default=False
        Whether the dropout between layers is the same at every step of a sequence (Gal and Ghahramani 2016).
    recurrent_dropout : float, default=0.0
        Probability of dropout on h in the recurrent product, the same at every step (Gal and Ghahramani 2016).
    zoneout : float or tuple of float, default=0.0
        Probability that a unit keeps its old value, for each state (Krueger et al. 2017); at prediction the expectation
        is taken.
    weight_dropout : float, default=0.0
        Probability of dropout on the elements of ``weight_hh``, drawn once a forward pass (Merity et al. 2017).
    initializers : dict of str to str, default=None
        Names of initializers, see `fastrnn.layers.initializers`, by the parameter's name without the layer:
        ``{"weight_hh": "orthogonal"}``. Those not named are uniform in ±1/√H, as torch's.
    forget_bias : float, default=None
        What the sum of both biases of a gate "f" starts with.
    dtype : {"float32", "float64"}, default="float32"
    random_state : int, RandomState instance or None, default=None
        Source of the initial parameters and of all masks.
    n_jobs : int or None, default=None
        Threads; None takes all cores, as far as the work is worth it.
    threads_cut : {"auto", "batch", "units"}, default="auto"
        What each thread takes a part of: the sequences of the batch, or the hidden units of all of them (not for cells
        with stages that need all units of a row). "auto" takes the units where the batch is too small for all threads.
        Results are the same to the bit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import Recurrent
    >>> y, h = Recurrent("gru", 3, 5, random_state=0).forward(np.ones((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    _dropout_rates = ("dropout", "recurrent_dropout", "weight_dropout")

    def __init__(
        self,
        cell,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        *,
        merge="concat",
        residual=False,
        reverse=False,
        learn_initial_state=False,
        locked_dropout=False,
        recurrent_dropout=0.0,
        zoneout=0.0,
        weight_dropout=0.0,
        initializers=None,
        forget_bias=None,
        dtype="float32",
        random_state=None,
        n_jobs=None,
        threads_cut="auto",
    ):
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs)
        self.cell = find_cell(cell)
        check_choice("threads_cut", threads_cut, ("auto", "batch", "units"))
        self.threads_cut = threads_cut
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            check_positive_integer(name, value)
        if not isinstance(proj_size, numbers.Integral) or not 0 <= proj_size < hidden_size:
            raise ValueError(f"proj_size must be an integer from 0 to hidden_size - 1, got {shown(proj_size)}.")
        if proj_size and (len(self.cell.states) < 2 or declared(self.cell, "late_slots")):
            raise ValueError(f"proj_size needs a cell that has a state besides h, got {shown(cell)}.")
        check_choice("merge", merge, _MERGES)
        if reverse and bidirectional:
            raise ValueError("reverse=True is for one direction; bidirectional=True has both.")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional, self.reverse = bias, batch_first, bidirectional, reverse
        self.proj_size, self.merge, self.residual = proj_size, merge, residual
        self.dropout, self.locked_dropout = dropout, locked_dropout
        self.recurrent_dropout = check_probability("recurrent_dropout", recurrent_dropout)
        self.weight_dropout = check_probability("weight_dropout", weight_dropout)
        rates = tuple(zoneout) if isinstance(zoneout, tuple | list) else (zoneout,) * len(self.cell.states)
        if len(rates) != len(self.cell.states):
            raise ValueError(f"zoneout must be a number or one for each of {self.cell.states}, got {shown(zoneout)}.")
        self.zoneout = tuple(check_probability("zoneout", rate) for rate in rates)
        self.learn_initial_state, self.forget_bias = learn_initial_state, forget_bias
        self.initializers = {**declared(self.cell, "initializers"), **(initializers or {})}
        self.directions = 2 if bidirectional else 1
        self._sizes = (proj_size or hidden_size, *(hidden_size,) * (len(self.cell.states) - 1))  # of each state
        self.output_size = self._sizes[0] * (self.directions if merge == "concat" else 1)
        self._layers = [[self._add_direction(k, d) for d in range(self.directions)] for k in range(num_layers)]
        if learn_initial_state:
            for name, size in zip(self.cell.states, self._sizes, strict=True):
                self._add_parameter(f"initial_{name}", np.zeros((num_layers * self.directions, size)))
        self._dropouts = [
            Dropout(dropout, locked_dropout, dtype=dtype, random_state=self.random_state) for _ in range(num_layers)
        ][1:]
        self._random = np.random.default_rng(self.random_state.randint(2**31))
        self._held = Shared()  # a list of `HeldWeights`, one a direction
        # Of each direction, for training: what a pass keeps for its backward pass is too much to be allocated anew.
        self._rooms = [Room(self.dtype) for _ in range(num_layers * self.directions)]

    def _add_direction(self, layer, direction):
        """Register the parameters of one direction of one layer, with torch's names."""
        cell, hidden, output = self.cell, self.hidden_size, self._sizes[0]
        suffix = f"l{layer}" + ("_reverse" if direction else "")
        columns = self.input_size if layer == 0 else self.output_size
        recurrent = len(cell.recurrent_slots) + len(declared(cell, "late_slots"))
        shapes = {"weight_ih": (len(cell.gates) * hidden, columns)}
        if recurrent:
            shapes["weight_hh"] = (recurrent * hidden, output)
        if self.bias and not declared(cell, "normalized"):
            shapes["bias_ih"] = (len(cell.gates) * hidden,)
            if recurrent:
                shapes["bias_hh"] = (recurrent * hidden,)
        for name, vectors in declared(cell, "parameters"):
            shapes[name] = (vectors * hidden,)
        if self.proj_size:
            shapes["weight_hr"] = (output, hidden)
        unknown = self.initializers.keys() - shapes.keys() - {"bias_ih", "bias_hh"}
        if unknown:
            raise ValueError(f"initializers must name parameters of the cell, {sorted(shapes)}, got {sorted(unknown)}.")
        for name, shape in shapes.items():
            how = self.initializers.get(name, "uniform")
            self._add_parameter(f"{name}_{suffix}", initialize(how, shape, hidden, self.random_state))
        if self.forget_bias is not None:
            self._set_forget_bias(suffix)
        weights = DirectionWeights(cell, hidden, output, self.parameters, self.grads, suffix)
        return Direction(weights, self.n_jobs, self.threads_cut)

    def _set_forget_bias(self, suffix):
        """Start the forget gate open."""
        if "f" not in self.cell.gates or f"bias_ih_{suffix}" not in self.parameters:
            raise ValueError("forget_bias needs a cell with a gate 'f' and biases.")
        gate = slice(self.cell.gates.index("f") * self.hidden_size, (self.cell.gates.index("f") + 1) * self.hidden_size)
        self.parameters[f"bias_ih_{suffix}"][gate] = self.forget_bias
        self.parameters[f"bias_hh_{suffix}"][gate] = 0

    # ----------------------------------------------------------------------------------------------------- passes

    def forward(self, x, state=None, lengths=None, training=False, return_all_states=False, check_finite=True):
        """Run the layers over a batch of sequences.

        Parameters
        ----------
        x : array-like (T, B, input_size), or (B, T, input_size) with ``batch_first=True``, or list of (T_i, input_size)
            The sequences, padded to the same length; or as a list of arrays of their own lengths; or, where the same
            inputs occur many times, these and their numbers, as `Embedded`.
        state : array (num_layers · directions, B, hidden_size), or a tuple of one for each state, default=None
            Initial states; None is zeros, or the learned ones.
        lengths : array-like (B,) of int, default=None
            Steps of each sequence, in any order, 0 allowed; None if all have T.
        training : bool, default=False
            Whether to keep what `backward` needs and to apply dropout. Otherwise memory does not grow with T, but for
            the output.
        return_all_states : bool, default=False
            Whether to return the states of every layer after every step too.
        check_finite : bool, default=True
            Whether to refuse NaN and infinity in x (padding aside).

        Returns
        -------
        y : ndarray (T, B, output_size), or (B, T, …) with ``batch_first=True``
            Outputs of the last layer, zeros behind the end of a sequence; a list if x is one.
        state : as the argument
            States after the last step of each sequence.
        all_states : as the argument, with T (and B) as in y before the last axis
            Only with ``return_all_states=True``: (num_layers · directions, T, B, hidden_size) for each state.

        Raises
        ------
        ValueError
            An argument has the wrong shape, a length is outside 0 to T, or x is not finite.
        """
        x, lengths, listed = self._read(x, lengths)
        shape = x.ids.shape if isinstance(x, Embedded) else x.shape[:2]
        batch, steps = shape if self.batch_first else shape[::-1]
        packing = self._packing(steps, batch, lengths)
        learned = state is None and self.learn_initial_state
        initial = self._initial(self._learned(batch) if learned else state, batch, packing, "state")
        rows = packing.pack(x, self.n_jobs)
        if check_finite and not np.isfinite(rows.vectors if isinstance(x, Embedded) else rows).all():
            raise ValueError("x must be finite, got NaN or infinity in the steps of a sequence.")
        y_shape, x_shape = (*shape, self.output_size), None if isinstance(x, Embedded) else x.shape
        if training:
            if self._held.value is not None:
                raise RuntimeError("Nothing can be trained while held_weights is in force.")
            self._begin_training("forward")
            try:
                rows, final, collected, passes = self._run(rows, initial, packing, shape, True, return_all_states)
                self._keep(passes, packing, y_shape, x_shape, learned, lengths if listed else None)
            finally:
                self._end_training()
        else:
            rows, final, collected, _ = self._run(rows, initial, packing, shape, False, return_all_states)
        y = rows.reshape(y_shape) if self._ends(self.num_layers - 1) else packing.unpack(rows, y_shape, self.n_jobs)
        result = self._cut(y, lengths) if listed else y, self._state(packing.unsort(final))
        if return_all_states:
            result += (self._state([np.stack(parts) for parts in zip(*collected, strict=True)]),)
        return result

    def _run(self, rows, initial, packing, shape, training, return_all_states):
        """Run all layers over packed rows.

        Returns the last layer's output, the final states, all states of each direction, and the passes for `backward`:
        each in a room of its own; for prediction one room serves all directions, one after the other.
        """
        final, collected, passes = self._empty_states(packing.batch), [], []
        room, held = None if training else borrow_room(self.dtype), self._held.value
        for k, layer in enumerate(self._layers):
            inputs, outputs = rows, self._outputs(packing, padded=self._ends(k))
            for d, direction in enumerate(layer):
                n = k * self.directions + d
                backwards = d == 1 or self.reverse
                done = direction.forward(
                    outputs[d],
                    gather(inputs, packing.reverse, self.n_jobs) if backwards else inputs,
                    initial and [part[n] for part in initial],
                    packing,
                    training or return_all_states,
                    self._draw(direction, packing, training),
                    self._rooms[n] if training else room,
                    None if held is None else held[n],
                )
                for part, values in zip(final, done.final, strict=True):
                    part[n] = values
                if return_all_states:
                    collected.append(self._collect(done, packing, shape, backwards))
                if training:
                    passes.append(done)
            rows = self._merged(outputs) if self.directions == 2 else outputs[0].values
            if self.residual and k > 0:
                rows = rows + inputs
            if k < self.num_layers - 1:
                rows = self._dropouts[k].forward(rows, training, packing.sequences, packing.step_numbers)
        if room is not None:
            give_back(room)
        return rows, final, collected, passes

    @contextlib.contextmanager
    def held_weights(self):
        """Prepare the weights once for all predictions within the context, for many short ones.

        The parameters and the vectors of `Embedded` inputs must not change, and nothing may be trained, before it ends.

        Examples
        --------
        >>> import numpy as np
        >>> from fastrnn.layers import GRU
        >>> layer, h = GRU(3, 5, random_state=0), None
        >>> with layer.held_weights():
        ...     for _ in range(4):
        ...         y, h = layer.forward(np.ones((1, 2, 3)), h)
        """
        directions = list(itertools.chain(*self._layers))
        with self._held.hold(lambda: [HeldWeights(direction.weights) for direction in directions]):
            yield

    def step_arrays(self, state, batch, rooms, vectors=None):
        """Return the arrays for single steps of `kernels.generation.generate`, from a state on, and its two schedules.

        For one direction that reads forwards, under `held_weights`; each layer writes in one of `rooms`. With `vectors`
        (V, D) the first layer reads only these, and computes its product with them at once. The states after an even
        number of steps stand in the first `batch` rows of each layer's memory.
        """
        packing, x, steps = self._packing(1, batch, None), np.empty((batch, self.input_size), self.dtype), []
        initial, held = self._initial(state, batch, packing, "state"), self._held.value
        for k, (direction,) in enumerate(self._layers):
            size = self._sizes[0]
            y = Output(np.empty((batch, size), self.dtype), np.arange(batch, dtype=np.int32), 0, size)
            drawn, first = self._draw(direction, packing, training=False), initial and [part[k] for part in initial]
            steps.append(direction.step_arrays(x, vectors, y, batch, first, drawn, rooms[k], held[k]))
            x, vectors = y.values, None
        return tuple(steps), step_schedules(self._layers[0][0].weights, batch)

    def backward(self, dy, dstate=None):
        """Propagate gradients back through the last `forward` with ``training=True``, and add to `grads`.

        Parameters
        ----------
        dy : array-like, shape of y (a list if y is one)
            Gradient of the output; what stands behind the end of a sequence is ignored.
        dstate : as the state, default=None
            Gradient of the final states; None is zeros.

        Returns
        -------
        dx : ndarray, shape of x (a list if x is one)
            Of `Embedded` inputs the gradient of their vectors.
        dstate : as the state
            Gradient of the initial states.

        Raises
        ------
        RuntimeError
            There was no forward pass with ``training=True`` since the last `backward`.
        ValueError
            An argument has the wrong shape.
        """
        passes, packing, y_shape, x_shape, learned, lengths = self._recall()
        if lengths is not None:
            if [len(part) for part in dy] != list(lengths):
                raise ValueError(
                    f"dy must be a list of arrays as long as those of x, got {[len(p) for p in dy]} steps."
                )
            dy, _ = self._pad(dy)
        dy = np.ascontiguousarray(dy, self.dtype)
        if dy.shape != y_shape:
            raise ValueError(f"dy must have the shape of the output, {y_shape}, got {dy.shape}.")
        d_final = self._initial(dstate, packing.batch, packing, "dstate")
        self._begin_training("backward")
        try:
            self._forget()
            dx, d_initial = self._run_back(passes, dy, d_final, packing, x_shape is None)
        finally:
            self._end_training()
        if learned:
            for name, values in zip(self.cell.states, d_initial, strict=True):
                self.grads[f"initial_{name}"] += values.sum(axis=1)
        dx = dx if x_shape is None else packing.unpack(dx, x_shape, self.n_jobs)
        dx = dx if lengths is None else self._cut(dx, lengths)
        return dx, self._state(packing.unsort(d_initial))

    def _run_back(self, passes, dy, d_final, packing, embedded):
        """Run back through all layers; return the gradients of the packed inputs and of the initial states."""
        d_initial, ends = self._empty_states(packing.batch), self._ends(self.num_layers - 1)
        d_rows = dy.reshape(-1, self.output_size) if ends else packing.pack(dy, self.n_jobs)
        for k in reversed(range(self.num_layers)):
            if k < self.num_layers - 1:
                d_rows = self._dropouts[k].backward(d_rows)
            d_inputs = d_rows if self.residual and k > 0 else None
            d_outputs = self._parts(d_rows, packing, padded=self._ends(k))
            for d, direction in enumerate(self._layers[k]):
                n = k * self.directions + d
                dx, before = direction.backward(passes[n], d_outputs[d], d_final and [part[n] for part in d_final])
                if (d == 1 or self.reverse) and not (k == 0 and embedded):
                    dx = gather(dx, packing.reverse, self.n_jobs)
                d_inputs = dx if d_inputs is None else d_inputs + dx
                for target, values in zip(d_initial, before, strict=True):
                    target[n] = values
            d_rows = d_inputs
        return d_rows, d_initial

    def remove_noise(self):
        """Set all probabilities of dropout to 0; zoneout stays."""
        super().remove_noise()
        for layer in self._dropouts:
            layer.remove_noise()

    def training_state(self):
        """Return what masks depend on."""
        dropouts = [dropout.training_state() for dropout in self._dropouts]
        return {"generator": self._random.bit_generator.state, "dropouts": dropouts}

    def set_training_state(self, state):
        """Take back what `training_state` returned."""
        self._random.bit_generator.state = state["generator"]
        for dropout, part in zip(self._dropouts, state["dropouts"], strict=True):
            dropout.set_training_state(part)

    def _read(self, x, lengths):
        """Return x as an array (·, ·, input_size) or as `Embedded`, its lengths, and whether it was a list."""
        if isinstance(x, Embedded):
            return self._read_embedded(x), lengths, False
        listed = isinstance(x, list | tuple) and lengths is None and all(np.ndim(part) == 2 for part in x)
        if listed:
            x, lengths = self._pad(x)
        x = np.ascontiguousarray(x, self.dtype)
        if x.ndim != 3 or x.shape[2] != self.input_size:
            layout = "(B, T, input_size)" if self.batch_first else "(T, B, input_size)"
            raise ValueError(f"x must have shape {layout} with input_size={self.input_size}, got {x.shape}.")
        return x, lengths, listed

    def _read_embedded(self, x):
        vectors, ids = np.ascontiguousarray(x.vectors, self.dtype), np.asarray(x.ids)
        if vectors.ndim != 2 or vectors.shape[1] != self.input_size:
            raise ValueError(f"x.vectors must have shape (V, {self.input_size}), got {vectors.shape}.")
        if ids.ndim != 2 or ids.dtype.kind not in "iu":
            raise ValueError(f"x.ids must be a matrix of integers, got an array of {ids.dtype}, shape {ids.shape}.")
        if ids.size and not 0 <= ids.min() <= ids.max() < len(vectors):
            raise ValueError(f"x.ids must be from 0 to {len(vectors) - 1}, got {ids.min()} to {ids.max()}.")
        return Embedded(vectors, ids)

    def _pad(self, sequences):
        """Return a list of arrays (T_i, n) as a padded batch, and their lengths."""
        widths = {part.shape[1] for part in map(np.asarray, sequences)}
        if len(widths) > 1:
            raise ValueError(f"A list of sequences must have the same number of columns in all, got {sorted(widths)}.")
        lengths = np.array([len(part) for part in sequences], np.int64)
        padded = np.zeros((len(sequences), lengths.max(initial=0), *(widths or {self.input_size})), self.dtype)
        for row, part in zip(padded, sequences, strict=True):
            row[: len(part)] = part
        return padded if self.batch_first else padded.swapaxes(0, 1), lengths

    def _cut(self, padded, lengths):
        """Return a padded batch as a list of arrays (T_i, n)."""
        rows = padded if self.batch_first else padded.swapaxes(0, 1)
        return [row[:length].copy() for row, length in zip(rows, lengths, strict=True)]

    def _ends(self, k):
        """Return whether what a layer computes goes right into the padded batch that the user gets."""
        return k == self.num_layers - 1 and not (self.residual and k > 0)

    def _parts(self, values, packing, padded):
        """Return where the output of each direction stands in the output of a layer, or its gradient in a gradient."""
        halves = values / 2 if self.directions == 2 and self.merge == "mean" else values
        size = self._sizes[0]
        if self.directions == 1:
            return [Output(values, packing.output_rows(self.reverse, padded), 0, size)]
        begin = [0, size if self.merge == "concat" else 0]
        return [
            Output(halves, packing.output_rows(d == 1 or self.reverse, padded), begin[d], begin[d] + size)
            for d in range(self.directions)
        ]

    def _outputs(self, packing, padded):
        """Return what the directions of a layer write to, with zeros for padding."""
        n_rows = packing.batch * packing.steps if padded else int(packing.offsets[-1])
        matrix = empty((n_rows, self.output_size), self.dtype)
        others = [empty_like(matrix)] if self.directions == 2 and self.merge != "concat" else []
        if padded:
            for values in (matrix, *others):
                packing.clear_padding(values, self.n_jobs)
        parts = self._parts(matrix, packing, padded)
        if others:
            parts[1] = parts[1]._replace(values=others[0])
        return parts

    def _merged(self, outputs):
        """Put the outputs of the directions together."""
        first, last = outputs[0].values, outputs[-1].values
        if first is last:
            return first
        total = first + last
        return total if self.merge == "sum" else total / 2

    def _draw(self, direction, packing, training):
        """Draw the masks of one pass."""
        if not (any(self.zoneout) or (training and (self.recurrent_dropout or self.weight_dropout))):
            return NOTHING_DRAWN
        rows, batch, draw = int(packing.offsets[-1]), packing.batch, self._random.random
        update = None
        if any(self.zoneout):
            if training:
                update = [
                    (draw((rows, size), np.float32) >= rate).astype(self.dtype)
                    for rate, size in zip(self.zoneout, self._sizes, strict=True)
                ]
            else:
                update = [
                    np.full((1, size), 1 - rate, self.dtype)
                    for rate, size in zip(self.zoneout, self._sizes, strict=True)
                ]
        if not training:
            return Drawn(update=update)
        recurrent = weight = None
        if self.recurrent_dropout:
            kept = draw((batch, self._sizes[0]), np.float32) >= self.recurrent_dropout
            recurrent = kept * self.dtype.type(1 / (1 - self.recurrent_dropout))
        name = f"weight_hh_{direction.weights.suffix}"
        if self.weight_dropout and name in self.parameters:
            kept = draw(self.parameters[name].shape, np.float32) >= self.weight_dropout
            weight = kept * self.dtype.type(1 / (1 - self.weight_dropout))
        return Drawn(weight, recurrent, update)

    def _collect(self, done, packing, shape, backwards):
        """Return every state after each step of a pass as padded batches."""
        padded = []
        for plane, size in zip(done.all_states(), self._sizes, strict=True):
            rows = gather(plane, packing.output_rows(backwards, padded=False), self.n_jobs, size)
            padded.append(packing.unpack(rows, (*shape, size), self.n_jobs))
        return padded

    # --------------------------------------------------------------------------------------------------- arguments

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

    def _learned(self, batch):
        """Return the learned initial states for a batch."""
        states = [self.parameters[f"initial_{name}"] for name in self.cell.states]
        states = [np.repeat(state[:, None], batch, axis=1) for state in states]
        return self._state(states)

    def _initial(self, state, batch, packing, name):
        """Return a given state as a list of arrays (num_layers · directions, batch, size) in packed order; or None."""
        if state is None:
            return None
        shapes = [(self.num_layers * self.directions, batch, size) for size in self._sizes]
        parts = (state,) if len(shapes) == 1 else tuple(state)
        given = [np.shape(part) for part in parts]
        if given != shapes:
            names = " and ".join(f"{n} of shape {s}" for n, s in zip(self.cell.states, shapes, strict=True))
            raise ValueError(f"{name} must be {names}, got shapes {given}.")
        return [packing.sort(np.asarray(part, self.dtype)) for part in parts]

    def _empty_states(self, batch):
        return [np.empty((self.num_layers * self.directions, batch, size), self.dtype) for size in self._sizes]

    @staticmethod
    def _state(states):
        """Return states as users have them: an array, or a tuple where there are several."""
        return states[0] if len(states) == 1 else tuple(states)


class RNN(Recurrent):
    """Vanilla recurrent network (Elman 1990), with torch's names and layouts.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
        As in `Recurrent`.
    nonlinearity : {"tanh", "relu"}, default="tanh"
    bias, batch_first, dropout, bidirectional, **options
        As in `Recurrent`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import RNN
    >>> y, h = RNN(3, 5, random_state=0).forward(np.ones((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False,
                 dropout=0.0, bidirectional=False, **options):  # fmt: skip
        check_choice("nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__("rnn" if nonlinearity == "tanh" else "rnn_relu", input_size, hidden_size, num_layers, bias,
                         batch_first, dropout, bidirectional, **options)  # fmt: skip


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014), with torch's names, layouts and gate order r, z, n.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **options
        As in `Recurrent`.
    reset_after : bool, default=True
        Whether the reset gate stands behind the recurrent product, as in torch and cuDNN, or before it, as in the
        paper and in Keras' default.

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
                 bidirectional=False, *, reset_after=True, **options):  # fmt: skip
        super().__init__("gru" if reset_after else "gru_reset_before", input_size, hidden_size, num_layers, bias,
                         batch_first, dropout, bidirectional, **options)  # fmt: skip


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), with torch's names, layouts and gate order i, f, g, o.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, **options
        As in `Recurrent`.
    peephole : bool or "before", default=False
        Whether the gates see the cell state (Gers & Schmidhuber 2000): i and f that of the step before, o the new one;
        with "before" all three that of the step before.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import LSTM
    >>> y, (h, c) = LSTM(3, 5, bidirectional=True, random_state=0).forward(np.ones((7, 2, 3)))
    >>> y.shape, h.shape, c.shape
    ((7, 2, 10), (2, 2, 5), (2, 2, 5))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, proj_size=0, *, peephole=False, **options):  # fmt: skip
        cells = {False: "lstm", True: "lstm_peephole", "before": "lstm_peephole_before"}
        check_choice("peephole", peephole, cells)
        super().__init__(cells[peephole], input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, proj_size, **options)  # fmt: skip
