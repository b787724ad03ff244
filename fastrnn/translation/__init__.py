"""Estimators that write sequences: translators of sequences, and captioners of vectors."""

from fastrnn.translation.recurrent import RNNTranslator

__all__ = ["RNNTranslator"]
