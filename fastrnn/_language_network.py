"""The network of the recurrent language models: embedding, recurrent layers and softmax."""

import numpy as np

from fastrnn.kernels.generation import generate
from fastrnn.kernels.threads import new_board, run_kernel, split, worth
from fastrnn.layers import Dropout, Embedding, Recurrent, Softmax, activity_penalty, temporal_activity_penalty
from fastrnn.text import END_ID, PAD_ID, START_ID, UNK_ID


class LanguageNetwork:
    """Embedding, recurrent layers and softmax, with dropout between them."""

    def __init__(self, vocabulary_size, embedding_size, hidden_size, dropout, tie_weights, embedding_dropout,
                 locked_dropout, activity_penalty, temporal_activity_penalty, random_state, n_jobs,
                 **recurrent):  # fmt: skip
        options = {"random_state": random_state, "n_jobs": n_jobs}
        self.embedding = Embedding(vocabulary_size, embedding_size, dropout=embedding_dropout, **options)
        self.recurrent = Recurrent(input_size=embedding_size, hidden_size=hidden_size, dropout=dropout,
                                   locked_dropout=locked_dropout, **recurrent, **options)  # fmt: skip
        self.output = Softmax(hidden_size, vocabulary_size, **options)
        self.dropouts = Dropout(dropout, locked_dropout, **options), Dropout(dropout, locked_dropout, **options)
        self.penalties = activity_penalty, temporal_activity_penalty
        self.tie_weights = tie_weights
        if tie_weights:
            # As an output, a standard normal start would begin with logits of size √H.
            self.embedding.parameters["weight"] *= 0.05
            self.output.tie(self.embedding)
        self._state = None

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
    def grads(self):
        """All gradients by name."""
        return self._named("grads")

    def sparse_rows(self):
        """Return the rows of the embedding's gradient that are not zero."""
        return {} if self.embedding.rows is None else {"embedding.weight": self.embedding.rows}

    def train_step(self, batch):
        """Set the gradients of a batch; return the mean cross-entropy of its targets, and their number."""
        for layer in (self.embedding, self.recurrent, self.output):
            layer.zero_grad()
        state = None if batch.fresh else self._state
        if batch.advance < len(batch.inputs):  # the next batch begins within this one
            _, following = self.hidden(batch.inputs[: batch.advance], state)
        x = self.dropouts[0].forward(self.embedding.forward(batch.inputs, training=True), training=True)
        y, last = self.recurrent.forward(x, state, batch.lengths, training=True, check_finite=False)
        self._state = following if batch.advance < len(batch.inputs) else last
        h = self.dropouts[1].forward(y, training=True)
        count = int(np.count_nonzero(batch.targets >= 0))
        loss, dh = self.output.loss_and_gradient(h, batch.targets, 1 / max(count, 1))
        dy = self._penalized(self.dropouts[1].backward(self._penalized(dh, h, 0)), y, 1)
        dx, _ = self.recurrent.backward(dy)
        self.embedding.backward(self.dropouts[0].backward(dx))
        return loss, count

    def _penalized(self, gradient, y, which):
        """Add the gradient of the activity penalty (0) or of the temporal one (1), which are not part of the loss."""
        if not self.penalties[which]:
            return gradient
        penalty = (activity_penalty, temporal_activity_penalty)[which]
        return gradient + penalty(y, self.penalties[which])[1]

    def hidden(self, inputs, state=None, lengths=None):
        """Return the outputs of the last recurrent layer (T, B, H), and the state after them."""
        return self.recurrent.forward(self.embedding.forward(inputs), state, lengths, check_finite=False)

    def generate(self, state, output, uniforms, choice):
        """Draw tokens from a state (h, recurrent state) on, under `held_weights`: one for each of `uniforms`.

        Returns the tokens (T, n), `END_ID` behind the end of a text, and the state after them. T must be even if the
        state is to be used.
        """
        (steps, batch), (panels, bias), embedding = uniforms.shape, output, self.embedding.parameters["weight"]
        layers, schedules = self.recurrent.step_arrays(state[1], batch)
        h = layers[-1].y.values
        h[...] = state[0]
        drawn = np.empty((steps, batch), np.int32)
        logits, p = np.empty((batch, len(bias)), h.dtype), np.empty((batch, len(embedding)))
        never = np.array([PAD_ID, UNK_ID, START_ID])
        weights = panels.size + sum(array.size for array in self.recurrent.parameters.values())
        calls = [
            (drawn, h, layers, self.recurrent.cell, schedules, embedding, panels, bias, logits, p, uniforms, choice,
             never, END_ID, self.recurrent.residual, new_board(1), first, last)
            for first, last in split(batch, worth(self.recurrent.n_jobs, 2 * steps * batch * weights))
        ]  # fmt: skip
        run_kernel(generate, calls)
        states = [
            np.stack([layer.memory.states[k, :batch, : part.shape[-1]] for layer in layers])
            for k, part in enumerate(state[1] if isinstance(state[1], tuple) else (state[1],))
        ]
        return drawn, (h.copy(), tuple(states) if isinstance(state[1], tuple) else states[0])

    def log_probs(self, batches):
        """Return the log probabilities of the targets of successive batches, (T, B) each."""
        state, results = None, []
        for batch in batches:
            h, state = self.hidden(batch.inputs, None if batch.fresh else state, batch.lengths)
            results.append(self.output.log_probs(h, batch.targets))
        return results
