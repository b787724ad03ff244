"""The base class of estimators that write sequences, and their training on pairs of a source and a target."""

import abc
import math

import numpy as np

from fastrnn.estimators.base import Learned
from fastrnn.estimators.examples import check_lengths, check_sample_weight, warn_of_cut
from fastrnn.estimators.recurrent import PatientMixin, RecurrentSequenceEstimator
from fastrnn.exchange._onnx_translation import OnnxWriterMixin
from fastrnn.layers.dropout import check_probability
from fastrnn.networks.decoder import ScheduledSampling
from fastrnn.training.averaging import WeightAverage
from fastrnn.training.schedule import SCHEDULES
from fastrnn.translation.pairs import Pairs
from fastrnn.translation.probabilities import ProbabilityMixin
from fastrnn.translation.searching import SearchMixin
from fastrnn.translation.texts import READING, TextTarget, check_reading, side_options
from fastrnn.utils.brief import BriefHelpMixin
from fastrnn.utils.checks import check_choice, check_count

ATTENTIONS = ("additive", "dot", "general", None)
_STEPS_OF_AN_EPOCH = 50  # with batch_size="auto", unless batches would be smaller than 16 or larger than 64


class SequenceWriter(
    BriefHelpMixin, OnnxWriterMixin, SearchMixin, ProbabilityMixin, PatientMixin, RecurrentSequenceEstimator
):
    """Base class of estimators whose network writes a sequence of tokens for each source.

    A subclass has a constructor that calls `_store`, and writes `_learn_data`, `_restored_reader` and `_make_network`.
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
    _fewest_batches, _fewest_epochs, _most_epochs = 4000, 10, 500

    @abc.abstractmethod
    def _learn_data(self, X, y):
        """Return a reader of sources, the sources of X, a `TextTarget` and the closed targets, learned from pairs."""

    @abc.abstractmethod
    def _make_network(self, reader, target, vectors, random_state):
        """Return a new `DecoderNetwork`; `vectors` is None."""

    def _target_options(self):
        """Return the options of reading targets, see `fastrnn.translation.texts.side_options`."""
        return side_options(self, 1)

    def _learn_target(self, y, classes):
        raise NotImplementedError("`_learn_data` learns the targets.")

    # ------------------------------------------------------------------------------------------------------ training

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, *, checkpoint=None, checkpoint_minutes=None):
        """Learn from pairs of a source and a target.

        Parameters
        ----------
        X : sources
            As the class describes them.
        y : list of str, list of list of str or list of list of int; os.PathLike or file object
            A target for each source: a text, its tokens, or whole numbers; a file has a target in each line.
            Predictions are of the same kind. An empty target is allowed: the model learns to write nothing. A source
            with several targets is repeated in X, once for each.
        sample_weight : array-like (n,), default=None
            Weight of each pair, which each token of its target has.
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
            A parameter, the data or the checkpoint cannot be used (the numbers of sources and targets differ, for
            instance), or losses or outputs became infinite or NaN before an epoch was finished. The model is unchanged.

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

        Raises
        ------
        ValueError
            As in `fit`.
        """
        return self._partial_fit(X, y, None, sample_weight)

    def _learn(self, X, y, classes, sample_weight, learned, random_state):
        """Return the earlier `Learned` or a new one, and the training pairs."""
        if y is None:
            raise ValueError("This estimator requires y to be passed, but the target y is None.")
        X = self._read_once(X)
        if learned is None:
            reader, sources, target, closed = self._learn_data(X, y)
        else:
            reader, target = learned.reader, learned.target
            sources, closed = reader.read(X), target.encode(y)
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
        X = self._read_once(X)
        sources, targets = learned.reader.read(X), learned.target.encode(y, "y_val")
        warn_of_cut(sources, learned.reader.options, "X_val")
        check_lengths("X_val and y_val", X, sources, targets)
        return Pairs(sources, targets, np.ones(len(targets), np.float32), np.arange(len(targets)))

    def _size_of_batches(self, n):
        return min(max(n // _STEPS_OF_AN_EPOCH, 16), 64) if self.batch_size == "auto" else self.batch_size

    def _train(self, learned, examples, held_out, optimizer, max_iter, random_state, *options):
        sampling = None
        if self.scheduled_sampling:
            n = len(examples.rows)
            n_passes = max_iter * -(-n // self._size_of_batches(n))
            sampling = ScheduledSampling(self.scheduled_sampling, n_passes, int(random_state.randint(1 << 31)))
        learned.network.sampling = sampling
        return super()._train(learned, examples, held_out, optimizer, max_iter, random_state, *options)

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
        size = self._size_of_batches(len(lengths))
        longest = examples.rows[np.argsort(-lengths, kind="stable")[: n_batches * size]]
        groups = self._groups(examples, longest)
        return all(np.isfinite(network.log_probs(examples.batch(rows))).all() for rows in groups)

    def _set_inputs(self):
        self.target_vocabulary_ = self._target.vocabulary

    # ---------------------------------------------------------------------------------------------------- parameters

    def _restored_target(self, content, arrays):
        return TextTarget.from_learned(content, self._target_options())

    def _check_reading(self):
        check_reading(self)

    def _check_parameters(self):
        super()._check_parameters()
        check_choice("attention", self.attention, ATTENTIONS)
        for name in ("input_feeding", "tie_weights"):
            check_choice(name, getattr(self, name), (False, True))
        check_probability("scheduled_sampling", self.scheduled_sampling)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_count("warmup", self.warmup)
