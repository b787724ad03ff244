"""Recurrent language models."""

import itertools
import numbers

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastrnn import training
from fastrnn.base import BaseLanguageModel, close_sentences
from fastrnn.batching import contiguous_streams, sentence_batches, sentence_groups, stream_batches
from fastrnn.kernels.generation import generate
from fastrnn.kernels.sampling import make_choice
from fastrnn.kernels.threads import new_board, run_kernel, split, worth
from fastrnn.layers import Dropout, Embedding, Recurrent, Softmax, activity_penalty, temporal_activity_penalty
from fastrnn.optimizers import make_optimizer
from fastrnn.text import END_ID, PAD_ID, START_ID, UNK_ID, Vocabulary, tokenize_corpus

_SCORING_STEPS = 64  # steps that are run at once when a text is scored
_DRAWING_STEPS = 128  # tokens that are drawn in one go, an even number; then texts that have ended are dropped
_SCORING_STREAM = 1000  # shortest stream into which a text is cut to be scored faster


class _Network:
    """Embedding, recurrent layers and softmax, with dropout between them."""

    def __init__(self, vocabulary_size, embedding_size, hidden_size, dropout, tie_weights, embedding_dropout,
                 locked_dropout, activity_penalty, temporal_activity_penalty, random_state, n_jobs,
                 **recurrent):  # fmt: skip
        options = {"random_state": random_state, "n_jobs": n_jobs}
        self.embedding = Embedding(vocabulary_size, embedding_size, dropout=embedding_dropout, **options)
        self.recurrent = Recurrent(input_size=embedding_size, hidden_size=hidden_size, dropout=dropout,
                                   locked_dropout=locked_dropout, **recurrent, **options)  # fmt: skip
        self.output = Softmax(hidden_size, vocabulary_size, **options)
        self.dropouts = Dropout(dropout, locked_dropout, **options), Dropout(dropout, locked_dropout, **options)
        self.penalties = activity_penalty, temporal_activity_penalty
        self.tie_weights = tie_weights
        if tie_weights:
            # As an output, a standard normal start would begin with logits of size √H.
            self.embedding.parameters["weight"] *= 0.05
            self.output.tie(self.embedding)
        self._state = None

    def _named(self, attribute):
        """Return parameters or gradients of all layers in one dict; a tied weight stands under the embedding only."""
        arrays = {}
        for name in ("embedding", "recurrent", "output"):
            for key, array in getattr(getattr(self, name), attribute).items():
                if not (self.tie_weights and (name, key) == ("output", "weight")):
                    arrays[f"{name}.{key}"] = array
        return arrays

    @property
    def parameters(self):
        """All parameters by name."""
        return self._named("parameters")

    @property
    def grads(self):
        """All gradients by name."""
        return self._named("grads")

    def sparse_rows(self):
        """Return the rows of the embedding's gradient that are not zero."""
        return {} if self.embedding.rows is None else {"embedding.weight": self.embedding.rows}

    def train_step(self, batch):
        """Set the gradients of a batch; return the mean cross-entropy of its targets, and their number."""
        for layer in (self.embedding, self.recurrent, self.output):
            layer.zero_grad()
        state = None if batch.fresh else self._state
        if batch.advance < len(batch.inputs):  # the next batch begins within this one
            _, following = self.hidden(batch.inputs[: batch.advance], state)
        x = self.dropouts[0].forward(self.embedding.forward(batch.inputs, training=True), training=True)
        y, last = self.recurrent.forward(x, state, batch.lengths, training=True, check_finite=False)
        self._state = following if batch.advance < len(batch.inputs) else last
        h = self.dropouts[1].forward(y, training=True)
        count = int(np.count_nonzero(batch.targets >= 0))
        loss, dh = self.output.loss_and_gradient(h, batch.targets, 1 / max(count, 1))
        dy = self._penalized(self.dropouts[1].backward(self._penalized(dh, h, 0)), y, 1)
        dx, _ = self.recurrent.backward(dy)
        self.embedding.backward(self.dropouts[0].backward(dx))
        return loss, count

    def _penalized(self, gradient, y, which):
        """Add the gradient of the activity penalty (0) or of the temporal one (1), which are not part of the loss."""
        if not self.penalties[which]:
            return gradient
        penalty = (activity_penalty, temporal_activity_penalty)[which]
        return gradient + penalty(y, self.penalties[which])[1]

    def hidden(self, inputs, state=None, lengths=None):
        """Return the outputs of the last recurrent layer (T, B, H), and the state after them."""
        return self.recurrent.forward(self.embedding.forward(inputs), state, lengths, check_finite=False)

    def generate(self, state, output, uniforms, choice):
        """Draw tokens from a state (h, recurrent state) on, under `held_weights`: one for each of `uniforms`.

        Returns the tokens (T, n), `END_ID` behind the end of a text, and the state after them. T must be even if the
        state is to be used.
        """
        (steps, batch), (panels, bias), embedding = uniforms.shape, output, self.embedding.parameters["weight"]
        layers, schedules = self.recurrent.step_arrays(state[1], batch)
        h = layers[-1].y.values
        h[...] = state[0]
        drawn = np.empty((steps, batch), np.int32)
        logits, p = np.empty((batch, len(bias)), h.dtype), np.empty((batch, len(embedding)))
        never = np.array([PAD_ID, UNK_ID, START_ID])
        weights = panels.size + sum(array.size for array in self.recurrent.parameters.values())
        calls = [
            (drawn, h, layers, self.recurrent.cell, schedules, embedding, panels, bias, logits, p, uniforms, choice,
             never, END_ID, self.recurrent.residual, new_board(1), first, last)
            for first, last in split(batch, worth(self.recurrent.n_jobs, 2 * steps * batch * weights))
        ]  # fmt: skip
        run_kernel(generate, calls)
        states = [
            np.stack([layer.memory.states[k, :batch, : part.shape[-1]] for layer in layers])
            for k, part in enumerate(state[1] if isinstance(state[1], tuple) else (state[1],))
        ]
        return drawn, (h.copy(), tuple(states) if isinstance(state[1], tuple) else states[0])

    def log_probs(self, batches):
        """Return the log probabilities of the targets of successive batches, (T, B) each."""
        state, results = None, []
        for batch in batches:
            h, state = self.hidden(batch.inputs, None if batch.fresh else state, batch.lengths)
            results.append(self.output.log_probs(h, batch.targets))
        return results


class RNNLanguageModel(BaseLanguageModel):
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
        Whether the output layer's weight is the embedding (Press and Wolf 2017); needs equal sizes.
    residual : bool, default=False
        Whether the input of a layer is added to its output, from the second layer on.
    locked_dropout : bool, default=False
        Whether dropout is the same at every step of a batch (Gal and Ghahramani 2016).
    recurrent_dropout, zoneout, weight_dropout : float, default=0.0
        Dropout on h in the recurrent product, probability of a unit to keep its old value, and dropout on the recurrent
        weights, see `fastrnn.layers.Recurrent`.
    embedding_dropout : float, default=0.0
        Probability that all occurrences of a token are zeroed in a batch.
    activity_penalty, temporal_activity_penalty : float, default=0.0
        Factors of the mean square of the last layer's output, and of its change from step to step (Merity et al. 2017).
        They act on the gradient; the losses that are reported are without them.
    tokenizer : {"words", "whitespace", "chars"} or callable, default="words"
        What cuts texts into tokens.
    lowercase : bool, default=False
        Whether texts are converted to lower case first.
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
    batch_size : int, default=20
        Streams (or sentences, with ``carry_state=False``) side by side.
    carry_state : bool, default=True
        Whether the sentences follow each other as in a running text, so that each begins with the state that the one
        before left, in training and in scoring. To be scored, a long text is cut into at most `batch_size` streams of
        at least 1,000 tokens, of which only the first begins with the text. Otherwise every sentence stands alone.
    optimizer : {"adam", "adamw", "sgd", "adagrad", "rmsprop"}, default="adam"
    learning_rate_init : float, default=2e-3
        The learning rate at the beginning; it is divided by 4 after each epoch that does not improve.
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
        1 shows a progress bar on stderr, if that is a terminal.

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
        embedding_dropout=0.0,
        activity_penalty=0.0,
        temporal_activity_penalty=0.0,
        tokenizer="words",
        lowercase=False,
        min_count=1,
        max_vocab=None,
        vocabulary=None,
        bptt_length=35,
        bptt_stride=None,
        batch_size=20,
        carry_state=True,
        optimizer="adam",
        learning_rate_init=2e-3,
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
        self.embedding_dropout = embedding_dropout
        self.activity_penalty = activity_penalty
        self.temporal_activity_penalty = temporal_activity_penalty
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.min_count = min_count
        self.max_vocab = max_vocab
        self.vocabulary = vocabulary
        self.bptt_length = bptt_length
        self.bptt_stride = bptt_stride
        self.batch_size = batch_size
        self.carry_state = carry_state
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
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

    def fit(self, X, y=None, X_val=None):
        """Learn from a text.

        Parameters
        ----------
        X : iterable of (str or list of str)
            A sentence, line or document each, in the order of the text.
        y : None
            Ignored.
        X_val : iterable of (str or list of str), default=None
            Text to validate on after each epoch; the weights that predict it best are kept.

        Returns
        -------
        self : RNNLanguageModel

        Raises
        ------
        ValueError
            A parameter or the text is not usable.

        Warns
        -----
        ConvergenceWarning
            The training was interrupted (Ctrl-C) after a finished epoch, or the loss became infinite or NaN. The model
            has the best weights up to then.
        """
        self._check_parameters()
        sentences = self._read_training_text(X)
        validation = None if X_val is None else tokenize_corpus(X_val, self.tokenizer, self.lowercase)
        if validation is not None and not validation:
            raise ValueError("X_val is empty: validation needs at least one sentence.")
        if validation is None and self.early_stopping:
            sentences, validation = _split_end(sentences, self.validation_fraction)
        going_on = self.warm_start and hasattr(self, "network_")
        return self._train(sentences, validation, going_on, self._new_optimizer(), self.max_iter)

    def partial_fit(self, X, y=None):
        """Take one epoch over a further text.

        Parameters
        ----------
        X : iterable of (str or list of str)
            A sentence, line or document each. The first call fixes the vocabulary.
        y : None
            Ignored.

        Returns
        -------
        self : RNNLanguageModel
        """
        self._check_parameters()
        sentences = self._read_training_text(X)
        optimizer = getattr(self, "_optimizer", None) or self._new_optimizer()
        return self._train(sentences, None, hasattr(self, "network_"), optimizer, max_iter=1)

    def _new_optimizer(self):
        return make_optimizer(self.optimizer, learning_rate=self.learning_rate_init, weight_decay=self.alpha)

    def _train(self, sentences, validation, going_on, optimizer, max_iter):
        """Train a new network, or the one there is, on token lists; set the learned attributes."""
        vocabulary = self.vocabulary_ if going_on else self._make_vocabulary(sentences)
        text = close_sentences(*vocabulary.encode_corpus(sentences))
        held_out = None if validation is None else close_sentences(*vocabulary.encode_corpus(validation))
        random_state = check_random_state(self.random_state)
        network = self.network_ if going_on else self._make_network(vocabulary, random_state)
        history = training.train(
            network,
            optimizer,
            self._epochs(*text, random_state),
            max_iter=max_iter,
            clip_norm=self.clip_norm,
            validate=None if held_out is None else lambda: float(self._log_probs(network, *held_out).mean()),
            n_iter_no_change=self.n_iter_no_change if self.early_stopping else None,
            tol=self.tol,
            progress=self.verbose > 0,
            name=f"{self.cell} language model",
        )
        self._set_fitted(network, vocabulary, optimizer, history, going_on)
        return self

    def _check_parameters(self):
        """Raise ValueError if a parameter is wrong; those of layers and optimizer are checked there."""
        self._check_text_parameters()
        for name in ("embedding_size", "hidden_size", "num_layers", "bptt_length", "batch_size", "max_iter",
                     "n_iter_no_change"):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
        stride = self.bptt_stride
        if stride is not None and not (isinstance(stride, numbers.Integral) and 1 <= stride <= self.bptt_length):
            raise ValueError(f"bptt_stride must be None or an integer from 1 to bptt_length, got {stride!r}.")
        for name in ("activity_penalty", "temporal_activity_penalty", "alpha"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < np.inf:
                raise ValueError(f"{name} must be a number of at least 0, got {value!r}.")
        if self.clip_norm is not None and not (isinstance(self.clip_norm, numbers.Real) and self.clip_norm > 0):
            raise ValueError(f"clip_norm must be None or a number above 0, got {self.clip_norm!r}.")
        if not (isinstance(self.validation_fraction, numbers.Real) and 0 < self.validation_fraction < 1):
            raise ValueError(f"validation_fraction must be between 0 and 1, got {self.validation_fraction!r}.")
        if self.tie_weights and self.embedding_size != self.hidden_size:
            raise ValueError(
                f"tie_weights=True needs embedding_size and hidden_size to be equal, got {self.embedding_size} and "
                f"{self.hidden_size}."
            )
        if self.device != "cpu":
            raise ValueError(f"device must be 'cpu', got {self.device!r}.")

    def _make_vocabulary(self, sentences):
        """Return the given vocabulary, or one learned from the training text."""
        if self.vocabulary is not None:
            return self.vocabulary
        vocabulary = Vocabulary(self.min_count, self.max_vocab).fit(sentences)
        if len(vocabulary) == len(Vocabulary()):
            raise ValueError(
                f"X has no token that appears min_count={self.min_count} times: there is nothing to learn."
            )
        return vocabulary

    def _make_network(self, vocabulary, random_state):
        names = ("cell", "embedding_size", "hidden_size", "num_layers", "dropout", "tie_weights", "residual",
                 "locked_dropout", "recurrent_dropout", "zoneout", "weight_dropout", "embedding_dropout",
                 "activity_penalty", "temporal_activity_penalty", "n_jobs")  # fmt: skip
        options = {name: getattr(self, name) for name in names}
        return _Network(len(vocabulary), random_state=random_state, **options)

    def _start(self):
        """Return what is fed in before a first token: a running text goes on from the end of what came before."""
        return END_ID if self.carry_state else START_ID

    def _epochs(self, ids, offsets, random_state):
        """Return a function that returns the batches of an epoch of a text."""
        if self.carry_state:
            streams = contiguous_streams(ids, self._start(), min(self.batch_size, len(ids)))
            batches = stream_batches(*streams, self.bptt_length, self.bptt_stride)
            return lambda: batches

        def shuffled():
            groups = sentence_groups(offsets, self.batch_size, random_state)
            return [
                batch for group in groups for batch in sentence_batches(ids, offsets, group, START_ID, self.bptt_length)
            ]

        return shuffled

    def _set_fitted(self, network, vocabulary, optimizer, history, going_on):
        """Set the learned attributes; a fit that goes on adds to the curves."""
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
        if self.carry_state:
            streams = int(np.clip(len(ids) // _SCORING_STREAM, 1, self.batch_size))
            inputs, targets = contiguous_streams(ids, self._start(), streams)
            parts = network.log_probs(stream_batches(inputs, targets, _SCORING_STEPS))
            return np.concatenate(parts).T.reshape(-1)[: len(ids)] if parts else np.empty(0)
        result = np.empty(len(ids))
        for group in sentence_groups(offsets, self.batch_size):
            parts = network.log_probs(sentence_batches(ids, offsets, group, START_ID, _SCORING_STEPS))
            together = np.concatenate(parts)
            for column, sentence in enumerate(group):
                begin, end = offsets[sentence], offsets[sentence + 1]
                result[begin:end] = together[: end - begin, column]
        return result

    def _token_log_probs(self, ids, offsets):
        return self._log_probs(self.network_, ids, offsets)

    def _draw(self, state, n_samples, max_length, temperature, top_k, top_p, random_state):
        choice = make_choice(temperature, top_k, top_p, len(self.vocabulary_))
        parts, texts = [], np.arange(n_samples)
        with self.network_.recurrent.held_weights():
            output = self.network_.output.packed()
            while max_length and texts.size:
                steps = min(max_length, _DRAWING_STEPS)
                uniforms = random_state.random_sample((steps, len(texts)))
                drawn, state = self.network_.generate(state, output, uniforms, choice)
                parts.append((texts, drawn))
                going_on = np.flatnonzero(drawn[-1] != END_ID)
                texts, state, max_length = texts[going_on], self._take(state, going_on), max_length - steps
        ids = [[] for _ in range(n_samples)]
        for texts, drawn in parts:
            for text, column in zip(texts, drawn.T.tolist(), strict=True):
                ids[text] += column[: column.index(END_ID)] if END_ID in column else column
        return ids

    def _read_contexts(self, ids, offsets):
        lengths = np.diff(offsets) + 1
        inputs = np.zeros((lengths.max(initial=1), len(lengths)), np.int32)
        inputs[0] = self._start()
        for column, (begin, end) in enumerate(itertools.pairwise(offsets)):
            inputs[1 : end - begin + 1, column] = ids[begin:end]
        y, state = self.network_.hidden(inputs, lengths=lengths)
        return y[lengths - 1, np.arange(len(lengths))], state

    def _next_probabilities(self, state):
        return self.network_.output.probabilities(state[0]).astype(np.float64)

    def _advance(self, state, ids):
        y, state = self.network_.hidden(ids[None], state[1])
        return y[0], state

    def _next_sentence(self, state):
        return state if self.carry_state else super()._next_sentence(state)

    def _take(self, state, rows):
        h, recurrent = state
        if isinstance(recurrent, tuple):
            return h[rows], tuple(part[:, rows] for part in recurrent)
        return h[rows], recurrent[:, rows]

    def _get_learned(self):
        content = {"loss_curve": self.loss_curve_, "validation_scores": self.validation_scores_}
        return content, self.network_.parameters

    def _set_learned(self, content, arrays):
        network = self._make_network(self.vocabulary_, check_random_state(0))
        for name, array in network.parameters.items():
            array[...] = arrays[name]
        self._set_fitted(network, self.vocabulary_, None, training.History(*content.values()), False)


def _split_end(sentences, fraction):
    """Split the end off a text: whole sentences, or tokens of the only one."""
    if len(sentences) > 1:
        cut = max(1, round(len(sentences) * (1 - fraction)))
        cut = min(cut, len(sentences) - 1)
        return sentences[:cut], sentences[cut:]
    (only,) = sentences
    cut = round(len(only) * (1 - fraction))
    if not 0 < cut < len(only):
        raise ValueError(
            "X is too short to set a part aside for validation: give fit an X_val or set early_stopping=False."
        )
    return [only[:cut]], [only[cut:]]
