"""Write tiny models of every kind that can be saved, and the numbers that they gave when they were written.

``python -m tests.saved_models.write``, run from the folder above ``tests``, writes the files that are not there, and
adds them to ``expected.json``. It leaves the others alone: they show that models written by earlier versions can be
read. So a new kind of model or parameter is added to `MODELS`, and no file is ever written anew, for instance because
a test of it fails. Only the public names of the package are used here.

The same is written each time, but for the last digits of the subwords' probabilities, which the library tokenizers adds
up in any order.
"""

import contextlib
import inspect
import json
import os
import pathlib
import sys
import warnings

import numpy as np

from fastrnn import (
    CacheLanguageModel,
    CRFTagger,
    DynamicEvaluation,
    InterpolatedLanguageModel,
    MeanEmbeddingClassifier,
    NeuralCacheLanguageModel,
    NGramLanguageModel,
    RNNCaptioner,
    RNNClassifier,
    RNNLanguageModel,
    RNNRegressor,
    RNNStepRegressor,
    RNNTagger,
    RNNTranslator,
    Vocabulary,
)
from fastrnn.text import train_subwords
from fastrnn.text.corpus import write_token_file

FOLDER = pathlib.Path(__file__).parent
EXPECTED = FOLDER / "expected.json"

# ------------------------------------------------------------------------------------------------------ what is learned

LINES = ["The old boat leaves the harbour .", "A gull sits on the boat .", "The café by the harbour opens ."] * 4
TOKENS = [line.split() for line in LINES]
IDS = [[len(token) for token in tokens] for tokens in TOKENS]
LENGTHS = [len(line) for line in LINES]
PLACES = ["boat", "gull", "café"] * 4
DATES = np.array(["2024-02-29", "2025-12-24", "1999-01-01"] * 4, "M8[D]")
TAGS = [["I-THING" if token in ("old", "boat", "gull", "café") else "O" for token in tokens] for tokens in TOKENS]
SERIES = [[[round(np.sin(i + t), 3), float(t % 3)] for t in range(3 + i % 3)] for i in range(12)]

SMALL = {"embedding_size": 3, "hidden_size": 4, "max_iter": 2, "learning_rate_init": 0.02, "random_state": 0}
LANGUAGE = {**SMALL, "batch_size": 2, "bptt_length": 8, "early_stopping": False}
CLASSIFIER = {**SMALL, "batch_size": 2, "bidirectional": False, "max_iter": 6, "learning_rate_init": 0.1}
MEANS = {name: value for name, value in CLASSIFIER.items() if name not in ("hidden_size", "bidirectional")}


class Table:
    """Series with named columns, as a DataFrame has them."""

    columns = ("height", "phase")

    def __init__(self, rows):
        self.rows = rows

    def __array__(self, dtype=None, copy=None):
        return np.array(self.rows, dtype)


def network(cell="lstm", lines=LINES, **options):
    return RNNLanguageModel(cell, **{**LANGUAGE, **options}).fit(lines)


def ngrams(order=2, smoothing="witten_bell", **options):
    return NGramLanguageModel(order, smoothing, **options).fit(LINES)


def cache():
    return CacheLanguageModel(4, vocabulary=Vocabulary().fit(TOKENS), tokenizer="whitespace", carry_state=False).fit()


def mixture():
    shared = ngrams()
    own = {"vocabulary": shared.vocabulary_}
    parts = [shared, CacheLanguageModel(6, **own).fit(), NeuralCacheLanguageModel(network("rnn", **own), 8)]
    return InterpolatedLanguageModel(parts, max_iter=1).fit(LINES)


def classifier(X=LINES, y=PLACES, cell="lstm", **options):
    return RNNClassifier(cell, **{**CLASSIFIER, **options}).fit(X, y)


def means(y, X=LINES, **options):
    return MeanEmbeddingClassifier(**{**MEANS, "n_buckets": 8, **options}).fit(X, y)


def regressor(X=LINES, y=LENGTHS, **options):
    return RNNRegressor("lstm", **{**CLASSIFIER, **options}).fit(X, y)


def translator(X=LINES, y=PLACES, **options):
    options = {"hidden_size": 8, "input_feeding": False, "dropout": 0.0, "label_smoothing": 0.0, "batch_size": 2,
               "max_iter": 25, **options}  # fmt: skip
    return RNNTranslator(**{**SMALL, **options}).fit(X, y)


def tagger(X=TOKENS, y=TAGS, cell="lstm", **options):
    return RNNTagger(cell, **{**CLASSIFIER, **options}).fit(X, y)


# ---------------------------------------------------------------------------------------------------------- the models

# What models are given when they are asked; they keep these names in `EXPECTED`, and must not be changed.
INPUTS = {
    "sentences": ["A gull leaves the old café .", "the boat opens", "The old whale 🐋 sits .", ""],
    "contexts": ["The old"],
    "tokens": [["The", "old", "whale"], ["boat", "."]],
    "ids": [[3, 5, 99], [4]],
    "columns": [[["The", "T"], ["whale", "w"]], [["boat", "b"], [".", "."], ["A", "?"]]],
    "series": [[[0.5, 1.0], [0.25, 2.0]], [[-1.0, 0.0]] * 6],
}
# What they are asked for: methods with the name of what they are given, and attributes (None). Rare cells have SCORE
# alone, for predicting the next token takes a further compiled kernel of each.
SCORE = {"score_samples": "sentences"}
PREDICT = {**SCORE, "perplexity": "sentences", "predict": "contexts", "predict_proba": "contexts"}


WRITE = {"predict": "sentences", "transform": "sentences"}


def classes(X):
    return {"predict": X, "predict_proba": X, "classes_": None}


MODELS = {
    # Networks: tokenizers, cells, output layers
    "lm_words": (lambda: network(lowercase=True, normalize="NFC", early_stopping=True), PREDICT),
    "lm_tied": (lambda: network(embedding_size=4, tie_weights=True, carry_state=False), PREDICT),
    "lm_recipe": (
        lambda: network(recipe="awd", early_stopping=True, validation_fraction=0.25, learning_rate_init=1.0), PREDICT),
    "lm_chars": (
        lambda: network("gru", tokenizer="chars", num_layers=2, residual=True, zoneout=0.2, min_count=9), PREDICT),
    "lm_subwords": (lambda: network("rnn", tokenizer=train_subwords(LINES, 30, "unigram")), PREDICT),
    "lm_adaptive": (lambda: network("gru", softmax="adaptive", softmax_cutoffs=[6, 9]), PREDICT),
    "lm_sampled": (
        lambda: network("rnn", softmax="sampled", softmax_samples=4,
                        vocabulary=Vocabulary.from_tokens(["boat", "the", "half \ud83d"])), PREDICT),
    "lm_proj_size": (lambda: network(proj_size=3, num_layers=2), PREDICT),
    **{f"lm_{cell}": (lambda cell=cell: network(cell, ["a boat"] * 4), SCORE) for cell in (
        "indrnn", "gru_reset_before", "mgu", "lstm_coupled", "lstm_peephole", "lstm_layer_norm")},
    # N-grams: smoothings, and what a file has besides
    "ngram_kneser_ney": (lambda: ngrams(3, "modified_kneser_ney"), PREDICT),
    "ngram_jelinek_mercer": (lambda: ngrams(smoothing="jelinek_mercer", lowercase=True), PREDICT),
    "ngram_katz": (lambda: ngrams(smoothing="katz", tokenizer="whitespace", memory_limit="50MB"), PREDICT),
    "ngram_mle": (lambda: ngrams(1, "mle", tokenizer="bytes", min_count=9), PREDICT),
    "ngram_quantized": (lambda: ngrams(quantize=True, max_vocab=12), PREDICT),
    "ngram_pruned": (lambda: ngrams(4, prune=(0, 0, 5), prune_entropy=1e-3, vocab_pad=50), PREDICT),
    # Other language models
    "cache": (cache, PREDICT),
    "neural_cache": (lambda: NeuralCacheLanguageModel(network("rnn"), 8, theta=1.0, carry_state=False), PREDICT),
    "dynamic_evaluation": (lambda: DynamicEvaluation(network("rnn"), 0.01, 0.05, rule="rms").fit(LINES), PREDICT),
    "interpolated": (mixture, PREDICT),
    # Recurrent classifiers and regressors: inputs, poolings, labels
    "classifier_texts": (
        lambda: classifier(class_weight={"boat": 2.0, "gull": 1.0, "café": 0.5}), classes("sentences")),
    "classifier_tokens": (
        lambda: classifier(TOKENS, [3, -1, 7] * 4, "gru", input="tokens", pooling="attention", bidirectional=True,
                           num_layers=2, early_stopping=True, validation_fraction=0.25), classes("tokens")),
    "classifier_series": (
        lambda: classifier([Table(rows) for rows in SERIES], [True, False] * 6, "rnn", input="series", missing="pad",
                           pooling="last", truncation="start", max_length=4), classes("series")),
    "classifier_labels": (
        lambda: classifier(IDS, [[1, 0], [0, 0], [1, 1]] * 4, input="tokens", pooling="mean", proj_size=3),
        classes("ids")),
    "regressor_texts": (lambda: regressor(max_vocab=12), {"predict": "sentences"}),
    "regressor_series": (
        lambda: regressor(SERIES, [[len(rows), rows[0][0]] for rows in SERIES], input="series", bidirectional=True),
        {"predict": "series"}),
    # Taggers, and numbers for each step
    "tagger_tokens": (
        lambda: tagger(scheme="bioes", bidirectional=True, class_weight="balanced", char_hidden_size=3,
                       char_embedding_size=3), classes("tokens")),
    "tagger_columns": (
        lambda: tagger([[(token, token[:1]) for token in tokens] for tokens in TOKENS], char_encoder="ngrams",
                       char_embedding_size=1, output="softmax", freeze_embedding=True,
                       embedding={"boat": [1, 0, 0], "ship": [0.9, 0.1, 0]}), classes("columns")),
    "tagger_series": (
        lambda: tagger(SERIES, [[step[0] > 0.5 for step in rows] for rows in SERIES], "gru", input="series",
                       early_stopping=True, validation_fraction=0.25), classes("series")),
    "tagger_labels": (
        lambda: tagger(SERIES, [np.array(rows) > 0.5 for rows in SERIES], "rnn", input="series"), classes("series")),
    "crf_tagger": (lambda: CRFTagger(scheme="iob1").fit(TOKENS, TAGS), classes("tokens")),
    "step_regressor": (
        lambda: RNNStepRegressor("gru", hidden_size=4, max_iter=2, random_state=0).fit(SERIES, SERIES),
        {"predict": "series"}),
    # Translators: tokenizers of both sides, scores of attention, cells
    "translator_words": (
        lambda: translator(tokenizer=("words", "chars"), lowercase=(True, False), min_count=(4, 1),
                           max_length=(5, None)), WRITE),
    "translator_subwords": (
        lambda: translator(cell="lstm", num_layers=2, attention="dot", tokenizer="subwords", vocab_size=265,
                           share_vocabulary=True, tie_weights=True, embedding_size=8, max_iter=60), WRITE),
    "translator_tokens": (
        lambda: translator(TOKENS, TAGS, tokenizer=None, attention=None, cell="rnn", bidirectional=False),
        {"predict": "tokens", "transform": "tokens"}),
    "captioner_regions": (
        lambda: RNNCaptioner(**{**SMALL, "hidden_size": 8, "max_iter": 25}, hidden_layer_sizes=(6,), dropout=0.0,
                             input_feeding=False, batch_size=2).fit(SERIES, PLACES),
        {"predict": "series", "transform": "series"}),
    "translator_numbers": (
        lambda: translator(IDS, [ids[::-1] for ids in IDS], input_feeding=True, attention="general", max_iter=60),
        {"predict": "ids", "transform": "ids"}),
    # Means of vectors
    "means_strings": (
        lambda: means(PLACES, hidden_layer_sizes=(6, 5), lowercase=False, class_weight="balanced",
                      embedding_dropout=0.1, learning_rate_init=0.05, random_state=1),
        classes("sentences")),
    "means_integers": (
        lambda: means([10, 20, 30] * 4, IDS, input="tokens", ngram_range=(1, 3), class_weight={10: 1, 20: 2.5, 30: 1}),
        classes("ids")),
    "means_booleans": (
        lambda: means([True, False] * 6, embedding={"boat": [1, 0, 0], "ship": [0.9, 0.1, 0]}, freeze_embedding=True,
                      ngram_range=(1, 1)), classes("sentences")),
    "means_dates": (lambda: means(DATES), classes("sentences")),
    "means_labels": (lambda: means([[1, 0], [0, 0], [1, 1]] * 4), classes("sentences")),
}  # fmt: skip

# Trainings that were interrupted: the class, its parameters and what `fit` is given. A checkpoint is written after each
# batch, and the one that stays is the last before the one of this number.
CHECKPOINTS = {
    "checkpoint_lm": (
        RNNLanguageModel, {"cell": "lstm", **LANGUAGE, "dropout": 0.2, "weight_dropout": 0.1}, [LINES], 4),
    "checkpoint_classifier": (
        RNNClassifier, {"cell": "lstm", **CLASSIFIER, "dropout": 0.2, "recurrent_dropout": 0.1}, [LINES, PLACES], 3),
    "checkpoint_lm_no_masks": (RNNLanguageModel, {"cell": "lstm", **LANGUAGE}, [LINES], 4),
    "checkpoint_classifier_no_masks": (
        RNNClassifier, {"cell": "lstm", **CLASSIFIER, "dropout": 0.0, "early_stopping": True,
                        "validation_fraction": 0.25},
        [LINES, PLACES], 8),
}  # fmt: skip


def plain(values):
    """Return a result as JSON holds it: numbers, of ten digits, and labels as text; those of steps in one list."""
    is_ragged = isinstance(values, list) and len({np.shape(part) for part in values}) > 1
    values = np.concatenate(values) if is_ragged else np.asarray(values)
    if values.dtype.kind == "f":
        return np.array([float(f"{value:.10g}") for value in values.flat]).reshape(values.shape).tolist()
    return (values if values.dtype.kind in "iu" else values.astype(str)).tolist()


def results(model, asked, inputs):
    """Return what a model answers, and its attributes, as plain values: see `SCORE`."""
    answers = {name: getattr(model, name) for name in asked}
    return {name: plain(answers[name] if given is None else answers[name](inputs[given]))
            for name, given in asked.items()}  # fmt: skip


def learned_attributes(model):
    """Return the attributes that a file keeps, as far as a model has them, to be asked for."""
    names = ("n_ngrams_", "discounts_", "weights_", "n_parameters_", "loss_curve_", "validation_scores_")
    return {name: None for name in names if getattr(model, name, None) is not None}


def plain_parameters(model):
    """Return the parameters that are not the default, and that JSON can hold, as it holds them."""
    defaults, params = inspect.signature(type(model)).parameters, {}
    for name, value in model.get_params(deep=False).items():
        with contextlib.suppress(TypeError):
            plain_value = json.loads(json.dumps(value))
            if value != defaults[name].default:
                params[name] = plain_value
    return params


# --------------------------------------------------------------------------------------------------------- the writing


def write_model(path, make, asked):
    """Write a model; return what is expected of it."""
    model = make()
    model.save(path)
    asked = {**asked, **learned_attributes(model)}
    return {
        "class": type(model).__name__,
        "params": plain_parameters(type(model).load(path)),
        "tokens": model.vocabulary_.tokens if hasattr(model, "vocabulary_") else None,
        "asked": asked,
        "results": results(model, asked, INPUTS),
    }


class Interruption(Exception):
    """The end of a training after some batches, as when the process is killed."""


@contextlib.contextmanager
def interrupted_before_writing(path, n):
    """End a training before it replaces its checkpoint for the n-th time.

    Python tells hooks of every renaming, so that nothing of the package need be changed for this.
    """
    left = [n]

    def hook(event, arguments):
        if event == "os.rename" and left and os.fspath(arguments[1]) == os.path.realpath(path):
            left[0] -= 1
            if not left[0]:
                left.clear()  # a hook stays as long as the process
                raise Interruption

    sys.addaudithook(hook)
    with contextlib.suppress(Interruption):
        yield
        raise AssertionError("The training came to its end.")


def write_checkpoint(path, cls, params, data, n):
    """Write a checkpoint of a training that was interrupted; return what the training needs, and what it ends with."""
    with interrupted_before_writing(path, n):
        cls(**params).fit(*data, checkpoint=path, checkpoint_minutes=0)
    model = cls(**params).fit(*data)
    asked = SCORE if cls is RNNLanguageModel else classes("sentences")
    asked = {**asked, **learned_attributes(model)}
    return {
        "class": cls.__name__,
        "params": params,
        "data": data,
        "asked": asked,
        "results": results(model, asked, INPUTS),
    }


def write_others(expected):
    """Write what is no model: a vocabulary, n-grams as ARPA files, and ids."""
    vocabulary = Vocabulary(min_count=2, max_size=20).fit([*TOKENS, ["once"], ["half \ud83d"] * 2])
    model = ngrams()
    asked = {**PREDICT, "n_ngrams_": None}
    writers = {
        "vocabulary.json": (vocabulary.save, {"tokens": vocabulary.tokens, "min_count": 2, "max_size": 20}),
        "ngrams.arpa": (model.to_arpa, {"asked": asked, "results": results(model, asked, INPUTS)}),
        "ngrams.arpa.gz": (model.to_arpa, {"asked": asked, "results": results(model, asked, INPUTS)}),
    }
    for name, (write, entry) in writers.items():
        if name not in expected:
            write(FOLDER / name)
            expected[name] = entry
    if "ids.npy" not in expected:
        write_token_file(FOLDER / "ids.npy", LINES, model.vocabulary_)
        expected["ids.npy"] = {"tokens": model.vocabulary_.tokens, "text": LINES}


def main():
    """Write the files that are not there."""
    expected = {"inputs": {}, "models": {}, "checkpoints": {}, "others": {}}
    if EXPECTED.exists():
        expected = json.loads(EXPECTED.read_text())
    INPUTS.update(expected["inputs"])
    expected["inputs"] = INPUTS
    for kind, writer, contents in (("models", write_model, MODELS), ("checkpoints", write_checkpoint, CHECKPOINTS)):
        for name, content in contents.items():
            if name not in expected[kind]:
                print(name)
                expected[kind][name] = writer(FOLDER / f"{name}.safetensors", *content)
    write_others(expected["others"])
    kinds = []
    for kind, entries in expected.items():  # a line each
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
        kinds.append(f"{json.dumps(kind)}: {{\n{lines}\n}}")
    EXPECTED.write_text("{" + ",\n".join(kinds) + "}\n")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*(discount|longer than max_length)")  # so small a text
        main()
