"""Figures of merit of predicted sequences: entities, tags one by one, and sequences written by translators."""

from fastrnn.metrics.edits import character_error_rate, edit_distance, exact_match, token_error_rate, word_error_rate
from fastrnn.metrics.entities import entity_f1, entity_precision, entity_recall
from fastrnn.metrics.ngram_overlap import bleu, chrf
from fastrnn.metrics.report import EntityReport, entity_report
from fastrnn.metrics.scorers import (
    bleu_scorer,
    chrf_scorer,
    entity_f1_scorer,
    entity_precision_scorer,
    entity_recall_scorer,
    exact_match_scorer,
    neg_character_error_rate_scorer,
    neg_token_error_rate_scorer,
    neg_word_error_rate_scorer,
    tag_accuracy_scorer,
)
from fastrnn.metrics.tags import tag_accuracy

__all__ = [
    "EntityReport",
    "bleu",
    "bleu_scorer",
    "character_error_rate",
    "chrf",
    "chrf_scorer",
    "edit_distance",
    "entity_f1",
    "entity_f1_scorer",
    "entity_precision",
    "entity_precision_scorer",
    "entity_recall",
    "entity_recall_scorer",
    "entity_report",
    "exact_match",
    "exact_match_scorer",
    "neg_character_error_rate_scorer",
    "neg_token_error_rate_scorer",
    "neg_word_error_rate_scorer",
    "tag_accuracy",
    "tag_accuracy_scorer",
    "token_error_rate",
    "word_error_rate",
]
