"""Heads of taggers: a prediction for each step of each sequence, from the vectors (T, B, H) that an encoder makes.

Targets of a batch have the sequence first, as the batch slices them: int64 (B, T), -1 after the end of a sequence, or
float32 (B, T, K). T is that of the vectors. Weights are one for each sequence, (B,), or for each step, (B, T).
"""

import math

import numpy as np
from scipy.special import expit, logit, softmax

from fastrnn.layers import CRF, Dense, Softmax
from fastrnn.layers.crf import allowed_scores
from fastrnn.networks.heads import Head, made_small


class StepHead(Head):
    """Base class of the heads of taggers.

    Losses are means over steps: a step's loss counts as much in a long sequence as in a short one.
    """

    def mean_weights(self, batch, scale):
        """Return the batch's weights divided by their sum over all steps, and the sum; as `Head.mean_weights`."""
        lengths = batch.sequences.lengths[batch.rows]
        weights = np.ones(len(lengths)) if batch.weights is None else batch.weights.astype(np.float64)
        if weights.ndim == 1:
            total = float(weights @ lengths)
        else:
            total = float(weights[_within(*weights.shape[::-1], lengths).T].sum())
        return weights * (scale / max(total, 1e-30)), total

    def outputs(self, h, lengths=None):
        """Return the outputs of the dense layer, the emissions of a CRF; float64 (T, B, K), 0 after an end."""
        outputs = self.layer.backend.to_numpy(self.layer.forward(h, by_rows=True))
        return _filled(np.array(outputs, np.float64), lengths, 0)

    def advance(self, h, before=None):
        """Return the scores of one more step, for vectors h (1, B, H): by default its outputs, float64 (B, K).

        `before` are the scores of the step before, None at the first one.
        """
        return self.outputs(h)[0]

    def decoding_scores(self):
        """Return what best paths depend on besides outputs, host arrays by the names of `fastrnn.layers.CRF`, or {}."""
        return {}


def _within(steps, batch, lengths):
    """Return whether each step is before the end of its sequence, bool (T, B)."""
    return np.arange(steps)[:, np.newaxis] < (np.full(batch, steps) if lengths is None else np.asarray(lengths))


def _filled(values, lengths, filling):
    """Return values (T, B) or (T, B, K) with `filling` after the end of each sequence, written in place."""
    values[~_within(*values.shape[:2], lengths)] = filling
    return values


class StepClassHead(StepHead):
    """One class of K at each step, each step on its own: a softmax. Targets are int64 (B, T).

    Parameters
    ----------
    in_features, n_outputs : int
        H and K.
    allowed : tuple of three bool arrays or None, default=None
        As in `fastrnn.layers.CRF`; `decode` finds allowed paths only.
    **options
        Of every layer, see `fastrnn.layers.Layer`.
    """

    def __init__(self, in_features, n_outputs, allowed=None, **options):
        super().__init__(made_small(Softmax(in_features, n_outputs, **options)))
        self.allowed = allowed

    def loss_and_gradient(self, h, targets, weights, lengths=None):
        """Return the loss and its gradient by h; as `fastrnn.networks.heads.Head.loss_and_gradient`."""
        return self.layer.loss_and_gradient(h, targets.T, _of_steps(weights, targets))

    def loss(self, h, targets, weights, lengths=None):
        """Return the loss at prediction; as `fastrnn.networks.heads.Head.loss`."""
        return self.layer.loss(h, targets.T, _of_steps(weights, targets))

    def predict(self, h, lengths=None):
        """Return the probability of each class at each step, float64 (T, B, K), 0 after an end."""
        return _filled(softmax(self.outputs(h), axis=-1), lengths, 0)

    def decode(self, h, lengths=None):
        """Return the class of each step, or the best allowed paths, int32 (T, B), -1 after an end."""
        if self.allowed is not None:
            return self._decode_allowed(h, lengths)
        return _filled(self.outputs(h).argmax(axis=-1).astype(np.int32), lengths, -1)

    def _decode_allowed(self, h, lengths):
        """Return the most probable allowed paths, int32 (T, B)."""
        backend, (steps, batch, _) = self.layer.backend, h.shape
        transitions, start, end = map(backend.asarray, self.decoding_scores().values())
        tags, scores = np.empty((steps, batch), np.int32), np.empty(batch)
        lengths = np.full(batch, steps) if lengths is None else np.asarray(lengths)
        backend.crf_viterbi(tags, scores, self.layer.forward(h, by_rows=True), transitions, start, end,
                            lengths.astype(np.int64), self.layer.n_jobs)  # fmt: skip
        return tags

    def decoding_scores(self):
        """Return 0 for what is allowed, minus infinity for what is not; as `StepHead.decoding_scores`."""
        if self.allowed is None:
            return {}
        start, transitions, end = allowed_scores(self.allowed, self.layer.dtype)
        return {"transitions": transitions, "start_transitions": start, "end_transitions": end}


def _of_steps(weights, targets):
    """Return weights for each step, (T, B)."""
    weights = np.asarray(weights)
    return np.broadcast_to(weights if weights.ndim < 2 else weights.T, targets.shape[1::-1])


class CRFHead(StepHead):
    """One class of K at each step, all steps together: a dense layer and a CRF. Targets are int64 (B, T).

    A weight for each step, (B, T), weighs the loss of a sequence by the mean over its steps.

    Parameters
    ----------
    in_features, n_outputs : int
        H and K.
    allowed : tuple of three bool arrays or None, default=None
    constrain : bool, default=False
        As in `fastrnn.layers.CRF`.
    **options
        Of every layer, see `fastrnn.layers.Layer`.
    """

    def __init__(self, in_features, n_outputs, allowed=None, constrain=False, **options):
        super().__init__(made_small(Dense(in_features, n_outputs, **options)))
        self.crf = self.layers["crf"] = CRF(n_outputs, allowed, constrain, **options)

    def loss_and_gradient(self, h, targets, weights, lengths=None):
        """Return the loss and its gradient by h; as `fastrnn.networks.heads.Head.loss_and_gradient`."""
        emissions = self.layer.forward(h, training=True)
        weights = _of_sequences(weights, lengths)
        loss, d_emissions = self.crf.loss_and_gradient(emissions, targets.T, weights, lengths)
        return loss, self.layer.backward(d_emissions)

    def loss(self, h, targets, weights, lengths=None):
        """Return the loss at prediction; as `fastrnn.networks.heads.Head.loss`."""
        emissions = self.layer.forward(h, by_rows=True)
        return self.crf.loss(emissions, targets.T, _of_sequences(weights, lengths), lengths)

    def advance(self, h, before=None):
        """Return the forward messages of the CRF, float64 (B, K); as `StepHead.advance`, see `layers.CRF.advance`."""
        return self.crf.advance(self.outputs(h)[0], before)

    def decoding_scores(self):
        """Return the scores of the CRF, minus infinity for what is not allowed; as `StepHead.decoding_scores`."""
        return self.crf.decoding_scores()

    def predict(self, h, lengths=None):
        """Return the marginal probability of each class at each step, float64 (T, B, K), 0 after an end."""
        return self.crf.marginals(self.layer.forward(h, by_rows=True), lengths)

    def decode(self, h, lengths=None):
        """Return the classes of the most probable paths, int32 (T, B), -1 after an end."""
        return self.crf.decode(self.layer.forward(h, by_rows=True), lengths)[0]


def _of_sequences(weights, lengths):
    """Return weights for each sequence, (B,): those of steps as their mean."""
    weights = np.asarray(weights, np.float64)
    if weights.ndim < 2:
        return weights
    within = _within(*weights.shape[::-1], lengths).T  # (B, T)
    return (weights * within).sum(axis=1) / np.maximum(within.sum(axis=1), 1)


class DenseStepHead(StepHead):
    """Base class of heads with K outputs of a dense layer that each have a target at each step, float32 (B, T, K).

    Parameters
    ----------
    in_features, n_outputs : int
        H and K.
    **options
        Of every layer, see `fastrnn.layers.Layer`.
    """

    _loss = ""  # name of the loss among the functions of the backend

    def __init__(self, in_features, n_outputs, **options):
        super().__init__(made_small(Dense(in_features, n_outputs, **options)))

    def loss_and_gradient(self, h, targets, weights, lengths=None):
        """Return the loss and its gradient by h; as `fastrnn.networks.heads.Head.loss_and_gradient`."""
        backend, used, rows, targets, weights = self._examples(h, targets, weights, lengths)
        outputs = self.layer.forward(rows, training=True)
        d_outputs = backend.empty_like(outputs)
        loss = getattr(backend, self._loss)(d_outputs, outputs, targets, weights)
        dh = backend.spread_rows(self.layer.backward(d_outputs), used, math.prod(h.shape[:2]))
        return loss, backend.reshape(dh, h.shape)

    def loss(self, h, targets, weights, lengths=None):
        """Return the loss at prediction; as `fastrnn.networks.heads.Head.loss`."""
        backend, _, rows, targets, weights = self._examples(h, targets, weights, lengths)
        return getattr(backend, self._loss)(None, self.layer.forward(rows, by_rows=True), targets, weights)

    def _examples(self, h, targets, weights, lengths):
        """Return the backend, the places of the steps within their sequences, and their vectors, targets, weights."""
        backend, (steps, batch, size) = self.layer.backend, h.shape
        h = backend.asarray(h, self.layer.dtype)
        used = np.flatnonzero(_within(steps, batch, lengths))
        weights = _of_steps(weights, targets).reshape(-1)[used]
        targets = np.swapaxes(targets, 0, 1).reshape(steps * batch, -1)[used]
        return backend, used, backend.take_rows(backend.reshape(h, (steps * batch, size)), used), targets, weights


class StepLabelsHead(DenseStepHead):
    """Any number of K labels at each step: a sigmoid each. Targets are 0 and 1, float32 (B, T, K).

    Parameters
    ----------
    in_features, n_outputs : int
        H and K.
    rates : ndarray (K,) or None, default=None
        Probabilities of the labels that the training begins with, between 0 and 1. It would else spend its first
        epochs on learning that labels are rare.
    **options
        Of every layer, see `fastrnn.layers.Layer`.
    """

    _loss = "binary_cross_entropy"

    def __init__(self, in_features, n_outputs, rates=None, **options):
        super().__init__(in_features, n_outputs, **options)
        if rates is not None:
            self.layer.backend.assign(self.layer.parameters["bias"], logit(rates).astype(self.layer.dtype))

    def predict(self, h, lengths=None):
        """Return the probability of each label at each step, float64 (T, B, K), 0 after an end."""
        return _filled(expit(self.outputs(h)), lengths, 0)

    def decode(self, h, lengths=None):
        """Return whether each label holds at each step, int32 (T, B, K), -1 after an end."""
        return _filled((self.outputs(h) > 0).astype(np.int32), lengths, -1)


class StepValuesHead(DenseStepHead):
    """K numbers at each step: half the squared error. Targets are float32 (B, T, K)."""

    _loss = "half_squared_error"

    def predict(self, h, lengths=None):
        """Return the numbers at each step, float64 (T, B, K), 0 after an end."""
        return self.outputs(h, lengths)


STEP_HEADS = {"softmax": StepClassHead, "crf": CRFHead, "labels": StepLabelsHead, "values": StepValuesHead}
