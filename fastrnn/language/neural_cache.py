"""The neural cache: a recurrent language model that recalls the tokens that followed similar states."""

import itertools
import numbers

import numpy as np

from fastrnn.language.wrapping import WrappedLanguageModel
from fastrnn.text.batching import SentenceBatches, shift_right
from fastrnn.text.tokens import PAD_ID
from fastrnn.utils.checks import check_not_negative, check_positive_integer, shown

_STEPS = 256  # steps of a text that are scored at once
_SENTENCES = 32  # independent sentences that are scored at once


class NeuralCacheLanguageModel(WrappedLanguageModel):
    r"""Recurrent language model with a neural cache [1]_.

    The cache holds the last `size` outputs h of the network's last layer, each with the token that followed. The cache
    alone gives a token the probability

    .. math:: p_{cache}(w) \propto \sum_{i: x_{i+1} = w} \exp(\theta h_t \cdot h_i)

    The model mixes this probability with the network's: (1 - `weight`) p + `weight` p_cache, or p while the cache is
    empty. Nothing is trained; choose `theta` and `weight` by the perplexity of a held-out text. With ``weight=1`` the
    cache is a component for `InterpolatedLanguageModel`, which finds its weight.

    Parameters
    ----------
    model : RNNLanguageModel
        A fitted model.
    size : int
        The number of tokens in the cache.
    theta : float
        The preference for outputs similar to the present one; 0 counts all alike, as `CacheLanguageModel` does.
    weight : float
        The weight of the cache, from 0 to 1.
    carry_state : bool
        Whether the cache continues from sentence to sentence: X is a running text then. Otherwise each sentence begins
        with an empty cache.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        The tokens of the model.
    nbytes_ : int
        The bytes of the model's learned arrays.

    References
    ----------
    .. [1] Edouard Grave, Armand Joulin and Nicolas Usunier, "Improving neural language models with a continuous cache",
       2017.

    Examples
    --------
    >>> from fastrnn import RNNLanguageModel
    >>> lines = ["she sells sea shells", "we sell red apples", "he buys green pears"] * 5
    >>> model = RNNLanguageModel("rnn", 8, 8, random_state=0).fit(lines)
    >>> with_cache = NeuralCacheLanguageModel(model, size=50, theta=0.5, weight=0.3)
    >>> text = ["red pears red pears red pears red pears"]
    >>> with_cache.perplexity(text) < model.perplexity(text)
    True
    """

    def __init__(self, model, size=500, theta=0.3, weight=0.1, carry_state=True):
        self.model = model
        self.size = size
        self.theta = theta
        self.weight = weight
        self.carry_state = carry_state

    def _check(self):
        super()._check()
        check_positive_integer("size", self.size)
        check_not_negative("theta", self.theta)
        if not isinstance(self.weight, numbers.Real) or not 0 <= self.weight <= 1:
            raise ValueError(f"weight must be a number from 0 to 1, got {shown(self.weight)}.")

    def _token_log_probs(self, ids, offsets):
        return self._log_probs(ids, offsets, self.carry_state, independent=not self.model.carry_state)

    def _sentence_log_probs(self, ids, offsets, bos=True):
        return self._log_probs(ids, offsets, False, independent=True, bos=bos)

    def _log_probs(self, ids, offsets, carry_state, independent, bos=True):
        """Return the log probabilities of the tokens of a text.

        With `carry_state` the cache continues between sentences; with `independent` the state of the network does not.
        """
        result = np.empty(len(ids))
        texts = offsets[[0, -1]] if carry_state else offsets  # each begins with an empty cache
        keys = empty = np.empty((0, self.model.network_.recurrent.output_size), np.float32)
        for begin, fresh, h in _pieces(_outputs(self.model, ids, offsets, independent, bos), texts):
            end = begin + len(h)
            log_probs = self.model.network_.head.log_probs(h, ids[begin:end])
            keys = np.concatenate([empty if fresh else keys, h])  # of the tokens ids[end - len(keys) : end]
            first = np.maximum(0, len(keys) - len(h) + np.arange(len(h)) - self.size)  # the oldest key in the cache
            recalled = _recall(h, keys, ids[end - len(keys) : end], ids[begin:end], first, self.theta)
            result[begin:end] = self._mix(log_probs, recalled)
            keys = keys[-self.size :]
        return result

    def _mix(self, log_probs, recalled):
        """Mix log probabilities of the model with the probabilities `recalled` of the cache, NaN where it is empty."""
        with np.errstate(divide="ignore"):  # probability 0
            mixed = np.log((1 - self.weight) * np.exp(log_probs) + self.weight * recalled)
        return np.where(np.isnan(recalled), log_probs, mixed)

    def _read_contexts(self, ids, offsets):
        state = self.model._read_contexts(ids, offsets)
        n, size = len(offsets) - 1, self.model.network_.recurrent.output_size
        keys, tokens = np.zeros((n, self.size, size), np.float32), np.full((n, self.size), PAD_ID, np.int32)
        for row, (begin, end) in enumerate(itertools.pairwise(offsets.tolist())):
            count, latest = min(end - begin, self.size), keys[row, :0]
            for h in _outputs(self.model, ids[begin:end], np.array([0, end - begin]), independent=False, bos=True):
                latest = np.concatenate([latest, h])[-self.size :]
            if count:  # the latest is last
                keys[row, -count:], tokens[row, -count:] = latest, ids[end - count : end]
        return state, keys, tokens

    def _next_probabilities(self, state):
        state, keys, tokens = state
        probabilities = self.model._next_probabilities(state)
        used = np.flatnonzero((tokens != PAD_ID).any(axis=1))
        h = self._output(state)
        similar = self.theta * np.einsum("nh,nsh->ns", h[used], keys[used]).astype(np.float64)
        similar[tokens[used] == PAD_ID] = -np.inf
        shares = np.exp(similar - similar.max(axis=1, keepdims=True, initial=-np.inf))
        shares *= self.weight / shares.sum(axis=1, keepdims=True)
        probabilities[used] *= 1 - self.weight
        np.add.at(probabilities, (used[:, np.newaxis], tokens[used]), shares)
        return probabilities

    def _advance(self, state, ids):
        state, keys, tokens = state
        keys = np.concatenate([keys[:, 1:], self._output(state)[:, np.newaxis]], axis=1)
        tokens = np.concatenate([tokens[:, 1:], ids[:, np.newaxis]], axis=1)
        return self.model._advance(state, ids), keys, tokens

    def _output(self, state):
        """Return the last output of the model in its state, on the host (n, H)."""
        return self.model.network_.backend.to_numpy(state[0])

    def _next_sentence(self, state):
        state, keys, tokens = state
        if not self.carry_state:
            keys, tokens = np.zeros_like(keys), np.full_like(tokens, PAD_ID)
        return self.model._next_sentence(state), keys, tokens

    def _is_state(self, state):
        if not isinstance(state, tuple) or len(state) != 3 or not self.model._is_state(state[0]):
            return False
        shapes = (1, self.size, self.model.network_.recurrent.output_size), (1, self.size)
        if (np.shape(state[1]), np.shape(state[2])) != shapes:
            return False
        return bool((np.asarray(state[2]) < len(self.vocabulary_)).all())

    def _take(self, state, rows):
        state, keys, tokens = state
        return self.model._take(state, rows), keys[rows], tokens[rows]


def _pieces(outputs, texts):
    """Cut the outputs from `_outputs` at the starts of texts, and into pieces of at most `_STEPS` tokens.

    Yields
    ------
    begin : int
        The place of the piece in the ids.
    is_start : bool
        Whether a text begins there.
    h : float32 array (n, H)
    """
    begin = 0
    for h in outputs:
        end = begin + len(h)
        starts = set(texts[np.searchsorted(texts, begin) : np.searchsorted(texts, end)].tolist())
        for first, last in itertools.pairwise(sorted({begin, end} | starts)):
            for place in range(first, last, _STEPS):
                yield place, place in starts, h[place - begin : min(place + _STEPS, last) - begin]
        begin = end


def _outputs(model, ids, offsets, independent, bos):
    """Yield the outputs of the last layer that predict the tokens of a text, arrays (n, H).

    With `independent` each sentence is read by itself. Without `bos` the first output of a sentence is zero.
    """
    if not independent:
        yield from _running_outputs(model, ids, bos)
        return
    for first in range(0, len(offsets) - 1, _SENTENCES):
        bounds = offsets[first : first + _SENTENCES + 1]
        lengths = np.diff(bounds)
        longest = int(lengths.max())
        if longest * len(lengths) > _STEPS * _SENTENCES:  # long ones
            for begin, end in itertools.pairwise(bounds):
                yield from _running_outputs(model, ids[begin:end], bos)
            continue
        (batch,) = SentenceBatches(ids, bounds, [np.arange(len(lengths))], model._start_id, longest)
        h, _ = _first_outputs(model, batch.inputs, lengths, bos)
        yield np.concatenate([h[:length, column] for column, length in enumerate(lengths)])


def _running_outputs(model, ids, bos):
    """Do as `_outputs` for a text whose state is carried from sentence to sentence."""
    inputs, state = shift_right(ids, model._start_id)[:, np.newaxis], None
    for begin in range(0, len(inputs), _STEPS):
        part = inputs[begin : begin + _STEPS]
        h, state = _hidden(model, part, state) if begin else _first_outputs(model, part, None, bos)
        yield h[:, 0]


def _hidden(model, inputs, state=None, lengths=None):
    """Return the outputs of the last layer, on the host (T, B, H), and the state after them."""
    h, state = model.network_.hidden(inputs, state, lengths)
    return model.network_.backend.to_numpy(h), state


def _first_outputs(model, inputs, lengths, bos):
    """Return the outputs (T, B, H) for inputs that begin with ``<s>``, and the state; without `bos` it is skipped."""
    if bos:
        return _hidden(model, inputs, None, lengths)
    h, state = _hidden(model, inputs[1:], None, None if lengths is None else lengths - 1)
    return np.concatenate([np.zeros_like(h, shape=(1, *h.shape[1:])), h]), state


def _recall(h, keys, tokens, targets, first, theta):
    """Return the probability of each target in the cache, float64 (n,); NaN where the cache is empty.

    The last n of the keys (m, H) are the outputs h (n, H) themselves: row t sees the keys `first[t]` to m - n + t - 1.
    """
    place = np.arange(len(keys))
    own = len(keys) - len(h) + np.arange(len(h))
    similar = theta * (h @ keys.T).astype(np.float64)  # (n, m)
    similar[(place < first[:, np.newaxis]) | (place >= own[:, np.newaxis])] = -np.inf
    largest = similar.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # an empty cache
        shares = np.exp(similar - largest)
        return np.where(tokens == targets[:, np.newaxis], shares, 0).sum(axis=1) / shares.sum(axis=1)
