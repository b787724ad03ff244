"""Classifiers and a regressor of whole sequences: raw texts, lists of tokens, or series."""

from fastrnn.classification.mean_embedding import MeanEmbeddingClassifier
from fastrnn.classification.recurrent import RNNClassifier, RNNRegressor

__all__ = ["MeanEmbeddingClassifier", "RNNClassifier", "RNNRegressor"]
