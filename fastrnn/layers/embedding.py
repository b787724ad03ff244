"""The embedding layer: a vector for each token id."""

import numpy as np

from fastrnn.layers._layer import Layer
from fastrnn.layers._noise import Noise
from fastrnn.layers.dropout import check_probability
from fastrnn.utils.checks import shown
from fastrnn.utils.recurrent import Inputs


class Embedding(Layer):
    """Table of vectors that is looked up by integer ids.

    Parameters
    ----------
    num_embeddings : int
        Number of ids, V.
    embedding_dim : int
        Length of a vector, D.
    padding_idx : int or None, default=None
        An id whose vector starts as zeros and gets no gradient.
    dropout : float, default=0.0
        Probability that all occurrences of an id are zeroed in a forward pass in training; the others are scaled by
        1 / (1 − dropout) (Gal and Ghahramani 2016).
    dtype, random_state, n_jobs, device, precision
        As in every layer, see `Layer`.

    Attributes
    ----------
    parameters : dict
        ``weight`` (V, D), drawn from the standard normal distribution.
    rows : ndarray of int64 or None
        Sorted rows of ``grads["weight"]`` that `backward` wrote since the last `zero_grad`; all others are zero.
        None if any row may have been written, because the table is tied to an output layer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn.layers.embedding import Embedding
    >>> layer = Embedding(10, 3, random_state=0)
    >>> layer.forward([[1, 2], [1, 7]], training=True).shape
    (2, 2, 3)
    >>> layer.backward(np.ones((2, 2, 3)))
    >>> layer.rows
    array([1, 2, 7])
    >>> layer.grads["weight"][1]
    array([2., 2., 2.], dtype=float32)
    """

    _dropout_rates = ("dropout",)

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        padding_idx=None,
        dropout=0.0,
        *,
        dtype="float32",
        random_state=None,
        n_jobs=None,
        device="cpu",
        precision="highest",
    ):
        super().__init__(dtype=dtype, random_state=random_state, n_jobs=n_jobs, device=device, precision=precision)
        if padding_idx is not None and not 0 <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx must be None or from 0 to {num_embeddings - 1}, got {shown(padding_idx)}.")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        weight = self.random_state.standard_normal((num_embeddings, embedding_dim))
        if padding_idx is not None:
            weight[padding_idx] = 0
        self._add_parameter("weight", weight)
        self.rows = np.empty(0, np.int64)
        self.dropout = check_probability("dropout", dropout)
        self._noise = Noise(self.random_state) if dropout else None

    def tie(self, embedding):
        """Share the vectors and their gradient with another embedding: from now on both layers hold its arrays.

        Parameters
        ----------
        embedding : Embedding
            With V embeddings of length D, of this layer's type. The gradient is dense from now on (``rows`` is None).

        Raises
        ------
        ValueError
            The other embedding has another shape or type.
        """
        weight, expected = embedding.parameters["weight"], self.parameters["weight"]
        if weight.shape != expected.shape or weight.dtype != expected.dtype:
            raise ValueError(
                f"embedding must have a weight of shape {expected.shape} and type {expected.dtype}, "
                f"got {weight.shape} and {weight.dtype}."
            )
        self._add_part(embedding, {"weight": "weight"})
        embedding.rows = self.rows = None

    def forward(self, ids, training=False):
        """Look vectors up.

        Parameters
        ----------
        ids : array-like of int, any shape
        training : bool, default=False
            Whether to keep the ids for `backward`, and to apply dropout.

        Returns
        -------
        array of the device (*ids.shape, D)

        Raises
        ------
        ValueError
            `ids` are not integers from 0 to V - 1.
        """
        ids, flat, factors = self._read(ids, training, is_embedded=False)
        out = self.backend.empty((flat.size, self.embedding_dim), self.dtype)
        self.backend.embedding_forward(out, self.parameters["weight"], flat, factors)
        return self.backend.reshape(out, (*ids.shape, self.embedding_dim))

    def embedded(self, ids, training=False):
        """Return the table and the ids without the look-up, as `Recurrent` takes them.

        Parameters
        ----------
        ids : array-like of int, any shape
        training : bool, default=False
            Whether to keep the ids for `backward`, which then takes the gradient of the table, (V, D).

        Returns
        -------
        Inputs
        """
        ids, _, factors = self._read(ids, training, is_embedded=True)
        weight = self.parameters["weight"]
        return Inputs(weight if factors is None else self.backend.multiply(weight, factors), ids)

    def _read(self, ids, training, is_embedded):
        """Return ids as an array and flat, and the factors of all vectors or None; keep what backward needs.

        With `is_embedded` the look-up is not carried out.
        """
        ids = np.asarray(ids)
        if ids.dtype.kind not in "iu" and ids.size:
            raise ValueError(f"ids must be integers, got an array of {ids.dtype}.")
        flat = np.ascontiguousarray(ids, np.int64).reshape(-1)
        if flat.size and not (flat.min() >= 0 and flat.max() < self.num_embeddings):
            raise ValueError(f"ids must be from 0 to {self.num_embeddings - 1}, got {flat.min()} to {flat.max()}.")
        factors = self._factors() if training and self.dropout else None
        if training:
            self._keep(flat.copy(), factors, is_embedded)  # callers may reuse their array before backward
        return ids, flat, factors

    def _factors(self):
        """Return the factors (V, 1) of all vectors under dropout: a mask of one row, with a unit for each id."""
        factors, row = self.backend.empty((1, self.num_embeddings), self.dtype), np.zeros(1, np.int32)
        self.backend.keep_mask(factors, self.dropout, 1 / (1 - self.dropout), *self._noise.next_pass(), row, row,
                               self.n_jobs)  # fmt: skip
        return self.backend.reshape(factors, (self.num_embeddings, 1))

    def backward(self, dy):
        """Add the gradient of the vectors that the last `forward` looked up to ``grads["weight"]``.

        Parameters
        ----------
        dy : array-like (*ids.shape, D), or (V, D) after `embedded`
            Gradient of the loss with respect to the vectors of `forward`, or to the table of `embedded`.
        """
        ids, factors, is_embedded = self._recall()
        backend, dy = self.backend, self.backend.asarray(dy, self.dtype)
        padding = -1 if self.padding_idx is None else self.padding_idx
        if is_embedded:
            used = np.flatnonzero(np.bincount(ids))
            ids = used[used != padding]
            dy = backend.take_rows(dy, ids)
        dy = backend.reshape(dy, (ids.size, self.embedding_dim))
        if self.rows is not None:
            used = np.union1d(self.rows, ids)
            self.rows = used[used != padding]
        backend.embedding_backward(self.grads["weight"], dy, ids, padding, factors)

    def sparse_rows(self):
        """Return the rows of the gradient that are not zero, where they are known; see `Layer.sparse_rows`."""
        return {} if self.rows is None else {"weight": self.rows}

    def zero_grad(self):
        """Set the gradient to zero: only the rows that were written, where they are known."""
        if self.rows is None:
            super().zero_grad()
        else:
            self.make_writable()
            self.backend.assign_rows(self.grads["weight"], self.rows, 0)
            self.rows = np.empty(0, np.int64)
