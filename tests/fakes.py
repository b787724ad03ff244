"""Small language models that honour the interface and fit in an instant, to test what is done with models."""

import numpy as np

from fastrnn.base import BaseLanguageModel
from fastrnn.text import PAD_ID, START_ID, Vocabulary


class UnigramModel(BaseLanguageModel):
    """Counts plus `pseudo_count`, no context; it says it is an n-gram model."""

    def __init__(self, tokenizer="words", lowercase=False, vocabulary=None, pseudo_count=1.0):
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.vocabulary = vocabulary
        self.pseudo_count = pseudo_count

    def fit(self, X, y=None):
        token_lists = self._read_training_text(X)
        self.vocabulary_ = self.vocabulary or Vocabulary().fit(token_lists)
        ids, _ = self.vocabulary_.encode_corpus(token_lists)
        counts = np.bincount(ids, minlength=len(self.vocabulary_)) + self.pseudo_count
        counts[self.vocabulary_.end_id] += len(token_lists)
        counts[[PAD_ID, START_ID]] = 0
        self.probabilities_ = counts / counts.sum()
        self.nbytes_ = self.probabilities_.nbytes
        self.n_ngrams_ = [len(self.vocabulary_)]
        return self

    def _token_log_probs(self, ids, offsets):
        return np.log(self.probabilities_[ids])

    def _read_contexts(self, ids, offsets):
        return np.zeros(len(offsets) - 1)

    def _next_probabilities(self, state):
        return np.tile(self.probabilities_, (len(state), 1))

    def _advance(self, state, ids):
        return state

    def _take(self, state, rows):
        return state[rows]

    def _get_learned(self):
        return {}, {}

    def _set_learned(self, content, arrays):
        pass


class NetworkModel(UnigramModel):
    """A unigram model that says it is a network, and takes a validation text."""

    def fit(self, X, y=None, X_val=None):
        super().fit(X)
        self.n_parameters_ = len(self.vocabulary_)
        del self.n_ngrams_
        self.validation_text_ = X_val
        return self
