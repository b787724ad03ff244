"""Captioners: networks that read a vector, or a set of vectors, and write a sequence."""

from fastrnn.networks.caption import CaptionNetwork
from fastrnn.translation.base import SequenceWriter
from fastrnn.translation.features import FeatureReader
from fastrnn.translation.texts import learn_target
from fastrnn.utils.checks import check_fitted, check_positive_integer, shown


class RNNCaptioner(SequenceWriter):
    """Recurrent decoder that writes a sequence for a vector, or for a set of vectors to which it attends.

    Vectors → dense layers with ReLU → memory; their mean → dense with tanh → first state of the decoder. Token before →
    embedding → recurrent layers, the lowest of which attends to the memory → dense with tanh → softmax over the tokens
    that follow (Vinyals et al. 2015, Xu et al. 2015).

    X is an array (n, D), one vector for each example, or a set of vectors for each example, called regions: an array
    (n, R, D) or a list of arrays (R_i, D). Each of the D features is standardised by its mean and standard deviation
    over all vectors of the training. y has texts, or lists of labels with ``tokenizer=None``.

    A caption of a picture is one use: another model computes the vectors, of the whole picture or of a grid of regions,
    its last layer for instance. Further uses are a melody, a list of notes, for a mood, and a description for each row
    of a table.

    Parameters
    ----------
    cell : str or cell, default="gru"
        Name of the recurrent cell, see `fastrnn.layers.cells`, or an instance of your own cell class.
    embedding_size : int, default=64
        Length of a token's vector.
    hidden_size : int, default=128
        Hidden units of each layer of the decoder.
    num_layers : int, default=1
        Number of recurrent layers.
    hidden_layer_sizes : tuple of int, default=(128,)
        Units of each dense layer that reads the vectors, each by itself; with (), the decoder reads the vectors
        themselves.
    attention : {"additive", "dot", "general"} or None, default="additive"
        Score of the regions at each step of the decoder, see `fastrnn.layers.Attention`. With attention, the decoder
        also reads a single vector at every step. "dot" needs the last of `hidden_layer_sizes` to be `hidden_size`.
        None: the decoder knows its first state alone, a function of the vector, or of the mean of the regions.
    input_feeding : bool, default=True
        True: the decoder attends before each step, and the step reads the context (Bahdanau et al. 2015). False: it
        attends after the step, with the new state (Luong et al. 2015), which is faster but learns less in an epoch.
    tie_weights : bool, default=False
        Whether the output layer's weight is the embedding of the tokens (Press and Wolf 2017).
    tokenizer : str, callable, tokenizers.Tokenizer or None, default="words"
        Cuts the texts of y, see `RNNTranslator`; None is for lists of labels.
    vocab_size : int, default=8000
        Number of pieces with ``tokenizer="subwords"``.
    lowercase : bool, default=False
        Whether texts are converted to lower case first.
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None, default=None
        Normal form of Unicode that texts are converted to first, see `fastrnn.text.preprocess`.
    encoding : str, default="utf-8"
        Encoding of files.
    min_count : int, default=1
        Tokens that appear less often in the training data are unknown.
    max_vocab : int or None, default=None
        Largest size of the vocabulary, the four special tokens included.
    max_length : int or None, default=None
        Tokens of a target that are learned; the rest is cut off, and such a target does not teach where it ends.
    dropout : float, default=0.2
        Probability of dropout after dense layers, on vectors of tokens, between layers, and before the output, in
        training.
    embedding_dropout : float, default=0.0
        Probability that all occurrences of a token are zeroed in a batch.
    locked_dropout : bool, default=False
        Whether dropout is the same at every step of a sequence (Gal and Ghahramani 2016).
    recurrent_dropout, zoneout, weight_dropout : float, default=0.0
        See `fastrnn.layers.Recurrent`.
    residual : bool, default=False
        Whether the input of a recurrent layer is added to its output, from the second layer on.
    label_smoothing : float, default=0.0
        Share of the probability that the training gives all tokens alike (Szegedy et al. 2016).
    scheduled_sampling : float, default=0.0
        See `RNNTranslator`.
    optimizer : {"adam", "sgd", …} or Optimizer, default="adam"
    learning_rate_init : float, default=1e-3
    batch_size : int or "auto", default="auto"
        Examples of a step.
    max_iter : int or "auto", default="auto"
        Number of epochs; "auto" makes at least 4,000 steps and 10 epochs, but at most 500 epochs of few examples.
    schedule : {"cosine", "plateau", "constant"}, default="cosine"
        Course of the learning rate, see `fastrnn.training.schedule.Schedule`.
    warmup : int, default=0
        Steps in which the learning rate rises first.
    alpha : float, default=0.0
        Weight decay.
    clip_norm : float or None, default=1.0
        Largest norm of the gradient.
    averaging, averaging_decay, early_stopping, validation_fraction, n_iter_no_change, tol, warm_start
        As in `RNNTranslator`.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Number of threads; None takes all cores if the work is large enough.
    device : {"cpu", "cuda", "auto"}, default="cpu"
    precision : {"highest", "high", "medium"}, default="highest"
        See `RNNClassifier`.
    verbose : int, default=0
        1 shows a progress bar on stderr, or a line for each epoch in the log.

    Attributes
    ----------
    n_features_in_ : int
        D.
    target_vocabulary_ : Vocabulary
    n_iter_ : int
        Number of finished epochs.
    loss_curve_ : list of float
        Mean training loss of each epoch, over the tokens of targets.
    validation_scores_ : list of float
        Mean log likelihood of a token of the validation targets after each epoch.
    n_parameters_, nbytes_ : int

    References
    ----------
    Vinyals, Toshev, Bengio and Erhan, "Show and tell: a neural image caption generator", CVPR 2015. Xu et al., "Show,
    attend and tell: neural image caption generation with visual attention", ICML 2015.

    Examples
    --------
    >>> from fastrnn import RNNCaptioner
    >>> X = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    >>> y = ["only warm", "only dry", "dry and warm", "neither"]
    >>> model = RNNCaptioner(hidden_size=16, learning_rate_init=0.02, max_iter=100, random_state=0).fit(X, y)
    >>> model.predict([[1.0, 1.0]])
    ['dry and warm']
    """

    input, truncation = "series", "end"  # vectors, nothing of which is cut off
    _fixed = (*(name for name in SequenceWriter._fixed if name != "truncation"), "hidden_layer_sizes")
    _network_parameters = (*SequenceWriter._network_parameters, "hidden_layer_sizes")

    def __init__(
        self,
        cell="gru",
        embedding_size=64,
        hidden_size=128,
        num_layers=1,
        hidden_layer_sizes=(128,),
        attention="additive",
        input_feeding=True,
        tie_weights=False,
        tokenizer="words",
        vocab_size=8000,
        lowercase=False,
        normalize=None,
        encoding="utf-8",
        min_count=1,
        max_vocab=None,
        max_length=None,
        dropout=0.2,
        embedding_dropout=0.0,
        locked_dropout=False,
        recurrent_dropout=0.0,
        zoneout=0.0,
        weight_dropout=0.0,
        residual=False,
        label_smoothing=0.0,
        scheduled_sampling=0.0,
        optimizer="adam",
        learning_rate_init=1e-3,
        batch_size="auto",
        max_iter="auto",
        schedule="cosine",
        warmup=0,
        alpha=0.0,
        clip_norm=1.0,
        averaging=None,
        averaging_decay=0.999,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change="auto",
        tol=1e-4,
        warm_start=False,
        random_state=None,
        n_jobs=None,
        device="cpu",
        precision="highest",
        verbose=0,
    ):
        self._store(locals())

    def _check_parameters(self):
        super()._check_parameters()
        if not isinstance(self.hidden_layer_sizes, tuple | list):
            raise ValueError(f"hidden_layer_sizes must be a tuple of integers, got {shown(self.hidden_layer_sizes)}.")
        for size in self.hidden_layer_sizes:
            check_positive_integer("hidden_layer_sizes", size)

    def _learn_data(self, X, y):
        reader, sources = FeatureReader.learn(X)
        return reader, sources, *learn_target(y, self._target_options())

    def _restored_reader(self, content, arrays):
        return FeatureReader.from_learned(content, arrays)

    def _make_network(self, reader, target, vectors, random_state):
        size = [reader.n_features, *self.hidden_layer_sizes][-1]
        if self.attention == "dot" and size != self.hidden_size:
            raise ValueError(
                f"hidden_layer_sizes must end with hidden_size={self.hidden_size} for attention='dot', "
                f"got {shown(self.hidden_layer_sizes)}."
            )
        return CaptionNetwork(reader.n_features, target.n_outputs, random_state=random_state, **self._network_options())

    def _set_inputs(self):
        super()._set_inputs()
        self.n_features_in_ = self._reader.n_features

    def align(self, X, Y=None):
        """Return the attention weights of the regions for each token of the targets.

        Parameters
        ----------
        X : array (n, R, D) or list of array (R_i, D)
        Y : as y in `fit`, default=None
            The targets; None takes the predictions of `predict`.

        Returns
        -------
        list of Alignment
            A named tuple (sources, targets, weights) for each example: None, as regions have no names; the tokens of
            the target; and a float32 array (T_i, R_i), whose row t has the weights of the regions in the context of
            token t.

        Raises
        ------
        ValueError
            The model has no attention, or learned from single vectors.
        """
        check_fitted(self, "network_")
        if not self._reader.has_regions:
            raise ValueError("align needs a model of region vectors, (n, R, D), got one that learned an array (n, D).")
        return super().align(X, Y)
