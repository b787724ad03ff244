"""The network of the recurrent language models: embedding, recurrent layers and softmax."""

import functools

import numpy as np

from fastrnn.layers import Dropout, Embedding, Recurrent
from fastrnn.layers.large_softmax import make_softmax
from fastrnn.networks._memory import within_memory
from fastrnn.networks.base import Network
from fastrnn.networks.heads import SoftmaxHead
from fastrnn.text.batching import IGNORED
from fastrnn.text.tokens import END_ID, NEVER_WRITTEN
from fastrnn.utils.recurrent import TokenOutput, as_state, state_parts
from fastrnn.utils.shared import Held

_OCCURRENCES = 2  # from this mean of a token in a batch, the input product is computed once for each token


class LanguageNetwork(Network):
    """Embedding, recurrent layers and softmax, with dropout between them."""

    def __init__(self, vocabulary_size, embedding_size, hidden_size, *, dropout, input_dropout, output_dropout,
                 embedding_dropout, locked_dropout, tie_weights, softmax, softmax_cutoffs, softmax_samples, counts,
                 activity_penalty, temporal_activity_penalty, random_state, n_jobs, label_smoothing=0.0, device="cpu",
                 precision="highest", **recurrent):  # fmt: skip
        super().__init__()
        options = {"random_state": random_state, "n_jobs": n_jobs, "device": device,
                   "precision": precision}  # fmt: skip
        self.embedding = self.add_layer(
            "embedding", Embedding(vocabulary_size, embedding_size, dropout=embedding_dropout, **options)
        )
        self.recurrent = self.add_layer(
            "recurrent",
            Recurrent(input_size=embedding_size, hidden_size=hidden_size, dropout=dropout,
                      locked_dropout=locked_dropout, **recurrent, **options),
        )  # fmt: skip
        self.output = make_softmax(
            softmax, self.recurrent.output_size, vocabulary_size, embedding_size if tie_weights else None,
            counts=counts, cutoffs=softmax_cutoffs, n_samples=softmax_samples, label_smoothing=label_smoothing,
            **options,
        )  # fmt: skip
        self.add_head(SoftmaxHead(self.output))
        self.dropouts = tuple(
            self.add_layer(name, Dropout(dropout if rate is None else rate, locked_dropout, **options))
            for name, rate in (("input_dropout", input_dropout), ("output_dropout", output_dropout))
        )
        self.penalties = activity_penalty, temporal_activity_penalty
        if tie_weights:
            # As an output, a standard normal start would begin with logits of size √H.
            self.backend.scale(self.embedding.parameters["weight"], 0.05)
            self.output.tie(self.embedding)
            self.tied = frozenset(["output.weight"])
        self._state = None  # of the streams, after the batch before
        packed = getattr(self.output, "packed", tuple)  # an adaptive softmax has none
        self._held = Held(packed, self.recurrent.held_weights())

    # ----------------------------------------------------------------------------------------------------- training

    def encode_training(self, batch):
        """Return the outputs of the last recurrent layer with noise; see `Network.encode_training`."""
        state = None if batch.fresh else self._state
        overlaps = batch.advance < len(batch.inputs)  # the next batch begins within this one
        if overlaps:
            _, following = self.hidden(batch.inputs[: batch.advance], state)
        x = self.dropouts[0].forward(self._vectors(batch.inputs, training=True), training=True)
        y, last = self.recurrent.forward(x, state, batch.lengths, training=True, check_finite=False)
        self._state = following if overlaps else last
        h = self.dropouts[1].forward(y, training=True)
        self._kept = h, y
        return h, batch.lengths

    def encode_backward(self, dh, scale):
        """Add to the gradients; see `Network.encode_backward`."""
        (h, y), self._kept = self._kept, None
        activity, temporal = (scale * factor for factor in self.penalties)
        dy = self.dropouts[1].backward(self._penalized(dh, h, "activity_penalty", activity))
        dx, _ = self.recurrent.backward(self._penalized(dy, y, "temporal_activity_penalty", temporal))
        self.embedding.backward(self.dropouts[0].backward(dx))

    def _vectors(self, ids, training=False):
        """Return the vectors of ids (T, B); where ids occur often, as row numbers into the table of all vectors."""
        is_whole = not (training and self.dropouts[0].p)  # dropout gives each occurrence a vector of its own
        if is_whole and _OCCURRENCES * self.embedding.num_embeddings <= ids.size:
            return self.embedding.embedded(ids, training=training)
        return self.embedding.forward(ids, training=training)

    def training_state(self):
        """Return the state of training besides the parameters; see `Network.training_state`."""
        content, _ = super().training_state()
        parts = () if self._state is None else state_parts(self._state)
        return content, {str(k): self.backend.to_numpy(part) for k, part in enumerate(parts)}

    def set_training_state(self, content, arrays):
        """Restore the state that `training_state` returned."""
        super().set_training_state(content, arrays)
        ops = self.backend
        parts = tuple(ops.copy(ops.asarray(arrays[str(k)])) for k in range(len(arrays)))
        self._state = as_state(parts) if parts else None

    # --------------------------------------------------------------------------------------------------- prediction

    def hidden(self, inputs, state=None, lengths=None):
        """Return the outputs of the last recurrent layer (T, B, H), and the state after them."""
        return self.recurrent.forward(self._vectors(inputs), state, lengths, check_finite=False)

    def log_probs(self, batches):
        """Return the log probabilities of the targets of successive batches, float64 (T, B) each."""
        state, results = None, []
        for batch in batches:
            log_probs, state = within_memory(self, batch, functools.partial(self._log_probs, state=state))
            results.append(log_probs)
        return results

    def _log_probs(self, batch, state):
        """Return the log probabilities of the targets of a batch, float64 (T, B), and the state after them."""
        h, state = self.hidden(batch.inputs, None if batch.fresh else state, batch.lengths)
        return self.head.log_probs(h, batch.targets), state

    # ------------------------------------------------------------------------------------------------------- states
    #
    # A state of n texts is a pair: the output of the last layer (n, H), which predicts the next token, and the state
    # of the recurrent layers.

    def start(self, n):
        """Return the state of n texts before anything is read: the output is zero."""
        return self.backend.zeros((n, self.recurrent.output_size), self.recurrent.dtype), None

    def read(self, state, ids):
        """Return the state after further tokens `ids` (T, n), T at least 1."""
        y, recurrent = self.hidden(ids, state[1])
        return self._last(y), recurrent

    def read_batches(self, batches, n):
        """Return the state of n texts after successive batches of all of them; their lengths may differ."""
        (h, recurrent), ops = self.start(n), self.backend
        for batch in batches:
            y, recurrent = self.hidden(batch.inputs, recurrent, batch.lengths)
            rows = np.flatnonzero(batch.lengths)
            last = (batch.lengths[rows] - 1) * n + rows
            ops.assign_rows(h, rows, ops.take_rows(self._flat(y), last))
        return h, recurrent

    def score(self, state, ids):
        """Return the log probabilities of further tokens `ids` (T, n), float64 (T, n), and the state after them."""
        y, recurrent = self.hidden(ids, state[1])
        if len(ids) == 1:
            return self.head.log_probs(state[0], ids[0])[np.newaxis], (self._last(y), recurrent)
        h = self.backend.concatenate([state[0], self._flat(y)])  # the outputs before each token, and after the last
        targets = np.append(ids, np.full(ids.shape[1], IGNORED))
        log_probs = self.head.log_probs(h, targets)[: ids.size].reshape(ids.shape)
        return log_probs, (self._last(y), recurrent)

    def distributions(self, inputs):
        """Yield the distributions of the tokens that follow in one text, float64 (n, V), some at a time."""
        recurrent = None
        for part in inputs:
            y, recurrent = self.hidden(part[:, np.newaxis], recurrent)
            yield self.head.predict(self._flat(y))

    def take(self, state, rows):
        """Return the state of the rows `rows`, an int array, in this order; rows may be repeated.

        The state may be of the device on which the network was before.
        """
        ops = self.backend
        h, recurrent = ops.asarray(state[0]), _each(ops.asarray, state[1])
        return ops.take_rows(h, rows), _each(lambda part: ops.take_rows(part, rows, axis=1), recurrent)

    def join(self, states):
        """Return several states as one: their rows follow each other."""
        outputs, recurrent = zip(*states, strict=True)
        ops = self.backend
        return ops.concatenate(outputs), _each(lambda *parts: ops.concatenate(parts, axis=1), *recurrent)

    def is_state(self, state):
        """Return whether something is a state of one text."""
        if not isinstance(state, tuple) or len(state) != 2:
            return False
        layer, parts = self.recurrent, state_parts(state[1])
        shapes = [getattr(part, "shape", ()) for part in (state[0], *parts)]
        states = [(layer.num_layers, 1)] * len(layer.cell.states)
        return shapes[0] == (1, layer.output_size) and [shape[:2] for shape in shapes[1:]] == states

    def _flat(self, y):
        """Return outputs (T, B, H) as a matrix (T·B, H)."""
        steps, batch, size = y.shape
        return self.backend.reshape(y, (steps * batch, size))

    def _last(self, y):
        """Return the last of the outputs (T, B, H)."""
        steps, batch, _ = y.shape
        if steps == 1:
            return self._flat(y)
        return self.backend.take_rows(self._flat(y), np.arange((steps - 1) * batch, steps * batch))

    def generate(self, state, uniforms, choice):
        """Draw tokens from a state (h, recurrent state) on, under `held_weights`: one for each of `uniforms` (T, n).

        Returns the tokens (T, n), `END_ID` after the end of a text, and the state after them.
        """
        ops, embedding = self.backend, self.embedding.parameters["weight"]
        tokens, h, recurrent = np.empty(uniforms.shape, np.int32), ops.copy(state[0]), _each(ops.copy, state[1])
        output = TokenOutput(embedding, self._held.value, NEVER_WRITTEN, END_ID)
        layers, n_jobs = self.recurrent.held_layers(), self.recurrent.n_jobs
        ops.generate(tokens, h, state_parts(recurrent), layers, output, uniforms, choice, n_jobs)
        return tokens, (h, recurrent)


def _each(function, *states):
    """Return the recurrent state whose parts are those of a function of the parts of recurrent states."""
    return as_state(list(map(function, *map(state_parts, states))))
