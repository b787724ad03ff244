"""Estimators that write sequences: translators of sequences, and captioners of vectors."""

from fastrnn.translation.captioner import RNNCaptioner
from fastrnn.translation.ensemble import predict_together
from fastrnn.translation.recurrent import RNNTranslator

__all__ = ["RNNCaptioner", "RNNTranslator", "predict_together"]
