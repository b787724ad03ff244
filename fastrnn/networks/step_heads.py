"""Heads with a prediction for every step."""

import numpy as np
from scipy.special import softmax

from fastrnn.layers.softmax import Softmax
from fastrnn.networks.heads import Head


class StepClassHead(Head):
    """One class of K at each step: a softmax. Targets are int64 (B, T), -1 behind the end."""

    def __init__(self, in_features, n_outputs, **options):
        super().__init__(Softmax(in_features, n_outputs, **options))
        for array in self.layer.parameters.values():
            self.layer.backend.scale(array, 0.1)

    def mean_weights(self, batch, scale):
        """Return the weights of the steps divided by their sum, (B, T), and the sum; as `Head.mean_weights`."""
        weights = batch.weights if batch.weights.ndim == 2 else batch.weights[:, None]
        weights = weights * (batch.targets >= 0)
        total = float(weights.sum())
        return weights * scale / max(total, 1e-30), total

    def loss_and_gradient(self, h, targets, weights, lengths=None):
        """Return the loss and its gradient by h; as `Head.loss_and_gradient`."""
        return self.layer.loss_and_gradient(h, targets.T, weights.T)

    def loss(self, h, targets, weights, lengths=None):
        """Return the loss at prediction; as `Head.loss`."""
        weights = weights if weights.ndim == 2 else np.repeat(weights[:, None], targets.shape[1], axis=1)
        return self.layer.loss(h, targets.T, weights.T)

    def outputs(self, h, lengths=None):
        """Return the logits, float64 (T, B, K)."""
        return self.layer.backend.to_numpy(self.layer.forward(h, by_rows=True)).astype(np.float64)

    def predict(self, h, lengths=None):
        """Return the probabilities, float64 (T, B, K)."""
        return softmax(self.outputs(h, lengths), axis=-1)

    def decode(self, h, lengths):
        """Return the best classes, int32 (T, B); -1 behind the end of a sequence."""
        best = self.outputs(h).argmax(axis=-1).astype(np.int32)
        best[np.arange(len(best))[:, None] >= lengths] = -1
        return best


STEP_HEADS = {"softmax": StepClassHead}
