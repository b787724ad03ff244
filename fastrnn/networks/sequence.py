"""The networks of estimators that read whole sequences and predict one thing for each."""

import abc
from typing import NamedTuple

import numpy as np

from fastrnn.layers import (
    Dense,
    Dropout,
    Embedding,
    EmbeddingBag,
    Pooling,
    Recurrent,
    activity_penalty,
    temporal_activity_penalty,
)
from fastrnn.networks.base import Network
from fastrnn.networks.heads import HEADS


class Batch(NamedTuple):
    """Some sequences for one pass.

    Attributes
    ----------
    sequences : Sequences
    rows : int array (B,)
        The sequences of the batch.
    targets : ndarray or None
        As the head takes them: int64 (B,), or (B, K); None where nothing is learned.
    weights : float32 array (B,) or None
    """

    sequences: object
    rows: np.ndarray
    targets: np.ndarray | None = None
    weights: np.ndarray | None = None


class SequenceNetwork(Network):
    """Base class of networks whose encoder makes one vector of each sequence.

    A subclass writes `encode` and `encode_backward`.
    """

    @abc.abstractmethod
    def encode(self, batch, training=False):
        """Return the encodings of sequences, (B, H)."""

    def encode_training(self, batch):
        """Return the encodings with noise; see `Network.encode_training`."""
        return self.encode(batch, training=True), None

    def loss(self, batch):
        """Return the weighted sum of the losses of a batch, without noise."""
        return self.head.loss(self.encode(batch), batch.targets, batch.weights)

    def encodings(self, batch):
        """Return the input of the head, float64 (B, H)."""
        return self.backend.to_numpy(self.encode(batch)).astype(np.float64)

    def outputs(self, batch):
        """Return the outputs of the last layer, float64 (B, K)."""
        return self.head.outputs(self.encode(batch))

    def predict(self, batch):
        """Return predictions, float64 (B, K); see `fastrnn.networks.heads.Head.predict`."""
        return self.head.predict(self.encode(batch))


class RecurrentNetwork(SequenceNetwork):
    """Embedding (for texts), recurrent layers, pooling, head."""

    def __init__(self, input_size, vectors, n_outputs, kind, *, cell, hidden_size, num_layers, bidirectional, pooling,
                 dropout, embedding_dropout, locked_dropout, activity_penalty, temporal_activity_penalty,
                 freeze_embedding, random_state, n_jobs, device="cpu", **recurrent):  # fmt: skip
        super().__init__()
        options = {"random_state": random_state, "n_jobs": n_jobs, "device": device}
        self.embedding = None
        if vectors is not None:
            self.embedding = self.add_layer("embedding", _table(Embedding, vectors, embedding_dropout, options))
            if freeze_embedding:
                self.frozen = frozenset(["embedding.weight"])
            input_size = vectors.shape[1]
        self.recurrent = self.add_layer(
            "recurrent",
            Recurrent(cell, input_size, hidden_size, num_layers, dropout=dropout, bidirectional=bidirectional,
                      locked_dropout=locked_dropout, **recurrent, **options),
        )  # fmt: skip
        size = self.recurrent.output_size
        self.pooling = self.add_layer("pooling", Pooling(size, pooling, bidirectional, **options))
        self.dropouts = (
            self.add_layer("input_dropout", Dropout(dropout, locked_dropout, **options)),
            self.add_layer("output_dropout", Dropout(dropout, **options)),
        )
        self.penalties = activity_penalty, temporal_activity_penalty
        self.add_head(HEADS[kind](size, n_outputs, **options))
        self._held = self.recurrent.held_weights()

    def encode(self, batch, training=False):
        """Return the pooled outputs of the recurrent layers, (B, H)."""
        x, lengths = batch.sequences.padded(batch.rows)  # (T, B) or (T, B, D)
        return self.encode_steps(self.embed(x, training), lengths, training)

    def embed(self, x, training=False):
        """Return the vectors of ids (T, B); series (T, B, D) are vectors already."""
        return x if self.embedding is None else self.embedding.forward(x, training=training)

    def encode_steps(self, x, lengths, training=False):
        """Return the pooled outputs for vectors x (T, B, D)."""
        if self.embedding is not None:
            x = self.dropouts[0].forward(x, training=training)
        y, _ = self.recurrent.forward(x, None, lengths, training=training, check_finite=False)
        if training:
            self._kept = y
        pooled = self.pooling.forward(y, lengths, training=training)
        return self.dropouts[1].forward(pooled, training=training)

    def steps_backward(self, dh, scale=1.0):
        """Return the gradient of the vectors x, and add to those of the parameters."""
        y, self._kept = self._kept, None
        dy = self.pooling.backward(self.dropouts[1].backward(dh))
        for penalty, factor in zip((activity_penalty, temporal_activity_penalty), self.penalties, strict=True):
            dy = self._penalized(dy, y, penalty, scale * factor)
        dx, _ = self.recurrent.backward(dy)
        return dx if self.embedding is None else self.dropouts[0].backward(dx)

    def encode_backward(self, dh, scale):
        """Add to the gradients; see `Network.encode_backward`."""
        dx = self.steps_backward(dh, scale)
        if self.embedding is not None and not self.frozen:
            self.embedding.backward(dx)


class MeanEmbeddingNetwork(SequenceNetwork):
    """Mean of embedding vectors, dense layers with ReLU, head."""

    def __init__(self, vectors, n_outputs, kind, *, hidden_layer_sizes, dropout, embedding_dropout, n_frozen,
                 random_state, n_jobs, device="cpu"):  # fmt: skip
        super().__init__()
        options = {"random_state": random_state, "n_jobs": n_jobs, "device": device}
        self.embedding = self.add_layer("embedding", _table(EmbeddingBag, vectors, embedding_dropout, options))
        self.n_frozen = n_frozen  # the first rows, pretrained, are not trained
        self.hidden, size = [], vectors.shape[1]
        for k, width in enumerate(hidden_layer_sizes):
            dense = self.add_layer(f"hidden_{k}", Dense(size, width, activation="relu", **options))
            self.hidden.append((dense, self.add_layer(f"hidden_dropout_{k}", Dropout(dropout, **options))))
            size = width
        self.dropout = self.add_layer("input_dropout", Dropout(dropout, **options))
        self.add_head(HEADS[kind](size, n_outputs, **options))

    def sparse_rows(self):
        """Return the rows of the embedding's gradient that are trained and not zero; see `Network.sparse_rows`."""
        rows = super().sparse_rows()
        used = rows["embedding.weight"]
        return {**rows, "embedding.weight": used[used >= self.n_frozen]}

    def encode(self, batch, training=False):
        """Return the last hidden layer, (B, H)."""
        ids, offsets = batch.sequences.flat(batch.rows)
        return self.encode_means(self.embedding.forward(ids, offsets, training=training), training)

    def encode_means(self, h, training=False):
        """Return the last hidden layer for means h (B, D) of embedding vectors."""
        h = self.dropout.forward(h, training=training)
        for dense, dropout in self.hidden:
            h = dense.forward(h, training, by_rows=not training)
            h = dropout.forward(h, training=training)
        return h

    def means_backward(self, dh):
        """Return the gradient of the means, and add to those of the dense layers."""
        for dense, dropout in reversed(self.hidden):
            dh = dense.backward(dropout.backward(dh))
        return self.dropout.backward(dh)

    def encode_backward(self, dh, scale):
        """Add to the gradients; see `Network.encode_backward`."""
        self.embedding.backward(self.means_backward(dh))


def _table(kind, vectors, dropout, options):
    """Return a layer of embeddings with given initial vectors (V, D)."""
    layer = kind(*vectors.shape, dropout=dropout, **options)
    layer.backend.assign(layer.parameters["weight"], vectors)
    return layer
