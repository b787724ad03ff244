"""Language models that fit in an instant, to test what is done with models."""

from fastrnn.ngram import NGramLanguageModel


class UnigramModel(NGramLanguageModel):
    """Counts of tokens plus `k`."""

    def __init__(self, tokenizer="words", vocabulary=None, k=1.0):
        super().__init__(order=1, smoothing="add_k", tokenizer=tokenizer, vocabulary=vocabulary, k=k)


class NetworkModel(UnigramModel):
    """A unigram model that says it is a network, and takes a validation text."""

    def fit(self, X, y=None, X_val=None):
        super().fit(X)
        self.n_parameters_ = len(self.vocabulary_)
        del self.n_ngrams_
        self.validation_text_ = X_val
        return self
