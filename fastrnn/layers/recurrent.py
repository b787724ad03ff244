"""The recurrent layer of any cell: several layers, one or both directions, padded or ragged batches."""

import itertools

import numpy as np

from fastrnn.cells._cell import declared
from fastrnn.layers._layer import Layer
from fastrnn.layers._noise import Noise
from fastrnn.layers._recurrent_parameters import check_projection, find_cell, initial_parameters, zoneout_rates
from fastrnn.layers._sequences import Batch, cut, read_gradient, read_inputs, read_states, read_step
from fastrnn.layers.dropout import Dropout, check_probability
from fastrnn.utils.checks import check_choice, check_positive_integer
from fastrnn.utils.recurrent import HeldLayers, Inputs, Regularizers, as_state
from fastrnn.utils.shared import Held


class Recurrent(Layer):
    """Recurrent network of any cell.

    Parameters
    ----------
    cell : str or cell
        Name of the cell, see `fastrnn.layers.cells`, or an instance of your own cell class.
    input_size, hidden_size : int
        D and H.
    num_layers : int, default=1
        Number of stacked layers.
    bias : bool, default=True
        Whether to have the two biases ``bias_ih`` and ``bias_hh``.
    batch_first : bool, default=False
        Whether x and y are (B, T, …) rather than (T, B, …).
    dropout : float, default=0.0
        Probability of dropout on the output of every layer but the last, in training.
    bidirectional : bool, default=False
        Whether a second direction reads the sequences backwards.
    proj_size : int, default=0
        Length of the projection of h (Sak et al. 2014); 0 means no projection. For cells with two states.
    merge : {"concat", "sum", "mean"}, default="concat"
        How the outputs of both directions are combined.
    residual : bool, default=False
        Whether the input of a layer is added to its output, from the second layer on (Wu et al. 2016).
    reverse : bool, default=False
        Whether the only direction reads the sequences backwards.
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
        Probability of dropout on the elements of ``weight_hh``, drawn once per forward pass (Merity et al. 2017).
    initializers : dict of str to str, default=None
        Names of initializers, see `fastrnn.layers.initializers`, by the parameter's name without the layer:
        ``{"weight_hh": "orthogonal"}``. Other parameters start uniform in ±1/√H, as torch's.
    forget_bias : float, default=None
        Initial sum of both biases of a gate "f".
    dtype : {"float32", "float64"}, default="float32"
    random_state : int, RandomState instance or None, default=None
        Source of the initial parameters and of all masks.
    n_jobs : int or None, default=None
        Number of threads; None takes all cores if the work is large enough.
    context_size : int, default=0
        Length M of a context that joins the input of each step, see `attended` in `forward`; for a single layer and
        direction. The last M columns of ``weight_ih`` belong to it.
    threads_cut : {"auto", "batch", "units"}, default="auto"
        Each thread takes a part of the batch's sequences, or a part of the hidden units of all of them (not for cells
        with stages that need all units of a row). "auto" takes the units where the batch is too small for all threads.
        Results are the same to the bit.
    device, precision : str
        As in every layer, see `Layer`.

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
        context_size=0,
        dtype="float32",
        random_state=None,
        n_jobs=None,
        threads_cut="auto",
        device="cpu",
        precision="highest",
    ):
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        self.cell = find_cell(cell)
        check_choice("threads_cut", threads_cut, ("auto", "batch", "units"))
        self.threads_cut = threads_cut
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            check_positive_integer(name, value)
        check_projection(self.cell, cell, proj_size, hidden_size)
        check_choice("merge", merge, ("concat", "sum", "mean"))
        if reverse and bidirectional:
            raise ValueError("reverse=True is for one direction; bidirectional=True has both.")
        if context_size and (num_layers > 1 or bidirectional or reverse or batch_first):
            raise ValueError("context_size needs one layer that reads forwards, without batch_first.")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional, self.reverse = bias, batch_first, bidirectional, reverse
        self.proj_size, self.merge, self.residual, self.context_size = proj_size, merge, residual, context_size
        self.dropout, self.locked_dropout = dropout, locked_dropout
        self.recurrent_dropout = check_probability("recurrent_dropout", recurrent_dropout)
        self.weight_dropout = check_probability("weight_dropout", weight_dropout)
        self.zoneout = zoneout_rates(self.cell, zoneout)
        self.learn_initial_state, self.forget_bias = learn_initial_state, forget_bias
        self.initializers = {**declared(self.cell, "initializers"), **(initializers or {})}
        self.directions = 2 if bidirectional else 1
        self._sizes = (proj_size or hidden_size, *(hidden_size,) * (len(self.cell.states) - 1))  # of each state
        self.output_size = self._sizes[0] * (self.directions if merge == "concat" else 1)
        self._rows = num_layers * self.directions  # of states
        for n in range(self._rows):
            columns = input_size + context_size if n < self.directions else self.output_size
            for name, value in initial_parameters(self, columns).items():
                self._add_parameter(f"{name}_{self._suffix(n)}", value)
        self._make_layers()
        if learn_initial_state:
            for name, size in zip(self.cell.states, self._sizes, strict=True):
                self._add_parameter(f"initial_{name}", np.zeros((self._rows, size)))
        options = self._options()
        # One more than needed: each draws a seed, on which the parameters of the layers made next depend.
        self._dropouts = [Dropout(dropout, locked_dropout, **options) for _ in range(num_layers)][1:]
        self._noise = Noise(self.random_state)
        self._held = Held(self._hold)

    def _suffix(self, n):
        """Return the end of the names of the parameters of direction `n`, as torch has it."""
        layer, second = divmod(n, self.directions)
        return f"l{layer}" + ("_reverse" if second else "")

    def _make_layers(self):
        """Make the backend's object for each direction of each layer."""
        directions = list(map(self._make_direction, range(self._rows)))
        self._layers = [directions[n : n + self.directions] for n in range(0, self._rows, self.directions)]

    def _make_direction(self, n):
        second = n % self.directions == 1
        return self.backend.make_direction(
            self.cell, (self.hidden_size, self._sizes[0]), self._suffix(n), self.parameters, self.grads, place=n,
            column=self._sizes[0] if second and self.merge == "concat" else 0, reverse=self.reverse or second,
            n_jobs=self.n_jobs, threads_cut=self.threads_cut, context_size=self.context_size,
        )  # fmt: skip

    def __getstate__(self):
        return {**super().__getstate__(), "_layers": None}  # another device has others

    def __setstate__(self, state):
        super().__setstate__(state)
        self._make_layers()

    def place(self, device, precision):
        """Move the layer to a device, see `Layer.place`; weights that `held_weights` keeps are released."""
        self._held.drop()
        super().place(device, precision)
        self._make_layers()

    def _hold(self):
        """Return the weights of all directions, prepared for many passes."""
        return [direction.held() for layer in self._layers for direction in layer]

    # ----------------------------------------------------------------------------------------------------- passes

    def forward(
        self, x, state=None, lengths=None, training=False, return_all_states=False, check_finite=True, attended=None
    ):
        """Run the layers over a batch of sequences.

        Parameters
        ----------
        x : array-like (T, B, input_size), or (B, T, input_size) with ``batch_first=True``, or list of (T_i, input_size)
            The sequences, padded to the same length; a list of arrays of their own lengths; or, where the same vectors
            occur many times, an `Embedded`: a table of them and the row for each step.
        state : array (num_layers · directions, B, hidden_size), or a tuple of one for each state, default=None
            Initial states; None is zeros, or the learned ones.
        lengths : array-like (B,) of int, default=None
            Steps of each sequence, in any order, 0 allowed; None if all have T.
        training : bool, default=False
            Whether to keep what `backward` needs and to apply dropout. Without it, only the output grows with T.
        return_all_states : bool, default=False
            Whether to return the states of every layer after every step too.
        check_finite : bool, default=True
            Whether to refuse NaN and infinity in x (padding aside).
        attended : Attended, default=None
            With ``context_size``: what the sequences attend to, and the arrays that take contexts and weights.

        Returns
        -------
        y : ndarray (T, B, output_size), or (B, T, …) with ``batch_first=True``
            Outputs of the last layer, zeros after the end of a sequence; a list of arrays of the host if x is a list.
        state : as the argument
            States after the last step of each sequence.
        all_states : as the argument, with T (and B) as in y before the last axis
            Only with ``return_all_states=True``: (num_layers · directions, T, B, hidden_size) for each state.

        Raises
        ------
        ValueError
            An argument has the wrong shape, a length is outside 0 to T, or x is not finite.
        """
        x, lengths, is_list = read_inputs(x, lengths, self)
        shape, backend = x.batch_shape, self.backend
        batch, steps = shape if self.batch_first else shape[::-1]
        packing = backend.make_packing(steps, batch, lengths, self.batch_first)
        rows = packing.pack(x, self.n_jobs)
        if check_finite and not backend.is_finite(rows.vectors):
            raise ValueError("x must be finite, got NaN or infinity in the steps of a sequence.")
        initial, final = self._initial_states(state, batch), self._empty_states(batch)
        all_states = self._empty_states(*shape) if return_all_states else None
        y_shape = (*shape, self.output_size)
        if training:
            x_shape, is_learned = None if x.ids is not None else x.vectors.shape, state is None
            given = Batch(packing, x_shape, y_shape, is_learned, lengths if is_list else None)
            y = self._train(rows, initial, final, all_states, attended, given)
        else:
            y, _ = self._run(rows, initial, final, packing, False, all_states, attended)
        y = backend.reshape(y, y_shape) if self._is_padded(-1) else packing.unpack(y, y_shape, self.n_jobs)
        result = cut(backend.to_numpy(y), lengths, self.batch_first) if is_list else y, as_state(final)
        return result if all_states is None else (*result, as_state(all_states))

    def step(self, x, state=None, check_finite=True, attended=None):
        """Run all layers for one step of a batch, for prediction.

        Steps one after another give the outputs and states of `forward`; they are quick under `held_weights`. Threads
        may call this at the same time.

        Parameters
        ----------
        x : array-like (B, input_size), or Embedded with ids (B,)
        state : as in `forward`, default=None
        check_finite : bool, default=True
            Whether to refuse NaN and infinity in x.
        attended : Attended, default=None
            As in `forward`, for T = 1.

        Returns
        -------
        y : ndarray (B, output_size)
            Output of the last layer.
        state : as in `forward`
            State after the step.

        Raises
        ------
        ValueError
            An argument has the wrong shape, x is not finite, or the layer reads sequences backwards.

        Examples
        --------
        >>> import numpy as np
        >>> from fastrnn.layers import GRU
        >>> layer, x, h = GRU(3, 5, random_state=0), np.ones((4, 2, 3)), None
        >>> with layer.held_weights():
        ...     for t in range(4):
        ...         y, h = layer.step(x[t], h)
        >>> bool((y == layer.forward(x)[0][-1]).all())
        True
        """
        x = read_step(x, self)
        if check_finite and not self.backend.is_finite(x.vectors):
            raise ValueError("x must be finite, got NaN or infinity.")
        (batch,) = x.batch_shape
        packing, final = self.backend.make_packing(1, batch), self._empty_states(batch)
        x = packing.pack(x, self.n_jobs)
        y, _ = self._run(x, self._initial_states(state, batch), final, packing, False, None, attended)
        return y, as_state(final)

    def _train(self, rows, initial, final, all_states, attended, given):
        """Run all layers in training, and keep what `backward` needs; return the output."""
        if self._held.value is not None:
            raise RuntimeError("Nothing can be trained while held_weights is in force.")
        self._begin_training("forward")
        try:
            y, passes = self._run(rows, initial, final, given.packing, True, all_states, attended)
            self._keep(passes, given)
        finally:
            self._end_training()
        return y

    def _run(self, rows, initial, final, packing, training, all_states, attended):
        """Run all layers over packed `Inputs`.

        Writes the final states to `final`, and those after every step to `all_states` unless it is None. Returns the
        last layer's output, and the passes of all directions for `backward`.
        """
        if (attended is None) == bool(self.context_size):
            raise ValueError("attended must be given to a layer with a context_size, and to no other.")
        backend, held, passes = self.backend, self._held.value, []
        masked = any(self.zoneout) or (training and (self.recurrent_dropout or self.weight_dropout))
        noise = self._noise.next_pass() if masked and training else None
        for k, layer in enumerate(self._layers):
            padded, outputs = self._is_padded(k), []
            for direction in layer:
                if not outputs or self.merge != "concat":
                    outputs.append(packing.new_rows(self.output_size, self.dtype, padded, self.n_jobs))
                n = len(passes)
                done = direction.forward(
                    outputs[-1], final, rows, initial, packing, self._regularizers(noise, n) if masked else None,
                    padded=padded, training=training, held=None if held is None else held[n], all_states=all_states,
                    attended=attended,
                )  # fmt: skip
                passes.append(done)
            y = outputs[0] if len(outputs) == 1 else backend.add(*outputs)
            if self.directions == 2 and self.merge == "mean":
                backend.scale(y, 0.5)
            if self.residual and k > 0:
                y = backend.add(y, rows.vectors)
            if k < self.num_layers - 1:
                if training:
                    y = self._dropouts[k].forward(y, True, packing.sequences, packing.step_numbers)
                rows = Inputs(y)
        return y, passes

    def held_weights(self):
        """Return the holder of weights that are prepared once for many predictions.

        The parameters and the tables of `Embedded` inputs must not change, and nothing may be trained, while they are
        held.

        Returns
        -------
        fastrnn.utils.shared.Held
            A context manager. Its methods ``keep()`` and ``drop()`` hold the weights beyond a block.

        Examples
        --------
        >>> import numpy as np
        >>> from fastrnn.layers import GRU
        >>> layer, h = GRU(3, 5, random_state=0), None
        >>> with layer.held_weights():
        ...     for _ in range(4):
        ...         y, h = layer.forward(np.ones((1, 2, 3)), h)
        """
        return self._held

    def held_layers(self):
        """Return the layers for the backend's `generate`, while weights are held.

        The layers must have one direction and read forwards.
        """
        directions = [direction for (direction,) in self._layers]
        return HeldLayers(directions, self._held.value, self._regularizers(None, 0), self.residual)

    def backward(self, dy, dstate=None, attended=None):
        """Propagate gradients back through the last `forward` with ``training=True``, and add to `grads`.

        Parameters
        ----------
        dy : array-like, shape of y (a list if y is one)
            Gradient of the output; values after the end of a sequence are ignored.
        dstate : as the state, default=None
            Gradient of the final states; None is zeros.
        attended : Attended, default=None
            With ``context_size``: the gradients of what `forward` attended to.

        Returns
        -------
        dx : ndarray, shape of x (a list if x is one)
            For `Embedded` inputs, the gradient of their table.
        dstate : as the state
            Gradient of the initial states.

        Raises
        ------
        RuntimeError
            There was no forward pass with ``training=True`` since the last `backward`.
        ValueError
            An argument has the wrong shape.
        """
        passes, (packing, x_shape, y_shape, is_learned, lengths) = self._recall()
        dy = read_gradient(dy, y_shape, lengths, self)
        d_final = None if dstate is None else self._read_states(dstate, packing.batch, "dstate")
        d_initial = self._empty_states(packing.batch)
        self._begin_training("backward")
        try:
            self._forget()
            dx = self._run_back(passes, dy, d_final, d_initial, packing, attended)
        finally:
            self._end_training()
        if is_learned and self.learn_initial_state:
            for name, values in zip(self.cell.states, d_initial, strict=True):
                self.backend.add_sum(self.grads[f"initial_{name}"], values, 1)
        if x_shape is not None:
            dx = packing.unpack(dx, x_shape, self.n_jobs)
        if lengths is not None:
            dx = cut(self.backend.to_numpy(dx), lengths, self.batch_first)
        return dx, as_state(d_initial)

    def _run_back(self, passes, dy, d_final, d_initial, packing, attended):
        """Run back through all layers; return the gradient of the vectors of the packed inputs.

        Writes the gradients of the initial states to `d_initial`.
        """
        backend = self.backend
        if self._is_padded(-1):
            d_rows = backend.reshape(dy, (-1, self.output_size))
        else:
            d_rows = packing.pack(Inputs(dy), self.n_jobs).vectors
        for k in reversed(range(self.num_layers)):
            if k < self.num_layers - 1:
                d_rows = self._dropouts[k].backward(d_rows)
            d_inputs, d_output, padded = d_rows if self.residual and k > 0 else None, d_rows, self._is_padded(k)
            if self.directions == 2 and self.merge == "mean":
                d_output = backend.multiply(d_rows, 0.5)
            for d, direction in enumerate(self._layers[k]):
                forward = passes[k * self.directions + d]
                dx = direction.backward(d_initial, forward, d_output, d_final, padded=padded, attended=attended)
                d_inputs = dx if d_inputs is None else backend.add(d_inputs, dx)
            d_rows = d_inputs
        return d_rows

    def forget(self):
        """Release what the last forward pass in training has kept; there is no `backward` after this."""
        super().forget()
        for layer in self._dropouts:
            layer.forget()
        for direction in itertools.chain(*self._layers):
            direction.release()

    def remove_noise(self):
        """Set all probabilities of dropout to 0; zoneout stays."""
        super().remove_noise()
        for layer in self._dropouts:
            layer.remove_noise()

    def training_state(self):
        """Return the state that masks depend on."""
        return {**super().training_state(), "dropouts": [dropout.training_state() for dropout in self._dropouts]}

    def set_training_state(self, state):
        """Restore the state that `training_state` returned."""
        super().set_training_state(state)
        for dropout, part in zip(self._dropouts, state["dropouts"], strict=True):
            dropout.set_training_state(part)

    def _is_padded(self, k):
        """Return whether layer `k` writes right into the padded batch that the caller gets; -1 is the last one."""
        return k in (-1, self.num_layers - 1) and not (self.residual and self.num_layers > 1)

    def _regularizers(self, noise, n):
        """Return the masks of direction `n` in a pass: of the `NoisePass` in training, of None at prediction."""
        if noise is None:
            return Regularizers(0.0, 0.0, self.zoneout, 0, None)
        return Regularizers(self.recurrent_dropout, self.weight_dropout, self.zoneout, *noise.kind(n << 4))

    def _initial_states(self, states, batch):
        """Return the states that a pass starts from: those given, the learned ones, or None for zeros."""
        if states is not None:
            return self._read_states(states, batch, "state")
        if self.learn_initial_state:
            return [self.backend.repeat(self.parameters[f"initial_{name}"], batch) for name in self.cell.states]
        return None

    def _read_states(self, states, batch, argument):
        """Return given states as a list of arrays (num_layers · directions, batch, size)."""
        return read_states(states, [(self._rows, batch, size) for size in self._sizes], argument, self)

    def _empty_states(self, *batch_shape):
        """Return an array (num_layers · directions, *batch_shape, size) for each state."""
        empty, rows, dtype = self.backend.empty, self._rows, self.dtype
        return [empty((rows, *batch_shape, size), dtype) for size in self._sizes]
