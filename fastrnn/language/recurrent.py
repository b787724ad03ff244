"""The recurrent language model: parameters, `fit` and files; training and inference are in modules of their own."""

from sklearn.utils import check_random_state

from fastrnn.exchange._language_model import ExchangeMixin
from fastrnn.language.base import BaseLanguageModel
from fastrnn.language.recurrent_inference import RecurrentInferenceMixin
from fastrnn.language.recurrent_training import RecurrentTrainingMixin
from fastrnn.networks.placement import PlacedMixin
from fastrnn.training.checkpoint import open_checkpoint
from fastrnn.training.history import History


class RNNLanguageModel(PlacedMixin, ExchangeMixin, RecurrentTrainingMixin, RecurrentInferenceMixin, BaseLanguageModel):
    """Recurrent network that predicts the next token.

    Token ids → embedding → recurrent layers → dense → softmax; trained by truncated backpropagation through time
    (Werbos 1990; Mikolov et al. 2010), the state carried over from chunk to chunk. The loss is the mean cross-entropy
    per time step.

    Parameters
    ----------
    cell : str or cell, default="lstm"
        Name of the recurrent cell, see `fastrnn.layers.cells`, or an instance of a cell class of your own.
    embedding_size, hidden_size : int, default=128
        Length of a token's vector, and number of hidden units of each layer.
    num_layers : int, default=1
        Number of stacked recurrent layers.
    dropout : float, default=0.0
        Probability of dropout on embeddings, between layers and on the output, in training (Zaremba et al. 2014).
    tie_weights : bool, default=False
        Whether the output layer's weight is the embedding (Press and Wolf 2017). If sizes differ, the last layer's
        output is projected to `embedding_size`.
    residual : bool, default=False
        Whether the input of a layer is added to its output, from the second layer on.
    locked_dropout : bool, default=False
        Whether dropout is the same at every step of a batch (Gal and Ghahramani 2016).
    recurrent_dropout, zoneout, weight_dropout : float, default=0.0
        Dropout on h in the recurrent product, probability of a unit to keep its old value, and dropout on the recurrent
        weights, see `fastrnn.layers.Recurrent`.
    proj_size : int, default=0
        Length to which the hidden state is projected, for cells of the LSTM family; 0 means no projection.
    input_dropout, output_dropout : float or None, default=None
        Dropout on embeddings, and on the output of the last layer; None is `dropout`.
    embedding_dropout : float, default=0.0
        Probability that all occurrences of a token are zeroed in a batch.
    activity_penalty, temporal_activity_penalty : float, default=0.0
        Factors of the mean square of the last layer's output, and of its change from step to step (Merity et al. 2017).
        They act on the gradient; reported losses exclude them.
    softmax : {"full", "adaptive", "sampled"}, default="full"
        Output layer: "full", over all tokens; "adaptive", in clusters by frequency, with shorter vectors for rare
        tokens (Grave et al. 2017); "sampled", over all tokens, but trained on a sample of them, and `loss_curve_` is
        the loss among the sample. The latter two are for vocabularies of some 50,000 tokens and more.
    softmax_cutoffs : sequence of int or None, default=None
        Ranks by frequency at which the clusters of an adaptive softmax begin; None chooses two.
    softmax_samples : int, default=2000
        Tokens that a sampled softmax draws for each batch.
    label_smoothing : float, default=0.0
        Share of the training loss that all tokens of the vocabulary get alike (Szegedy et al. 2016), with
        ``softmax="full"``. `loss_curve_` is the smoothed loss; scores are those of the tokens of the text.
    tokenizer : {"words", "whitespace", "chars", "bytes"}, callable or tokenizers.Tokenizer, default="words"
        The tokenizer, see `fastrnn.text.get_tokenizer`.
    lowercase : bool, default=False
        Whether texts are converted to lower case first.
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None, default=None
        The normal form of Unicode that texts are converted to first, see `fastrnn.text.preprocess`.
    encoding : str, default="utf-8"
        The encoding of text files.
    min_count : int, default=1
        Tokens that appear less often are unknown.
    max_vocab : int or None, default=None
        Largest size of the vocabulary, the four special tokens included; the most frequent tokens are kept.
    vocabulary : Vocabulary or None, default=None
        A fitted vocabulary, used as it is; None learns one from the text.
    bptt_length : int, default=35
        Time steps that gradients are propagated back through.
    bptt_stride : int or None, default=None
        Time steps from one update to the next, at most `bptt_length`; None is `bptt_length`. With
        ``carry_state=True`` only.
    random_bptt : bool, default=False
        Whether the number of steps between updates is drawn around `bptt_length`, or in one case of twenty around half
        of it, with the learning rate in proportion to it (Merity et al. 2017). With ``carry_state=True`` only.
    batch_size : int, default=20
        Streams (or sentences, with ``carry_state=False``) side by side.
    carry_state : bool, default=True
        Whether sentences follow each other as in a running text: in training and in scoring, each begins with the state
        after the one before. For scoring, a long text is cut into at most `batch_size` streams of at least 1,000
        tokens, and each stream begins with an empty state. Otherwise sentences are independent.
    optimizer : {"adam", "adamw", "sgd", "adagrad", "rmsprop"}, default="adam"
    learning_rate_init : float, default=2e-3
        The learning rate at the beginning.
    schedule : {"plateau", "cosine", "constant"}, default="plateau"
        The course of the learning rate: "plateau" divides it by 4 after each epoch without improvement; "cosine" lowers
        it to 0 over `max_iter` epochs, along half a cosine wave; "constant" keeps it.
    warmup : int, default=0
        Steps in which the learning rate rises linearly from 0 first.
    accumulate_steps : int, default=1
        Batches whose mean gradient makes one step.
    averaging : {"ema", "asgd"} or None, default=None
        Averages the weights of many steps; the average is validated and kept instead of the last weights. "ema" is an
        exponential moving average. "asgd" is the plain mean from the epoch on whose validation score is worse than the
        best one more than `averaging_patience` epochs before (NT-ASGD, Merity et al. 2017); nothing stops early until
        then.
    averaging_decay : float, default=0.999
        Factor of the old average in each step, for "ema".
    averaging_patience : int, default=5
        Epochs, for "asgd".
    clip_norm : float or None, default=1.0
        Largest global norm of the gradient.
    alpha : float, default=0.0
        Weight decay.
    max_iter : int, default=10
        Largest number of epochs.
    early_stopping : bool, default=True
        Whether to stop after `n_iter_no_change` epochs without improvement on the validation text.
    validation_fraction : float, default=0.05
        Share of the text, at its end, that ``early_stopping=True`` sets aside for validation if `fit` gets no `X_val`.
    n_iter_no_change : int, default=2
        Epochs without improvement after which `early_stopping` stops.
    tol : float, default=1e-3
        Smallest improvement that counts, of the mean log likelihood of a token.
    warm_start : bool, default=False
        Whether `fit` continues from the weights and the vocabulary of the last `fit`.
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
        1 shows a progress bar on stderr: loss, perplexity of the validation text, tokens per second, and the time left
        for `max_iter` epochs. Where stderr is not a terminal, it writes a line an epoch, through `logging` (the logger
        ``fastrnn``, level INFO).
    recipe : {"awd"} or None, default=None
        Replaces default values of parameters by those of a paper. "awd" is AWD-LSTM (Merity et al. 2017):
        ``tie_weights=True, locked_dropout=True, dropout=0.25, input_dropout=0.4, output_dropout=0.4,
        embedding_dropout=0.1, weight_dropout=0.5, activity_penalty=2, temporal_activity_penalty=1, alpha=1.2e-6,
        bptt_length=70, random_bptt=True, optimizer="sgd", learning_rate_init=30, clip_norm=0.25, schedule="constant",
        averaging="asgd"``. It leaves sizes and `max_iter` alone: the paper has 3 layers of 1,150 units, embeddings of
        400, and hundreds of epochs.

    Attributes
    ----------
    vocabulary_ : Vocabulary
    n_iter_ : int
        Finished epochs.
    loss_curve_ : list of float
        Mean training loss of each epoch, in nats per token.
    validation_scores_ : list of float
        Mean log likelihood of a token of the validation text after each epoch.
    n_parameters_ : int
    nbytes_ : int
        Bytes of the parameters.

    See Also
    --------
    fastrnn.NGramLanguageModel : The model to beat; it has the same methods.

    Examples
    --------
    >>> from fastrnn import RNNLanguageModel
    >>> lines = ["the cat sat on the mat", "the dog sat on the log"] * 50
    >>> model = RNNLanguageModel(hidden_size=16, embedding_size=16, learning_rate_init=0.02, random_state=0).fit(lines)
    >>> model.predict(["the cat sat"])
    array(['on'], dtype=object)
    """

    def __init__(
        self,
        cell="lstm",
        embedding_size=128,
        hidden_size=128,
        num_layers=1,
        dropout=0.0,
        tie_weights=False,
        residual=False,
        locked_dropout=False,
        recurrent_dropout=0.0,
        zoneout=0.0,
        weight_dropout=0.0,
        proj_size=0,
        input_dropout=None,
        output_dropout=None,
        embedding_dropout=0.0,
        activity_penalty=0.0,
        temporal_activity_penalty=0.0,
        softmax="full",
        softmax_cutoffs=None,
        softmax_samples=2000,
        label_smoothing=0.0,
        tokenizer="words",
        lowercase=False,
        normalize=None,
        encoding="utf-8",
        min_count=1,
        max_vocab=None,
        vocabulary=None,
        bptt_length=35,
        bptt_stride=None,
        random_bptt=False,
        batch_size=20,
        carry_state=True,
        optimizer="adam",
        learning_rate_init=2e-3,
        schedule="plateau",
        warmup=0,
        accumulate_steps=1,
        averaging=None,
        averaging_decay=0.999,
        averaging_patience=5,
        clip_norm=1.0,
        alpha=0.0,
        max_iter=10,
        early_stopping=True,
        validation_fraction=0.05,
        n_iter_no_change=2,
        tol=1e-3,
        warm_start=False,
        random_state=None,
        n_jobs=None,
        device="cpu",
        precision="highest",
        verbose=0,
        recipe=None,
    ):
        self.cell = cell
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.tie_weights = tie_weights
        self.residual = residual
        self.locked_dropout = locked_dropout
        self.recurrent_dropout = recurrent_dropout
        self.zoneout = zoneout
        self.weight_dropout = weight_dropout
        self.proj_size = proj_size
        self.input_dropout = input_dropout
        self.output_dropout = output_dropout
        self.embedding_dropout = embedding_dropout
        self.activity_penalty = activity_penalty
        self.temporal_activity_penalty = temporal_activity_penalty
        self.softmax = softmax
        self.softmax_cutoffs = softmax_cutoffs
        self.softmax_samples = softmax_samples
        self.label_smoothing = label_smoothing
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.normalize = normalize
        self.encoding = encoding
        self.min_count = min_count
        self.max_vocab = max_vocab
        self.vocabulary = vocabulary
        self.bptt_length = bptt_length
        self.bptt_stride = bptt_stride
        self.random_bptt = random_bptt
        self.batch_size = batch_size
        self.carry_state = carry_state
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.schedule = schedule
        self.warmup = warmup
        self.accumulate_steps = accumulate_steps
        self.averaging = averaging
        self.averaging_decay = averaging_decay
        self.averaging_patience = averaging_patience
        self.clip_norm = clip_norm
        self.alpha = alpha
        self.max_iter = max_iter
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
        self.recipe = recipe

    def fit(self, X, y=None, X_val=None, *, checkpoint=None, checkpoint_minutes=None):
        """Learn from a text.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, file object, or ids
            A sentence, line or document each, in the order of the text; it is read once and kept as ids, in a temporary
            file if it is long. A `pathlib.Path` means the lines of a text file or of all ``.txt`` files of a folder, an
            open file its lines. Ids of the given `vocabulary`, each sentence closed by the id of ``</s>``, are an
            array, which may be mapped, or the path of a ``.npy`` file from `fastrnn.text.corpus.write_token_file`,
            which is read where it is needed.
        y : None
            Ignored.
        X_val : as X, default=None
            Text for validation after each epoch; the weights that predict it best are kept.
        checkpoint : str or os.PathLike, default=None
            File that is written after each epoch. If it exists when `fit` is called, training resumes from it, and ends
            with the same weights, bit for bit, as without the interruption; a finished training gives its result. A
            file of other data or parameters is refused. `max_iter` may have grown: training continues for the further
            epochs, unless it had stopped early. (With ``schedule="cosine"`` the learning rate continues as that of the
            new `max_iter`.) If the file cannot be written, training continues.
        checkpoint_minutes : float or None, default=None
            Minutes after which the file is written within an epoch too.

        Returns
        -------
        self : RNNLanguageModel

        Raises
        ------
        ValueError
            A parameter, the text or the checkpoint is not usable; or losses or outputs became infinite or NaN before
            the end of the first epoch. The model is as before.

        Warns
        -----
        ConvergenceWarning
            Training was interrupted (Ctrl-C) after a finished epoch, or losses, weights or outputs became infinite or
            NaN. The model has the best weights up to then.
        RuntimeWarning
            The checkpoint cannot be written.
        """
        settings = self._check_parameters()
        going_on = self.warm_start and hasattr(self, "network_")
        random_state = check_random_state(self.random_state)
        checkpoint = open_checkpoint(self, checkpoint, checkpoint_minutes, random_state, going_on)
        data = self._read_data(X, X_val, going_on=going_on, split=self.early_stopping)
        if checkpoint is not None:
            checkpoint.identify(**data.digests())
        return self._train(
            settings,
            data,
            going_on,
            self._new_optimizer(settings),
            random_state,
            max_iter=self.max_iter,
            schedule=settings.schedule,
            checkpoint=checkpoint,
            average=self._new_average(settings, data.validation),
        )

    def partial_fit(self, X, y=None):
        """Train for one epoch on a further text, at a constant learning rate.

        Parameters
        ----------
        X : as in `fit`
            The first call fixes the vocabulary.
        y : None
            Ignored.

        Returns
        -------
        self : RNNLanguageModel
        """
        settings = self._check_parameters()
        going_on = hasattr(self, "network_")
        data = self._read_data(X, going_on=going_on, split=False)
        optimizer = getattr(self, "_optimizer", None) or self._new_optimizer(settings)
        random_state = check_random_state(self.random_state)
        return self._train(settings, data, going_on, optimizer, random_state, max_iter=1, schedule="constant")

    def _stored_params(self):
        return {**super()._stored_params(), **self._fitted_params}

    def _get_learned(self):
        content = {"loss_curve": self.loss_curve_, "validation_scores": self.validation_scores_}
        return content, self.network_.get_arrays()

    def _set_learned(self, content, arrays):
        counts = arrays.get("output.counts")
        network = self._make_network(self._settings(), self.vocabulary_, check_random_state(0), counts)
        network.set_arrays(arrays)
        self._set_fitted(network, self.vocabulary_, None, History(*content.values()), False)
