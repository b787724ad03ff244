"""The networks of the estimators: something that encodes a sequence, and a dense layer on top."""

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
from fastrnn.layers.pooling import dense_rows
from fastrnn.networks.heads import HEADS
from fastrnn.utils.shared import Shared


class Batch(NamedTuple):
    """Some sequences for one step of training.

    Attributes
    ----------
    sequences : Sequences
    rows : int array (B,)
        Which of them.
    targets : array (B,) of int64 or (B, K) of float32
    weights : float32 array (B,)
    """

    sequences: object
    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


class Network:
    """Base class of both networks: parameters by name, a training step, and the output layer.

    A subclass sets ``layers``, a dict, calls `add_head` and writes `encode`, `encode_backward`, `_all_dropouts`.
    """

    frozen = frozenset()  # names of parameters that are not trained

    def add_head(self, kind, in_features, n_outputs, options):
        """Add the head for a kind of target, see `fastrnn.networks.heads.HEADS`."""
        self.head = HEADS[kind](in_features, n_outputs, **options)
        self.layers["output"] = self.head.layer

    def _named(self, attribute):
        return {
            f"{name}.{key}": array
            for name, layer in self.layers.items()
            for key, array in getattr(layer, attribute).items()
        }

    def make_writable(self):
        """Copy the arrays that cannot be written to, before they are trained, see `fastrnn.layers.Layer`."""
        for layer in self.layers.values():
            layer.make_writable()

    @property
    def all_parameters(self):
        """All parameters by name, those that are not trained too."""
        return self._named("parameters")

    @property
    def parameters(self):
        """The parameters that are trained, by name."""
        return {name: array for name, array in self.all_parameters.items() if name not in self.frozen}

    @property
    def grads(self):
        """Their gradients by name."""
        return {name: array for name, array in self._named("grads").items() if name not in self.frozen}

    def sparse_rows(self):
        """Return the rows of the embedding's gradient that are not zero."""
        embedding = self.layers.get("embedding")
        if embedding is None or "embedding.weight" in self.frozen:
            return {}
        return {"embedding.weight": embedding.rows}

    def train_step(self, batch):
        """Set the gradients of a batch; return the mean loss of its examples, and the sum of their weights."""
        for layer in self.layers.values():
            layer.zero_grad()
        h = self.encode(batch.sequences, batch.rows, training=True)
        weights, total = self.head.mean_weights(batch.targets, batch.weights, 1.0)
        loss, dh = self.head.loss_and_gradient(h, batch.targets, weights)
        self.encode_backward(dh)
        return loss, total

    def loss(self, sequences, rows, targets, weights):
        """Return the weighted sum of the losses of some sequences, without noise."""
        return self.head.loss(self.encode(sequences, rows), targets, weights)

    def training_state(self):
        """Return what a step of training depends on besides parameters, as plain values and arrays."""
        return {"generators": [generator.bit_generator.state for generator in self._generators()]}, {}

    def set_training_state(self, content, arrays):
        """Take back what `training_state` returned."""
        for generator, state in zip(self._generators(), content["generators"], strict=True):
            generator.bit_generator.state = state

    def _generators(self):
        """Return the generators that masks are drawn from, always in the same order."""
        layers = (*self.layers.values(), *self._all_dropouts())
        return [generator for layer in layers for generator in layer.generators()]

    def outputs(self, sequences, rows):
        """Return the outputs of the last layer for some sequences, float64 (B, K)."""
        return self.head.outputs(self.encode(sequences, rows))

    def predict(self, sequences, rows):
        """Return the predictions for some sequences, see `fastrnn.networks.heads.Head.predict`."""
        return self.head.predict(self.encode(sequences, rows))

    def hold(self):
        """Prepare for many predictions, until `release`."""

    def release(self):
        """Prepare for training."""


class RecurrentNetwork(Network):
    """Embedding (for texts), recurrent layers, pooling, output."""

    def __init__(self, input_size, vectors, n_outputs, kind, *, cell, hidden_size, num_layers, bidirectional, pooling,
                 dropout, embedding_dropout, locked_dropout, activity_penalty, temporal_activity_penalty,
                 freeze_embedding, random_state, n_jobs, **recurrent):  # fmt: skip
        options = {"random_state": random_state, "n_jobs": n_jobs}
        self.layers = {}
        if vectors is not None:
            self.layers["embedding"] = Embedding(*vectors.shape, dropout=embedding_dropout, **options)
            self.layers["embedding"].parameters["weight"][...] = vectors
            if freeze_embedding:
                self.frozen = frozenset(["embedding.weight"])
            input_size = vectors.shape[1]
        self.recurrent = Recurrent(cell, input_size, hidden_size, num_layers, dropout=dropout,
                                   bidirectional=bidirectional, locked_dropout=locked_dropout, **recurrent,
                                   **options)  # fmt: skip
        self.layers["recurrent"] = self.recurrent
        self.layers["pooling"] = Pooling(self.recurrent.output_size, pooling, bidirectional, **options)
        self.dropouts = Dropout(dropout, locked_dropout, **options), Dropout(dropout, **options)
        self.penalties = activity_penalty, temporal_activity_penalty
        self.add_head(kind, self.recurrent.output_size, n_outputs, options)
        self._y, self._holding = None, Shared()

    def _all_dropouts(self):
        return self.dropouts

    def encode(self, sequences, rows, training=False):
        """Return the pooled outputs of the recurrent layers, (B, H)."""
        x, lengths = sequences.padded(rows)  # (T, B) or (T, B, D)
        return self.encode_steps(self.embed(x, training), lengths, training)

    def embed(self, x, training=False):
        """Return the vectors of ids (T, B), or what series have anyway: (T, B, D)."""
        return self.layers["embedding"].forward(x, training=training) if "embedding" in self.layers else x

    def encode_steps(self, x, lengths, training=False):
        """Return the pooled outputs for vectors x (T, B, D)."""
        if "embedding" in self.layers:
            x = self.dropouts[0].forward(x, training=training)
        y, _ = self.recurrent.forward(x, None, lengths, training=training, check_finite=False)
        if training:
            self._y = y
        pooled = self.layers["pooling"].forward(y, lengths, training=training)
        return self.dropouts[1].forward(pooled, training=training)

    def steps_backward(self, dh):
        """Return the gradient of the vectors x, and add to those of the parameters."""
        dy = self.layers["pooling"].backward(self.dropouts[1].backward(dh))
        for penalty, factor in zip((activity_penalty, temporal_activity_penalty), self.penalties, strict=True):
            if factor:
                dy = dy + penalty(self._y, factor)[1]
        dx, _ = self.recurrent.backward(dy)
        return self.dropouts[0].backward(dx) if "embedding" in self.layers else dx

    def encode_backward(self, dh):
        """Add to the gradients."""
        dx = self.steps_backward(dh)
        if "embedding" in self.layers and not self.frozen:
            self.layers["embedding"].backward(dx)

    def hold(self):
        """Pack the weights once for all predictions that follow, in any thread."""
        if self._holding.value is None:
            self._holding.keep(self._held_weights)

    def _held_weights(self):
        """Return the entered context of packed weights."""
        context = self.recurrent.held_weights()
        context.__enter__()
        return context

    def release(self):
        """Let the packed weights go."""
        context = self._holding.drop()
        if context is not None:
            context.__exit__(None, None, None)

    def __getstate__(self):
        return {**vars(self), "_y": None}


class MeanEmbeddingNetwork(Network):
    """Mean of embedding vectors, dense layers with ReLU, output."""

    def __init__(self, vectors, n_outputs, kind, *, hidden_layer_sizes, dropout, embedding_dropout, n_frozen,
                 random_state, n_jobs):  # fmt: skip
        options = {"random_state": random_state, "n_jobs": n_jobs}
        embedding = EmbeddingBag(*vectors.shape, dropout=embedding_dropout, **options)
        embedding.parameters["weight"][...] = vectors
        self.layers = {"embedding": embedding}
        self.n_frozen = n_frozen  # the first rows, pretrained, are not trained
        self.hidden, size = [], vectors.shape[1]
        for k, width in enumerate(hidden_layer_sizes):
            self.layers[f"hidden_{k}"] = Dense(size, width, activation="relu", **options)
            self.hidden.append((self.layers[f"hidden_{k}"], Dropout(dropout, **options)))
            size = width
        self.dropout = Dropout(dropout, **options)
        self.add_head(kind, size, n_outputs, options)

    def sparse_rows(self):
        """Return the rows of the embedding's gradient that are trained and not zero."""
        rows = self.layers["embedding"].rows
        return {"embedding.weight": rows[rows >= self.n_frozen]}

    def _all_dropouts(self):
        return self.dropout, *(dropout for _, dropout in self.hidden)

    def encode(self, sequences, rows, training=False):
        """Return the last hidden layer, (B, H)."""
        ids, offsets = sequences.flat(rows)
        h = self.layers["embedding"].forward(ids, offsets, training=training)
        return self.encode_means(h, training)

    def encode_means(self, h, training=False):
        """Return the last hidden layer for means h (B, D) of embedding vectors."""
        h = self.dropout.forward(h, training=training)
        for dense, dropout in self.hidden:
            h = dense.forward(h, training=True) if training else dense_rows(dense, h)
            h = dropout.forward(h, training=training)
        return h

    def means_backward(self, dh):
        """Return the gradient of the means, and add to those of the dense layers."""
        for dense, dropout in reversed(self.hidden):
            dh = dense.backward(dropout.backward(dh))
        return self.dropout.backward(dh)

    def encode_backward(self, dh):
        """Add to the gradients."""
        self.layers["embedding"].backward(self.means_backward(dh))
