"""Recurrent language models."""

import inspect
import math
import numbers
import types

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastrnn.exchange._language_model import ExchangeMixin
from fastrnn.language.base import BaseLanguageModel
from fastrnn.layers.dropout import check_probability
from fastrnn.networks.language import LanguageNetwork
from fastrnn.text.batching import SentenceBatches, StreamBatches, Streams, sentence_groups, shift_right
from fastrnn.text.corpus import count_tokens, digest, learn_vocabulary, read_corpus, replace_ids, split_end
from fastrnn.text.tokens import END_ID, SPECIAL_TOKENS, START_ID, close_sentences
from fastrnn.training import loop as training
from fastrnn.training.checkpoint import open_checkpoint
from fastrnn.training.optimizers import WeightAverage, make_optimizer
from fastrnn.utils.checks import check_choice, check_not_negative, check_positive_integer, check_training, shown

_SCORING_STEPS = 64  # steps that are run at once when a text is scored
_DRAWING_STEPS = 1024  # most tokens that are drawn in one go, an even number
_CONTEXTS = 256  # that are read at once
_SCORING_STREAM = 1000  # shortest stream into which a text is cut to be scored faster

# Parameters that the weights are bound to: if they are set after a fit, a file still has those of the fit.
_FIXED = ("cell", "embedding_size", "hidden_size", "num_layers", "tie_weights", "residual", "zoneout", "proj_size",
          "softmax", "softmax_cutoffs", "recipe")  # fmt: skip
# What a recipe sets the parameters to that are left at their defaults.
RECIPES = {
    "awd": {
        "tie_weights": True, "locked_dropout": True, "dropout": 0.25, "input_dropout": 0.4, "output_dropout": 0.4,
        "embedding_dropout": 0.1, "weight_dropout": 0.5, "activity_penalty": 2.0, "temporal_activity_penalty": 1.0,
        "alpha": 1.2e-6, "bptt_length": 70, "random_bptt": True, "optimizer": "sgd", "learning_rate_init": 30.0,
        "clip_norm": 0.25, "schedule": "constant", "averaging": "asgd",
    }
}  # fmt: skip


class RNNLanguageModel(ExchangeMixin, BaseLanguageModel):
    """Recurrent network that predicts the next token.

    Token ids → embedding → recurrent layers → dense → softmax; trained by truncated backpropagation through time
    (Werbos 1990; Mikolov et al. 2010), the state carried over from chunk to chunk. The loss is the mean cross-entropy a
    time step.

    Parameters
    ----------
    cell : str or cell, default="lstm"
        Name of the recurrent cell, see `fastrnn.layers.cells`, or an instance of a cell class of one's own.
    embedding_size, hidden_size : int, default=128
        Length of a token's vector, and number of hidden units of each layer.
    num_layers : int, default=1
        Recurrent layers on top of each other.
    dropout : float, default=0.0
        Probability of dropout on embeddings, between layers and on the output, in training (Zaremba et al. 2014).
    tie_weights : bool, default=False
        Whether the output layer's weight is the embedding (Press and Wolf 2017). Where sizes differ, the last layer's
        output is projected to `embedding_size`.
    residual : bool, default=False
        Whether the input of a layer is added to its output, from the second layer on.
    locked_dropout : bool, default=False
        Whether dropout is the same at every step of a batch (Gal and Ghahramani 2016).
    recurrent_dropout, zoneout, weight_dropout : float, default=0.0
        Dropout on h in the recurrent product, probability of a unit to keep its old value, and dropout on the recurrent
        weights, see `fastrnn.layers.Recurrent`.
    proj_size : int, default=0
        Length to which the hidden state is projected, for cells of the LSTM family; 0 does not.
    input_dropout, output_dropout : float or None, default=None
        Dropout on embeddings, and on the output of the last layer; None is `dropout`.
    embedding_dropout : float, default=0.0
        Probability that all occurrences of a token are zeroed in a batch.
    activity_penalty, temporal_activity_penalty : float, default=0.0
        Factors of the mean square of the last layer's output, and of its change from step to step (Merity et al. 2017).
        They act on the gradient; the losses that are reported are without them.
    softmax : {"full", "adaptive", "sampled"}, default="full"
        Output layer: over all tokens; in clusters by frequency, rare ones with shorter vectors (Grave et al. 2017); or
        over all, but trained on a sample of them (`loss_curve_` is that among the sample then). For vocabularies of
        some 50,000 tokens and more.
    softmax_cutoffs : sequence of int or None, default=None
        Ranks by frequency at which the clusters of ``softmax="adaptive"`` begin; None chooses two.
    softmax_samples : int, default=2000
        Tokens drawn for each batch with ``softmax="sampled"``.
    tokenizer : {"words", "whitespace", "chars", "bytes"}, callable or tokenizers.Tokenizer, default="words"
        What cuts texts into tokens.
    lowercase : bool, default=False
        Whether texts are converted to lower case first.
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None, default=None
        The normal form of Unicode that texts are brought into first, see `fastrnn.text.preprocess`.
    encoding : str, default="utf-8"
        The encoding of the text files that are read.
    min_count : int, default=1
        Tokens that appear less often are unknown.
    max_vocab : int or None, default=None
        Largest size of the vocabulary, the four special tokens included; the most frequent tokens are kept.
    vocabulary : Vocabulary or None, default=None
        A fitted vocabulary to be used as it is; None learns one from the text.
    bptt_length : int, default=35
        Time steps through which gradients go back.
    bptt_stride : int or None, default=None
        Time steps from one update to the next, at most `bptt_length`; None is `bptt_length`. With
        ``carry_state=True`` only.
    random_bptt : bool, default=False
        Whether the steps from update to update are drawn around `bptt_length`, or for one in twenty around half of it,
        and the learning rate is in proportion to them (Merity et al. 2017). With ``carry_state=True`` only.
    batch_size : int, default=20
        Streams (or sentences, with ``carry_state=False``) side by side.
    carry_state : bool, default=True
        Whether the sentences follow each other as in a running text, so that each begins with the state that the one
        before left, in training and in scoring. To be scored, a long text is cut into at most `batch_size` streams of
        at least 1,000 tokens, of which only the first begins with the text. Otherwise every sentence stands alone.
    optimizer : {"adam", "adamw", "sgd", "adagrad", "rmsprop"}, default="adam"
    learning_rate_init : float, default=2e-3
        The learning rate at the beginning.
    schedule : {"plateau", "cosine", "constant"}, default="plateau"
        How it goes on: divided by 4 after each epoch that does not improve; down to 0 over `max_iter` epochs along half
        a cosine wave; or as it is.
    warmup : int, default=0
        Steps in which it first rises from 0 in a straight line.
    accumulate_steps : int, default=1
        Batches whose mean gradient makes one step.
    averaging : {"ema", "asgd"} or None, default=None
        Whether a mean of the weights of many steps is validated and kept instead of the last ones: an exponential
        moving average; or the plain mean from the epoch on that is worse on the validation text than the best one more
        than `averaging_patience` epochs before (NT-ASGD, Merity et al. 2017), until when nothing stops early.
    averaging_decay : float, default=0.999
        Factor of the old average in each step, for "ema".
    averaging_patience : int, default=5
        Epochs, for "asgd".
    clip_norm : float or None, default=1.0
        Largest global norm of the gradient.
    alpha : float, default=0.0
        Weight decay.
    max_iter : int, default=10
        Most epochs.
    early_stopping : bool, default=True
        Whether to stop after `n_iter_no_change` epochs without improvement on the validation text.
    validation_fraction : float, default=0.05
        Share of the text, its end, that is set aside for validation with ``early_stopping=True`` if `fit` is not given
        an `X_val`.
    n_iter_no_change : int, default=2
    tol : float, default=1e-3
        Improvement of the mean log likelihood of a token that counts as one.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the vocabulary of the last `fit`.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Threads; None takes all cores, as far as the work is worth it. Results do not depend on it.
    device : {"cpu"}, default="cpu"
    verbose : int, default=0
        1 shows a progress bar on stderr: loss, perplexity of the validation text, tokens a second, and the time that is
        left of `max_iter` epochs. Where stderr is no terminal, it writes a line an epoch, through `logging` (the logger
        ``fastrnn``, level INFO).
    recipe : {"awd"} or None, default=None
        Sets parameters that have their default values to those of a paper. "awd" is AWD-LSTM (Merity et al. 2017):
        ``tie_weights=True, locked_dropout=True, dropout=0.25, input_dropout=0.4, output_dropout=0.4,
        embedding_dropout=0.1, weight_dropout=0.5, activity_penalty=2, temporal_activity_penalty=1, alpha=1.2e-6,
        bptt_length=70, random_bptt=True, optimizer="sgd", learning_rate_init=30, clip_norm=0.25, schedule="constant",
        averaging="asgd"``. Sizes and `max_iter` are left to you: the paper has 3 layers of 1,150 units, embeddings of
        400, and hundreds of epochs.

    Attributes
    ----------
    vocabulary_ : Vocabulary
    n_iter_ : int
        Finished epochs.
    loss_curve_ : list of float
        Mean training loss of each epoch, in nats a token.
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
        self.verbose = verbose
        self.recipe = recipe

    def fit(self, X, y=None, X_val=None, *, checkpoint=None, checkpoint_minutes=None):
        """Learn from a text.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, file object, or ids
            A sentence, line or document each, in the order of the text; it is read once and kept as ids, in a temporary
            file if it is long. Or the path (a `pathlib.Path`) of a text file with a sentence a line, or of a folder of
            such ``.txt`` files; or an open file. Or ids of the given `vocabulary`, every sentence closed by that of
            ``</s>``: an array, which may be mapped, or the path of a ``.npy`` file that
            `fastrnn.text.corpus.write_token_file` wrote, which is read where it is needed.
        y : None
            Ignored.
        X_val : as X, default=None
            Text to validate on after each epoch; the weights that predict it best are kept.
        checkpoint : str or os.PathLike, default=None
            File that is written after each epoch. If it is there when `fit` is called, the training goes on from it, to
            the same weights bit for bit as if it had not been interrupted; after the end of the training, to its
            result. A file of other data or parameters is refused. `max_iter` may be larger than it was: the training
            goes on for the further epochs, unless it had stopped early. (With ``schedule="cosine"`` the learning rate
            goes on as that of the new `max_iter` does there.) Where the file cannot be written, the training goes on.
        checkpoint_minutes : float or None, default=None
            Writes the file every so often within an epoch too.

        Returns
        -------
        self : RNNLanguageModel

        Raises
        ------
        ValueError
            A parameter, the text or the checkpoint is not usable; or the training came to infinite or NaN losses or
            outputs before an epoch was finished. The model is as before.

        Warns
        -----
        ConvergenceWarning
            The training was interrupted (Ctrl-C) after a finished epoch, or came to infinite or NaN losses, weights or
            outputs. The model has the best weights up to then.
        RuntimeWarning
            The checkpoint cannot be written.
        """
        settings = self._check_parameters()
        going_on = self.warm_start and hasattr(self, "network_")
        checkpoint = open_checkpoint(self, checkpoint, checkpoint_minutes, going_on)
        text, validation, vocabulary, counts = self._read(X, going_on, X_val is None and self.early_stopping)
        if X_val is not None:
            validation, _ = read_corpus(X_val, vocabulary, **self._text_options())
            if len(validation.ids) == 0:
                raise ValueError("X_val is empty: validation needs at least one sentence.")
        if checkpoint is not None:
            checkpoint.identify(
                X=digest(*text), X_val=digest(*(validation or ())), vocabulary=digest(vocabulary.tokens)
            )
        options = {"max_iter": self.max_iter, "schedule": settings.schedule, "checkpoint": checkpoint,
                   "average": self._new_average(settings, validation)}  # fmt: skip
        optimizer = self._new_optimizer(settings)
        return self._train(settings, text, validation, vocabulary, counts, going_on, optimizer, options)

    def partial_fit(self, X, y=None):
        """Take one epoch over a further text, at a constant learning rate.

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
        text, _, vocabulary, counts = self._read(X, going_on, False)
        optimizer = getattr(self, "_optimizer", None) or self._new_optimizer(settings)
        options = {"max_iter": 1, "schedule": "constant"}
        return self._train(settings, text, None, vocabulary, counts, going_on, optimizer, options)

    def _stored_params(self):
        return {**super()._stored_params(), **self._fitted_params}

    def _settings(self):
        """Return the parameters that are used: those of the recipe in the place of default values."""
        check_choice("recipe", self.recipe, (None, *RECIPES))
        params = self.get_params(deep=False)
        defaults = inspect.signature(RNNLanguageModel).parameters
        for name, value in RECIPES.get(self.recipe, {}).items():
            if params[name] == defaults[name].default:
                params[name] = value
        return types.SimpleNamespace(**params)

    def _new_optimizer(self, settings):
        return make_optimizer(
            settings.optimizer,
            learning_rate=settings.learning_rate_init,
            weight_decay=settings.alpha,
            n_jobs=self.n_jobs,
        )

    def _new_average(self, settings, validation):
        if settings.averaging is None:
            return None
        average = WeightAverage(settings.averaging, settings.averaging_decay, settings.averaging_patience, self.n_jobs)
        if not average.running and validation is None:
            raise ValueError("averaging='asgd' needs a validation text: X_val, or early_stopping=True.")
        return average

    def _read(self, X, going_on, split):
        """Read a text, learn its vocabulary unless there is one, and set its end aside if it is to be `split`.

        Returns
        -------
        text : Corpus
        validation : Corpus or None
        vocabulary : Vocabulary
        counts : int64 array (V,) or None
            How often each token appears in `text`; None if nothing had to be counted.
        """
        known = self.vocabulary_ if going_on else self.vocabulary
        text, vocabulary = read_corpus(X, known, **self._text_options())
        if len(text.ids) == 0:
            raise ValueError("X is empty: a language model needs at least one sentence.")
        text, validation = split_end(text, self.validation_fraction) if split else (text, None)
        if known is not None:
            return text, validation, vocabulary, None
        learned = learn_vocabulary(text.ids, vocabulary, self.min_count, self.max_vocab)
        if len(learned.vocabulary) == len(SPECIAL_TOKENS):
            raise ValueError(
                f"X has no token that appears min_count={self.min_count} times: there is nothing to learn."
            )
        text = replace_ids(text, learned.new_ids)
        validation = None if validation is None else replace_ids(validation, learned.new_ids)
        return text, validation, learned.vocabulary, learned.counts

    def _train(self, settings, text, validation, vocabulary, counts, going_on, optimizer, options):
        """Train a new network, or the one there is; set the learned attributes."""
        random_state = check_random_state(self.random_state)
        if going_on:
            network = self.network_
        else:
            if counts is None and settings.softmax != "full":  # the others depend on how frequent tokens are
                counts = count_tokens(text.ids, len(vocabulary))
            network = self._make_network(settings, vocabulary, random_state, counts)
        history = training.train(
            network,
            optimizer,
            self._epochs(settings, text, random_state),
            clip_norm=settings.clip_norm,
            validate=None if validation is None else lambda: float(self._log_probs(network, *validation).mean()),
            n_iter_no_change=settings.n_iter_no_change if self.early_stopping else None,
            tol=self.tol,
            warmup=settings.warmup,
            accumulate_steps=settings.accumulate_steps,
            rate_factor=(lambda batch: len(batch.inputs) / settings.bptt_length) if settings.random_bptt else None,
            is_finite=lambda n_batches: self._is_finite(network, *text, n_batches * settings.bptt_length),
            going_on=going_on,
            random_state=random_state,
            verbose=self.verbose,
            name=f"{self.cell} language model",
            unit="tokens",
            describe=lambda score: {"perplexity": f"{math.exp(min(-score, 99)):.1f}"},
            **options,
        )
        self._set_fitted(network, vocabulary, optimizer, history, going_on)
        return self

    def _check_parameters(self):
        """Return the parameters that are used; raise ValueError if one is wrong (some are checked by layers)."""
        self._check_text_parameters()
        settings = self._settings()
        for name in ("embedding_size", "hidden_size", "num_layers", "bptt_length", "batch_size", "max_iter",
                     "n_iter_no_change", "accumulate_steps", "averaging_patience"):  # fmt: skip
            check_positive_integer(name, getattr(settings, name))
        stride = settings.bptt_stride
        if stride is not None and not (isinstance(stride, numbers.Integral) and 1 <= stride <= settings.bptt_length):
            raise ValueError(f"bptt_stride must be None or an integer from 1 to bptt_length, got {shown(stride)}.")
        if settings.random_bptt and (stride is not None or not self.carry_state):
            raise ValueError("random_bptt=True needs carry_state=True and bptt_stride=None.")
        if not isinstance(settings.warmup, numbers.Integral) or settings.warmup < 0:
            raise ValueError(f"warmup must be an integer of at least 0, got {shown(settings.warmup)}.")
        for name in ("dropout", "input_dropout", "output_dropout"):
            if getattr(settings, name) is not None:
                check_probability(name, getattr(settings, name))
        for name in ("activity_penalty", "temporal_activity_penalty"):
            check_not_negative(name, getattr(settings, name))
        check_training(settings)
        return settings

    def _make_network(self, settings, vocabulary, random_state, counts):
        names = ("cell", "embedding_size", "hidden_size", "num_layers", "dropout", "tie_weights", "residual",
                 "locked_dropout", "recurrent_dropout", "zoneout", "weight_dropout", "proj_size", "input_dropout",
                 "output_dropout", "embedding_dropout", "softmax", "softmax_cutoffs", "softmax_samples",
                 "activity_penalty", "temporal_activity_penalty", "n_jobs")  # fmt: skip
        options = {name: getattr(settings, name) for name in names}
        return LanguageNetwork(len(vocabulary), random_state=random_state, counts=counts, **options)

    @property
    def _start_id(self):
        """The input from which a first token is predicted: a running text goes on from the end of what came before."""
        return END_ID if self.carry_state else START_ID

    def _epochs(self, settings, text, random_state):
        """Return a function that returns the batches of an epoch of a text."""
        ids, offsets = text
        if self.carry_state:
            streams = Streams(ids, self._start_id, min(self.batch_size, len(ids)))
            if settings.random_bptt:
                return lambda: StreamBatches(streams, settings.bptt_length, random_state=random_state)
            batches = StreamBatches(streams, settings.bptt_length, settings.bptt_stride)
            return lambda: batches

        def shuffled():
            groups = sentence_groups(offsets, self.batch_size, random_state)
            return SentenceBatches(ids, offsets, groups, START_ID, settings.bptt_length)

        return shuffled

    def _set_fitted(self, network, vocabulary, optimizer, history, going_on):
        """Set the learned attributes; a fit that goes on adds to the curves."""
        if network is not getattr(self, "network_", None):
            self._fitted_params = {name: getattr(self, name) for name in _FIXED}
        before = (self.loss_curve_, self.validation_scores_) if going_on else ([], [])
        self.network_, self.vocabulary_, self._optimizer = network, vocabulary, optimizer
        self.loss_curve_ = before[0] + history.loss_curve
        self.validation_scores_ = before[1] + history.validation_scores
        self.n_iter_ = len(self.loss_curve_)

    @property
    def n_parameters_(self):
        """Number of parameters."""
        check_is_fitted(self, "network_")
        return sum(array.size for array in self.network_.parameters.values())

    @property
    def nbytes_(self):
        """Bytes of the parameters."""
        check_is_fitted(self, "network_")
        return sum(array.nbytes for array in self.network_.parameters.values())

    def _log_probs(self, network, ids, offsets):
        """Return the natural log probability of every token of closed sentences, float64 (n_tokens,)."""
        if not self.carry_state:
            return self._log_probs_of_each(network, ids, offsets, self._start_id)
        streams = int(np.clip(len(ids) // _SCORING_STREAM, 1, self.batch_size))
        parts = network.log_probs(StreamBatches(Streams(ids, self._start_id, streams), _SCORING_STEPS))
        return np.concatenate(parts).T.reshape(-1)[: len(ids)] if parts else np.empty(0)

    def _log_probs_of_each(self, network, ids, offsets, start):
        """Do as `_log_probs`, each sentence by itself after a token `start`, which is an int or (n_sentences,)."""
        result = np.empty(len(ids))
        for group in sentence_groups(offsets, self.batch_size):
            parts = network.log_probs(SentenceBatches(ids, offsets, [group], start, _SCORING_STEPS))
            if not parts:  # sentences of no token
                continue
            together = np.concatenate(parts)
            for column, sentence in enumerate(group):
                begin, end = offsets[sentence], offsets[sentence + 1]
                result[begin:end] = together[: end - begin, column]
        return result

    def _is_finite(self, network, ids, offsets, steps):
        """Return whether log probabilities are finite at the beginning of a text, `steps` of as many streams."""
        end = min(len(ids), steps * self.batch_size)
        offsets = np.append(offsets[: np.searchsorted(offsets, end)], end)
        return bool(np.isfinite(self._log_probs(network, ids[: offsets[-1]], offsets)).all())

    def _token_log_probs(self, ids, offsets):
        return self._log_probs(self.network_, ids, offsets)

    def _sentence_log_probs(self, ids, offsets, bos=True):
        if bos:
            return self._log_probs_of_each(self.network_, ids, offsets, self._start_id)
        result, begins = np.empty(len(ids)), offsets[:-1]
        result[begins] = self._log_probs_of_nothing(ids[begins])
        rest = np.delete(ids, begins), offsets - np.arange(len(offsets))
        result[np.delete(np.arange(len(ids)), begins)] = self._log_probs_of_each(self.network_, *rest, ids[begins])
        return result

    def _log_probs_of_nothing(self, ids):
        """Return the log probabilities of ids (n,) where the network has read nothing: its output is all zeros."""
        zeros = np.zeros((len(ids), self.network_.recurrent.output_size), np.float32)
        return self.network_.output.log_probs(zeros, ids)

    @property
    def _tokens_at_once(self):
        return _DRAWING_STEPS if hasattr(self.network_.output, "packed") else 1

    def _draw_block(self, state, uniforms, choice):
        if self._tokens_at_once == 1:  # an adaptive softmax
            return super()._draw_block(state, uniforms, choice)
        with self.network_.held_weights():
            return self.network_.generate(state, uniforms, choice)

    def _held_weights(self):
        return super()._held_weights() if self._tokens_at_once == 1 else self.network_.held_weights()

    def _read_contexts(self, ids, offsets):
        ids, offsets = close_sentences(ids, offsets)  # what predicts the end of a context has read all of it
        blocks = [
            self._read_block(ids, offsets[begin : begin + _CONTEXTS + 1])
            for begin in range(0, max(1, len(offsets) - 1), _CONTEXTS)
        ]
        if len(blocks) == 1:
            return blocks[0]
        outputs, states = zip(*blocks, strict=True)
        if isinstance(states[0], tuple):
            states = tuple(np.concatenate(parts, axis=1) for parts in zip(*states, strict=True))
        else:
            states = np.concatenate(states, axis=1)
        return np.concatenate(outputs), states

    def _read_block(self, ids, offsets):
        """Return the state before the last token of each sentence; all are read at once, some steps at a time."""
        n = len(offsets) - 1
        h, state = np.zeros((n, self.network_.recurrent.output_size), np.float32), None
        for batch in SentenceBatches(ids, offsets, [np.arange(n)], self._start_id, _SCORING_STEPS):
            y, state = self.network_.hidden(batch.inputs, state, batch.lengths)
            (rows,) = np.nonzero(batch.lengths)
            h[rows] = y[batch.lengths[rows] - 1, rows]
        return h, state

    def _next_probabilities(self, state):
        return self.network_.output.probabilities(state[0]).astype(np.float64)

    def _advance(self, state, ids):
        y, state = self.network_.hidden(ids[None], state[1])
        return y[0], state

    def _read_on(self, state, ids):
        for begin in range(0, len(ids), _SCORING_STEPS):
            y, recurrent = self.network_.hidden(ids[begin : begin + _SCORING_STEPS, np.newaxis], state[1])
            state = y[-1], recurrent
        return state

    def _step(self, state, ids):
        return self.network_.output.log_probs(state[0], ids), self._advance(state, ids)

    def _continuation_log_probs(self, state, ids):
        (h, recurrent), result = state, np.empty(ids.shape)
        for begin in range(0, ids.shape[1], _SCORING_STEPS):
            part = np.ascontiguousarray(ids[:, begin : begin + _SCORING_STEPS].T)
            y, recurrent = self.network_.hidden(part, recurrent)
            before = np.concatenate([h[np.newaxis], y[:-1]])
            result[:, begin : begin + len(part)] = self.network_.output.log_probs(before, part).T
            h = y[-1]
        return result

    def _distributions(self, ids):
        inputs, state = shift_right(ids, self._start_id)[:, np.newaxis], None
        for begin in range(0, len(ids), _SCORING_STEPS):
            y, state = self.network_.hidden(inputs[begin : begin + _SCORING_STEPS], state)
            yield self.network_.output.probabilities(y[:, 0])

    def _next_sentence(self, state):
        return state if self.carry_state else super()._next_sentence(state)

    def _is_state(self, state):
        if not isinstance(state, tuple) or len(state) != 2:
            return False
        (h, recurrent), layer = state, self.network_.recurrent
        parts = recurrent if isinstance(recurrent, tuple) else (recurrent,)
        return np.shape(h) == (1, layer.output_size) and [np.shape(part)[:2] for part in parts] == [
            (layer.num_layers, 1)
        ] * len(layer.cell.states)

    def _take(self, state, rows):
        h, recurrent = state
        if isinstance(recurrent, tuple):
            return h[rows], tuple(part[:, rows] for part in recurrent)
        return h[rows], recurrent[:, rows]

    def _get_learned(self):
        content = {"loss_curve": self.loss_curve_, "validation_scores": self.validation_scores_}
        return content, {**self.network_.parameters, **self.network_.buffers}

    def _set_learned(self, content, arrays):
        counts = arrays.get("output.counts")
        network = self._make_network(self._settings(), self.vocabulary_, check_random_state(0), counts)
        for name, array in network.parameters.items():
            array[...] = arrays[name]
        self._set_fitted(network, self.vocabulary_, None, training.History(*content.values()), False)
