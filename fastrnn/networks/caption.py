"""The network of captioners: dense layers that read vectors, and a decoder."""

from fastrnn.layers import Dense, Dropout, Pooling
from fastrnn.networks.decoder import DecoderNetwork, Encoded


class CaptionNetwork(DecoderNetwork):
    """Dense layers with ReLU that read each vector by itself, and a decoder that writes the target.

    The memory has what they make of each region; the summary is the mean over the regions, or the one vector (Vinyals
    et al. 2015; Xu et al. 2015). A decoder that attends to a single vector reads it at every step.

    Parameters
    ----------
    n_features : int
        Length of a vector, D.
    target_size : int
        Size of the vocabulary.
    hidden_layer_sizes : tuple of int
        Units of each dense layer; without any, the decoder reads the vectors themselves.
    attention : {"additive", "dot", "general"} or None
        For "dot", what the decoder reads must have the length of its state.
    random_state, n_jobs, device, precision, dtype
        Of every layer.
    dropout, **decoder
        See `DecoderNetwork.add_decoder`.
    """

    def __init__(self, n_features, target_size, *, hidden_layer_sizes, attention, dropout, random_state, n_jobs,
                 device="cpu", precision="highest", dtype="float32", **decoder):  # fmt: skip
        super().__init__()
        options = {"random_state": random_state, "n_jobs": n_jobs, "device": device, "precision": precision,
                   "dtype": dtype}  # fmt: skip
        self.hidden, size = [], n_features
        for k, width in enumerate(hidden_layer_sizes):
            dense = self.add_layer(f"hidden_{k}", Dense(size, width, activation="relu", **options))
            self.hidden.append((dense, self.add_layer(f"hidden_dropout_{k}", Dropout(dropout, **options))))
            size = width
        self.pooling = self.add_layer("pooling", Pooling(size, "mean", **options))
        self.add_decoder(target_size, size, size, attention=attention, dropout=dropout, options=options, **decoder)
        self.hold()

    def encode_sources(self, batch, training=False):
        """Return the sources of a batch as `Encoded`; see `DecoderNetwork.encode_sources`."""
        x, lengths = batch.sources.padded(batch.rows)  # (R, B, D)
        x = self.backend.asarray(x, self.pooling.dtype)
        for dense, dropout in self.hidden:
            x = dropout.forward(dense.forward(x, training, by_rows=not training), training=training)
        summary = self.pooling.forward(x, lengths, training=training)
        return Encoded(x, lengths, summary) if self.attends else Encoded(None, None, summary)

    def encode_sources_backward(self, d_memory, d_summary):
        """Add to the gradients of the encoder; see `DecoderNetwork.encode_sources_backward`."""
        dx = self.pooling.backward(d_summary)
        if d_memory is not None:
            dx = self.backend.add(dx, d_memory)
        for dense, dropout in reversed(self.hidden):
            dx = dense.backward(dropout.backward(dx))
