"""Figures of merit of predicted label sequences."""
