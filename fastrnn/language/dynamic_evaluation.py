"""Dynamic evaluation: a recurrent language model that keeps learning from the text that it scores."""

import itertools

import numpy as np

from fastrnn.language.wrapping import WrappedLanguageModel
from fastrnn.text.batching import Batch, StreamBatches, Streams, shift_right
from fastrnn.text.tokens import close_sentences
from fastrnn.utils.checks import check_choice, check_not_negative, check_positive_integer, shown


class DynamicEvaluation(WrappedLanguageModel):
    """Recurrent language model whose weights adapt to the text that is scored [1]_.

    A text is read in segments. After each one is scored, the weights take a step down the gradient of its loss. Tokens
    are predicted before the model learns from them, so perplexities stay valid, but they depend on the order of the
    sentences. Each call begins with the weights of the model, which does not change; with ``independent=True`` each
    sentence does.

    Weights adapt only when texts are scored (`token_log_probs`, `score_samples`, `score`, `perplexity`). Other methods
    use the model as it is.

    Parameters
    ----------
    model : RNNLanguageModel
        A fitted model (without zoneout).
    learning_rate : float
        Factor of the gradient of a segment's mean loss. Choose it, like the other parameters, by the perplexity of a
        held-out text: about 0.02 to 0.2 for "sgd", 0.0001 to 0.001 for "rms". Too large a rate makes the text
        improbable.
    decay : float
        The share of the way back to the learned weights that each step takes.
    rule : {"sgd", "rms"}
        "sgd" takes plain steps. "rms" divides the gradient of each weight by its root mean square in training, and
        makes the decay proportional to that. `fit` computes these from the training text.
    segment : int
        Tokens between steps: 5 for words, 20 for characters in the paper.
    epsilon : float
        Added to the root mean squares that gradients are divided by.

    Attributes
    ----------
    scales_ : dict of str to float32 array
        With "rms", the root mean square of the gradient of each weight.
    vocabulary_ : Vocabulary
        The tokens of the model.
    nbytes_ : int
        The bytes of the model's learned arrays.

    References
    ----------
    .. [1] Ben Krause, Emmanuel Kahembwe, Iain Murray and Steve Renals, "Dynamic evaluation of neural sequence models",
       2018.

    Examples
    --------
    >>> from fastrnn import RNNLanguageModel
    >>> lines = ["she sells sea shells", "we sell red apples", "he buys green pears"] * 5
    >>> model = RNNLanguageModel("rnn", 8, 8, random_state=0).fit(lines)
    >>> text = ["red pears red pears red pears red pears"]
    >>> DynamicEvaluation(model).perplexity(text) < model.perplexity(text)
    True
    """

    def __init__(self, model, learning_rate=0.1, decay=0.0, rule="sgd", segment=5, epsilon=1e-3):
        self.model = model
        self.learning_rate = learning_rate
        self.decay = decay
        self.rule = rule
        self.segment = segment
        self.epsilon = epsilon

    def _check(self):
        super()._check()
        if any(self.model.network_.recurrent.zoneout):
            raise ValueError("model must be trained without zoneout: its expectation has no gradient here.")
        check_choice("rule", self.rule, ("sgd", "rms"))
        for name in ("learning_rate", "decay", "epsilon"):
            check_not_negative(name, getattr(self, name))
        check_positive_integer("segment", self.segment)

    def __sklearn_is_fitted__(self):
        self._check()
        if self.rule == "sgd" or not hasattr(self, "scales_"):
            return self.rule == "sgd"
        if _shapes(self.scales_) != _shapes(self.model.network_.parameters):
            raise ValueError("model has other weights than at fit: fit this DynamicEvaluation again.")
        return True

    def fit(self, X=None, y=None):
        """Compute the root mean squares of the gradients, for ``rule="rms"``; "sgd" learns nothing.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, file object, or None
            The text that the model was trained on, or a part of it.
        y : None
            Ignored.

        Returns
        -------
        self : DynamicEvaluation
        """
        self._check()
        if self.rule == "rms":
            if X is None:
                raise ValueError("X is None: rule='rms' takes the training text of the model.")
            ids, _ = close_sentences(*self.vocabulary_.encode_corpus(self._read_training_text(X)))
            self.scales_ = self._root_mean_squares(ids)
        return self

    def _root_mean_squares(self, ids):
        """Return the root mean square of the gradient of each parameter over a text, cut into streams."""
        network = self.model.network_.without_noise()
        n_streams = min(self.model.batch_size, len(ids))
        targets = ids[: len(ids) // n_streams * n_streams].reshape(n_streams, -1).T  # (T, n_streams)
        inputs = shift_right(targets, self.model._start_id)
        ops = network.backend
        squares = {name: ops.zeros(array.shape, array.dtype) for name, array in network.parameters.items()}
        starts = range(0, len(targets), self.segment)
        for begin in starts:
            part = slice(begin, begin + self.segment)
            network.train_step(Batch(inputs[part], targets[part], None, begin == 0, len(targets[part])))
            for name, gradient in network.grads.items():
                ops.add_squares(squares[name], gradient)
        return {name: np.sqrt(ops.to_numpy(square) / len(starts)) for name, square in squares.items()}

    def _token_log_probs(self, ids, offsets):
        return self._adapted_log_probs(ids, offsets[[0, -1]] if self.model.carry_state else offsets)

    def _sentence_log_probs(self, ids, offsets, bos=True):
        return self._adapted_log_probs(ids, offsets, bos, reset=True)

    def _distributions(self, ids):
        for _, network, h, _ in self._adapted_outputs(ids, np.array([0, len(ids)])):
            yield network.head.predict(h)[:, 0]

    def _adapted_log_probs(self, ids, bounds, bos=True, reset=False):
        """Return the log probabilities of texts ids[bounds[i]:bounds[i + 1]]; `reset` resets the weights for each."""
        result = np.empty(len(ids))
        if not bos:
            result[bounds[:-1]] = self.model._log_probs_of_nothing(ids[bounds[:-1]])
        for begin, network, h, targets in self._adapted_outputs(ids, bounds, bos, reset):
            result[begin : begin + len(targets)] = network.head.log_probs(h, targets)[:, 0]
        if not np.isfinite(result).all():
            raise ValueError(
                f"learning_rate={shown(self.learning_rate)} is too large for this text: the weights became infinite or "
                f"NaN before token {int(np.argmin(np.isfinite(result)))} of {len(result)}."
            )
        return result

    def _adapted_outputs(self, ids, bounds, bos=True, reset=False):
        """Yield for each segment of texts its place, the adapted network, its outputs (T, 1, H) and targets (T, 1)."""
        network, state = self.model.network_.without_noise(), None
        ops, learned = network.backend, self.model.network_.parameters
        scales = {name: (None, 1.0) for name in learned}
        if self.rule == "rms":  # and their means
            scales = {name: (ops.asarray(rms), float(rms.mean()) or 1.0) for name, rms in self.scales_.items()}
        adapted = False
        for begin, batch, is_last in self._segments(ids, bounds, bos):
            if reset and batch.fresh and adapted:
                for name, array in network.parameters.items():
                    ops.assign(array, learned[name])
                adapted = False
            h, state = network.hidden(batch.inputs, None if batch.fresh else state)
            yield begin, network, h, batch.targets
            if not (reset and is_last):
                network.train_step(batch)
                self._adapt(network, learned, scales)
                adapted = True

    def _segments(self, ids, bounds, bos):
        """Yield the segments of texts: the place of each, its batch, and whether it is the last one of its text."""
        for first, last in itertools.pairwise(bounds.tolist()):
            start = self.model._start_id if bos else ids[first]
            place = first if bos else first + 1
            for batch in StreamBatches(Streams(ids[place:last], start, 1), self.segment):
                following = place + len(batch.inputs)
                yield place, batch, following == last
                place = following

    def _adapt(self, network, learned, scales):
        """Take a step with the gradients of the network; `scales` are root mean squares and their means."""
        grads, adapt_weights = network.grads, network.backend.adapt_weights
        for name, weight in network.parameters.items():
            rms, mean_rms = scales[name]
            adapt_weights(
                weight, grads[name], learned[name], rms, mean_rms, self.learning_rate, self.decay, self.epsilon
            )

    def _draw_block(self, state, uniforms, choice):
        return self.model._draw_block(state, uniforms, choice)

    def _read_on(self, state, ids):
        return self.model._read_on(state, ids)

    def _continuation_log_probs(self, state, ids):
        return self.model._continuation_log_probs(state, ids)

    _tokens_at_once = property(lambda self: self.model._tokens_at_once)

    def _get_learned(self):
        content, arrays = super()._get_learned()
        return content, {**arrays, **{f"scales.{name}": array for name, array in getattr(self, "scales_", {}).items()}}

    def _set_learned(self, content, arrays):
        if self.rule == "rms":
            self.scales_ = {name: arrays[f"scales.{name}"] for name in self.model.network_.parameters}


def _shapes(arrays):
    return {name: array.shape for name, array in arrays.items()}
