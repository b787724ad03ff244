"""The base class of models that wrap another language model."""

from sklearn.utils.validation import check_is_fitted

from fastrnn.language.base import BaseLanguageModel
from fastrnn.language.recurrent import RNNLanguageModel
from fastrnn.language.saving import pack_models, unpack_models
from fastrnn.utils.checks import shown
from fastrnn.utils.use import members_of


class WrappedLanguageModel(BaseLanguageModel):
    """Base class of models that wrap another language model, a fitted `RNNLanguageModel`: the parameter `model`.

    Nothing is fitted unless a subclass says so. Methods that a subclass does not define are those of the model.
    """

    tokenizer = property(lambda self: self.model.tokenizer, doc="The tokenizer of the model.")
    lowercase = property(lambda self: self.model.lowercase, doc="Whether texts are converted to lower case first.")
    normalize = property(lambda self: self.model.normalize, doc="The normal form that texts are brought into first.")
    encoding = property(lambda self: self.model.encoding, doc="The encoding of text files.")
    vocabulary_ = property(lambda self: self.model.vocabulary_, doc="The tokens of the model.")
    vocabulary = None  # the model has its own

    def __sklearn_clone__(self):  # the model stays fitted
        return type(self)(**self.get_params(deep=False))

    def __sklearn_is_fitted__(self):
        self._check()
        return True

    def _members(self):
        return members_of([self.model])

    def fit(self, X=None, y=None):
        """Check the parameters. There is nothing to learn; the model stays as it is.

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
        """Check the parameters, as `fit` does.

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
        if not isinstance(self.model, RNNLanguageModel):
            raise ValueError(f"model must be a fitted RNNLanguageModel, got {shown(self.model)}.")
        check_is_fitted(self.model, msg="model is not fitted: fit this %(name)s first.")

    @property
    def nbytes_(self):
        """The bytes of the learned arrays of the model."""
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
        """Set the content that a subclass adds in `_get_learned`."""

    @classmethod
    def _unpack(cls, params, content, arrays):
        (model,) = unpack_models(content["models"], arrays, content["tokens"])
        wrapped = cls(**{**params, "model": model})
        wrapped._set_learned(content, arrays)
        return wrapped
