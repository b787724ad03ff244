"""Linear interpolation of language models."""

import numbers

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastrnn.language.base import BaseLanguageModel
from fastrnn.language.saving import pack_models, unpack_models
from fastrnn.text.subwords import same_tokenizer
from fastrnn.text.tokens import close_sentences
from fastrnn.utils.checks import check_positive_integer, shown
from fastrnn.utils.use import members_of


class InterpolatedLanguageModel(BaseLanguageModel):
    """Language model that mixes others: its probabilities are weighted means of theirs.

    p(token | context) = sum of weights_[i] * p_i(token | context). Expectation maximization finds the weights that make
    a held-out text most probable; its only maximum is the global one [1]_.

    Parameters
    ----------
    models : list of fitted language models
        `NGramLanguageModel`, `RNNLanguageModel`, `CacheLanguageModel` and others. They share one vocabulary (give it to
        each as its parameter `vocabulary`), `tokenizer`, `lowercase` and `normalize`.
    weights : "em" or list of float
        The weight of each model, together 1; "em" finds them in `fit`.
    max_iter : int
        The largest number of iterations of expectation maximization.
    tol : float
        Iterations stop when the mean log likelihood of a token improves by less than this.

    Attributes
    ----------
    weights_ : float64 array (n_models,)
        The weight of each model.
    vocabulary_ : Vocabulary
        The tokens, the same for each model.
    n_iter_ : int
        The number of iterations; 0 with given weights.
    nbytes_ : int
        The bytes of the learned arrays of all models.

    References
    ----------
    .. [1] Frederick Jelinek and Robert L. Mercer, "Interpolated estimation of Markov source parameters from sparse
       data", 1980.

    Examples
    --------
    >>> from fastrnn import CacheLanguageModel, NGramLanguageModel
    >>> ngrams = NGramLanguageModel(order=2, smoothing="add_k").fit(["a b a b", "b a", "c c"])
    >>> cache = CacheLanguageModel(window=10, vocabulary=ngrams.vocabulary_).fit()
    >>> model = InterpolatedLanguageModel([ngrams, cache]).fit(["c c c c c c", "a b"])
    >>> model.weights_.round(2)
    array([0.58, 0.42])
    >>> model.perplexity(["c c c c"]) < ngrams.perplexity(["c c c c"])
    True
    """

    tokenizer = property(lambda self: self.models[0].tokenizer, doc="The tokenizer of the models.")
    lowercase = property(lambda self: self.models[0].lowercase, doc="Whether texts are in lower case.")
    normalize = property(
        lambda self: self.models[0].normalize, doc="The normal form that texts are brought into first."
    )
    encoding = property(lambda self: self.models[0].encoding, doc="The encoding of text files.")
    vocabulary = None  # the models have theirs

    def __init__(self, models, weights="em", max_iter=100, tol=1e-7):
        self.models = models
        self.weights = weights
        self.max_iter = max_iter
        self.tol = tol

    def __sklearn_clone__(self):  # the models stay fitted
        return type(self)(**self.get_params(deep=False))

    def __sklearn_is_fitted__(self):
        if not hasattr(self, "weights_"):
            return False
        if len(self.models) != len(self.weights_):
            raise ValueError(f"models are {len(self.models)}, but there were {len(self.weights_)} at fit: fit again.")
        for i, model in enumerate(self.models):  # ids that one does not have would lead out of its arrays
            if model.vocabulary_ is not self.vocabulary_ and model.vocabulary_ != self.vocabulary_:
                raise ValueError(
                    f"models[{i}] has another vocabulary than at fit: fit all models with the same one, then fit this "
                    f"{type(self).__name__} again."
                )
        return True

    def _members(self):
        return members_of(self.models if isinstance(self.models, list | tuple) else ())

    def fit(self, X=None, y=None):
        """Find the weights. The models stay as they are.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, file object, or None
            A held-out text that no model was fitted to: a sentence, line or document each. It may be None if weights
            are given.
        y : None
            Ignored.

        Returns
        -------
        self : InterpolatedLanguageModel
        """
        self._check_models()
        check_positive_integer("max_iter", self.max_iter)
        if isinstance(self.weights, str) and self.weights == "em":
            probabilities = self._component_probabilities(X)
            weights, n_iter = _maximize(probabilities, self.max_iter, self.tol)
            n_tokens = len(probabilities)
        else:
            weights, n_iter, n_tokens = _check_weights(self.weights, len(self.models)), 0, 0
        self.vocabulary_ = self.models[0].vocabulary_
        self.weights_, self.n_iter_, self._n_tokens = weights, n_iter, n_tokens
        return self

    def partial_fit(self, X, y=None):
        """Adapt the weights to a further text with one incremental step of expectation maximization.

        The responsibilities for earlier tokens stay as they were (Neal and Hinton, 1998). Given weights do not change.

        Parameters
        ----------
        X : iterable of (str, list of str or os.PathLike), os.PathLike, or file object
            A held-out text: a sentence, line or document each.
        y : None
            Ignored.

        Returns
        -------
        self : InterpolatedLanguageModel
        """
        if not hasattr(self, "weights_") or not isinstance(self.weights, str):
            return self.fit(X)
        self._check_models()
        responsible = _responsibilities(self._component_probabilities(X), self.weights_)
        total = self.weights_ * self._n_tokens + responsible.sum(axis=0)
        self._n_tokens += len(responsible)
        self.weights_ = total / total.sum()
        return self

    def _component_probabilities(self, X):
        """Return the probability that each model gives each token of X, float64 (n_tokens, n_models)."""
        if X is None:
            raise ValueError("X is None: to find the weights takes a held-out text.")
        token_lists = self._read_training_text(X)
        ids, offsets = close_sentences(*self.models[0].vocabulary_.encode_corpus(token_lists))
        probabilities = np.exp([model._token_log_probs(ids, offsets) for model in self.models]).T
        possible = probabilities.any(axis=1)  # other tokens do not depend on the weights
        if not possible.any():
            raise ValueError("X says nothing about the weights: every model gives each of its tokens probability 0.")
        return probabilities[possible]

    def _check_models(self):
        """Raise ValueError unless the models are fitted and read text alike."""
        if not isinstance(self.models, list | tuple) or not self.models:
            raise ValueError(f"models must be a list of fitted language models, got {shown(self.models)}.")
        for i, model in enumerate(self.models):
            if not isinstance(model, BaseLanguageModel):
                raise ValueError(f"models[{i}] must be a language model, got {shown(model)}.")
            check_is_fitted(model, msg=f"models[{i}] is not fitted: fit this %(name)s first.")
            for name in ("tokenizer", "lowercase", "normalize"):
                first, other = getattr(self.models[0], name), getattr(model, name)
                if not same_tokenizer(first, other):
                    raise ValueError(f"models[{i}] has {name}={shown(other)}, but models[0] has {name}={shown(first)}.")
            if model.vocabulary_ != self.models[0].vocabulary_:
                raise ValueError(
                    f"models[{i}] has another vocabulary than models[0]: "
                    f"{_difference(self.models[0].vocabulary_, model.vocabulary_, i)}. "
                    "Fit all with the same one, given as the parameter vocabulary."
                )

    @property
    def nbytes_(self):
        """The bytes of the learned arrays of all models."""
        check_is_fitted(self)
        return sum(model.nbytes_ for model in self.models)

    def _mean(self, parts):
        """Return the weighted mean of arrays, one for each model."""
        return sum(weight * part for weight, part in zip(self.weights_, parts, strict=True))

    def _token_log_probs(self, ids, offsets):
        return self._mean_log_probs(model._token_log_probs(ids, offsets) for model in self.models)

    def _sentence_log_probs(self, ids, offsets, bos=True):
        return self._mean_log_probs(model._sentence_log_probs(ids, offsets, bos) for model in self.models)

    def _mean_log_probs(self, log_probs):
        with np.errstate(divide="ignore"):  # probability 0
            return np.log(self._mean(map(np.exp, log_probs)))

    def _next_probabilities(self, state):
        return self._mean(self._each("_next_probabilities", state))

    def _each(self, method, state, *arguments):
        return [getattr(model, method)(part, *arguments) for model, part in zip(self.models, state, strict=True)]

    def _read_contexts(self, ids, offsets):
        return [model._read_contexts(ids, offsets) for model in self.models]

    def _read_on(self, state, ids):
        return self._each("_read_on", state, ids)

    def _advance(self, state, ids):
        return self._each("_advance", state, ids)

    def _step(self, state, ids):
        log_probs, states = zip(*self._each("_step", state, ids), strict=True)
        return self._mean_log_probs(log_probs), states

    def _continuation_log_probs(self, state, ids):
        return self._mean_log_probs(self._each("_continuation_log_probs", state, ids))

    def _next_sentence(self, state):
        return self._each("_next_sentence", state)

    def _is_state(self, state):
        is_list = isinstance(state, list | tuple) and len(state) == len(self.models)
        return is_list and all(self._each("_is_state", state))

    def _take(self, state, rows):
        return self._each("_take", state, rows)

    def _stored_params(self):
        return {**super()._stored_params(), "models": None}  # they are learned content

    def _get_learned(self):
        parts, arrays = pack_models(self.models)
        content = {"weights": self.weights_.tolist(), "n_iter": self.n_iter_, "n_tokens": self._n_tokens}
        return {**content, "models": parts}, arrays

    def _set_learned(self, content, arrays):
        self.models = unpack_models(content["models"], arrays, self.vocabulary_.tokens)
        self.weights_ = np.array(content["weights"])
        self.n_iter_, self._n_tokens = content["n_iter"], content["n_tokens"]


def _check_weights(weights, n_models):
    """Return given weights as float64 (n_models,), or raise ValueError."""
    expected = f"weights must be 'em' or {n_models} numbers, one a model, of at least 0 and together 1"
    if not isinstance(weights, list | tuple | np.ndarray) or len(weights) != n_models:
        raise ValueError(f"{expected}, got {shown(weights)}.")
    if not all(isinstance(weight, numbers.Real) and weight >= 0 for weight in weights):
        raise ValueError(f"{expected}, got {shown(weights)}.")
    array = np.array(weights, np.float64)
    if not abs(array.sum() - 1) < 1e-6:
        raise ValueError(f"{expected}, got {shown(weights)}, together {array.sum():g}.")
    return array / array.sum()


def _maximize(probabilities, max_iter, tol):
    """Return the weights (n_models,) that make a text most probable, and the number of iterations."""
    weights = np.full(probabilities.shape[1], 1 / probabilities.shape[1])
    likelihood = np.log(probabilities @ weights).mean()
    for n_iter in range(1, max_iter + 1):
        weights = _responsibilities(probabilities, weights).mean(axis=0)
        before, likelihood = likelihood, np.log(probabilities @ weights).mean()
        if likelihood - before < tol:
            return weights, n_iter
    return weights, max_iter


def _responsibilities(probabilities, weights):
    """Return the probability that each token comes from each model, float64 (n_tokens, n_models)."""
    joint = probabilities * weights
    return joint / joint.sum(axis=1, keepdims=True)


def _difference(first, other, i):
    """Describe the difference of two vocabularies; `other` is that of models[i]."""
    missing = [token for token in first.tokens if token not in other]
    added = [token for token in other.tokens if token not in first]
    if not missing and not added:
        pairs = enumerate(zip(first.tokens, other.tokens, strict=True))
        place, (a, b) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
        return f"the same tokens in another order, first {b!r} where {a!r} has the id {place}"
    sides = ((missing, 0), (added, i))
    return " and ".join(f"{_examples(tokens)} only in models[{place}]" for tokens, place in sides if tokens)


def _examples(tokens):
    some = ", ".join(map(repr, tokens[:3]))
    return f"{some} and {len(tokens) - 3} more are" if len(tokens) > 3 else f"{some} {'are' if tokens[1:] else 'is'}"
