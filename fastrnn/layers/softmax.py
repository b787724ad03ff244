"""The output layer: a distribution over classes for each row, and its cross-entropy."""

import math
from typing import NamedTuple

import numpy as np

from fastrnn.layers._layer import Layer
from fastrnn.layers.dense import Dense
from fastrnn.utils.checks import check_fraction


class PendingLoss(NamedTuple):
    """A cross-entropy that may still be computed on the device: the sum of -log p times weights.

    Attributes
    ----------
    log_probs : array of the device, float64 (R,)
        As the loss has them: smoothed, where the labels are.
    weights : ndarray (R,)
    """

    log_probs: object
    weights: np.ndarray


def finished(losses, backend):
    """Return the sum of pending losses; the device is waited for once."""
    arrays, total, begin = [loss.log_probs for loss in losses], 0.0, 0
    log_probs = backend.to_numpy(arrays[0] if len(arrays) == 1 else backend.concatenate(arrays))
    for _, weights in losses:
        total -= float(np.dot(log_probs[begin : begin + len(weights)], weights.astype(np.float64)))
        begin += len(weights)
    return total


class Softmax(Dense):
    """Dense layer whose outputs are the logits of a softmax, with the cross-entropy as its loss.

    `log_probs`, `loss` and `loss_and_gradient` hold a bounded part of the logits at a time, see
    `fastrnn.kernels.cross_entropy`. `forward` and `backward` are those of `Dense`: they compute all logits.

    Parameters
    ----------
    in_features : int
        Length of the last axis of x, H.
    num_classes : int
        Number of classes, V.
    bias : bool, default=True
        Whether to add the bias b.
    label_smoothing : float, default=0.0
        The share e of the loss that training gives to all classes alike, as `torch.nn.CrossEntropyLoss` does: the loss
        of a target is (1 - e) · -log p of the target + e · the mean of -log p over the classes. At least 0, below 1.
        Log probabilities, and `loss`, are those of the targets alone.
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        ``weight`` (V, H) and ``bias`` (V,), as in `Dense`.

    References
    ----------
    Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016: label smoothing.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers.softmax import Softmax
    >>> layer = Softmax(4, 10, random_state=0)
    >>> x, targets = np.ones((2, 3, 4)), np.array([[1, 2, 3], [4, -1, -1]])
    >>> loss, dx = layer.loss_and_gradient(x, targets, weights=1 / 4)
    >>> dx.shape
    (2, 3, 4)
    >>> bool(np.isclose(loss, layer.loss(x, targets) / 4))
    True
    """

    def __init__(self, in_features, num_classes, bias=True, label_smoothing=0.0, *, dtype="float32",
                 random_state=None, n_jobs=None, device="cpu", precision="highest"):  # fmt: skip
        super().__init__(in_features, num_classes, bias, dtype=dtype, random_state=random_state, n_jobs=n_jobs,
                         device=device, precision=precision)  # fmt: skip
        check_fraction("label_smoothing", label_smoothing)
        self.num_classes, self.label_smoothing = num_classes, label_smoothing

    def tie(self, embedding):
        """Share the weight and its gradient with an embedding: from now on both layers hold the embedding's arrays.

        Parameters
        ----------
        embedding : Embedding
            With V embeddings of length H, of this layer's type. Its gradient is dense from now on (``rows`` is None).

        References
        ----------
        Press and Wolf, "Using the output embedding to improve language models", EACL 2017.
        """
        weight = embedding.parameters["weight"]
        expected = self.parameters["weight"]
        if weight.shape != expected.shape or weight.dtype != expected.dtype:
            raise ValueError(
                f"embedding must have a weight of shape {expected.shape} and type {expected.dtype}, "
                f"got {weight.shape} and {weight.dtype}."
            )
        self._add_part(embedding, {"weight": "weight"})
        embedding.rows = None

    def log_probs(self, x, targets):
        """Return the natural logarithm of the probability of each target.

        Parameters
        ----------
        x : array-like (..., H)
        targets : array-like of int (...)
            Classes; negative ones are ignored.

        Returns
        -------
        ndarray of float64 (...)
            0 where the target is ignored.
        """
        targets = np.asarray(targets)
        x, chosen, used = self._examples(x, targets)
        log_probs, (weight, bias) = self.backend.empty((len(used),), "float64"), self.logit_map()
        self.backend.cross_entropy_forward(log_probs, x, weight, bias, chosen, self.n_jobs)
        result = np.zeros(targets.size)
        result[used] = self.backend.to_numpy(log_probs)
        return result.reshape(targets.shape)

    def probabilities(self, x):
        """Return the distribution over all classes.

        Parameters
        ----------
        x : array-like (..., H)

        Returns
        -------
        array of the device (..., V)
        """
        probabilities = self.forward(x)
        rows = math.prod(probabilities.shape[:-1])
        self.backend.softmax(self.backend.reshape(probabilities, (rows, self.num_classes)))
        return probabilities

    def most_probable(self, x, count, allowed):
        """Return the most probable classes of each row; the results of a row do not depend on the others.

        Parameters
        ----------
        x : array-like (n, H)
        count : int
            Number of classes.
        allowed : bool ndarray (V,)
            The classes that may be found. The others keep their share of the probability.

        Returns
        -------
        log_probs : ndarray of float64 (n, count)
            Natural logarithms of probabilities, largest first; minus infinity where fewer classes are allowed.
        classes : ndarray of int32 (n, count)
        """
        x = self.backend.asarray(x, self.dtype)
        log_probs, classes = np.empty((x.shape[0], count)), np.empty((x.shape[0], count), np.int32)
        self.backend.most_probable(log_probs, classes, x, *self.logit_map(), allowed, self.n_jobs)
        return log_probs, classes

    def packed(self):
        """Return weight and bias as the backend's `generate` takes them: an opaque object."""
        return self.backend.pack_logit_map(*self.logit_map())

    def logit_map(self):
        """Return the matrix (V, H) and the vector (V,) that make logits of x: W·x + b."""
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        return weight, self.backend.zeros(self.num_classes, self.dtype) if bias is None else bias

    def loss(self, x, targets, weights=None):
        """Return the cross-entropy, the sum of -log p of the targets.

        Parameters
        ----------
        x : array-like (..., H)
        targets : array-like of int (...)
            Classes; negative ones are ignored.
        weights : float or array-like (...), default=None
            Factors of the summands; None means 1.

        Returns
        -------
        float
        """
        log_probs = self.log_probs(x, targets)
        weights = np.broadcast_to(np.asarray(1 if weights is None else weights, np.float64), log_probs.shape)
        used = (np.asarray(targets) >= 0) & (weights != 0)
        return -float(np.dot(log_probs[used], weights[used]))

    def loss_and_gradient(self, x, targets, weights=None):
        """Return the loss and its gradient with respect to x, and add to the gradients of the parameters.

        Parameters
        ----------
        x : array-like (..., H)
        targets : array-like of int (...)
            Classes; negative ones are ignored: their rows of dx are 0.
        weights : float or array-like (...), default=None
            Factors of the summands of the loss; ``1 / n`` gives the mean of n targets, None the sum.

        Returns
        -------
        loss : float
            As `loss` returns it, but for `label_smoothing`.
        dx : array of the device (..., H)
        """
        loss, dx = self.pending_loss_and_gradient(x, targets, weights)
        return finished([loss], self.backend), dx

    def pending_loss_and_gradient(self, x, targets, weights):
        """Return what `loss_and_gradient` does, the loss as a `PendingLoss`: the device is not waited for."""
        targets, grads = np.asarray(targets), self.grads
        weights = np.broadcast_to(np.asarray(1 if weights is None else weights, self.dtype), targets.shape)
        x, chosen, used = self._examples(x, targets, weights != 0)
        weights = weights.reshape(-1)[used]
        log_probs, dx = self.backend.empty((len(used),), "float64"), self.backend.empty_like(x)
        weight, bias = self.logit_map()
        dbias = grads["bias"] if "bias" in grads else self.backend.empty_like(bias)
        self.backend.cross_entropy_backward(log_probs, dx, grads["weight"], dbias, x, weight, bias, chosen, weights,
                                            self.label_smoothing, self.n_jobs)  # fmt: skip
        return PendingLoss(log_probs, weights), self._spread(dx, used, targets.shape)

    def _spread(self, dx, used, shape):
        """Return the gradient of x for targets of a shape, zeros where a target is ignored."""
        rows = self.backend.spread_rows(dx, used, math.prod(shape))
        return self.backend.reshape(rows, (*shape, self.in_features))

    def _examples(self, x, targets, wanted=True):
        """Return the rows of x whose targets count, these targets, and their flat indices."""
        x = self.backend.asarray(x, self.dtype)
        if targets.shape != x.shape[:-1]:
            raise ValueError(f"targets must have shape {x.shape[:-1]}, got {targets.shape}.")
        if targets.dtype.kind not in "iu" and targets.size:
            raise ValueError(f"targets must be integers, got an array of {targets.dtype}.")
        if targets.size and targets.max() >= self.num_classes:
            raise ValueError(f"targets must be below {self.num_classes}, got {targets.max()}.")
        rows, _ = self._rows(x, self.backend)
        used = np.flatnonzero((targets >= 0) & wanted)
        if used.size < targets.size:
            rows = self.backend.take_rows(rows, used)
        return rows, targets.reshape(-1)[used].astype(np.int64), used


class ProjectedSoftmax(Layer):
    """Softmax of a projection: x is brought to the length of the classes' vectors first.

    Parameters
    ----------
    in_features : int
        Length of the last axis of x, H.
    classes : Softmax
        Takes vectors of the length E to which x is projected.
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        ``projection`` (E, H), and those of `classes`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers.softmax import ProjectedSoftmax, Softmax
    >>> layer = ProjectedSoftmax(6, Softmax(4, 10, random_state=0), random_state=0)
    >>> layer.probabilities(np.ones((2, 6))).shape
    (2, 10)
    """

    def __init__(self, in_features, classes, *, dtype="float32", random_state=None, n_jobs=None, device="cpu",
                 precision="highest"):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        self.in_features, self.num_classes, self.classes = in_features, classes.num_classes, classes
        self.counts = getattr(classes, "counts", None)  # of a sampled softmax
        options = self._options()
        self._project = Dense(in_features, classes.in_features, bias=False, **options)
        self._add_part(self._project, {"weight": "projection"})
        self._add_part(classes, {name: name for name in classes.parameters})

    def tie(self, embedding):
        """Share the weight of the classes and its gradient with an embedding, see `Softmax.tie`."""
        self.classes.tie(embedding)
        self._share()

    def training_state(self):
        """Return the state of the generator that samples are drawn from, if there is one."""
        return self.classes.training_state()

    def set_training_state(self, state):
        """Restore the state that `training_state` returned."""
        self.classes.set_training_state(state)

    def sparse_rows(self):
        """Return the rows of each gradient that are not zero, where only some are known to be."""
        return self.classes.sparse_rows()

    def zero_grad(self):
        """Set all gradients to zero."""
        self.make_writable()
        self._project.zero_grad()
        self.classes.zero_grad()

    def log_probs(self, x, targets):
        """Return the natural logarithm of the probability of each target, as `Softmax.log_probs` does."""
        return self.classes.log_probs(self._project.forward(x, by_rows=True), targets)

    def probabilities(self, x):
        """Return the distribution over all classes, (..., V)."""
        return self.classes.probabilities(self._project.forward(x))

    def packed(self):
        """Return projection, weight and bias as the backend's `generate` takes them, as `Softmax.packed` does."""
        return self.backend.pack_logit_map(*self.logit_map())

    def logit_map(self):
        """Return the matrix (V, H) and the vector (V,) that make logits of x, as `Softmax.logit_map` does."""
        weight, bias = self.classes.logit_map()
        together = self.backend.zeros((self.num_classes, self.in_features), self.dtype)
        self.backend.product(together, weight, self.parameters["projection"], self.n_jobs)
        return together, bias

    def loss(self, x, targets, weights=None):
        """Return the cross-entropy, as `Softmax.loss` does."""
        return self.classes.loss(self._project.forward(x), targets, weights)

    def loss_and_gradient(self, x, targets, weights=None):
        """Return the loss and its gradient with respect to x, as `Softmax.loss_and_gradient` does."""
        loss, dx = self.pending_loss_and_gradient(x, targets, weights)
        return finished([loss], self.backend), dx

    def pending_loss_and_gradient(self, x, targets, weights):
        """Return what `loss_and_gradient` does, the loss as a `PendingLoss`."""
        projected = self._project.forward(x, training=True)
        loss, d_projected = self.classes.pending_loss_and_gradient(projected, targets, weights)
        return loss, self._project.backward(d_projected)
