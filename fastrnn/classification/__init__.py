"""Classifiers and a regressor of whole sequences: raw texts, lists of tokens, or series."""

from fastrnn.classification._estimators import MeanEmbeddingClassifier, RNNClassifier, RNNRegressor

__all__ = ["MeanEmbeddingClassifier", "RNNClassifier", "RNNRegressor"]
