"""The base class of estimators that write sequences: training on pairs, prediction, probabilities, attention."""

import abc
import collections.abc
import math
import numbers
from typing import NamedTuple

import numpy as np

from fastrnn.estimators.base import Learned
from fastrnn.estimators.examples import check_lengths, check_sample_weight, warn_of_cut
from fastrnn.estimators.recurrent import RecurrentSequenceEstimator
from fastrnn.estimators.sequences import Sequences
from fastrnn.language.search import beam_search
from fastrnn.networks.decoder import PairBatch
from fastrnn.text.normalization import check_preprocessing
from fastrnn.text.reading import is_file_object
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.text.tokens import END_ID, NEVER_WRITTEN, START_ID, close_sentences
from fastrnn.training.averaging import WeightAverage
from fastrnn.training.schedule import SCHEDULES
from fastrnn.translation.pairs import Pairs
from fastrnn.translation.texts import READING, TextTarget, of_side, side_options
from fastrnn.utils.brief import BriefHelpMixin
from fastrnn.utils.checks import check_choice, check_fitted, check_positive_integer, shown
from fastrnn.utils.ragged import offsets_of, parts_of

ATTENTIONS = ("additive", "dot", "general", None)
_CALIBRATION = 20  # tokens of a prediction more than of the longest target of the training


class Alignment(NamedTuple):
    """Where a decoder looked while it wrote a sequence.

    Attributes
    ----------
    sources : list of str or None
        The S tokens of the source; None if it is not made of tokens.
    targets : list of str
        The T tokens that were written, ``</s>`` last.
    weights : float32 array (T, S)
        The share of each of the source's vectors in the context from which a token was predicted; each row adds up to
        1.
    """

    sources: list | None
    targets: list
    weights: np.ndarray


class SequenceWriter(BriefHelpMixin, RecurrentSequenceEstimator):
    """Base class of estimators whose network writes a sequence of tokens for each source.

    A subclass has a constructor that calls `_store`, and writes `_learn_data`, `_restored_reader`, `_read_sources` and
    `_make_network`.
    """

    input, embedding, freeze_embedding = "text", None, False
    _fixed = (*READING, "cell", "hidden_size", "embedding_size", "num_layers", "attention", "input_feeding",
              "tie_weights", "zoneout", "residual")  # fmt: skip
    _network_parameters = (
        "cell", "embedding_size", "hidden_size", "num_layers", "attention", "input_feeding", "tie_weights",
        "label_smoothing", "dropout", "embedding_dropout", "locked_dropout", "recurrent_dropout", "zoneout",
        "weight_dropout", "residual", "n_jobs", "device", "precision",
    )  # fmt: skip
    _unit, _schedule = "tokens", property(lambda self: self.schedule)
    _fewest_batches, _fewest_epochs = 4000, 4

    @abc.abstractmethod
    def _learn_data(self, X, y):
        """Return a reader of sources, the sources of X, and a `TextTarget`, which are learned from pairs."""

    @abc.abstractmethod
    def _make_network(self, reader, target, vectors, random_state):
        """Return a new `DecoderNetwork`; `vectors` is None."""

    def _target_options(self):
        """Return the options of reading targets, see `fastrnn.translation.texts.side_options`."""
        return {**side_options(self, 1), "vocab_size": of_side(self.vocab_size, 1)}

    def _target_limits(self):
        """Return the limits of the vocabulary of targets."""
        return of_side(self.min_count, 1), of_side(self.max_vocab, 1)

    def _learn_target(self, y, classes):
        raise NotImplementedError("`_learn_data` learns the targets.")

    # ------------------------------------------------------------------------------------------------------ training

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, *, checkpoint=None, checkpoint_minutes=None):
        """Learn from pairs of a source and a target.

        Parameters
        ----------
        X : sources, see the class
        y : list of str or list of list of str
            A target for each source, a text or its tokens. Predictions are texts or lists of tokens accordingly. An
            empty target is allowed: the model learns to write nothing. A source with several targets occurs as often.
        sample_weight : array-like (n,), default=None
            Weight of each pair: of each token of its target.
        X_val, y_val : as X and y, default=None
            Validation data, used after each epoch: the weights that predict it best are kept.
        checkpoint : str or os.PathLike, default=None
            File that is written after each epoch, see `RNNClassifier.fit`.
        checkpoint_minutes : float or None, default=None
            Minutes after which the file is written within an epoch too.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            A parameter, the data or the checkpoint cannot be used: numbers of sources and targets differ, for instance;
            or losses or outputs became infinite or NaN before an epoch was finished. The model is unchanged.

        Warns
        -----
        UserWarning
            Some sequences are longer than `max_length`.
        ConvergenceWarning
            The training was interrupted (Ctrl-C) after a finished epoch, or losses, weights or outputs became infinite
            or NaN. The model has the best weights up to then.
        RuntimeWarning
            The checkpoint cannot be written.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, checkpoint, checkpoint_minutes)

    def partial_fit(self, X, y, sample_weight=None):
        """Train one epoch on further pairs, at a constant learning rate.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`
            The first call fixes the vocabularies.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, None, sample_weight)

    def _learn(self, X, y, classes, sample_weight, learned, random_state):
        """Return the earlier `Learned` or a new one, and the training pairs."""
        if y is None:
            raise ValueError("This estimator requires y to be passed, but the target y is None.")
        X, y = _read_once(X), _read_once(y)
        if learned is None:
            reader, sources, target = self._learn_data(X, y)
        else:
            reader, target = learned.reader, learned.target
            sources = reader.read(X)
        closed = target.encode(y)
        check_lengths("X and y", X, sources, closed)
        weights = check_sample_weight(sample_weight, len(closed))
        targets = target.cut(closed)
        warn_of_cut(sources, reader.options, "X")
        warn_of_cut(targets, {**target.options, "truncation": "end"}, "y")
        if learned is None:
            learned = Learned(reader, target, self._make_network(reader, target, None, random_state), [], [])
        weights = (weights / weights.mean()).astype(np.float32)
        return learned, Pairs(sources, targets, weights, np.flatnonzero(weights > 0))

    def _validation_examples(self, learned, X, y):
        X, y = _read_once(X), _read_once(y)
        sources, targets = learned.reader.read(X), learned.target.encode(y, "y_val")
        warn_of_cut(sources, learned.reader.options, "X_val")
        check_lengths("X_val and y_val", X, sources, targets)
        return Pairs(sources, targets, np.ones(len(targets), np.float32), np.arange(len(targets)))

    def _further_options(self, held_out):
        average = None
        if self.averaging is not None:
            average = WeightAverage(self.averaging, self.averaging_decay, n_jobs=self.n_jobs, device=self.device)
            if not average.running and held_out is None:
                raise ValueError("averaging='asgd' needs validation data: X_val and y_val, or early_stopping=True.")
        return {"average": average, "warmup": self.warmup}

    def _describe(self, score):
        return {"valid": f"{-score:.3f}", "perplexity": f"{math.exp(min(-score, 99)):.2f}"}

    def _is_finite(self, network, examples, n_batches):
        """Return whether the log probabilities are finite for the longest targets."""
        lengths = examples.targets.lengths[examples.rows]
        longest = examples.rows[np.argsort(-lengths, kind="stable")[: n_batches * self.batch_size]]
        groups = self._groups(examples, longest)
        return all(np.isfinite(network.log_probs(examples.batch(rows))).all() for rows in groups)

    def _set_inputs(self):
        self.target_vocabulary_ = self._target.vocabulary

    # ---------------------------------------------------------------------------------------------------- prediction

    def _read(self, X):
        """Return the sources of X."""
        check_fitted(self, "network_")
        sources = self._reader.read(_read_once(X))
        warn_of_cut(sources, self._reader.options, "X")
        self.network_.held_weights().keep()
        return sources

    def predict(self, X, *, beam_width=5, max_length=None, length_penalty=0.0):
        """Return the most probable target of each source.

        Parameters
        ----------
        X : as in `fit`
        beam_width : int, default=5
            Number of hypotheses that the search follows; 1 takes the most probable token at each step.
        max_length : int or None, default=None
            Most tokens of a prediction; None allows a few more than the longest target of the training had.
        length_penalty : float, default=0.0
            Power of its length by which the log probability of a hypothesis is divided.

        Returns
        -------
        list of str or list of list of str
            As the targets of the training were given.
        """
        X = _read_once(X)
        sources = self._read(X)
        found = self._search(sources, beam_width, max_length, length_penalty)
        return self._target.decode(self._found_tokens(X, sources, found))

    def _found_tokens(self, X, sources, found):
        """Return the tokens of predictions, lists of ids."""
        return list(map(self._target.vocabulary.decode, found))

    def _search(self, sources, beam_width=5, max_length=None, length_penalty=0.0):
        """Return the ids of the most probable target of each source, without the end."""
        check_positive_integer("beam_width", beam_width)
        most = self._target.longest + _CALIBRATION if max_length is None else max_length
        check_positive_integer("max_length", most)
        network, found = self.network_, [None] * len(sources)
        for rows in self._groups(sources, np.arange(len(sources))):
            state = network.start(PairBatch(sources, rows))
            candidates = beam_search(
                network.advance(state, np.full(len(rows), START_ID)), network.advance, network.take, end_id=END_ID,
                beam_width=beam_width, max_length=most, length_penalty=length_penalty, forbidden=self._forbidden(),
            )  # fmt: skip
            for row, (best, *_) in zip(rows.tolist(), candidates, strict=True):
                found[row] = best.ids
        return found

    def _forbidden(self):
        """Return the tokens that are never written."""
        return list(NEVER_WRITTEN)

    def _pairs(self, X, Y):
        """Return X and its targets Y as `Pairs`; nothing of a target is cut."""
        X, Y = _read_once(X), _read_once(Y)
        sources, targets = self._read(X), self._target.encode(Y, "Y")
        check_lengths("X and Y", X, sources, targets)
        return Pairs(sources, targets, np.ones(len(targets), np.float32), np.arange(len(targets)))

    def predict_log_proba(self, X, Y):
        """Return the log probability of each token of given targets.

        Parameters
        ----------
        X, Y : as X and y in `fit`

        Returns
        -------
        list of float64 array (T_i,)
            Natural logarithms, of the end of the target too. A token that the model does not know counts as ``<unk>``.
        """
        pairs = self._pairs(X, Y)
        return self._by_tokens(pairs, self.network_.log_probs)

    def _by_tokens(self, pairs, compute):
        """Return `compute(batch)`, arrays (T, B, …), for the tokens of each of `pairs.rows`: a list."""
        results = {}
        for rows in self._groups(pairs, pairs.rows):
            batch = pairs.batch(rows)
            values = compute(batch)
            for b, (row, length) in enumerate(zip(rows.tolist(), batch.lengths.tolist(), strict=True)):
                results[row] = values[:length, b].copy()
        return [results[row] for row in pairs.rows.tolist()]

    def score_samples(self, X, Y):
        """Return the log probability of each target.

        Parameters
        ----------
        X, Y : as X and y in `fit`

        Returns
        -------
        float64 array (n,)
            Natural logarithms: sums over the tokens, the end included.
        """
        return np.array([part.sum() for part in self.predict_log_proba(X, Y)])

    def score(self, X, y, sample_weight=None):
        """Return the mean log likelihood of a token of the targets, ends included; higher is better.

        Parameters
        ----------
        X, y : as in `fit`
        sample_weight : array-like (n,), default=None
            Weight of each pair: of each token of its target.

        Returns
        -------
        float
        """
        parts = self.predict_log_proba(X, y)
        weights = check_sample_weight(sample_weight, len(parts))
        sums, lengths = np.array([part.sum() for part in parts]), np.array([len(part) for part in parts])
        return float(weights @ sums / (weights @ lengths))

    def transform(self, X):
        """Return the encoding of each source: the vector from which the decoder begins.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float32 array (n, M)
            For a translator, the state of the encoder's last layer after its last step, of both directions.
        """
        sources, encoded = self._read(X), None
        for rows in self._groups(sources, np.arange(len(sources))):
            part = self.network_.summaries(PairBatch(sources, rows))
            encoded = np.empty((len(sources), part.shape[1]), part.dtype) if encoded is None else encoded
            encoded[rows] = part
        return np.empty((0, 0), np.float32) if encoded is None else encoded

    def align(self, X, Y=None):
        """Return where the decoder looks while it writes.

        Parameters
        ----------
        X : as in `fit`
        Y : as y in `fit`, default=None
            The targets that are written; None takes those that `predict` finds.

        Returns
        -------
        list of Alignment
            A named tuple (sources, targets, weights) for each source: its tokens, or None if it has none; the tokens
            that are written; and a float32 array (T_i, S_i), whose row t has the weights of the source's vectors in the
            context of token t.

        Raises
        ------
        ValueError
            The model has no attention.
        """
        check_fitted(self, "network_")
        if self.attention is None:
            raise ValueError("align needs a model with attention, got attention=None.")
        X = _read_once(X)
        if Y is None:
            sources = self._read(X)
            pairs = self._written(sources, self._search(sources))
        else:
            pairs = self._pairs(X, Y)
        weights, names = self._weights(pairs), self._source_tokens(X)
        written = parts_of(self._target.vocabulary.decode(pairs.targets.values), pairs.targets.offsets)
        return [
            Alignment(None if names is None else names[i], tokens, part)
            for i, (tokens, part) in enumerate(zip(written, weights, strict=True))
        ]

    def _written(self, sources, found):
        """Return sources and their predictions, lists of ids, as `Pairs`."""
        offsets = offsets_of(list(map(len, found)))
        ids = np.fromiter((i for part in found for i in part), np.int32, offsets[-1])
        rows = np.arange(len(found))
        return Pairs(sources, Sequences(*close_sentences(ids, offsets)), np.ones(len(found), np.float32), rows)

    def _weights(self, pairs):
        """Return the weights of attention for each of `pairs.rows`: a list of float32 arrays (T_i, S_i)."""
        lengths = pairs.sequences.lengths[pairs.rows].tolist()
        parts = self._by_tokens(pairs, self.network_.attend)
        return [part[:, :length] for part, length in zip(parts, lengths, strict=True)]

    def _source_tokens(self, X):
        """Return the tokens of each source as far as they are read, or None if sources have no tokens."""
        return None

    # ---------------------------------------------------------------------------------------------------- parameters

    def _restored_target(self, content, arrays):
        return TextTarget.from_learned(content, self._target_options())

    def _check_reading(self):
        for place in (0, 1):
            options = side_options(self, place)
            check_choice("truncation", options["truncation"], ("start", "end"))
            check_preprocessing(options["normalize"], options["encoding"])
            if options["max_length"] is not None:
                check_positive_integer("max_length", options["max_length"])
            if options["tokenizer"] is not None and options["tokenizer"] != "subwords":
                get_tokenizer(options["tokenizer"])

    def _check_parameters(self):
        super()._check_parameters()
        check_choice("attention", self.attention, ATTENTIONS)
        check_choice("schedule", self.schedule, SCHEDULES)
        if isinstance(self.warmup, bool) or not isinstance(self.warmup, numbers.Integral) or self.warmup < 0:
            raise ValueError(f"warmup must be an integer of at least 0, got {shown(self.warmup)}.")


def _read_once(X):
    """Return X, a list in place of an iterator."""
    return list(X) if isinstance(X, collections.abc.Iterator) and not is_file_object(X) else X
