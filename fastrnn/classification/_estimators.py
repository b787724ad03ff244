"""The estimators: averaged embeddings, and recurrent networks that classify or predict numbers."""

import numbers

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin, RegressorMixin

from fastrnn.estimators.base import BaseSequenceEstimator
from fastrnn.estimators.sequences import add_ngrams
from fastrnn.estimators.targets import label_array, learn_classes, learn_values
from fastrnn.estimators.vectors import read_vectors
from fastrnn.exchange._sequences import ClassifierExchangeMixin, RegressorExchangeMixin
from fastrnn.networks.sequence import MeanEmbeddingNetwork, RecurrentNetwork
from fastrnn.utils.checks import check_not_negative, check_positive_integer, shown

_LONG_TEXT = 2000  # tokens of a text that a recurrent network reads with max_length="auto"


class _Classifier(ClassifierMixin, BaseSequenceEstimator):
    """The methods of classifiers."""

    def _learn_target(self, y, classes):
        return learn_classes(y, classes)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Take one epoch over further examples.

        Parameters
        ----------
        X, y : as in `fit`
            The first call fixes the vocabulary, or mean and deviation of series.
        classes : array-like (K,), default=None
            All labels that will come; needed at the first call only, and no longer if all of them are there.
        sample_weight : array-like (n,), default=None

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, classes, sample_weight)

    def decision_function(self, X):
        """Return the outputs of the last layer.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n, K), or (n,) for two classes
            Logits of the classes or of the labels; of two classes that of the second one minus that of the first.
        """
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if self._is_binary else outputs

    @property
    def _is_binary(self):
        return self._target.kind == "classes" and self._target.n_outputs == 2

    def predict_proba(self, X):
        """Return probabilities.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n, K)
            Of each class, in the order of ``classes_``; of each label by itself if y was an indicator matrix.
        """
        return self._predictions(X)

    def predict_log_proba(self, X):
        """Return the natural logarithm of `predict_proba`.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n, K)
        """
        outputs = self._outputs(X)
        return log_softmax(outputs, axis=1) if self._target.kind == "classes" else log_expit(outputs)

    def predict(self, X):
        """Return the most probable class, or the labels that are more probable than not.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        array (n,) of labels, or int array (n, K)
        """
        outputs = self._outputs(X)
        if self._target.kind == "labels":
            return (outputs > 0).astype(np.int64)
        return self.classes_[outputs.argmax(axis=1)]

    def score(self, X, y, sample_weight=None):
        """Return the share of sequences whose class is predicted, or all of whose labels are.

        Parameters
        ----------
        X, y : as in `fit`
        sample_weight : array-like (n,), default=None

        Returns
        -------
        float
        """
        return super().score(X, label_array(y), sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MeanEmbeddingClassifier(_Classifier):
    """Classifier of texts by the mean of their words' vectors.

    Embedding → mean over the known words (and n-grams) → dense layers with ReLU → softmax (Iyyer et al. 2015). With
    n-grams it does what fastText does (Joulin et al. 2017), the vectors of n-grams hashed into `n_buckets`.

    Parameters
    ----------
    embedding_size : int, default=32
        Length of a word's vector.
    hidden_layer_sizes : tuple of int, default=()
        Units of the dense layers.
    ngram_range : (int, int), default=(1, 2)
        Fewest and most words of the n-grams that have vectors.
    n_buckets : int, default=100_000
        Vectors for n-grams of two and more words.
    dropout : float, default=0.0
        Probability of dropout on the mean and on hidden layers, in training.
    embedding_dropout : float, default=0.5
        Probability that a word or n-gram is left out of its text in training.
    input : {"text", "tokens"}, default="text"
        What X holds: raw strings, or lists of str or of int ids.
    tokenizer : {"words", "whitespace", "chars"} or callable, default="words"
        What cuts texts into tokens.
    lowercase : bool, default=True
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None, default=None
        The normal form of Unicode that texts are brought into first, see `fastrnn.text.preprocess`.
    encoding : str, default="utf-8"
        The encoding of the text files that are read.
    min_count : int, default=1
        Tokens that appear less often are unknown.
    max_vocab : int or None, default=None
        Largest size of the vocabulary, the four special tokens included.
    max_length : int or None, default=None
        Most tokens of a text.
    truncation : {"end", "start"}, default="end"
        Which end of longer texts is cut off. A warning says how many are.
    embedding : mapping, (words, array), path or None, default=None
        Pretrained vectors: of each word, or as list and array, or a text file as of GloVe or word2vec, which may be
        compressed. Their words are known besides those of the training texts; the first vector of a word counts.
    freeze_embedding : bool, default=False
        Whether pretrained vectors, and those of all other words, stay as they are. (Those of n-grams do not.)
    optimizer : {"adam", "adamw", "sgd", "adagrad", "rmsprop"}, default="adam"
    learning_rate_init : float, default=2e-3
        The learning rate; with validation it is divided by 4 after each epoch that does not improve.
    batch_size : int, default=32
    max_iter : int or "auto", default="auto"
        Most epochs; "auto" takes 4, and on small data as many as make 1,200 batches.
    alpha : float, default=0.0
        Weight decay.
    clip_norm : float or None, default=None
        Largest global norm of the gradient.
    class_weight : "balanced", dict or None, default=None
        Factors of the classes' examples; "balanced" gives all classes the same weight in sum.
    early_stopping : bool, default=False
        Whether a part of the training data is set aside to validate on; the weights that predict it best are kept.
    validation_fraction : float, default=0.1
        The share of each class that is set aside.
    n_iter_no_change : int, default=3
        Epochs without improvement of the validation's loss after which the training stops.
    tol : float, default=1e-4
        Decrease of the loss that counts as improvement.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights, the vocabulary and the classes of the last `fit`.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Threads; None takes all cores, as far as the work is worth it. Results do not depend on it.
    device : {"cpu"}, default="cpu"
    verbose : int, default=0
        1 shows a progress bar on stderr. Where that is no terminal, it writes a line an epoch, through `logging` (the
        logger ``fastrnn``, level INFO).

    Attributes
    ----------
    classes_ : ndarray (K,)
    vocabulary_ : Vocabulary
    n_iter_ : int
        Finished epochs.
    loss_curve_, validation_scores_ : list of float
        Mean training loss, and minus the mean loss of the validation data, of each epoch.
    n_parameters_, nbytes_ : int

    References
    ----------
    Iyyer, Manjunatha, Boyd-Graber and Daumé, "Deep unordered composition rivals syntactic methods for text
    classification", ACL 2015. Joulin, Grave, Bojanowski and Mikolov, "Bag of tricks for efficient text classification",
    EACL 2017.

    Examples
    --------
    >>> from fastrnn import MeanEmbeddingClassifier
    >>> texts, labels = ["a fine film", "truly fine", "a dull film", "so dull"] * 5, ["pos", "pos", "neg", "neg"] * 5
    >>> model = MeanEmbeddingClassifier(learning_rate_init=0.05, max_iter=10, random_state=0)
    >>> model.fit(texts, labels).predict(["a fine story", "dull"])
    array(['pos', 'neg'], dtype='<U3')
    """

    _inputs = ("text", "tokens")
    _fixed = (*BaseSequenceEstimator._fixed, "hidden_layer_sizes", "ngram_range", "n_buckets")
    _embedding_scale = 0.1

    def __init__(
        self,
        embedding_size=32,
        hidden_layer_sizes=(),
        ngram_range=(1, 2),
        n_buckets=100_000,
        dropout=0.0,
        embedding_dropout=0.5,
        input="text",
        tokenizer="words",
        lowercase=True,
        normalize=None,
        encoding="utf-8",
        min_count=1,
        max_vocab=None,
        max_length=None,
        truncation="end",
        embedding=None,
        freeze_embedding=False,
        optimizer="adam",
        learning_rate_init=2e-3,
        batch_size=32,
        max_iter="auto",
        alpha=0.0,
        clip_norm=None,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=3,
        tol=1e-4,
        warm_start=False,
        random_state=None,
        n_jobs=None,
        device="cpu",
        verbose=0,
    ):
        self.embedding_size = embedding_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.ngram_range = ngram_range
        self.n_buckets = n_buckets
        self.dropout = dropout
        self.embedding_dropout = embedding_dropout
        self.input = input
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.normalize = normalize
        self.encoding = encoding
        self.min_count = min_count
        self.max_vocab = max_vocab
        self.max_length = max_length
        self.truncation = truncation
        self.embedding = embedding
        self.freeze_embedding = freeze_embedding
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.alpha = alpha
        self.clip_norm = clip_norm
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    def _check_parameters(self):
        super()._check_parameters()
        check_positive_integer("n_buckets", self.n_buckets)
        low_high = self.ngram_range
        if not (
            isinstance(low_high, tuple | list)
            and len(low_high) == 2
            and all(isinstance(n, numbers.Integral) for n in low_high)
            and 1 <= low_high[0] <= low_high[1]
        ):
            raise ValueError(f"ngram_range must be a pair (fewest, most) of integers from 1 on, got {shown(low_high)}.")
        sizes = self.hidden_layer_sizes
        if not (isinstance(sizes, tuple | list) and all(isinstance(n, numbers.Integral) and n > 0 for n in sizes)):
            raise ValueError(f"hidden_layer_sizes must be a tuple of integers of at least 1, got {shown(sizes)}.")

    def _pretrained(self):
        return None if self.embedding is None else read_vectors(self.embedding, self.normalize)

    def _initial_vectors(self, reader, pretrained, random_state):
        vectors = super()._initial_vectors(reader, pretrained, random_state)
        if self.ngram_range[1] == 1:
            return vectors
        return np.concatenate([vectors, np.zeros((self.n_buckets, vectors.shape[1]), np.float32)])

    def _make_network(self, reader, target, vectors, random_state):
        names = ("hidden_layer_sizes", "dropout", "embedding_dropout", "n_jobs")
        options = {name: getattr(self, name) for name in names}
        n_frozen = len(reader.vocabulary) if self.freeze_embedding else 0
        return MeanEmbeddingNetwork(vectors, target.n_outputs, target.kind, n_frozen=n_frozen,
                                    random_state=random_state, **options)  # fmt: skip

    def _features(self, reader, sequences):
        fitted = reader is getattr(self, "_reader", None)
        params = self._fitted_params if fitted else vars(self)
        return add_ngrams(sequences, params["ngram_range"], len(reader.vocabulary), params["n_buckets"])

    def _groups(self, sequences, rows, random_state=None):
        """Return the rows of each batch: bags need no sequences of similar lengths."""
        if random_state is None:
            return np.array_split(rows, max(1, -(-len(rows) // 1024)))
        return np.array_split(random_state.permutation(rows), max(1, round(len(rows) / self.batch_size)))


class _Recurrent(BaseSequenceEstimator):
    """Base class of the recurrent classifier and the recurrent regressor."""

    _fixed = (*BaseSequenceEstimator._fixed, "cell", "hidden_size", "num_layers", "bidirectional", "pooling", "zoneout",
              "proj_size", "residual", "missing")  # fmt: skip
    _embedding_scale = 0.1

    def __init__(
        self,
        cell="lstm",
        embedding_size=100,
        hidden_size=128,
        num_layers=1,
        bidirectional=True,
        pooling="max",
        dropout=0.5,
        embedding_dropout=0.0,
        locked_dropout=False,
        recurrent_dropout=0.0,
        zoneout=0.0,
        weight_dropout=0.0,
        proj_size=0,
        residual=False,
        activity_penalty=0.0,
        temporal_activity_penalty=0.0,
        input="text",
        tokenizer="words",
        lowercase=True,
        normalize=None,
        encoding="utf-8",
        min_count=1,
        max_vocab=None,
        max_length="auto",
        truncation="end",
        missing="error",
        embedding=None,
        freeze_embedding=False,
        optimizer="adam",
        learning_rate_init=2e-3,
        batch_size=32,
        max_iter="auto",
        alpha=0.0,
        clip_norm=1.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=3,
        tol=1e-4,
        warm_start=False,
        random_state=None,
        n_jobs=None,
        device="cpu",
        verbose=0,
    ):
        self.cell = cell
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.dropout = dropout
        self.embedding_dropout = embedding_dropout
        self.locked_dropout = locked_dropout
        self.recurrent_dropout = recurrent_dropout
        self.zoneout = zoneout
        self.weight_dropout = weight_dropout
        self.proj_size = proj_size
        self.residual = residual
        self.activity_penalty = activity_penalty
        self.temporal_activity_penalty = temporal_activity_penalty
        self.input = input
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.normalize = normalize
        self.encoding = encoding
        self.min_count = min_count
        self.max_vocab = max_vocab
        self.max_length = max_length
        self.truncation = truncation
        self.missing = missing
        self.embedding = embedding
        self.freeze_embedding = freeze_embedding
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.alpha = alpha
        self.clip_norm = clip_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    def _pretrained(self):
        return None if self.embedding is None else read_vectors(self.embedding, self.normalize)

    def _most_steps(self):
        if self.max_length == "auto":
            return None if self.input == "series" else _LONG_TEXT
        return self.max_length

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("hidden_size", "num_layers"):
            check_positive_integer(name, getattr(self, name))
        for name in ("activity_penalty", "temporal_activity_penalty"):
            check_not_negative(name, getattr(self, name))

    def _make_network(self, reader, target, vectors, random_state):
        names = ("cell", "hidden_size", "num_layers", "bidirectional", "pooling", "dropout", "embedding_dropout",
                 "locked_dropout", "recurrent_dropout", "zoneout", "weight_dropout", "proj_size", "residual",
                 "activity_penalty", "temporal_activity_penalty", "freeze_embedding", "n_jobs")  # fmt: skip
        return RecurrentNetwork(reader.n_features, vectors, target.n_outputs, target.kind, random_state=random_state,
                                **{name: getattr(self, name) for name in names})  # fmt: skip


class RNNClassifier(ClassifierExchangeMixin, _Classifier, _Recurrent):
    """Recurrent classifier of texts or series.

    Embedding (of texts) → recurrent layers → pooling over the steps → dense → softmax; or sigmoids, if y is an
    indicator matrix of several labels at once.

    Parameters
    ----------
    cell : str or cell, default="lstm"
        Name of the recurrent cell, see `fastrnn.layers.cells`, or an instance of a cell class of one's own.
    embedding_size : int, default=100
        Length of a word's vector, for texts without a pretrained `embedding`.
    hidden_size : int, default=128
        Hidden units of each layer and direction.
    num_layers : int, default=1
        Recurrent layers on top of each other.
    bidirectional : bool, default=True
        Whether a second direction reads the sequences from their ends.
    pooling : {"max", "mean", "last", "attention"}, default="max"
        What makes one vector of all steps, see `fastrnn.layers.Pooling`.
    dropout : float, default=0.5
        Probability of dropout on embeddings, between layers and on the pooled vector, in training.
    embedding_dropout : float, default=0.0
        Probability that all occurrences of a word are zeroed in a batch.
    locked_dropout, residual : bool, default=False
        See `fastrnn.layers.Recurrent`.
    recurrent_dropout, zoneout, weight_dropout : float, default=0.0
        See `fastrnn.layers.Recurrent`.
    proj_size : int, default=0
        Length to which the hidden state is projected, for cells of the LSTM family; 0 does not.
    activity_penalty, temporal_activity_penalty : float, default=0.0
        Factors of the mean square of the last layer's output, and of its change from step to step (Merity et al. 2017).
        They act on the gradient; the losses that are reported are without them.
    input : {"text", "tokens", "series"}, default="text"
        What X holds: raw strings; lists of str or of int ids; or series, as a list of arrays (T_i, D), an array
        (n, T, D), or (n, T) for one dimension. Series are standardised by mean and deviation of the training data.
    tokenizer : {"words", "whitespace", "chars"} or callable, default="words"
        What cuts texts into tokens.
    lowercase : bool, default=True
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None, default=None
        The normal form of Unicode that texts are brought into first, see `fastrnn.text.preprocess`.
    encoding : str, default="utf-8"
        The encoding of the text files that are read.
    min_count : int, default=1
        Tokens that appear less often are unknown.
    max_vocab : int or None, default=None
        Largest size of the vocabulary, the four special tokens included.
    max_length : int, None or "auto", default="auto"
        Most steps that are read of a sequence; "auto" reads 2,000 tokens of a text, and series whole.
    truncation : {"end", "start"}, default="end"
        Which end of longer sequences is cut off. A warning says how many are.
    missing : {"error", "pad"}, default="error"
        What NaN in series is: refused; or padding, where the last steps of a series are nothing but NaN. Such steps are
        as if they were not there.
    embedding : mapping, (words, array), path or None, default=None
        Pretrained vectors: of each word, or as list and array, or a text file as of GloVe or word2vec, which may be
        compressed. Their words are known besides those of the training texts; the first vector of a word counts.
    freeze_embedding : bool, default=False
        Whether the vectors stay as they are.
    optimizer : {"adam", "adamw", "sgd", "adagrad", "rmsprop"}, default="adam"
    learning_rate_init : float, default=2e-3
        The learning rate; with validation it is divided by 4 after each epoch that does not improve.
    batch_size : int, default=32
        Sequences of similar lengths that are computed together.
    max_iter : int or "auto", default="auto"
        Most epochs; "auto" takes 4, and on small data as many as make 1,200 batches.
    alpha : float, default=0.0
        Weight decay.
    clip_norm : float or None, default=1.0
        Largest global norm of the gradient.
    class_weight : "balanced", dict or None, default=None
        Factors of the classes' examples; "balanced" gives all classes the same weight in sum.
    early_stopping : bool, default=False
        Whether a part of the training data is set aside to validate on; the weights that predict it best are kept.
    validation_fraction : float, default=0.1
        The share of each class that is set aside.
    n_iter_no_change : int, default=3
        Epochs without improvement of the validation's loss after which the training stops.
    tol : float, default=1e-4
        Decrease of the loss that counts as improvement.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights, the vocabulary and the classes of the last `fit`.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Threads; None takes all cores, as far as the work is worth it. Results do not depend on it.
    device : {"cpu"}, default="cpu"
    verbose : int, default=0
        1 shows a progress bar on stderr. Where that is no terminal, it writes a line an epoch, through `logging` (the
        logger ``fastrnn``, level INFO).

    Attributes
    ----------
    classes_ : ndarray (K,)
    vocabulary_ : Vocabulary
        Of texts.
    n_features_in_ : int
        Of series: the length D of a step's vector.
    n_iter_ : int
        Finished epochs.
    loss_curve_, validation_scores_ : list of float
        Mean training loss, and minus the mean loss of the validation data, of each epoch.
    n_parameters_, nbytes_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn import RNNClassifier
    >>> rising = [np.arange(n) + np.random.RandomState(n).randn(n) for n in range(9, 29)]
    >>> X, y = rising + [series[::-1] for series in rising], ["up"] * 20 + ["down"] * 20
    >>> model = RNNClassifier("gru", hidden_size=16, input="series", random_state=0).fit(X, y)
    >>> model.predict([np.linspace(9, 0, 15), np.linspace(0, 9, 8)])
    array(['down', 'up'], dtype='<U4')
    """

    def __init__(
        self,
        cell="lstm",
        embedding_size=100,
        hidden_size=128,
        num_layers=1,
        bidirectional=True,
        pooling="max",
        dropout=0.5,
        embedding_dropout=0.0,
        locked_dropout=False,
        recurrent_dropout=0.0,
        zoneout=0.0,
        weight_dropout=0.0,
        proj_size=0,
        residual=False,
        activity_penalty=0.0,
        temporal_activity_penalty=0.0,
        input="text",
        tokenizer="words",
        lowercase=True,
        normalize=None,
        encoding="utf-8",
        min_count=1,
        max_vocab=None,
        max_length="auto",
        truncation="end",
        missing="error",
        embedding=None,
        freeze_embedding=False,
        optimizer="adam",
        learning_rate_init=2e-3,
        batch_size=32,
        max_iter="auto",
        alpha=0.0,
        clip_norm=1.0,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=3,
        tol=1e-4,
        warm_start=False,
        random_state=None,
        n_jobs=None,
        device="cpu",
        verbose=0,
    ):
        super().__init__(
            cell=cell,
            embedding_size=embedding_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            pooling=pooling,
            dropout=dropout,
            embedding_dropout=embedding_dropout,
            locked_dropout=locked_dropout,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            weight_dropout=weight_dropout,
            proj_size=proj_size,
            residual=residual,
            activity_penalty=activity_penalty,
            temporal_activity_penalty=temporal_activity_penalty,
            input=input,
            tokenizer=tokenizer,
            lowercase=lowercase,
            normalize=normalize,
            encoding=encoding,
            min_count=min_count,
            max_vocab=max_vocab,
            max_length=max_length,
            truncation=truncation,
            missing=missing,
            embedding=embedding,
            freeze_embedding=freeze_embedding,
            optimizer=optimizer,
            learning_rate_init=learning_rate_init,
            batch_size=batch_size,
            max_iter=max_iter,
            alpha=alpha,
            clip_norm=clip_norm,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            random_state=random_state,
            n_jobs=n_jobs,
            device=device,
            verbose=verbose,
        )
        self.class_weight = class_weight


class RNNRegressor(RegressorExchangeMixin, RegressorMixin, _Recurrent):
    """Recurrent regressor: predicts one or several numbers of a text or series.

    Embedding (of texts) → recurrent layers → pooling over the steps → dense; half the squared error of the
    standardised targets is the loss.

    Parameters
    ----------
    cell, embedding_size, hidden_size, num_layers, bidirectional, pooling, dropout, embedding_dropout, locked_dropout, \
    recurrent_dropout, zoneout, weight_dropout, proj_size, residual, activity_penalty, temporal_activity_penalty, \
    input, tokenizer, lowercase, normalize, encoding, min_count, max_vocab, max_length, truncation, missing, \
    embedding, freeze_embedding, optimizer, learning_rate_init, batch_size, max_iter, alpha, clip_norm, \
    early_stopping, validation_fraction, n_iter_no_change, tol, warm_start, random_state, n_jobs, device, verbose
        As in `RNNClassifier`.

    Attributes
    ----------
    vocabulary_, n_features_in_, n_iter_, loss_curve_, validation_scores_, n_parameters_, nbytes_
        As in `RNNClassifier`.
    n_outputs_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn import RNNRegressor
    >>> X = np.random.RandomState(0).rand(200, 6)
    >>> model = RNNRegressor("gru", hidden_size=16, dropout=0.0, pooling="last", input="series", random_state=0)
    >>> model.set_params(learning_rate_init=0.01, max_iter=20).fit(X, X.sum(axis=1)).score(X, X.sum(axis=1)) > 0.9
    True
    """

    def _learn_target(self, y, classes):
        return learn_values(y)

    def partial_fit(self, X, y, sample_weight=None):
        """Take one epoch over further examples.

        Parameters
        ----------
        X, y : as in `fit`
            The first call fixes the vocabulary, and mean and deviation of series and of y.
        sample_weight : array-like (n,), default=None

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, None, sample_weight)

    def predict(self, X):
        """Return numbers.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n,) or (n, K), as y was
        """
        return self._target.decode(self._predictions(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
