"""Estimators that write sequences: translators of sequences, and captioners of vectors."""
