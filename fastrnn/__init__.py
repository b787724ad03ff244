"""Recurrent networks and n-gram language models with a scikit-learn API, on Numba kernels."""

import importlib

__version__ = "0.1.0.dev0"

_PUBLIC = {  # imported when they are first used, so that `import fastrnn` stays light
    "CRFTagger": "fastrnn.tagging",
    "CacheLanguageModel": "fastrnn.language",
    "DynamicEvaluation": "fastrnn.language",
    "InterpolatedLanguageModel": "fastrnn.language",
    "MeanEmbeddingClassifier": "fastrnn.classification",
    "NGramLanguageModel": "fastrnn.ngram",
    "NeuralCacheLanguageModel": "fastrnn.language",
    "RNNCaptioner": "fastrnn.translation",
    "RNNClassifier": "fastrnn.classification",
    "RNNLanguageModel": "fastrnn.language",
    "RNNRegressor": "fastrnn.classification",
    "RNNStepRegressor": "fastrnn.tagging",
    "RNNTagger": "fastrnn.tagging",
    "RNNTranslator": "fastrnn.translation",
    "Vocabulary": "fastrnn.text",
    "compare_language_models": "fastrnn.language",
    "load": "fastrnn._loading",
    "scan": "fastrnn._scan",
}
_MODULES = {  # and these as well: `fastrnn.layers` needs no import of its own
    "cells", "classification", "datasets", "exchange", "inspection", "language", "layers", "metrics", "ngram",
    "tagging", "text", "training", "translation", "warmup",
}  # fmt: skip

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"fastrnn.{name}")
    raise AttributeError(f"module 'fastrnn' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_PUBLIC, *_MODULES})
