"""Output layers for large vocabularies, and `make_softmax`, which chooses one of all output layers.

They have the methods of `Softmax`: `loss_and_gradient`, `loss`, `log_probs`, `probabilities`.
"""

import itertools
import math
import numbers

import numpy as np

from fastrnn.layers._layer import Layer
from fastrnn.layers.softmax import PendingLoss, ProjectedSoftmax, Softmax, finished
from fastrnn.utils.checks import check_choice, check_positive_integer, shown

SOFTMAXES = ("full", "adaptive", "sampled")
_RATIO = 4  # by which the projections of an adaptive softmax shrink from cluster to cluster
_NOISE_POWER = 0.75  # exponent of the counts from which a sampled softmax draws (Mikolov et al. 2013)


def make_softmax(kind, in_features, num_classes, size=None, *, counts=None, cutoffs=None, n_samples=2000,
                 label_smoothing=0.0, **options):  # fmt: skip
    """Return an output layer.

    Parameters
    ----------
    kind : {"full", "adaptive", "sampled"}
    in_features, num_classes : int
    size : int or None, default=None
        Length of a class's vector, for a weight that is tied to an embedding. If it is not `in_features`, x is
        projected to it.
    counts : int array (num_classes,) or None, default=None
        How often each class appears.
    cutoffs, n_samples
        As in `AdaptiveSoftmax` and `SampledSoftmax`.
    label_smoothing : float, default=0.0
        As in `Softmax`; the other kinds have none.
    **options
        Of every layer.

    Returns
    -------
    Softmax, ProjectedSoftmax, AdaptiveSoftmax or SampledSoftmax
    """
    check_choice("softmax", kind, SOFTMAXES)
    if label_smoothing and kind != "full":
        raise ValueError(f"label_smoothing must be 0 with softmax={kind!r}, got {shown(label_smoothing)}.")
    if kind == "adaptive":
        if size is not None:
            raise ValueError(
                "tie_weights=True needs softmax='full' or 'sampled': an adaptive softmax has no one weight."
            )
        return AdaptiveSoftmax(in_features, num_classes, counts, cutoffs, **options)

    def classes(length):
        if kind == "sampled":
            return SampledSoftmax(length, num_classes, counts, n_samples, **options)
        return Softmax(length, num_classes, label_smoothing=label_smoothing, **options)

    if size in (None, in_features):
        return classes(in_features)
    return ProjectedSoftmax(in_features, classes(size), **options)


def _checked_counts(counts, num_classes):
    """Return the counts of all classes, int64 (V,); falling numbers if none are given."""
    if counts is None:
        return np.arange(num_classes, 0, -1)
    counts = np.asarray(counts, np.int64)
    if counts.shape != (num_classes,) or counts.min(initial=0) < 0:
        raise ValueError(f"counts must be {num_classes} numbers of at least 0, got shape {counts.shape}.")
    return counts


class AdaptiveSoftmax(Layer):
    """Softmax in two steps: first over the frequent classes and the clusters of rare ones, then within a cluster.

    The classes are sorted by their counts. x is projected to in_features / 4 numbers for the first cluster of rare
    classes, to in_features / 16 for the next, and so on.

    Parameters
    ----------
    in_features : int
        Length of the last axis of x, H.
    num_classes : int
        Number of classes, V.
    counts : int array (V,) or None, default=None
        How often each class appears; None takes the classes as sorted.
    cutoffs : sequence of int or None, default=None
        Ranks at which the clusters begin, rising. None begins at about a fiftieth and at a fifth of the classes.
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        ``head.weight`` (cutoffs[0] + n_clusters, H) and ``head.bias``, and for each cluster k ``tail<k>.projection``,
        ``tail<k>.weight`` and ``tail<k>.bias``.
    order : int array (V,)
        The classes by falling counts.
    cutoffs : list of int
        The cutoffs with V appended.

    References
    ----------
    Grave, Joulin, Cissé, Grangier and Jégou, "Efficient softmax approximation for GPUs", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers.large_softmax import AdaptiveSoftmax
    >>> layer = AdaptiveSoftmax(8, 100, cutoffs=[10, 40], random_state=0)
    >>> layer.probabilities(np.ones((2, 8))).sum(axis=1).round(4)
    array([1., 1.], dtype=float32)
    """

    def __init__(self, in_features, num_classes, counts=None, cutoffs=None, *, dtype="float32", random_state=None,
                 n_jobs=None, device="cpu", precision="highest"):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        self.in_features, self.num_classes = in_features, num_classes
        self.counts = _checked_counts(counts, num_classes)
        self.order = np.argsort(-self.counts, kind="stable")
        self._ranks = np.empty(num_classes, np.int64)
        self._ranks[self.order] = np.arange(num_classes)
        if cutoffs is None:
            cutoffs = sorted({max(num_classes // 50, min(1000, num_classes // 5)), num_classes // 5} - {0})
        cutoffs = list(cutoffs)
        whole = all(isinstance(c, numbers.Integral) for c in cutoffs)
        if not whole or not cutoffs or any(a >= b for a, b in itertools.pairwise([0, *cutoffs, num_classes])):
            raise ValueError(
                f"softmax_cutoffs must be rising integers from 1 to {num_classes - 1}, got {shown(cutoffs)}."
            )
        self.cutoffs = [*cutoffs, num_classes]
        options = self._options()
        self._head = Softmax(in_features, cutoffs[0] + len(cutoffs), **options)
        self._tails = []
        for k, (begin, end) in enumerate(itertools.pairwise(self.cutoffs), 1):
            size = max(1, in_features // _RATIO**k)
            self._tails.append(ProjectedSoftmax(in_features, Softmax(size, end - begin, **options), **options))
        for prefix, layer in [("head", self._head), *((f"tail{k}", tail) for k, tail in enumerate(self._tails))]:
            self._add_part(layer, {name: f"{prefix}.{name}" for name in layer.parameters})

    def _rows(self, x):
        """Return x as a matrix (rows, H), and its shape without the last axis."""
        x = self.backend.asarray(x, self.dtype)
        return self.backend.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1])), x.shape[:-1]

    def _places(self, targets):
        """Return the flat targets of the head, and for each tail its rows and their targets."""
        targets = np.asarray(targets)
        if targets.size and targets.max() >= self.num_classes:
            raise ValueError(f"targets must be below {self.num_classes}, got {targets.max()}.")
        ranks = np.where(targets < 0, -1, self._ranks[np.maximum(targets, 0)]).reshape(-1)
        clusters = np.searchsorted(self.cutoffs[:-1], ranks, side="right")  # 0 is the head
        head = np.where(clusters > 0, self.cutoffs[0] + clusters - 1, ranks)
        rows = [np.flatnonzero(clusters == k) for k in range(1, len(self.cutoffs))]
        return head, [(used, ranks[used] - begin) for used, begin in zip(rows, self.cutoffs, strict=False)]

    def log_probs(self, x, targets):
        """Return the natural logarithm of the probability of each target, as `Softmax.log_probs` does."""
        flat, _ = self._rows(x)
        head, tails = self._places(targets)
        result = self._head.log_probs(flat, head)
        for tail, (rows, places) in zip(self._tails, tails, strict=True):
            result[rows] += tail.log_probs(self.backend.take_rows(flat, rows), places)
        return result.reshape(np.shape(targets))

    def probabilities(self, x):
        """Return the distribution over all classes, (..., V)."""
        flat, shape = self._rows(x)
        head, tails = self._head.probabilities(flat), [tail.probabilities(flat) for tail in self._tails]
        result = self.backend.empty((flat.shape[0], self.num_classes), self.dtype)
        self.backend.join_clusters(result, head, tails, self.order)
        return self.backend.reshape(result, (*shape, self.num_classes))

    def loss(self, x, targets, weights=None):
        """Return the cross-entropy, as `Softmax.loss` does."""
        weights = np.broadcast_to(np.asarray(1 if weights is None else weights, np.float64), np.shape(targets))
        return -float(np.sum(self.log_probs(x, targets) * weights))

    def loss_and_gradient(self, x, targets, weights=None):
        """Return the loss and its gradient with respect to x, as `Softmax.loss_and_gradient` does."""
        backend, (flat, shape) = self.backend, self._rows(x)
        weights = np.broadcast_to(np.asarray(1 if weights is None else weights, self.dtype), np.shape(targets))
        weights = weights.reshape(-1)
        head, tails = self._places(targets)
        loss, dx = self._head.pending_loss_and_gradient(flat, head, weights)
        losses = [loss]
        for tail, (rows, places) in zip(self._tails, tails, strict=True):
            if rows.size:
                loss, d_rows = tail.pending_loss_and_gradient(backend.take_rows(flat, rows), places, weights[rows])
                losses.append(loss)
                backend.add_to_rows(dx, rows, d_rows)
        return finished(losses, backend), backend.reshape(dx, (*shape, self.in_features))


class SampledSoftmax(Softmax):
    """Softmax that is trained on the targets of a batch and some classes drawn at random; everything else is exact.

    The layer learns to tell each row's target from the other candidates: the targets of the other rows, and `n_samples`
    classes drawn in proportion to counts^0.75. The logarithm of the probability that a class is a candidate is
    subtracted from its logit, so that the layer learns the logits of the full softmax. Only candidates get gradients,
    see `sparse_rows`. Training reports the loss among candidates.

    Parameters
    ----------
    in_features, num_classes : int
        H and V.
    counts : int array (V,) or None, default=None
        How often each class appears; None takes all as equally frequent.
    n_samples : int, default=2000
    bias : bool, default=True
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    References
    ----------
    Bengio and Senécal, "Adaptive importance sampling to accelerate training of a neural probabilistic language model",
    IEEE Transactions on Neural Networks 19, 2008. Jean, Cho, Memisevic and Bengio, "On using very large target
    vocabulary for neural machine translation", ACL 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers.large_softmax import SampledSoftmax
    >>> layer = SampledSoftmax(4, 1000, n_samples=20, random_state=0)
    >>> loss, dx = layer.loss_and_gradient(np.ones((3, 4)), [5, 7, 999])
    >>> len(layer.sparse_rows()["weight"]) <= 23
    True
    """

    def __init__(self, in_features, num_classes, counts=None, n_samples=2000, bias=True, *, dtype="float32",
                 random_state=None, n_jobs=None, device="cpu", precision="highest"):  # fmt: skip
        super().__init__(in_features, num_classes, bias, dtype=dtype, random_state=random_state, n_jobs=n_jobs,
                         device=device, precision=precision)  # fmt: skip
        check_positive_integer("softmax_samples", n_samples)
        self.n_samples = n_samples
        self.counts = _checked_counts(np.ones(num_classes) if counts is None else counts, num_classes)
        noise = (self.counts + 1.0) ** _NOISE_POWER
        self._cumulated = np.cumsum(noise / noise.sum())
        # Logarithms of the probability not to be drawn, as a sample and as the target of another row.
        self._log_missed = np.log1p(-noise / noise.sum()), np.log1p(-(self.counts + 1) / (self.counts + 1).sum())
        self._random = np.random.default_rng(self.random_state.randint(2**31))
        self.rows = np.empty(0, np.int64)
        self._embedding = None

    def tie(self, embedding):
        """Share the weight and its gradient with an embedding, as `Softmax.tie` does; the gradient stays sparse."""
        rows = embedding.rows
        super().tie(embedding)
        embedding.rows, self._embedding = rows, embedding

    def sparse_rows(self):
        """Return the rows of each gradient that are not zero; the embedding has those of a tied weight."""
        return {name: self.rows for name in self.grads if name != "weight" or self._embedding is None}

    def zero_grad(self):
        """Set the gradients to zero: only the rows that were written."""
        self.make_writable()
        for gradient in self.grads.values():
            self.backend.assign_rows(gradient, self.rows, 0)
        self.rows = np.empty(0, np.int64)

    def training_state(self):
        """Return the state of the generator that samples are drawn from."""
        return self._random.bit_generator.state

    def set_training_state(self, state):
        """Restore the state that `training_state` returned."""
        self._random.bit_generator.state = state

    def candidates(self, targets):
        """Draw the candidates for targets (R,); return them sorted, and their log probabilities.

        Returns
        -------
        classes : int64 array (C,)
            The targets among them.
        log_inclusion : float64 array (C,)
            Logarithm of the probability that a class is a candidate, as a sample or as the target of another row.
        """
        drawn = np.searchsorted(self._cumulated, self._random.random(self.n_samples) * self._cumulated[-1])
        classes = np.unique(np.concatenate([targets, np.minimum(drawn, self.num_classes - 1)]))
        as_sample, as_target = (part[classes] for part in self._log_missed)
        return classes, np.log(-np.expm1(self.n_samples * as_sample + (len(targets) - 1) * as_target))

    def pending_loss_and_gradient(self, x, targets, weights):
        """Return the loss among candidates and its gradient; as `Softmax.pending_loss_and_gradient`."""
        targets, backend, grads = np.asarray(targets), self.backend, self.grads
        weights = np.broadcast_to(np.asarray(1 if weights is None else weights, self.dtype), targets.shape)
        x, chosen, used = self._examples(x, targets, weights != 0)
        weights = weights.reshape(-1)[used]
        classes, log_inclusion = self.candidates(chosen)
        weight, bias = (backend.take_rows(array, classes) for array in self.logit_map())
        bias = backend.add(bias, backend.asarray(-log_inclusion, self.dtype))
        log_probs, dx = backend.empty((len(used),), "float64"), backend.empty_like(x)
        places = np.searchsorted(classes, chosen)
        dweight, dbias = (backend.zeros(array.shape, self.dtype) for array in (weight, bias))
        backend.cross_entropy_backward(log_probs, dx, dweight, dbias, x, weight, bias, places, weights,
                                       n_jobs=self.n_jobs)  # fmt: skip
        self.rows = np.union1d(self.rows, classes)  # first: an error may come between the gradients
        if self._embedding is not None:
            self._embedding.rows = np.union1d(self._embedding.rows, classes)
        for name, gradient in (("weight", dweight), ("bias", dbias)):
            if name in grads:
                backend.add_to_rows(grads[name], classes, gradient)
        return PendingLoss(log_probs, weights), self._spread(dx, used, targets.shape)
