"""The base of all estimators of sequences: readers of X, targets, examples, training and files."""
