"""The network of estimators with a prediction for each step."""

import numpy as np

from fastrnn.layers import Dropout
from fastrnn.networks._memory import within_memory
from fastrnn.networks.recurrent import RecurrentEncoder
from fastrnn.networks.sequence import Batch
from fastrnn.networks.step_heads import STEP_HEADS
from fastrnn.networks.tokens import TokenEncoder
from fastrnn.utils.shared import Held


class TaggerNetwork(RecurrentEncoder):
    """Embedding (of tokens), recurrent layers, dropout, and a head for every step.

    Parameters
    ----------
    input_size : int
        Length of the vectors of series, D.
    vectors : ndarray (V, D) or None
        Initial vectors of tokens; None for series.
    n_outputs : int
        Outputs of each step, K.
    kind : str
        Name of the head in `STEP_HEADS`.
    head : dict or None, default=None
        Further parameters of the head.
    tokens : dict or None, default=None
        Parameters of `TokenEncoder`, which then makes the vectors of tokens; None for ids of a single table.
    input_dropout : float or None, default=None
        Probability of dropout on the vectors of tokens; None takes half of `dropout`.
    random_state, n_jobs, device, precision, dtype
        Of every layer.
    bidirectional, dropout, locked_dropout, activity_penalty, temporal_activity_penalty, **encoder
        See `RecurrentEncoder.add_encoder`.
    """

    def __init__(self, input_size, vectors, n_outputs, kind, head=None, tokens=None, *, bidirectional, dropout,
                 input_dropout=None, locked_dropout, embedding_dropout, freeze_embedding, activity_penalty,
                 temporal_activity_penalty, random_state, n_jobs, device="cpu", precision="highest", dtype="float32",
                 **encoder):  # fmt: skip
        super().__init__()
        options = {"random_state": random_state, "n_jobs": n_jobs, "device": device,
                   "precision": precision, "dtype": dtype}  # fmt: skip
        embedding = {"embedding_dropout": embedding_dropout, "freeze_embedding": freeze_embedding}
        self.tokens = None
        if tokens is not None:
            self.tokens = TokenEncoder(vectors, **tokens, **embedding, options=options)
            self.layers.update(self.tokens.layers)
            input_size, vectors = self.tokens.output_size, None
        self.add_encoder(input_size, vectors, bidirectional=bidirectional, dropout=dropout,
                         locked_dropout=locked_dropout, penalties=(activity_penalty, temporal_activity_penalty),
                         options=options, **embedding, **encoder)  # fmt: skip
        self.embedding = self.tokens or self.embedding
        self._held = Held(dict, self._held)  # vectors of tokens, for predictions token by token
        self.add_input_dropout(dropout / 2 if input_dropout is None else input_dropout, locked_dropout, options)
        self.output_dropout = self.add_layer("output_dropout", Dropout(dropout, locked_dropout, **options))
        self.add_head(STEP_HEADS[kind](self.recurrent.output_size, n_outputs, **(head or {}), **options))

    def encode(self, batch, training=False):
        """Return the vectors of all steps, (T, B, H), and the lengths of the sequences."""
        x, lengths = self.embed_batch(batch, training)
        h = self.read(x, lengths, training)
        return self.output_dropout.forward(h, training=training), lengths

    def embed_batch(self, batch, training=False):
        """Return the input vectors of all steps, (T, B, D), and the lengths of the sequences."""
        x, lengths = batch.sequences.padded(batch.rows)
        if self.tokens is not None:
            return self.tokens.forward(x, batch.sequences.forms, training), lengths
        return self.embed(x, training), lengths

    def forget(self):
        """Release what backward passes were to read."""
        super().forget()
        if self.tokens is not None:
            self.tokens.forget()

    def encode_training(self, batch):
        """Return vectors with noise, and lengths; see `Network.encode_training`."""
        return self.encode(batch, training=True)

    def encode_backward(self, dh, scale):
        """Add to the gradients; see `Network.encode_backward`."""
        self.embed_backward(self.read_backward(self.output_dropout.backward(dh), scale))

    def loss(self, batch):
        """Return the weighted sum of the losses of a batch, without noise."""
        return within_memory(self, batch, self._loss)

    def _loss(self, batch):
        h, lengths = self.encode(batch)
        return self.head.loss(h, batch.targets, batch.weights, lengths)

    def vectors(self, sequences):
        """Return the input vectors of the first step of a sequence, (1, D)."""
        x, _ = self.embed_batch(Batch(sequences, np.zeros(1, np.int64)))
        return self.backend.reshape(x, (1, -1))

    def advance(self, x, scores, recurrent):
        """Read one more step of sequences, for networks that read forwards only.

        Parameters
        ----------
        x : array of the device (B, D)
            Vectors of the step.
        scores : float64 array (B, K) or None
            That the step before has returned; None at the first step.
        recurrent : state or None
            Of the recurrent layers, likewise.

        Returns
        -------
        scores : float64 array (B, K)
            See `fastrnn.networks.step_heads.StepHead.advance`.
        recurrent : state
        """
        h, recurrent = self.recurrent.step(x, recurrent, check_finite=False)
        return self.head.advance(self.backend.reshape(h, (1, *h.shape)), scores), recurrent

    def outputs(self, batch):
        """Return the outputs of the last dense layer, float64 (T, B, K)."""
        return within_memory(self, batch, lambda part: self.head.outputs(*self.encode(part)))

    def predict(self, batch):
        """Return probabilities or values of all steps, float64 (T, B, K)."""
        return within_memory(self, batch, lambda part: self.head.predict(*self.encode(part)))

    def decode(self, batch):
        """Return the best classes of all steps, int32 (T, B); -1 after the end of a sequence."""
        return within_memory(self, batch, lambda part: self.head.decode(*self.encode(part)))
