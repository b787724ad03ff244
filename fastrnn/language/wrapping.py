"""The base class of language models that are made of other models."""

from sklearn.utils.validation import check_is_fitted

import fastrnn
from fastrnn.language.base import BaseLanguageModel
from fastrnn.utils.checks import shown
from fastrnn.utils.use import members_of


class WrappedLanguageModel(BaseLanguageModel):
    """Base class of a language model that is a fitted recurrent one, its parameter `model`, and something more.

    It is used at once: there is nothing to fit, unless a subclass says so. Whatever it does not do itself, the model
    does.
    """

    tokenizer = property(lambda self: self.model.tokenizer, doc="What cuts texts into tokens: that of the model.")
    lowercase = property(lambda self: self.model.lowercase, doc="Whether text is converted to lower case first.")
    normalize = property(lambda self: self.model.normalize, doc="The normal form that text is brought into first.")
    encoding = property(lambda self: self.model.encoding, doc="The encoding of the text files that are read.")
    vocabulary_ = property(lambda self: self.model.vocabulary_, doc="The tokens, those of the model.")
    vocabulary = None  # the model has its own

    def __sklearn_clone__(self):  # the model stays fitted
        return type(self)(**self.get_params(deep=False))

    def __sklearn_is_fitted__(self):
        self._check()
        return True

    def _members(self):
        return members_of([self.model])

    def fit(self, X=None, y=None):
        """Check the parameters; there is nothing to learn, and the model stays as it is.

        Parameters
        ----------
        X, y : object
            Ignored.

        Returns
        -------
        self : language model
        """
        self._check()
        return self

    def partial_fit(self, X=None, y=None):
        """Do as `fit`.

        Parameters
        ----------
        X, y : object
            As in `fit`.

        Returns
        -------
        self : language model
        """
        return self.fit(X)

    def _check(self):
        """Raise ValueError, or NotFittedError, if the model or a parameter is not usable."""
        if not isinstance(self.model, fastrnn.RNNLanguageModel):
            raise ValueError(f"model must be a fitted RNNLanguageModel, got {shown(self.model)}.")
        check_is_fitted(self.model, msg="model is not fitted: fit this %(name)s first.")

    @property
    def nbytes_(self):
        """Return the bytes of the learned arrays of the model."""
        return self.model.nbytes_

    def _read_contexts(self, ids, offsets):
        return self.model._read_contexts(ids, offsets)

    def _next_probabilities(self, state):
        return self.model._next_probabilities(state)

    def _advance(self, state, ids):
        return self.model._advance(state, ids)

    def _next_sentence(self, state):
        return self.model._next_sentence(state)

    def _is_state(self, state):
        return self.model._is_state(state)

    def _take(self, state, rows):
        return self.model._take(state, rows)

    def _stored_params(self):
        return {**super()._stored_params(), "model": None}  # it is learned content

    def _get_learned(self):
        parts, arrays = pack_models([self.model])
        return {"models": parts}, arrays

    def _set_learned(self, content, arrays):
        """Take back what a subclass adds to the content and the arrays of `_get_learned`."""

    @classmethod
    def _unpack(cls, params, content, arrays):
        (model,) = unpack_models(content["models"], arrays, content["tokens"])
        wrapped = cls(**{**params, "model": model})
        wrapped._set_learned(content, arrays)
        return wrapped


def pack_models(models):
    """Return what a file keeps of fitted models of one vocabulary, without that: plain values, and a dict of arrays."""
    parts, arrays = [], {}
    for i, model in enumerate(models):
        params, content, learned = model._pack()
        del content["tokens"]
        parts.append([type(model).__name__, params, content])
        arrays |= {f"{i}.{name}": array for name, array in learned.items()}
    return parts, arrays


def unpack_models(parts, arrays, tokens):
    """Return the models of which `pack_models` made `parts` and `arrays`."""
    models = []
    for i, (name, params, content) in enumerate(parts):
        if name not in fastrnn.__all__:
            raise ValueError(f"The file holds a model of the class {name}, which this fastrnn does not have.")
        learned = {key.partition(".")[2]: array for key, array in arrays.items() if key.startswith(f"{i}.")}
        models.append(getattr(fastrnn, name)._unpack(params, {**content, "tokens": tokens}, learned))
    return models
