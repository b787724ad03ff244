"""Averaged embeddings: a fast classifier of texts."""

import numbers

import numpy as np

from fastrnn.classification.base import BaseClassifier
from fastrnn.estimators.texts import BagReader
from fastrnn.networks.sequence import MeanEmbeddingNetwork
from fastrnn.utils.checks import check_positive_integer, shown

_PREDICTION_BATCH = 1024


class MeanEmbeddingClassifier(BaseClassifier):
    """Classifier of texts by the mean of their words' vectors.

    Embedding → mean over the known words and n-grams → dense layers with ReLU → softmax (Iyyer et al. 2015). With
    n-grams, which share `n_buckets` vectors by a hash, the model is that of fastText (Joulin et al. 2017).

    Parameters
    ----------
    embedding_size : int, default=32
        Length of a word's vector.
    hidden_layer_sizes : tuple of int, default=()
        Units of each dense layer.
    ngram_range : (int, int), default=(1, 2)
        Fewest and most words of n-grams.
    n_buckets : int, default=100_000
        Number of vectors for n-grams of two and more words.
    dropout : float, default=0.0
        Probability of dropout on the mean and on hidden layers in training.
    embedding_dropout : float, default=0.5
        Probability that a word or n-gram is left out of its text in training.
    input : {"text", "tokens"}, default="text"
        Form of X: raw strings, or lists of str or of int ids.
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
    max_length : int or None, default=None
        Most tokens of a text that are read.
    truncation : {"end", "start"}, default="end"
        End of longer texts that is cut off. A warning says how many texts are cut.
    embedding : mapping, (words, array), path or None, default=None
        Pretrained vectors: a vector for each word, a list and an array, or a text file as of GloVe or word2vec, which
        may be compressed. Their words are known besides those of the training texts; a word's first vector counts.
    freeze_embedding : bool, default=False
        Whether the vectors of all words stay as they are; the vectors of n-grams are trained.
    optimizer : {"adam", "adamw", "sgd", "adagrad", "rmsprop"}, default="adam"
    learning_rate_init : float, default=2e-3
        Learning rate. With validation it is divided by 4 after each epoch without improvement.
    batch_size : int, default=32
    max_iter : int or "auto", default="auto"
        Most epochs; "auto" takes 4, or as many as make 1,200 batches on small data.
    alpha : float, default=0.0
        Weight decay.
    clip_norm : float or None, default=None
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
    n_iter_ : int
        Number of finished epochs.
    loss_curve_, validation_scores_ : list of float
        Mean training loss and minus the mean validation loss of each epoch.
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
    _fixed = (*BaseClassifier._fixed, "hidden_layer_sizes", "ngram_range", "n_buckets")
    _text_reader = BagReader

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
        precision="highest",
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
        self.precision = precision
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

    def _reading(self):
        return {**super()._reading(), "ngram_range": self.ngram_range, "n_buckets": self.n_buckets}

    def _make_network(self, reader, target, vectors, random_state):
        names = ("hidden_layer_sizes", "dropout", "embedding_dropout", "n_jobs", "device", "precision")
        options = {name: getattr(self, name) for name in names}
        n_frozen = len(reader.vocabulary) if self.freeze_embedding else 0
        return MeanEmbeddingNetwork(vectors, target.n_outputs, target.kind, n_frozen=n_frozen,
                                    random_state=random_state, **options)  # fmt: skip

    def _groups(self, sequences, rows, random_state=None):
        """Return the rows of each batch, whatever their lengths: bags are not padded."""
        if random_state is None:
            return np.array_split(rows, max(1, -(-len(rows) // _PREDICTION_BATCH)))
        return np.array_split(random_state.permutation(rows), max(1, round(len(rows) / self.batch_size)))
