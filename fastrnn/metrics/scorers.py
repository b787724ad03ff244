"""Scorers for scikit-learn's searches and validations: ``GridSearchCV(model, grid, scoring=entity_f1_scorer)``.

Those of error rates give the negative rate, so that more is better, as scikit-learn's own scorers of errors do.
"""

from sklearn.metrics import make_scorer

from fastrnn.metrics.edits import character_error_rate, exact_match, token_error_rate, word_error_rate
from fastrnn.metrics.entities import entity_f1, entity_precision, entity_recall
from fastrnn.metrics.ngram_overlap import bleu, chrf
from fastrnn.metrics.tags import tag_accuracy

bleu_scorer = make_scorer(bleu)
chrf_scorer = make_scorer(chrf)
entity_f1_scorer = make_scorer(entity_f1)
entity_precision_scorer = make_scorer(entity_precision)
entity_recall_scorer = make_scorer(entity_recall)
exact_match_scorer = make_scorer(exact_match)
neg_character_error_rate_scorer = make_scorer(character_error_rate, greater_is_better=False)
neg_token_error_rate_scorer = make_scorer(token_error_rate, greater_is_better=False)
neg_word_error_rate_scorer = make_scorer(word_error_rate, greater_is_better=False)
tag_accuracy_scorer = make_scorer(tag_accuracy)
