"""Training of the recurrent language model: its parameters checked, its text read, its network made and trained."""

import inspect
import math
import numbers
import types
from typing import NamedTuple

import numpy as np

from fastrnn.backends import backend
from fastrnn.layers.dropout import check_probability
from fastrnn.networks.language import LanguageNetwork
from fastrnn.text.batching import SentenceBatches, StreamBatches, Streams, sentence_groups
from fastrnn.text.corpus import Corpus, count_tokens, digest, learn_vocabulary, read_corpus, replace_ids, split_end
from fastrnn.text.tokens import SPECIAL_TOKENS, START_ID
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.training.averaging import WeightAverage
from fastrnn.training.loop import Options, train
from fastrnn.training.optimizers import make_optimizer
from fastrnn.utils.checks import (
    check_choice,
    check_count,
    check_not_negative,
    check_positive_integer,
    check_training,
    shown,
)

# The values by which a recipe replaces defaults.
RECIPES = {
    "awd": {
        "tie_weights": True, "locked_dropout": True, "dropout": 0.25, "input_dropout": 0.4, "output_dropout": 0.4,
        "embedding_dropout": 0.1, "weight_dropout": 0.5, "activity_penalty": 2.0, "temporal_activity_penalty": 1.0,
        "alpha": 1.2e-6, "bptt_length": 70, "random_bptt": True, "optimizer": "sgd", "learning_rate_init": 30.0,
        "clip_norm": 0.25, "schedule": "constant", "averaging": "asgd",
    }
}  # fmt: skip


class TrainingData(NamedTuple):
    """A text that a model is trained on, as ids."""

    text: Corpus
    validation: Corpus | None
    vocabulary: Vocabulary
    counts: np.ndarray | None  # int64 (V,): how often each token appears in the text, if that was counted

    def digests(self):
        """Return digests of the data, for `Checkpoint.identify`."""
        return {
            "X": digest(*self.text),
            "X_val": digest(*(self.validation or ())),
            "vocabulary": digest(self.vocabulary.tokens),
        }


class RecurrentTrainingMixin:
    """Private methods of `RNNLanguageModel` that train it.

    `settings` holds the parameters that are used: a recipe replaces defaults.
    """

    # Parameters that only a fit can change.
    _fixed = ("cell", "embedding_size", "hidden_size", "num_layers", "tie_weights", "residual", "zoneout", "proj_size",
              "softmax", "softmax_cutoffs", "label_smoothing", "recipe")  # fmt: skip

    def _settings(self):
        """Return the parameters that are used: the recipe's values replace defaults."""
        check_choice("recipe", self.recipe, (None, *RECIPES))
        params = self.get_params(deep=False)
        defaults = inspect.signature(type(self)).parameters
        for name, value in RECIPES.get(self.recipe, {}).items():
            if params[name] == defaults[name].default:
                params[name] = value
        return types.SimpleNamespace(**params)

    def _check_parameters(self):
        """Return the parameters that are used; raise ValueError if one is wrong. Layers check some of theirs."""
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
        check_count("warmup", settings.warmup)
        for name in ("dropout", "input_dropout", "output_dropout"):
            if getattr(settings, name) is not None:
                check_probability(name, getattr(settings, name))
        for name in ("activity_penalty", "temporal_activity_penalty"):
            check_not_negative(name, getattr(settings, name))
        check_training(settings)
        backend(settings.device, settings.precision)
        return settings

    def _read_data(self, X, X_val=None, *, going_on, split):
        """Return the `TrainingData` of a text: its vocabulary is learned unless there is one.

        With `split` and without `X_val`, the end of the text is set aside for validation.
        """
        data = self._learn_data(X, going_on, split and X_val is None)
        if X_val is None:
            return data
        validation, _ = read_corpus(X_val, data.vocabulary, **self._text_options())
        if len(validation.ids) == 0:
            raise ValueError("X_val is empty: validation needs at least one sentence.")
        return data._replace(validation=validation)

    def _learn_data(self, X, going_on, split):
        known = self.vocabulary_ if going_on else self.vocabulary
        text, vocabulary = read_corpus(X, known, **self._text_options())
        if len(text.ids) == 0:
            raise ValueError("X is empty: a language model needs at least one sentence.")
        text, validation = split_end(text, self.validation_fraction) if split else (text, None)
        if known is not None:
            return TrainingData(text, validation, vocabulary, None)
        learned = learn_vocabulary(text.ids, vocabulary, self.min_count, self.max_vocab)
        if len(learned.vocabulary) == len(SPECIAL_TOKENS):
            raise ValueError(
                f"X has no token that appears min_count={self.min_count} times: there is nothing to learn."
            )
        text = replace_ids(text, learned.new_ids)
        validation = None if validation is None else replace_ids(validation, learned.new_ids)
        return TrainingData(text, validation, learned.vocabulary, learned.counts)

    def _new_optimizer(self, settings):
        return make_optimizer(
            settings.optimizer,
            learning_rate=settings.learning_rate_init,
            weight_decay=settings.alpha,
            n_jobs=self.n_jobs,
            device=self.device,
        )

    def _new_average(self, settings, validation):
        if settings.averaging is None:
            return None
        average = WeightAverage(
            settings.averaging, settings.averaging_decay, settings.averaging_patience, self.n_jobs, self.device
        )
        if not average.running and validation is None:
            raise ValueError("averaging='asgd' needs a validation text: X_val, or early_stopping=True.")
        return average

    def _make_network(self, settings, vocabulary, random_state, counts):
        names = ("cell", "embedding_size", "hidden_size", "num_layers", "dropout", "tie_weights", "residual",
                 "locked_dropout", "recurrent_dropout", "zoneout", "weight_dropout", "proj_size", "input_dropout",
                 "output_dropout", "embedding_dropout", "softmax", "softmax_cutoffs", "softmax_samples",
                 "label_smoothing", "activity_penalty", "temporal_activity_penalty", "n_jobs", "device",
                 "precision")  # fmt: skip
        options = {name: getattr(settings, name) for name in names}
        return LanguageNetwork(len(vocabulary), random_state=random_state, counts=counts, **options)

    def _train(self, settings, data, going_on, optimizer, random_state, **options):
        """Train a new network, or the one there is; set the learned attributes."""
        text, validation, vocabulary, counts = data
        if going_on:
            self._place_network()
            network = self.network_
        else:
            if counts is None and settings.softmax != "full":  # the other softmaxes depend on frequencies
                counts = count_tokens(text.ids, len(vocabulary))
            network = self._make_network(settings, vocabulary, random_state, counts)
        options = Options(
            clip_norm=settings.clip_norm,
            validate=None if validation is None else lambda: float(self._log_probs(network, *validation).mean()),
            n_iter_no_change=settings.n_iter_no_change if self.early_stopping else None,
            tol=self.tol,
            warmup=settings.warmup,
            accumulate_steps=settings.accumulate_steps,
            rate_factor=(lambda batch: len(batch.inputs) / settings.bptt_length) if settings.random_bptt else None,
            is_finite=lambda n_batches: self._is_finite(network, *text, n_batches * settings.bptt_length),
            restore_on_error=going_on,
            random_state=random_state,
            verbose=self.verbose,
            name=f"{self.cell} language model",
            unit="tokens",
            describe=lambda score: {"perplexity": f"{math.exp(min(-score, 99)):.1f}"},
            **options,
        )
        history = train(network, optimizer, self._epochs(settings, text, random_state), options)
        self._set_fitted(network, vocabulary, optimizer, history, going_on)
        return self

    def _epochs(self, settings, text, random_state):
        """Return a function that makes the batches of an epoch."""
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

    def _is_finite(self, network, ids, offsets, steps):
        """Return whether the log probabilities of the first tokens of a text are finite: `steps` in each stream."""
        end = min(len(ids), steps * self.batch_size)
        offsets = np.append(offsets[: np.searchsorted(offsets, end)], end)
        return bool(np.isfinite(self._log_probs(network, ids[: offsets[-1]], offsets)).all())

    def _set_fitted(self, network, vocabulary, optimizer, history, going_on):
        """Set the learned attributes; with `going_on`, the curves grow."""
        if network is not getattr(self, "network_", None):
            self._fitted_params = {name: getattr(self, name) for name in self._fixed}
        before = (self.loss_curve_, self.validation_scores_) if going_on else ([], [])
        self.network_, self.vocabulary_, self._optimizer = network, vocabulary, optimizer
        self.loss_curve_ = before[0] + history.loss_curve
        self.validation_scores_ = before[1] + history.validation_scores
        self.n_iter_ = len(self.loss_curve_)
