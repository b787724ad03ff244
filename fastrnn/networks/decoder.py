"""Networks that write sequences: a decoder of tokens, which begins from an encoding and may attend to a memory."""

import abc
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from fastrnn.layers import Attention, Decoder, Dense, Dropout, Embedding, Softmax
from fastrnn.networks._memory import within_memory
from fastrnn.networks.base import Network
from fastrnn.networks.heads import SoftmaxHead
from fastrnn.text.batching import shift_right
from fastrnn.text.tokens import START_ID
from fastrnn.utils.recurrent import as_state, state_parts
from fastrnn.utils.shared import Held

_TABLE_ROWS = 4096  # tokens, at most, whose vectors are multiplied by the weights of recurrent layers once for all
_OCCURRENCES = 2  # from this mean of a token in a batch, the input product is computed once for each token
_TIED_SCALE = 0.05  # of the initial vectors of an embedding that is the output too: logits begin small


class PairBatch(NamedTuple):
    """Some sources and their target sequences for one pass.

    Attributes
    ----------
    sources : object
        All sources, as the network's `encode_sources` reads them; with ``lengths``.
    rows : int array (B,)
        The sources of the batch.
    inputs : int32 array (T, B) or None
        ``<s>``, then the target of the step before. None where nothing is predicted from targets.
    targets : int32 array (T, B) or None
        Tokens, the last one ``</s>``; negative after it.
    lengths : int array (B,) or None
        Tokens of each target sequence.
    weights : float32 array (B,) or None
        Weight of each pair.
    """

    sources: object
    rows: np.ndarray
    inputs: np.ndarray | None = None
    targets: np.ndarray | None = None
    lengths: np.ndarray | None = None
    weights: np.ndarray | None = None

    @property
    def extent(self):
        """Number of pairs, and steps of the longest source or target."""
        steps = int(self.sources.lengths[self.rows].max(initial=0))
        return len(self.rows), max(steps, 0 if self.inputs is None else len(self.inputs))

    def first(self, n):
        """Return the batch of the first `n` pairs."""
        if self.inputs is None:
            return PairBatch(self.sources, self.rows[:n])
        weights = None if self.weights is None else self.weights[:n]
        return PairBatch(self.sources, self.rows[:n], self.inputs[:, :n], self.targets[:, :n], self.lengths[:n],
                         weights)  # fmt: skip


class Encoded(NamedTuple):
    """Sources as a decoder reads them.

    Attributes
    ----------
    memory : array of the device (S, B, M) or None
        Vectors that the decoder attends to; None if it does not attend.
    lengths : int array (B,) or None
        Vectors of each source; None if all have S.
    summary : array of the device (B, ·)
        A vector of each whole source, from which the decoder begins.
    """

    memory: object
    lengths: np.ndarray | None
    summary: object


class DecoderState(NamedTuple):
    """State of n sequences that are being written.

    Attributes
    ----------
    recurrent : state of the decoder's layers
    memory : AttentionMemory or None
        Of all sources, shared by the sequences.
    sources : int array (n,)
        The source of each sequence.
    weights : float64 array (n, S) or None
        Attention weights of the last step; None before the first step, or without attention.
    readout : array of the device (·, H) or None
        The columns of the readout's weight for h, if the other columns have already multiplied the memory's values.
    """

    recurrent: object
    memory: object
    sources: np.ndarray
    weights: np.ndarray | None = None
    readout: object = None


class ScheduledSampling:
    """Replaces inputs of a decoder by its own predictions, the more the longer it trains (Bengio et al. 2015).

    Parameters
    ----------
    probability : float
        Of a replacement at the end of the training; it rises from 0 in a straight line.
    n_passes : int
        Passes of the training.
    seed : int

    Attributes
    ----------
    n_done : int
        Passes so far.
    """

    def __init__(self, probability, n_passes, seed):
        self.probability, self.n_passes, self.seed, self.n_done = probability, n_passes, seed, 0

    def mask(self, shape):
        """Return which inputs of the next pass are replaced, bool (T, B)."""
        probability = self.probability * min(1.0, self.n_done / self.n_passes)
        drawn = np.random.default_rng((self.seed, self.n_done)).random(shape)
        self.n_done += 1
        return drawn < probability


def looked_up(embedding, ids, is_held):
    """Return the vectors of ids for recurrent layers, without noise.

    If the layers hold their weights, the vectors of a small vocabulary are a table, whose products are computed once.
    """
    tabulated = is_held and embedding.num_embeddings <= _TABLE_ROWS
    return embedding.embedded(ids) if tabulated else embedding.forward(ids)


def looked_up_in_training(embedding, dropout, ids):
    """Return the vectors of ids for recurrent layers in training, under dropout.

    Dropout gives each occurrence of a token another vector. Without it, the vectors of a small vocabulary are a table,
    whose products are computed once for each token.
    """
    tabulated = dropout.p == 0 and _OCCURRENCES * embedding.num_embeddings <= ids.size
    look_up = embedding.embedded if tabulated else embedding.forward
    return dropout.forward(look_up(ids, training=True), training=True)


class TargetHead(SoftmaxHead):
    """A token of a vocabulary at each step; the examples have weights."""

    def mean_weights(self, batch, scale):
        """Return the weight of each target, and their sum; as `Head.mean_weights`."""
        if batch.weights is None or (batch.weights == 1).all():
            return super().mean_weights(batch, scale)
        weights = batch.weights.astype(np.float64) * (batch.targets >= 0)  # (T, B)
        total = float(weights.sum())
        return weights * (scale / max(total, 1e-30)), total

    def best(self, h):
        """Return the most probable token of each row, an int array (…), for rows h (…, H)."""
        return self.layer.backend.to_numpy(self.layer.forward(h)).argmax(axis=-1)

    def log_distribution(self, h):
        """Return the natural logarithms of the probabilities of all tokens, float64 (n, V), for rows h (n, H)."""
        logits = self.layer.backend.to_numpy(self.layer.forward(h, by_rows=True))
        return log_softmax(logits.astype(np.float64), axis=-1)


class DecoderNetwork(Network):
    """Base class of networks that write sequences of tokens.

    Embedding of the token before → recurrent layers, the lowest of which may attend to the source → dense with tanh →
    softmax (Wu et al. 2016). A subclass makes its encoder, calls `add_decoder`, and writes `encode_sources` and
    `encode_sources_backward`.

    Attributes
    ----------
    attends : bool
        Whether the decoder attends to the sources.
    summary_size : int
        Length of the vector of a source from which the decoder begins.
    """

    sampling = None  # a `ScheduledSampling`, or None

    @abc.abstractmethod
    def encode_sources(self, batch, training=False):
        """Return the sources of a batch as `Encoded`; in training keep what backward needs."""

    @abc.abstractmethod
    def encode_sources_backward(self, d_memory, d_summary):
        """Add to the gradients of the encoder, for those of memory (S, B, M), or None, and summary (B, ·)."""

    def add_decoder(self, vocabulary_size, summary_size, memory_size, *, cell, embedding_size, hidden_size, num_layers,
                    attention, input_feeding, tie_weights, shared_embedding=None, label_smoothing, dropout,
                    embedding_dropout, locked_dropout, options, **recurrent):  # fmt: skip
        """Add the layers of the decoder and the head.

        Parameters
        ----------
        vocabulary_size : int
            V, the number of target tokens.
        summary_size, memory_size : int
            Lengths of the vectors of `Encoded`.
        cell, hidden_size, num_layers, **recurrent
            See `fastrnn.layers.Decoder`.
        embedding_size : int
            Length of a token's vector.
        attention : {"additive", "dot", "general"} or None
        input_feeding : bool
        tie_weights : bool
            Whether the output's weight is the embedding of the targets.
        shared_embedding : Embedding or None, default=None
            A layer whose vectors are those of the targets as well.
        label_smoothing : float
            Share of the probability that the training gives all tokens alike, see `fastrnn.layers.Softmax`.
        dropout, embedding_dropout : float
        locked_dropout : bool
        options : dict
            Random state, threads, device, precision and type of every layer.
        """
        self.target_embedding = self.add_layer(
            "target_embedding", Embedding(vocabulary_size, embedding_size, dropout=embedding_dropout, **options)
        )
        if shared_embedding is not None:
            self.target_embedding.tie(shared_embedding)
            self.tied = frozenset(["target_embedding.weight"])
        self.target_dropout = self.add_layer("target_dropout", Dropout(dropout, locked_dropout, **options))
        attending = None if attention is None else Attention(hidden_size, memory_size, attention, **options)
        self.decoder = self.add_layer(
            "decoder",
            Decoder(cell, embedding_size, hidden_size, num_layers, attending, input_feeding, dropout=dropout,
                    locked_dropout=locked_dropout, **recurrent, **options),
        )  # fmt: skip
        self.summary_size, self.attends = summary_size, attention is not None
        self._add_bridge(summary_size, options)
        size = embedding_size if tie_weights else hidden_size
        self.readout = self.add_layer("readout", Dense(self.decoder.output_size, size, activation="tanh", **options))
        self.output_dropout = self.add_layer("output_dropout", Dropout(dropout, locked_dropout, **options))
        output = Softmax(size, vocabulary_size, label_smoothing=label_smoothing, **options)
        if tie_weights:
            owner = shared_embedding or self.target_embedding
            output.backend.scale(owner.parameters["weight"], _TIED_SCALE)
            output.tie(owner)
            self.tied |= {"output.weight"}
        self.add_head(TargetHead(output))

    def _add_bridge(self, summary_size, options):
        """Add a dense layer for each state of each layer of the decoder: it makes the initial state of the summary."""
        decoder = self.decoder
        self.bridge = [
            [
                self.add_layer(
                    f"bridge_{name}_l{k}", Dense(summary_size, decoder.hidden_size, activation="tanh", **options)
                )
                for k in range(decoder.num_layers)
            ]
            for name in decoder.cell.states
        ]

    def hold(self, *others):
        """Hold the weights of the decoder, and those of further holders, for predictions."""
        self._held = Held(tuple, self.decoder.held_weights(), *others)

    # ----------------------------------------------------------------------------------------------------- training

    def encode_training(self, batch):
        """Return the vectors that predict the targets, with noise; see `Network.encode_training`."""
        state = self._begin(self.encode_sources(batch, training=True), training=True)
        if self.sampling is not None:
            batch = batch._replace(inputs=self._with_predictions(batch, state))
        h, _ = self._read_targets(batch, state, training=True)
        return h, batch.lengths

    def _with_predictions(self, batch, state):
        """Return the inputs of a batch; some are replaced by what is predicted, without noise, from the true ones."""
        replaced = self.sampling.mask(batch.inputs.shape)
        replaced[0] = False  # <s>
        if not replaced.any():
            return batch.inputs
        predicted = self.head.best(self._read_targets(batch, state)[0])
        return np.where(replaced, shift_right(predicted, START_ID), batch.inputs)

    def encode_backward(self, dh, scale):
        """Add to the gradients; see `Network.encode_backward`."""
        self.encode_sources_backward(*self.decode_backward(dh))

    def decode_backward(self, dh):
        """Add to the gradients of the decoder, and return those of memory (S, B, M), or None, and summary (B, ·)."""
        dy = self.readout.backward(self.output_dropout.backward(dh))
        dx, d_state, d_memory = self.decoder.backward(dy)
        self.target_embedding.backward(self.target_dropout.backward(dx))
        return d_memory, self._bridge_backward(d_state)

    def training_state(self):
        """Return the state of training besides the parameters; see `Network.training_state`."""
        content, arrays = super().training_state()
        return {**content, "sampled": 0 if self.sampling is None else self.sampling.n_done}, arrays

    def set_training_state(self, content, arrays):
        """Restore the state that `training_state` returned."""
        super().set_training_state(content, arrays)
        if self.sampling is not None:
            self.sampling.n_done = content["sampled"]

    def without_noise(self):
        """Return a copy that is trained without dropout and sampling; see `Network.without_noise`."""
        network = super().without_noise()
        network.sampling = None
        return network

    def _begin(self, encoded, training=False):
        """Return the `DecoderState` before the first token."""
        memory, lengths, summary = encoded
        attention = self.decoder.attention
        memory = None if attention is None else attention.read(memory, lengths, training=training)
        backend, (n, _) = self.backend, summary.shape
        parts = []
        for layers in self.bridge:
            rows = [layer.forward(summary, training, by_rows=not training) for layer in layers]
            together = rows[0] if len(rows) == 1 else backend.concatenate(rows)
            parts.append(backend.reshape(together, (len(rows), n, self.decoder.hidden_size)))
        return DecoderState(as_state(parts), memory, np.arange(n))

    def _bridge_backward(self, d_state):
        """Return the gradient of the summary (B, ·), and add to those of the bridge."""
        backend, d_summary = self.backend, None
        for part, layers in zip(state_parts(d_state), self.bridge, strict=True):
            for k, layer in enumerate(layers):
                dx = layer.backward(backend.reshape(backend.take_rows(part, np.array([k])), part.shape[1:]))
                d_summary = dx if d_summary is None else backend.add(d_summary, dx)
        return d_summary

    def _read_targets(self, batch, state, training=False):
        """Return the vectors that predict the targets, (T, B, ·), and the attention weights (T, B, S) or None."""
        if training:
            x = looked_up_in_training(self.target_embedding, self.target_dropout, batch.inputs)
        else:
            x = self.target_embedding.forward(batch.inputs)
        y, _, weights = self.decoder.forward(x, state.recurrent, state.memory, batch.lengths, training=training,
                                             check_finite=False)  # fmt: skip
        h = self.readout.forward(y, training, by_rows=not training)
        return self.output_dropout.forward(h, training=training), weights

    # --------------------------------------------------------------------------------------------------- prediction

    def _predict_targets(self, batch):
        """Return what `_read_targets` does, without noise."""
        return self._read_targets(batch, self._begin(self.encode_sources(batch)))

    def loss(self, batch):
        """Return the weighted sum of the losses of a batch, without noise."""
        return within_memory(
            self, batch, lambda part: self.head.loss(self._predict_targets(part)[0], part.targets, part.weights)
        )

    def log_probs(self, batch):
        """Return the log probabilities of the targets of a batch, float64 (T, B), 0 after the end of a sequence."""
        return within_memory(
            self, batch, lambda part: self.head.log_probs(self._predict_targets(part)[0], part.targets)
        )

    def attend(self, batch):
        """Return the attention weights of each step of the targets, (T, B, S), an array of the host."""
        return within_memory(self, batch, lambda part: self.backend.to_numpy(self._predict_targets(part)[1]))

    def summaries(self, batch):
        """Return the vectors of whole sources from which the decoder begins, (B, ·), an array of the host."""
        return within_memory(self, batch, lambda part: self.backend.to_numpy(self.encode_sources(part).summary))

    # ------------------------------------------------------------------------------------------- token after token

    def start(self, batch):
        """Return the `DecoderState` of the sources of a batch before the first token; `advance` reads ``<s>`` first."""
        return within_memory(self, batch, lambda part: self._multiplied(self._begin(self.encode_sources(part))))

    def _multiplied(self, state):
        """Return the state with a memory that the readout has multiplied, if nothing but the readout reads contexts.

        Sources are shorter than what is written for them, all hypotheses counted: a product for each vector of a source
        is cheaper than one for each context.
        """
        decoder, memory, backend = self.decoder, state.memory, self.backend
        if memory is None or decoder.input_feeding or decoder.num_layers > 1:
            return state
        weight, size = self.readout.parameters["weight"], decoder.output_size - decoder.context_size
        of_h, of_context = (
            backend.take_rows(weight, np.arange(first, last), axis=1)
            for first, last in ((0, size), (size, decoder.output_size))
        )
        values = backend.empty((memory.values.shape[0], weight.shape[0]), decoder.dtype)
        backend.dense_forward(values, memory.values, of_context, None, decoder.n_jobs, by_rows=True)
        return state._replace(memory=memory._replace(values=values), readout=of_h)

    def _read_out(self, y, weight):
        """Return what predicts the next token for `y`, the pair (h, context), see `DecoderState.readout`."""
        (h, context), backend, readout = y, self.backend, self.readout
        hidden = backend.empty(context.shape, readout.dtype)
        backend.dense_forward(hidden, h, weight, readout.parameters["bias"], readout.n_jobs, by_rows=True)
        hidden = backend.add(hidden, context)
        backend.activate(hidden, "tanh")
        return hidden

    def advance(self, state, tokens, listed=None):
        """Read one more token of each sequence.

        Parameters
        ----------
        state : DecoderState
        tokens : int array (n,)
        listed : (int, bool array (V,)) or None, default=None
            Number of tokens to return for each sequence, the most probable ones, and whether each token is allowed.
            None returns all.

        Returns
        -------
        log_probs : float64 array (n, V), or (float64 array (n, count), int32 array (n, count))
            Natural logarithms of the probabilities of the token that follows: of all, or of the most probable ones,
            with their ids.
        state : DecoderState
        """
        multiplied, x = state.readout is not None, looked_up(self.target_embedding, tokens, self.decoder.is_held)
        y, recurrent, weights = self.decoder.step(x, state.recurrent, state.memory, state.sources, check_finite=False,
                                                  joined=not multiplied)  # fmt: skip
        h = self._read_out(y, state.readout) if multiplied else self.readout.forward(y, by_rows=True)
        log_probs = self.head.log_distribution(h) if listed is None else self.head.layer.most_probable(h, *listed)
        if weights is not None:
            weights = self.backend.to_numpy(weights).astype(np.float64)
        return log_probs, state._replace(recurrent=recurrent, weights=weights)

    def take(self, state, rows):
        """Return the state of the sequences `rows`, an int array, in this order; rows may be repeated."""
        parts = [self.backend.take_rows(part, rows, axis=1) for part in state_parts(state.recurrent)]
        weights = None if state.weights is None else state.weights[rows]
        return state._replace(recurrent=as_state(parts), sources=state.sources[rows], weights=weights)

    def join(self, states):
        """Return the state with the sequences of several states of the same sources, one after the other."""
        first, parts = states[0], [state_parts(state.recurrent) for state in states]
        recurrent = as_state([self.backend.concatenate(list(same), 1) for same in zip(*parts, strict=True)])
        weights = None if first.weights is None else np.concatenate([state.weights for state in states])
        return first._replace(recurrent=recurrent, sources=np.concatenate([state.sources for state in states]),
                              weights=weights)  # fmt: skip
