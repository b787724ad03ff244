"""Heads: predictions from the vectors that an encoder makes, and the loss that trains the network."""

import abc

import numpy as np
from scipy.special import expit, softmax

from fastrnn.layers import Dense

_FIRST_SCALE = 0.1  # of the output layer's initial weights, so that no class is preferred at the beginning


class Head(abc.ABC):
    """Base class of heads: an output layer, its loss and its predictions.

    Targets and weights are host arrays. Their shapes are the head's own: one target for each sequence, one for each
    step, or sequences of targets.

    Parameters
    ----------
    layer : Layer
        The output layer, whose parameters the network trains.

    Attributes
    ----------
    layer : Layer
    layers : dict of str to Layer
        All layers of the head by the names that they have in the network; here the output layer alone.
    buffers : dict of str to ndarray
        Arrays of a saved head that are not trained.
    """

    def __init__(self, layer):
        self.layer, self.layers, self.buffers = layer, {"output": layer}, {}

    @abc.abstractmethod
    def mean_weights(self, batch, scale):
        """Return the weights that make the sum of a batch's losses `scale` times their mean, and the divisor.

        Parameters
        ----------
        batch : batch
            Has ``targets``, and ``weights`` if the head's examples have any.
        scale : float

        Returns
        -------
        weights : float or ndarray
            As `loss_and_gradient` takes them.
        total : int or float
            The number of targets, or the sum of their weights.
        """

    @abc.abstractmethod
    def loss_and_gradient(self, h, targets, weights, lengths=None):
        """Return the weighted sum of the losses and its gradient by h, and add to the gradients of the parameters.

        Parameters
        ----------
        h : array of the device (B, H) or (T, B, H)
            Outputs of the encoder.
        targets : ndarray
        weights : float or ndarray
        lengths : int array (B,) or None, default=None
            Steps of each sequence, for heads that read all steps; None if all have T.

        Returns
        -------
        loss : float
        dh : array of the device, shape of h
        """

    @abc.abstractmethod
    def loss(self, h, targets, weights, lengths=None):
        """Return the weighted sum of the losses at prediction; parameters as in `loss_and_gradient`."""

    @abc.abstractmethod
    def predict(self, h, lengths=None):
        """Return the predictions for h as an array of the host.

        Parameters
        ----------
        h, lengths : as in `loss_and_gradient`

        Returns
        -------
        ndarray
        """


class SoftmaxHead(Head):
    """A token of a vocabulary at each step, or for each row. Targets are integers (...); negative ones are ignored.

    Parameters
    ----------
    layer : Softmax, ProjectedSoftmax, AdaptiveSoftmax or SampledSoftmax
    """

    def __init__(self, layer):
        super().__init__(layer)
        counts = getattr(layer, "counts", None)
        if counts is not None:  # how often each token appeared, where the softmax uses that
            self.buffers["counts"] = counts

    def mean_weights(self, batch, scale):
        """Return the weight of each target, and their number; as `Head.mean_weights`."""
        count = int(np.count_nonzero(batch.targets >= 0))
        return scale / max(count, 1), count

    def loss_and_gradient(self, h, targets, weights, lengths=None):
        """Return the loss and its gradient by h; as `Head.loss_and_gradient`."""
        return self.layer.loss_and_gradient(h, targets, weights)

    def loss(self, h, targets, weights, lengths=None):
        """Return the loss at prediction; as `Head.loss`."""
        return self.layer.loss(h, targets, weights)

    def predict(self, h, lengths=None):
        """Return the probabilities of all tokens, float64 (..., V)."""
        return self.layer.backend.to_numpy(self.layer.probabilities(h)).astype(np.float64)

    def log_probs(self, h, targets):
        """Return the natural logarithm of the probability of each target, float64 (...); 0 where it is ignored."""
        return self.layer.log_probs(h, targets)


def made_small(layer):
    """Return a layer whose initial weights are scaled so that no class is preferred at the beginning."""
    for array in layer.parameters.values():
        layer.backend.scale(array, _FIRST_SCALE)
    return layer


class DenseHead(Head):
    """Base class of heads with one dense layer, whose outputs (B, K) have one target for each sequence.

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

    def mean_weights(self, batch, scale):
        """Return the examples' weights divided by their sum, and the sum; as `Head.mean_weights`."""
        total = float(batch.weights.sum())
        return batch.weights * scale / max(total, 1e-30), total

    def loss_and_gradient(self, h, targets, weights, lengths=None):
        """Return the loss and its gradient by h; as `Head.loss_and_gradient`."""
        outputs = self.layer.forward(h, training=True)
        d_outputs = self.layer.backend.empty_like(outputs)
        loss = self.loss_of_outputs(d_outputs, outputs, targets, weights)
        return loss, self.layer.backward(d_outputs)

    def loss(self, h, targets, weights, lengths=None):
        """Return the loss at prediction; as `Head.loss`."""
        return self.loss_of_outputs(None, self.layer.forward(h, by_rows=True), targets, weights)

    def loss_of_outputs(self, d_outputs, outputs, targets, weights):
        """Return the loss for outputs (B, K), and write its gradient to `d_outputs` unless that is None."""
        return getattr(self.layer.backend, self._loss)(d_outputs, outputs, targets, weights)

    def outputs(self, h):
        """Return the outputs of the dense layer, float64 (B, K)."""
        return self.layer.backend.to_numpy(self.layer.forward(h, by_rows=True)).astype(np.float64)


class ClassHead(DenseHead):
    """One class of K: a softmax. Targets are int64 (B,)."""

    _loss = "categorical_cross_entropy"

    def predict(self, h, lengths=None):
        """Return the probabilities of the classes, float64 (B, K)."""
        return softmax(self.outputs(h), axis=1)


class LabelsHead(DenseHead):
    """Any number of K labels: a sigmoid each. Targets are 0 and 1, (B, K)."""

    _loss = "binary_cross_entropy"

    def predict(self, h, lengths=None):
        """Return the probability of each label, float64 (B, K)."""
        return expit(self.outputs(h))


class ValuesHead(DenseHead):
    """K numbers: half the squared error. Targets are numbers (B, K)."""

    _loss = "half_squared_error"

    def predict(self, h, lengths=None):
        """Return the numbers, float64 (B, K)."""
        return self.outputs(h)


HEADS = {"classes": ClassHead, "labels": LabelsHead, "values": ValuesHead}  # by the kind of target
