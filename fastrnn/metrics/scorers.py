"""Scorers for scikit-learn's searches and validations: ``GridSearchCV(model, grid, scoring=entity_f1_scorer)``."""

from sklearn.metrics import make_scorer

from fastrnn.metrics.entities import entity_f1, entity_precision, entity_recall
from fastrnn.metrics.tags import tag_accuracy

entity_f1_scorer = make_scorer(entity_f1)
entity_precision_scorer = make_scorer(entity_precision)
entity_recall_scorer = make_scorer(entity_recall)
tag_accuracy_scorer = make_scorer(tag_accuracy)
