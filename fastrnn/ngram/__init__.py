"""N-gram language models: counts, smoothing, queries, the estimator."""

from fastrnn.ngram.estimator import NGramLanguageModel

__all__ = ["NGramLanguageModel"]
