"""Layers that make one vector of a whole sequence: pooling over its steps, and the mean of its embedding vectors."""

import numpy as np

from fastrnn._memory import empty, empty_like
from fastrnn.kernels.dense import FEW_ROWS
from fastrnn.kernels.pooling import (
    attention_backward,
    attention_forward,
    bag_backward,
    bag_forward,
    max_backward,
    max_forward,
    mean_backward,
    mean_forward,
)
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
        - "last": what a recurrent layer has at its last step.
        - "mean", "max": of each unit over the steps.
        - "attention": the mean with the weights softmax(vᵀ·tanh(W·y + b)), which are learned (Yang et al. 2016).
    bidirectional : bool, default=False
        Whether the second half of a vector comes from a direction that reads from the end, whose last step is the first
        one of the sequence.
    dtype, random_state, n_jobs
        As in every layer.

    Attributes
    ----------
    parameters : dict
        None but for attention: ``weight`` (H, H), ``bias`` (H,) and ``context`` (1, H), the W, b and v above.

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

    def __init__(self, size, pooling="last", bidirectional=False, *, dtype="float32", random_state=None, n_jobs=None):
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs)
        check_choice("pooling", pooling, POOLINGS)
        self.size, self.pooling, self.bidirectional = size, pooling, bidirectional
        if pooling == "attention":
            options = {"dtype": dtype, "random_state": self.random_state, "n_jobs": n_jobs}
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
            Keep what `backward` needs: y, which must not change before.

        Returns
        -------
        ndarray (B, H)
            Zeros for a sequence without steps.
        """
        y = np.ascontiguousarray(y, self.dtype)
        if y.ndim != 3 or y.shape[2] != self.size:
            raise ValueError(f"y must have shape (T, B, {self.size}), got {y.shape}.")
        steps, batch = y.shape[:2]
        lengths = np.full(batch, steps) if lengths is None else np.asarray(lengths)
        if lengths.shape != (batch,) or (batch and not 0 <= lengths.min() <= lengths.max() <= steps):
            raise ValueError(f"lengths must be {batch} integers from 0 to {steps}, got {shown(lengths)}.")
        out, between = np.zeros((batch, self.size), self.dtype), ()
        if self.pooling == "last":
            for steps_of, units in self._ends(lengths):
                out[:, units] = y[steps_of, np.arange(batch), units] if steps else 0
            out[lengths == 0] = 0
        elif self.pooling == "mean":
            mean_forward(out, y, lengths)
        elif self.pooling == "max":
            between = (np.empty((batch, self.size), np.int64),)
            max_forward(out, *between, y, lengths)
        else:
            hidden = dense_rows(self._hidden, y.reshape(-1, self.size), training)
            scores = dense_rows(self._score, hidden, training)[: steps * batch, 0].reshape(steps, batch)
            between = (np.empty((steps, batch), self.dtype),)
            attention_forward(out, *between, y, scores, lengths)
        if training:
            self._keep(y, lengths, *between)
        return out

    def backward(self, dout):
        """Return the gradient of y for the last `forward`, and add to those of the parameters.

        Parameters
        ----------
        dout : array-like (B, H)

        Returns
        -------
        ndarray (T, B, H)
            Zeros behind the end of a sequence.
        """
        y, lengths, *between = self._recall()
        dout = np.ascontiguousarray(dout, self.dtype)
        dy = empty_like(y)
        if self.pooling == "last":
            dy[...] = 0
            used = np.flatnonzero(lengths)
            for steps_of, units in self._ends(lengths):
                dy[steps_of[used], used, units] = dout[used, units]
        elif self.pooling == "mean":
            mean_backward(dy, dout, lengths)
        elif self.pooling == "max":
            max_backward(dy, dout, *between)
        else:
            dscores = np.empty(y.shape[:2], self.dtype)
            attention_backward(dy, dscores, dout, *between, y, lengths)
            dhidden = self._score.backward(_rows_like(self._score, dscores.reshape(-1, 1)))
            dy += self._hidden.backward(dhidden)[: dscores.size].reshape(y.shape)
        return dy

    def _ends(self, lengths):
        """Return the last step of each sequence for the units of each direction."""
        last = np.maximum(lengths - 1, 0)
        if not self.bidirectional:
            return [(last, slice(None))]
        half = self.size // 2
        return [(last, slice(None, half)), (np.zeros_like(last), slice(half, None))]


def dense_rows(layer, x, training=False):
    """Return what a dense layer makes of rows x (M, K), each the same to the bit whatever M is.

    A product of few rows adds up in another order: zeros fill them up. With `training` these zeros stay, and the
    gradient that `backward` is given must have as many rows.
    """
    missing = FEW_ROWS + 1 - len(x)
    if missing <= 0:
        return layer.forward(x, training=training)
    filled = np.concatenate([x, np.zeros((missing, x.shape[1]), x.dtype)])
    y = layer.forward(filled, training=training)
    return y if training else y[: len(x)]


def _rows_like(layer, dy):
    """Fill a gradient up with zero rows as `dense_rows` does."""
    missing = FEW_ROWS + 1 - len(dy)
    return dy if missing <= 0 else np.concatenate([dy, np.zeros((missing, dy.shape[1]), dy.dtype)])


class EmbeddingBag(Layer):
    """Mean of the embedding vectors of the ids of each bag (torch's name), for texts as bags of words and n-grams.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        V and D.
    dropout : float, default=0.0
        Probability that an id is left out of its bag in training; the others are scaled by 1 / (1 − dropout)
        (Iyyer et al. 2015).
    dtype, random_state, n_jobs
        As in every layer.

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

    def __init__(self, num_embeddings, embedding_dim, dropout=0.0, *, dtype="float32", random_state=None, n_jobs=None):
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs)
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
            Keep the ids for `backward`, and drop some.

        Returns
        -------
        ndarray (B, D)
            Zeros for an empty bag.
        """
        ids, offsets = np.array(ids, np.int64), np.array(offsets, np.int64)
        if ids.size and not (ids.min() >= 0 and ids.max() < self.num_embeddings):
            raise ValueError(f"ids must be from 0 to {self.num_embeddings - 1}, got {ids.min()} to {ids.max()}.")
        factors = np.empty(0, self.dtype)
        if training and self.dropout:
            factors = self._factors(ids.size, offsets)
        out = empty((len(offsets) - 1, self.embedding_dim), self.dtype)
        bag_forward(out, self.parameters["weight"], ids, factors, offsets)
        if training:
            self._keep(ids, factors, offsets)
        return out

    def _factors(self, n_ids, offsets):
        """Return a factor for each id, (N,): its mask depends on its bag and on its place in that."""
        places = np.arange(n_ids)
        bags = np.searchsorted(offsets, places, side="right") - 1
        places -= offsets[bags]
        factors, noise = self.backend.empty((n_ids, 1), self.dtype), self._noise.next_pass()
        self.backend.keep_mask(factors, self.dropout, 1 / (1 - self.dropout), *noise, bags.astype(np.int32),
                               places.astype(np.int32), self.n_jobs)  # fmt: skip
        return self.backend.reshape(factors, (n_ids,))

    def backward(self, dout):
        """Add the gradient of the vectors that the last `forward` used to ``grads["weight"]``.

        Parameters
        ----------
        dout : array-like (B, D)
        """
        ids, factors, offsets = self._recall()
        bag_backward(self.grads["weight"], np.ascontiguousarray(dout, self.dtype), ids, factors, offsets)
        self.rows = np.union1d(self.rows, ids)

    def sparse_rows(self):
        """Return the rows of the gradient that are not zero; see `Layer.sparse_rows`."""
        return {"weight": self.rows}

    def zero_grad(self):
        """Set the gradient to zero: only the rows that were written."""
        self.make_writable()
        self.grads["weight"][self.rows] = 0
        self.rows = np.empty(0, np.int64)
