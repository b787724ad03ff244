"""The network of the recurrent language models: embedding, recurrent layers and softmax."""

import contextlib

import numpy as np

from fastrnn._memory import borrow_room, give_back
from fastrnn.kernels.generation import generate
from fastrnn.kernels.threads import new_board, run_kernel, split, worth
from fastrnn.layers import Dropout, Embedding, Recurrent, activity_penalty, temporal_activity_penalty
from fastrnn.layers.large_softmax import make_softmax
from fastrnn.text.tokens import END_ID, PAD_ID, START_ID, UNK_ID
from fastrnn.utils.shared import Shared

_TABLE_ROWS = 4096  # at most, for the input's part of the first layer's pre-activations when texts are drawn
_OCCURRENCES = 2  # of a token in a batch, from which on it pays to compute with each only once


class LanguageNetwork:
    """Embedding, recurrent layers and softmax, with dropout between them."""

    def __init__(self, vocabulary_size, embedding_size, hidden_size, *, dropout, input_dropout, output_dropout,
                 embedding_dropout, locked_dropout, tie_weights, softmax, softmax_cutoffs, softmax_samples, counts,
                 activity_penalty, temporal_activity_penalty, random_state, n_jobs, **recurrent):  # fmt: skip
        options = {"random_state": random_state, "n_jobs": n_jobs}
        self.embedding = Embedding(vocabulary_size, embedding_size, dropout=embedding_dropout, **options)
        self.recurrent = Recurrent(input_size=embedding_size, hidden_size=hidden_size, dropout=dropout,
                                   locked_dropout=locked_dropout, **recurrent, **options)  # fmt: skip
        self.output = make_softmax(
            softmax, self.recurrent.output_size, vocabulary_size, embedding_size if tie_weights else None,
            counts=counts, cutoffs=softmax_cutoffs, n_samples=softmax_samples, **options,
        )  # fmt: skip
        self.dropouts = tuple(
            Dropout(dropout if rate is None else rate, locked_dropout, **options)
            for rate in (input_dropout, output_dropout)
        )
        self.penalties = activity_penalty, temporal_activity_penalty
        self.tie_weights = tie_weights
        if tie_weights:
            # As an output, a standard normal start would begin with logits of size √H.
            self.embedding.parameters["weight"] *= 0.05
            self.output.tie(self.embedding)
        self._state = None
        self._packed_output = Shared()

    def make_writable(self):
        """Copy the arrays that cannot be written to, before they are trained, see `fastrnn.layers.Layer`."""
        for layer in (self.embedding, self.recurrent, self.output):
            layer.make_writable()

    def _named(self, attribute):
        """Return parameters or gradients of all layers in one dict; a tied weight stands under the embedding only."""
        arrays = {}
        for name in ("embedding", "recurrent", "output"):
            for key, array in getattr(getattr(self, name), attribute).items():
                if not (self.tie_weights and (name, key) == ("output", "weight")):
                    arrays[f"{name}.{key}"] = array
        return arrays

    @property
    def parameters(self):
        """All parameters by name."""
        return self._named("parameters")

    @property
    def buffers(self):
        """Arrays of a saved network besides parameters: how often each token appeared, where the softmax uses that."""
        counts = getattr(self.output, "counts", None)
        return {} if counts is None else {"output.counts": counts}

    @property
    def grads(self):
        """All gradients by name."""
        return self._named("grads")

    def sparse_rows(self):
        """Return, for gradients of which only some rows are not zero, these rows."""
        rows = {} if self.embedding.rows is None else {"embedding.weight": self.embedding.rows}
        rows.update({f"output.{name}": used for name, used in self.output.sparse_rows().items()})
        return rows

    def train_step(self, batch, scale=1.0, clear=True):
        """Set the gradients of a batch; return the mean cross-entropy of its targets, and their number.

        `scale` is a factor of the gradients; without `clear` they are added to what is there.
        """
        if clear:
            for layer in (self.embedding, self.recurrent, self.output):
                layer.zero_grad()
        state = None if batch.fresh else self._state
        if batch.advance < len(batch.inputs):  # the next batch begins within this one
            _, following = self.hidden(batch.inputs[: batch.advance], state)
        x = self.dropouts[0].forward(self._vectors(batch.inputs, training=True), training=True)
        y, last = self.recurrent.forward(x, state, batch.lengths, training=True, check_finite=False)
        self._state = following if batch.advance < len(batch.inputs) else last
        h = self.dropouts[1].forward(y, training=True)
        count = int(np.count_nonzero(batch.targets >= 0))
        loss, dh = self.output.loss_and_gradient(h, batch.targets, scale / max(count, 1))
        dy = self.dropouts[1].backward(self._penalized(dh, h, 0, scale))
        dx, _ = self.recurrent.backward(self._penalized(dy, y, 1, scale))
        self.embedding.backward(self.dropouts[0].backward(dx))
        return loss / scale, count

    def _vectors(self, ids, training=False):
        """Return the vectors of ids; those of all tokens and the ids where there are few tokens and many ids."""
        is_whole = not (training and self.dropouts[0].p)  # dropout would make different vectors of each
        if is_whole and _OCCURRENCES * self.embedding.num_embeddings <= ids.size:
            return self.embedding.embedded(ids, training=training)
        return self.embedding.forward(ids, training=training)

    def _penalized(self, gradient, y, which, scale):
        """Add the gradient of the activity penalty (0) or of the temporal one (1), which are not part of the loss."""
        if not self.penalties[which]:
            return gradient
        penalty = (activity_penalty, temporal_activity_penalty)[which]
        return gradient + penalty(y, scale * self.penalties[which])[1]

    def training_state(self):
        """Return what a step of training depends on besides parameters, as plain values and arrays."""
        layers = (self.embedding, self.recurrent, self.output, *self.dropouts)
        generators = [generator.bit_generator.state for layer in layers for generator in layer.generators()]
        parts = self._state if isinstance(self._state, tuple) else (self._state,)
        parts = () if self._state is None else parts
        return {"generators": generators}, {str(k): part for k, part in enumerate(parts)}

    def set_training_state(self, content, arrays):
        """Take back what `training_state` returned."""
        layers = (self.embedding, self.recurrent, self.output, *self.dropouts)
        generators = [generator for layer in layers for generator in layer.generators()]
        for generator, state in zip(generators, content["generators"], strict=True):
            generator.bit_generator.state = state
        parts = tuple(arrays[str(k)].copy() for k in range(len(arrays)))
        self._state = parts if len(parts) > 1 else (parts[0] if parts else None)

    def hidden(self, inputs, state=None, lengths=None):
        """Return the outputs of the last recurrent layer (T, B, H), and the state after them."""
        return self.recurrent.forward(self._vectors(inputs), state, lengths, check_finite=False)

    @contextlib.contextmanager
    def held_weights(self):
        """Prepare the weights once for all that is generated within; they must not change meanwhile."""
        with self.recurrent.held_weights(), self._packed_output.hold(self.output.packed):
            yield

    def generate(self, state, uniforms, choice):
        """Draw tokens from a state (h, recurrent state) on, under `held_weights`: one for each of `uniforms`.

        Returns the tokens (T, n), `END_ID` behind the end of a text, and the state after them. T must be even if the
        state is to be used.
        """
        (steps, batch), (panels, bias) = uniforms.shape, self._packed_output.value
        embedding = self.embedding.parameters["weight"]
        tabulated = len(embedding) <= min(steps * batch, _TABLE_ROWS)
        rooms = [borrow_room(self.recurrent.dtype) for _ in range(self.recurrent.num_layers)]
        layers, schedules = self.recurrent.step_arrays(state[1], batch, rooms, embedding if tabulated else None)
        h = layers[-1].y.values
        h[...] = state[0]
        drawn = np.empty((steps, batch), np.int32)
        logits, p = np.empty((batch, len(bias)), h.dtype), np.empty((batch, len(embedding)))
        never = np.array([PAD_ID, UNK_ID, START_ID])
        weights = panels.size + sum(array.size for array in self.recurrent.parameters.values())
        calls = [
            (drawn, h, layers, self.recurrent.cell, schedules, embedding, panels, bias, logits, p, uniforms, choice,
             never, END_ID, self.recurrent.residual, tabulated, new_board(1), first, last)
            for first, last in split(batch, worth(self.recurrent.n_jobs, 2 * steps * batch * weights))
        ]  # fmt: skip
        run_kernel(generate, calls)
        states = [
            np.stack([layer.memory.states[k, :batch, : part.shape[-1]] for layer in layers])
            for k, part in enumerate(state[1] if isinstance(state[1], tuple) else (state[1],))
        ]
        for room in rooms:
            give_back(room)
        return drawn, (h.copy(), tuple(states) if isinstance(state[1], tuple) else states[0])

    def log_probs(self, batches):
        """Return the log probabilities of the targets of successive batches, (T, B) each."""
        state, results = None, []
        for batch in batches:
            h, state = self.hidden(batch.inputs, None if batch.fresh else state, batch.lengths)
            results.append(self.output.log_probs(h, batch.targets))
        return results
