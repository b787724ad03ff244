"""The base of estimators on sequences: readers of X and of y."""
