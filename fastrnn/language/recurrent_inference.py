"""Inference with the recurrent language model: scores of texts, and its state while it reads or writes one."""

import numpy as np

from fastrnn.text.batching import SentenceBatches, StreamBatches, Streams, sentence_groups, shift_right
from fastrnn.text.tokens import END_ID, START_ID, close_sentences

_SCORING_STEPS = 64  # steps that are run at once when a text is scored
_DRAWING_STEPS = 1024  # most tokens that are drawn in one go, an even number
_CONTEXTS = 256  # that are read at once
_SCORING_STREAM = 1000  # shortest stream into which a text is cut to be scored faster


class RecurrentInferenceMixin:
    """Private methods of `RNNLanguageModel` that compute probabilities with its network.

    A state of n texts is a pair: the output of the last layer (n, H), which predicts the next token, and the state of
    the recurrent layers.
    """

    @property
    def _start_id(self):
        """The input from which a first token is predicted: a running text goes on from the end of what came before."""
        return END_ID if self.carry_state else START_ID

    def _log_probs(self, network, ids, offsets):
        """Return the natural log probability of every token of closed sentences, float64 (n_tokens,)."""
        if not self.carry_state:
            return self._log_probs_of_each(network, ids, offsets, self._start_id)
        streams = int(np.clip(len(ids) // _SCORING_STREAM, 1, self.batch_size))
        parts = network.log_probs(StreamBatches(Streams(ids, self._start_id, streams), _SCORING_STEPS))
        return np.concatenate(parts).T.reshape(-1)[: len(ids)] if parts else np.empty(0)

    def _log_probs_of_each(self, network, ids, offsets, start):
        """Do as `_log_probs`, each sentence by itself after the input `start`, an int or int array (n_sentences,)."""
        result = np.empty(len(ids))
        for group in sentence_groups(offsets, self.batch_size):
            parts = network.log_probs(SentenceBatches(ids, offsets, [group], start, _SCORING_STEPS))
            if not parts:  # sentences of no token
                continue
            together = np.concatenate(parts)
            for column, sentence in enumerate(group):
                begin, end = offsets[sentence], offsets[sentence + 1]
                result[begin:end] = together[: end - begin, column]
        return result

    def _token_log_probs(self, ids, offsets):
        return self._log_probs(self.network_, ids, offsets)

    def _sentence_log_probs(self, ids, offsets, bos=True):
        if bos:
            return self._log_probs_of_each(self.network_, ids, offsets, self._start_id)
        result, begins = np.empty(len(ids)), offsets[:-1]
        result[begins] = self._log_probs_of_nothing(ids[begins])
        rest = np.delete(ids, begins), offsets - np.arange(len(offsets))
        result[np.delete(np.arange(len(ids)), begins)] = self._log_probs_of_each(self.network_, *rest, ids[begins])
        return result

    def _log_probs_of_nothing(self, ids):
        """Return the log probabilities of ids (n,) when nothing has been read: the output of the last layer is zero."""
        zeros = np.zeros((len(ids), self.network_.recurrent.output_size), np.float32)
        return self.network_.output.log_probs(zeros, ids)

    def _distributions(self, ids):
        inputs, state = shift_right(ids, self._start_id)[:, np.newaxis], None
        for begin in range(0, len(ids), _SCORING_STEPS):
            y, state = self.network_.hidden(inputs[begin : begin + _SCORING_STEPS], state)
            yield self.network_.output.probabilities(y[:, 0])

    def _read_contexts(self, ids, offsets):
        ids, offsets = close_sentences(ids, offsets)  # what predicts the end of a context has read all of it
        blocks = [
            self._read_block(ids, offsets[begin : begin + _CONTEXTS + 1])
            for begin in range(0, max(1, len(offsets) - 1), _CONTEXTS)
        ]
        if len(blocks) == 1:
            return blocks[0]
        outputs, states = zip(*blocks, strict=True)
        if isinstance(states[0], tuple):
            states = tuple(np.concatenate(parts, axis=1) for parts in zip(*states, strict=True))
        else:
            states = np.concatenate(states, axis=1)
        return np.concatenate(outputs), states

    def _read_block(self, ids, offsets):
        """Return the state before the last token of each sentence. All are read side by side, some steps at a time."""
        n = len(offsets) - 1
        h, state = np.zeros((n, self.network_.recurrent.output_size), np.float32), None
        for batch in SentenceBatches(ids, offsets, [np.arange(n)], self._start_id, _SCORING_STEPS):
            y, state = self.network_.hidden(batch.inputs, state, batch.lengths)
            (rows,) = np.nonzero(batch.lengths)
            h[rows] = y[batch.lengths[rows] - 1, rows]
        return h, state

    def _read_on(self, state, ids):
        for begin in range(0, len(ids), _SCORING_STEPS):
            y, recurrent = self.network_.hidden(ids[begin : begin + _SCORING_STEPS, np.newaxis], state[1])
            state = y[-1], recurrent
        return state

    def _advance(self, state, ids):
        y, state = self.network_.hidden(ids[None], state[1])
        return y[0], state

    def _step(self, state, ids):
        return self.network_.output.log_probs(state[0], ids), self._advance(state, ids)

    def _next_probabilities(self, state):
        return self.network_.output.probabilities(state[0]).astype(np.float64)

    def _continuation_log_probs(self, state, ids):
        (h, recurrent), result = state, np.empty(ids.shape)
        for begin in range(0, ids.shape[1], _SCORING_STEPS):
            part = np.ascontiguousarray(ids[:, begin : begin + _SCORING_STEPS].T)
            y, recurrent = self.network_.hidden(part, recurrent)
            before = np.concatenate([h[np.newaxis], y[:-1]])
            result[:, begin : begin + len(part)] = self.network_.output.log_probs(before, part).T
            h = y[-1]
        return result

    @property
    def _tokens_at_once(self):
        return _DRAWING_STEPS if hasattr(self.network_.output, "packed") else 1

    def _held_weights(self):
        return super()._held_weights() if self._tokens_at_once == 1 else self.network_.held_weights()

    def _draw_block(self, state, uniforms, choice):
        if self._tokens_at_once == 1:  # an adaptive softmax
            return super()._draw_block(state, uniforms, choice)
        with self.network_.held_weights():
            return self.network_.generate(state, uniforms, choice)

    def _next_sentence(self, state):
        return state if self.carry_state else super()._next_sentence(state)

    def _is_state(self, state):
        if not isinstance(state, tuple) or len(state) != 2:
            return False
        (h, recurrent), layer = state, self.network_.recurrent
        parts = recurrent if isinstance(recurrent, tuple) else (recurrent,)
        return np.shape(h) == (1, layer.output_size) and [np.shape(part)[:2] for part in parts] == [
            (layer.num_layers, 1)
        ] * len(layer.cell.states)

    def _take(self, state, rows):
        h, recurrent = state
        if isinstance(recurrent, tuple):
            return h[rows], tuple(part[:, rows] for part in recurrent)
        return h[rows], recurrent[:, rows]
