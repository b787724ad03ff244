"""The encoder of every step of sequences, for networks with a prediction for each sequence or for each step."""

from fastrnn.layers import Dropout, Embedding, Recurrent
from fastrnn.networks.base import Network


class RecurrentEncoder(Network):
    """Base class of networks with an embedding (for texts), dropout, and recurrent layers.

    A subclass calls `add_encoder`, adds the layers that follow, and calls `add_input_dropout`: the numbers of a
    training depend on the order in which layers draw from the random state.

    Attributes
    ----------
    embedding : Embedding or None
        None for series, which are vectors already.
    recurrent : Recurrent
    input_dropout : Dropout
        On the vectors of texts.
    """

    def add_encoder(self, input_size, vectors, *, dropout, embedding_dropout, freeze_embedding, penalties, options,
                    **recurrent):  # fmt: skip
        """Add the embedding and the recurrent layers.

        Parameters
        ----------
        input_size : int
            Length of the vectors of series, D.
        vectors : ndarray (V, D) or None
            Initial vectors of an embedding; None for series.
        dropout, embedding_dropout : float
        freeze_embedding : bool
            Whether the embedding is not trained.
        penalties : tuple of float
            See `Network`.
        options : dict
            Random state, threads, device and precision of every layer.
        **recurrent
            Further parameters of `fastrnn.layers.Recurrent`.
        """
        self.embedding = None
        if vectors is not None:
            self.embedding = self.add_layer("embedding", table(Embedding, vectors, embedding_dropout, options))
            if freeze_embedding:
                self.frozen = frozenset(["embedding.weight"])
            input_size = vectors.shape[1]
        self.recurrent = self.add_layer("recurrent", Recurrent(input_size=input_size, dropout=dropout, **recurrent,
                                                               **options))  # fmt: skip
        self.penalties = penalties
        self._held = self.recurrent.held_weights()

    def add_input_dropout(self, dropout, locked, options):
        """Add the dropout between embedding and recurrent layers."""
        self.input_dropout = self.add_layer("input_dropout", Dropout(dropout, locked, **options))

    def embed(self, x, training=False):
        """Return the vectors of ids (T, B); series (T, B, D) are vectors already."""
        return x if self.embedding is None else self.embedding.forward(x, training=training)

    def embed_backward(self, dx):
        """Add the gradient of the vectors to that of the embedding, if that is trained."""
        if self.embedding is not None and not self.frozen:
            self.embedding.backward(dx)

    def read(self, x, lengths, training=False):
        """Return the outputs of the recurrent layers at every step, (T, B, H), for vectors x (T, B, D)."""
        if self.embedding is not None:
            x = self.input_dropout.forward(x, training=training)
        y, _ = self.recurrent.forward(x, None, lengths, training=training, check_finite=False)
        if training:
            self._kept = y
        return y

    def read_backward(self, dy, scale=1.0):
        """Return the gradient of the vectors x, and add to those of the parameters; dy (T, B, H).

        The gradients of the penalties are added to dy, times `scale`.
        """
        y, self._kept = self._kept, None
        for penalty, factor in zip(("activity_penalty", "temporal_activity_penalty"), self.penalties, strict=True):
            dy = self._penalized(dy, y, penalty, scale * factor)
        dx, _ = self.recurrent.backward(dy)
        return dx if self.embedding is None else self.input_dropout.backward(dx)


def table(kind, vectors, dropout, options):
    """Return a layer of embeddings with given initial vectors (V, D)."""
    layer = kind(*vectors.shape, dropout=dropout, **options)
    layer.backend.assign(layer.parameters["weight"], vectors)
    return layer
