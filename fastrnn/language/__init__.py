"""Language models: the base class, recurrent networks, caches, mixtures; n-gram models are in `fastrnn.ngram`."""

import importlib

_PUBLIC = {  # imported when first used: n-gram models need the base class, but no networks
    "BaseLanguageModel": "base",
    "CacheLanguageModel": "cache",
    "DynamicEvaluation": "dynamic_evaluation",
    "InterpolatedLanguageModel": "mixture",
    "LanguageModelComparison": "comparison",
    "LanguageModelResult": "comparison",
    "NeuralCacheLanguageModel": "neural_cache",
    "RNNLanguageModel": "recurrent",
    "compare_language_models": "comparison",
}

__all__ = list(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"fastrnn.language.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'fastrnn.language' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_PUBLIC})
