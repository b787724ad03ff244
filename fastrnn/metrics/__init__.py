"""Figures of merit of predicted label sequences: entities, and tags one by one."""

from fastrnn.metrics.entities import entity_f1, entity_precision, entity_recall
from fastrnn.metrics.report import EntityReport, entity_report
from fastrnn.metrics.scorers import entity_f1_scorer, entity_precision_scorer, entity_recall_scorer, tag_accuracy_scorer
from fastrnn.metrics.tags import tag_accuracy

__all__ = [
    "EntityReport",
    "entity_f1",
    "entity_f1_scorer",
    "entity_precision",
    "entity_precision_scorer",
    "entity_recall",
    "entity_recall_scorer",
    "entity_report",
    "tag_accuracy",
    "tag_accuracy_scorer",
]
