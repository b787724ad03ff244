"""Language models that fit in an instant, to test what is done with models."""

import numpy as np

from fastrnn.language.base import BaseLanguageModel
from fastrnn.ngram import NGramLanguageModel
from fastrnn.text import Vocabulary

#            <pad> <unk> <s>  </s>  a    b    c
START_ROW = [0.0, 0.1, 0.0, 0.05, 0.5, 0.3, 0.05]
LATER_ROW = [0.0, 0.1, 0.0, 0.30, 0.1, 0.1, 0.40]


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


class TwoRows(BaseLanguageModel):
    """One distribution for the first token, another one for all later tokens."""

    def __init__(
        self, tokenizer="whitespace", lowercase=False, normalize=None, encoding="utf-8", vocabulary=None, option=1
    ):
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.normalize = normalize
        self.encoding = encoding
        self.vocabulary = vocabulary
        self.option = option

    def fit(self, X, y=None):
        self._read_training_text(X)
        self.vocabulary_ = self.vocabulary or Vocabulary.from_tokens(["a", "b", "c"])
        self._rows = np.array([START_ROW, LATER_ROW])
        return self

    def _token_log_probs(self, ids, offsets):
        later = np.ones(len(ids), np.intp)
        later[offsets[:-1]] = 0
        return np.log(self._rows[later, ids])

    def _read_contexts(self, ids, offsets):
        return (np.diff(offsets) > 0).astype(np.intp)

    def _next_probabilities(self, state):
        return self._rows[state]

    def _advance(self, state, ids):
        return np.ones_like(state)

    def _take(self, state, rows):
        return state[rows]

    def _get_learned(self):
        return {"note": "ä"}, {"rows": self._rows, "nothing": np.zeros((0, 3), np.int32)}

    def _set_learned(self, content, arrays):
        assert content == {"note": "ä"}
        assert arrays["nothing"].shape == (0, 3)
        self._rows = arrays["rows"]


class Tensor:
    """Stands in for a tensor of torch that needs a gradient, of bfloat16 if NumPy is to have no such type."""

    def __init__(self, array, bfloat16=False, detached=False):
        self.array, self.bfloat16, self.detached = np.asarray(array, np.float32), bfloat16, detached

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self):
        return Tensor(self.array, self.bfloat16, True)

    def cpu(self):
        return self

    def float(self):
        return Tensor(self.array, detached=self.detached)

    def numpy(self):
        if not self.detached:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


class Module:
    """Stands in for a module of torch with these weights."""

    def __init__(self, weights, bfloat16=False):
        self.weights = {name: Tensor(array, bfloat16) for name, array in weights.items()}

    def state_dict(self):
        return self.weights


class Frame:
    """Stands in for a data frame of pandas or polars: iterates over the names of its columns."""

    def __init__(self, **columns):
        self._columns = columns

    @property
    def columns(self):
        return list(self._columns)

    def __iter__(self):
        return iter(self._columns)

    def __len__(self):
        return len(next(iter(self._columns.values())))

    def __getitem__(self, name):
        return self._columns[name]

    def keys(self):
        return self.columns
