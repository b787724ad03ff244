"""The network of translators: an encoder of tokens and a decoder."""

import numpy as np

from fastrnn.layers import Dropout, Embedding, Recurrent
from fastrnn.networks.decoder import DecoderNetwork, Encoded, looked_up, looked_up_in_training
from fastrnn.utils.recurrent import as_state, state_parts


class TranslationNetwork(DecoderNetwork):
    """Embedding and recurrent layers that read the source, and a decoder that writes the target.

    The memory has the outputs of the last recurrent layer at every step; the summary is its state h after the last
    step, in each direction.

    Parameters
    ----------
    source_size, target_size : int
        Sizes of the vocabularies.
    share_embedding : bool
        Whether both sides have the same vectors; the vocabularies are the same then.
    embedding_size, hidden_size : int
        Length of a token's vector; hidden units of each layer, and of each direction of the encoder.
    bidirectional : bool
        Whether the encoder reads in both directions.
    attention : {"additive", "dot", "general"} or None
        For "dot", outputs of both directions are added: they must have the length of the decoder's state.
    random_state, n_jobs, device, precision, dtype
        Of every layer.
    cell, num_layers, dropout, locked_dropout, embedding_dropout, input_feeding, tie_weights, label_smoothing, \
    **recurrent
        See `DecoderNetwork.add_decoder`.
    """

    def __init__(self, source_size, target_size, *, share_embedding, cell, embedding_size, hidden_size, num_layers,
                 bidirectional, attention, input_feeding, tie_weights, label_smoothing, dropout, embedding_dropout,
                 locked_dropout, random_state, n_jobs, device="cpu", precision="highest", dtype="float32",
                 **recurrent):  # fmt: skip
        super().__init__()
        options = {"random_state": random_state, "n_jobs": n_jobs, "device": device, "precision": precision,
                   "dtype": dtype}  # fmt: skip
        self.embedding = self.add_layer(
            "embedding", Embedding(source_size, embedding_size, dropout=embedding_dropout, **options)
        )
        self.input_dropout = self.add_layer("input_dropout", Dropout(dropout, locked_dropout, **options))
        shared = {"cell": cell, "hidden_size": hidden_size, "num_layers": num_layers, "dropout": dropout,
                  "locked_dropout": locked_dropout, **recurrent}  # fmt: skip
        self.recurrent = self.add_layer(
            "encoder",
            Recurrent(input_size=embedding_size, bidirectional=bidirectional,
                      merge="sum" if attention == "dot" else "concat", **shared, **options),
        )  # fmt: skip
        self.add_decoder(
            target_size, hidden_size * self.recurrent.directions, self.recurrent.output_size,
            embedding_size=embedding_size, embedding_dropout=embedding_dropout, attention=attention,
            input_feeding=input_feeding, tie_weights=tie_weights, label_smoothing=label_smoothing,
            shared_embedding=self.embedding if share_embedding else None, options=options, **shared,
        )  # fmt: skip
        self.hold(self.recurrent.held_weights())

    def encode_sources(self, batch, training=False):
        """Return the sources of a batch as `Encoded`; see `DecoderNetwork.encode_sources`."""
        ids, lengths = batch.sources.padded(batch.rows)
        if training:
            x = looked_up_in_training(self.embedding, self.input_dropout, ids)
        else:
            x = looked_up(self.embedding, ids, self.recurrent.held_weights().value is not None)
        y, state = self.recurrent.forward(x, None, lengths, training=training, check_finite=False)
        if training:
            self._kept = y.shape
        return Encoded(y, lengths, self._summary(state_parts(state)[0]))

    def _summary(self, h):
        """Return the states h of the last layer in all directions side by side, (B, ·), of those of all layers."""
        backend, (rows, _, _) = self.backend, h.shape
        directions = range(rows - self.recurrent.directions, rows)
        last = [backend.reshape(backend.take_rows(h, np.array([n])), h.shape[1:]) for n in directions]
        return last[0] if len(last) == 1 else backend.concatenate(last, 1)

    def encode_sources_backward(self, d_memory, d_summary):
        """Add to the gradients of the encoder; see `DecoderNetwork.encode_sources_backward`."""
        shape, self._kept = self._kept, None
        dy = self.backend.zeros(shape, self.recurrent.dtype) if d_memory is None else d_memory
        dx, _ = self.recurrent.backward(dy, self.last_state_gradient(d_summary))
        self.embedding.backward(self.input_dropout.backward(dx))

    def last_state_gradient(self, d_summary):
        """Return the gradient of the encoder's last state, as its layers return that, for the summary's (B, ·)."""
        backend, dtype, size = self.backend, self.recurrent.dtype, self.recurrent.hidden_size
        batch, below = d_summary.shape[0], self.recurrent.directions * (self.recurrent.num_layers - 1)
        columns = [np.arange(n * size, (n + 1) * size) for n in range(self.recurrent.directions)]
        last = [backend.reshape(backend.take_rows(d_summary, part, axis=1), (1, batch, size)) for part in columns]
        zeros = [backend.zeros((below, batch, size), dtype)] if below else []
        parts = [backend.concatenate([*zeros, *last])]
        for _ in self.recurrent.cell.states[1:]:
            parts.append(backend.zeros((below + len(last), batch, size), dtype))
        return as_state(parts)
