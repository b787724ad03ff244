"""The base class of all estimators of sequences.

Estimators differ in their predictions. `fastrnn.estimators.whole` has the base class of those that predict one thing
for each sequence. Estimators with a target for each step, or with a target sequence of its own length, share this base:
they add a target (see `fastrnn.estimators.targets`), a network, and their own ``predict``.
"""

import abc
import math
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from fastrnn.backends import backend
from fastrnn.estimators.examples import (
    Epoch,
    Examples,
    check_lengths,
    check_sample_weight,
    data_digests,
    split_examples,
    warn_of_cut,
)
from fastrnn.estimators.files import FilesMixin, unpack_params
from fastrnn.estimators.series import SeriesReader
from fastrnn.estimators.targets import TARGETS, check_same_classes
from fastrnn.estimators.texts import TextReader
from fastrnn.estimators.vectors import initial_vectors, read_vectors
from fastrnn.layers.dropout import check_probability
from fastrnn.networks.placement import PlacedMixin
from fastrnn.text.normalization import check_preprocessing
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.training.checkpoint import open_checkpoint
from fastrnn.training.loop import Options, train
from fastrnn.training.optimizers import make_optimizer
from fastrnn.utils.checks import (
    check_choice,
    check_not_negative,
    check_positive_integer,
    check_training,
)

_PREDICTION_BATCH = 256


class Learned(NamedTuple):
    """Everything that a fit learns.

    Attributes
    ----------
    reader : TextReader or SeriesReader
        Reads X.
    target : target
        Kind and values of y, see `fastrnn.estimators.targets`.
    network : Network
    loss_curve, validation_scores : list of float
        Of each epoch.
    """

    reader: object
    target: object
    network: object
    loss_curve: list
    validation_scores: list


class BaseSequenceEstimator(PlacedMixin, FilesMixin, BaseEstimator, abc.ABC):
    """Estimator that reads sequences and trains a network on them: reading, training, files, checks of parameters.

    A subclass has the constructor's parameters that are read here, and writes the abstract methods, `fit`,
    `partial_fit` and `predict`.
    """

    _inputs = ("text", "tokens", "series")  # values of `input`
    _fixed = ("input", "lowercase", "normalize", "max_length", "truncation")  # parameters that only a fit can change
    _text_reader = TextReader
    _embedding_scale = 0.1  # standard deviation of new vectors
    _targets = TARGETS  # classes of targets by the kind that a file names
    _fewest_batches, _fewest_epochs, _most_epochs = 1200, 4, math.inf  # of a training with max_iter="auto"
    _schedule = "plateau"  # of the learning rate in `fit`
    _unit = "sequences"  # elements that the loss is a mean of

    @abc.abstractmethod
    def _learn_target(self, y, classes):
        """Return the target of y; `classes` are all labels that may occur, or None."""

    @abc.abstractmethod
    def _make_network(self, reader, target, vectors, random_state):
        """Return a new network, used as a `SequenceNetwork`; `vectors` (V, D) are initial ones, None for series."""

    def _encode_targets(self, target, y, sequences):
        """Return y as an array with an entry for each sequence; targets of steps are cut as the sequences are."""
        return target.encode(y)

    def _target_weights(self, target, encoded):
        """Return the weight that its target gives each example, float64 (n,)."""
        return target.weights(encoded, None)

    def _step_weights(self, target, encoded):
        """Return factors of the weights for each step, or None; see `Examples`."""
        return None

    def _size_of_batches(self, n):
        """Return the number of examples of each batch, in a training on `n` examples."""
        return self.batch_size

    def _patience(self, n_batches):
        """Return the epochs without improvement after which a training stops, for a number of batches in each."""
        return self.n_iter_no_change

    def _auto_batches(self, target):
        """Return the number of batches that ``max_iter="auto"`` trains on at least."""
        return self._fewest_batches

    def _check_targets(self, target, encoded, sequences, y):
        """Raise ValueError if the targets that are learned do not fit the sequences."""

    @property
    def learned(self):
        """Reader, target, network, losses and scores that `fit` learned, for the other parts of the package."""
        return Learned(self._reader, self._target, self.network_, self.loss_curve_, self.validation_scores_)

    # ------------------------------------------------------------------------------------------------------- reading

    def _reading(self):
        """Return the options of the reader."""
        names = ("missing",) if self.input == "series" else ("input", "tokenizer", "lowercase", "normalize", "encoding")
        options = {name: getattr(self, name) for name in names}
        return {**options, "max_length": self._most_steps(), "truncation": self.truncation}

    def _most_steps(self):
        """Return the largest number of steps read of a sequence, or None for all."""
        return self.max_length

    def _learn_reader(self, X):
        """Return a reader, the sequences of X, and the pretrained vectors as (words, array) or None."""
        if self.input == "series":
            return *SeriesReader.learn(X, self._reading()), None
        pretrained = None if self.embedding is None else read_vectors(self.embedding, self.normalize)
        words = () if pretrained is None else pretrained[0]
        return *self._text_reader.learn(X, self._reading(), self.min_count, self.max_vocab, words), pretrained

    def _initial_vectors(self, reader, pretrained, random_state):
        """Return the initial vectors of all ids, float32 (n_ids, D)."""
        size, scale = self.embedding_size, self._embedding_scale
        return initial_vectors(reader.vocabulary, reader.n_ids, size, scale, pretrained, random_state)

    def _groups(self, sequences, rows, random_state=None):
        """Return the rows of each batch of `Sequences` or `Examples`: drawn for training, or sorted by length."""
        size = self._size_of_batches(len(rows)) if random_state is not None else _PREDICTION_BATCH
        return sequences.groups(rows, size, random_state)

    # ------------------------------------------------------------------------------------------------------ training

    def _fit(self, X, y, sample_weight, X_val, y_val, checkpoint, checkpoint_minutes):
        """Carry out `fit`."""
        self._check_parameters()
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given both or not at all.")
        learned = self.learned if self.warm_start and hasattr(self, "network_") else None
        random_state = check_random_state(self.random_state)
        checkpoint = open_checkpoint(self, checkpoint, checkpoint_minutes, random_state, learned is not None)
        learned, examples = self._learn(X, y, None, sample_weight, learned, random_state)
        held_out = None if X_val is None else self._validation_examples(learned, X_val, y_val)
        if checkpoint is not None:
            checkpoint.identify(**data_digests(learned, examples, held_out, self.embedding is not None))
        if held_out is None and self.early_stopping:
            strata = learned.target.strata(examples.targets)
            examples, held_out = split_examples(examples, strata, self.validation_fraction, random_state)
        max_iter = self.max_iter
        if max_iter == "auto":
            n = len(examples.rows)
            batches = -(-n // self._size_of_batches(n))
            enough = -(-self._auto_batches(learned.target) // batches)
            max_iter = min(max(self._fewest_epochs, enough), self._most_epochs)
        return self._train(learned, examples, held_out, self._new_optimizer(), max_iter, random_state, self._schedule,
                           checkpoint)  # fmt: skip

    def _partial_fit(self, X, y, classes, sample_weight):
        """Train one epoch on further examples."""
        self._check_parameters()
        learned = self.learned if hasattr(self, "network_") else None
        random_state = getattr(self, "_random_state", None) or check_random_state(self.random_state)
        if learned and classes is not None:
            check_same_classes(learned.target.classes, classes)
        learned, examples = self._learn(X, y, classes, sample_weight, learned, random_state)
        optimizer = getattr(self, "_optimizer", None) or self._new_optimizer()
        optimizer.learning_rate = self.learning_rate_init
        return self._train(learned, examples, None, optimizer, 1, random_state, "constant")

    def _learn(self, X, y, classes, sample_weight, learned, random_state):
        """Return the earlier `Learned` or a new reader, target and network; and the training examples."""
        pretrained, is_first = None, learned is None
        target = self._learn_target(y, classes) if is_first else learned.target
        if is_first:
            reader, sequences, pretrained = self._learn_reader(X)
        else:
            reader, sequences = learned.reader, learned.reader.read(X)
        targets = self._encode_targets(target, y, sequences)
        check_lengths("X and y", X, sequences, targets)
        if is_first:
            self._check_targets(target, targets, sequences, y)
        weights = check_sample_weight(sample_weight, len(targets)) * self._target_weights(target, targets)
        if not weights.any():
            raise ValueError("class_weight and sample_weight leave no example with a weight above 0.")
        warn_of_cut(sequences, reader.options, "X")
        sequences = reader.features(sequences)
        if is_first:
            vectors = None if self.input == "series" else self._initial_vectors(reader, pretrained, random_state)
            learned = Learned(reader, target, self._make_network(reader, target, vectors, random_state), [], [])
        weights = (weights / weights.mean()).astype(np.float32)
        rows = np.flatnonzero(weights > 0)
        return learned, Examples(sequences, targets, weights, rows, self._step_weights(learned.target, targets))

    def _validation_examples(self, learned, X, y):
        sequences = learned.reader.read(X)
        targets = self._encode_targets(learned.target, y, sequences)
        warn_of_cut(sequences, learned.reader.options, "X_val")
        check_lengths("X_val and y_val", X, sequences, targets)
        weights = self._target_weights(learned.target, targets).astype(np.float32)
        if not weights.any():
            raise ValueError("class_weight leaves no example of X_val with a weight above 0.")
        return Examples(learned.reader.features(sequences), targets, weights, np.arange(len(targets)))

    def _new_optimizer(self):
        return make_optimizer(self.optimizer, learning_rate=self.learning_rate_init, weight_decay=self.alpha,
                              n_jobs=self.n_jobs, device=self.device)  # fmt: skip

    def _train(self, learned, examples, held_out, optimizer, max_iter, random_state, schedule, checkpoint=None):
        """Train the network; set the learned attributes."""
        network, is_known = learned.network, learned.network is getattr(self, "network_", None)
        n = len(examples.rows)
        if is_known:
            self._place_network()
        network.held_weights().drop()

        def epoch():
            return Epoch(examples, self._groups(examples, examples.rows, random_state))

        options = Options(
            max_iter=max_iter,
            clip_norm=self.clip_norm,
            validate=None if held_out is None else lambda: self._validate(learned, held_out),
            n_iter_no_change=self._patience(-(-n // self._size_of_batches(n))),
            tol=self.tol if held_out is not None else -np.inf,  # a fluctuating training loss is no reason to slow down
            is_finite=lambda n_batches: self._is_finite(network, examples, n_batches),
            restore_on_error=is_known,
            checkpoint=checkpoint,
            random_state=random_state,
            verbose=self.verbose,
            name=type(self).__name__,
            unit=self._unit,
            describe=self._describe,
            schedule=schedule,
            **self._further_options(held_out),
        )
        history = train(network, optimizer, epoch, options)
        curves = learned.loss_curve + history.loss_curve, learned.validation_scores + history.validation_scores
        self._set_fitted(Learned(learned.reader, learned.target, network, *curves), optimizer)
        self._random_state = random_state
        return self

    def _further_options(self, held_out):
        """Return further options of the training, see `Options`; `held_out` are the validation examples or None."""
        return {}

    def _validate(self, learned, examples):
        """Return the score of held-out examples, higher is better: here minus their mean loss."""
        network, total, count = learned.network, 0.0, 0
        for rows in self._groups(examples, examples.rows):
            batch = examples.batch(rows)
            total += network.loss(batch)
            count += network.head.mean_weights(batch, 1.0)[1]
        return -total / count

    def _describe(self, score):
        """Return the figures of a score by `_validate`, for progress bars: a dict of str to str."""
        return {"valid": f"{-score:.3f}"}

    def _is_finite(self, network, examples, n_batches):
        """Return whether the outputs are finite for the longest sequences, as many as `n_batches` batches hold."""
        lengths = examples.sequences.lengths[examples.rows]
        size = self._size_of_batches(len(lengths))
        longest = examples.rows[np.argsort(-lengths, kind="stable")[: n_batches * size]]
        groups = self._groups(examples, longest)
        return all(np.isfinite(network.outputs(examples.batch(rows))).all() for rows in groups)

    def _set_fitted(self, learned, optimizer):
        """Set the learned attributes."""
        if learned.network is not getattr(self, "network_", None):
            self._fitted_params = {name: getattr(self, name) for name in self._fixed}
        self._reader, self._target, self.network_ = learned.reader, learned.target, learned.network
        self.loss_curve_, self.validation_scores_ = learned.loss_curve, learned.validation_scores
        self._optimizer = optimizer
        self.n_iter_ = len(self.loss_curve_)
        self._set_inputs()

    def _set_inputs(self):
        """Set the learned attributes that describe X."""
        if self.input == "series":
            self.n_features_in_ = self._reader.n_features
        else:
            self.vocabulary_ = self._reader.vocabulary

    def _read(self, X):
        """Return the sequences of X in the form that the network reads."""
        sequences = self._reader.read(X)
        warn_of_cut(sequences, self._reader.options, "X")
        return self._reader.features(sequences)

    # --------------------------------------------------------------------------------------------------------- files

    @classmethod
    def _unpack(cls, params, content, arrays):
        """Return the fitted model that a file's content describes, see `fastrnn.estimators.files.pack`."""
        model = cls(**unpack_params(params, content))
        reader = model._restored_reader(content["reader"], arrays)
        target = model._restored_target(content["target"], arrays)
        vectors = None if model.input == "series" else arrays["embedding.weight"]
        network = model._make_network(reader, target, vectors, check_random_state(0))
        network.set_arrays(arrays)
        curves = content["loss_curve"], content["validation_scores"]
        model._set_fitted(Learned(reader, target, network, *curves), None)
        return model

    def _restored_reader(self, content, arrays):
        """Return the reader of a file."""
        reader_class = SeriesReader if self.input == "series" else self._text_reader
        return reader_class.from_learned(content, arrays, self._reading())

    def _restored_target(self, content, arrays):
        """Return the target of a file."""
        return self._targets[content["kind"]].from_learned(content, arrays)

    # ---------------------------------------------------------------------------------------------------- parameters

    def _check_reading(self):
        """Raise ValueError if a parameter for reading X is wrong."""
        check_choice("input", self.input, self._inputs)
        _check_reading(self, self._most_steps())

    def _check_parameters(self):
        """Raise ValueError if a parameter is wrong; those of layers and optimizer are checked there."""
        self._check_reading()
        check_positive_integer("embedding_size", self.embedding_size)
        check_positive_integer("batch_size", self._size_of_batches(1))
        check_positive_integer("n_iter_no_change", self._patience(1))
        if self.max_iter != "auto":
            check_positive_integer("max_iter", self.max_iter)
        check_probability("dropout", self.dropout)
        check_not_negative("tol", self.tol)
        check_training(self)
        backend(self.device, self.precision)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        series = self.input == "series"
        tags.input_tags.string = tags.input_tags.one_d_array = not series
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = series
        tags.target_tags.required = True
        return tags


def _check_reading(estimator, max_length):
    """Raise ValueError if a parameter for reading texts or series is wrong, as `input` says."""
    check_choice("truncation", estimator.truncation, ("start", "end"))
    if estimator.input == "series":
        check_choice("missing", estimator.missing, ("error", "pad"))
    else:
        get_tokenizer(estimator.tokenizer)
        check_preprocessing(estimator.normalize, estimator.encoding)
    if max_length is not None:
        check_positive_integer("max_length", max_length)
