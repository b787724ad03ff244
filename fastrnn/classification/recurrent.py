"""Recurrent networks that classify sequences or predict numbers."""

from sklearn.base import RegressorMixin

from fastrnn.classification.base import BaseClassifier
from fastrnn.estimators.recurrent import RecurrentSequenceEstimator
from fastrnn.estimators.targets import learn_values
from fastrnn.estimators.whole import WholeSequenceEstimator
from fastrnn.exchange._sequences import ClassifierExchangeMixin, RegressorExchangeMixin
from fastrnn.networks.sequence import RecurrentNetwork


class RecurrentEstimator(WholeSequenceEstimator, RecurrentSequenceEstimator):
    """Base class of the recurrent classifier and the recurrent regressor."""

    _fixed = (*RecurrentSequenceEstimator._fixed, "pooling")
    _network_parameters = (*RecurrentSequenceEstimator._network_parameters, "pooling")

    def _make_network(self, reader, target, vectors, random_state):
        return RecurrentNetwork(reader.n_features, vectors, target.n_outputs, target.kind, random_state=random_state,
                                **self._network_options())  # fmt: skip


class RNNClassifier(ClassifierExchangeMixin, BaseClassifier, RecurrentEstimator):
    """Recurrent classifier of texts or series.

    Embedding (of texts) → recurrent layers → pooling over the steps → dense → softmax, or sigmoids if y is an
    indicator matrix of several labels.

    Parameters
    ----------
    cell : str or cell, default="lstm"
        Name of the recurrent cell, see `fastrnn.layers.cells`, or an instance of your own cell class.
    embedding_size : int, default=100
        Length of a word's vector, without a pretrained `embedding`.
    hidden_size : int, default=128
        Hidden units of each layer and direction.
    num_layers : int, default=1
        Number of recurrent layers.
    bidirectional : bool, default=True
        Whether a second direction reads the sequences backwards.
    pooling : {"max", "mean", "last", "attention"}, default="max"
        Way to make one vector of all steps, see `fastrnn.layers.Pooling`.
    dropout : float, default=0.5
        Probability of dropout on embeddings, between layers and on the pooled vector in training.
    embedding_dropout : float, default=0.0
        Probability that all occurrences of a word are zeroed in a batch.
    locked_dropout, residual : bool, default=False
    recurrent_dropout, zoneout, weight_dropout : float, default=0.0
        See `fastrnn.layers.Recurrent`.
    proj_size : int, default=0
        Length to which cells of the LSTM family project the hidden state; 0 for no projection.
    activity_penalty, temporal_activity_penalty : float, default=0.0
        Factors of the mean square of the last layer's output, and of its change from step to step (Merity et al. 2017).
        They act on the gradient; reported losses exclude them.
    input : {"text", "tokens", "series"}, default="text"
        Form of X: raw strings; lists of str or of int ids; or series, as a list of arrays (T_i, D), an array
        (n, T, D), or (n, T) for one dimension. Series are standardised by mean and deviation of the training data.
    tokenizer : {"words", "whitespace", "chars"} or callable, default="words"
        Cuts texts into tokens, see `fastrnn.text.get_tokenizer`.
    lowercase : bool, default=True
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None, default=None
        Normal form of Unicode that texts are converted to first, see `fastrnn.text.preprocess`.
    encoding : str, default="utf-8"
        Encoding of text files.
    min_count : int, default=1
        Tokens that appear less often are unknown.
    max_vocab : int or None, default=None
        Largest size of the vocabulary, the four special tokens included.
    max_length : int, None or "auto", default="auto"
        Most steps of a sequence that are read; "auto" reads 2,000 tokens of a text, and series whole.
    truncation : {"end", "start"}, default="end"
        End of longer sequences that is cut off. A warning says how many sequences are cut.
    missing : {"error", "pad"}, default="error"
        Meaning of NaN in series. "error" refuses it; "pad" leaves out the last steps of a series if they are nothing
        but NaN.
    embedding : mapping, (words, array), path or None, default=None
        Pretrained vectors: a vector for each word, a list and an array, or a text file as of GloVe or word2vec, which
        may be compressed. Their words are known besides those of the training texts; a word's first vector counts.
    freeze_embedding : bool, default=False
        Whether the vectors of words stay as they are.
    optimizer : {"adam", "adamw", "sgd", "adagrad", "rmsprop"}, default="adam"
    learning_rate_init : float, default=2e-3
        Learning rate. With validation it is divided by 4 after each epoch without improvement.
    batch_size : int, default=32
        Number of sequences, of similar lengths, that are computed together.
    max_iter : int or "auto", default="auto"
        Most epochs; "auto" takes 4, or as many as make 1,200 batches on small data.
    alpha : float, default=0.0
        Weight decay.
    clip_norm : float or None, default=1.0
        Largest global norm of the gradient.
    class_weight : "balanced", dict or None, default=None
        Weight of the examples of each class; "balanced" gives all classes the same total weight.
    early_stopping : bool, default=False
        Whether to set a part of the training data aside for validation and to keep the weights that predict it best.
    validation_fraction : float, default=0.1
        Share of each class that is set aside.
    n_iter_no_change : int, default=3
        Epochs without improvement of the validation loss after which the training stops.
    tol : float, default=1e-4
        Decrease of the loss that counts as improvement.
    warm_start : bool, default=False
        Whether `fit` continues from the weights, vocabulary and classes of the last `fit`.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Number of threads; None takes all cores if the work is large enough. Results do not depend on it.
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where the network is trained and used: "cuda" is an NVIDIA GPU, "auto" is the GPU where there is one that can be
        used, and the CPU elsewhere.
    precision : {"highest", "high", "medium"}, default="highest"
        How a GPU multiplies matrices, as in ``torch.set_float32_matmul_precision``: in float32, in TF32, or in bfloat16
        with sums in float32. The CPU always multiplies in float32.
    verbose : int, default=0
        1 shows a progress bar on stderr. If stderr is not a terminal, a line for each epoch goes to the logger
        ``fastrnn``, level INFO.

    Attributes
    ----------
    classes_ : ndarray (K,)
    vocabulary_ : Vocabulary
        For texts.
    n_features_in_ : int
        For series: the length D of the vector of a step.
    n_iter_ : int
        Number of finished epochs.
    loss_curve_, validation_scores_ : list of float
        Mean training loss and minus the mean validation loss of each epoch.
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
        precision="highest",
        verbose=0,
    ):
        self._store(locals())


class RNNRegressor(RegressorExchangeMixin, RegressorMixin, RecurrentEstimator):
    """Recurrent regressor: predicts one or several numbers for a text or series.

    Embedding (of texts) → recurrent layers → pooling over the steps → dense. The loss is half the squared error of the
    standardised targets.

    Parameters
    ----------
    cell, embedding_size, hidden_size, num_layers, bidirectional, pooling, dropout, embedding_dropout, locked_dropout, \
    recurrent_dropout, zoneout, weight_dropout, proj_size, residual, activity_penalty, temporal_activity_penalty, \
    input, tokenizer, lowercase, normalize, encoding, min_count, max_vocab, max_length, truncation, missing, \
    embedding, freeze_embedding, optimizer, learning_rate_init, batch_size, max_iter, alpha, clip_norm, \
    early_stopping, validation_fraction, n_iter_no_change, tol, warm_start, random_state, n_jobs, device, precision, \
    verbose
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
        precision="highest",
        verbose=0,
    ):
        self._store(locals())

    def _learn_target(self, y, classes):
        return learn_values(y)

    def partial_fit(self, X, y, sample_weight=None):
        """Train one epoch on further examples.

        Parameters
        ----------
        X, y : as in `fit`
            The first call fixes the vocabulary, or mean and deviation of series, and mean and deviation of y.
        sample_weight : array-like (n,), default=None

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, None, sample_weight)

    def predict(self, X):
        """Return the predicted numbers.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n,) or (n, K), as y was
        """
        predictions = self._predictions(X)
        return self._target.decode(predictions)

    def score(self, X, y, sample_weight=None):
        """Return the coefficient of determination R² of the predictions; of several numbers the mean.

        Parameters
        ----------
        X, y : as in `fit`
        sample_weight : array-like (n,), default=None

        Returns
        -------
        float
            1 at best; 0 for a model that always predicts the mean of y.
        """
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
