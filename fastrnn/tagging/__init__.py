"""Taggers: a label for each element of a sequence."""

from fastrnn.tagging.crf import CRFTagger
from fastrnn.tagging.ensemble import predict_together
from fastrnn.tagging.next_step import next_step_examples
from fastrnn.tagging.recurrent import RNNTagger
from fastrnn.tagging.regression import RNNStepRegressor

__all__ = ["CRFTagger", "RNNStepRegressor", "RNNTagger", "next_step_examples", "predict_together"]
