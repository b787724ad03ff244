"""The vectors of tokens: of their words, characters and shapes, and of further columns."""

import numpy as np

from fastrnn.layers import Embedding, EmbeddingBag, Pooling, Recurrent
from fastrnn.layers._noise import Noise
from fastrnn.text.tokens import UNK_ID
from fastrnn.utils.checks import check_not_negative

# Parameters of estimators that `TokenEncoder` takes; all but the last can only be changed by a fit.
TOKEN_OPTIONS = ("char_encoder", "char_embedding_size", "char_hidden_size", "shapes", "word_dropout")
_SMALL_SIZE = 10  # length of the vectors of shapes, and of those of further columns
_FORMS = 4096  # whose characters are encoded at a time at prediction


class TokenEncoder:
    """The vectors of tokens: those of word, characters, shape and further columns side by side.

    Everything but the columns is computed once for each distinct form of a batch.

    Parameters
    ----------
    vectors : ndarray (V, D)
        Initial vectors of words.
    reader : fastrnn.estimators.tokens.TokenReader
        Knows how often words occur, and the numbers of characters, shapes and columns.
    char_encoder : {"rnn", "ngrams"} or None
        "rnn": the last states of an LSTM in both directions over the characters (Lample et al. 2016). "ngrams": the
        mean of vectors of n-grams of characters, which share buckets (Bojanowski et al. 2017).
    char_embedding_size, char_hidden_size : int
        Length of the vectors of characters or n-grams; hidden units of each direction.
    shapes : bool
        Whether tokens have a vector of their shape.
    word_dropout, embedding_dropout : float
        See `WordEmbedding`.
    freeze_embedding : bool
        Whether given vectors are not trained. Those of learned words are.
    options : dict
        Of every layer.

    Attributes
    ----------
    layers : dict of str to Layer
    output_size : int
        Length of a token's vector.

    References
    ----------
    Lample, Ballesteros, Subramanian, Kawakami and Dyer, "Neural architectures for named entity recognition", NAACL
    2016. Bojanowski, Grave, Joulin and Mikolov, "Enriching word vectors with subword information", TACL 2017.
    """

    def __init__(self, vectors, reader, *, char_encoder, char_embedding_size, char_hidden_size, shapes, word_dropout,
                 embedding_dropout, freeze_embedding, options):  # fmt: skip
        n_trained = reader.n_own if freeze_embedding else None
        self.words = WordEmbedding(vectors, reader.counts, n_trained, word_dropout, embedding_dropout, **options)
        self.layers, self.characters, self.shapes = {"embedding": self.words}, None, None
        sizes = [vectors.shape[1]]  # of the parts that depend on the form
        if char_encoder is not None:
            self.characters = CHAR_ENCODERS[char_encoder](
                reader.n_characters, char_embedding_size, char_hidden_size, options
            )
            self.layers.update(self.characters.layers)
            sizes.append(self.characters.output_size)
        if shapes:
            self.shapes = self.layers["shape_embedding"] = _small_table(reader.n_shapes, options)
            sizes.append(_SMALL_SIZE)
        self.columns = [_small_table(len(column), options) for column in reader.columns]
        self.layers.update({f"column_{k}_embedding": layer for k, layer in enumerate(self.columns, start=1)})
        self._form_sizes, self._column_sizes = sizes, [sum(sizes), *[_SMALL_SIZE] * len(self.columns)]
        self.output_size = sum(sizes) + _SMALL_SIZE * len(self.columns)
        self._kept = None  # by `forward` for `backward`

    def __getstate__(self):
        return {**vars(self), "_kept": None}

    def forward(self, ids, forms, training=False):
        """Return the vectors of tokens.

        Parameters
        ----------
        ids : int array (T, B, 1 + C)
            As `TokenSequences.padded` returns them.
        forms : Forms
        training : bool, default=False

        Returns
        -------
        array of the device (T, B, D)
        """
        backend, dtype, tokens = self.words.backend, self.words.dtype, ids.reshape(-1, ids.shape[-1])
        used, places = np.unique(tokens[:, 0], return_inverse=True)
        table = self._vectors_of_forms(used, forms, training)
        x = backend.empty((len(tokens), table.shape[1]), dtype)
        backend.embedding_forward(x, table, places, None)
        if self.columns:
            columns = [layer.forward(tokens[:, k], training) for k, layer in enumerate(self.columns, start=1)]
            x = backend.concatenate([x, *columns], 1)
        if training:
            self._kept = places, table.shape
        return backend.reshape(x, (*ids.shape[:-1], self.output_size))

    def _vectors_of_forms(self, used, forms, training):
        """Return the vectors of the forms `used` (U,), (U, size)."""
        parts = [self.words.forward(forms.words[used], training)]
        if self.characters is not None:
            parts.append(self._vectors_of_characters(used, forms.characters, training))
        if self.shapes is not None:
            parts.append(self.shapes.forward(forms.shapes[used], training))
        return self.words.backend.concatenate(parts, 1) if len(parts) > 1 else parts[0]

    def _vectors_of_characters(self, used, characters, training):
        if training or len(used) <= _FORMS:
            return self.characters.forward(characters, used, training)
        blocks = [used[i : i + _FORMS] for i in range(0, len(used), _FORMS)]
        return self.words.backend.concatenate([self.characters.forward(characters, block) for block in blocks], 0)

    def backward(self, dx):
        """Add to the gradients of all layers; dx (T, B, D)."""
        backend, (places, shape) = self.words.backend, self._kept
        self._kept = None
        dx = backend.reshape(backend.asarray(dx, self.words.dtype), (len(places), self.output_size))
        if self.columns:
            dx, *d_columns = backend.split(dx, self._column_sizes, 1)
            for layer, gradient in zip(self.columns, d_columns, strict=True):
                layer.backward(gradient)
        d_table = backend.zeros(shape, self.words.dtype)
        backend.embedding_backward(d_table, dx, places, -1, None)
        layers = [layer for layer in (self.words, self.characters, self.shapes) if layer is not None]
        for layer, gradient in zip(layers, backend.split(d_table, self._form_sizes, 1), strict=True):
            layer.backward(gradient)

    def forget(self):
        """Release what `backward` was to read."""
        self._kept = None


class WordEmbedding(Embedding):
    """Vectors of words, of which rare ones are made unknown at random in training.

    Parameters
    ----------
    vectors : ndarray (V, D)
    counts : int array (V,)
        How often each word occurs in the training data.
    n_trained : int or None
        Only so many first rows are trained; None trains all.
    word_dropout : float
        A word that occurs n times becomes an unknown one with probability word_dropout / (word_dropout + n), so that
        the vector of unknown words is trained (Kiperwasser and Goldberg 2016).
    dropout : float
        Probability that a word is zeroed in a pass, see `Embedding`.
    **options
        Of every layer.

    References
    ----------
    Kiperwasser and Goldberg, "Simple and accurate dependency parsing using bidirectional LSTM feature representations",
    TACL 2016.
    """

    _dropout_rates = ("dropout", "word_dropout")

    def __init__(self, vectors, counts, n_trained, word_dropout, dropout, **options):
        super().__init__(*vectors.shape, dropout=dropout, **options)
        self.backend.assign(self.parameters["weight"], vectors)
        check_not_negative("word_dropout", word_dropout)
        self.counts, self.n_trained, self.word_dropout = counts, n_trained, word_dropout
        if self._noise is None:
            self._noise = Noise(self.random_state)

    def forward(self, ids, training=False):
        """Return the vectors of distinct forms with words `ids` (U,); see `Embedding.forward`."""
        if training and self.word_dropout:
            noise = self._noise.next_pass()
            draws = np.random.Generator(np.random.Philox(key=[noise.seed, noise.number])).random(len(ids), np.float32)
            unknown = draws * (self.word_dropout + np.maximum(self.counts[ids], 1)) < self.word_dropout
            ids = np.where(unknown, UNK_ID, ids)
        return super().forward(ids, training)

    def sparse_rows(self):
        """Return the rows of the gradient that are trained and not zero; see `Layer.sparse_rows`."""
        rows = self.rows
        return {"weight": rows if self.n_trained is None else rows[rows < self.n_trained]}


class CharacterLSTM:
    """The last states of an LSTM that reads the characters of forms in both directions."""

    def __init__(self, n_characters, embedding_size, hidden_size, options):
        self.embedding = _table(Embedding, n_characters, embedding_size, options)
        self.recurrent = Recurrent("lstm", embedding_size, hidden_size, bidirectional=True, **options)
        self.output_size = self.recurrent.output_size
        self.pooling = Pooling(self.output_size, "last", bidirectional=True, **options)
        self.layers = {"char_embedding": self.embedding, "char_recurrent": self.recurrent, "char_pooling": self.pooling}

    def forward(self, characters, used, training=False):
        """Return the vectors (U, 2 H) of the forms `used` (U,) of `Sequences` of characters."""
        ids, lengths = characters.padded(used)
        y, _ = self.recurrent.forward(self.embedding.embedded(ids, training), None, lengths, training,
                                      check_finite=False)  # fmt: skip
        return self.pooling.forward(y, lengths, training)

    def backward(self, dout):
        """Add to the gradients; dout (U, 2 H)."""
        d_table, _ = self.recurrent.backward(self.pooling.backward(dout))
        self.embedding.backward(d_table)


class CharacterNgrams:
    """The mean of vectors of n-grams of characters."""

    def __init__(self, n_buckets, embedding_size, hidden_size, options):
        self.embedding, self.output_size = _table(EmbeddingBag, n_buckets, embedding_size, options), embedding_size
        self.layers = {"char_embedding": self.embedding}

    def forward(self, characters, used, training=False):
        """Return the vectors (U, D) of the forms `used` (U,) of `Sequences` of n-grams."""
        return self.embedding.forward(*characters.flat(used), training)

    def backward(self, dout):
        """Add to the gradients; dout (U, D)."""
        self.embedding.backward(dout)


CHAR_ENCODERS = {"rnn": CharacterLSTM, "ngrams": CharacterNgrams}


def _table(kind, n, size, options):
    """Return a table of `n` random vectors of a length of about 1."""
    layer = kind(n, size, **options)
    layer.backend.scale(layer.parameters["weight"], size**-0.5)
    return layer


def _small_table(n, options):
    return _table(Embedding, n, _SMALL_SIZE, options)
