"""The base class of estimators of whole sequences: reading, training, prediction in batches, files."""

import abc
import json
from typing import NamedTuple

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state

from fastrnn.estimators.sequences import Sequences, TextReader
from fastrnn.estimators.series import SeriesReader
from fastrnn.estimators.targets import label_array, restored_target
from fastrnn.exchange._onnx_sequences import OnnxMixin
from fastrnn.layers.dropout import check_probability
from fastrnn.networks.sequence import Batch
from fastrnn.persistence import load_model, plain_parameter, rebuilt, save_model
from fastrnn.text.corpus import digest
from fastrnn.text.normalization import check_preprocessing
from fastrnn.text.subwords import tokenizer_from_plain, tokenizer_to_plain
from fastrnn.text.tokenizers import get_tokenizer
from fastrnn.training import loop as training
from fastrnn.training.checkpoint import open_checkpoint
from fastrnn.training.optimizers import make_optimizer
from fastrnn.utils.checks import (
    check_choice,
    check_fitted,
    check_not_negative,
    check_positive_integer,
    check_training,
    shown,
    warn_caller,
)

_PREDICTION_BATCH = 256
_STEPS, _FEWEST_EPOCHS = 1200, 4  # of a training with max_iter="auto"
_NOT_STORED = ("embedding", "class_weight")  # vectors stand in the learned arrays; keys of JSON objects are strings


class _Learned(NamedTuple):
    """All that a fit learns: how sequences are read, what is predicted, the network, and how its training went."""

    reader: object
    target: object
    network: object
    loss_curve: list
    validation_scores: list


class _Data(NamedTuple):
    """Examples as arrays; those that count are `rows`."""

    sequences: Sequences
    targets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray


class _Epoch:
    """The batches of an epoch, each made when it is its turn."""

    def __init__(self, data, groups):
        self.data, self.groups = data, groups

    def __len__(self):
        return len(self.groups)

    def __iter__(self):
        sequences, targets, weights, _ = self.data
        for rows in self.groups:
            yield Batch(sequences, rows, targets[rows], weights[rows])


class BaseSequenceEstimator(OnnxMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, abc.ABC):
    """Estimator that reads whole sequences and predicts one thing for each.

    A subclass has the constructor parameters that are read here, and writes the abstract methods.
    """

    _inputs = ("text", "tokens", "series")
    _fixed = ("input", "lowercase", "normalize", "max_length", "truncation")  # what another fit would need

    @abc.abstractmethod
    def _learn_target(self, y, classes):
        """Return the target that y is of."""

    @abc.abstractmethod
    def _make_network(self, reader, target, vectors, random_state):
        """Return a new network; `vectors` are the initial ones of the embedding, None for series."""

    def _learn_reader(self, X):
        """Return a reader, the sequences of X, and the pretrained vectors as (words, array) or None."""
        if self.input == "series":
            return *SeriesReader.learn(X, self._reading()), None
        pretrained = self._pretrained()
        words = () if pretrained is None else pretrained[0]
        return *TextReader.learn(X, self._reading(), self.min_count, self.max_vocab, words), pretrained

    def _pretrained(self):
        """Return the words and vectors that the model is given, or None."""
        return None

    def _reading(self):
        """Return the options of the reader."""
        limits = {"max_length": self._most_steps(), "truncation": self.truncation}
        if self.input == "series":
            return {"missing": self.missing, **limits}
        names = ("input", "tokenizer", "lowercase", "normalize", "encoding")
        return {**{name: getattr(self, name) for name in names}, **limits}

    def _most_steps(self):
        return self.max_length

    # ------------------------------------------------------------------------------------------------------ training

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, *, checkpoint=None, checkpoint_minutes=None):
        """Learn from sequences and what is to be predicted of them.

        Parameters
        ----------
        X : iterable of str, list of (list of str or int), list of array (T_i, D), array (n, T, D) or array (n, T)
            The sequences: what `input` says. Of texts, a `pathlib.Path` among them is a file that holds one text; the
            path of a folder stands for all its ``.txt`` files, sorted, that of a file for its lines.
        y : array-like (n,), or (n, K)
            Labels, all of them strings, integers, booleans, whole floats or dates; or an indicator matrix of 0 and 1,
            of K labels at once, each with a probability of its own (so are one-hot rows: ``y.argmax(axis=1)`` makes
            classes of them). With tokens and series, a matrix with a column for each step is refused, as labels of the
            steps are not learned: give it as a sparse one if it is no such thing. Numbers for a regressor.
        sample_weight : array-like (n,), default=None
        X_val, y_val : as X and y, default=None
            Validated on after each epoch: the weights that predict them best are kept.
        checkpoint : str or os.PathLike, default=None
            File that is written after each epoch. If it is there when `fit` is called, the training goes on from it, to
            the same weights bit for bit as if it had not been interrupted; after the end of the training, to its
            result. A file of other data or parameters is refused. `max_iter` may be larger than it was: the training
            goes on for the further epochs, unless it had stopped early. Where the file cannot be written, the training
            goes on.
        checkpoint_minutes : float or None, default=None
            Writes the file every so often within an epoch too.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            A parameter, the data or the checkpoint are not usable; or the training came to infinite or NaN losses or
            outputs before an epoch was finished. The model is as before.

        Warns
        -----
        UserWarning
            Sequences are longer than `max_length`: how many of them are cut. All methods that read sequences do so.
        ConvergenceWarning
            The training was interrupted (Ctrl-C) after a finished epoch, or came to infinite or NaN losses, weights or
            outputs. The model has the best weights up to then.
        RuntimeWarning
            The checkpoint cannot be written.
        """
        self._check_parameters()
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given both or not at all.")
        learned = self._learned() if self.warm_start and hasattr(self, "network_") else None
        checkpoint = open_checkpoint(self, checkpoint, checkpoint_minutes, learned is not None)
        random_state = check_random_state(self.random_state)
        if checkpoint is not None:
            checkpoint.begin(random_state)
        learned, data = self._learn(X, y, None, sample_weight, learned, random_state)
        held_out = None
        if X_val is not None:
            held_out = self._validation_data(learned, X_val, y_val)
        if checkpoint is not None:
            checkpoint.identify(**self._digests(learned, data, held_out))
        if held_out is None and self.early_stopping:
            rows, held_out_rows = self._split(data, random_state)
            data, held_out = data._replace(rows=rows), data._replace(rows=held_out_rows)
        max_iter = self.max_iter
        if max_iter == "auto":
            max_iter = max(_FEWEST_EPOCHS, -(-_STEPS // -(-len(data.rows) // self.batch_size)))
        return self._train(learned, data, held_out, self._new_optimizer(), max_iter, random_state, checkpoint)

    def _digests(self, learned, data, validation):
        """Return digests of all that a new training learns from."""
        (how, arrays), (target, target_arrays) = learned.reader.get_learned(), learned.target.get_learned()
        sequences, targets, weights, _ = data
        digests = {}
        if getattr(self, "embedding", None) is not None:
            digests["embedding"] = digest(learned.network.all_parameters["embedding.weight"].reshape(-1))
        digests["X"] = digest([json.dumps(how)], *arrays.values(), sequences.values.reshape(-1), sequences.offsets)
        digests["y"] = digest([json.dumps(target)], *target_arrays.values(), targets.reshape(-1))
        digests["sample_weight"] = digest(weights)
        if validation is not None:
            sequences, targets, weights, _ = validation
            digests["X_val"] = digest(sequences.values.reshape(-1), sequences.offsets)
            digests["y_val"] = digest(targets.reshape(-1), weights)
        return digests

    def _partial_fit(self, X, y, classes, sample_weight):
        """Take one epoch over further examples."""
        self._check_parameters()
        learned = self._learned() if hasattr(self, "network_") else None
        random_state = getattr(self, "_random_state", None) or check_random_state(self.random_state)
        if learned and classes is not None:
            before = learned.target.classes
            if not np.array_equal(np.unique(label_array(classes, "classes")), before):
                raise ValueError(
                    f"classes must be those of the first call, {shown(before.tolist())}, got {shown(classes)}."
                )
        learned, data = self._learn(X, y, classes, sample_weight, learned, random_state)
        optimizer = getattr(self, "_optimizer", None) or self._new_optimizer()
        optimizer.learning_rate = self.learning_rate_init
        return self._train(learned, data, None, optimizer, 1, random_state)

    def _learned(self):
        """Return what a fit that goes on begins with."""
        return _Learned(self._reader, self._target, self.network_, self.loss_curve_, self.validation_scores_)

    def _learn(self, X, y, classes, sample_weight, learned, random_state):
        """Return reader, target and network, those of before or new ones, and the training data as arrays."""
        pretrained = None
        target = self._learn_target(y, classes) if learned is None else learned.target
        if learned is None:
            reader, sequences, pretrained = self._learn_reader(X)
        else:
            reader, sequences = learned.reader, learned.reader.read(X)
        targets = target.encode(y)
        _check_lengths("X and y", X, sequences, targets)
        if learned is None and target.kind == "labels" and self.input != "text" and not scipy.sparse.issparse(y):
            _refuse_labels_of_steps(targets, sequences.full_lengths)
        weights = self._weights(target, targets, sample_weight)
        _warn_of_cut(sequences, reader.options, "X")
        sequences = self._features(reader, sequences)
        if learned is None:
            vectors = None if self.input == "series" else self._initial_vectors(reader, pretrained, random_state)
            learned = _Learned(reader, target, self._make_network(reader, target, vectors, random_state), [], [])
        return learned, _Data(sequences, targets, weights, np.flatnonzero(weights > 0))

    def _new_optimizer(self):
        return make_optimizer(self.optimizer, learning_rate=self.learning_rate_init, weight_decay=self.alpha,
                              n_jobs=self.n_jobs)  # fmt: skip

    def _train(self, learned, data, held_out, optimizer, max_iter, random_state, checkpoint=None):
        """Train the network; set the learned attributes."""
        network = learned.network
        network.release()
        history = training.train(
            network,
            optimizer,
            lambda: _Epoch(data, self._groups(data.sequences, data.rows, random_state)),
            max_iter=max_iter,
            clip_norm=self.clip_norm,
            validate=None if held_out is None else lambda: self._validate(network, held_out),
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol if held_out is not None else -np.inf,  # a training loss that wavers is no reason to slow down
            is_finite=lambda n_batches: self._is_finite(network, data, n_batches),
            going_on=network is getattr(self, "network_", None),
            checkpoint=checkpoint,
            random_state=random_state,
            verbose=self.verbose,
            name=type(self).__name__,
            unit="sequences",
        )
        curves = learned.loss_curve + history.loss_curve, learned.validation_scores + history.validation_scores
        self._set_fitted(_Learned(learned.reader, learned.target, network, *curves), optimizer)
        self._random_state = random_state
        return self

    def _weights(self, target, targets, sample_weight):
        """Return the weights of all examples, their mean 1, as float32 (n,)."""
        if np.ma.is_masked(sample_weight):
            raise ValueError("sample_weight has masked values: give 0 to examples that shall not count.")
        try:
            weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"sample_weight must be numbers, got {shown(sample_weight)}.") from None
        if weights.ndim == 0:
            weights = np.full(len(targets), float(weights))
        if weights.ndim != 1:
            raise ValueError(f"Sample weights must be 1D array or scalar, got an array of shape {weights.shape}.")
        if weights.shape != (len(targets),):
            raise ValueError(f"sample_weight must have shape ({len(targets)},), got {weights.shape}.")
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise ValueError("sample_weight must be finite and not negative, and some weight must not be zero.")
        weights = weights * target.weights(targets, getattr(self, "class_weight", None))
        if not weights.any():
            raise ValueError("class_weight and sample_weight leave no example with a weight above 0.")
        return (weights / weights.mean()).astype(np.float32)

    def _validation_data(self, learned, X, y):
        """Return validation data as arrays."""
        sequences, targets = _read(learned.reader, X, "X_val"), learned.target.encode(y)
        _check_lengths("X_val and y_val", X, sequences, targets)
        weights = learned.target.weights(targets, getattr(self, "class_weight", None)).astype(np.float32)
        if not weights.any():
            raise ValueError("class_weight leaves no example of X_val with a weight above 0.")
        return _Data(self._features(learned.reader, sequences), targets, weights, np.arange(len(targets)))

    def _split(self, data, random_state):
        """Return the rows to train on and those to validate on, of each class its share."""
        rows = random_state.permutation(data.rows)
        classes = data.targets[rows] if data.targets.ndim == 1 else np.zeros(len(rows), int)
        order = np.argsort(classes, kind="stable")
        sizes = np.bincount(classes)
        counts = (sizes * self.validation_fraction).astype(int)  # a class of few examples is left whole
        begins = sizes.cumsum() - sizes
        chosen = np.concatenate([order[begin : begin + n] for begin, n in zip(begins, counts, strict=True)])
        if not len(chosen):
            raise ValueError(
                f"X has too few samples, n_samples = {len(rows)}, to set validation_fraction="
                f"{self.validation_fraction} of each class aside: give fit an X_val, or set early_stopping=False."
            )
        return np.delete(rows, chosen), rows[chosen]

    def _validate(self, network, data):
        """Return minus the mean loss of held-out examples."""
        total, count = 0.0, 0.0
        for rows in self._groups(data.sequences, data.rows):
            weights = data.weights[rows]
            total += network.loss(data.sequences, rows, data.targets[rows], weights)
            count += float(weights.sum())
        return -total / count

    def _is_finite(self, network, data, n_batches):
        """Return whether outputs are finite for the longest of the sequences, as many as are in some batches."""
        longest = data.rows[
            np.argsort(-data.sequences.lengths[data.rows], kind="stable")[: n_batches * self.batch_size]
        ]
        groups = self._groups(data.sequences, longest)
        return all(np.isfinite(network.outputs(data.sequences, rows)).all() for rows in groups)

    def _features(self, reader, sequences):
        """Return what the network reads of sequences of ids."""
        return sequences

    def _groups(self, sequences, rows, random_state=None):
        """Return the rows of each batch."""
        size = self.batch_size if random_state is not None else _PREDICTION_BATCH
        return sequences.groups(rows, size, random_state)

    def _initial_vectors(self, reader, pretrained, random_state):
        """Return the first vectors of all words; that of unknown ones is zero."""
        size = self.embedding_size if pretrained is None else pretrained[1].shape[1]
        scale = self._embedding_scale if pretrained is None else float(pretrained[1].std()) / 2
        vectors = (random_state.standard_normal((len(reader.vocabulary), size)) * scale).astype(np.float32)
        if pretrained is not None:
            ids = reader.vocabulary.encode(pretrained[0])
            known = ids >= 4  # no special token
            vectors[ids[known]] = pretrained[1][known]
        vectors[:2] = 0
        return vectors

    def _set_fitted(self, learned, optimizer):
        """Set the learned attributes."""
        if learned.network is not getattr(self, "network_", None):
            self._fitted_params = {name: getattr(self, name) for name in self._fixed}
        self._reader, self._target, self.network_ = learned.reader, learned.target, learned.network
        self.loss_curve_, self.validation_scores_ = learned.loss_curve, learned.validation_scores
        self._optimizer = optimizer
        self.n_iter_ = len(self.loss_curve_)
        self._n_features_out = self.network_.layers["output"].in_features
        if self.input == "series":
            self.n_features_in_ = self._reader.n_features
        else:
            self.vocabulary_ = self._reader.vocabulary
        if hasattr(self._target, "classes"):
            self.classes_ = self._target.classes
        self.n_outputs_ = self._target.n_outputs

    # ---------------------------------------------------------------------------------------------------- prediction

    def _predict_rows(self, X, width, compute):
        """Return `compute(sequences, rows)` of all sequences of X, (n, width)."""
        sequences = self._features(self._reader, _read(self._reader, X, "X"))
        self.network_.hold()
        result = np.empty((len(sequences), width))
        for rows in self._groups(sequences, np.arange(len(sequences))):
            result[rows] = compute(sequences, rows)
        return result

    def _outputs(self, X):
        """Return the outputs of the last layer, float64 (n, K)."""
        check_fitted(self, "network_")
        return self._predict_rows(X, self._target.n_outputs, self.network_.outputs)

    def _predictions(self, X):
        """Return the predictions of the network, float64 (n, K)."""
        check_fitted(self, "network_")
        return self._predict_rows(X, self._target.n_outputs, self.network_.predict)

    def transform(self, X):
        """Return the encoding of each sequence: what the last layer reads.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        float64 array (n, H)
        """
        check_fitted(self, "network_")
        return self._predict_rows(X, self._n_features_out, self.network_.encode)

    @property
    def n_parameters_(self):
        """Number of parameters."""
        check_fitted(self, "network_")
        return sum(array.size for array in self.network_.all_parameters.values())

    @property
    def nbytes_(self):
        """Bytes of the parameters."""
        check_fitted(self, "network_")
        return sum(array.nbytes for array in self.network_.all_parameters.values())

    # --------------------------------------------------------------------------------------------------------- files

    def save(self, path):
        """Write the fitted model to one safetensors file, which holds no code.

        Pretrained vectors stand there as they were learned; the parameter `embedding` is None after `load`. Parameters
        that were set after `fit`, and that another `fit` would need, stand there as they were in `fit`.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is replaced whole or not at all.

        Raises
        ------
        ValueError
            If a parameter is no plain value (a callable tokenizer for instance): the message says what to do.
        """
        check_fitted(self, "network_")
        values = {**self.get_params(deep=False), **self._fitted_params}
        params = {name: plain_parameter(name, value) for name, value in values.items()
                  if name not in (*_NOT_STORED, "tokenizer")}  # fmt: skip
        params["tokenizer"] = plain_parameter("tokenizer", tokenizer_to_plain(self.tokenizer))
        weights = getattr(self, "class_weight", None)
        (read, read_arrays), (target, target_arrays) = self._reader.get_learned(), self._target.get_learned()
        content = {
            "class_weight": [[plain_parameter("class_weight", part) for part in pair] for pair in weights.items()]
            if isinstance(weights, dict) else weights,
            "reader": read,
            "target": target,
            "loss_curve": self.loss_curve_,
            "validation_scores": self.validation_scores_,
        }  # fmt: skip
        arrays = {**read_arrays, **target_arrays, **self.network_.all_parameters}
        save_model(path, type(self).__name__, params, content, arrays)

    @classmethod
    def load(cls, path, verify=True):
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : str or os.PathLike
        verify : bool, default=True
            Whether the whole file is compared with its checksum. Without that a damaged file may give wrong numbers.

        Returns
        -------
        A fitted model of this class.

        Raises
        ------
        ValueError
            If the file is no saved model, is damaged, or holds a model of another class.
        """
        content = load_model(path, cls.__name__, verify)
        with rebuilt(path, cls.__name__):
            return cls._unpack(*content)

    @classmethod
    def _unpack(cls, params, content, arrays):
        """Return the fitted model of what a file keeps."""
        params["tokenizer"] = tokenizer_from_plain(params.get("tokenizer", "words"))
        model = cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in params.items()})
        weights = content["class_weight"]
        if weights is not None:
            model.class_weight = {k: v for k, v in weights} if isinstance(weights, list) else weights
        reader_class = SeriesReader if model.input == "series" else TextReader
        reader = reader_class.from_learned(content["reader"], arrays, model._reading())
        target = restored_target(content["target"], arrays)
        vectors = None if model.input == "series" else arrays["embedding.weight"]
        network = model._make_network(reader, target, vectors, check_random_state(0))
        for name, array in network.all_parameters.items():
            array[...] = arrays[name]
        curves = content["loss_curve"], content["validation_scores"]
        model._set_fitted(_Learned(reader, target, network, *curves), None)
        return model

    # ---------------------------------------------------------------------------------------------------- parameters

    def _check_parameters(self):
        """Raise ValueError if a parameter is wrong; those of layers and optimizer are checked there."""
        check_choice("input", self.input, self._inputs)
        check_choice("truncation", self.truncation, ("start", "end"))
        if self.input == "series":
            check_choice("missing", self.missing, ("error", "pad"))
        else:
            get_tokenizer(self.tokenizer)
            check_preprocessing(self.normalize, self.encoding)
        for name in ("embedding_size", "batch_size", "n_iter_no_change"):
            check_positive_integer(name, getattr(self, name))
        if self.max_iter != "auto":
            check_positive_integer("max_iter", self.max_iter)
        if self._most_steps() is not None:
            check_positive_integer("max_length", self._most_steps())
        check_probability("dropout", self.dropout)
        check_not_negative("tol", self.tol)
        check_training(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        series = self.input == "series"
        tags.input_tags.string = tags.input_tags.one_d_array = not series
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = series
        return tags


def _read(reader, X, name):
    sequences = reader.read(X)
    _warn_of_cut(sequences, reader.options, name)
    return sequences


def _warn_of_cut(sequences, options, name):
    """Say how many sequences are longer than what is read of them."""
    n = int(np.count_nonzero(sequences.full_lengths > sequences.lengths))
    if n:
        warn_caller(
            f"{n:,} of {len(sequences):,} sequences of {name} are longer than max_length, {options['max_length']:,} "
            f"steps: the {options['truncation']} of each is cut off (see max_length and truncation)."
        )


def _check_lengths(names, X, sequences, targets):
    if len(sequences) != len(targets) or not len(targets):
        shape = getattr(X, "shape", ())
        turned = len(shape) > 1 and shape[1] == len(targets)
        advice = f" X has shape {shape}: swap its first two axes if the steps come first." if turned else ""
        raise ValueError(
            f"{names} must have the same number of samples, at least one: found input variables with inconsistent "
            f"numbers of samples: [{len(sequences)}, {len(targets)}].{advice}"
        )


def _refuse_labels_of_steps(targets, lengths):
    """Raise ValueError if an indicator matrix may be labels of the steps, (n, T): nothing is set behind an end."""
    steps = np.arange(targets.shape[1])
    if len(steps) > 2 and len(steps) == lengths.max(initial=0) and not targets[steps >= lengths[:, None]].any():
        raise ValueError(
            f"y has shape {targets.shape}, a column for each step of the longest sequence, but labels of steps are not "
            f"learned: give one label for each sequence, or a scipy.sparse matrix if y says which of "
            f"{targets.shape[1]} labels a sequence has."
        )
