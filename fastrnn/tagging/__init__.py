"""Taggers: a label for each element of a sequence."""
