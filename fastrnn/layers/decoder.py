"""The recurrent layers of a decoder, which may attend to a memory."""

import numpy as np

from fastrnn.layers._layer import Layer
from fastrnn.layers._sequences import read_gradient, read_states
from fastrnn.layers.attention import Attention
from fastrnn.layers.dropout import Dropout
from fastrnn.layers.recurrent import Recurrent
from fastrnn.utils.checks import check_positive_integer, shown
from fastrnn.utils.recurrent import Inputs, as_state, state_parts
from fastrnn.utils.shared import Held


class Decoder(Layer):
    """Recurrent layers, the lowest of which attends to a memory; its context goes to all layers above (Wu et al. 2016).

    With input feeding, the query of a step is h of the lowest layer before the step, and the context is joined to the
    input of that step (Bahdanau et al. 2015). Without, the query is h after the step, so that the lowest layer runs
    over all steps before it attends (Luong et al. 2015). The input of a layer above is h of the layer below and the
    context, and so is the output. Without attention, the decoder is a `Recurrent` layer.

    Parameters
    ----------
    cell : str or cell
        As in `Recurrent`.
    input_size, hidden_size : int
        D and H.
    num_layers : int, default=1
        Number of stacked layers.
    attention : Attention or None, default=None
        The attention layer, with queries of H numbers; it is a part of the decoder from now on.
    input_feeding : bool, default=True
        Whether the context is joined to the input of the lowest layer, if there is attention.
    bias : bool, default=True
    dropout : float, default=0.0
        Probability of dropout on h between layers, in training.
    residual : bool, default=False
        Whether h of the layer below is added to the output of a layer, from the second layer on.
    proj_size, locked_dropout, recurrent_dropout, zoneout, weight_dropout, initializers, forget_bias, threads_cut
        As in `Recurrent`, for every layer.
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        Those of the layers by torch's names, ``weight_ih_l0``, ``weight_hh_l0`` and so on, and those of the attention
        as "attention.NAME". With input feeding, the last M columns of ``weight_ih_l0`` belong to the context, M being
        the length of a vector of the memory; so do those of ``weight_ih_l1`` and above in any case.
    output_size : int
        H + M, or H without attention.

    References
    ----------
    Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", ICLR 2015.
    Luong, Pham and Manning, "Effective approaches to attention-based neural machine translation", EMNLP 2015.
    Wu et al., "Google's neural machine translation system", arXiv:1609.08144, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import Decoder
    >>> y, state, weights = Decoder("gru", 3, 5, num_layers=2, random_state=0).forward(np.ones((7, 2, 3)))
    >>> y.shape, state.shape, weights
    ((7, 2, 5), (2, 2, 5), None)
    """

    def __init__(self, cell, input_size, hidden_size, num_layers=1, attention=None, input_feeding=True, bias=True,
                 dropout=0.0, *, residual=False, proj_size=0, locked_dropout=False, recurrent_dropout=0.0, zoneout=0.0,
                 weight_dropout=0.0, initializers=None, forget_bias=None, dtype="float32", random_state=None,
                 n_jobs=None, threads_cut="auto", device="cpu", precision="highest"):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        check_positive_integer("num_layers", num_layers)
        self.num_layers, self.residual, self.attention = num_layers, residual, attention
        self.input_feeding = attention is not None and input_feeding
        size = proj_size or hidden_size
        context = _context_size(attention, size, self)
        options = self._options()
        self._layers = [
            Recurrent(
                cell, size + context if k else input_size, hidden_size, 1, bias, proj_size=proj_size,
                recurrent_dropout=recurrent_dropout, zoneout=zoneout, weight_dropout=weight_dropout,
                initializers=initializers, forget_bias=forget_bias, threads_cut=threads_cut,
                context_size=context if input_feeding and k == 0 else 0, **options,
            )
            for k in range(num_layers)
        ]  # fmt: skip
        self.cell, self.input_size, self.hidden_size = self._layers[0].cell, input_size, hidden_size
        self.context_size, self._size, self.output_size = context, size, size + context
        self._dropouts = [Dropout(dropout, locked_dropout, **options) for _ in range(num_layers - 1)]
        for k, layer in enumerate(self._layers):
            self._add_part(layer, {name: f"{name.removesuffix('_l0')}_l{k}" for name in layer.parameters})
        if attention is not None:
            self._add_part(attention, {name: f"attention.{name}" for name in attention.parameters})
        self._held = Held(_nothing, *(layer.held_weights() for layer in self._layers))

    # ----------------------------------------------------------------------------------------------------- passes

    def forward(self, x, state=None, memory=None, lengths=None, training=False, check_finite=True):
        """Run the layers over a batch of sequences.

        Parameters
        ----------
        x : array-like (T, B, input_size), or Embedded
        state : array (num_layers, B, hidden_size), or a tuple of one for each state, default=None
            Initial states; None is zeros.
        memory : AttentionMemory or None, default=None
            What the sequences attend to, from ``attention.read``; None without attention.
        lengths : array-like (B,) of int, default=None
            Steps of each sequence, 0 allowed; None if all have T.
        training : bool, default=False
            Whether to keep what `backward` needs and to apply dropout.
        check_finite : bool, default=True
            Whether to refuse NaN and infinity in x.

        Returns
        -------
        y : array of the device (T, B, output_size)
            h of the highest layer and the context, zeros after the end of a sequence.
        state : as the argument
            States after the last step of each sequence.
        weights : array of the device (T, B, S), or None without attention
            The attention weights of the S vectors of a sequence's memory.

        Raises
        ------
        ValueError
            An argument has the wrong shape, a length is outside 0 to T, x is not finite, or there is attention without
            a memory or the other way round.
        """
        x, (steps, batch) = _read_input(x, "(T, B, input_size)", self)
        self._check_memory(memory, batch)
        states = self._split_states(state, batch, "state")
        attended = self.attention.attended(memory, steps) if self.input_feeding else None
        h, final = self._layers[0].forward(
            x, states[0], lengths, training, check_finite=check_finite, attended=attended
        )
        finals, context, weights = [final], None, None
        if attended is not None:
            context, weights = attended.contexts, attended.weights
        elif memory is not None:
            context, weights = self.attention.forward(h, memory, lengths, training=training)
        for k in range(1, self.num_layers):
            h = self._dropouts[k - 1].forward(h, training)
            above, final = self._layers[k].forward(
                self._join(h, context), states[k], lengths, training, check_finite=False
            )
            h = self.backend.add(above, h) if self.residual else above
            finals.append(final)
        y = self._join(h, context)
        if training:
            self._keep(memory, y.shape)
        return y, self._join_states(finals), weights

    def step(self, x, state=None, memory=None, sources=None, check_finite=True, joined=True):
        """Run all layers for one step of a batch, for prediction.

        Steps one after another give the outputs and states of `forward`; they are quick under `held_weights`. Threads
        may call this at the same time.

        Parameters
        ----------
        x : array-like (B, input_size), or Embedded with ids (B,)
        state, memory
            As in `forward`.
        sources : int array (B,), default=None
            The sequence of the memory that each row attends to; several rows may share one. None: row b attends to
            sequence b.
        check_finite : bool, default=True
            Whether to refuse NaN and infinity in x.
        joined : bool, default=True
            Whether y is one array; otherwise it is the pair of h (B, H) and the context (B, M), or None.

        Returns
        -------
        y : array of the device (B, output_size)
        state : as the argument
        weights : array of the device (B, S), or None without attention

        Raises
        ------
        ValueError
            As in `forward`.
        """
        x, (batch,) = _read_input(x, "(B, input_size)", self)
        self._check_memory(memory, batch, sources)
        states = self._split_states(state, batch, "state")
        attended = self.attention.attended(memory, 1, sources) if self.input_feeding else None
        h, final = self._layers[0].step(x, states[0], check_finite, attended)
        finals, context, weights, reshape = [final], None, None, self.backend.reshape
        if memory is not None:
            context, weights = (
                self.attention.forward(reshape(h, (1, *h.shape)), memory, sources=sources)
                if attended is None
                else attended[:2]
            )
            context, weights = (reshape(array, array.shape[1:]) for array in (context, weights))
        for k in range(1, self.num_layers):
            above, final = self._layers[k].step(self._join(h, context), states[k], check_finite=False)
            h = self.backend.add(above, h) if self.residual else above
            finals.append(final)
        y = self._join(h, context) if joined else (h, context)
        return y, self._join_states(finals), weights

    def backward(self, dy, dstate=None):
        """Propagate gradients back through the last `forward` with ``training=True``, and add to `grads`.

        Parameters
        ----------
        dy : array-like (T, B, output_size)
            Gradient of the output; values after the end of a sequence are ignored.
        dstate : as the state, default=None
            Gradient of the final states; None is zeros.

        Returns
        -------
        dx : array of the device, shape of x
            For `Embedded` inputs, the gradient of their table.
        dstate : as the state
            Gradient of the initial states.
        d_memory : array of the device (S, B, M), or None without attention
            Gradient of the memory.

        Raises
        ------
        RuntimeError
            There was no forward pass with ``training=True`` since the last `backward`.
        ValueError
            An argument has the wrong shape.
        """
        memory, y_shape = self._recall()
        dy = read_gradient(dy, y_shape, None, self)
        add, d_states = self.backend.add, self._split_states(dstate, y_shape[1], "dstate")
        self._forget()
        dh, d_context = self._split(dy)
        for k in reversed(range(1, self.num_layers)):
            d_input, d_states[k] = self._layers[k].backward(dh, d_states[k])
            d_below, d_more = self._split(d_input)
            dh = self._dropouts[k - 1].backward(add(d_below, dh) if self.residual else d_below)
            d_context = None if memory is None else add(d_context, d_more)
        attended = self.attention.attended_gradients(memory, d_context) if self.input_feeding else None
        if memory is not None and not self.input_feeding:
            dh = add(dh, self.attention.backward(d_context))
        dx, d_states[0] = self._layers[0].backward(dh, d_states[0], attended)
        return dx, self._join_states(d_states), None if memory is None else self.attention.read_backward()

    def held_weights(self):
        """Return the holder of weights that are prepared once for many predictions, as `Recurrent.held_weights`."""
        return self._held

    @property
    def is_held(self):
        """Whether weights are held, so that products of `Embedded` inputs are computed once."""
        return self._layers[0].held_weights().value is not None

    def forget(self):
        """Release what the last forward pass in training has kept; there is no `backward` after this."""
        super().forget()
        for layer in self._dropouts:
            layer.forget()

    def place(self, device, precision):
        """Move the layer to a device, see `Layer.place`; weights that `held_weights` keeps are released."""
        self._held.drop()
        super().place(device, precision)

    def remove_noise(self):
        """Set all probabilities of dropout to 0; zoneout stays."""
        for layer in self.parts():
            layer.remove_noise()

    def training_state(self):
        """Return the state that masks depend on."""
        return {"parts": [layer.training_state() for layer in self.parts()]}

    def set_training_state(self, state):
        """Restore the state that `training_state` returned."""
        for layer, part in zip(self.parts(), state["parts"], strict=True):
            layer.set_training_state(part)

    def _check_memory(self, memory, batch, sources=None):
        """Raise ValueError unless `batch` sequences can attend to the memory."""
        if (memory is None) != (self.attention is None):
            given, expected = ("None", "what attention.read returned") if memory is None else ("a memory", "None")
            raise ValueError(f"memory must be {expected}, got {given}.")
        if memory is not None:
            self.attention.check_memory(memory, batch, sources)

    def _join(self, h, context):
        """Return h (…, H) and the context (…, M) side by side."""
        return h if context is None else self.backend.concatenate([h, context], h.ndim - 1)

    def _split(self, joined):
        """Return the parts of an array of the shape of the output that belong to h and to the context, or None."""
        if self.attention is None:
            return joined, None
        return self.backend.split(joined, (self._size, self.context_size), joined.ndim - 1)

    def _split_states(self, state, batch, argument):
        """Return the states of each layer; None for all where none are given."""
        if state is None:
            return [None] * self.num_layers
        sizes, ones = (self._size, *(self.hidden_size,) * (len(self.cell.states) - 1)), [1] * self.num_layers
        parts = read_states(state, [(self.num_layers, batch, size) for size in sizes], argument, self)
        return [
            as_state(of_layer) for of_layer in zip(*(self.backend.split(part, ones) for part in parts), strict=True)
        ]

    def _join_states(self, states):
        """Return the states of all layers."""
        if self.num_layers == 1:
            return states[0]
        return as_state(tuple(map(self.backend.concatenate, zip(*map(state_parts, states), strict=True))))


def _context_size(attention, size, layer):
    """Return the length of a context, 0 without attention; raise ValueError if it does not fit h of a size."""
    if attention is None:
        return 0
    if not isinstance(attention, Attention):
        raise ValueError(f"attention must be None or a layer Attention, got {shown(attention)}.")
    for name, expected in (("query_size", size), ("dtype", layer.dtype), ("device", layer.device)):
        given = getattr(attention, name)
        if given != expected:
            raise ValueError(f"attention must have {name}={expected}, got {given}.")
    return attention.memory_size


def _read_input(x, layout, layer):
    """Return x of the device, and its sizes before the last one: (T, B) or (B,), as `layout` says."""
    if not isinstance(x, Inputs):
        x = layer.backend.asarray(x, layer.dtype)
    shape = np.shape(x.ids) if isinstance(x, Inputs) else x.shape[:-1]
    if len(shape) != layout.count(","):
        raise ValueError(
            f"x must have shape {layout} with input_size={layer.input_size}, got {getattr(x, 'shape', shape)}."
        )
    return x, shape


def _nothing():
    """Hold nothing besides the weights of the layers."""
