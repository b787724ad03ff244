"""Taggers: a label for each element of a sequence."""

from fastrnn.tagging.crf import CRFTagger
from fastrnn.tagging.recurrent import RNNTagger

__all__ = ["CRFTagger", "RNNTagger"]
