"""Layers that turn a sequence into one vector: pooling over steps, and the mean of embedding vectors."""

import numpy as np

from fastrnn.layers._layer import Layer
from fastrnn.layers._noise import Noise
from fastrnn.layers.dense import Dense
from fastrnn.layers.dropout import check_probability
from fastrnn.utils.checks import check_choice, shown

POOLINGS = ("last", "mean", "max", "attention")


class Pooling(Layer):
    """Pool the steps of each sequence of a ragged batch into one vector.

    Parameters
    ----------
    size : int
        Length H of a step's vector.
    pooling : {"last", "mean", "max", "attention"}, default="last"
        - "last": the vector of the last step.
        - "mean", "max": the mean or the maximum of each unit over the steps.
        - "attention": the mean with the weights softmax(vᵀ·tanh(W·y + b)), where W, b and v are learned
          (Yang et al. 2016).
    bidirectional : bool, default=False
        Whether the second half of a vector comes from a direction that reads sequences backwards: its last step is a
        sequence's first.
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        Only for attention: ``weight`` (H, H), ``bias`` (H,) and ``context`` (1, H), the W, b and v above.

    References
    ----------
    Yang, Yang, Dyer, He, Smola and Hovy, "Hierarchical attention networks for document classification", NAACL 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import Pooling
    >>> y = np.arange(12.0).reshape(3, 2, 2)  # 3 steps of 2 sequences
    >>> Pooling(2, "mean", dtype="float64").forward(y, lengths=[3, 1])
    array([[4., 5.],
           [2., 3.]])
    """

    def __init__(self, size, pooling="last", bidirectional=False, *, dtype="float32", random_state=None, n_jobs=None,
                 device="cpu", precision="highest"):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        check_choice("pooling", pooling, POOLINGS)
        self.size, self.pooling, self.bidirectional = size, pooling, bidirectional
        if pooling == "attention":
            options = self._options()
            self._hidden = Dense(size, size, activation="tanh", **options)
            self._score = Dense(size, 1, bias=False, **options)
            self._add_part(self._hidden, {"weight": "weight", "bias": "bias"})
            self._add_part(self._score, {"weight": "context"})

    def forward(self, y, lengths=None, training=False):
        """Pool a batch.

        Parameters
        ----------
        y : array-like (T, B, H)
        lengths : array-like (B,) of int, default=None
            Steps of each sequence, 0 allowed; None if all have T.
        training : bool, default=False
            Whether to keep y for `backward`. It must not change before that.

        Returns
        -------
        array of the device (B, H)
            Zeros for a sequence without steps.
        """
        backend = self.backend
        y = backend.asarray(y, self.dtype)
        if y.ndim != 3 or y.shape[2] != self.size:
            raise ValueError(f"y must have shape (T, B, {self.size}), got {y.shape}.")
        steps, batch = y.shape[:2]
        lengths = np.full(batch, steps) if lengths is None else np.asarray(lengths)
        if lengths.shape != (batch,) or (batch and not 0 <= lengths.min() <= lengths.max() <= steps):
            raise ValueError(f"lengths must be {batch} integers from 0 to {steps}, got {shown(lengths)}.")
        lengths = lengths.astype(np.int64)
        out, between = backend.empty((batch, self.size), self.dtype), None
        if self.pooling == "last":
            backend.last_pooling_forward(out, y, lengths, self.bidirectional)
        elif self.pooling == "mean":
            backend.mean_pooling_forward(out, y, lengths)
        elif self.pooling == "max":
            between = backend.max_pooling_forward(out, y, lengths)
        else:
            hidden = self._hidden.forward(y, training, by_rows=True)
            scores = backend.reshape(self._score.forward(hidden, training, by_rows=True), (steps, batch))
            between = backend.empty((steps, batch), self.dtype)
            backend.attention_pooling_forward(out, between, y, scores, lengths)
        if training:
            self._keep(y, lengths, between)
        return out

    def backward(self, dout):
        """Return the gradient of y for the last `forward`, and add to those of the parameters.

        Parameters
        ----------
        dout : array-like (B, H)

        Returns
        -------
        array of the device (T, B, H)
            Zeros after the end of a sequence.
        """
        y, lengths, between = self._recall()
        backend, dout = self.backend, self.backend.asarray(dout, self.dtype)
        dy = backend.empty_like(y)
        if self.pooling == "last":
            backend.last_pooling_backward(dy, dout, lengths, self.bidirectional)
        elif self.pooling == "mean":
            backend.mean_pooling_backward(dy, dout, lengths)
        elif self.pooling == "max":
            backend.max_pooling_backward(dy, dout, between)
        else:
            dscores = backend.empty(y.shape[:2], self.dtype)
            backend.attention_pooling_backward(dy, dscores, dout, between, y, lengths)
            dy = backend.add(dy, self._hidden.backward(self._score.backward(dscores)))
        return dy


class EmbeddingBag(Layer):
    """Mean of the embedding vectors of the ids of each bag (torch's name), for texts as bags of words and n-grams.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        V and D.
    dropout : float, default=0.0
        Probability that an id is left out of its bag in training; the others are scaled by 1 / (1 − dropout)
        (Iyyer et al. 2015).
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        ``weight`` (V, D), drawn from the standard normal distribution.
    rows : ndarray of int64
        Sorted rows of ``grads["weight"]`` that `backward` wrote since the last `zero_grad`; all others are zero.

    References
    ----------
    Iyyer, Manjunatha, Boyd-Graber and Daumé, "Deep unordered composition rivals syntactic methods for text
    classification", ACL 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers import EmbeddingBag
    >>> layer = EmbeddingBag(10, 3, random_state=0)
    >>> layer.forward(np.array([1, 2, 1]), np.array([0, 2, 2, 3])).round(1)
    array([[ 1.6,  0.9, -0.5],
           [ 0. ,  0. ,  0. ],
           [ 2.2,  1.9, -1. ]], dtype=float32)
    """

    _dropout_rates = ("dropout",)

    def __init__(self, num_embeddings, embedding_dim, dropout=0.0, *, dtype="float32", random_state=None, n_jobs=None,
                 device="cpu", precision="highest"):  # fmt: skip
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self._add_parameter("weight", self.random_state.standard_normal((num_embeddings, embedding_dim)))
        self.rows = np.empty(0, np.int64)
        self.dropout = check_probability("dropout", dropout)
        self._noise = Noise(self.random_state)

    def forward(self, ids, offsets, training=False):
        """Return the mean vector of each bag.

        Parameters
        ----------
        ids : array-like (N,) of int
        offsets : array-like (B + 1,) of int
            Bag b is ``ids[offsets[b]:offsets[b + 1]]``.
        training : bool, default=False
            Whether to keep the ids for `backward`, and to apply dropout.

        Returns
        -------
        array of the device (B, D)
            Zeros for an empty bag.

        Raises
        ------
        ValueError
            `ids` are not from 0 to V - 1, or `offsets` are no places in `ids` in ascending order.
        """
        ids, offsets = np.array(ids, np.int64), np.array(offsets, np.int64)
        if ids.size and not (ids.min() >= 0 and ids.max() < self.num_embeddings):
            raise ValueError(f"ids must be from 0 to {self.num_embeddings - 1}, got {ids.min()} to {ids.max()}.")
        if not _are_places(offsets, ids.size):
            raise ValueError(f"offsets must ascend from 0 to at most {ids.size}, got {shown(offsets)}.")
        factors = self._factors(offsets) if training and self.dropout else None
        out = self.backend.empty((len(offsets) - 1, self.embedding_dim), self.dtype)
        self.backend.bag_forward(out, self.parameters["weight"], ids, factors, offsets)
        if training:
            self._keep(ids, factors, offsets)
        return out

    def _factors(self, offsets):
        """Return the factors of ids under dropout, (B, ids of the largest bag): a unit for each place in a bag."""
        bags, largest = len(offsets) - 1, int((offsets[1:] - offsets[:-1]).max(initial=0))
        factors, noise = self.backend.empty((bags, largest), self.dtype), self._noise.next_pass()
        sequences, steps = np.arange(bags, dtype=np.int32), np.zeros(bags, np.int32)
        self.backend.keep_mask(factors, self.dropout, 1 / (1 - self.dropout), *noise, sequences, steps, self.n_jobs)
        return factors

    def backward(self, dout):
        """Add the gradient of the vectors that the last `forward` used to ``grads["weight"]``.

        Parameters
        ----------
        dout : array-like (B, D)
        """
        ids, factors, offsets = self._recall()
        dout = self.backend.asarray(dout, self.dtype)
        self.backend.bag_backward(self.grads["weight"], dout, ids, factors, offsets)
        self.rows = np.union1d(self.rows, ids)

    def sparse_rows(self):
        """Return the rows of the gradient that are not zero; see `Layer.sparse_rows`."""
        return {"weight": self.rows}

    def zero_grad(self):
        """Set the gradient to zero: only the rows that were written."""
        self.make_writable()
        self.backend.assign_rows(self.grads["weight"], self.rows, 0)
        self.rows = np.empty(0, np.int64)


def _are_places(offsets, n):
    """Whether offsets cut n elements into bags."""
    return (
        offsets.ndim == 1
        and offsets.size > 0
        and offsets[0] >= 0
        and offsets[-1] <= n
        and not (np.diff(offsets) < 0).any()
    )
