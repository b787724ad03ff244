"""The parts of `CRFTagger`: attributes, the objective and its minimization, weights."""
