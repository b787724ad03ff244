"""N-gram language models: counting, smoothing, queries, the estimator, ARPA files."""

from fastrnn.ngram.estimator import NGramLanguageModel

__all__ = ["NGramLanguageModel"]
