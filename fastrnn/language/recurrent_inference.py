"""Inference with the recurrent language model: scores of texts, and its state while it reads or writes a text."""

import numpy as np

from fastrnn.text.batching import SentenceBatches, StreamBatches, Streams, sentence_groups, shift_right
from fastrnn.text.tokens import END_ID, START_ID, close_sentences

_SCORING_STEPS = 64  # steps that are computed at once when a text is read or scored
_DRAWING_STEPS = 1024  # most tokens that are drawn at once, an even number
_CONTEXTS = 256  # contexts that are read at once
_SCORING_STREAM = 1000  # tokens of the shortest stream into which a text is cut for scoring


class RecurrentInferenceMixin:
    """Private methods of `RNNLanguageModel` that compute probabilities with its network.

    A state of n texts is a pair: the output of the last layer (n, H), which predicts the next token, and the state of
    the recurrent layers.
    """

    @property
    def _start_id(self):
        """The input that predicts the first token: ``</s>`` if sentences follow each other, otherwise ``<s>``."""
        return END_ID if self.carry_state else START_ID

    def _log_probs(self, network, ids, offsets):
        """Return the natural log probability of each token of closed sentences, float64 (n_tokens,)."""
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
            if not parts:  # no sentence has a token
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
        """Return the log probabilities of ids (n,) when nothing has been read."""
        h, _ = self.network_.start(len(ids))
        return self.network_.head.log_probs(h, ids)

    def _distributions(self, ids):
        inputs = shift_right(ids, self._start_id)
        return self.network_.distributions(_pieces(inputs))

    def _read_contexts(self, ids, offsets):
        ids, offsets = close_sentences(ids, offsets)  # the state that predicts </s> has read the whole context
        if len(offsets) == 2:  # one context needs neither padding nor lengths
            return self._read_on(self.network_.start(1), shift_right(ids, self._start_id))
        blocks = []
        for begin in range(0, max(1, len(offsets) - 1), _CONTEXTS):
            block = offsets[begin : begin + _CONTEXTS + 1]
            n = len(block) - 1
            batches = SentenceBatches(ids, block, [np.arange(n)], self._start_id, _SCORING_STEPS)
            blocks.append(self.network_.read_batches(batches, n))
        return blocks[0] if len(blocks) == 1 else self.network_.join(blocks)

    def _read_on(self, state, ids):
        for part in _pieces(ids):
            state = self.network_.read(state, part[:, np.newaxis])
        return state

    def _advance(self, state, ids):
        return self.network_.read(state, ids[np.newaxis])

    def _step(self, state, ids):
        log_probs, state = self.network_.score(state, ids[np.newaxis])
        return log_probs[0], state

    def _next_probabilities(self, state):
        return self.network_.head.predict(state[0])

    def _continuation_log_probs(self, state, ids):
        results = []
        for part in _pieces(np.ascontiguousarray(ids.T)):
            log_probs, state = self.network_.score(state, part)
            results.append(log_probs)
        return np.ascontiguousarray(np.concatenate(results).T) if results else np.empty(ids.shape)

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
        return self.network_.is_state(state)

    def _take(self, state, rows):
        return self.network_.take(state, rows)


def _pieces(ids):
    """Cut ids (T, ...) into pieces of `_SCORING_STEPS`."""
    return [ids[begin : begin + _SCORING_STEPS] for begin in range(0, len(ids), _SCORING_STEPS)]
