"""The networks of estimators that read whole sequences and predict one thing for each."""

import abc
from typing import NamedTuple

import numpy as np

from fastrnn.layers import Dense, Dropout, EmbeddingBag, Pooling
from fastrnn.networks._memory import within_memory
from fastrnn.networks.base import Network
from fastrnn.networks.heads import HEADS
from fastrnn.networks.recurrent import RecurrentEncoder, table


class Batch(NamedTuple):
    """Some sequences for one pass.

    Attributes
    ----------
    sequences : Sequences
    rows : int array (B,)
        The sequences of the batch.
    targets : ndarray or None
        As the head takes them: int64 (B,), or (B, K); for targets of steps (B, T) or (B, T, K). None where nothing is
        learned.
    weights : float32 array (B,), for steps also (B, T), or None
    """

    sequences: object
    rows: np.ndarray
    targets: np.ndarray | None = None
    weights: np.ndarray | None = None

    @property
    def extent(self):
        """Number of sequences, and steps of the longest."""
        return len(self.rows), int(self.sequences.lengths[self.rows].max(initial=0))

    def first(self, n):
        """Return the batch of the first `n` sequences."""
        cut = (None if array is None else array[:n] for array in self[1:])
        return Batch(self.sequences, *cut)


class StepBatch(Batch):
    """Some sequences with a target for each step, (B, T) or (B, T, K)."""

    __slots__ = ()

    def first(self, n):
        """Return the batch of the first `n` sequences, with as many steps as they have."""
        part = super().first(n)
        steps = max(part.extent[1], 1)
        weights = part.weights if part.weights.ndim == 1 else part.weights[:, :steps]
        return StepBatch(part.sequences, part.rows, part.targets[:, :steps], weights)


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
        return within_memory(self, batch, lambda part: self.head.loss(self.encode(part), part.targets, part.weights))

    def encodings(self, batch):
        """Return the input of the head, float64 (B, H)."""
        encoded = within_memory(self, batch, lambda part: self.backend.to_numpy(self.encode(part)))
        return encoded.astype(np.float64)

    def outputs(self, batch):
        """Return the outputs of the last layer, float64 (B, K)."""
        return within_memory(self, batch, lambda part: self.head.outputs(self.encode(part)))

    def predict(self, batch):
        """Return predictions, float64 (B, K); see `fastrnn.networks.heads.Head.predict`."""
        return within_memory(self, batch, lambda part: self.head.predict(self.encode(part)))


class RecurrentNetwork(RecurrentEncoder, SequenceNetwork):
    """Embedding (for texts), recurrent layers, pooling, head."""

    def __init__(self, input_size, vectors, n_outputs, kind, *, pooling, bidirectional, dropout, locked_dropout,
                 activity_penalty, temporal_activity_penalty, random_state, n_jobs, device="cpu", precision="highest",
                 **encoder):  # fmt: skip
        super().__init__()
        options = {"random_state": random_state, "n_jobs": n_jobs, "device": device,
                   "precision": precision}  # fmt: skip
        self.add_encoder(input_size, vectors, bidirectional=bidirectional, dropout=dropout,
                         locked_dropout=locked_dropout, penalties=(activity_penalty, temporal_activity_penalty),
                         options=options, **encoder)  # fmt: skip
        size = self.recurrent.output_size
        self.pooling = self.add_layer("pooling", Pooling(size, pooling, bidirectional, **options))
        self.add_input_dropout(dropout, locked_dropout, options)
        self.output_dropout = self.add_layer("output_dropout", Dropout(dropout, **options))
        self.add_head(HEADS[kind](size, n_outputs, **options))

    def encode(self, batch, training=False):
        """Return the pooled outputs of the recurrent layers, (B, H)."""
        x, lengths = batch.sequences.padded(batch.rows)  # (T, B) or (T, B, D)
        return self.encode_steps(self.embed(x, training), lengths, training)

    def encode_steps(self, x, lengths, training=False):
        """Return the pooled outputs for vectors x (T, B, D)."""
        pooled = self.pooling.forward(self.read(x, lengths, training), lengths, training=training)
        return self.output_dropout.forward(pooled, training=training)

    def steps_backward(self, dh, scale=1.0):
        """Return the gradient of the vectors x, and add to those of the parameters."""
        return self.read_backward(self.pooling.backward(self.output_dropout.backward(dh)), scale)

    def encode_backward(self, dh, scale):
        """Add to the gradients; see `Network.encode_backward`."""
        self.embed_backward(self.steps_backward(dh, scale))


class MeanEmbeddingNetwork(SequenceNetwork):
    """Mean of embedding vectors, dense layers with ReLU, head."""

    def __init__(self, vectors, n_outputs, kind, *, hidden_layer_sizes, dropout, embedding_dropout, n_frozen,
                 random_state, n_jobs, device="cpu", precision="highest"):  # fmt: skip
        super().__init__()
        options = {"random_state": random_state, "n_jobs": n_jobs, "device": device,
                   "precision": precision}  # fmt: skip
        self.embedding = self.add_layer("embedding", table(EmbeddingBag, vectors, embedding_dropout, options))
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
